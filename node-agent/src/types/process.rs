//! `process`: a command of the machine's own, behind a hold. Generic in its name.
//!
//! It outlives its agent: the next life of the agent finds it in its slot and goes on with it.

mod answer;
mod config;
mod ports;
mod probe;
mod reach;
mod words;

use std::sync::Arc;
use std::time::Duration;

use mainstay_hold::{
    Event, Lease, Limits, LogBounds, MemoryGroup, Request, Spec, State, Step, users,
};
use mainstay_protocol::code;
use mainstay_protocol::health::ProcessIdentity;
use mainstay_protocol::request::Refusal;
use mainstay_service::hosting::Breakage;
use mainstay_service::{
    Beginning, BoxFuture, CannotStart, Context, Failure, HeldLease, Outside, Reply, RestartWhen,
    Service, StatusText, StopReason, TypeInfo,
};
use mainstay_supervisor::ExitHow;
use rustix::process::Signal;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::time::{sleep, timeout};

use crate::action::SEARCH_PATH;
use crate::held::{Held, NotBegun, Over, exit_how};
use crate::secret_files::{self, SecretFiles};
use config::{Check, READY_WITHIN_MS_MAX, Ready, STOP_MS_MAX, no_such_port, with_ports};
use ports::Ports;
use probe::How;
use reach::Goal;

pub use config::ProcessConfig;
pub use probe::ProcessProbe;

/// What is not the configured time itself: the hold's own start, and the word about how it went.
const MARGIN: Duration = Duration::from_secs(30);
const START_DEADLINE: Duration = Duration::from_millis(READY_WITHIN_MS_MAX).saturating_add(MARGIN);
const STOP_DEADLINE: Duration = Duration::from_millis(STOP_MS_MAX).saturating_add(MARGIN);
/// In its environment: where programs ask the agent for others, and, followed by the name of a placement that its own
/// depends on, where one of that was when it started.
const SOCKET_VARIABLE: &str = "MAINSTAY_SOCKET";
const ADDRESS_VARIABLE: &str = "MAINSTAY_ADDR_";
/// Between two tries to reach what is not ready: from, to.
const TRY_MIN: Duration = Duration::from_millis(20);
const TRY_MAX: Duration = Duration::from_millis(500);

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProcessMessage {
    /// Sends its process a signal: "HUP", without SIG.
    Signal { name: SignalName },
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum SignalName {
    Hup,
    Usr1,
    Usr2,
    Winch,
    Cont,
}

#[derive(Debug)]
pub struct Process {
    held: Arc<Held>,
    config: ProcessConfig,
    ports: Ports,
    secrets: SecretFiles,
}

impl Service for Process {
    type Config = ProcessConfig;
    type Message = ProcessMessage;
    type Probe = ProcessProbe;
    const TYPE: TypeInfo = TypeInfo::new("process", "1.0.0")
        .generic()
        .outside()
        .ended_by_its_hold()
        .keeps_log()
        .restart(RestartWhen::Always)
        .start_deadline(START_DEADLINE)
        .stop_deadline(STOP_DEADLINE);

    async fn start(
        config: ProcessConfig,
        ctx: &Context,
    ) -> Result<(Self, ProcessProbe), CannotStart> {
        let wishes = config.wishes().map_err(CannotStart::config)?;
        let held = Held::new(&ctx.place().slot, ctx.identity().incarnation);
        ctx.stands_for(held.clone());
        let earlier = held.slot().spec().ok().flatten().unwrap_or_default();
        let mut ports = ports::in_environment(&earlier.environment);
        if ctx.beginning() == Beginning::Anew {
            ports = ports::allocate(&wishes, &ports).map_err(CannotStart::not_now)?;
        }
        let secrets = match ctx.beginning() {
            Beginning::Anew => {
                let references = config.secrets();
                // Without secrets it is the hold's to find out whether there is such a user.
                let account = match references.is_empty() {
                    true => None,
                    false => users::resolve(config.user.as_deref(), config.group.as_deref())
                        .map_err(CannotStart::not_here)?,
                };
                secret_files::taken(references, account, ctx).await?
            }
            Beginning::Resumed | Beginning::Adopted => SecretFiles::of(ctx),
        };
        for (name, number) in &ports {
            ctx.listens_on(name.as_str(), *number);
        }
        let process = Self {
            held,
            config,
            ports,
            secrets,
        };
        let spec = process.spec(ctx).map_err(CannotStart::config)?;
        let how = process.how(&spec).map_err(CannotStart::config)?;
        let goal = process.goal().map_err(CannotStart::config)?;
        // Before it is ready: that may take longer than its lease.
        if let Some(lease) = ctx.place().lease.clone() {
            tokio::spawn(prolong(Arc::clone(&process.held), lease));
        }
        match ctx.beginning() {
            Beginning::Anew => {
                let begun = process.held.begin(&ctx.place().hold, spec).await;
                begun.map_err(|error| match error {
                    NotBegun::NameHeld(_) | NotBegun::Broken(_) => CannotStart::not_now(error),
                })?;
                process.until_ready(goal).await?;
            }
            Beginning::Resumed => {
                process.held.attach().map_err(CannotStart::not_now)?;
                process.until_ready(goal).await?;
            }
            // How it ended, should it have: that is told like any other end.
            Beginning::Adopted => {
                if let Err(error) = process.held.attach() {
                    tracing::warn!(parent: ctx.span(), %error, "there is nothing to be adopted");
                }
            }
        }
        tokio::spawn(tell_its_end(Arc::clone(&process.held), ctx.clone()));
        let probe = ProcessProbe::new(Arc::clone(&process.held), how);
        Ok((process, probe))
    }

    async fn handle(&mut self, message: ProcessMessage, _: &Context) -> Result<Reply, Failure> {
        let ProcessMessage::Signal { name } = message;
        let signal = match name {
            SignalName::Hup => Signal::HUP,
            SignalName::Usr1 => Signal::USR1,
            SignalName::Usr2 => Signal::USR2,
            SignalName::Winch => Signal::WINCH,
            SignalName::Cont => Signal::CONT,
        };
        Ok(match self.held.signal(signal) {
            true => Reply::done(),
            false => Reply::refused("its process has ended"),
        })
    }

    async fn status(&mut self, _: &Context) -> StatusText {
        let pid = self.held.process().map_or(0, |process| process.pid);
        let mut text = format!("process {pid}");
        if let Ok(Event::Usage {
            cpu_ticks,
            rss_bytes,
            processes,
        }) = self.held.ask(&Request::Usage).await
        {
            text.push_str(&words::usage(cpu_ticks, rss_bytes, processes));
        }
        for (name, number) in &self.ports {
            text.push_str(&format!("; port {name} is {number}"));
        }
        if let Some(state) = &*self.held.state().borrow()
            && !state.status.is_empty()
        {
            text.push_str(&format!("; it says: {}", state.status));
        }
        text.into()
    }

    async fn stop(self, ctx: &Context, _: StopReason) {
        let over = self.held.stop(self.ladder()).await;
        if matches!(over, Over::Exit(exit) if exit.killed) {
            ctx.had_to_be_killed();
        }
    }
}

/// Its hold ends it when its lease runs out, also without this agent.
async fn prolong(held: Arc<Held>, mut lease: HeldLease) {
    loop {
        let until_ms = tokio::select! {
            _ = held.ended() => return,
            renewed = lease.renewed() => match renewed {
                Some(until_ms) => until_ms,
                None => return,
            },
        };
        match held.ask(&Request::Lease { until_ms }).await {
            Ok(Event::Error(text)) => {
                tracing::warn!(slot = %held.slot().path().display(), text, "a lease is not prolonged");
            }
            Ok(_) => {}
            // It has ended, or what it does not hear of ends it.
            Err(error) => {
                tracing::debug!(slot = %held.slot().path().display(), %error, "a lease is not prolonged");
            }
        }
    }
}

/// Its end, unless it was asked for.
async fn tell_its_end(held: Arc<Held>, ctx: Context) {
    let over = held.ended().await;
    if ctx.is_stopping() {
        return;
    }
    match exit_how(&over) {
        ExitHow::Ended(_) => ctx.end(),
        ExitHow::Failed(kind, evidence) => ctx.fail(Failure::seen(kind, evidence)),
    }
}

impl Process {
    /// Everything put in that the configuration leaves open.
    fn spec(&self, ctx: &Context) -> Result<Spec, String> {
        let config = &self.config;
        let identity = ctx.identity();
        let node = &identity.instance.node;
        let mut environment = vec![
            // Unless the configuration says.
            ("PATH".to_owned(), SEARCH_PATH.to_owned()),
            (
                "MAINSTAY_INSTANCE".to_owned(),
                identity.instance.to_string(),
            ),
            ("MAINSTAY_NODE".to_owned(), node.to_string()),
            ("MAINSTAY_NAME".to_owned(), identity.name.to_string()),
            (
                "MAINSTAY_INCARNATION".to_owned(),
                identity.incarnation.to_string(),
            ),
        ];
        if let Some(token) = ctx.fencing_token() {
            environment.push(("MAINSTAY_FENCING_TOKEN".to_owned(), token.to_string()));
        }
        for (name, number) in &self.ports {
            environment.push((format!("{}{name}", ports::VARIABLE), number.to_string()));
        }
        environment.extend(self.ways_to_others(ctx));
        for (key, value) in &config.env {
            environment.retain(|(known, _)| known != key);
            environment.push((key.clone(), self.filled_in(value)?));
        }
        let groups = ctx.place().memory_groups.as_ref();
        let memory = config.limits.memory_bytes;
        let memory_group = groups.zip(memory).map(|(groups, bytes_max)| MemoryGroup {
            path: groups.join(identity.name.as_str()).display().to_string(),
            bytes_max,
        });
        Ok(Spec {
            instance: identity.instance.to_string(),
            incarnation: self.held.incarnation().to_owned(),
            command: self.all_filled_in(&config.command)?,
            environment,
            directory: Some(self.directory()?),
            user: config.user.clone(),
            group: config.group.clone(),
            umask: config.umask()?,
            limits: Limits {
                open_files: config.limits.open_files,
                address_space_bytes: memory.filter(|_| memory_group.is_none()),
                core_bytes: config.limits.core_bytes,
                processes: config.limits.processes,
                cpu_seconds: config.limits.cpu_seconds,
                file_bytes: config.limits.file_bytes,
            },
            memory_group,
            ready_line: match &config.ready {
                Ready::Line(text) => Some(text.clone()),
                Ready::Started | Ready::Tcp(_) | Ready::Http(_) | Ready::Notify => None,
            },
            notify: config.notifies(),
            log: LogBounds {
                bytes_max: config.log.bytes_max,
                files_max: config.log.files_max,
            },
            lease: ctx.place().lease.as_ref().map(|lease| Lease {
                until_ms: lease.until_ms(),
                steps: self.ladder_within(lease.stop()),
            }),
        })
    }

    /// Where it can look others up, if it may, and where those were that it depends on.
    fn ways_to_others(&self, ctx: &Context) -> Vec<(String, String)> {
        let place = ctx.place();
        // The socket is the agent's user's alone.
        let socket = place.socket.iter().filter(|_| self.config.user.is_none());
        let socket = socket.map(|path| (SOCKET_VARIABLE.to_owned(), path.display().to_string()));
        let addresses = place.addresses.iter().map(|(placement, address)| {
            let name = placement.as_str().to_uppercase().replace(['-', '.'], "_");
            (format!("{ADDRESS_VARIABLE}{name}"), address.clone())
        });
        socket.chain(addresses).collect()
    }

    fn how(&self, spec: &Spec) -> Result<How, String> {
        Ok(match &self.config.check {
            Check::Alive => How::Alive,
            Check::Exec(command) => How::Exec {
                command: self.all_filled_in(command)?,
                environment: spec.environment.clone(),
                directory: self.directory()?,
            },
            Check::Tcp(text) => How::Reach(self.tcp(text)?),
            Check::Http(text) => How::Reach(self.http(text)?),
            Check::WatchdogMs(ms) => How::Watchdog { ms: *ms },
        })
    }

    /// What is to be reached before it is ready, if anything.
    fn goal(&self) -> Result<Option<Goal>, String> {
        match &self.config.ready {
            Ready::Tcp(text) => self.tcp(text).map(Some),
            Ready::Http(text) => self.http(text).map(Some),
            Ready::Started | Ready::Line(_) | Ready::Notify => Ok(None),
        }
    }

    fn tcp(&self, text: &str) -> Result<Goal, String> {
        Goal::tcp(&self.filled_in(text)?, &self.ports)
    }

    fn http(&self, text: &str) -> Result<Goal, String> {
        let first = self.config.ports.first();
        let first = first.map(|wish| wish.split('=').next().unwrap_or(wish));
        Goal::http(&self.filled_in(text)?, &self.ports, first)
    }

    fn directory(&self) -> Result<String, String> {
        self.filled_in(self.config.cwd.as_deref().unwrap_or("/"))
    }

    fn all_filled_in(&self, texts: &[String]) -> Result<Vec<String>, String> {
        texts.iter().map(|text| self.filled_in(text)).collect()
    }

    /// A reference to a secret becomes the path of its file; else its ports are put in.
    fn filled_in(&self, text: &str) -> Result<String, String> {
        if let Some(path) = self.secrets.in_place_of(text) {
            return path.map_err(|error| format!("{text}: {error}"));
        }
        with_ports(text, |name| {
            let number = self.ports.get(name).copied();
            number.ok_or_else(|| no_such_port(name, &[]))
        })
    }

    /// Its own ladder, as far as that takes no longer than its stop may.
    fn ladder_within(&self, stop: Duration) -> Vec<Step> {
        let mut left_ms = u64::try_from(stop.as_millis()).unwrap_or(u64::MAX);
        let mut steps = self.ladder();
        for step in &mut steps {
            step.wait_ms = step.wait_ms.min(left_ms);
            left_ms -= step.wait_ms;
        }
        steps
    }

    fn ladder(&self) -> Vec<Step> {
        let configured = self.config.stop.iter().map(|step| Step {
            signal: step.signal.clone(),
            wait_ms: step.wait_ms,
        });
        let last = Step {
            signal: "KILL".to_owned(),
            wait_ms: 0,
        };
        configured.chain([last]).collect()
    }

    /// Started means ready. What is not ready in time is killed here, so that its last words can be told.
    async fn until_ready(&self, goal: Option<Goal>) -> Result<(), CannotStart> {
        match self.held.executed().await {
            Ok(()) => {}
            // It ran, and has ended: that is told like any other end.
            Err(over) if words::ran(&over) && self.config.ready == Ready::Started => return Ok(()),
            Err(over) => return Err(words::did_not_run(&over)),
        }
        if self.config.ready == Ready::Started {
            return Ok(());
        }
        let within = Duration::from_millis(self.config.ready_within_ms);
        let mut last_try = String::new();
        let ready = tokio::select! {
            biased;
            ready = timeout(within, self.becomes_ready(goal.as_ref(), &mut last_try)) => ready,
            over = self.held.ended() => return Err(words::ended_unready(&over)),
        };
        if ready.is_ok() {
            return Ok(());
        }
        Held::clear(&self.held).await;
        let waited_for = match &self.config.ready {
            Ready::Started => "it does not run".to_owned(),
            Ready::Line(text) => format!("no line of its output had \"{text}\" in it"),
            Ready::Notify => "it did not say READY=1".to_owned(),
            Ready::Tcp(_) | Ready::Http(_) => last_try,
        };
        let over = self.held.has_ended();
        Err(words::late(within, &waited_for, over.as_ref()))
    }

    async fn becomes_ready(&self, goal: Option<&Goal>, last_try: &mut String) {
        let says: fn(&State) -> bool = match &self.config.ready {
            Ready::Started => return,
            Ready::Line(_) => |state| state.line_seen,
            Ready::Notify => |state| state.ready,
            Ready::Tcp(_) | Ready::Http(_) => {
                let Some(goal) = goal else {
                    return;
                };
                let mut pause = TRY_MIN;
                while let Err(why) = goal.reach().await {
                    *last_try = why;
                    sleep(pause).await;
                    pause = (pause * 2).min(TRY_MAX);
                }
                return;
            }
        };
        let mut state = self.held.state();
        // The sender lives as long as what it is about.
        let _ = state
            .wait_for(|state| state.as_ref().is_some_and(says))
            .await;
    }
}

impl Outside for Held {
    fn processes(&self) -> Vec<ProcessIdentity> {
        let identity = self.process().map(|id| ProcessIdentity {
            pid: id.pid,
            started: id.started,
        });
        identity.into_iter().collect()
    }

    fn root(&self) -> Option<ProcessIdentity> {
        self.hold().map(|id| ProcessIdentity {
            pid: id.pid,
            started: id.started,
        })
    }

    fn clear(self: Arc<Self>) -> BoxFuture<()> {
        Box::pin(async move { Held::clear(&self).await })
    }

    fn break_it(&self, how: &Breakage) -> Result<(), Refusal> {
        let signal = match how {
            Breakage::Kill => Signal::KILL,
            Breakage::Hang => Signal::STOP,
            Breakage::End => Signal::TERM,
            Breakage::Panic(_) => {
                let text = "a process does not panic; it can be killed, hung (SIGSTOP) or stopped (SIGTERM)";
                return Err(Refusal::new(code::BAD_REQUEST, text));
            }
        };
        match self.signal(signal) {
            true => Ok(()),
            false => Err(Refusal::new(code::NOT_RUNNING, "its process has ended")),
        }
    }
}
