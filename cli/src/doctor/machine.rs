//! Judging this machine: limits, disks, files, addresses, what it shows.

use std::time::Duration;

use mainstay_api::present::certificate;
use mainstay_api::time::span;
use mainstay_protocol::{Bearer, limits};

use super::{Check, Directory, Facts, KeptHere, Listen, Machine, State, bad, ok};
use crate::text::{age, bytes};

/// What a station of a large cluster may need: a session and an API connection for each node, and the database.
const OPEN_FILES_GOOD: u64 = 16 * 1024;
/// With fewer even a small one runs out.
const OPEN_FILES_MIN: u64 = 1024;
/// Threads count as processes.
const PROCESSES_GOOD: u64 = 4096;
/// The first kernel with handles on processes that can be waited for.
const KERNEL_MIN: (u64, u64) = (5, 4);
/// So many times the least that may be free: a day's log, and a snapshot beside the one before.
const FREE_GOOD: u64 = 16 * limits::DISK_FREE_BYTES_MIN;
const FREE_FILES_GOOD: u64 = 10_000;
/// Every change waits for one write.
const SYNC_GOOD: Duration = Duration::from_millis(25);
/// How many files are named.
const NAMED_MAX: usize = 3;

pub fn judge(facts: &Facts) -> Vec<Check> {
    let mut checks = limits_of(&facts.machine);
    for directory in &facts.directories {
        checks.extend(directory_of(directory));
    }
    checks.extend(facts.listens.iter().flat_map(listen_of));
    checks.extend(facts.kept.iter().map(|kept| kept_of(kept, facts)));
    checks.extend(facts.unreadable.iter().map(|(dir, why)| {
        let dir = dir.display().to_string();
        let to_do = format!("ls -la {dir}");
        bad(State::Fail, ("certificate", Some(dir)), why, to_do)
    }));
    checks
}

fn limits_of(machine: &Machine) -> Vec<Check> {
    let mut checks = vec![kernel_of(&machine.kernel)];
    let files = |state, open: u64| {
        let detail = format!(
            "a process may open {open} files and no more; a station wants {OPEN_FILES_GOOD}: raise LimitNOFILE= in its unit, or ulimit -Hn"
        );
        bad(state, ("open-files", None), detail, "mainstay doctor")
    };
    checks.push(match machine.open_files {
        Some(open) if open < OPEN_FILES_MIN => files(State::Fail, open),
        Some(open) if open < OPEN_FILES_GOOD => files(State::Warn, open),
        Some(open) => ok("open-files", None, format!("a process may open {open}")),
        None => ok("open-files", None, "there is no bound"),
    });
    checks.push(match machine.processes {
        Some(most) if most < PROCESSES_GOOD => {
            let detail = format!(
                "this user may have {most} processes and threads; what an agent runs counts too: raise LimitNPROC= in its unit, or ulimit -Hu"
            );
            bad(State::Warn, ("processes", None), detail, "mainstay doctor")
        }
        Some(most) => ok("processes", None, format!("this user may have {most}")),
        None => ok("processes", None, "there is no bound"),
    });
    checks.push(match machine.memory_groups {
        true => ok("memory-groups", None, "control groups of version 2 are there"),
        false => bad(
            State::Warn,
            ("memory-groups", None),
            "there are no control groups of version 2: the memory of outside processes cannot be bounded",
            "ls -l /sys/fs/cgroup",
        ),
    });
    checks
}

fn kernel_of(kernel: &str) -> Check {
    let mut numbers = kernel
        .split(|c: char| !c.is_ascii_digit())
        .map(str::parse::<u64>);
    let release = (numbers.next(), numbers.next());
    let (major, minor) = KERNEL_MIN;
    match release {
        (Some(Ok(this_major)), Some(Ok(this_minor))) if (this_major, this_minor) >= KERNEL_MIN => {
            ok("kernel", None, format!("Linux {kernel}"))
        }
        (Some(Ok(_)), Some(Ok(_))) => bad(
            State::Fail,
            ("kernel", None),
            format!("Linux {kernel} is older than {major}.{minor}: processes cannot be held"),
            "mainstay version",
        ),
        _ => bad(
            State::Warn,
            ("kernel", None),
            format!("\"{kernel}\" does not say which Linux this is; {major}.{minor} is needed"),
            "mainstay version",
        ),
    }
}

fn directory_of(directory: &Directory) -> Vec<Check> {
    let shown = directory.path.display().to_string();
    let subject = || Some(shown.clone());
    if let Some(why) = &directory.unusable {
        let detail = format!("the {}'s data cannot lie there: {why}", directory.whose);
        let to_do = format!("ls -ld {shown}");
        return vec![bad(State::Fail, ("directory", subject()), detail, to_do)];
    }
    let mut checks = vec![match directory.there {
        true => ok(
            "directory",
            subject(),
            format!("the {}'s data lies there", directory.whose),
        ),
        false => {
            let detail = format!(
                "there is no {} yet; its data can lie there",
                directory.whose
            );
            ok("directory", subject(), detail)
        }
    }];
    checks.push(free_of(directory, &shown));
    checks.push(match directory.sync {
        None => bad(
            State::Warn,
            ("sync", subject()),
            "how long a write takes until it is on the disk could not be measured: this user may not write there",
            format!("ls -ld {shown}"),
        ),
        Some(took) if took > SYNC_GOOD => bad(
            State::Warn,
            ("sync", subject()),
            format!(
                "a write takes {} until it is on the disk; every change waits for one, and {} would be good",
                span(took),
                span(SYNC_GOOD)
            ),
            format!("df -h {shown}"),
        ),
        Some(took) => ok("sync", subject(), format!("a write is on the disk within {}", span(took))),
    });
    if directory.there {
        checks.push(files_of(directory, &shown));
    }
    checks
}

fn free_of(directory: &Directory, shown: &str) -> Check {
    let of = ("disk", Some(shown.to_owned()));
    let to_do = format!("df -h {shown}");
    let least = bytes(limits::DISK_FREE_BYTES_MIN);
    match (directory.free_bytes, directory.free_files) {
        (None, _) => bad(
            State::Warn,
            of,
            "what is free on its disk is not known",
            to_do,
        ),
        (Some(free), _) if free < limits::DISK_FREE_BYTES_MIN => {
            let detail = format!(
                "{} are free; below {least} nothing is changed any more (MS-DISK-FULL)",
                bytes(free)
            );
            bad(State::Fail, of, detail, to_do)
        }
        (Some(free), _) if free < FREE_GOOD => {
            let detail = format!(
                "{} are free; below {least} nothing is changed any more, and {} are wanted",
                bytes(free),
                bytes(FREE_GOOD)
            );
            bad(State::Warn, of, detail, to_do)
        }
        (Some(_), Some(files)) if files < FREE_FILES_GOOD => {
            let detail = format!("there is room for {files} more files and no more");
            bad(State::Warn, of, detail, format!("df -hi {shown}"))
        }
        (Some(free), _) => ok(
            "disk",
            Some(shown.to_owned()),
            format!("{} are free", bytes(free)),
        ),
    }
}

fn files_of(directory: &Directory, shown: &str) -> Check {
    let subject = Some(shown.to_owned());
    let to_do = format!("ls -la {shown}");
    let named = |paths: Vec<String>| {
        let more = paths.len().saturating_sub(NAMED_MAX);
        let shown: Vec<String> = paths.into_iter().take(NAMED_MAX).collect();
        match more {
            0 => shown.join(", "),
            more => format!("{} and {more} more", shown.join(", ")),
        }
    };
    if !directory.open_to_others.is_empty() {
        let open = directory.open_to_others.iter();
        let open = open.map(|(path, mode)| format!("{} ({mode:04o})", path.display()));
        let detail = format!(
            "others may read or write {}; directories are to be 0700, keys and sockets 0600",
            named(open.collect())
        );
        return bad(State::Fail, ("files", subject), detail, to_do);
    }
    if !directory.foreign.is_empty() {
        let foreign = directory
            .foreign
            .iter()
            .map(|path| path.display().to_string());
        let detail = format!(
            "{} do not belong to the owner of the directory, whose daemon may not be able to use them",
            named(foreign.collect())
        );
        return bad(State::Fail, ("files", subject), detail, to_do);
    }
    ok(
        "files",
        subject,
        "all belong to one user, and to nobody else",
    )
}

fn listen_of(listen: &Listen) -> Vec<Check> {
    let subject = || Some(listen.address.clone());
    let address = match &listen.local {
        Ok(()) => ok("address", subject(), "it is one of this machine's"),
        Err(why) => bad(
            State::Fail,
            ("address", subject()),
            format!("it is none of this machine's, so nobody can listen there: {why}"),
            "ip address",
        ),
    };
    let port = match (listen.runs, &listen.usable) {
        (true, Ok(())) => ok("port", subject(), "the station listens there"),
        (false, Ok(())) => ok(
            "port",
            subject(),
            "it is free for the station, which does not run",
        ),
        (true, Err(why)) => bad(
            State::Fail,
            ("port", subject()),
            format!("the station runs, and does not answer there: {why}"),
            "mainstay station list",
        ),
        (false, Err(why)) => bad(
            State::Fail,
            ("port", subject()),
            format!("the station does not run, and could not listen there: {why}"),
            "ip address",
        ),
    };
    match &listen.local {
        Ok(()) => vec![address, port],
        // It says the same again.
        Err(_) => vec![address],
    }
}

fn kept_of(here: &KeptHere, facts: &Facts) -> Check {
    let shown = certificate(&here.kept.bearer, Some(here.kept.ends), None, facts.now);
    let of = ("certificate", Some(shown.name.clone()));
    let (usual, renew) = match here.kept.bearer {
        Bearer::Agent(_) | Bearer::Station(_) => {
            let rotate = format!("mainstay cert rotate {}", shown.name);
            ("it is renewed by itself", rotate)
        }
        Bearer::Person { .. } => (
            "it is renewed by joining with another token",
            "mainstay join --help".to_owned(),
        ),
    };
    let note = shown.note.as_deref().unwrap_or(usual);
    match (shown.state.as_str(), here.runs) {
        ("expired", false) => bad(State::Warn, of, format!("it has run out; {note}"), renew),
        ("expired", true) => bad(State::Fail, of, format!("it has run out; {note}"), renew),
        ("due", _) => bad(
            State::Warn,
            of,
            format!("it is to be renewed now; {note}"),
            renew,
        ),
        _ => {
            let left = Duration::from_millis(shown.left_ms.unwrap_or_default());
            ok(of.0, of.1, format!("it stands for {}; {note}", age(left)))
        }
    }
}

#[cfg(test)]
mod tests;
