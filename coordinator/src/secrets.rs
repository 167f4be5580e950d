//! Secrets in configurations: what refers to them, whether they are there, and whom they are handed to.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_orchestrator::Pointer;
use mainstay_protocol::code;
use mainstay_protocol::request::Refusal;
use mainstay_protocol::secret::{SecretReference, SecretWanted};
use mainstay_protocol::words::nearest;
use mainstay_protocol::{Incarnation, InstanceKey, NodeName, SecretName};
use mainstay_resource_graph::{Desired, Key, Kind, Relation, Secret, Vertex, View, ViewExt};
use serde_json::Value;

use crate::schema::{Wrong, field};

/// Every text of a configuration that refers to a secret, or tries to, with the field it stands in.
fn texts(json: &str) -> Vec<(String, String)> {
    // Most have none, and need not be read.
    match json.contains("://") {
        true => texts_that(json, |text| SecretReference::of(text).is_some()),
        false => Vec::new(),
    }
}

/// Texts of a configuration, with the field that each stands in.
pub(crate) fn texts_that(json: &str, wanted: impl Fn(&str) -> bool) -> Vec<(String, String)> {
    type Wanted<'a> = &'a dyn Fn(&str) -> bool;
    fn walk(value: &Value, path: &str, wanted: Wanted<'_>, found: &mut Vec<(String, String)>) {
        match value {
            Value::String(text) => {
                if wanted(text) {
                    found.push((path.to_owned(), text.clone()));
                }
            }
            Value::Array(items) => {
                for (number, item) in items.iter().enumerate() {
                    walk(item, &field(path, &number.to_string()), wanted, found);
                }
            }
            Value::Object(fields) => {
                for (name, value) in fields {
                    walk(value, &field(path, name), wanted, found);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    let mut found = Vec::new();
    if let Ok(value) = serde_json::from_str(json) {
        walk(&value, "", &wanted, &mut found);
    }
    found
}

/// The cluster's secrets that a configuration refers to.
pub fn named_in(json: &str) -> BTreeSet<SecretName> {
    let parsed =
        texts(json)
            .into_iter()
            .filter_map(|(_, text)| match SecretReference::of(&text)?.ok()? {
                SecretReference::Cluster(name) => Some(name),
                SecretReference::File(_) => None,
            });
    parsed.collect()
}

/// References that lead nowhere. Files are the node's to look for.
pub fn wrong_references(view: &dyn View, json: &str) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    for (path, text) in texts(json) {
        let (text, near) = match SecretReference::of(&text) {
            None | Some(Ok(SecretReference::File(_))) => continue,
            Some(Err(bad)) => (bad.to_string(), Vec::new()),
            Some(Ok(SecretReference::Cluster(name))) => {
                if secret(view, &name).is_some() {
                    continue;
                }
                let known = view.names(Kind::Secret);
                let near = nearest(name.as_str(), known.iter().map(String::as_str));
                (not_there(&name), near)
            }
        };
        let pointer = path.split('.').filter(|name| !name.is_empty());
        wrong.push(Wrong {
            pointer: pointer.fold(Pointer::root(), |at, name| at.key(name)),
            path,
            text,
            nearest: near,
        });
    }
    wrong
}

/// A node is given what an instance of its own needs: one that is to run there, with a configuration that names it.
pub fn handed_out(
    view: &dyn View,
    node: &NodeName,
    wanted: &SecretWanted,
) -> Result<Secret, Refusal> {
    let SecretWanted {
        instance,
        incarnation,
        name,
    } = wanted;
    is_to_run(view, node, instance, *incarnation)?;
    if !names_of(view, instance).contains(name) {
        let why = format!("the configuration of {instance} does not say secret://{name}");
        return Err(Refusal::new(code::NOT_ALLOWED, why));
    }
    secret(view, name).ok_or_else(|| Refusal::new(code::NO_SECRET, not_there(name)))
}

/// Whether it is the asking node's, and is to run there.
pub(crate) fn is_to_run(
    view: &dyn View,
    node: &NodeName,
    instance: &InstanceKey,
    incarnation: Incarnation,
) -> Result<(), Refusal> {
    let refused = |why: String| Err(Refusal::new(code::NOT_ALLOWED, why));
    if instance.node != *node {
        return refused(format!("{node} asks for what {instance} is to have"));
    }
    let Some(known) = view.instance(instance) else {
        return refused(format!("{instance} is not known"));
    };
    if known.incarnation != incarnation || known.desired != Desired::Running {
        return refused(format!(
            "{instance} incarnation {incarnation} is not to run any more"
        ));
    }
    Ok(())
}

/// The secrets that an instance runs with, or is to run with.
fn names_of(view: &dyn View, instance: &InstanceKey) -> BTreeSet<SecretName> {
    let configs = configured(view, instance).into_iter();
    let configs = configs.filter_map(|key| view.configuration(&key));
    configs.flat_map(|json| named_in(&json)).collect()
}

/// The configurations that it runs with, or is to run with.
pub(crate) fn configured(view: &dyn View, instance: &InstanceKey) -> Vec<Key> {
    let subject = Key::Instance(instance.clone());
    let known = view.instance(instance);
    let given = known.and_then(|known| known.given).map(Key::Configuration);
    [Relation::Configured, Relation::Wants]
        .into_iter()
        .flat_map(|relation| view.edges_from(&subject, relation))
        .map(|edge| edge.to)
        .chain(given)
        .collect()
}

/// The instances whose configuration names each secret, in key order.
pub fn users(view: &dyn View) -> BTreeMap<SecretName, BTreeSet<InstanceKey>> {
    let mut users: BTreeMap<SecretName, BTreeSet<InstanceKey>> = BTreeMap::new();
    for key in view.keys(Kind::Configuration) {
        let json = view.configuration(&key).unwrap_or_default();
        for name in named_in(&json) {
            let edges = [Relation::Configured, Relation::Wants]
                .into_iter()
                .flat_map(|relation| view.edges_to(&key, relation));
            let instances = edges.filter_map(|edge| match edge.from {
                Key::Instance(instance) => Some(instance),
                _ => None,
            });
            users.entry(name).or_default().extend(instances);
        }
    }
    users
}

fn secret(view: &dyn View, name: &SecretName) -> Option<Secret> {
    match &view.record(&Key::Secret(name.clone()))?.vertex {
        Vertex::Secret(secret) => Some(secret.clone()),
        _ => None,
    }
}

fn not_there(name: &SecretName) -> String {
    format!("there is no secret \"{name}\"")
}

#[cfg(test)]
mod tests {
    use mainstay_protocol::{PlacementName, SlotName, Timestamp, TypeName};
    use mainstay_resource_graph::{Cause, Configuration, Graph, Instance, Txn};

    use super::*;
    use crate::config;

    fn key(node: &str, placement: &str) -> InstanceKey {
        InstanceKey::new(
            NodeName::new(node).unwrap(),
            PlacementName::new(placement).unwrap(),
        )
    }

    fn name(text: &str) -> SecretName {
        SecretName::new(text).unwrap()
    }

    fn has(txn: &mut Txn<'_>, instance: &InstanceKey, json: &str) {
        let (hash, json) = config::canonical(json).unwrap();
        let (key, config) = (
            Key::Instance(instance.clone()),
            Key::Configuration(hash.clone()),
        );
        txn.put(
            config.clone(),
            Vertex::Configuration(Configuration { json }),
        )
        .unwrap();
        let service_type = TypeName::new("process").unwrap();
        let slot = SlotName::new(instance.placement.as_str()).unwrap();
        let wanted = Instance::wanted(service_type, slot, Incarnation::default().next());
        txn.put(
            key.clone(),
            Vertex::Instance(Instance {
                given: Some(hash),
                ..wanted
            }),
        )
        .unwrap();
        txn.link(key, Relation::Configured, config).unwrap();
    }

    fn wanted(instance: &InstanceKey, secret: &str) -> SecretWanted {
        SecretWanted {
            instance: instance.clone(),
            incarnation: Incarnation::default().next(),
            name: name(secret),
        }
    }

    #[test]
    fn a_node_is_given_what_its_own_instances_are_to_run_with_and_nothing_else() {
        // proves: U1
        let graph = Graph::default();
        let mut txn = graph.begin(Timestamp(1), Cause::Rule("test".to_owned()));
        let sealed = Secret {
            sealed: vec![1, 2, 3],
            by: "ada".to_owned(),
        };
        for secret in ["db", "other"] {
            txn.put(Key::Secret(name(secret)), Vertex::Secret(sealed.clone()))
                .unwrap();
        }
        let (web, plain) = (key("n1", "web"), key("n1", "plain"));
        has(
            &mut txn,
            &web,
            r#"{"env":{"KEY":"secret://db","OLD":"secret://gone"}}"#,
        );
        has(&mut txn, &plain, r#"{"env":{"KEY":"db"}}"#);
        let (n1, n2) = (NodeName::new("n1").unwrap(), NodeName::new("n2").unwrap());
        assert_eq!(handed_out(&txn, &n1, &wanted(&web, "db")), Ok(sealed));
        let refused = |node: &NodeName, wanted: SecretWanted| {
            handed_out(&txn, node, &wanted).unwrap_err().code
        };
        assert_eq!(refused(&n2, wanted(&web, "db")), code::NOT_ALLOWED);
        assert_eq!(refused(&n1, wanted(&web, "other")), code::NOT_ALLOWED);
        assert_eq!(refused(&n1, wanted(&plain, "db")), code::NOT_ALLOWED);
        assert_eq!(
            refused(&n1, wanted(&key("n1", "no"), "db")),
            code::NOT_ALLOWED
        );
        assert_eq!(refused(&n1, wanted(&web, "gone")), code::NO_SECRET);
        let past = SecretWanted {
            incarnation: Incarnation::default(),
            ..wanted(&web, "db")
        };
        assert_eq!(refused(&n1, past), code::NOT_ALLOWED);
        let users = users(&txn);
        assert_eq!(users[&name("db")], BTreeSet::from([web]));
        assert!(!users.contains_key(&name("other")));
    }

    #[test]
    fn a_reference_that_leads_nowhere_is_told_with_its_field_and_the_nearest_name() {
        // proves: U1
        let graph = Graph::default();
        let mut txn = graph.begin(Timestamp(1), Cause::Rule("test".to_owned()));
        let sealed = Secret {
            sealed: Vec::new(),
            by: "ada".to_owned(),
        };
        txn.put(Key::Secret(name("db-password")), Vertex::Secret(sealed))
            .unwrap();
        let json = r#"{"env":{"A":"secret://db-pasword","B":"secret://","C":"secret://db-password",
            "D":"file:///etc/key","E":"file://etc/key"}}"#;
        let wrong = wrong_references(&txn, json);
        let paths: Vec<&str> = wrong.iter().map(|wrong| wrong.path.as_str()).collect();
        assert_eq!(paths, ["env.A", "env.B", "env.E"]);
        assert_eq!(wrong[0].nearest, ["db-password"]);
        assert_eq!(wrong[0].text, "there is no secret \"db-pasword\"");
    }

    #[test]
    fn references_are_found_wherever_they_stand_with_their_field() {
        // proves: U1
        let json = r#"{"command":["/bin/db","secret://db"],"env":{"KEY":"file:///etc/key","N":"1"},
            "deep":[{"a":"secret://Bad Name"}],"secret://key":"no"}"#;
        let found = texts(json);
        let paths: Vec<&str> = found.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(paths, ["command.1", "deep.0.a", "env.KEY"]);
        let names: Vec<String> = named_in(json).iter().map(ToString::to_string).collect();
        assert_eq!(names, ["db"]);
        assert!(texts("no json").is_empty());
    }
}
