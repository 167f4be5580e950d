//! `run`: from the command line to the loop. One line on standard output says how it went; then the hold lets go of
//! everything it had from whoever started it.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, PipeReader};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use mainstay_hold::{
    Fields, Log, ProcessId, Slot, SlotLock, Spec, State, exit_code, limits, processes, users,
};
use rustix::process::{Pid, PidfdFlags, getpid, getuid, pidfd_open, set_child_subreaper, setsid};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};

use super::arguments::Run;
use super::clients::Clients;
use super::hold::{Hold, Process};
use super::lease::Lease;
use super::memory::Group;
use super::notify::Notify;
use super::stage::NOTIFY_VARIABLE;
use super::stop::Stop;
use super::streams::{LineWatch, Stream};

/// Why a hold does not begin.
struct CannotBegin {
    exit: u8,
    text: String,
}

pub fn run(run: Run) -> ExitCode {
    match begin(run) {
        Ok(hold) => hold.run(),
        Err(CannotBegin { exit, text }) => {
            let word = if exit == exit_code::HELD {
                "held"
            } else {
                "error"
            };
            println!("{}", Fields::new().with("text", &text).to_line(word));
            eprintln!("{word}: {text}");
            ExitCode::from(exit)
        }
    }
}

fn begin(run: Run) -> Result<Hold, CannotBegin> {
    // Fails only for a leader of a process group: started by hand, it stays with its terminal.
    let _ = setsid();
    let (slot, lock) = take(&run.slot)?;
    let spec = spec(&slot, run.command)?;
    let lease = lease(&spec)?;
    slot.remove_exit()
        .map_err(slot_error("removing the old exit"))?;
    let state = State {
        instance: spec.instance.clone(),
        incarnation: spec.incarnation.clone(),
        boot_id: processes::boot_id().map_err(broken("reading the boot id"))?,
        hold: itself()?,
        process: None,
        phase: mainstay_hold::Phase::Starting,
        line_seen: false,
        ready: false,
        status: String::new(),
        watchdog_ms: None,
        lines_lost: 0,
        lease_until_ms: spec.lease.as_ref().map(|lease| lease.until_ms),
    };
    // Before there is a process: whoever finds the slot knows whom to ask.
    slot.write_state(&state)
        .map_err(slot_error("writing the state"))?;
    set_child_subreaper(Some(getpid())).map_err(broken("becoming the reaper"))?;
    let clients = Clients::listen(Path::new("sock")).map_err(slot_error("making the socket"))?;
    let log = Log::begin(&slot.log_directory(), &spec.incarnation, spec.log)
        .map_err(slot_error("beginning the log"))?;
    let group = match &spec.memory_group {
        Some(wanted) => {
            let doing = format!("making the memory group {}", wanted.path);
            Some(Group::make(wanted).map_err(broken(doing))?)
        }
        None => None,
    };
    let notify = spec.notify.then(|| open_notify(&spec)).transpose()?;
    let stop = Stop::new(lease).map_err(broken("making its timer"))?;
    lock.inherit().map_err(broken("sharing the lock"))?;
    let process = spawn(notify.as_ref()).map_err(broken("starting the process"))?;
    let hold = Hold::new(
        slot, lock, spec, state, process, clients, log, group, notify, stop,
    );
    hold.announce();
    let_go().map_err(broken("letting go of standard output"))?;
    Ok(hold)
}

/// The lock is the whole of who has a name.
fn take(path: &Path) -> Result<(Slot, SlotLock), CannotBegin> {
    let slot = Slot::make(path).map_err(slot_error("making its directory"))?;
    std::env::set_current_dir(slot.path()).map_err(slot_error("entering its directory"))?;
    let lock = slot
        .lock_within(Duration::from_millis(limits::LOCK_PATIENCE_MS))
        .map_err(slot_error("locking it"))?;
    let lock = lock.ok_or_else(|| CannotBegin {
        exit: exit_code::HELD,
        text: match slot.state() {
            Ok(Some(state)) if processes::lives(state.hold) => format!(
                "the name {} is held by {} incarnation {}, process {}, hold {}",
                slot.name(),
                state.instance,
                state.incarnation,
                state.process.map_or(0, |process| process.pid),
                state.hold.pid
            ),
            // What is written is of somebody who is gone.
            Ok(_) | Err(_) => format!("the name {} is held", slot.name()),
        },
    })?;
    Ok((slot, lock))
}

/// The agent's, or one for what was typed. Only whoever has the lock writes one.
fn spec(slot: &Slot, command: Vec<String>) -> Result<Spec, CannotBegin> {
    if !command.is_empty() {
        let by_hand = Spec {
            instance: format!("{} (by hand)", slot.name()),
            incarnation: format!("hand-{}", std::process::id()),
            command,
            environment: std::env::vars_os()
                .filter_map(|(key, value)| {
                    Some((key.into_string().ok()?, value.into_string().ok()?))
                })
                .collect(),
            ..Spec::default()
        };
        slot.write_spec(&by_hand)
            .map_err(slot_error("writing the spec"))?;
    }
    let none = || io::Error::new(ErrorKind::NotFound, "there is none");
    slot.spec()
        .and_then(|spec| spec.ok_or_else(none))
        .map_err(|error| CannotBegin {
            exit: exit_code::USAGE,
            text: format!("reading the spec: {error}"),
        })
}

fn lease(spec: &Spec) -> Result<Option<Lease>, CannotBegin> {
    let lease = spec.lease.as_ref().map(Lease::new).transpose();
    lease.map_err(|text| CannotBegin {
        exit: exit_code::USAGE,
        text: format!("reading the lease: {text}"),
    })
}

fn itself() -> Result<ProcessId, CannotBegin> {
    let seen = processes::look(std::process::id());
    seen.map(|seen| seen.id)
        .ok_or_else(|| broken("finding itself")("it is not in /proc"))
}

fn open_notify(spec: &Spec) -> Result<Notify, CannotBegin> {
    let ours = getuid().as_raw();
    // A user that is not there is the second stage's to tell.
    let account = users::resolve(spec.user.as_deref(), spec.group.as_deref());
    let theirs = account.ok().flatten().map_or(ours, |account| account.uid);
    Notify::open(std::process::id(), ours, theirs).map_err(broken("opening its notify socket"))
}

fn spawn(notify: Option<&Notify>) -> io::Result<Process> {
    let (report, to_report) = io::pipe()?;
    let (output, to_output) = io::pipe()?;
    let (error, to_error) = io::pipe()?;
    // Also when the file was replaced by a newer one meanwhile.
    let mut command = Command::new("/proc/self/exe");
    command
        .arg0("mainstay-hold")
        .arg("exec")
        .arg(std::process::id().to_string())
        .env_clear()
        .stdin(to_report)
        .stdout(to_output)
        .stderr(to_error)
        .process_group(0);
    if let Some(notify) = notify {
        command.env(NOTIFY_VARIABLE, &notify.address);
    }
    let child = command.spawn()?;
    drop(command);
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or(ErrorKind::InvalidData)?;
    let id = processes::look(child.id()).ok_or(ErrorKind::NotFound)?.id;
    Ok(Process {
        pid,
        id,
        pidfd: pidfd_open(pid, PidfdFlags::empty())?,
        report: Some(nonblocking(report)?),
        streams: [
            Stream::new(output, "out")?,
            Stream::new(error, "err")?.with_tail(),
        ],
        watch: LineWatch::new(None),
    })
}

fn nonblocking(pipe: PipeReader) -> io::Result<PipeReader> {
    rustix::io::ioctl_fionbio(&pipe, true)?;
    Ok(pipe)
}

/// Of whoever started us: their pipes must not wait for our end.
fn let_go() -> io::Result<()> {
    let nothing = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/null")?;
    dup2_stdin(&nothing)?;
    dup2_stdout(&nothing)?;
    dup2_stderr(complaints()?)?;
    Ok(())
}

/// Where a panic of ours is found; begun anew with each hold.
fn complaints() -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open("hold.err")
}

fn slot_error(doing: &'static str) -> impl FnOnce(io::Error) -> CannotBegin {
    move |error| CannotBegin {
        exit: exit_code::SLOT,
        text: format!("{doing}: {error}"),
    }
}

fn broken<E: std::fmt::Display>(doing: impl Into<String>) -> impl FnOnce(E) -> CannotBegin {
    let doing = doing.into();
    move |error| CannotBegin {
        exit: exit_code::BROKEN,
        text: format!("{doing}: {error}"),
    }
}
