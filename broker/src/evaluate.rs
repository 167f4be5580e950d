//! The one evaluator: what is asked against what is known of one node.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use mainstay_protocol::code::{self, Code};
use mainstay_protocol::room::{Needs, Room};
use mainstay_protocol::{InstanceKey, NodeName, PlacementName, TypeName};

use crate::ledger::Account;
use crate::no::{Class, Fix, No, Value};

/// What is asked of a node.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    pub service_type: &'a TypeName,
    /// It must have these.
    pub labels: &'a BTreeMap<String, String>,
    /// It must offer so much, whatever is taken of it.
    pub least: Room,
    pub company: &'a [Company],
    pub needs: &'a Needs,
}

/// Who is to be near, or is not to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Company {
    pub wants: Wants,
    /// The field that asks for it: `target.affinity.0`.
    pub path: String,
    pub placement: PlacementName,
    /// Nodes with one value of it are one place; without, each node is one.
    pub label: Option<String>,
    /// The places where an instance of it is: values of the label, or names of nodes.
    pub at: BTreeSet<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wants {
    Beside,
    Apart,
}

/// What is known of a node.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    pub node: &'a NodeName,
    pub has_type: bool,
    pub labels: &'a BTreeMap<String, String>,
    /// What speaks against it whatever is asked: it is away, or somebody wants nothing there.
    pub objections: &'a [Objection],
    pub account: Account<'a>,
    /// Who has the name that it must have.
    pub holder: Option<(&'a InstanceKey, &'a str)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Objection {
    pub code: Code,
    pub class: Class,
    pub text: String,
}

/// One condition that fails, before it is put into words: nothing is copied where only its size counts.
#[derive(Debug, Clone)]
pub(crate) enum Against<'a> {
    Type,
    Label {
        label: &'a str,
        wanted: &'a str,
        has: Option<&'a str>,
    },
    Said(&'a Objection),
    Company(&'a Company),
    Number(Number),
    Port {
        port: u16,
        taker: &'a InstanceKey,
    },
    Name {
        holder: &'a InstanceKey,
        slot: &'a str,
    },
}

#[derive(Debug, Clone)]
pub(crate) struct Number {
    code: Code,
    class: Class,
    path: &'static str,
    pub(crate) requested: Value,
    limit: Value,
    available: Option<Value>,
}

/// What a change of an amount would have to be.
#[derive(Debug)]
pub(crate) enum Smaller<'a> {
    To(&'a Value),
    /// What the node has to have in all is not asked for any more.
    LeftOut,
    /// None of it is free: no need of it fits, and to need nothing would be another service.
    None,
}

impl Number {
    /// What would do.
    pub(crate) fn smaller(&self) -> Smaller<'_> {
        let most = self.available.as_ref().unwrap_or(&self.limit);
        match (most.amount(), &self.available) {
            (Some(1..), _) => Smaller::To(most),
            (_, None) => Smaller::LeftOut,
            (_, Some(_)) => Smaller::None,
        }
    }
}

/// Everything that is against it, in one fixed order: type, policy, static limits, capacity. Nothing: it fits.
pub fn evaluate(asked: &Asked<'_>, facts: &Facts<'_>) -> Vec<No> {
    let mut noes = Vec::new();
    let _ = each(asked, facts, |against| {
        noes.push(no(against, asked, facts));
        ControlFlow::Continue(())
    });
    noes
}

/// Whether nothing is against it.
pub fn fits(asked: &Asked<'_>, facts: &Facts<'_>) -> bool {
    each(asked, facts, |_| ControlFlow::Break(())).is_continue()
}

/// The one evaluation, in its order, until `then` has heard enough.
pub(crate) fn each<'a>(
    asked: &Asked<'a>,
    facts: &Facts<'a>,
    mut then: impl FnMut(Against<'a>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    if !facts.has_type {
        then(Against::Type)?;
    }
    for (label, wanted) in asked.labels {
        let has = facts.labels.get(label).map(String::as_str);
        if has != Some(wanted) {
            then(Against::Label { label, wanted, has })?;
        }
    }
    for objection in facts.objections {
        then(Against::Said(objection))?;
    }
    for company in asked.company.iter().filter(|one| !suits(one, facts)) {
        then(Against::Company(company))?;
    }
    let Account { offers, taken, .. } = facts.account;
    numbers(asked, (offers, taken), &mut |number| {
        then(Against::Number(number))
    })?;
    for port in &asked.needs.ports {
        if let Some(taker) = facts.account.ports.get(port) {
            then(Against::Port { port: *port, taker })?;
        }
    }
    if let Some((holder, slot)) = facts.holder {
        then(Against::Name { holder, slot })?;
    }
    ControlFlow::Continue(())
}

fn no(against: Against<'_>, asked: &Asked<'_>, facts: &Facts<'_>) -> No {
    let node = facts.node;
    match against {
        Against::Type => {
            let text = format!("{node} does not have the type {}", asked.service_type);
            said(code::TYPE_NOT_PROVIDED, Class::Unsupported, "type", text)
        }
        Against::Label { label, wanted, has } => not_meant(node, (label, wanted, has)),
        Against::Said(one) => said(one.code.clone(), one.class, "", one.text.clone()),
        Against::Company(company) => against_company(company, facts),
        Against::Number(number) => in_numbers(number),
        Against::Port { port, taker } => {
            let path = format!("needs.ports.{port}");
            let text = format!("port {port} on {node} is {taker}'s");
            No {
                requested: Some(Value::Port(port)),
                fix: Some(Fix {
                    path: path.clone().into(),
                    value: None,
                }),
                ..said(code::PORT_TAKEN, Class::NotNow, path, text)
            }
        }
        Against::Name { holder, slot } => {
            let text = format!("{holder} holds {slot}");
            said(code::NAME_HELD, Class::NotNow, "holds", text)
        }
    }
}

/// Where a node is, by a label, or by its name. A node without the label is nowhere.
fn place<'a>(facts: &Facts<'a>, label: Option<&String>) -> Option<&'a str> {
    match label {
        Some(label) => facts.labels.get(label).map(String::as_str),
        None => Some(facts.node.as_str()),
    }
}

fn suits(company: &Company, facts: &Facts<'_>) -> bool {
    let is_there = place(facts, company.label.as_ref()).is_some_and(|at| company.at.contains(at));
    match company.wants {
        Wants::Beside => is_there,
        Wants::Apart => !is_there,
    }
}

fn not_meant(node: &NodeName, (label, wanted, has): (&str, &str, Option<&str>)) -> No {
    let path = format!("target.all.{label}");
    let text = match has {
        Some(has) => format!("{node} has {label}={has}, not {wanted}"),
        None => format!("{node} has no label {label}, and {wanted} is asked for"),
    };
    let has = has.map(|has| Value::Text(has.to_owned()));
    No {
        requested: Some(Value::Text(wanted.to_owned())),
        available: has.clone(),
        fix: Some(Fix {
            path: path.clone().into(),
            value: has,
        }),
        ..said(code::NODE_NOT_MEANT, Class::Policy, path, text)
    }
}

fn against_company(company: &Company, facts: &Facts<'_>) -> No {
    let Company {
        placement, label, ..
    } = company;
    let (code, how_many) = match company.wants {
        Wants::Beside => (code::NOT_BESIDE, "no"),
        Wants::Apart => (code::NOT_APART, "an"),
    };
    let node = facts.node;
    let text = match (label, place(facts, label.as_ref())) {
        (Some(label), Some(value)) => {
            format!("{node} has {label}={value}, where {how_many} instance of {placement} is")
        }
        (Some(label), None) => {
            format!("{node} has no label {label}, and {placement} is where that is")
        }
        (None, _) => format!("{how_many} instance of {placement} is on {node}"),
    };
    let requested = Some(Value::Text(placement.to_string()));
    let path = company.path.clone();
    let fix = Some(Fix {
        path: path.clone().into(),
        value: None,
    });
    No {
        requested,
        fix,
        ..said(code, Class::Policy, path, text)
    }
}

type Amount = (&'static str, fn(&Room) -> Value);

const NEEDED: [Amount; 3] = [
    ("needs.cores", cores),
    ("needs.memory", memory),
    ("needs.disk", disk),
];

const LEAST: [Amount; 3] = [
    ("target.constraints.cores", cores),
    ("target.constraints.memory", memory),
    ("target.constraints.disk", disk),
];

fn cores(of: &Room) -> Value {
    Value::Millicores(of.millicores)
}

fn memory(of: &Room) -> Value {
    Value::Bytes(of.memory_bytes)
}

fn disk(of: &Room) -> Value {
    Value::Bytes(of.disk_bytes)
}

/// What its amounts are against: the static limits first.
pub(crate) fn numbers(
    asked: &Asked<'_>,
    (offers, taken): (Room, Room),
    then: &mut impl FnMut(Number) -> ControlFlow<()>,
) -> ControlFlow<()> {
    for (path, of) in LEAST {
        let (requested, limit) = (of(&asked.least), of(&offers));
        if requested.amount() > limit.amount() {
            then(Number {
                code: code::NODE_TOO_SMALL,
                class: Class::TooBig,
                path,
                requested,
                limit,
                available: None,
            })?;
        }
    }
    let free = offers.minus(taken);
    for (path, of) in NEEDED {
        let (requested, limit, free) = (of(&asked.needs.room), of(&offers), of(&free));
        if requested.amount() <= free.amount() {
            continue;
        }
        let (code, class) = match requested.amount() > limit.amount() {
            true => (code::TOO_BIG, Class::TooBig),
            false => (code::NO_ROOM, Class::NotNow),
        };
        then(Number {
            code,
            class,
            path,
            requested,
            limit,
            available: Some(free),
        })?;
    }
    ControlFlow::Continue(())
}

fn in_numbers(number: Number) -> No {
    let fix = |value: Option<Value>| {
        let path = Cow::Borrowed(number.path);
        Some(Fix { path, value })
    };
    let fix = match number.smaller() {
        Smaller::To(most) => fix(Some(most.clone())),
        Smaller::LeftOut => fix(None),
        Smaller::None => None,
    };
    No {
        code: number.code,
        class: number.class,
        path: Cow::Borrowed(number.path),
        requested: Some(number.requested),
        limit: Some(number.limit),
        available: number.available,
        fix,
        said: None,
    }
}

fn said(code: Code, class: Class, path: impl Into<Cow<'static, str>>, text: String) -> No {
    No {
        code,
        class,
        path: path.into(),
        requested: None,
        limit: None,
        available: None,
        fix: None,
        said: Some(text),
    }
}
