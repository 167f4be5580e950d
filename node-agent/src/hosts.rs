//! Commands of the cluster's owners about machines: run to their end, each once, however often it is asked for
//! (RFC 0024).

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mainstay_protocol::host::{HostCommand, HostCommandId};
use mainstay_protocol::request::{Answer, Refusal};
use mainstay_protocol::{AgentRunId, code, limits};
use tokio::sync::watch;
use tracing::info;

use crate::action::{self, Action, How, Kept, Leftovers, SEARCH_PATH};

/// Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Hosts {
    agent_run: AgentRunId,
    /// The oldest first.
    known: Arc<Mutex<VecDeque<Known>>>,
}

type Known = (HostCommandId, watch::Receiver<Outcome>);

/// What came of a command; none as long as it runs.
type Outcome = Option<Result<String, String>>;

impl Hosts {
    pub(crate) fn new(agent_run: AgentRunId) -> Self {
        Self {
            agent_run,
            known: Arc::default(),
        }
    }

    /// Its end is waited for; it goes on where nobody waits any more.
    pub(crate) async fn run(&self, command: HostCommand) -> Result<Answer, Refusal> {
        if command.only.is_some_and(|only| only != self.agent_run) {
            let text = "it was for the run of this agent before: the machine, or its agent, has begun anew";
            return Err(Refusal::new(code::OTHER_INCARNATION, text));
        }
        let mut outcome = self.outcome_of(command)?;
        let ended = outcome.wait_for(Option::is_some).await;
        let ended = ended.map_or_else(
            |_| Err("it was broken off".to_owned()),
            |ended| ended.clone().expect("it was waited for"),
        );
        match ended {
            Ok(text) => Ok(Answer::Done { text }),
            Err(text) => Err(Refusal::new(code::COMMAND_FAILED, text)),
        }
    }

    fn outcome_of(&self, command: HostCommand) -> Result<watch::Receiver<Outcome>, Refusal> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, outcome)) = known.iter().find(|(id, _)| *id == command.id) {
            return Ok(outcome.clone());
        }
        if known.len() >= limits::HOST_COMMANDS_KEPT_MAX {
            // One that runs is not to be run once more.
            let ended = known
                .iter()
                .position(|(_, outcome)| outcome.borrow().is_some());
            let ended = ended.ok_or_else(|| {
                let text = format!("{} commands about machines run here already", known.len());
                Refusal::new(code::OVERLOADED, text)
            })?;
            known.remove(ended);
        }
        let (tell, outcome) = watch::channel(None);
        known.push_back((command.id.clone(), outcome.clone()));
        drop(known);
        tokio::spawn(async move {
            let ended = carry_out(command).await;
            // Nobody may wait for it any more.
            tell.send_replace(Some(ended));
        });
        Ok(outcome)
    }
}

async fn carry_out(command: HostCommand) -> Result<String, String> {
    let HostCommand {
        id,
        words,
        mut environment,
        within_ms,
        only: _,
    } = command;
    let mut words = words.into_iter();
    let Some(program) = words.next() else {
        return Err("its command is not set any more".to_owned());
    };
    environment.insert("PATH".to_owned(), SEARCH_PATH.to_owned());
    info!(node = %id.node, number = id.number, program, "runs a command about a machine");
    let ran = action::run(
        Action {
            program: PathBuf::from(&program),
            arguments: words.map(Into::into).collect(),
            environment,
            directory: None,
            input: None,
            deadline: Some(Duration::from_millis(within_ms)),
            leftovers: Leftovers::KeptAfterSuccess,
            output: Kept::Whole,
            log: None,
        },
        (),
    )
    .await;
    info!(node = %id.node, number = id.number, program, "the command about a machine: {}", ran.how);
    let said =
        last_words(&ran.stderr).or_else(|| last_words(&String::from_utf8_lossy(&ran.stdout)));
    let said = said.map_or_else(String::new, |said| format!(": {said}"));
    match ran.how {
        How::Exited(0) => Ok(format!("`{program}` is done{said}")),
        how => Err(format!("`{program}` {how}{said}")),
    }
}

/// The last line that says anything.
fn last_words(written: &str) -> Option<String> {
    let line = written.lines().rev().find(|line| !line.trim().is_empty())?;
    let mut line = line.trim().to_owned();
    mainstay_protocol::words::cut(&mut line, limits::SAID_BYTES_MAX);
    Some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(number: u32, script: &str, within_ms: u64) -> HostCommand {
        HostCommand {
            id: HostCommandId {
                node: "n2".parse().unwrap(),
                since: mainstay_protocol::Timestamp(7),
                number,
            },
            words: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
            environment: [("MAINSTAY_NODE".to_owned(), "n2".to_owned())].into(),
            within_ms,
            only: None,
        }
    }

    fn hosts() -> Hosts {
        Hosts::new(AgentRunId(uuid::Uuid::from_u64_pair(1, 1)))
    }

    #[tokio::test]
    async fn a_command_asked_for_again_is_run_once_and_answered_twice() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("ran");
        let script = format!("echo $MAINSTAY_NODE >> {}", file.display());
        let hosts = hosts();
        let (first, again) = tokio::join!(
            hosts.run(command(1, &script, 10_000)),
            hosts.run(command(1, &script, 10_000)),
        );
        assert_eq!(first, again);
        assert_eq!(hosts.run(command(1, &script, 10_000)).await, first);
        assert!(matches!(first, Ok(Answer::Done { .. })), "{first:?}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "n2\n");
        hosts.run(command(2, &script, 10_000)).await.unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "n2\nn2\n");
    }

    #[tokio::test]
    async fn what_fails_hangs_or_is_not_there_says_so_with_its_last_words() {
        let hosts = hosts();
        let failed = hosts.run(command(1, "echo no such outlet >&2; exit 3", 10_000));
        let failed = failed.await.unwrap_err();
        assert_eq!(failed.code, code::COMMAND_FAILED);
        assert_eq!(failed.text, "`/bin/sh` exit code 3: no such outlet");
        let hangs = hosts.run(command(2, "exec sleep 1000", 100)).await;
        let text = hangs.unwrap_err().text;
        assert!(text.contains("did not finish within 100 ms"), "{text}");
        let mut none = command(3, "", 1_000);
        none.words = vec!["/no/such/program".to_owned()];
        let text = hosts.run(none).await.unwrap_err().text;
        assert!(text.contains("cannot be run"), "{text}");
    }

    #[tokio::test]
    async fn one_that_restarts_the_machine_is_not_run_by_the_agent_that_came_back() {
        let other = AgentRunId(uuid::Uuid::from_u64_pair(2, 2));
        let restart = HostCommand {
            only: Some(other),
            ..command(1, "exit 0", 1_000)
        };
        let refused = hosts().run(restart).await.unwrap_err();
        assert_eq!(refused.code, code::OTHER_INCARNATION);
    }
}
