//! Instances.

use mainstay_coordinator::watching;
use mainstay_protocol::InstanceKey;
use mainstay_protocol::health::ProcessIdentity;
use mainstay_resource_graph::{Instance, Key, Relation, Vertex, ViewExt};
use serde_json::Value;

use super::{Present, json};
use crate::time::Time;
use crate::types;

impl Present<'_> {
    pub fn instance(&self, key: &InstanceKey) -> Option<types::Instance> {
        let vertex_key = Key::Instance(key.clone());
        let record = self.record(&vertex_key)?;
        let Vertex::Instance(instance) = &record.vertex else {
            return None;
        };
        Some(types::Instance {
            reference: key.to_string(),
            node: key.node.to_string(),
            name: instance.name.to_string(),
            service_type: instance.service_type.to_string(),
            version: instance.version.clone(),
            incarnation: instance.incarnation.count,
            desired: instance.desired.as_str().to_owned(),
            state: instance.state.as_str().to_owned(),
            health: instance.health,
            reason: instance.reason.clone(),
            since: self.live.time(record.since),
            checked_ms: self.live.checked_ms(key),
            attempts: instance.attempts.len() as u64,
            next_try: instance.next_try.map(|at| self.live.time(at)),
            config: self.linked_config(&vertex_key, Relation::Configured),
            config_wanted: self.linked_config(&vertex_key, Relation::Wants),
            process: instance
                .process
                .iter()
                .map(|process| types::Process {
                    pid: process.pid,
                    started: self.process_started(key, process),
                })
                .collect(),
            supervisor: Key::Supervisor(key.node.clone()).to_string(),
            placement: key.placement.to_string(),
            uses: self.uses(key),
            // Its node's to say, not the graph's.
            usage: None,
            watched_by: self.watched_by(key, instance),
        })
    }

    fn watched_by(&self, key: &InstanceKey, instance: &Instance) -> Vec<types::WatchedBy> {
        let watchers = watching::watchers_of(self.view, key).into_iter();
        let said = watchers.map(|node| {
            let seen = instance.seen_from.get(&node);
            types::WatchedBy {
                answers: seen.map(|seen| seen.sight.is_of_it()),
                says: seen.map(|seen| format!("{node} {}", seen.sight)),
                since: seen.map(|seen| self.live.time(seen.at)),
                supervisor: Key::Supervisor(node).to_string(),
            }
        });
        said.collect()
    }

    fn uses(&self, key: &InstanceKey) -> Vec<String> {
        let uses = self.view.uses(key).into_iter();
        uses.map(|used| Key::Resource(used).to_string()).collect()
    }

    fn process_started(&self, key: &InstanceKey, process: &ProcessIdentity) -> Option<Time> {
        let booted_ms = self.view.node(&key.node)?.sysinfo.booted_ms;
        (booted_ms > 0).then(|| Time::from_wall_ms(booted_ms + process.started_after_boot_ms()))
    }

    fn linked_config(&self, key: &Key, relation: Relation) -> Option<Value> {
        let configuration = self.view.linked(key, relation)?;
        Some(json(&self.view.configuration(&configuration)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::present::sample::{Sample, instance_key};

    #[test]
    fn an_instance_has_every_key_of_the_contract() {
        let sample = Sample::new();
        let instance = sample.present().instance(&instance_key("web@n1")).unwrap();
        let json = serde_json::to_value(&instance).unwrap();
        let keys: Vec<&str> = json
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        let mut wanted = vec![
            "ref",
            "node",
            "name",
            "type",
            "version",
            "incarnation",
            "desired",
            "state",
            "health",
            "reason",
            "since",
            "checked_ms",
            "attempts",
            "next_try",
            "config",
            "config_wanted",
            "process",
            "supervisor",
            "placement",
            "uses",
            "usage",
            "watched_by",
        ];
        wanted.sort_unstable();
        assert_eq!(keys, wanted);
        assert_eq!(json["config"]["greeting"], "hello");
        assert_eq!(json["config_wanted"], Value::Null);
        assert_eq!(json["uses"][0], "resource/disk/sda");
        assert_eq!(json["health"], "ok");
        assert_eq!(json["supervisor"], "supervisor/n1");
        // Ten seconds after the boot of its machine, in hundredths of a second.
        assert_eq!(json["process"][0]["started"], "2026-01-01T00:00:10.000Z");
    }
}
