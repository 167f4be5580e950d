//! What only the cluster can tell: types, nodes and placements that a wish names, configurations, circles.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_coordinator::{PlacementWish, lease, unfit};
use mainstay_protocol::words::nearest;
use mainstay_protocol::{InstanceKey, PlacementName};
use mainstay_resource_graph::{Kind, Settings, Standing, Target, View, ViewExt, traverse};

use super::read::{Placed, Wishes, flaw};
use crate::shapes::Path;
use crate::types::{PlanMode, WishFlaw};

pub fn judge(view: &dyn View, wishes: &Wishes<'_>, mode: PlanMode, flaws: &mut Vec<WishFlaw>) {
    for placed in &wishes.placements {
        match mode {
            PlanMode::Apply | PlanMode::Prune => {
                Judge {
                    view,
                    wishes,
                    mode,
                    placed,
                    flaws,
                }
                .all();
            }
            PlanMode::Delete => nobody_stands_on(view, wishes, placed, flaws),
        }
    }
}

struct Judge<'a> {
    view: &'a dyn View,
    wishes: &'a Wishes<'a>,
    mode: PlanMode,
    placed: &'a Placed<'a>,
    flaws: &'a mut Vec<WishFlaw>,
}

fn top(name: &str) -> Path {
    Path::default().field(name)
}

impl Judge<'_> {
    fn all(&mut self) {
        self.alone();
        self.service_type();
        self.existing();
        self.target();
        self.singleton();
        self.company();
        self.dependencies();
    }

    fn wish(&self) -> &PlacementWish {
        &self.placed.wish
    }

    fn tell(&mut self, path: Path, why: impl Into<String>, nearest: Vec<String>) {
        let number = self.placed.number;
        self.flaws.push(flaw(number, path, why.into(), nearest));
    }

    /// What is wrong with it whatever the cluster has.
    fn alone(&mut self) {
        for found in unfit::all(self.wish()) {
            self.tell(super::read::path(found.path), found.why, Vec::new());
        }
    }

    fn service_type(&mut self) {
        let name = self.wish().service_type.clone();
        let Some(found) = self.view.service_type(&name) else {
            let near = near(self.view, Kind::Type, name.as_str());
            return self.tell(
                top("type"),
                format!("no node has the type \"{name}\""),
                near,
            );
        };
        let declaration = found.declaration;
        if let (Some(asked), Some(fixed)) = (&self.wish().holds, &declaration.holds) {
            let why = format!("the type {name} has the one name {fixed}: leave out {asked}");
            self.tell(top("holds"), why, Vec::new());
        }
        let config = self.wish().config.clone();
        for (path, why, near) in super::read::config_flaws(&declaration, &config) {
            self.tell(path, why, near);
        }
        for (path, why, near) in super::read::secret_flaws(self.view, &config) {
            self.tell(path, why, near);
        }
    }

    /// Type and name are what a placement is; other ones would be another placement.
    fn existing(&mut self) {
        let wish = self.wish().clone();
        let Some(have) = self.view.placement(&wish.name) else {
            return;
        };
        if have.standing == Standing::Leaving {
            let why = format!(
                "{} is being deleted; it can be made anew when it is gone",
                wish.name
            );
            self.tell(top("name"), why, Vec::new());
        }
        if have.service_type != wish.service_type {
            let why = format!(
                "{} is of type {}, which cannot be changed: delete it first",
                wish.name, have.service_type
            );
            self.tell(top("type"), why, Vec::new());
        }
        if have.holds != wish.holds {
            let held = have
                .holds
                .as_ref()
                .map_or("its own name", |slot| slot.as_str());
            let why = format!(
                "{} holds {held}, which cannot be changed: delete it first",
                wish.name
            );
            self.tell(top("holds"), why, Vec::new());
        }
        if have.wish.singleton.is_some() != wish.singleton.is_some() {
            let is = match have.wish.singleton {
                Some(_) => "a singleton",
                None => "no singleton",
            };
            let why = format!(
                "{} is {is}, which cannot be changed: delete it first",
                wish.name
            );
            self.tell(top("singleton"), why, Vec::new());
        }
    }

    /// As they shall be.
    fn settings(&self) -> Settings {
        let wished = self.wishes.settings.as_ref();
        let now = || self.view.cluster().map(|cluster| cluster.settings);
        wished
            .map(|wish| wish.settings.clone())
            .or_else(now)
            .unwrap_or(Settings::LAN)
    }

    fn singleton(&mut self) {
        let wish = self.wish();
        let declared = self.view.service_type(&wish.service_type);
        let (Some(singleton), Some(declared)) = (wish.singleton, declared) else {
            return;
        };
        if let Err(refusal) = lease::sensible(
            &singleton,
            &wish.target,
            &declared.declaration,
            &self.settings(),
        ) {
            self.tell(top("singleton"), refusal.text, Vec::new());
        }
    }

    fn target(&mut self) {
        let Target::Nodes(nodes) = self.wish().target.clone() else {
            return;
        };
        for node in nodes {
            let key = InstanceKey::new(node.clone(), self.wish().name.clone());
            let (why, near) = match (self.view.node(&node), self.view.cordon_against(&key)) {
                (None, _) => {
                    let near = near(self.view, Kind::Node, node.as_str());
                    (format!("the node \"{node}\" is not known"), near)
                }
                (Some(_), Some(cordon)) => {
                    let why = format!("{node} takes no new instances, {}", cordon.said);
                    (why, Vec::new())
                }
                (Some(_), None) => continue,
            };
            let index = self.index_of(&["target", "nodes"], None, node.as_str());
            let path = top("target").field("nodes").index(index);
            self.tell(path, why, near);
        }
    }

    /// Who it is to be beside, or apart from.
    fn company(&mut self) {
        let Some(count) = self.wish().target.count().cloned() else {
            return;
        };
        let fields = ["affinity", "anti_affinity"].into_iter();
        for (field, others) in fields.zip([&count.affinity, &count.anti_affinity]) {
            for (index, other) in others.iter().enumerate() {
                let path = top("target").field(field).index(index).field("placement");
                let name = &other.placement;
                if let Some((why, near)) = self.no_such_placement(name) {
                    self.tell(path, why, near);
                } else if field == "affinity"
                    && let Some(why) = self.never_beside(name)
                {
                    self.tell(path, why, Vec::new());
                }
            }
        }
        let near = |target: &Target| -> Vec<PlacementName> {
            let count = target.count();
            let others = count.into_iter().flat_map(|count| &count.affinity);
            others.map(|other| other.placement.clone()).collect()
        };
        let below = |name: &PlacementName| match self.wishes.placed(name) {
            Some(wish) => near(&wish.target),
            None => self
                .view
                .placement(name)
                .map(|placement| near(&placement.wish.target))
                .unwrap_or_default(),
        };
        if let Some(circle) = circle(below, &self.wish().name).filter(|circle| circle.len() > 2) {
            let why = format!(
                "they would wait for one another, and none could be the first: {}",
                in_a_row(&circle)
            );
            self.tell(top("target").field("affinity"), why, Vec::new());
        }
    }

    /// Nothing can be placed beside it.
    fn never_beside(&self, name: &PlacementName) -> Option<String> {
        if *name == self.wish().name {
            let why = "a placement cannot wait for itself; to keep its instances together, use all";
            return Some(why.to_owned());
        }
        if self.wishes.placed(name).is_some() {
            return None;
        }
        match self.view.placement(name)?.standing {
            Standing::Leaving => Some(format!("{name} is being deleted")),
            Standing::Wanted if self.mode == PlanMode::Prune => Some(format!(
                "{name} is not in the files, and would be deleted by --prune"
            )),
            Standing::Wanted => None,
        }
    }

    /// Neither wished for nor there.
    fn no_such_placement(&self, name: &PlacementName) -> Option<(String, Vec<String>)> {
        if self.wishes.placed(name).is_some() || self.view.placement(name).is_some() {
            return None;
        }
        let known = self.wishes.placements.iter();
        let mut names: Vec<String> = known.map(|placed| placed.wish.name.to_string()).collect();
        names.extend(self.view.names(Kind::Placement));
        let near = nearest(name.as_str(), names.iter().map(String::as_str));
        let why = format!("the placement \"{name}\" is neither in the files nor in the cluster");
        Some((why, near))
    }

    fn dependencies(&mut self) {
        let names: Vec<PlacementName> = self.wish().depends_on.keys().cloned().collect();
        for on in names {
            let index = self.index_of(&["depends_on"], Some("placement"), on.as_str());
            let path = top("depends_on").index(index).field("placement");
            let there = self.view.placement(&on);
            if self.wishes.placed(&on).is_some() {
                continue;
            }
            if let Some((why, near)) = self.no_such_placement(&on) {
                self.tell(path, why, near);
                continue;
            }
            match there {
                Some(found) if found.standing == Standing::Leaving => {
                    self.tell(path, format!("{on} is being deleted"), Vec::new());
                }
                Some(_) if self.mode == PlanMode::Prune => {
                    let why = format!("{on} is not in the files, and would be deleted by --prune");
                    self.tell(path, why, Vec::new());
                }
                Some(_) | None => {}
            }
        }
        let below = |name: &PlacementName| match self.wishes.placed(name) {
            Some(wish) => wish.depends_on.keys().cloned().collect(),
            None => self
                .view
                .placement(name)
                .map(|placement| placement.wish.depends_on.into_keys().collect())
                .unwrap_or_default(),
        };
        if let Some(circle) = circle(below, &self.wish().name) {
            let why = format!("it would depend on itself: {}", in_a_row(&circle));
            self.tell(top("depends_on"), why, Vec::new());
        }
    }

    /// Where in the list as it was written something stands: the typed form is sorted.
    fn index_of(&self, path: &[&str], field: Option<&str>, text: &str) -> usize {
        let spec = &self.placed.body.spec;
        let list = path.iter().try_fold(spec, |value, name| value.get(name));
        let is = |item: &serde_json::Value| {
            let item = field.map_or(Some(item), |field| item.get(field));
            item.and_then(serde_json::Value::as_str) == Some(text)
        };
        list.and_then(serde_json::Value::as_array)
            .and_then(|items| items.iter().position(is))
            .unwrap_or(0)
    }
}

/// What would stand on nothing is deleted with it, or keeps it.
fn nobody_stands_on(
    view: &dyn View,
    wishes: &Wishes<'_>,
    placed: &Placed<'_>,
    flaws: &mut Vec<WishFlaw>,
) {
    let name = &placed.wish.name;
    let standing: Vec<String> = traverse::standing_on(view, name)
        .into_iter()
        .filter(|other| wishes.placed(other).is_none())
        .map(|other| other.to_string())
        .collect();
    if !standing.is_empty() {
        let why = format!(
            "{} depends on {name} and would be left without it",
            standing.join(", ")
        );
        flaws.push(flaw(placed.number, top("name"), why, Vec::new()));
    }
}

fn in_a_row(names: &[PlacementName]) -> String {
    let names: Vec<&str> = names.iter().map(PlacementName::as_str).collect();
    names.join(" -> ")
}

/// A way from a placement back to itself, over what is `below` each.
fn circle(
    below: impl Fn(&PlacementName) -> Vec<PlacementName>,
    start: &PlacementName,
) -> Option<Vec<PlacementName>> {
    let mut came_from: BTreeMap<PlacementName, PlacementName> = BTreeMap::new();
    let mut open = vec![start.clone()];
    let mut seen = BTreeSet::new();
    while let Some(at) = open.pop() {
        for next in below(&at) {
            if next == *start {
                let mut circle = vec![start.clone()];
                let mut back = at.clone();
                while back != *start {
                    circle.push(back.clone());
                    back = came_from.get(&back)?.clone();
                }
                circle.push(start.clone());
                circle.reverse();
                return Some(circle);
            }
            if seen.insert(next.clone()) {
                came_from.insert(next.clone(), at.clone());
                open.push(next);
            }
        }
    }
    None
}

fn near(view: &dyn View, kind: Kind, wrong: &str) -> Vec<String> {
    let names = view.names(kind);
    nearest(wrong, names.iter().map(String::as_str))
}
