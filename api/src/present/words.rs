//! Resources, questions, procedures, records, strays.

use mainstay_protocol::ResourceKey;
use mainstay_resource_graph::{AskedId, CollectedId, Key, Node, ProcedureId, Vertex, ViewExt};

use super::{Present, json};
use crate::types;

impl Present<'_> {
    pub fn resource(&self, key: &ResourceKey) -> Option<types::Resource> {
        let record = self.record(&Key::Resource(key.clone()))?;
        let Vertex::Resource(resource) = &record.vertex else {
            return None;
        };
        let users = self.view.users(key);
        Some(types::Resource {
            kind: key.kind.to_string(),
            name: key.name.to_string(),
            state: resource.manner.as_str().to_owned(),
            used_by: users.iter().map(ToString::to_string).collect(),
            since: self.live.time(record.since),
        })
    }

    pub fn asked(&self, id: AskedId) -> Option<types::Asked> {
        let record = self.record(&Key::Asked(id))?;
        let Vertex::Asked(asked) = &record.vertex else {
            return None;
        };
        Some(types::Asked {
            id: id.0.to_string(),
            instance: asked.instance.to_string(),
            incarnation: asked.incarnation.count,
            failure: asked.failure.name.clone(),
            body: json(&asked.failure.body),
            since: self.live.time(record.since),
            deadline: self.live.time(asked.deadline),
        })
    }

    pub fn procedure(&self, id: &ProcedureId) -> Option<types::Procedure> {
        let record = self.record(&Key::Procedure(id.clone()))?;
        let Vertex::Procedure(procedure) = &record.vertex else {
            return None;
        };
        let state = match procedure.deadline {
            Some(_) => "open",
            None => "over",
        };
        Some(types::Procedure {
            id: id.0.clone(),
            rule: procedure.rule.clone(),
            subject: procedure.subject.to_string(),
            state: state.to_owned(),
            text: procedure.text.clone(),
            step: json(&procedure.step),
            steps: procedure.count,
            since: self.live.time(record.since),
            deadline: procedure.deadline.map(|at| self.live.time(at)),
        })
    }

    pub fn collected(&self, id: CollectedId) -> Option<types::Collected> {
        let record = self.record(&Key::Collected(id))?;
        let Vertex::Collected(found) = &record.vertex else {
            return None;
        };
        Some(types::Collected {
            id: id.0.to_string(),
            instance: found.instance.to_string(),
            name: found.name.clone(),
            body: json(&found.body),
            taken_by: found.taken_by.iter().cloned().collect(),
            since: self.live.time(record.since),
        })
    }
}

pub(super) fn strays(name: &mainstay_protocol::NodeName, node: &Node) -> Vec<types::Stray> {
    let strays = node.strays.iter();
    strays
        .map(|(placement, stray)| types::Stray {
            reference: format!("{placement}@{name}"),
            incarnation: stray.incarnation.count,
            state: format!("{:?}", stray.state),
            why: stray.held.as_ref().map(|why| why.text.clone()),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use crate::present::sample::Sample;

    #[test]
    fn each_is_shown_with_whom_it_is_about() {
        let sample = Sample::new();
        let present = sample.present();
        let value = |reference: &str| present.describe(reference).unwrap().value;
        assert_eq!(value("resource/disk/sda")["used_by"][0], "web@n1");
        assert_eq!(value("asked/7")["failure"], "disk-full");
        assert_eq!(value("procedure/cafe")["state"], "open");
        assert_eq!(value("collected/8")["body"], "x");
        assert_eq!(value("node/n1")["strays"][0]["ref"], "lost@n1");
    }
}
