//! The second stage: in the process to be, before the program. What cannot be done is said on the pipe that standard
//! input is; a pipe that closes without a word says that the program runs.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use mainstay_hold::{Fields, SLOT_VARIABLE, Slot, Spec, boot_clock, users};
use rustix::fs::Mode;
use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::{
    Gid, Pid, Resource, Rlimit, Signal, Uid, geteuid, getppid, getrlimit,
    set_parent_process_death_signal, setrlimit, umask,
};
use rustix::stdio::dup2_stdin;
use rustix::thread::{set_thread_gid, set_thread_groups, set_thread_uid};

use super::memory;

/// How the hold tells its second stage where the process may notify it.
pub const NOTIFY_VARIABLE: &str = "NOTIFY_SOCKET";
/// As shells have it; nobody reads it, since the pipe says more.
const CANNOT_RUN: u8 = 127;
/// What the kernel reads of a script to find its interpreter.
const FIRST_LINE_BYTES: u64 = 256;

struct Cannot {
    doing: String,
    error: io::Error,
}

pub fn run(parent: u32) -> ExitCode {
    let Ok(pipe) = fcntl_dupfd_cloexec(io::stdin(), 3) else {
        return ExitCode::from(CANNOT_RUN);
    };
    let Cannot { doing, error } = become_it(parent);
    let line = Fields::new()
        .with("doing", doing)
        .with("errno", error.raw_os_error().unwrap_or(0))
        .with("text", in_words(&error))
        .to_line("cannot");
    // The hold reads it, or is gone.
    let _ = File::from(pipe).write_all(line.as_bytes());
    ExitCode::from(CANNOT_RUN)
}

/// Returns only if it cannot.
fn become_it(parent: u32) -> Cannot {
    match prepared(parent) {
        Ok((mut command, spec)) => {
            let error = command.exec();
            Cannot {
                doing: format!("running {}", spec.command[0]),
                error: explained(error, &spec.command[0]),
            }
        }
        Err(cannot) => cannot,
    }
}

fn prepared(parent: u32) -> Result<(Command, Spec), Cannot> {
    let nothing = File::open("/dev/null").map_err(cannot("opening /dev/null"))?;
    dup2_stdin(&nothing).map_err(cannot("giving it no input"))?;
    die_with(parent)?;
    // The hold's working directory is the slot.
    let slot = std::env::current_dir().map_err(cannot("finding its slot"))?;
    let spec = Slot::at(&slot).spec().map_err(cannot("reading its spec"))?;
    let spec =
        spec.ok_or_else(|| says("reading its spec", ErrorKind::NotFound, "there is none"))?;
    let account = users::resolve(spec.user.as_deref(), spec.group.as_deref())
        .map_err(|text| says("finding its user", ErrorKind::NotFound, &text))?;
    if let Some(group) = &spec.memory_group {
        memory::enter(group).map_err(cannot("entering its memory group"))?;
    }
    limit(&spec)?;
    if let Some(mask) = spec.umask {
        umask(Mode::from_raw_mode(mask));
    }
    if let Some(account) = account {
        change_to(&account)?;
        // The kernel forgets it when the user changes.
        die_with(parent)?;
    }
    if let Some(directory) = &spec.directory {
        let doing = format!("changing to the directory {directory}");
        std::env::set_current_dir(directory).map_err(cannot(doing))?;
    }
    let mut command = Command::new(&spec.command[0]);
    command.args(&spec.command[1..]).env_clear();
    command.envs(spec.environment.iter().map(|(key, value)| (key, value)));
    command.env(SLOT_VARIABLE, slot);
    if let Some(address) = std::env::var_os(NOTIFY_VARIABLE).filter(|_| spec.notify) {
        command.env(NOTIFY_VARIABLE, address);
    }
    within_lease(&spec)?;
    Ok((command, spec))
}

fn die_with(parent: u32) -> Result<(), Cannot> {
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(cannot("binding its life to the hold's"))?;
    // If the hold went before we asked, the signal never comes.
    let now = getppid().map(Pid::as_raw_nonzero);
    if now.is_some_and(|now| u32::try_from(now.get()) == Ok(parent)) {
        Ok(())
    } else {
        let text = "the hold is gone";
        Err(says(
            "binding its life to the hold's",
            ErrorKind::NotFound,
            text,
        ))
    }
}

/// The last look before the program: whoever started us may have been stopped on the way, and a name that is somebody
/// else's by now must not be taken for a moment either. A lease that was prolonged while we were on our way is none to
/// us: a start that takes longer than its lease is better tried again.
fn within_lease(spec: &Spec) -> Result<(), Cannot> {
    match &spec.lease {
        Some(lease) if lease.until_ms <= boot_clock::now_ms() => Err(says(
            "beginning within its lease",
            ErrorKind::TimedOut,
            "the lease has run out",
        )),
        Some(_) | None => Ok(()),
    }
}

fn limit(spec: &Spec) -> Result<(), Cannot> {
    for (name, limit) in spec.limits.named() {
        if let Some(limit) = limit {
            set_limit(name, limit).map_err(cannot(format!("limiting its {name}")))?;
        }
    }
    Ok(())
}

/// By the name that a spec has for it.
pub fn set_limit(name: &str, limit: u64) -> io::Result<()> {
    let resource = match name {
        "open-files" => Resource::Nofile,
        "address-space-bytes" => Resource::As,
        "core-bytes" => Resource::Core,
        "processes" => Resource::Nproc,
        "cpu-seconds" => Resource::Cpu,
        "file-bytes" => Resource::Fsize,
        _ => return Err(io::Error::new(ErrorKind::InvalidInput, "nobody knows it")),
    };
    // At the higher one the kernel kills; only at a lower one does SIGXCPU say why.
    let maximum = match (resource, getrlimit(resource).maximum) {
        (Resource::Cpu, Some(most)) => limit.saturating_add(1).min(most.max(limit)),
        (Resource::Cpu, None) => limit.saturating_add(1),
        _ => limit,
    };
    let both = Rlimit {
        current: Some(limit),
        maximum: Some(maximum),
    };
    Ok(setrlimit(resource, both)?)
}

fn change_to(account: &users::Account) -> Result<(), Cannot> {
    let ours = geteuid();
    if !ours.is_root() && ours.as_raw() == account.uid {
        return Ok(());
    }
    let groups: Vec<Gid> = account
        .groups
        .iter()
        .map(|gid| Gid::from_raw(*gid))
        .collect();
    let doing = || format!("changing to the user {}", account.uid);
    set_thread_groups(&groups).map_err(cannot(doing()))?;
    set_thread_gid(Gid::from_raw(account.gid)).map_err(cannot(doing()))?;
    set_thread_uid(Uid::from_raw(account.uid)).map_err(cannot(doing()))
}

fn cannot<E: Into<io::Error>>(doing: impl Into<String>) -> impl FnOnce(E) -> Cannot {
    let doing = doing.into();
    move |error| Cannot {
        doing,
        error: error.into(),
    }
}

fn says(doing: &str, kind: ErrorKind, text: &str) -> Cannot {
    Cannot {
        doing: doing.to_owned(),
        error: io::Error::new(kind, text),
    }
}

/// The system's words without the number that follows them.
pub fn in_words(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" (os error ") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}

/// A file that is there and "not found" has an interpreter that is not.
fn explained(error: io::Error, program: &str) -> io::Error {
    if error.kind() != ErrorKind::NotFound || !program.contains('/') || !Path::new(program).exists()
    {
        return error;
    }
    let mut start = Vec::new();
    if let Ok(file) = File::open(program) {
        // What cannot be read says nothing.
        let _ = file.take(FIRST_LINE_BYTES).read_to_end(&mut start);
    }
    let first = start
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    let text = match first.strip_prefix(b"#!") {
        Some(interpreter) => format!(
            "its interpreter {} is not there",
            String::from_utf8_lossy(interpreter).trim()
        ),
        None => "the file is there, but its loader is not".to_owned(),
    };
    io::Error::new(ErrorKind::NotFound, text)
}
