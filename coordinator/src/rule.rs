//! What a rule is: a name, what it watches, whom a change concerns, and a judgement over a transaction.
//!
//! A rule has no state of its own: everything it knows is in the graph. It runs in a savepoint; if it panics, what
//! it wrote is undone and it is parked for that subject alone.

use mainstay_protocol::code::Code;
use mainstay_protocol::{
    ArtifactId, CommandId, InstanceKey, NodeName, PlacementName, RunId, StepKey,
};
use mainstay_resource_graph::{
    Artifact, Asked, AskedId, Collected, CollectedId, CommandVertex, Instance, Key, Kind, NameKey,
    Node, Placement, ProcedureId, Record, Run, Step, Supervisor, Txn, Vertex, View,
};

use crate::env::Env;
use crate::procedure::{self, Procedure};
use crate::rules;

/// What came of judging a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// This rule has nothing to say here.
    Nothing,
    /// It wrote something. Recorded.
    Did { code: Code, text: String },
    /// It would act but must not. Recorded when it begins to stand, not while it stands.
    Declined { code: Code, text: String },
}

impl Verdict {
    pub fn did(code: Code, text: impl Into<String>) -> Self {
        Self::Did {
            code,
            text: text.into(),
        }
    }

    pub fn declined(code: Code, text: impl Into<String>) -> Self {
        Self::Declined {
            code,
            text: text.into(),
        }
    }
}

/// A typed subject: one kind of vertex.
pub trait Subject: Sized {
    fn from_key(key: &Key) -> Option<Self>;
    fn key(&self) -> Key;
}

macro_rules! subjects {
    ($($name:ty = $variant:ident;)*) => {$(
        impl Subject for $name {
            fn from_key(key: &Key) -> Option<Self> {
                match key {
                    Key::$variant(inner) => Some(inner.clone()),
                    _ => None,
                }
            }

            fn key(&self) -> Key {
                Key::$variant(self.clone())
            }
        }
    )*};
}

subjects! {
    InstanceKey = Instance;
    NodeName = Node;
    PlacementName = Placement;
    NameKey = Name;
    CommandId = Command;
    AskedId = Asked;
    CollectedId = Collected;
    ProcedureId = Procedure;
    RunId = Run;
    StepKey = Step;
    ArtifactId = Artifact;
}

/// The one vertex of the cluster as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TheCluster;

impl Subject for TheCluster {
    fn from_key(key: &Key) -> Option<Self> {
        (*key == Key::Cluster).then_some(Self)
    }

    fn key(&self) -> Key {
        Key::Cluster
    }
}

/// The supervisor of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SupervisorOf(pub NodeName);

impl Subject for SupervisorOf {
    fn from_key(key: &Key) -> Option<Self> {
        match key {
            Key::Supervisor(node) => Some(Self(node.clone())),
            _ => None,
        }
    }

    fn key(&self) -> Key {
        Key::Supervisor(self.0.clone())
    }
}

/// Which vertices, in which state, a rule wants to be asked about.
#[derive(Debug, Clone, Copy)]
pub struct Watch {
    pub kind: Kind,
    test: Test,
}

#[derive(Debug, Clone, Copy)]
enum Test {
    Instance(fn(&Instance) -> bool),
    Node(fn(&Node) -> bool),
    Placement(fn(&Placement) -> bool),
    Command(fn(&CommandVertex) -> bool),
    Asked(fn(&Asked) -> bool),
    Collected(fn(&Collected) -> bool),
    Supervisor(fn(&Supervisor) -> bool),
    Run(fn(&Run) -> bool),
    Step(fn(&Step) -> bool),
    Artifact(fn(&Artifact) -> bool),
    Every,
}

impl Watch {
    pub fn instances(test: fn(&Instance) -> bool) -> Self {
        Self {
            kind: Kind::Instance,
            test: Test::Instance(test),
        }
    }

    pub fn nodes(test: fn(&Node) -> bool) -> Self {
        Self {
            kind: Kind::Node,
            test: Test::Node(test),
        }
    }

    pub fn placements(test: fn(&Placement) -> bool) -> Self {
        Self {
            kind: Kind::Placement,
            test: Test::Placement(test),
        }
    }

    pub fn commands(test: fn(&CommandVertex) -> bool) -> Self {
        Self {
            kind: Kind::Command,
            test: Test::Command(test),
        }
    }

    /// What instances ask.
    pub fn asked(test: fn(&Asked) -> bool) -> Self {
        Self {
            kind: Kind::Asked,
            test: Test::Asked(test),
        }
    }

    /// The records of collectors.
    pub fn collected(test: fn(&Collected) -> bool) -> Self {
        Self {
            kind: Kind::Collected,
            test: Test::Collected(test),
        }
    }

    pub fn supervisors(test: fn(&Supervisor) -> bool) -> Self {
        Self {
            kind: Kind::Supervisor,
            test: Test::Supervisor(test),
        }
    }

    pub fn runs(test: fn(&Run) -> bool) -> Self {
        Self {
            kind: Kind::Run,
            test: Test::Run(test),
        }
    }

    /// The steps of runs.
    pub fn steps(test: fn(&Step) -> bool) -> Self {
        Self {
            kind: Kind::Step,
            test: Test::Step(test),
        }
    }

    pub fn artifacts(test: fn(&Artifact) -> bool) -> Self {
        Self {
            kind: Kind::Artifact,
            test: Test::Artifact(test),
        }
    }

    pub fn cluster() -> Self {
        Self::every(Kind::Cluster)
    }

    pub(crate) fn every(kind: Kind) -> Self {
        Self {
            kind,
            test: Test::Every,
        }
    }

    /// All of its kind, whatever their state.
    pub(crate) fn widened(self) -> Self {
        Self::every(self.kind)
    }

    pub fn matches(&self, record: &Record) -> bool {
        match (&self.test, &record.vertex) {
            (Test::Instance(test), Vertex::Instance(instance)) => test(instance),
            (Test::Node(test), Vertex::Node(node)) => test(node),
            (Test::Placement(test), Vertex::Placement(placement)) => test(placement),
            (Test::Command(test), Vertex::Command(command)) => test(command),
            (Test::Asked(test), Vertex::Asked(asked)) => test(asked),
            (Test::Collected(test), Vertex::Collected(record)) => test(record),
            (Test::Supervisor(test), Vertex::Supervisor(known)) => test(known),
            (Test::Run(test), Vertex::Run(run)) => test(run),
            (Test::Step(test), Vertex::Step(step)) => test(step),
            (Test::Artifact(test), Vertex::Artifact(artifact)) => test(artifact),
            (Test::Every, vertex) => vertex.kind() == self.kind,
            (
                Test::Instance(_)
                | Test::Node(_)
                | Test::Placement(_)
                | Test::Command(_)
                | Test::Asked(_)
                | Test::Collected(_)
                | Test::Supervisor(_)
                | Test::Run(_)
                | Test::Step(_)
                | Test::Artifact(_),
                _,
            ) => false,
        }
    }
}

/// A rule. Everything is an associated function: a rule cannot remember.
pub trait Rule {
    const NAME: &'static str;
    /// What it does, in a sentence for people.
    const ABOUT: &'static str = "";
    /// What goes wrong without it, where something does: then only who means it switches it off.
    const SAFETY: Option<&'static str> = None;
    type Subject: Subject;

    /// A settled subject matches no watch, so it costs nothing.
    fn watches() -> Watch;

    /// Subjects that a change *elsewhere* concerns (a name became free, a node came back).
    fn subjects_of(changed: &Key, view: &dyn View) -> Vec<Self::Subject> {
        let _ = (changed, view);
        Vec::new()
    }

    fn judge(subject: Self::Subject, txn: &mut Txn<'_>, env: &Env) -> Verdict;
}

/// A rule without its type, as converge runs it.
#[derive(Clone, Copy)]
pub struct RuleEntry {
    pub name: &'static str,
    pub about: &'static str,
    pub safety: Option<&'static str>,
    pub watch: fn() -> Watch,
    pub subjects_of: fn(&Key, &dyn View) -> Vec<Key>,
    pub judge: fn(&Key, &mut Txn<'_>, &Env) -> Verdict,
    /// Linked in by a user, behind those that come with the system.
    pub users: bool,
}

impl RuleEntry {
    pub fn of<R: Rule>() -> Self {
        Self {
            name: R::NAME,
            about: R::ABOUT,
            safety: R::SAFETY,
            watch: R::watches,
            subjects_of: |changed, view| {
                R::subjects_of(changed, view)
                    .iter()
                    .map(Subject::key)
                    .collect()
            },
            judge: |key, txn, env| match R::Subject::from_key(key) {
                Some(subject) => R::judge(subject, txn, env),
                None => Verdict::Nothing,
            },
            users: false,
        }
    }
}

/// The rules of a station, in their fixed order.
#[derive(Clone)]
pub struct Rules {
    entries: Vec<RuleEntry>,
    /// Why the users' rules are not run in this life of the station.
    suspended: Option<String>,
}

impl Rules {
    /// For tests of one rule.
    pub(crate) fn none() -> Self {
        Self {
            entries: Vec::new(),
            suspended: None,
        }
    }

    pub fn shipped() -> Self {
        Self {
            entries: crate::rules::shipped(),
            suspended: None,
        }
    }

    /// Adds a user's rule behind the shipped ones. A rule of the same name replaces the earlier one.
    #[must_use]
    pub fn with<R: Rule>(self) -> Self {
        self.with_entry(RuleEntry::of::<R>())
    }

    /// The same for a user's procedure.
    #[must_use]
    pub fn with_procedure<P: Procedure>(self) -> Self {
        self.with_entry(procedure::entry::<P>())
    }

    fn with_entry(mut self, new: RuleEntry) -> Self {
        self.entries.retain(|entry| entry.name != new.name);
        // What ends abandoned procedures looks when their own rule has had its turn.
        let last = rules::procedure_over::ProcedureOver::NAME;
        let at = self.entries.iter().position(|entry| entry.name == last);
        let at = at.unwrap_or(self.entries.len());
        self.entries.insert(at, RuleEntry { users: true, ..new });
        self
    }

    /// The users' rules are not run from now on.
    #[must_use]
    pub fn suspend_users(mut self, why: impl Into<String>) -> Self {
        self.suspended = Some(why.into());
        self
    }

    pub fn suspended(&self) -> Option<&str> {
        self.suspended.as_deref()
    }

    pub fn is_suspended(&self, rule: &RuleEntry) -> bool {
        rule.users && self.suspended.is_some()
    }

    pub fn entries(&self) -> &[RuleEntry] {
        &self.entries
    }

    pub fn find(&self, name: &str) -> Option<&RuleEntry> {
        self.entries.iter().find(|entry| entry.name == name)
    }
}

impl std::fmt::Debug for Rules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.entries.iter().map(|entry| entry.name))
            .finish()
    }
}
