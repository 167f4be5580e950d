//! The hold's one loop: waits for its process, its pipes and its clients, and does what each wants.
//!
//! ```text
//!   Starting --exec--> Running --stop--> Stopping     (a stop: asked for, or the lease has run out, also in Starting)
//!      |                  |                  |       (the process ends)
//!      +------------------+------------------+--> Clearing --nothing is left--> exit file, exit event, end
//! ```

use std::fs;
use std::io::{ErrorKind, PipeReader, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use mainstay_hold::{
    Event, Fields, Log, Phase, ProcessId, Request, Slot, SlotLock, Spec, State, limits, processes,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, wait};

use super::clients::Clients;
use super::end::{self, NotStarted};
use super::ladder::rungs;
use super::lease::Lease;
use super::memory::Group;
use super::notify::Notify;
use super::stop::Stop;
use super::streams::{LineWatch, Stream, Turn};

/// What a hold holds.
pub struct Process {
    pub pid: Pid,
    pub id: ProcessId,
    /// Readable when it has ended.
    pub pidfd: OwnedFd,
    /// Closes without a word when the program runs.
    pub report: Option<PipeReader>,
    /// Standard output, standard error.
    pub streams: [Stream; 2],
    pub watch: LineWatch,
}

pub struct Hold {
    pub(super) slot: Slot,
    /// Until the very end.
    _lock: SlotLock,
    pub(super) spec: Spec,
    pub(super) state: State,
    pub(super) process: Process,
    pub(super) clients: Clients,
    pub(super) log: Log,
    pub(super) group: Option<Group>,
    notify: Option<Notify>,
    pub(super) began: Instant,
    /// What the second stage could not do.
    pub(super) not_started: Option<NotStarted>,
    report: Vec<u8>,
    pub(super) stop: Stop,
    /// How the process ended; what is left of it is being cleared.
    pub(super) status: Option<(WaitStatus, Instant)>,
    pub(super) leftovers: u32,
    pub(super) clearing_ms: u64,
    streams_open: [bool; 2],
    ticked: Instant,
}

/// What can be ready.
#[derive(Debug, Clone, Copy)]
enum Source {
    Process,
    Report,
    Alarm,
    Stream(usize),
    Notify,
    Listener,
    Client(usize),
}

impl Hold {
    #[expect(
        clippy::too_many_arguments,
        reason = "each is a part, made by its own module"
    )]
    pub fn new(
        slot: Slot,
        lock: SlotLock,
        spec: Spec,
        mut state: State,
        mut process: Process,
        clients: Clients,
        log: Log,
        group: Option<Group>,
        notify: Option<Notify>,
        stop: Stop,
    ) -> Self {
        state.process = Some(process.id);
        process.watch = LineWatch::new(spec.ready_line.as_deref());
        Self {
            slot,
            _lock: lock,
            spec,
            state,
            process,
            clients,
            log,
            group,
            notify,
            began: Instant::now(),
            not_started: None,
            report: Vec::new(),
            stop,
            status: None,
            leftovers: 0,
            clearing_ms: limits::CLEARING_MS_MIN,
            streams_open: [true; 2],
            ticked: Instant::now(),
        }
    }

    /// To whoever started us, in one line.
    pub fn announce(&self) {
        let fields = Fields::new()
            .with("hold", self.state.hold)
            .with("process", self.process.id);
        println!("{}", fields.to_line("up"));
    }

    pub fn run(mut self) -> ExitCode {
        self.news();
        let mut buffer = vec![0; limits::PIPE_READ_BYTES];
        loop {
            let ready = self.wait();
            // First of all: whatever else is ready may take its time.
            self.climb();
            for source in ready {
                self.ready(source, &mut buffer);
            }
            self.clients.flush();
            if self.ticked.elapsed() >= Duration::from_millis(limits::TICK_MS) {
                self.tick();
            }
            if self.status.is_some() && self.clear() {
                return self.end(&mut buffer);
            }
        }
    }

    /// What is ready; nothing when it is time to look for ourselves.
    fn wait(&self) -> Vec<Source> {
        let mut waits = vec![(Source::Listener, self.clients.listener(), PollFlags::IN)];
        if self.status.is_none() {
            self.stop.alarm.set(self.stop.due_ms());
            waits.push((Source::Alarm, self.stop.alarm.fd(), PollFlags::IN));
            waits.push((Source::Process, self.process.pidfd.as_fd(), PollFlags::IN));
        }
        if let Some(report) = &self.process.report {
            waits.push((Source::Report, report.as_fd(), PollFlags::IN));
        }
        if let Some(notify) = &self.notify {
            waits.push((Source::Notify, notify.fd(), PollFlags::IN));
        }
        for (at, stream) in self.process.streams.iter().enumerate() {
            if self.streams_open[at] {
                waits.push((Source::Stream(at), stream.fd(), PollFlags::IN));
            }
        }
        for (at, (fd, flags)) in self.clients.waits().enumerate() {
            waits.push((Source::Client(at), fd, flags));
        }
        let mut fds: Vec<PollFd<'_>> = waits
            .iter()
            .map(|(_, fd, flags)| PollFd::from_borrowed_fd(*fd, *flags))
            .collect();
        // An interrupted wait is one in which nothing was ready.
        if poll(&mut fds, Some(&self.pause())).is_err() {
            return Vec::new();
        }
        let ready = waits
            .iter()
            .zip(&fds)
            .filter(|(_, fd)| !fd.revents().is_empty())
            .map(|((source, ..), _)| *source);
        ready.collect()
    }

    fn pause(&self) -> Timespec {
        let tick = Duration::from_millis(limits::TICK_MS).saturating_sub(self.ticked.elapsed());
        let clearing = match self.status {
            Some(_) => Duration::from_millis(self.clearing_ms),
            None => tick,
        };
        let pause = tick.min(clearing);
        Timespec {
            tv_sec: i64::try_from(pause.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(pause.subsec_nanos()),
        }
    }

    fn ready(&mut self, source: Source, buffer: &mut [u8]) {
        match source {
            Source::Process => self.reap(),
            Source::Report => self.read_report(),
            // What is due was done before anything else.
            Source::Alarm => {}
            Source::Stream(at) => {
                self.read(at, buffer);
            }
            Source::Notify => self.notified(),
            Source::Listener => self.clients.accept(),
            Source::Client(client) => {
                for request in self.clients.requests(client) {
                    self.asked(client, request);
                }
            }
        }
    }

    fn read(&mut self, at: usize, buffer: &mut [u8]) -> Turn {
        let process = &mut self.process;
        let stream = &mut process.streams[at];
        let seen = process.watch.seen;
        let turn = stream.turn(buffer, &mut self.log, &mut process.watch);
        if turn == Turn::End {
            stream.finish(&mut self.log, &mut process.watch);
            self.streams_open[at] = false;
        }
        let lost = self.log.lines_lost != self.state.lines_lost;
        if process.watch.seen != seen || (lost && self.state.lines_lost == 0) {
            self.news();
        }
        turn
    }

    /// What is left in the pipes when nobody writes into them any more. Bounded, should somebody outside do so.
    pub(super) fn drain(&mut self, buffer: &mut [u8]) {
        for at in [0, 1] {
            for _ in 0..limits::DRAIN_TURNS_MAX {
                if !self.streams_open[at] || self.read(at, buffer) != Turn::Read {
                    break;
                }
            }
            let process = &mut self.process;
            process.streams[at].finish(&mut self.log, &mut process.watch);
        }
    }

    /// As far as there is anything.
    pub(super) fn read_report(&mut self) {
        let Some(report) = &mut self.process.report else {
            return;
        };
        let most = limits::RECORD_BYTES_MAX as u64;
        // What was read before it would have to wait stays read.
        match report.take(most).read_to_end(&mut self.report) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Ok(_) | Err(_) => {}
        }
        self.process.report = None;
        self.not_started = end::not_started(&self.report);
        if self.not_started.is_none() && self.state.phase == Phase::Starting {
            self.began = Instant::now();
            self.state.phase = Phase::Running;
            self.news();
        }
    }

    fn notified(&mut self) {
        if self.notify.as_mut().is_some_and(Notify::receive) {
            self.news();
        }
    }

    fn asked(&mut self, client: usize, request: Result<Request, String>) {
        let answer = match request {
            Ok(Request::State) => Event::State(self.present()),
            Ok(Request::Subscribe) => {
                self.clients.subscribe(client);
                Event::State(self.present())
            }
            Ok(Request::Kill) => {
                self.begin_stop(&[(Signal::KILL, 0)]);
                Event::Ok
            }
            Ok(Request::Stop(steps)) => match rungs(&steps) {
                Ok(rungs) => {
                    self.begin_stop(&rungs);
                    Event::Ok
                }
                Err(text) => Event::Error(text),
            },
            Ok(Request::Lease { until_ms }) => self.prolong(until_ms),
            Ok(Request::Usage) => self.usage(),
            Err(text) => Event::Error(text),
        };
        self.clients.answer(client, &answer);
    }

    fn usage(&self) -> Event {
        let hold = std::process::id();
        let all = processes::descendants(hold);
        // What has ended is in its parent's account: ours, for what was left to us.
        let ended = processes::look(hold).map_or(0, |hold| hold.reaped_cpu_ticks);
        let ticks = all
            .iter()
            .map(|seen| seen.cpu_ticks + seen.reaped_cpu_ticks);
        let pages: u64 = all.iter().map(|seen| seen.rss_pages).sum();
        Event::Usage {
            cpu_ticks: ended + ticks.sum::<u64>(),
            rss_bytes: pages * rustix::param::page_size() as u64,
            processes: u32::try_from(all.len()).unwrap_or(u32::MAX),
        }
    }

    /// Takes what has ended: the process, or some descendant that was left to us.
    fn reap(&mut self) {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) if pid == self.process.pid => self.ended(status),
                Ok(Some((_, status))) => self.reaped(status),
                Ok(None) | Err(_) => return,
            }
        }
    }

    pub(super) fn ended(&mut self, status: WaitStatus) {
        // At once, while nobody else can have its group's number.
        self.kill_all();
        self.status = Some((status, Instant::now()));
    }

    /// Some descendant that was left to us: counted if it had to be killed after the end of the process.
    pub(super) fn reaped(&mut self, status: WaitStatus) {
        let killed = status.terminating_signal() == Some(Signal::KILL.as_raw());
        self.leftovers += u32::from(killed && self.status.is_some());
    }

    fn tick(&mut self) {
        self.ticked = Instant::now();
        if self.status.is_none() {
            self.reap();
        }
        if self.is_abandoned() {
            self.stop.killed = true;
            self.kill_all();
        }
    }

    /// A slot whose directory is gone can be found by nobody: neither its log nor its end would be seen.
    pub(super) fn is_abandoned(&self) -> bool {
        !fs::metadata(".").is_ok_and(|directory| directory.nlink() > 0)
    }

    /// Something has changed: for the file, and for whoever listens.
    pub(super) fn news(&mut self) {
        let state = self.present();
        // A disk that takes nothing: clients still hear it, and the next change tries again.
        let _ = self.slot.write_state(&state);
        self.clients.tell(&Event::State(state));
    }

    fn present(&mut self) -> State {
        let state = &mut self.state;
        state.line_seen = self.process.watch.seen;
        state.lines_lost = self.log.lines_lost;
        state.lease_until_ms = self.stop.lease.as_ref().map(Lease::until_ms);
        if let Some(notify) = &self.notify {
            state.ready = notify.ready;
            state.status.clone_from(&notify.status);
            state.watchdog_ms = notify
                .watchdog
                .map(|said| u64::try_from(said.elapsed().as_millis()).unwrap_or(u64::MAX));
        }
        state.clone()
    }
}
