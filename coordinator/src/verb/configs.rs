//! The configurations of instances: which is wanted, which is confirmed, and which nobody names any more.

use std::collections::BTreeSet;
use std::time::Duration;

use mainstay_protocol::command::{Order, Reconfigure};
use mainstay_protocol::{InstanceKey, NodeName, PlacementName};
use mainstay_resource_graph::{
    ConfigHash, InPlace, Instance, Key, Kind, Relation, Txn, View, ViewExt,
};

use super::{change, command};
use crate::env::Env;

/// The configuration to start with, as canonical JSON: the one it shall have by now, else the one it ran with, since
/// a change reaches instances one after the other.
pub(super) fn wanted_config(
    txn: &Txn<'_>,
    key: &InstanceKey,
    instance: &Instance,
) -> (Option<ConfigHash>, String) {
    let by_placement = txn
        .placement(&key.placement)
        .map(|placement| placement.wish.config_on(&key.node).clone());
    let candidates = [
        instance.wanted.clone(),
        instance.ran_with.clone(),
        by_placement,
    ];
    candidates
        .into_iter()
        .flatten()
        .find_map(|hash| {
            let json = txn.configuration(&Key::Configuration(hash.clone()))?;
            Some((Some(hash), json))
        })
        .unwrap_or_else(|| (None, "{}".to_owned()))
}

/// Whether some instance last ran with what its node was to have.
pub fn some_ran_with<'c>(
    txn: &Txn<'_>,
    name: &PlacementName,
    config_on: impl Fn(&NodeName) -> &'c ConfigHash,
) -> bool {
    txn.instances_of(name).iter().any(|key| {
        let instance = txn.instance(key);
        instance.is_some_and(|found| found.ran_with.as_ref() == Some(config_on(&key.node)))
    })
}

/// It shall run with this configuration; nothing is wanted any more where it does already.
pub fn want_config(txn: &mut Txn<'_>, key: &InstanceKey, hash: &ConfigHash) {
    let Some(instance) = txn.instance(key) else {
        return;
    };
    let settled = instance.given.as_ref() == Some(hash) && instance.ran_with.as_ref() == Some(hash);
    let subject = Key::Instance(key.clone());
    if settled {
        txn.unlink_all(&subject, Relation::Wants);
    } else {
        txn.relink(subject, Relation::Wants, Key::Configuration(hash.clone()))
            .expect("a placement's configurations exist");
    }
    change(txn, key, |instance| {
        let wanted = (!settled).then(|| hash.clone());
        // An open question stays: its answer says what the instance runs with.
        if instance.wanted != wanted && !matches!(instance.in_place, Some(InPlace::Asked { .. })) {
            instance.in_place = None;
        }
        instance.wanted = wanted;
    });
}

/// It runs with what it was last told: that wish is fulfilled, unless another came meanwhile.
pub fn confirm_config(txn: &mut Txn<'_>, key: &InstanceKey) {
    let Some(instance) = txn.instance(key) else {
        return;
    };
    let fulfilled = instance.wanted == instance.given;
    if fulfilled {
        txn.unlink_all(&Key::Instance(key.clone()), Relation::Wants);
    }
    change(txn, key, |instance| {
        instance.ran_with = instance.given.clone();
        if fulfilled {
            instance.wanted = None;
        }
    });
}

/// Removes those of these configurations that nothing names any more.
pub fn forget_configs(txn: &mut Txn<'_>, configs: BTreeSet<ConfigHash>) {
    let mut unused = configs;
    for key in txn.keys(Kind::Placement) {
        if unused.is_empty() {
            return;
        }
        if let Key::Placement(name) = &key
            && let Some(placement) = txn.placement(name)
        {
            for config in placement.configs() {
                unused.remove(config);
            }
        }
    }
    for config in unused {
        let key = Key::Configuration(config);
        let used = [Relation::Configured, Relation::Wants]
            .into_iter()
            .any(|relation| !txn.edges_to(&key, relation).is_empty());
        if !used {
            txn.remove(&key);
        }
    }
}

/// Asks what runs to go on with the configuration that is wanted. False: it is not to be had any more.
pub fn ask_in_place(txn: &mut Txn<'_>, key: &InstanceKey, wanted: &ConfigHash, env: &Env) -> bool {
    let instance = txn.instance(key).expect("the caller read it");
    let Some(config) = txn.configuration(&Key::Configuration(wanted.clone())) else {
        return false;
    };
    let deadline_ms = txn
        .service_type(&instance.service_type)
        .map_or(30_000, |found| found.declaration.start_deadline_ms);
    let until = env.now + Duration::from_millis(deadline_ms) + env.settings.answer_margin();
    change(txn, key, |instance| {
        instance.given = Some(wanted.clone());
        instance.in_place = Some(InPlace::Asked { until });
    });
    let change = Reconfigure {
        instance: key.clone(),
        incarnation: instance.incarnation,
        config,
        deadline_ms,
    };
    command(txn, key, Order::Reconfigure(change), env);
    true
}
