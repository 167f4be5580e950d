//! Trials: processors that can be called again without harm, and those that cannot, told apart.
#![allow(clippy::unwrap_used, reason = "the failing line is the explanation")]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mainstay_service::testing::{TestService, Trial};
use mainstay_service::{Call, Processed, Processor, json};

/// What is outside: an account of what was done, and what it knows of whom.
#[derive(Clone, Default)]
struct Outside(Arc<Mutex<Account>>);

#[derive(Default)]
struct Account {
    done: Vec<String>,
    known: BTreeSet<String>,
}

impl Outside {
    /// Each time, whoever asks.
    fn does(&self, what: &str) {
        let mut account = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        account.done.push(what.to_owned());
    }

    /// Once for a key.
    fn does_once(&self, what: &str, key: &str) {
        let is_new = {
            let mut account = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            account.known.insert(format!("{what} {key}"))
        };
        if is_new {
            self.does(what);
        }
    }

    fn done(&self) -> Vec<String> {
        let account = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        account.done.clone()
    }
}

/// What a trial of it finds.
fn finds<P: Processor>(processor: impl Fn(Outside) -> P) -> Vec<String> {
    trial().findings(
        Outside::default,
        |outside| TestService::doing(processor(outside.clone())),
        Outside::done,
    )
}

fn trial() -> Trial {
    Trial::of("example.com", "charge", json!({ "amount": 5 }))
}

/// By its key.
struct Careful(Outside);

impl Processor for Careful {
    async fn process(&self, call: Call) -> Processed {
        self.0.does_once("charge", &call.idempotency_key());
        Processed::complete(json!({ "charged": true }))
    }
}

/// It charges, whatever was.
struct Careless(Outside);

impl Processor for Careless {
    async fn process(&self, _: Call) -> Processed {
        self.0.does("charge");
        Processed::complete(json!({ "charged": true }))
    }
}

// proves: O6
#[test]
fn what_goes_by_its_key_is_found_to_do_no_harm_and_what_does_not_is_told_with_its_effects() {
    trial().holds(
        Outside::default,
        |outside| TestService::doing(Careful(outside.clone())),
        Outside::done,
    );
    let found = finds(Careless);
    assert_eq!(
        found,
        [
            r#"in call 1, what came of it was lost: its effects were ["charge"], and are ["charge", "charge"]"#,
            r#"in call 1, it was called twice: its effects were ["charge"], and are ["charge", "charge"]"#,
            r#"in call 1, a crash when it was done: its effects were ["charge"], and are ["charge", "charge"]"#,
        ]
    );
}

/// Remembers what it did in its own memory, which a crash takes with it.
struct Forgetful {
    outside: Outside,
    done: Mutex<BTreeSet<String>>,
}

impl Processor for Forgetful {
    async fn process(&self, call: Call) -> Processed {
        let is_new = self.done.lock().unwrap().insert(call.idempotency_key());
        if is_new {
            self.outside.does("charge");
        }
        Processed::complete(())
    }
}

#[test]
fn what_is_remembered_by_the_instance_alone_is_lost_in_a_crash_and_in_nothing_else() {
    let found = finds(|outside| Forgetful {
        outside,
        done: Mutex::default(),
    });
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with("in call 1, a crash when it was done: "),
        "{found:?}"
    );
}

/// Writes down that it is done before it is, or behind it.
struct InTwoSteps {
    outside: Outside,
    notes_first: bool,
}

impl Processor for InTwoSteps {
    async fn process(&self, call: Call) -> Processed {
        let key = call.idempotency_key();
        let noted = self.outside.done().contains(&format!("noted {key}"));
        if noted {
            return Processed::complete(());
        }
        if self.notes_first {
            self.outside.does(&format!("noted {key}"));
            call.point("noted").await;
            self.outside.does("charge");
        } else {
            self.outside.does("charge");
            call.point("charged").await;
            self.outside.does(&format!("noted {key}"));
        }
        Processed::complete(())
    }
}

#[test]
fn a_crash_between_two_steps_is_tried_at_the_point_that_has_a_name() {
    for (notes_first, point, effects) in [
        (true, "noted", r#"and are ["noted test/charge"]"#),
        (
            false,
            "charged",
            r#"and are ["charge", "charge", "noted test/charge"]"#,
        ),
    ] {
        let found = finds(|outside| InTwoSteps {
            outside,
            notes_first,
        });
        assert_eq!(found.len(), 1, "{found:?}");
        let told = format!("in call 1, a crash at its point \"{point}\": its effects were ");
        assert!(
            found[0].starts_with(&told) && found[0].ends_with(effects),
            "{found:?}"
        );
    }
}

/// Orders something, asks until it is there, and takes it; each is a call of its own.
struct Polls(Outside);

impl Processor for Polls {
    async fn process(&self, call: Call) -> Processed {
        let key = call.idempotency_key();
        let asked = call
            .scratch()
            .member("asked")
            .and_then(|asked| asked.as_count());
        match asked.unwrap_or_default() {
            0 => self.0.does_once("order", &key),
            2 => {
                tokio::task::yield_now().await;
                self.0.does("take");
                return Processed::complete(());
            }
            _ => {}
        }
        Processed::again_after(Duration::from_secs(9))
            .set_scratch("asked", asked.unwrap_or_default() + 1)
    }
}

#[test]
fn each_call_of_several_is_disturbed_and_its_scratch_goes_on() {
    let found = finds(Polls);
    // To take it is the only thing that is done without the key.
    let of_third = [
        "what came of it was lost",
        "it was called twice",
        "a crash when it was done",
    ];
    let wanted: Vec<String> = of_third
        .iter()
        .map(|what| format!("in call 3, {what}: "))
        .collect();
    assert_eq!(found.len(), wanted.len(), "{found:#?}");
    for (found, wanted) in found.iter().zip(wanted) {
        assert!(found.starts_with(&wanted), "{found}");
    }
}

/// Its answer is another where it has been done before.
struct AnswersOnce(Outside);

impl Processor for AnswersOnce {
    async fn process(&self, call: Call) -> Processed {
        let first = self.0.done().is_empty();
        self.0.does_once("charge", &call.idempotency_key());
        match first {
            true => Processed::complete(json!({ "receipt": 7 })),
            false => Processed::complete(()),
        }
    }
}

/// It never comes to an end.
struct Never;

impl Processor for Never {
    async fn process(&self, _: Call) -> Processed {
        Processed::retry("busy")
    }
}

#[test]
fn another_answer_is_told_unless_it_may_differ_and_what_has_no_end_is_no_trial() {
    let found = finds(AnswersOnce);
    assert_eq!(found.len(), 3, "{found:#?}");
    assert!(
        found[0].contains("its answer was") && found[0].contains("receipt"),
        "{found:#?}"
    );
    trial().answers_may_differ().holds(
        Outside::default,
        |outside| TestService::doing(AnswersOnce(outside.clone())),
        Outside::done,
    );
    let found = finds(|_| Never);
    assert!(
        found[0].contains("undisturbed it does not come to an end"),
        "{found:?}"
    );
}
