//! Specs become wishes, and placements specs again. Everything that is wrong with a spec is said at once, each with
//! the path of its field.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use mainstay_coordinator::PlacementWish;
use mainstay_protocol::PlacementName;
use mainstay_protocol::report::RestartWhen;
use mainstay_protocol::words::nearest;
use mainstay_resource_graph::{
    Beside, Count, DependsUntil, Escalate, RestartPolicy, Singleton, Strategy, Target, Update,
};

use crate::types::{BesideSpec, DependencySpec, PlacementSpec, PolicySpec, TargetSpec, UpdateSpec};

/// The lease of a singleton, unless it says another.
pub const LEASE_MS: u64 = 5_000;

/// One thing that is wrong with a spec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecProblem {
    /// The field, from the top: `policy.backoff.max`, `depends_on.0.until`.
    pub path: String,
    pub text: String,
    /// The nearest valid words, where a word was wrong.
    pub nearest: Vec<String>,
}

impl fmt::Display for SpecProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.text)
    }
}

/// What a spec asks for; what only the cluster can know (types, nodes, other placements) is for the coordinator.
pub fn wish(spec: &PlacementSpec) -> Result<PlacementWish, Vec<SpecProblem>> {
    let mut wrong = Wrong::default();
    let name = wrong.name("name", &spec.name);
    let service_type = wrong.name("type", &spec.service_type);
    let holds = spec.holds.as_ref().map(|slot| wrong.name("holds", slot));
    let target = target(spec, &mut wrong);
    let policy = policy(&spec.policy, &mut wrong);
    let depends_on = depends_on(&spec.depends_on, &mut wrong);
    let update = update(&spec.update, &mut wrong);
    let restart_group = spec
        .restart_group
        .as_ref()
        .map(|group| wrong.name("restart_group", group));
    let singleton = spec.singleton.as_ref().map(|singleton| Singleton {
        lease_ms: singleton.lease.map_or(LEASE_MS, |lease| lease.ms()),
        fenced: singleton.fenced,
    });
    let (Some(name), Some(service_type), Some(target), true) =
        (name, service_type, target, wrong.found.is_empty())
    else {
        return Err(wrong.found);
    };
    Ok(PlacementWish {
        name,
        service_type,
        holds: holds.flatten(),
        target,
        config: serde_json::Value::Object(spec.config.clone()).to_string(),
        policy,
        depends_on,
        update,
        restart_group: restart_group.flatten(),
        singleton,
        needs: spec.needs.needs(),
        minimum: spec.minimum,
    })
}

#[derive(Default)]
struct Wrong {
    found: Vec<SpecProblem>,
}

impl Wrong {
    fn add(&mut self, path: impl Into<String>, text: impl Into<String>) {
        self.found.push(SpecProblem {
            path: path.into(),
            text: text.into(),
            nearest: Vec::new(),
        });
    }

    fn name<N: FromStr<Err: fmt::Display>>(&mut self, path: &str, text: &str) -> Option<N> {
        text.parse()
            .map_err(|bad: N::Err| self.add(path, bad.to_string()))
            .ok()
    }

    /// One of a few words.
    fn word<T: Copy>(&mut self, path: &str, text: &str, words: &[(&str, T)]) -> Option<T> {
        let known = words.iter().map(|(word, _)| *word);
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let all: Vec<&str> = known.clone().collect();
        self.found.push(SpecProblem {
            path: path.to_owned(),
            text: format!("\"{text}\" is none of {}", all.join(", ")),
            nearest: nearest(text, known),
        });
        None
    }
}

fn target(whole: &PlacementSpec, wrong: &mut Wrong) -> Option<Target> {
    let spec = &whole.target;
    if *spec == TargetSpec::default() && whole.singleton.is_some() {
        return Some(Target::Count(Count::of(1)));
    }
    if let Some(count) = spec.count {
        if spec.nodes.is_some() {
            wrong.add("target", "write either nodes, or count");
            return None;
        }
        let constraints = spec.constraints.clone().unwrap_or_default();
        return Some(Target::Count(Count {
            count,
            on: spec.all.clone().unwrap_or_default(),
            spread: spec.spread.clone(),
            least: constraints.room(),
            affinity: beside("target.affinity", &spec.affinity, wrong),
            anti_affinity: beside("target.anti_affinity", &spec.anti_affinity, wrong),
        }));
    }
    let of_count = [
        ("target.spread", spec.spread.is_some()),
        ("target.constraints", spec.constraints.is_some()),
        ("target.affinity", !spec.affinity.is_empty()),
        ("target.anti_affinity", !spec.anti_affinity.is_empty()),
    ];
    let mut said = of_count.into_iter().filter(|(_, said)| *said);
    if let Some((path, _)) = said.next() {
        wrong.add(path, "only for a count does the cluster choose nodes");
        return None;
    }
    match (&spec.nodes, &spec.all) {
        (Some(nodes), None) if nodes.is_empty() => {
            wrong.add("target.nodes", "no node is named");
            None
        }
        (Some(nodes), None) => {
            let mut named = BTreeSet::new();
            for (index, node) in nodes.iter().enumerate() {
                named.extend(wrong.name(&format!("target.nodes.{index}"), node));
            }
            Some(Target::Nodes(named))
        }
        (None, Some(labels)) => Some(Target::All(labels.clone())),
        (None, None) | (Some(_), Some(_)) => {
            let text = "write exactly one of nodes: [n1, n2], all: {} and count: 3";
            wrong.add("target", text);
            None
        }
    }
}

fn beside(path: &str, specs: &[BesideSpec], wrong: &mut Wrong) -> Vec<Beside> {
    let mut found = Vec::new();
    for (index, spec) in specs.iter().enumerate() {
        let path = format!("{path}.{index}");
        let empty = |label: &String| label.is_empty();
        if spec.label.as_ref().is_some_and(empty) {
            wrong.add(format!("{path}.label"), "a label has a name");
        }
        found.extend(
            wrong
                .name(&format!("{path}.placement"), &spec.placement)
                .map(|placement| Beside {
                    placement,
                    label: spec.label.clone(),
                }),
        );
    }
    found
}

fn policy(spec: &PolicySpec, wrong: &mut Wrong) -> RestartPolicy {
    let restarts = [
        ("always", RestartWhen::Always),
        ("on-failure", RestartWhen::OnFailure),
        ("never", RestartWhen::Never),
    ];
    let restart = spec
        .restart
        .as_ref()
        .and_then(|word| wrong.word("policy.restart", word, &restarts));
    let escalations = [Escalate::Quarantine, Escalate::Move].map(|one| (one.as_str(), one));
    let escalate = spec
        .escalate
        .as_ref()
        .and_then(|word| wrong.word("policy.escalate", word, &escalations))
        .unwrap_or_default();
    RestartPolicy {
        restart,
        attempts: spec.attempts,
        window_ms: spec.window.map(|window| window.ms()),
        backoff_max_ms: spec.backoff.max.map(|max| max.ms()),
        replace_isolated_ms: spec.on_isolation.replace.map(|after| after.ms()),
        escalate,
        watched_from: spec.watched_from.unwrap_or_default(),
    }
}

fn depends_on(
    specs: &[DependencySpec],
    wrong: &mut Wrong,
) -> BTreeMap<PlacementName, DependsUntil> {
    let words = [
        ("healthy", DependsUntil::Healthy),
        ("started", DependsUntil::Started),
    ];
    let mut found = BTreeMap::new();
    for (index, spec) in specs.iter().enumerate() {
        let path = format!("depends_on.{index}");
        let until = match &spec.until {
            None => Some(DependsUntil::Healthy),
            Some(word) => wrong.word(&format!("{path}.until"), word, &words),
        };
        let name = wrong.name(&format!("{path}.placement"), &spec.placement);
        if let (Some(name), Some(until)) = (name, until)
            && found.insert(name, until).is_some()
        {
            wrong.add(path, format!("{} is there twice", spec.placement));
        }
    }
    found
}

fn update(spec: &UpdateSpec, wrong: &mut Wrong) -> Update {
    let by_default = Update::default();
    let at_once = spec.at_once.unwrap_or(1);
    let words = [
        ("rolling", Strategy::Rolling { at_once }),
        ("all", Strategy::All),
        ("canary", Strategy::Canary),
    ];
    let word = spec.strategy.as_deref().unwrap_or("rolling");
    let strategy = wrong.word("update.strategy", word, &words);
    if spec.at_once.is_some() && word != "rolling" {
        wrong.add("update.at_once", "only a rolling update has it");
    }
    Update {
        strategy: strategy.unwrap_or(by_default.strategy),
        rollback: spec.rollback.unwrap_or(by_default.rollback),
        wait_ms: spec.wait.map_or(by_default.wait_ms, |wait| wait.ms()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spec(more: &serde_json::Value) -> PlacementSpec {
        let mut whole = json!({"name": "web", "type": "greeter", "target": {"nodes": ["n1"]}});
        let more = more.as_object().unwrap().clone();
        whole.as_object_mut().unwrap().extend(more);
        serde_json::from_value(whole).unwrap()
    }

    fn paths(more: &serde_json::Value) -> Vec<String> {
        let problems = wish(&spec(more)).unwrap_err();
        problems.into_iter().map(|problem| problem.path).collect()
    }

    #[test]
    fn what_is_left_out_has_its_default() {
        let wish = wish(&spec(&json!({}))).unwrap();
        assert_eq!(wish.update, Update::default());
        assert_eq!(wish.policy, RestartPolicy::default());
        assert_eq!(wish.config, "{}");
    }

    #[test]
    fn a_full_spec_becomes_a_whole_wish() {
        let wish = wish(&spec(&json!({
            "target": {"all": {"role": "web"}},
            "config": {"greeting": "hi"},
            "policy": {"restart": "always", "attempts": 3, "window": "10m", "backoff": {"max": "60s"}, "escalate": "quarantine"},
            "depends_on": [{"placement": "db"}, {"placement": "cache", "until": "started"}],
            "update": {"strategy": "rolling", "at_once": 2, "rollback": false, "wait": "5s"},
        })))
        .unwrap();
        assert_eq!(wish.target.to_string(), "all nodes with role=web");
        let so_many = json!({"target": {"count": 3, "all": {"role": "web"}, "spread": "rack"}});
        let so_many = super::wish(&spec(&so_many)).unwrap().target;
        assert_eq!(
            so_many.to_string(),
            "3 nodes with role=web, spread over rack"
        );
        assert_eq!(wish.policy.window_ms, Some(600_000));
        assert_eq!(wish.policy.backoff_max_ms, Some(60_000));
        assert_eq!(wish.update.strategy, Strategy::Rolling { at_once: 2 });
        assert!(!wish.update.rollback && wish.update.wait_ms == 5000);
        let until: Vec<DependsUntil> = wish.depends_on.into_values().collect();
        assert_eq!(until, [DependsUntil::Started, DependsUntil::Healthy]);
    }

    #[test]
    fn a_singleton_is_one_wherever_nothing_is_said() {
        let mut alone = spec(&json!({"singleton": {}}));
        alone.target = TargetSpec::default();
        let wish = wish(&alone).unwrap();
        assert_eq!(wish.target.to_string(), "1 node");
        assert_eq!(wish.singleton.unwrap().lease_ms, LEASE_MS);
        alone.singleton = None;
        let problems = super::wish(&alone).unwrap_err();
        assert_eq!(problems[0].path, "target");
        let longer = super::wish(&spec(&json!({"singleton": {"lease": "30s"}}))).unwrap();
        assert_eq!(longer.singleton.unwrap().lease_ms, 30_000);
    }

    #[test]
    fn what_it_needs_and_where_it_may_be_is_read_with_its_units() {
        let wish = wish(&spec(&json!({
            "target": {
                "count": 2,
                "constraints": {"cores": 8, "memory": "16GiB"},
                "affinity": [{"placement": "db", "label": "rack"}],
                "anti_affinity": [{"placement": "web"}],
            },
            "needs": {"cores": 0.5, "memory": "256MiB", "disk": "20GB", "ports": [80, 443]},
        })))
        .unwrap();
        assert_eq!(
            wish.target.to_string(),
            "2 nodes, of 8 cores, 16GiB of memory at least, beside db by rack, apart from web"
        );
        assert_eq!(wish.needs.room.millicores, 500);
        assert_eq!(wish.needs.room.memory_bytes, 256 << 20);
        assert_eq!(wish.needs.room.disk_bytes, 20_000_000_000);
        assert_eq!(wish.needs.ports, [80, 443].into());
        let named = json!({"target": {"nodes": ["n1"], "constraints": {"cores": 1}}});
        assert_eq!(paths(&named), ["target.constraints"]);
        let spec =
            json!({"name": "web", "type": "t", "target": {"all": {}}, "needs": {"memory": 512}});
        let error = serde_json::from_value::<PlacementSpec>(spec).unwrap_err();
        assert!(
            error.to_string().contains("\"512\" is no number of bytes"),
            "{error}"
        );
    }

    #[test]
    fn everything_wrong_is_said_at_once_with_its_path() {
        let wrong = json!({
            "name": "Web!",
            "target": {"nodes": ["n1"], "all": {}},
            "policy": {"restart": "alway", "escalate": "mov"},
            "depends_on": [{"placement": "db", "until": "helthy"}],
            "update": {"strategy": "all", "at_once": 2},
        });
        assert_eq!(
            paths(&wrong),
            [
                "name",
                "target",
                "policy.restart",
                "policy.escalate",
                "depends_on.0.until",
                "update.at_once"
            ]
        );
        let problems = wish(&spec(&wrong)).unwrap_err();
        assert_eq!(problems[2].nearest, ["always"]);
    }

    #[test]
    fn an_unknown_field_is_refused_by_name() {
        let unknown = json!({"name": "web", "type": "t", "target": {"all": {}}, "polcy": {}});
        let error = serde_json::from_value::<PlacementSpec>(unknown).unwrap_err();
        assert!(error.to_string().contains("polcy"), "{error}");
    }

    #[test]
    fn what_follows_when_attempts_are_used_up_and_how_many_must_serve_are_read() {
        let said = json!({
            "target": {"count": 3},
            "policy": {"escalate": "move"},
            "minimum": 2,
        });
        let wish = wish(&spec(&said)).unwrap();
        assert_eq!(wish.policy.escalate, Escalate::Move);
        assert_eq!(wish.minimum, 2);
    }
}
