//! What a node says of its supervisor, and what it sees of other nodes and of their instances.

use mainstay_protocol::sight::{InstanceSight, Sight};
use mainstay_protocol::{Incarnation, InstanceKey, NodeName};
use mainstay_resource_graph::{
    Instance, Key, Seen, SeenFrom, Supervisor, SupervisorState, Txn, Vertex, ViewExt,
};

use crate::env::Env;
use crate::guarding;
use crate::verb;
use crate::watching;

pub(super) fn supervisor(txn: &mut Txn<'_>, node: &NodeName, incarnation: u64, watches: u32) {
    let vertex = Supervisor {
        state: SupervisorState::Running,
        incarnation,
        watches,
        seen: txn
            .supervisor(node)
            .map(|before| before.seen)
            .unwrap_or_default(),
    };
    txn.put(Key::Supervisor(node.clone()), Vertex::Supervisor(vertex))
        .expect("a supervisor has no transitions");
}

/// Who does not guard it any more has said it too late.
pub(super) fn guard_saw(
    txn: &mut Txn<'_>,
    guard: &NodeName,
    guarded: &NodeName,
    sight: Sight,
    env: &Env,
) {
    if !guarding::guards_of(txn, guarded).contains(guard) {
        return;
    }
    let key = Key::Supervisor(guarded.clone());
    if let Some(mut known) = txn.supervisor(guarded) {
        let seen = Seen { sight, at: env.now };
        known.seen.insert(guard.clone(), seen);
        txn.put(key, Vertex::Supervisor(known))
            .expect("a supervisor has no transitions");
    }
}

/// Who does not watch it any more, or saw another incarnation of it, has said it too late; so has who saw it before its own
/// node was away.
pub(super) fn watcher_saw(
    txn: &mut Txn<'_>,
    watcher: &NodeName,
    (key, incarnation): (&InstanceKey, Incarnation),
    sight: InstanceSight,
    env: &Env,
) {
    let instance = txn.instance(key);
    let is_meant = |one: &Instance| one.incarnation == incarnation && one.state.is_up();
    let Some(instance) = instance.filter(is_meant) else {
        return;
    };
    let before = instance.seen_from.get(watcher).map(|seen| seen.sight);
    if before == Some(sight) || !watching::watchers_of(txn, key).contains(watcher) {
        return;
    }
    let seen = SeenFrom { sight, at: env.now };
    verb::change(txn, key, |instance| {
        instance.seen_from.insert(watcher.clone(), seen);
    });
}
