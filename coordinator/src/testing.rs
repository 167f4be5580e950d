//! For tests of rules: one instance, judged by one rule, without a cluster around it.

use mainstay_protocol::{
    Epoch, Incarnation, InstanceKey, Leadership, NodeName, PlacementName, Revision, SlotName, Term,
    Timestamp, TypeName,
};
use mainstay_resource_graph::{
    Cause, Graph, Instance, InstanceState, Key, Settings, Vertex, View, ViewExt,
};

use crate::env::Env;
use crate::rule::{Rule, Verdict};

/// An instance of a type `test` in this state, in its first incarnation and wanted running.
pub fn instance(state: InstanceState) -> Instance {
    let service_type = TypeName::new("test").expect("a name");
    let name = SlotName::new("test").expect("a name");
    Instance {
        state,
        ..Instance::wanted(service_type, name, Incarnation::default().next())
    }
}

/// What the rule says of `test@n1`, and what it makes of it. What it does not watch it is not asked about.
pub fn judged<R: Rule<Subject = InstanceKey>>(instance: Instance) -> (Verdict, Instance) {
    let node = NodeName::new("n1").expect("a name");
    let subject = InstanceKey::new(node, PlacementName::new("test").expect("a name"));
    let key = Key::Instance(subject.clone());
    let now = Timestamp(1_000_000);
    let graph = Graph::default();
    let mut txn = graph.begin(now, Cause::Rule(R::NAME.to_owned()));
    txn.put(key.clone(), Vertex::Instance(instance))
        .expect("a new vertex may be in any state");
    let record = txn.record(&key).expect("it was put");
    let leadership = Leadership {
        epoch: Epoch(1),
        term: Term(1),
    };
    let env = Env::new(now, leadership, Settings::DEV, Revision(1));
    let verdict = match R::watches().matches(&record) {
        true => R::judge(subject.clone(), &mut txn, &env),
        false => Verdict::Nothing,
    };
    let after = txn.instance(&subject).expect("a rule removes no instance");
    (verdict, after)
}
