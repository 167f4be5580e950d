//! A start that came to nothing, in words: what was waited for, how it ended, what it said last.

use std::time::Duration;

use mainstay_hold::{Exit, How};
use mainstay_service::CannotStart;

use crate::held::{Over, exit_words};

/// Of standard error: the whole is told within what a report holds.
const SAID_BYTES_MAX: usize = 2 * 1024;
/// Errors of the kernel that stay until somebody changes the configuration or the machine: EPERM, ENOENT, E2BIG,
/// ENOEXEC, EACCES, ENOTDIR, EINVAL, ENAMETOOLONG, ELOOP; and none, where the hold itself found it wrong.
const LASTING: [i32; 10] = [0, 1, 2, 7, 8, 13, 20, 22, 36, 40];
const ENOENT: i32 = 2;

/// Whether the program ever ran.
pub(super) fn ran(over: &Over) -> bool {
    match over {
        Over::Exit(exit) => !matches!(exit.how, How::NotStarted { .. }),
        Over::HoldLost | Over::NotBegun => false,
    }
}

/// The program never ran.
pub(super) fn did_not_run(over: &Over) -> CannotStart {
    let Over::Exit(exit) = over else {
        return ended_unready(over);
    };
    let How::NotStarted { doing, errno, text } = &exit.how else {
        return ended_unready(over);
    };
    let program = doing.strip_prefix("running ");
    let by_name = *errno == ENOENT && program.is_some_and(|program| !program.contains('/'));
    let hint = match by_name {
        true => " (it was looked for in its PATH)",
        false => "",
    };
    let why = format!("{doing}: {text}{hint}");
    match LASTING.contains(errno) && !exit.lease_ran_out {
        true => CannotStart::Config(why),
        false => CannotStart::NotNow(why),
    }
}

/// It ran, and ended before it was ready.
pub(super) fn ended_unready(over: &Over) -> CannotStart {
    CannotStart::NotNow(match over {
        Over::Exit(exit) if exit.lease_ran_out => {
            "its lease ran out before it was ready".to_owned()
        }
        Over::Exit(exit) => format!("it {}, before it was ready{}", exit_words(exit), said(exit)),
        Over::HoldLost => "its hold was killed before it was ready".to_owned(),
        Over::NotBegun => "its process was never there".to_owned(),
    })
}

/// It ran, and was not ready in time.
pub(super) fn late(within: Duration, waited_for: &str, over: Option<&Over>) -> CannotStart {
    let said = match over {
        Some(Over::Exit(exit)) => said(exit),
        Some(Over::HoldLost | Over::NotBegun) | None => String::new(),
    };
    let ms = within.as_millis();
    CannotStart::NotNow(format!(
        "it was not ready within {ms} ms: {waited_for}; it was killed{said}"
    ))
}

/// Its last words on standard error.
fn said(exit: &Exit) -> String {
    let tail = exit.stderr_tail.trim();
    if tail.is_empty() {
        return String::new();
    }
    let mut from = tail.len().saturating_sub(SAID_BYTES_MAX);
    while !tail.is_char_boundary(from) {
        from += 1;
    }
    format!("; it said last: {}", &tail[from..])
}

/// `, 1.25 s of cpu, 3.4 MiB, 2 processes`
pub(super) fn usage(cpu_ticks: u64, rss_bytes: u64, processes: u32) -> String {
    let per_second = rustix::param::clock_ticks_per_second();
    let hundredths = cpu_ticks * 100 / per_second.max(1);
    let tenths = rss_bytes * 10 / (1024 * 1024);
    format!(
        ", {}.{:02} s of cpu, {}.{} MiB, {processes} process{}",
        hundredths / 100,
        hundredths % 100,
        tenths / 10,
        tenths % 10,
        if processes == 1 { "" } else { "es" }
    )
}
