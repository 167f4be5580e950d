//! Groups of people: each has a role, which its members have beside their own.

use mainstay_protocol::request::Refusal;
use mainstay_protocol::words::nearest;
use mainstay_protocol::{PeopleName, code, limits};
use mainstay_resource_graph::{Cluster, Key, People, Txn, Vertex, ViewExt};

use super::{Result_, recorded};

pub fn set(txn: &mut Txn<'_>, name: &PeopleName, group: &People) -> Result_ {
    let mut cluster = founded(txn)?;
    let known = cluster.groups.contains_key(name);
    let full = |text: String| Err(Refusal::new(code::REFUSED_BY_SAFETY, text));
    if !known && cluster.groups.len() >= limits::GROUPS_MAX {
        return full(format!(
            "there are {} groups; no more are kept",
            limits::GROUPS_MAX
        ));
    }
    if group.members.len() > limits::GROUP_MEMBERS_MAX {
        let most = limits::GROUP_MEMBERS_MAX;
        return full(format!("a group has at most {most} members"));
    }
    let did = match cluster.groups.insert(name.clone(), group.clone()) {
        None => "made",
        // Who says the same again changes nothing, not even who said it.
        Some(before) if (before.role, &before.members) == (group.role, &group.members) => {
            return Ok(recorded(
                Vec::new(),
                format!("the group {name} is so already"),
            ));
        }
        Some(_) => "changed",
    };
    put(txn, cluster);
    let members = group.members.len();
    let text = format!(
        "the group {name} is {did}: {members} {} {}",
        if members == 1 {
            "person is"
        } else {
            "people are"
        },
        group.role.as_str()
    );
    Ok(recorded(Vec::new(), text))
}

pub fn remove(txn: &mut Txn<'_>, name: &PeopleName) -> Result_ {
    let mut cluster = founded(txn)?;
    if cluster.groups.remove(name).is_none() {
        let known = cluster.groups.keys().map(PeopleName::as_str);
        return Err(Refusal {
            nearest: nearest(name.as_str(), known),
            ..Refusal::new(code::NOT_FOUND, format!("there is no group {name}"))
        });
    }
    put(txn, cluster);
    let text = format!("the group {name} is there no more; its members have their own roles");
    Ok(recorded(Vec::new(), text))
}

fn founded(txn: &Txn<'_>) -> Result<Cluster, Refusal> {
    txn.cluster()
        .ok_or_else(|| Refusal::new(code::NO_QUORUM, "the cluster is not founded yet"))
}

fn put(txn: &mut Txn<'_>, cluster: Cluster) {
    txn.put(Key::Cluster, Vertex::Cluster(cluster))
        .expect("a cluster has no transitions");
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use mainstay_protocol::{ClusterId, ClusterName, Epoch, PersonName, Role, Timestamp};
    use mainstay_resource_graph::{Cause, Graph, Settings};
    use uuid::Uuid;

    use super::*;

    fn name(text: &str) -> PeopleName {
        PeopleName::new(text).unwrap()
    }

    fn people(role: Role, members: usize, by: &str) -> People {
        let members = (0..members).map(|number| PersonName::new(format!("p{number}")).unwrap());
        People {
            role,
            members: members.collect::<BTreeSet<_>>(),
            by: by.to_owned(),
        }
    }

    #[test]
    fn a_group_is_said_whole_and_the_same_once_more_changes_nothing() {
        // proves: U1
        let graph = Graph::default();
        let mut txn = graph.begin(Timestamp(1), Cause::Rule("test".to_owned()));
        let ops = name("ops");
        let one = people(Role::Operator, 1, "root");
        let early = set(&mut txn, &ops, &one).err().unwrap();
        assert_eq!(early.code, code::NO_QUORUM, "there is no cluster yet");
        put(
            &mut txn,
            Cluster {
                id: ClusterId(Uuid::from_u128(1)),
                epoch: Epoch(1),
                name: ClusterName::new("prod").unwrap(),
                settings: Settings::LAN,
                rules_off: Default::default(),
                authority: None,
                groups: Default::default(),
            },
        );
        let said = |recorded: Result_| recorded.map(|recorded| recorded.text);
        let text = said(set(&mut txn, &ops, &one)).unwrap();
        assert_eq!(text, "the group ops is made: 1 person is operator");
        let text = said(set(&mut txn, &ops, &people(Role::Operator, 1, "ada"))).unwrap();
        assert_eq!(text, "the group ops is so already");
        assert_eq!(txn.cluster().unwrap().groups[&ops].by, "root");
        let text = said(set(&mut txn, &ops, &people(Role::Admin, 2, "ada"))).unwrap();
        assert_eq!(text, "the group ops is changed: 2 people are admin");
        let many = people(Role::Admin, limits::GROUP_MEMBERS_MAX + 1, "ada");
        let refused = said(set(&mut txn, &ops, &many)).unwrap_err();
        assert_eq!(refused.code, code::REFUSED_BY_SAFETY);
        let unknown = said(remove(&mut txn, &name("op"))).unwrap_err();
        assert_eq!(
            (unknown.code, unknown.nearest),
            (code::NOT_FOUND, vec!["ops".to_owned()])
        );
        said(remove(&mut txn, &ops)).unwrap();
        assert!(txn.cluster().unwrap().groups.is_empty());
        for number in 0..limits::GROUPS_MAX {
            said(set(&mut txn, &name(&format!("g{number}")), &one)).unwrap();
        }
        let refused = said(set(&mut txn, &ops, &one)).unwrap_err();
        assert_eq!(refused.code, code::REFUSED_BY_SAFETY);
    }
}
