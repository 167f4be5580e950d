//! Wishes: all that a placement asks for and that a new generation may change, and the wishes that came before.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use mainstay_protocol::code::{Code, Reason};
use mainstay_protocol::report::RestartWhen;
use mainstay_protocol::room::{Needs, Room};
use mainstay_protocol::{
    Generation, GroupName, NodeName, PlacementName, Revision, SlotName, Timestamp, TypeName, limits,
};
use serde::{Deserialize, Serialize};

use crate::key::ConfigHash;
use crate::node::Maintenance;
use crate::policy::Settings;

/// The wish for instances of one type. What never changes stands here; the rest is in `wish`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    pub service_type: TypeName,
    /// Generic types only.
    pub holds: Option<SlotName>,
    pub wish: Wish,
    /// The number of this wish: raised by every change, named by whoever changes it next.
    pub generation: Generation,
    /// Who made this wish, and when.
    pub made: Made,
    pub standing: Standing,
    /// A changed configuration that has not reached all instances yet.
    pub rollout: Option<Rollout>,
    /// Of so many: how many found no node when that was last looked at.
    pub short: u32,
    /// Of so many: nodes that take none for a while: they had no room, or one failed there too often.
    pub refused_by: BTreeMap<NodeName, NodeRefusal>,
    /// Instances that somebody moves, by the node that they leave.
    pub moves: BTreeMap<NodeName, Move>,
    /// Whatever becomes of its instances, it is left as it is.
    pub maintenance: Option<Maintenance>,
    /// The wishes before this one, oldest first, bounded.
    pub history: Vec<Past>,
    /// The revision that created it.
    pub created: Revision,
    /// Of so many: nodes that took none when they were asked. Until then all others are asked before them.
    pub asked_last: BTreeMap<NodeName, Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    pub target: Target,
    pub config: ConfigHash,
    /// Nodes on which another configuration is wanted: a change tried on some nodes first.
    pub on_nodes: BTreeMap<NodeName, ConfigHash>,
    pub policy: RestartPolicy,
    pub depends_on: BTreeMap<PlacementName, DependsUntil>,
    pub update: Update,
    /// When one fails that is in the same group on the same node, it restarts with it.
    pub restart_group: Option<GroupName>,
    /// At most one runs in the whole cluster, whatever becomes of its node.
    pub singleton: Option<Singleton>,
    /// What each instance takes of its node.
    pub needs: Needs,
    /// So many must serve whatever anybody wants done: drains, removals and updates keep it.
    pub minimum: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Singleton {
    /// For so long it may go on without being heard.
    pub lease_ms: u64,
    /// Out of sight it is believed to be gone only when its machine was off, however long its lease has been over.
    pub fenced: bool,
}

/// Where a placement wants its instances.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target {
    Nodes(BTreeSet<NodeName>),
    /// Every node that has these labels, also those that come later.
    All(BTreeMap<String, String>),
    /// So many, wherever they can be.
    Count(Count),
}

/// So many instances, each on a node of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    pub count: u32,
    /// Nodes with these labels may have one.
    pub on: BTreeMap<String, String>,
    /// The label over whose values they are spread.
    pub spread: Option<String>,
    /// Nodes that offer so much, whatever is taken of it.
    pub least: Room,
    /// Only where an instance of these is.
    pub affinity: Vec<Beside>,
    /// Only where none of these is.
    pub anti_affinity: Vec<Beside>,
}

/// Where the instances of another placement are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beside {
    pub placement: PlacementName,
    /// Nodes with one value of it are one place; without, each node is one.
    pub label: Option<String>,
}

/// "db", "db by rack".
impl fmt::Display for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.label {
            Some(label) => write!(f, "{} by {label}", self.placement),
            None => write!(f, "{}", self.placement),
        }
    }
}

impl Count {
    pub fn of(count: u32) -> Self {
        Self {
            count,
            ..Self::default()
        }
    }
}

impl Target {
    pub fn count(&self) -> Option<&Count> {
        match self {
            Self::Count(count) => Some(count),
            Self::Nodes(_) | Self::All(_) => None,
        }
    }

    /// Whether this node may be meant, whatever its labels.
    pub fn may_include(&self, node: &NodeName) -> bool {
        match self {
            Self::Nodes(nodes) => nodes.contains(node),
            Self::All(_) | Self::Count(_) => true,
        }
    }

    /// Whether a node with these labels is meant, or may be.
    pub fn includes(&self, node: &NodeName, labels: &BTreeMap<String, String>) -> bool {
        match self {
            Self::Nodes(nodes) => nodes.contains(node),
            Self::All(wanted) | Self::Count(Count { on: wanted, .. }) => wanted
                .iter()
                .all(|(label, value)| labels.get(label) == Some(value)),
        }
    }
}

/// "n1, n2", "all nodes", "all nodes with role=web", "3 nodes with role=web, spread over rack", "3 nodes, of 8 cores at
/// least, beside db, apart from web by rack".
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nodes(nodes) => {
                let nodes: Vec<&str> = nodes.iter().map(NodeName::as_str).collect();
                f.write_str(&nodes.join(", "))
            }
            Self::All(labels) => {
                f.write_str("all nodes")?;
                with_labels(labels, f)
            }
            Self::Count(wanted) => {
                let nodes = if wanted.count == 1 { "node" } else { "nodes" };
                write!(f, "{} {nodes}", wanted.count)?;
                with_labels(&wanted.on, f)?;
                if let Some(label) = &wanted.spread {
                    write!(f, ", spread over {label}")?;
                }
                if wanted.least != Room::NONE {
                    write!(f, ", of {} at least", wanted.least)?;
                }
                for other in &wanted.affinity {
                    write!(f, ", beside {other}")?;
                }
                for other in &wanted.anti_affinity {
                    write!(f, ", apart from {other}")?;
                }
                Ok(())
            }
        }
    }
}

fn with_labels(labels: &BTreeMap<String, String>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let labels: Vec<String> = labels
        .iter()
        .map(|(label, value)| format!("{label}={value}"))
        .collect();
    match labels.is_empty() {
        true => Ok(()),
        false => write!(f, " with {}", labels.join(", ")),
    }
}

/// What a placement says about restarts; what it leaves out, its type and the cluster's settings say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartPolicy {
    pub restart: Option<RestartWhen>,
    pub attempts: Option<u32>,
    pub window_ms: Option<u64>,
    pub backoff_max_ms: Option<u64>,
    /// On a node that lives and is cut off, it is given up after so long; else it is left alone.
    pub replace_isolated_ms: Option<u64>,
    /// What follows when its attempts are used up.
    pub escalate: Escalate,
    /// So many other nodes Check it as well, at most as many as guard a node.
    pub watched_from: u32,
}

/// What becomes of an instance that failed too often.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Escalate {
    /// It rests where it is, for somebody to look at.
    #[default]
    Quarantine,
    /// One of so many is made on another node, if one takes it.
    Move,
}

impl Escalate {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Quarantine => "quarantine",
            Self::Move => "move",
        }
    }
}

/// Everything the restart rules measure an instance against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestartBudget {
    pub restart: RestartWhen,
    pub attempts: u32,
    pub window_ms: u64,
    pub backoff_first_ms: u64,
    pub backoff_max_ms: u64,
}

impl RestartPolicy {
    /// With what the type and the settings say where this says nothing.
    pub fn over(&self, by_type: RestartWhen, settings: &Settings) -> RestartBudget {
        let backoff_max_ms = self.backoff_max_ms.unwrap_or(settings.backoff_max_ms);
        RestartBudget {
            restart: self.restart.unwrap_or(by_type),
            attempts: self.attempts.unwrap_or(settings.restart_attempts),
            window_ms: self.window_ms.unwrap_or(settings.restart_window_ms),
            backoff_first_ms: settings.backoff_first_ms.min(backoff_max_ms),
            backoff_max_ms,
        }
    }
}

/// How far a dependency must be before what stands on it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DependsUntil {
    /// All its instances run, and their Checks say ok.
    Healthy,
    /// All its instances have answered their start, in whatever health.
    Started,
}

impl DependsUntil {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Started => "started",
        }
    }
}

/// How a changed configuration reaches the instances.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Update {
    pub strategy: Strategy,
    /// Whether a change that makes an instance fail is taken back everywhere.
    pub rollback: bool,
    /// So long an instance must be healthy before the next is changed.
    pub wait_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Strategy {
    All,
    /// So many at once, the next when those are healthy.
    Rolling {
        at_once: u32,
    },
    /// One, and when it is healthy the rest.
    Canary,
}

/// The careful one: a bad change stops at the first instance.
impl Default for Update {
    fn default() -> Self {
        Self {
            strategy: Strategy::Rolling { at_once: 1 },
            rollback: true,
            wait_ms: limits::UPDATE_WAIT_MS,
        }
    }
}

/// Who made a wish, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    pub at: Timestamp,
    /// `operator reconfigure`, `rule reconfigure_rollback`.
    pub by: String,
}

/// Whether a placement is here to stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    Wanted,
    /// Its deletion was asked for: its instances end, then it is removed.
    Leaving,
}

/// Why a node takes none for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRefusal {
    pub code: Code,
    pub said: String,
    /// When it may be asked again.
    pub until: Timestamp,
}

/// An instance that leaves a node once another serves in its place; the only one leaves before the other begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    pub to: NodeName,
    /// Who asked for it.
    pub by: String,
    /// If the other does not serve by then, it stays where it is.
    pub until: Timestamp,
    /// Until then the other has to be healthy, from when it first was.
    pub settles: Option<Timestamp>,
}

/// A changed configuration on its way to the instances.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollout {
    /// What it goes back to if it is no good; none where that is where it goes already.
    pub back: Option<Back>,
    /// When instances were last told.
    pub told: Timestamp,
    /// When it is to be looked at again, if nothing happens before.
    pub wake: Option<Timestamp>,
    /// It stopped at this; no further instance is told until the wish changes.
    pub halted: Option<Reason>,
}

/// The configurations of an earlier wish.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Back {
    pub generation: Generation,
    pub config: ConfigHash,
    pub on_nodes: BTreeMap<NodeName, ConfigHash>,
    /// There may be no room for what the change asked for beside.
    pub needs: Needs,
}

impl Back {
    pub fn config_on(&self, node: &NodeName) -> &ConfigHash {
        self.on_nodes.get(node).unwrap_or(&self.config)
    }

    fn is_what(&self, wish: &Wish) -> bool {
        self.config == wish.config && self.on_nodes == wish.on_nodes
    }
}

/// A wish that is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    pub generation: Generation,
    pub wish: Wish,
    pub made: Made,
    /// Why it was dropped, where it did not just give way to the next.
    pub dropped: Option<Reason>,
    /// It ran, and nothing of it was under way any more, before the next came.
    pub proven: bool,
}

impl Made {
    pub fn new(at: Timestamp, by: impl Into<String>) -> Self {
        Self { at, by: by.into() }
    }
}

impl Wish {
    pub fn new(target: Target, config: ConfigHash) -> Self {
        Self {
            target,
            config,
            on_nodes: BTreeMap::new(),
            policy: RestartPolicy::default(),
            depends_on: BTreeMap::new(),
            update: Update::default(),
            restart_group: None,
            singleton: None,
            needs: Needs::default(),
            minimum: 0,
        }
    }

    /// The configuration wanted on a node.
    pub fn config_on(&self, node: &NodeName) -> &ConfigHash {
        self.on_nodes.get(node).unwrap_or(&self.config)
    }

    /// Every configuration it names.
    pub fn configs(&self) -> impl Iterator<Item = &ConfigHash> {
        std::iter::once(&self.config).chain(self.on_nodes.values())
    }
}

impl Placement {
    /// Generation 1, here to stay.
    pub fn new(service_type: TypeName, wish: Wish, made: Made, created: Revision) -> Self {
        Self {
            service_type,
            holds: None,
            wish,
            generation: Generation(1),
            made,
            standing: Standing::Wanted,
            rollout: None,
            short: 0,
            refused_by: BTreeMap::new(),
            moves: BTreeMap::new(),
            maintenance: None,
            history: Vec::new(),
            created,
            asked_last: BTreeMap::new(),
        }
    }

    /// The next generation: this wish goes to the history. Gives back the wish that is forgotten for it. Another
    /// configuration has to reach the instances from now on; what it goes back to if need be is the last one that did.
    /// `ran`: some instance has run with the wish that goes.
    pub fn change(
        &mut self,
        wish: Wish,
        made: Made,
        dropped: Option<Reason>,
        ran: bool,
    ) -> Option<Past> {
        // Another wish says where they are to be, and what was said no to is another question.
        if self.wish.target != wish.target {
            self.moves.clear();
        }
        if self.wish.target != wish.target || self.wish.needs != wish.needs {
            self.refused_by.clear();
            self.asked_last.clear();
        }
        if wish.target.count().is_none() {
            self.short = 0;
        }
        let proven = ran && self.rollout.is_none() && dropped.is_none();
        let same = self.wish.config == wish.config && self.wish.on_nodes == wish.on_nodes;
        if !same {
            // Under way and with nothing to go back to is what goes back itself: that is as good as it gets.
            let under_way = self.rollout.take().and_then(|rollout| rollout.back);
            let back = under_way.or_else(|| {
                Some(Back {
                    generation: self.generation,
                    config: self.wish.config.clone(),
                    on_nodes: self.wish.on_nodes.clone(),
                    needs: self.wish.needs.clone(),
                })
            });
            self.rollout = Some(Rollout {
                back: back.filter(|back| !back.is_what(&wish)),
                told: made.at,
                wake: None,
                halted: None,
            });
        }
        let past = Past {
            generation: self.generation,
            wish: std::mem::replace(&mut self.wish, wish),
            made: std::mem::replace(&mut self.made, made),
            dropped,
            proven,
        };
        self.generation = self.generation.next();
        self.history.push(past);
        (self.history.len() > limits::PLACEMENT_HISTORY_MAX).then(|| self.history.remove(0))
    }

    /// The times at which it is to be looked at again, if nothing happens before.
    pub fn deadlines(&self) -> Vec<Timestamp> {
        let wake = self.rollout.as_ref().and_then(|rollout| rollout.wake);
        let maintained = self.maintenance.as_ref().and_then(|on| on.until);
        let refused = self.refused_by.values().map(|refusal| refusal.until);
        let moves = self.moves.values();
        let moved = moves.flat_map(|one| [Some(one.until), one.settles].into_iter().flatten());
        let times = wake.into_iter().chain(maintained).chain(refused);
        let asked_last = self.asked_last.values().copied();
        times.chain(asked_last).chain(moved).collect()
    }

    /// A node that refused may be asked again when its time has come, but after those that have not been asked: else the same
    /// few, which look the emptiest and take nothing, would be asked for ever.
    pub fn forget_refusals(&mut self, now: Timestamp) {
        self.asked_last.retain(|_, until| *until > now);
        let is_over = |_: &NodeName, refusal: &mut NodeRefusal| refusal.until <= now;
        let over: Vec<_> = self.refused_by.extract_if(.., is_over).collect();
        for (node, refusal) in over {
            self.ask_last(node, refusal.until);
        }
    }

    /// The node refused until then, and is asked after others for a while.
    pub fn ask_last(&mut self, node: NodeName, since: Timestamp) {
        let until = since + Duration::from_millis(limits::NODES_ASKED_LAST_MS);
        self.asked_last.insert(node, until);
        if self.asked_last.len() > limits::NODES_ASKED_LAST_MAX {
            let oldest = self.asked_last.iter().min_by_key(|(_, until)| **until);
            let oldest = oldest.map(|(node, _)| node.clone());
            oldest.map(|node| self.asked_last.remove(&node));
        }
    }

    /// Somebody moves an instance to this node: from there.
    pub fn moves_to(&self, node: &NodeName) -> Option<&NodeName> {
        let mut moves = self.moves.iter();
        moves.find_map(|(from, one)| (one.to == *node).then_some(from))
    }

    /// Every configuration that it or its history names.
    pub fn configs(&self) -> impl Iterator<Item = &ConfigHash> {
        let past = self.history.iter().flat_map(|past| past.wish.configs());
        let back = self
            .rollout
            .iter()
            .flat_map(|rollout| &rollout.back)
            .flat_map(|back| std::iter::once(&back.config).chain(back.on_nodes.values()));
        self.wish.configs().chain(past).chain(back)
    }
}
