//! The provider `process`: a program for each call, with the call on its standard input.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use mainstay_service::{Call, Processed};
use tokio::time::Instant;

use super::answer::{self, Answer, What};
use super::calls::{self, Hold};
use super::guard::Guard;
use super::question;
use crate::action::{self, Action, Heard, How, Kept, Leftovers, Ran};
use crate::data::{self, Side};

/// Of what it wrote to standard error, so many lines are its reason.
const LINES_MAX: usize = 3;
/// No attempt will do: EX_USAGE, EX_DATAERR and EX_CONFIG of sysexits.h.
const FATAL_CODES: [i32; 3] = [64, 65, 78];

#[derive(Debug)]
pub(super) struct Program {
    /// Not empty.
    pub(super) command: Vec<String>,
    pub(super) environment: BTreeMap<String, String>,
    pub(super) directory: Option<PathBuf>,
    pub(super) guard: Option<Arc<Guard>>,
}

impl Program {
    pub(super) async fn process(&self, call: &Call, hold: Hold) -> Processed {
        let began = Instant::now();
        if let Some(guard) = &self.guard
            && let Err(why) = guard.is_there().await
        {
            return Processed::retry(why);
        }
        // Without a data-proxy it is told of none: it may know another way to what it is given the names of.
        let data = data::granted(call, Side::Machine).and_then(Result::ok);
        let mut environment = self.environment(call);
        environment.extend(data.iter().flat_map(|data| data.environment.clone()));
        let mut words = self.command.iter();
        let program = words.next().map(String::as_str).unwrap_or_default();
        let action = Action {
            program: program.into(),
            arguments: words.map(Into::into).collect(),
            environment,
            directory: self.directory.clone(),
            input: Some(question::document(call).into_bytes()),
            // Without one it may take hours; what it writes and how many processes it has is bounded all the same.
            deadline: calls::own_time(call).map(|time| time.saturating_sub(began.elapsed())),
            leftovers: Leftovers::Killed,
            output: Kept::Whole,
            log: Some(Heard {
                within: call.ctx().span().clone(),
                by: format!("{}/{}", call.run(), call.activity()),
            }),
        };
        let ran = action::run(action, hold).await;
        drop(data);
        if ran.stuck > 0 {
            let (program, how) = (&self.command[0], &ran.how);
            tracing::warn!("{program}: {how}; {}", stuck(&ran));
        }
        self.concluded(&ran)
    }

    /// With what tells of the call, so that a shell script needs no reader of JSON.
    fn environment(&self, call: &Call) -> BTreeMap<String, String> {
        let mut environment = self.environment.clone();
        let of_call = [
            ("RUN", call.run().to_string()),
            ("ACTIVITY", call.activity().to_string()),
            ("TYPE", call.skill().activity.to_string()),
            (
                "DISCRIMINATOR",
                call.discriminator().unwrap_or_default().to_owned(),
            ),
            ("ATTEMPT", call.attempt().to_string()),
            ("IDEMPOTENCY_KEY", call.idempotency_key()),
            ("TOKEN", call.token().to_string()),
        ];
        let of_call = of_call.map(|(name, value)| (format!("MAINSTAY_{name}"), value));
        environment.extend(of_call);
        environment.extend(self.guard.as_ref().map(|guard| guard.variable()));
        environment
    }

    fn concluded(&self, ran: &Ran) -> Processed {
        let said = answer::read(&ran.stdout);
        match &ran.how {
            How::Exited(0) => match said {
                Answer::Nothing => Processed::complete(()),
                Answer::Outputs(outputs) => answer::completed(&outputs),
                Answer::Said(said) => said.processed(last_words(&ran.stderr)),
                Answer::Bad(why) => Processed::retry(self.why(ran, &why)),
            },
            How::Exited(code) => self.failed(ran, said, FATAL_CODES.contains(code)),
            How::Signalled(_) => self.failed(ran, said, false),
            // What it said was not all that it had to say, or nothing.
            How::Deadline(_) | How::Flood | How::Swarm(_) | How::Abandoned | How::CannotRun(_) => {
                Processed::retry(self.why(ran, ""))
            }
        }
    }

    /// It did not end with 0, whatever it said.
    fn failed(&self, ran: &Ran, said: Answer, is_fatal: bool) -> Processed {
        let contradicts = |what: What| {
            let what = what.name();
            Processed::retry(self.why(ran, &format!("and yet it said {what}")))
        };
        match said {
            Answer::Said(said) if said.what.is_failure() => said.processed(Some(self.why(ran, ""))),
            Answer::Said(said) => contradicts(said.what),
            Answer::Outputs(_) => contradicts(What::Complete),
            Answer::Bad(why) => Processed::retry(self.why(ran, &why)),
            Answer::Nothing if is_fatal => Processed::fatal(self.why(ran, "")),
            Answer::Nothing => Processed::retry(self.why(ran, "")),
        }
    }

    /// How it ended, what is odd about it, and its last words.
    fn why(&self, ran: &Ran, odd: &str) -> String {
        let program = &self.command[0];
        let mut why = format!("{program}: {}", ran.how);
        let lost = self.directory.as_ref().filter(|path| !path.is_dir());
        if let (How::CannotRun(_), Some(path)) = (&ran.how, lost) {
            why.push_str(&format!("; its directory {} is not there", path.display()));
        }
        if ran.stuck > 0 {
            why.push_str("; ");
            why.push_str(&stuck(ran));
        }
        for more in [Some(odd.to_owned()), last_words(&ran.stderr)] {
            if let Some(more) = more.filter(|more| !more.is_empty()) {
                why.push_str(": ");
                why.push_str(&more);
            }
        }
        answer::told(why)
    }
}

fn stuck(ran: &Ran) -> String {
    let count = ran.stuck;
    format!("{count} of its processes cannot be killed: they hang in the kernel")
}

pub(super) fn last_words(stderr: &str) -> Option<String> {
    let lines = stderr.lines().rev().map(str::trim);
    let mut last: Vec<&str> = lines
        .filter(|line| !line.is_empty())
        .take(LINES_MAX)
        .collect();
    last.reverse();
    (!last.is_empty()).then(|| last.join(" | "))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_cannot_be_killed_is_named() {
        let program = Program {
            command: vec!["/x".to_owned()],
            environment: BTreeMap::new(),
            directory: None,
            guard: None,
        };
        let said = program.concluded(&Ran {
            how: How::Exited(1),
            stdout: Vec::new(),
            stderr: "oh".to_owned(),
            took: Duration::ZERO,
            cleared: 2,
            stuck: 2,
        });
        let stuck = "2 of its processes cannot be killed: they hang in the kernel";
        let why = format!("/x: exit code 1; {stuck}: oh");
        assert_eq!(said, Processed::retry(why));
    }
}
