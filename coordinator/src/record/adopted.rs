//! What has started, and what was found running and is taken in: its node tells what it is.

use std::collections::BTreeMap;

use mainstay_protocol::InstanceKey;
use mainstay_protocol::health::{Evidence, FailureKind, ProcessIdentity};
use mainstay_protocol::report::{CommandOutcome, Presence, Report};
use mainstay_resource_graph::{FailureCause, Instance, InstanceState, Txn, ViewExt};

use super::report::{runs_with, start_failed};
use super::session::running_again;
use super::word;
use crate::config;
use crate::env::Env;
use crate::verb;

/// What no command of this graph started is told as it is: with what it was given, and how it was at its last Check.
pub(super) fn told(
    txn: &mut Txn<'_>,
    key: &InstanceKey,
    instance: &Instance,
    report: &Report,
    env: &Env,
) {
    let Report::Adopted {
        service_type,
        version,
        given,
        config,
        process,
        ports,
        health,
        uses,
        ..
    } = report
    else {
        return;
    };
    if *service_type != instance.service_type {
        let text = format!(
            "what runs under its name is of type {service_type}, and {} is wanted",
            instance.service_type
        );
        let cause = FailureCause::Failed(FailureKind::Reported);
        verb::fail(txn, key, cause, Evidence::text(text), Presence::Living, env);
        return;
    }
    let given = config::canonical(given).ok().map(|(hash, _)| hash);
    verb::change(txn, key, |instance| instance.given = given);
    let instance = txn.instance(key).expect("the caller read it");
    started(txn, key, &instance, version, config, (process, ports), env);
    if let Some(wanted) = &instance.wanted {
        verb::want_config(txn, key, wanted);
    }
    for used in uses {
        word::goes_on_using(txn, key, used);
    }
    verb::change(txn, key, |instance| {
        if instance.state == InstanceState::Running {
            running_again(instance, *health, env);
        }
    });
}

/// Adopted is among the reports before this; what had ended until the question came is not to be had.
pub(super) fn answered(
    txn: &mut Txn<'_>,
    key: &InstanceKey,
    instance: &Instance,
    outcome: &CommandOutcome,
    env: &Env,
) {
    let open = matches!(
        instance.state,
        // Its session may have ended before the answer.
        InstanceState::Starting | InstanceState::Unknown { .. } | InstanceState::Lost { .. }
    );
    if *outcome != CommandOutcome::Done && open {
        let cause = FailureCause::Failed(FailureKind::Vanished);
        let evidence = Evidence::text("it ended before it was taken in");
        start_failed(txn, key, instance, cause, evidence, env);
    }
}

/// It runs, with this configuration, as these processes, listening on these ports.
pub(super) fn started(
    txn: &mut Txn<'_>,
    key: &InstanceKey,
    instance: &Instance,
    version: &str,
    config: &str,
    (process, ports): (&[ProcessIdentity], &BTreeMap<String, u16>),
    env: &Env,
) {
    if !instance.state.awaits_started() {
        return;
    }
    runs_with(txn, key, instance, config);
    verb::change(txn, key, |instance| {
        instance.state = InstanceState::Running;
        instance.reason = None;
        instance.version = Some(version.to_owned());
        instance.process = process.to_vec();
        instance.ports.clone_from(ports);
        instance.deadline = None;
        instance.refusals.clear();
        instance.started = Some(env.now);
    });
}
