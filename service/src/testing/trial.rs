//! One activity, tried with everything that may become of its calls, each in a world of its own. What must hold: it comes to the
//! same end, with the same effects, as it does undisturbed.
//!
//! ```text
//!   undisturbed:  call -------------> answer                                  effects, and the end
//!   an error:     (nothing is done)   call again, attempt 2 ---> answer       the same?
//!   lost:         call -> (answer)    call again, attempt 2 ---> answer       the same?
//!   twice:        call -> (answer)    the same call ----------> answer        the same?
//!   a crash:      call -> (answer)    another instance, attempt 2 -> answer   the same?
//!   a crash amid: call -X             another instance, attempt 2 -> answer   the same?
//! ```
//! Amid is each place at which the processor waits, one after the other, and each [`Call::point`](crate::Call::point).

use std::fmt::Debug;
use std::future::pending;
use std::thread;
use std::time::Duration;

use mainstay_protocol::CommandId;
use mainstay_protocol::work::{Work, WorkAnswer};
use serde_json::Value;

use super::TestService;
use crate::hosting::Breakage;
use crate::processor::Processed;
use crate::service::Service;

/// A course with more calls does not come to its end.
const CALLS_MAX: u32 = 100;
/// Of one call; what waits more often does not say where it could be broken off.
const WAITS_MAX: usize = 200;
/// Between two calls of one course, however long the processor asks for.
const PAUSE_MAX: Duration = Duration::from_millis(20);

/// What is tried.
///
/// ```
/// use std::sync::{Arc, Mutex};
/// use mainstay_service::testing::{TestService, Trial};
/// use mainstay_service::{Call, Processed, Processor, json};
///
/// /// An outside system, which knows what it was asked before.
/// #[derive(Clone, Default)]
/// struct Bank(Arc<Mutex<Vec<String>>>);
///
/// struct Charge(Bank);
///
/// impl Processor for Charge {
///     async fn process(&self, call: Call) -> Processed {
///         let key = call.idempotency_key();
///         let mut charged = self.0.0.lock().unwrap();
///         if !charged.contains(&key) {
///             charged.push(key);
///         }
///         Processed::complete(json!({ "charged": true }))
///     }
/// }
///
/// Trial::of("shop.example.com", "charge", json!({ "amount": 5 })).holds(
///     Bank::default,
///     |bank| TestService::doing(Charge(bank.clone())),
///     |bank| bank.0.lock().unwrap().clone(),
/// );
/// ```
#[derive(Debug, Clone)]
pub struct Trial {
    provider: String,
    activity: String,
    inputs: Value,
    discriminator: Option<String>,
    answers_differ: bool,
}

/// What a call has beside that it is done.
#[derive(Debug, Clone, Copy)]
enum Disturbed {
    Error,
    Lost,
    Twice,
    CrashAfter,
    /// At this wait, from 0.
    CrashAmid(usize),
}

impl Disturbed {
    fn is_crash(self) -> bool {
        match self {
            Self::CrashAfter | Self::CrashAmid(_) => true,
            Self::Error | Self::Lost | Self::Twice => false,
        }
    }
}

/// One course, from its first call to its end.
struct Course {
    end: Result<Processed, String>,
    calls: u32,
    /// What disturbed it; none: nothing did.
    by: Option<String>,
}

impl Trial {
    /// An activity as the first call of a run would have it.
    pub fn of(provider: &str, activity: &str, inputs: Value) -> Self {
        Self {
            provider: provider.to_owned(),
            activity: activity.to_owned(),
            inputs,
            discriminator: None,
            answers_differ: false,
        }
    }

    #[must_use]
    pub fn discriminator(mut self, discriminator: &str) -> Self {
        self.discriminator = Some(discriminator.to_owned());
        self
    }

    /// What it leaves behind may be another each time, as long as it ends in the same way: times of day, for example.
    #[must_use]
    pub fn answers_may_differ(mut self) -> Self {
        self.answers_differ = true;
        self
    }

    /// Fails the test with everything that is not as it is undisturbed. `world` makes all that is outside of the processor,
    /// a new one for each course; `instance` one that does the activity in it, another one after a crash; `effects` says what
    /// was done in it, once for each time that it was done.
    #[track_caller]
    pub fn holds<W, S: Service, E: PartialEq + Debug>(
        &self,
        world: impl Fn() -> W,
        instance: impl Fn(&W) -> TestService<S>,
        effects: impl Fn(&W) -> E,
    ) {
        let found = self.findings(world, instance, effects);
        assert!(
            found.is_empty(),
            "{} of {} cannot be called again without harm:\n  {}",
            self.activity,
            self.provider,
            found.join("\n  ")
        );
    }

    /// The same, for whoever wants to look at them: what is not as it is undisturbed, a line for each.
    pub fn findings<W, S: Service, E: PartialEq + Debug>(
        &self,
        world: impl Fn() -> W,
        instance: impl Fn(&W) -> TestService<S>,
        effects: impl Fn(&W) -> E,
    ) -> Vec<String> {
        let tried = |disturbed: Option<(u32, Disturbed)>| {
            let world = world();
            let course = self.course(disturbed, || instance(&world));
            let effects = effects(&world);
            (course, effects)
        };
        let (undisturbed, wanted) = tried(None);
        let end = match undisturbed.end {
            Ok(end) => end,
            Err(why) => return vec![format!("undisturbed it does not come to an end: {why}")],
        };
        let mut found = Vec::new();
        let mut judge = |(course, seen): (Course, E)| {
            let Some(by) = course.by else { return false };
            found.extend(self.differs(&by, &end, course.end));
            if seen != wanted {
                found.push(format!(
                    "{by}: its effects were {wanted:?}, and are {seen:?}"
                ));
            }
            true
        };
        for call in 1..=undisturbed.calls {
            for disturbed in [
                Disturbed::Error,
                Disturbed::Lost,
                Disturbed::Twice,
                Disturbed::CrashAfter,
            ] {
                judge(tried(Some((call, disturbed))));
            }
            // Until it is done before that wait.
            let mut waits = (0..WAITS_MAX).map(|wait| (call, Disturbed::CrashAmid(wait)));
            waits.all(|amid| judge(tried(Some(amid))));
        }
        found
    }

    fn differs(
        &self,
        by: &str,
        wanted: &Processed,
        end: Result<Processed, String>,
    ) -> Option<String> {
        match end {
            Err(why) => Some(format!("{by}: it does not come to an end: {why}")),
            Ok(end) if self.answers_differ && end.name() == wanted.name() => None,
            Ok(end) if end == *wanted => None,
            Ok(end) => Some(format!("{by}: its answer was {wanted:?}, and is {end:?}")),
        }
    }

    /// As the coordinator would: until it is complete, waits, or has failed for good.
    fn course<S: Service>(
        &self,
        disturbed: Option<(u32, Disturbed)>,
        instance: impl Fn() -> TestService<S>,
    ) -> Course {
        let mut doing = instance();
        let mut work = doing.work((&self.provider, &self.activity), &self.inputs);
        work.discriminator.clone_from(&self.discriminator);
        let mut by = None;
        for call in 1..=CALLS_MAX {
            work.call = call;
            let disturbed = disturbed.filter(|(at, _)| *at == call);
            let answer = match disturbed {
                None => doing.call_of(&work, None).ok(),
                Some((_, disturbed)) => {
                    let (answer, what) = doing.disturbed(&work, disturbed);
                    by = what;
                    answer
                }
            };
            let Some(answer) = answer else {
                // Nobody knows what came of it: another attempt, with what the last one that was heard of had left.
                if disturbed.is_some_and(|(_, disturbed)| disturbed.is_crash()) {
                    doing.crashes();
                    doing = instance();
                }
                work.attempt += 1;
                continue;
            };
            let (pause, scratch) = match answer.clone().into_answer() {
                WorkAnswer::Schedule { after, scratch } => (after, scratch),
                WorkAnswer::Retry { after, scratch, .. } => {
                    work.attempt += 1;
                    (after.unwrap_or_default(), scratch)
                }
                WorkAnswer::Complete { .. } | WorkAnswer::Wait | WorkAnswer::Fatal { .. } => {
                    doing.stop();
                    return Course {
                        end: Ok(answer),
                        calls: call,
                        by,
                    };
                }
            };
            work.scratch = scratch.of(&work.scratch);
            // What is asked again and again may need some time of its own.
            // tidy: waits because the processor asked for it
            thread::sleep(pause.min(PAUSE_MAX));
        }
        doing.stop();
        Course {
            end: Err(format!("{CALLS_MAX} calls were not enough")),
            calls: CALLS_MAX,
            by,
        }
    }
}

impl<S: Service> TestService<S> {
    /// The error: it was broken off, and where.
    fn call_of(&self, work: &Work, amid: Option<usize>) -> Result<Processed, String> {
        self.breaks.next(amid);
        let token = CommandId(u64::from(work.call));
        self.wait("what came of it", async {
            tokio::select! {
                said = self.hosted.work(token, work.clone(), pending()) => Ok(
                    said.map_or_else(|| Processed::retry("its instance ended"), Processed::said)
                ),
                at = self.breaks.broken() => Err(at),
            }
        })
    }

    /// What is heard of it, if anything; and what disturbed it, if that came about.
    fn disturbed(&self, work: &Work, disturbed: Disturbed) -> (Option<Processed>, Option<String>) {
        let (said, what) = match disturbed {
            Disturbed::Error => (None, "an error before it".to_owned()),
            Disturbed::Lost | Disturbed::CrashAfter => {
                // Whatever it was.
                let _ = self.call_of(work, None);
                let is_crash = matches!(disturbed, Disturbed::CrashAfter);
                let what = if is_crash {
                    "a crash when it was done"
                } else {
                    "what came of it was lost"
                };
                (None, what.to_owned())
            }
            Disturbed::Twice => {
                let _ = self.call_of(work, None);
                (
                    self.call_of(work, None).ok(),
                    "it was called twice".to_owned(),
                )
            }
            Disturbed::CrashAmid(wait) => match self.call_of(work, Some(wait)) {
                Ok(said) => return (Some(said), None),
                Err(at) => (None, format!("a crash {at}")),
            },
        };
        (said, Some(format!("in call {}, {what}", work.call)))
    }

    /// As a crash would.
    fn crashes(self) {
        // It may have ended by itself.
        if self.hosted.break_it(Breakage::Kill).is_ok() {
            self.ended();
        }
    }
}
