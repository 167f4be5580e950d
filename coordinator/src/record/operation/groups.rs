//! Groups of people: each has a role, which its members have beside their own.

use mainstay_protocol::request::Refusal;
use mainstay_protocol::words::nearest;
use mainstay_protocol::{PeopleName, PersonName, Role, code, limits};
use mainstay_resource_graph::{People, Txn, ViewExt};

use super::access::take_back_tokens;
use super::{Result_, founded, put_cluster, recorded};

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
    let others = cluster.groups.iter().filter(|(other, _)| *other != name);
    let members = others.map(|(_, other)| other.members.len()).sum::<usize>() + group.members.len();
    if members > limits::GROUP_MEMBERS_MAX {
        let most = limits::GROUP_MEMBERS_MAX;
        return full(format!(
            "all groups together would have {members} members, and have at most {most}"
        ));
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
    put_cluster(txn, cluster);
    take_back_tokens(txn, &group.by, |token| lost(&token.by, name, Some(group)));
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
    put_cluster(txn, cluster);
    let by = format!("the end of the group {name}");
    take_back_tokens(txn, &by, |token| lost(&token.by, name, None));
    let text = format!("the group {name} is there no more; its members have their own roles");
    Ok(recorded(Vec::new(), text))
}

/// Nobody of the name is let in any more: whoever comes under it later begins with nothing.
pub fn forget(txn: &mut Txn<'_>, person: &PersonName) {
    let Some(mut cluster) = txn.cluster() else {
        return;
    };
    let mut was_in = false;
    for group in cluster.groups.values_mut() {
        was_in |= group.members.remove(person);
    }
    if was_in {
        put_cluster(txn, cluster);
    }
}

/// Whether this was done by somebody as a member of the group who may do less by it now.
fn lost(by: &str, name: &PeopleName, now: Option<&People>) -> bool {
    let Some((person, role, _)) = Role::by_group(by).filter(|(.., of)| *of == name.as_str()) else {
        return false;
    };
    now.is_none_or(|group| {
        group.role < role || !group.members.iter().any(|one| one.as_str() == person)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use mainstay_protocol::Admits;
    use mainstay_protocol::{ClusterId, ClusterName, Epoch, Timestamp};
    use mainstay_resource_graph::{
        Cause, Cluster, Graph, Key, Settings, Token, TokenId, TokenState, Vertex, View,
    };
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

    fn prod() -> Cluster {
        Cluster {
            id: ClusterId(Uuid::from_u128(1)),
            epoch: Epoch(1),
            name: ClusterName::new("prod").unwrap(),
            settings: Settings::LAN,
            rules_off: Default::default(),
            authority: None,
            groups: Default::default(),
            brake: None,
            epoch_began: None,
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
        put_cluster(&mut txn, prod());
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
        for by in ["ada (reader; admin by ops)", "ada (operator; admin by ops)"] {
            let now = |role| People {
                members: [PersonName::new("ada").unwrap()].into(),
                ..people(role, 0, "root")
            };
            assert!(lost(by, &ops, None) && lost(by, &ops, Some(&now(Role::Operator))));
            assert!(
                lost(by, &ops, Some(&people(Role::Admin, 1, "root"))),
                "not her"
            );
            assert!(!lost(by, &ops, Some(&now(Role::Admin))));
            assert!(!lost(by, &name("others"), None) && !lost("ada (admin)", &ops, None));
        }
        for number in 0..limits::GROUPS_MAX {
            said(set(&mut txn, &name(&format!("g{number}")), &one)).unwrap();
        }
        let refused = said(set(&mut txn, &ops, &one)).unwrap_err();
        assert_eq!(refused.code, code::REFUSED_BY_SAFETY);
    }

    #[test]
    fn leaving_a_group_takes_back_the_tokens_made_as_its_member() {
        // proves: U1
        let graph = Graph::default();
        let mut txn = graph.begin(Timestamp(1), Cause::Rule("test".to_owned()));
        put_cluster(&mut txn, prod());
        let ops = name("ops");
        let one = people(Role::Admin, 1, "root");
        let has = |by: &str, number| {
            let token = Token {
                hash: [number; 32],
                admits: Admits::Agent(None),
                until: Timestamp(1_000),
                by: by.to_owned(),
                state: TokenState::Open,
            };
            (Key::Token(TokenId(number.to_string())), token)
        };
        let by_group = Role::Reader.of_member("p0", Role::Admin, "ops");
        let (lent, lent_token) = has(&by_group, 1);
        let (own, own_token) = has(&Role::Admin.of("p0"), 2);
        let open = |txn: &Txn<'_>, key: &Key| match &txn.record(key).unwrap().vertex {
            Vertex::Token(token) => token.state == TokenState::Open,
            other => panic!("{other:?}"),
        };
        set(&mut txn, &ops, &one).unwrap();
        for remove_it in [false, true] {
            set(&mut txn, &ops, &one).unwrap();
            txn.put(lent.clone(), Vertex::Token(lent_token.clone()))
                .unwrap();
            txn.put(own.clone(), Vertex::Token(own_token.clone()))
                .unwrap();
            match remove_it {
                true => remove(&mut txn, &ops).unwrap(),
                false => set(&mut txn, &ops, &people(Role::Admin, 0, "root")).unwrap(),
            };
            assert!(!open(&txn, &lent), "she is in it no more");
            assert!(open(&txn, &own), "made in her own role");
        }
    }
}
