//! The driver of the agent core: everything that happens goes in, what it wants written is written, what it wants
//! done is done. One task, one `select!`; it waits for nobody.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::time::Duration;

use mainstay_hold::boot_clock;
use mainstay_protocol::Epoch;
use mainstay_protocol::command::Command;
use mainstay_protocol::report::NodeUp;
use mainstay_protocol::session::{Acknowledged, AgentMessage, Welcome};
use mainstay_supervisor::{Action, AgentCore, Input, Observation, Output};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::agent_file::AgentFile;
use crate::instances::Instances;
use crate::session::Pulse;
use mainstay_protocol::Address;

/// How often the core may say what it could not say before.
const TICK: Duration = Duration::from_secs(1);

/// What the session has to tell.
#[derive(Debug)]
pub(crate) enum Happened {
    /// There is a connection: what does this agent say of itself?
    Connected {
        node_up: oneshot::Sender<NodeUp>,
    },
    /// The station took us in; what is to be said goes into the line.
    Up {
        welcome: Welcome,
        line: Line,
        station: Address,
    },
    Command(Box<Command>),
    Acknowledged(Acknowledged),
    /// The station answered a heartbeat that was sent at this moment of the boot's clock.
    Renewed {
        from_ms: u64,
        epoch: Epoch,
    },
    Down,
}

/// The driver's hold on a session: dropped, it closes the session at once, whoever still has something to say in it.
#[derive(Debug)]
pub(crate) struct Line {
    outgoing: mpsc::Sender<AgentMessage>,
    _held: oneshot::Sender<Infallible>,
}

impl Line {
    /// The other side waits until it is let go.
    pub(crate) fn new(
        outgoing: mpsc::Sender<AgentMessage>,
    ) -> (Self, impl Future<Output = ()> + use<>) {
        let (held, let_go) = oneshot::channel::<Infallible>();
        let line = Self {
            outgoing,
            _held: held,
        };
        (line, async move {
            // Nothing is ever said in it: it can only be dropped.
            let _ = let_go.await;
        })
    }
}

/// How the driver came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Asked,
    /// The host or the supervision is gone, or the file cannot be written: nothing that this process says would be
    /// true any more.
    Broken,
}

/// What ends the driver.
pub(crate) struct Endings<S> {
    pub(crate) signals: S,
    pub(crate) asked_to_end: mpsc::Receiver<()>,
    pub(crate) host_ended: JoinHandle<()>,
    pub(crate) supervision_ended: JoinHandle<()>,
}

pub(crate) struct Driver {
    core: AgentCore,
    file: AgentFile,
    instances: Instances,
    pulse: Pulse,
    session: Option<Line>,
}

impl Driver {
    pub(crate) fn new(
        core: AgentCore,
        file: AgentFile,
        instances: Instances,
        pulse: Pulse,
    ) -> Self {
        Self {
            core,
            file,
            instances,
            pulse,
            session: None,
        }
    }

    /// What outlived the last life, before anything else happens.
    pub(crate) fn begin_with(&self, adoptions: Vec<Action>) {
        for action in adoptions {
            match action {
                Action::Adopt { start, came } => self.instances.adopt(start, came),
                Action::Stop(stop) => self.instances.stop(&stop),
                // They need a session or a command, and there was none yet.
                Action::Start(_)
                | Action::Answer(_)
                | Action::Work { .. }
                | Action::TakeBack(_)
                | Action::TellAgain { .. }
                | Action::Reconfigure { .. }
                | Action::Renew
                | Action::Renewed { .. }
                | Action::Send(_)
                | Action::CloseSession { .. } => {}
            }
        }
    }

    pub(crate) async fn run<S: Future<Output = ()>>(
        mut self,
        mut happened: mpsc::Receiver<Happened>,
        mut observed: mpsc::Receiver<Observation>,
        endings: Endings<S>,
    ) -> Ended {
        let Endings {
            signals,
            mut asked_to_end,
            mut host_ended,
            mut supervision_ended,
        } = endings;
        let mut signals = std::pin::pin!(signals);
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let stepped = tokio::select! {
                Some(happened) = happened.recv() => self.happened(happened),
                Some(observation) = observed.recv() => self.step(Input::Observed(observation)),
                _ = tick.tick(), if self.core.has_unsaid() => self.step(Input::Tick),
                () = &mut signals => return self.farewell(&mut observed),
                Some(()) = asked_to_end.recv() => return self.farewell(&mut observed),
                _ = &mut host_ended => {
                    tracing::error!("the host ended; the agent ends with it");
                    return Ended::Broken;
                }
                _ = &mut supervision_ended => {
                    tracing::error!("nobody watches this node any more; the agent ends");
                    return Ended::Broken;
                }
            };
            if let Err(error) = stepped {
                tracing::error!(%error, "the agent's file cannot be written; the agent ends");
                return Ended::Broken;
            }
        }
    }

    /// What was seen before is told as it was; then the file says that this life ends in order. Nothing is begun any more.
    fn farewell(&mut self, observed: &mut mpsc::Receiver<Observation>) -> Ended {
        let mut inputs = Vec::new();
        while let Ok(observation) = observed.try_recv() {
            inputs.push(Input::Observed(observation));
        }
        inputs.push(Input::Farewell);
        for input in inputs {
            let records = self.core.step(boot_clock::now_ms(), input).persist;
            if let Err(error) = self.file.append(&records) {
                tracing::error!(%error, "the agent's file cannot be written; its next life will not know that it ended in order");
                break;
            }
        }
        Ended::Asked
    }

    fn happened(&mut self, happened: Happened) -> io::Result<()> {
        match happened {
            Happened::Connected { node_up } => {
                // A session that gave up meanwhile asks again.
                let _ = node_up.send(self.core.node_up());
                Ok(())
            }
            Happened::Up {
                welcome,
                line,
                station,
            } => {
                tracing::info!(%station, node_epoch = %welcome.node_epoch, "session is up");
                self.session = Some(line);
                self.step(Input::SessionUp(welcome))
            }
            Happened::Command(command) => self.step(Input::Command(*command)),
            Happened::Acknowledged(acknowledged) => self.step(Input::Acknowledged(acknowledged)),
            Happened::Renewed { from_ms, epoch } => self.step(Input::Renewed { from_ms, epoch }),
            Happened::Down => {
                self.session = None;
                self.step(Input::SessionDown)
            }
        }
    }

    fn step(&mut self, input: Input) -> io::Result<()> {
        let Output { persist, actions } = self.core.step(boot_clock::now_ms(), input);
        self.file.append(&persist)?;
        if self.file.is_long() {
            self.file.rewrite(&self.core.snapshot_records())?;
        }
        for action in actions {
            self.act(action);
        }
        self.pulse.outbox_depth(self.core.outbox_depth());
        Ok(())
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Adopt { start, came } => self.instances.adopt(start, came),
            Action::Start(start) => self.instances.start(start),
            Action::Stop(stop) => self.instances.stop(&stop),
            Action::Reconfigure { command, change } => self.instances.reconfigure(command, change),
            Action::Answer(answer) => self.instances.answer(answer),
            Action::Work { command, work } => self.instances.work(command, *work),
            Action::TakeBack(back) => self.instances.take_back(&back),
            Action::TellAgain {
                command,
                instance,
                incarnation,
            } => self.instances.tell_again(command, instance, incarnation),
            Action::Renew => self.pulse.leases().ask(),
            Action::Renewed { from_ms, epoch } => self.pulse.leases().renewed(from_ms, epoch),
            Action::Send(reports) => {
                let sent = self.session.as_ref().is_some_and(|session| {
                    let said = AgentMessage::Reports(reports);
                    session.outgoing.try_send(said).is_ok()
                });
                if !sent {
                    // Not lost: the outbox has them, and the next session begins at its watermark.
                    self.session = None;
                }
            }
            Action::CloseSession { why } => {
                tracing::warn!(why, "the session is closed");
                self.session = None;
            }
        }
    }
}
