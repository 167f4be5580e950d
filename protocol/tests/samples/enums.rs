//! Enums without fields: all variants in order. The lists are complete, or this does not compile.

use std::fmt::Debug;

use mainstay_protocol::codec;
use mainstay_protocol::command::{StopManner, StopWhy};
use mainstay_protocol::health::{FailureKind, Health, RefusedStart};
use mainstay_protocol::report::{Ending, LiveState, Presence, RestartWhen};
use mainstay_protocol::request::ChaosAct;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Sample;

macro_rules! plain {
    ($samples:ident, $name:literal, $type:ident: $($variant:ident),*) => {
        // No `_` arm: a new variant must be listed.
        let _complete = |value: $type| match value { $($type::$variant => (),)* };
        $samples.push(sample($name, vec![$($type::$variant),*]));
    };
}

pub fn samples() -> Vec<Sample> {
    let mut samples = Vec::new();
    plain!(samples, "enum-health", Health: Unknown, Ok, Degraded, Failed, Unresponsive);
    plain!(samples, "enum-failure-kind", FailureKind:
        Panic, Reported, Vanished, AgentEnded, Killed, Exit, Signal, OutOfMemory,
        AgentStopped, LeaseRanOut);
    plain!(samples, "enum-refused-start", RefusedStart:
        Config, NotNow, Deadline, Panic, NoSuchType, NotHere);
    plain!(samples, "enum-presence", Presence: Gone, Living);
    plain!(samples, "enum-ending", Ending: ByItself, Asked, Killed);
    plain!(samples, "enum-live-state", LiveState: Starting, Running, Stopping);
    plain!(samples, "enum-restart-when", RestartWhen: Always, OnFailure, Never);
    plain!(samples, "enum-stop-why", StopWhy:
        NotWanted, Restart, Failed, Unresponsive, StartDeadline, Reconfigure);
    plain!(samples, "enum-stop-manner", StopManner: AskThenKill, Kill);
    plain!(samples, "enum-chaos-act", ChaosAct: Kill, Panic, Hang, Stop);
    samples
}

pub fn sample<T>(name: &str, values: Vec<T>) -> Sample
where
    T: Serialize + DeserializeOwned + PartialEq + Debug + 'static,
{
    Sample {
        name: name.to_owned(),
        bytes: codec::encode(&values),
        again: Box::new(move |bytes| {
            let decoded: Vec<T> = codec::decode(bytes, 1024).unwrap();
            assert_eq!(decoded, values);
            codec::encode(&decoded)
        }),
    }
}
