//! Questions to this agent: each answered by its deadline, off the path of commands and reports.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use mainstay_protocol::code;
use mainstay_protocol::health::Health;
use mainstay_protocol::request::{
    Answer, Ask, Called, ChaosAct, ChaosTarget, LogOf, LogPlace, Refusal, Request,
};
use mainstay_protocol::session::AgentMessage;
use mainstay_protocol::sight::Sight;
use mainstay_protocol::{Incarnation, InstanceKey, SlotName, limits};
use mainstay_service::hosting::{Breakage, Hosted};
use mainstay_supervisor::SupervisorHandle;
use rustix::process::{Signal, getpid, kill_process};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};

use crate::hosts::Hosts;
use crate::instances::{DEADLINE_MAX, Instances};
use crate::logs;
use crate::mesh::Mesh;
use crate::session::Answers;
use crate::usage;

/// How long a supervisor that is at work takes to say so, at most; whoever guards it waits longer.
const OWN_SUPERVISOR: Duration = Duration::from_millis(300);
/// Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Requests {
    instances: Instances,
    supervisor: SupervisorHandle,
    mesh: Mesh,
    hosts: Hosts,
    chaos: bool,
    ask_to_end: mpsc::Sender<()>,
    in_flight: Arc<Semaphore>,
    /// Of nodes that watch instances here: they and callers keep no places from each other.
    watchers: Arc<Semaphore>,
}

impl Requests {
    pub(crate) fn new(
        instances: Instances,
        supervisor: SupervisorHandle,
        mesh: Mesh,
        hosts: Hosts,
        chaos: bool,
        ask_to_end: mpsc::Sender<()>,
    ) -> Self {
        let in_flight = Arc::new(Semaphore::new(limits::REQUESTS_IN_FLIGHT_MAX));
        Self {
            instances,
            supervisor,
            mesh,
            hosts,
            chaos,
            ask_to_end,
            in_flight,
            watchers: Arc::new(Semaphore::new(limits::WATCHER_CHECKS_MAX)),
        }
    }

    /// For other agents: theirs keep no place from the station's.
    pub(crate) fn of_peers(&self) -> Self {
        Self {
            in_flight: Arc::new(Semaphore::new(limits::PEER_CALLS_MAX)),
            ..self.clone()
        }
    }

    /// Returns at once; the answer goes where the session's words go.
    pub(crate) fn serve(&self, request_id: u64, request: Request, answers: Answers) {
        let places = match request.ask {
            Ask::WatcherCheck { .. } => &self.watchers,
            _ => &self.in_flight,
        };
        let Ok(permit) = Arc::clone(places).try_acquire_owned() else {
            let text = "the agent has too many questions under way";
            let answer = Answer::Refused(Refusal::new(code::OVERLOADED, text));
            answers.try_say(AgentMessage::Answer { request_id, answer });
            return;
        };
        let requests = self.clone();
        let deadline = Duration::from_millis(request.deadline_ms).min(DEADLINE_MAX);
        tokio::spawn(async move {
            let answer = tokio::select! {
                answer = requests.answer(request) => answer,
                // Nobody waits for the answer any more: the question is taken back.
                () = answers.closed() => return,
            };
            // One that finds no room within its deadline is waited for no more.
            let message = AgentMessage::Answer { request_id, answer };
            let _ = timeout(deadline, answers.say(message)).await;
            // Only now: who asks and does not read keeps its places.
            drop(permit);
        });
    }

    pub(crate) async fn answer(&self, request: Request) -> Answer {
        let deadline = Duration::from_millis(request.deadline_ms).min(DEADLINE_MAX);
        let answered = match request.ask {
            Ask::Check { instance } => self.ask(&instance, None, Called::Check, deadline).await,
            Ask::Status { instance } => self.ask(&instance, None, Called::Status, deadline).await,
            Ask::Message {
                instance,
                message,
                body,
            } => {
                let what = Called::Message { message, body };
                self.ask(&instance, None, what, deadline).await
            }
            Ask::Call {
                instance,
                incarnation,
                what,
            } => self.ask(&instance, incarnation, what, deadline).await,
            Ask::WatcherCheck {
                instance,
                incarnation,
            } => {
                let watched = self.instances.watched(&instance, incarnation, deadline);
                watched.await
            }
            Ask::Logs {
                instance,
                name,
                incarnation,
                of,
                from,
            } => self.logs(&instance, &name, incarnation, of, from).await,
            Ask::Usage { instances } => self.usage(instances).await,
            Ask::Chaos { target, act } => self.chaos(target, act).await,
            Ask::SupervisorCheck => Ok(self.supervisor_check(deadline).await),
            Ask::SupervisorStatus => self.supervisor_status(deadline).await,
            Ask::Look => Ok(Answer::Sight(self.own_sight().await)),
            Ask::LookAt { node, address } => {
                Ok(Answer::Sight(self.mesh.look(&node, &address).await))
            }
            Ask::HostCommand(command) => self.hosts.run(command).await,
            Ask::RenewCertificate => {
                let text = "what a session shows is renewed by the session, and asked for on it";
                Err(Refusal::new(code::BAD_REQUEST, text))
            }
        };
        answered.unwrap_or_else(Answer::Refused)
    }

    async fn ask(
        &self,
        instance: &InstanceKey,
        incarnation: Option<Incarnation>,
        what: Called,
        deadline: Duration,
    ) -> Result<Answer, Refusal> {
        let asking = self.instances.ask(instance, incarnation, &what, deadline);
        asking.await
    }

    /// Whether it lives or not: it is its last words that are asked for most.
    async fn logs(
        &self,
        instance: &InstanceKey,
        name: &SlotName,
        incarnation: Incarnation,
        of: LogOf,
        from: Option<LogPlace>,
    ) -> Result<Answer, Refusal> {
        let directory = self.instances.log_directory(name);
        let read = spawn_blocking(move || logs::page(&directory, of, incarnation, from)).await;
        let read = read.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        match read {
            Ok(Some(page)) => Ok(Answer::Log(page)),
            // An actor's log begins with its first word: one may wait for it, and go on from one that never came.
            Ok(None)
                if of == LogOf::This && (from.is_some() || self.lives(instance, incarnation)) =>
            {
                Ok(Answer::Log(logs::nothing_yet(incarnation, from)))
            }
            Ok(None) => {
                let text = match of {
                    LogOf::This => {
                        format!("no log is kept of {instance} incarnation {incarnation}")
                    }
                    LogOf::Before => {
                        format!(
                            "no log is kept of an incarnation of {instance} before {incarnation}"
                        )
                    }
                };
                Err(Refusal::new(code::NOT_FOUND, text))
            }
            Err(error) => {
                let text = format!("the log of {instance} cannot be read: {error}");
                Err(Refusal::new(code::INTERNAL, text))
            }
        }
    }

    /// Of those that live here; whoever asks knows which are missing.
    async fn usage(&self, instances: Vec<InstanceKey>) -> Result<Answer, Refusal> {
        if instances.len() > limits::USAGES_MAX {
            let text = format!(
                "{} instances at once are more than {}",
                instances.len(),
                limits::USAGES_MAX
            );
            return Err(Refusal::new(code::BAD_REQUEST, text));
        }
        let hosted = instances.iter().filter_map(|key| self.instances.get(key));
        let hosted: Vec<Hosted> = hosted.collect();
        let measured = spawn_blocking(move || usage::measure(&hosted)).await;
        measured.map(Answer::Usage).map_err(|error| {
            let text = format!("measuring went wrong: {error}");
            Refusal::new(code::INTERNAL, text)
        })
    }

    fn lives(&self, instance: &InstanceKey, incarnation: Incarnation) -> bool {
        let hosted = self.instances.get(instance);
        hosted.is_some_and(|hosted| hosted.identity().incarnation == incarnation)
    }

    /// What others see of this agent.
    async fn own_sight(&self) -> Sight {
        match self.supervisor.supervisor_status(OWN_SUPERVISOR).await {
            Some(status) => Sight::Watching {
                supervisor: status.incarnation,
            },
            None => Sight::Unwatched {
                supervisor: self.supervisor.incarnation(),
            },
        }
    }

    async fn supervisor_check(&self, deadline: Duration) -> Answer {
        let began = Instant::now();
        let status = self.supervisor.supervisor_status(deadline).await;
        let took_ms = milliseconds(began.elapsed());
        let (health, detail, count) = match status {
            Some(status) => (Health::Ok, status.text, status.incarnation),
            None => {
                let text = self.no_answer(deadline);
                (Health::Unresponsive, text, self.supervisor.incarnation())
            }
        };
        let incarnation = Incarnation {
            count,
            ..Incarnation::default()
        };
        Answer::Health {
            health,
            detail,
            took_ms,
            incarnation,
        }
    }

    async fn supervisor_status(&self, deadline: Duration) -> Result<Answer, Refusal> {
        match self.supervisor.supervisor_status(deadline).await {
            Some(status) => {
                tracing::info!(
                    status = status.text,
                    incarnation = status.incarnation,
                    "supervisor status"
                );
                Ok(Answer::Status { text: status.text })
            }
            None => Err(Refusal::new(code::TIMEOUT, self.no_answer(deadline))),
        }
    }

    /// Why the supervisor said nothing of itself.
    fn no_answer(&self, deadline: Duration) -> String {
        self.supervisor.vacancy().unwrap_or_else(|| {
            let deadline_ms = deadline.as_millis();
            format!("the supervisor did not answer within {deadline_ms} ms")
        })
    }

    async fn chaos(&self, target: ChaosTarget, act: ChaosAct) -> Result<Answer, Refusal> {
        if !self.chaos {
            let text = "this agent was not started to be broken on purpose (--chaos)";
            return Err(Refusal::new(code::REFUSED_BY_SAFETY, text));
        }
        tracing::warn!(?target, ?act, "chaos");
        let text = match target {
            ChaosTarget::Instance(instance) => {
                self.instances
                    .existing(&instance)?
                    .break_it(breakage(act))?;
                past(act).to_owned()
            }
            ChaosTarget::Supervisor => {
                if let Some(vacancy) = self.supervisor.vacancy() {
                    return Err(Refusal::new(code::NOT_RUNNING, vacancy));
                }
                match act {
                    ChaosAct::Kill => self.supervisor.kill_supervisor(),
                    ChaosAct::Panic => self.supervisor.panic_supervisor(),
                    ChaosAct::Hang | ChaosAct::Stop => {
                        let text = "a supervisor can be killed or made to panic, nothing else";
                        return Err(Refusal::new(code::BAD_REQUEST, text));
                    }
                }
                past(act).to_owned()
            }
            ChaosTarget::Agent => self.break_agent(act).await?,
        };
        Ok(Answer::Done { text })
    }

    async fn break_agent(&self, act: ChaosAct) -> Result<String, Refusal> {
        let failed = |error: &dyn std::error::Error| {
            Refusal::new(
                code::INTERNAL,
                format!("the agent could not be broken: {error}"),
            )
        };
        match act {
            ChaosAct::Kill => {
                kill_process(getpid(), Signal::KILL).map_err(|error| failed(&error))?;
            }
            ChaosAct::Panic => {
                let text = "an agent can be killed, hung or stopped; panics are caught";
                return Err(Refusal::new(code::BAD_REQUEST, text));
            }
            ChaosAct::Hang => hang().map_err(|error| failed(&error))?,
            ChaosAct::Stop => {
                // Asked already, if there is no room.
                let _ = self.ask_to_end.try_send(());
            }
        }
        Ok(past(act).to_owned())
    }
}

/// Stops this process and has it continued by another one after ten seconds; that one ends with this.
fn hang() -> std::io::Result<()> {
    const CONTINUE: &str = "i=0; while [ $i -lt 50 ] && kill -0 $PPID; do sleep 0.2; i=$((i+1)); done; kill -CONT $PPID";
    let mut waker = Command::new("sh")
        .args(["-c", CONTINUE])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    kill_process(getpid(), Signal::STOP)?;
    // Stopped here. Its exit status says nothing: we run again.
    let _ = waker.kill();
    let _ = waker.wait();
    Ok(())
}

fn breakage(act: ChaosAct) -> Breakage {
    match act {
        ChaosAct::Kill => Breakage::Kill,
        ChaosAct::Panic => Breakage::Panic("panic on purpose".to_owned()),
        ChaosAct::Hang => Breakage::Hang,
        ChaosAct::Stop => Breakage::End,
    }
}

fn past(act: ChaosAct) -> &'static str {
    match act {
        // Code that never yields cannot be ended: only its end says that it was.
        ChaosAct::Kill => "kill asked for",
        ChaosAct::Panic => "made to panic",
        ChaosAct::Hang => "made to hang",
        ChaosAct::Stop => "asked to end by itself",
    }
}

fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
