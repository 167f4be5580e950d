//! For tests of rules: one instance, judged by one rule or over the steps of one procedure, without a cluster around it.

use std::time::Duration;

use mainstay_protocol::{
    Epoch, Incarnation, InstanceKey, Leadership, NodeName, PlacementName, Revision, SlotName, Term,
    Timestamp, TypeName,
};
use mainstay_resource_graph::{
    Cause, Graph, Instance, InstanceState, Key, Settings, Vertex, View, ViewExt,
};

use crate::converge::converge;
use crate::entry::Decision;
use crate::env::Env;
use crate::procedure::{self, Procedure};
use crate::rule::{Rule, Rules, Verdict};

/// An instance of a type `test` in this state, in its first incarnation and wanted running.
pub fn instance(state: InstanceState) -> Instance {
    let service_type = TypeName::new("test").expect("a name");
    let name = SlotName::new("test").expect("a name");
    Instance {
        state,
        ..Instance::wanted(service_type, name, Incarnation::default().next())
    }
}

fn subject() -> InstanceKey {
    let node = NodeName::new("n1").expect("a name");
    InstanceKey::new(node, PlacementName::new("test").expect("a name"))
}

fn env(now: Timestamp, revision: Revision) -> Env {
    let leadership = Leadership {
        epoch: Epoch(1),
        term: Term(1),
    };
    Env::new(now, leadership, Settings::DEV, revision)
}

/// What the rule says of `test@n1`, and what it makes of it. What it does not watch it is not asked about.
pub fn judged<R: Rule<Subject = InstanceKey>>(instance: Instance) -> (Verdict, Instance) {
    let subject = subject();
    let key = Key::Instance(subject.clone());
    let now = Timestamp(1_000_000);
    let graph = Graph::default();
    let mut txn = graph.begin(now, Cause::Rule(R::NAME.to_owned()));
    txn.put(key.clone(), Vertex::Instance(instance))
        .expect("a new vertex may be in any state");
    let record = txn.record(&key).expect("it was put");
    let env = env(now, Revision(1));
    let verdict = match R::watches().matches(&record) {
        true => R::judge(subject.clone(), &mut txn, &env),
        false => Verdict::Nothing,
    };
    let after = txn.instance(&subject).expect("a rule removes no instance");
    (verdict, after)
}

/// A procedure on `test@n1`, with a clock that goes only when it is told to.
pub struct Course {
    graph: Graph,
    rules: Rules,
    rule: &'static str,
    now: Timestamp,
    decisions: Vec<Decision>,
}

impl Course {
    /// The instance is there, and the procedure begins if it watches that.
    pub fn of<P: Procedure<Subject = InstanceKey>>(instance: Instance) -> Self {
        let mut course = Self {
            graph: Graph::default(),
            rules: Rules::none().with_procedure::<P>(),
            rule: P::NAME,
            now: Timestamp(1_000_000),
            decisions: Vec::new(),
        };
        course.run(|txn| {
            txn.put(Key::Instance(subject()), Vertex::Instance(instance))
                .expect("a new vertex may be in any state");
        });
        course
    }

    /// Something happens to the instance.
    pub fn changes(&mut self, change: impl FnOnce(&mut Instance)) {
        self.run(|txn| {
            txn.update_instance(&subject(), change)
                .expect("a step that an instance can take");
        });
    }

    /// Time goes by.
    pub fn wait(&mut self, span: Duration) {
        self.now = self.now + span;
        self.run(|_| {});
    }

    pub fn instance(&self) -> Instance {
        self.graph
            .instance(&subject())
            .expect("a rule removes no instance")
    }

    /// What it waits for; none where it is not under way.
    pub fn waits_for(&self) -> Option<String> {
        let id = procedure::id_of(self.rule, &Key::Instance(subject()));
        let found = self.graph.procedure(&id)?;
        found.deadline.is_some().then_some(found.text)
    }

    pub fn decisions(&self) -> &[Decision] {
        &self.decisions
    }

    fn run(&mut self, change: impl FnOnce(&mut mainstay_resource_graph::Txn<'_>)) {
        let mut txn = self.graph.begin(self.now, Cause::Start);
        change(&mut txn);
        let mut dirty: std::collections::BTreeSet<Key> = txn.dirty_keys().into_iter().collect();
        dirty.extend(self.graph.due(self.now));
        let env = env(self.now, self.graph.revision().next());
        let done = converge(&mut txn, &self.rules, dirty, &env);
        let delta = txn.finish();
        self.decisions.extend(done.decisions);
        self.graph.apply(&delta);
    }
}
