//! Faults of calls, made on purpose: what becomes of a processor whose calls fail, are lost or come twice.

use std::fmt;
use std::future::{Future, pending};
use std::hash::{DefaultHasher, Hash, Hasher};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::outcome::Failure;
use crate::processor::{Call, Processed};

/// How likely each is, 0 to 1 and together no more than 1: a call has one at most. The dice are the call's own, so that a
/// station that sends it again changes nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Faults {
    /// The attempt fails, and nothing of it is done.
    #[serde(skip_serializing_if = "is_never")]
    pub error: f64,
    /// It is done, and what came of it is lost: for all that anybody knows, the attempt has failed.
    #[serde(skip_serializing_if = "is_never")]
    pub lost: f64,
    /// It is done twice, one after the other, and the second answer counts.
    #[serde(skip_serializing_if = "is_never")]
    pub repeat: f64,
    /// Its instance fails.
    #[serde(skip_serializing_if = "is_default")]
    pub crash: Crashes,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Crashes {
    /// Before the call is begun.
    #[serde(skip_serializing_if = "is_never")]
    pub before: f64,
    /// When it is done, before anybody hears of it.
    #[serde(skip_serializing_if = "is_never")]
    pub after: f64,
}

fn is_never(chance: &f64) -> bool {
    *chance == 0.0
}

fn is_default(crash: &Crashes) -> bool {
    *crash == Crashes::default()
}

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Error,
    Lost,
    Repeat,
    CrashBefore,
    CrashAfter,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "an error, and nothing was done",
            Self::Lost => "it was done, and what came of it was lost",
            Self::Repeat => "it was done twice",
            Self::CrashBefore => "a crash before it was begun",
            Self::CrashAfter => "a crash when it was done",
        })
    }
}

impl Faults {
    fn chances(&self) -> [(Fault, &'static str, f64); 5] {
        [
            (Fault::Error, "error", self.error),
            (Fault::Lost, "lost", self.lost),
            (Fault::Repeat, "repeat", self.repeat),
            (Fault::CrashBefore, "crash.before", self.crash.before),
            (Fault::CrashAfter, "crash.after", self.crash.after),
        ]
    }

    /// What is wrong with them, with the field.
    pub fn check(&self) -> Result<(), String> {
        for (_, name, chance) in self.chances() {
            if !(0.0..=1.0).contains(&chance) {
                return Err(format!(
                    "{name}: {chance} is no likelihood, which is 0 to 1"
                ));
            }
        }
        let sum: f64 = self.chances().iter().map(|(_, _, chance)| chance).sum();
        // A sum of tenths is not always exact.
        if sum > 1.0 + 1e-9 {
            return Err(format!(
                "together they are {sum}, and a call has one of them at most: 1 is all calls"
            ));
        }
        Ok(())
    }

    /// What this call has, the same however often it is asked.
    pub fn of(&self, call: &Call) -> Option<Fault> {
        let mut hasher = DefaultHasher::new();
        (call.idempotency_key(), call.attempt(), call.token().0).hash(&mut hasher);
        // As many bits as a float takes exactly.
        let dice = (hasher.finish() >> 11) as f64 / (1u64 << 53) as f64;
        let mut below = 0.0;
        self.chances().into_iter().find_map(|(fault, _, chance)| {
            below += chance;
            (dice < below).then_some(fault)
        })
    }

    /// Does a call as `processor` would, with the fault that it has. `processor` is asked as often as the call is done.
    pub async fn around<F>(&self, call: Call, processor: impl Fn(Call) -> F) -> Processed
    where
        F: Future<Output = Processed>,
    {
        let Some(fault) = self.of(&call) else {
            return processor(call).await;
        };
        let (key, attempt) = (call.idempotency_key(), call.attempt());
        tracing::warn!(parent: call.ctx().span(), key, attempt, "injected: {fault}");
        match fault {
            Fault::Error => {}
            Fault::CrashBefore => return crash(&call, fault).await,
            Fault::Lost => drop(processor(call).await),
            Fault::Repeat => {
                drop(processor(call.clone()).await);
                return processor(call).await;
            }
            Fault::CrashAfter => {
                drop(processor(call.clone()).await);
                return crash(&call, fault).await;
            }
        }
        Processed::retry(format!("injected: {fault}"))
    }
}

/// The end of its instance answers for it.
async fn crash(call: &Call, fault: Fault) -> Processed {
    call.ctx().fail(Failure::new(format!("injected: {fault}")));
    pending().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_likelihood_is_refused_with_its_field() {
        let of = |json: &str| serde_json::from_str::<Faults>(json).expect("it can be read");
        for (json, wanted) in [
            (r#"{"error":1.5}"#, "error: 1.5 is no likelihood"),
            (r#"{"crash":{"after":-1}}"#, "crash.after: -1 is no"),
            (r#"{"lost":0.6,"repeat":0.6}"#, "together they are 1.2"),
        ] {
            let why = of(json).check().expect_err(json);
            assert!(why.contains(wanted), "{why}");
        }
        for fine in [
            "{}",
            r#"{"error":1}"#,
            r#"{"error":0.1,"lost":0.2,"repeat":0.3,"crash":{"before":0.3,"after":0.1}}"#,
        ] {
            of(fine).check().expect(fine);
        }
        assert!(serde_json::from_str::<Faults>(r#"{"crash":{"amid":1}}"#).is_err());
    }
}
