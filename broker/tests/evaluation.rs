//! The evaluator against brute force: what fits is worked out here from the numbers themselves.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_broker::{
    Account, Asked, Change, Class, Company, Facts, Fix, Hint, Least, No, Objection, Ranking, Value,
    Wants, evaluate, fits as fits_there, least_size, size,
};
use mainstay_protocol::code;
use mainstay_protocol::room::{Needs, Room};
use mainstay_protocol::{InstanceKey, NodeName, TypeName};
use proptest::prelude::*;

/// A node, with everything about it.
#[derive(Debug, Clone)]
struct Made {
    offers: Room,
    taken: Room,
    rack: Option<u8>,
    has_type: bool,
    cordoned: bool,
    port_taken: bool,
    name_held: bool,
}

/// What is asked, in a form that is changed easily.
#[derive(Debug, Clone)]
struct Wish {
    needs: Room,
    least: Room,
    port: bool,
    rack: Option<u8>,
    /// Beside, or apart from, what is in these racks.
    company: Option<(Wants, BTreeSet<u8>)>,
}

const PORT: u16 = 80;

fn room(most: u64) -> impl Strategy<Value = Room> {
    (0..most, 0..most, 0..most).prop_map(|(millicores, memory_bytes, disk_bytes)| Room {
        millicores,
        memory_bytes,
        disk_bytes,
    })
}

fn made() -> impl Strategy<Value = Made> {
    let often = prop::bool::weighted(0.9);
    let seldom = || prop::bool::weighted(0.15);
    let rack = prop::option::weighted(0.9, 0..3u8);
    (room(10), room(8), rack, often, seldom(), seldom(), seldom()).prop_map(
        |(offers, taken, rack, has_type, cordoned, port_taken, name_held)| Made {
            offers,
            taken,
            rack,
            has_type,
            cordoned,
            port_taken,
            name_held,
        },
    )
}

fn wish() -> impl Strategy<Value = Wish> {
    let wants = prop_oneof![Just(Wants::Beside), Just(Wants::Apart)];
    let company = prop::option::of((wants, prop::collection::btree_set(0..3u8, 0..3)));
    (
        room(8),
        room(6),
        any::<bool>(),
        prop::option::weighted(0.3, 0..3u8),
        company,
    )
        .prop_map(|(needs, least, port, rack, company)| Wish {
            needs,
            least,
            port,
            rack,
            company,
        })
}

/// By the numbers alone: which conditions fail there.
fn failing(wish: &Wish, node: &Made) -> BTreeSet<String> {
    let mut failing = BTreeSet::new();
    let mut unless = |holds: bool, what: &str| {
        if !holds {
            failing.insert(what.to_owned());
        }
    };
    unless(node.has_type, "type");
    unless(!node.cordoned, "");
    unless(
        wish.rack.is_none() || wish.rack == node.rack,
        "target.all.rack",
    );
    if let Some((wants, racks)) = &wish.company {
        let is_there = node.rack.is_some_and(|rack| racks.contains(&rack));
        unless(is_there == (*wants == Wants::Beside), "target.affinity.0");
    }
    let parts = |room: Room| [room.millicores, room.memory_bytes, room.disk_bytes];
    let names = ["cores", "memory", "disk"];
    for (at, name) in names.into_iter().enumerate() {
        let (offers, taken) = (parts(node.offers)[at], parts(node.taken)[at]);
        let least = format!("target.constraints.{name}");
        unless(parts(wish.least)[at] <= offers, &least);
        let needs = parts(wish.needs)[at];
        unless(
            needs == 0 || needs + taken <= offers,
            &format!("needs.{name}"),
        );
    }
    unless(!(wish.port && node.port_taken), "needs.ports.80");
    unless(!node.name_held, "holds");
    failing
}

fn name(at: usize) -> NodeName {
    format!("n{at}").parse().expect("it reads as one")
}

/// Calls with the wish and the node as the evaluator takes them.
fn with<T>(
    wish: &Wish,
    (at, node): (usize, &Made),
    then: impl FnOnce(&Asked<'_>, &Facts<'_>) -> T,
) -> T {
    let service_type: TypeName = "noisy".parse().expect("it reads as one");
    let racks = |rack: Option<u8>| -> BTreeMap<String, String> {
        let rack = rack.map(|rack| ("rack".to_owned(), rack.to_string()));
        rack.into_iter().collect()
    };
    let (wanted, labels) = (racks(wish.rack), racks(node.rack));
    let needs = Needs {
        room: wish.needs,
        ports: wish.port.then_some(PORT).into_iter().collect(),
    };
    let company: Vec<Company> = wish
        .company
        .iter()
        .map(|(wants, racks)| Company {
            wants: *wants,
            path: "target.affinity.0".to_owned(),
            placement: "db".parse().expect("it reads as one"),
            label: Some("rack".to_owned()),
            at: racks.iter().map(ToString::to_string).collect(),
        })
        .collect();
    let objections: Vec<Objection> = node
        .cordoned
        .then(|| Objection {
            code: code::NODE_CORDONED,
            class: Class::Policy,
            text: "somebody wants nothing there".to_owned(),
        })
        .into_iter()
        .collect();
    let other = InstanceKey::new(name(at), "other".parse().expect("it reads as one"));
    let ports: BTreeMap<u16, InstanceKey> = node
        .port_taken
        .then(|| (PORT, other.clone()))
        .into_iter()
        .collect();
    let asked = Asked {
        service_type: &service_type,
        labels: &wanted,
        least: wish.least,
        company: &company,
        needs: &needs,
    };
    let facts = Facts {
        node: &name(at),
        has_type: node.has_type,
        labels: &labels,
        objections: &objections,
        account: Account {
            offers: node.offers,
            taken: node.taken,
            ports: &ports,
        },
        holder: node.name_held.then_some((&other, "web")),
    };
    then(&asked, &facts)
}

fn noes(wish: &Wish, nodes: &[Made]) -> Vec<Vec<No>> {
    let noes = nodes.iter().enumerate();
    noes.map(|(at, node)| with(wish, (at, node), evaluate))
        .collect()
}

/// By their sizes, and in the words of the noes.
fn smallest(wish: &Wish, nodes: &[Made]) -> Option<Change> {
    let sizes = nodes.iter().enumerate();
    let sized = sizes.filter_map(|(at, node)| Some((with(wish, (at, node), size)?, at)));
    let (_, at) = sized.min()?;
    let noes = with(wish, (at, &nodes[at]), evaluate);
    Some(Change::of(&name(at), &noes).expect("it has a size"))
}

fn amount(value: Option<&Value>) -> u64 {
    match value {
        Some(Value::Millicores(amount) | Value::Bytes(amount)) => *amount,
        Some(Value::Port(_) | Value::Text(_)) | None => 0,
    }
}

/// The wish with a fix applied.
fn fixed(wish: &Wish, fix: &Fix) -> Wish {
    let mut wish = wish.clone();
    let to = amount(fix.value.as_ref());
    match &*fix.path {
        "needs.cores" => wish.needs.millicores = to,
        "needs.memory" => wish.needs.memory_bytes = to,
        "needs.disk" => wish.needs.disk_bytes = to,
        "target.constraints.cores" => wish.least.millicores = to,
        "target.constraints.memory" => wish.least.memory_bytes = to,
        "target.constraints.disk" => wish.least.disk_bytes = to,
        "needs.ports.80" => wish.port = false,
        "target.affinity.0" => wish.company = None,
        "target.all.rack" => {
            wish.rack = match &fix.value {
                Some(Value::Text(rack)) => Some(rack.parse().expect("it reads as one")),
                Some(_) | None => None,
            }
        }
        path => panic!("no field {path}"),
    }
    wish
}

/// Every field that may be changed, left out altogether: more than that no change of it can do.
fn without(wish: &Wish, path: &str, rack: Option<u8>) -> Wish {
    let mut wish = fixed(
        wish,
        &Fix {
            path: path.to_owned().into(),
            value: None,
        },
    );
    if path == "target.all.rack" {
        wish.rack = rack;
    }
    wish
}

const FIELDS: [&str; 9] = [
    "needs.cores",
    "needs.memory",
    "needs.disk",
    "target.constraints.cores",
    "target.constraints.memory",
    "target.constraints.disk",
    "needs.ports.80",
    "target.affinity.0",
    "target.all.rack",
];

fn fits(wish: &Wish, nodes: &[Made]) -> bool {
    nodes.iter().any(|node| failing(wish, node).is_empty())
}

/// A smaller need still needs something.
fn needs_no_less(wish: &Wish, path: &str) -> Wish {
    let one = Fix {
        path: path.to_owned().into(),
        value: Some(Value::Bytes(1)),
    };
    fixed(wish, &one)
}

/// The smallest change there is, by trying every set of fields: as few as can be, needs as small as can be, others left out
/// altogether.
fn fewest_fields(wish: &Wish, nodes: &[Made]) -> Option<usize> {
    (0..1u32 << FIELDS.len())
        .filter(|set| {
            let left_out = |at: &usize| set & (1 << at) != 0;
            let changed = (0..FIELDS.len())
                .filter(left_out)
                .fold(wish.clone(), |wish, at| match FIELDS[at] {
                    path @ ("needs.cores" | "needs.memory" | "needs.disk") => {
                        needs_no_less(&wish, path)
                    }
                    path => without(&wish, path, None),
                });
            fits(&changed, nodes)
        })
        .map(|set| set.count_ones() as usize)
        .min()
}

/// How much of each amount a change takes off, as a share of what was asked.
fn taken_off(wish: &Wish, change: &Change) -> f64 {
    let share = |fix: &Fix| {
        let asked = match &*fix.path {
            "needs.cores" => wish.needs.millicores,
            "needs.memory" => wish.needs.memory_bytes,
            "needs.disk" => wish.needs.disk_bytes,
            "target.constraints.cores" => wish.least.millicores,
            "target.constraints.memory" => wish.least.memory_bytes,
            "target.constraints.disk" => wish.least.disk_bytes,
            _ => return 1.0,
        };
        (asked - amount(fix.value.as_ref())) as f64 / asked as f64
    };
    change.fixes.iter().map(share).sum()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    // proves: B8
    // acceptance: issue 5, line 8
    #[test]
    fn it_fits_exactly_where_nothing_fails_and_every_failing_condition_is_told_once(
        wish in wish(),
        nodes in prop::collection::vec(made(), 1..6),
    ) {
        for (at, node) in nodes.iter().enumerate() {
            let noes = with(&wish, (at, node), evaluate);
            let told: Vec<String> = noes.iter().map(|no| no.path.to_string()).collect();
            let unique: BTreeSet<String> = told.iter().cloned().collect();
            prop_assert_eq!(told.len(), unique.len(), "{:?}", told);
            prop_assert_eq!(unique, failing(&wish, node));
            for no in &noes {
                prop_assert!(code::ALL.iter().any(|(known, _)| *known == no.code));
                prop_assert!(!no.to_string().is_empty());
            }
            prop_assert_eq!(with(&wish, (at, node), fits_there), noes.is_empty());
            // A change has a size exactly where one helps.
            let helps = Change::of(&name(at), &noes).is_some();
            let whole = with(&wish, (at, node), size);
            prop_assert_eq!(whole.is_some(), helps);
            let room = (node.offers, node.taken);
            let is_number = |no: &&No| matches!(no.available, Some(Value::Millicores(_) | Value::Bytes(_)))
                || no.code == code::NODE_TOO_SMALL;
            let others = noes.iter().filter(|no| !is_number(no) && no.fix.is_some()).count();
            let least = with(&wish, (at, node), |asked, _| least_size(asked, room, others));
            if let Some(whole) = whole {
                prop_assert_eq!(least, Least::Size(whole));
            }
            prop_assert!(least == Least::Nothing || !noes.is_empty());
            // Nobody is told to ask for nothing.
            for fix in noes.iter().filter_map(|no| no.fix.as_ref()) {
                let asks = fix.value.as_ref();
                prop_assert!(asks.is_none() || amount(asks) > 0 || !fix.path.starts_with("needs"), "{fix}");
            }
        }
    }

    #[test]
    fn ranked_are_the_least_loaded_of_those_that_may_take_it_as_if_all_were_sorted(
        asked in room(3),
        nodes in prop::collection::vec((room(4), room(4), 0..3usize, 0..2usize, any::<bool>()), 1..24),
        most in 1..6usize,
    ) {
        let hint = |at: usize| {
            let (offers, taken, instances, ..) = nodes[at];
            Hint { offers, taken, instances }
        };
        let mut ranking = Ranking::new(asked, most);
        for (at, (.., first, may)) in nodes.iter().enumerate() {
            ranking.offer(*first, &hint(at), || may.then_some(at));
        }
        let mut all: Vec<usize> = (0..nodes.len()).filter(|at| nodes[*at].4).collect();
        all.sort_by_key(|at| (nodes[*at].3, hint(*at).load(&asked), *at));
        all.truncate(most);
        prop_assert_eq!(ranking.into_list(), all);
    }

    // proves: B8
    // acceptance: issue 5, line 8
    #[test]
    fn the_smallest_change_makes_it_fit_and_nothing_smaller_does(
        wish in wish(),
        nodes in prop::collection::vec(made(), 1..5),
    ) {
        let noes = noes(&wish, &nodes);
        prop_assume!(noes.iter().all(|noes| !noes.is_empty()));
        let change = smallest(&wish, &nodes);
        let fewest = fewest_fields(&wish, &nodes);
        let Some(change) = change else {
            prop_assert_eq!(fewest, None);
            return Ok(());
        };
        prop_assert_eq!(Some(change.fixes.len()), fewest);
        let changed = change.fixes.iter().fold(wish.clone(), |wish, fix| fixed(&wish, fix));
        prop_assert!(fits(&changed, &nodes), "{:?}", change);
        // A bit less of any of its amounts does not.
        for (at, fix) in change.fixes.iter().enumerate() {
            let Some(Value::Millicores(left) | Value::Bytes(left)) = fix.value else { continue };
            let mut less = change.fixes.clone();
            less[at].value = Some(Value::Bytes(left + 1));
            let changed = less.iter().fold(wish.clone(), |wish, fix| fixed(&wish, fix));
            let there = nodes
                .iter()
                .enumerate()
                .find(|(at, _)| name(*at) == change.node)
                .map(|(_, node)| failing(&changed, node));
            prop_assert!(there.is_some_and(|failing| !failing.is_empty()));
        }
        // Nor does as many fields with less taken off, anywhere.
        let off = taken_off(&wish, &change);
        for (at, noes) in noes.iter().enumerate() {
            let other = Change::of(&name(at), noes);
            let Some(other) = other.filter(|one| one.fixes.len() == change.fixes.len()) else { continue };
            let taken = taken_off(&wish, &other);
            prop_assert!(taken + 1e-5 >= off, "{}: {taken} against {off}", other.node);
        }
    }
}
