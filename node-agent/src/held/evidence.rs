//! An exit in the words and kinds of reports.

use mainstay_hold::{Exit, How};
use mainstay_protocol::health::{Evidence, FailureKind};
use mainstay_protocol::report::Ending;
use mainstay_supervisor::ExitHow;

use super::Over;

/// What the kernel calls its signals, on every machine that this runs on.
const SIGNALS: [(i32, &str); 16] = [
    (1, "SIGHUP"),
    (2, "SIGINT"),
    (3, "SIGQUIT"),
    (4, "SIGILL"),
    (5, "SIGTRAP"),
    (6, "SIGABRT"),
    (7, "SIGBUS"),
    (8, "SIGFPE"),
    (9, "SIGKILL"),
    (10, "SIGUSR1"),
    (11, "SIGSEGV"),
    (12, "SIGUSR2"),
    (13, "SIGPIPE"),
    (14, "SIGALRM"),
    (15, "SIGTERM"),
    (24, "SIGXCPU"),
];

fn signal_name(signal: i32) -> String {
    let known = SIGNALS.iter().find(|(number, _)| *number == signal);
    known.map_or_else(
        || format!("signal {signal}"),
        |(_, name)| (*name).to_owned(),
    )
}

/// How a process that had begun came to its end.
pub(crate) fn exit_how(over: &Over) -> ExitHow {
    let exit = match over {
        Over::NotBegun => {
            let text = "its process was never there";
            return ExitHow::Failed(FailureKind::Vanished, Evidence::text(text));
        }
        Over::HoldLost => {
            let text = "its hold was killed, and the process with it; how it ended is not known, and what was left was cleared";
            return ExitHow::Failed(FailureKind::Vanished, Evidence::text(text));
        }
        Over::Exit(exit) => exit,
    };
    let kind = match &exit.how {
        _ if exit.lease_ran_out => FailureKind::LeaseRanOut,
        _ if exit.asked && exit.killed => return ExitHow::Ended(Ending::Killed),
        _ if exit.asked => return ExitHow::Ended(Ending::Asked),
        How::Code(0) => return ExitHow::Ended(Ending::ByItself),
        How::Code(_) | How::NotStarted { .. } => FailureKind::Exit,
        How::Signal(_) => FailureKind::Signal,
        How::OutOfMemory { .. } => FailureKind::OutOfMemory,
    };
    let (exit_code, signal) = match exit.how {
        How::Code(code) => (Some(code), None),
        How::Signal(signal) => (None, Some(signal)),
        How::OutOfMemory { signal, code } => (code, signal),
        How::NotStarted { .. } => (None, None),
    };
    let evidence = Evidence {
        text: exit_words(exit),
        location: None,
        exit_code,
        signal,
        // Nothing else knows how long it ran, not even if it was no time at all.
        ran_ms: exit.ran_ms.max(1),
        stderr_tail: exit.stderr_tail.clone(),
    };
    ExitHow::Failed(kind, evidence)
}

/// `exited with code 1 after 2.3 s; 2 processes that it left were killed`
pub(crate) fn exit_words(exit: &Exit) -> String {
    let how = match &exit.how {
        How::Code(code) => format!("exited with code {code}"),
        How::Signal(signal) => format!("was ended by {}", signal_name(*signal)),
        How::OutOfMemory { .. } => "ran out of the memory that it may have".to_owned(),
        How::NotStarted { doing, text, .. } => return format!("{doing}: {text}"),
    };
    let left = match exit.leftovers {
        0 => String::new(),
        1 => "; a process that it left was killed".to_owned(),
        many => format!("; {many} processes that it left were killed"),
    };
    let lost = match exit.lines_lost {
        0 => String::new(),
        lines => format!("; {lines} lines of its output were lost"),
    };
    format!("{how} after {}{left}{lost}", span(exit.ran_ms))
}

fn span(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        _ => format!("{} min {} s", ms / 60_000, ms % 60_000 / 1_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over(how: How) -> Over {
        Over::Exit(Box::new(Exit {
            instance: "web@n1".to_owned(),
            incarnation: "1-1-1".to_owned(),
            boot_id: "boot".to_owned(),
            process: None,
            how,
            asked: false,
            killed: false,
            lease_ran_out: false,
            ran_ms: 2_345,
            ended_unix_ms: 0,
            leftovers: 2,
            lines_lost: 0,
            stderr_tail: "no such table".to_owned(),
        }))
    }

    // proves: S4
    #[test]
    fn an_exit_becomes_a_failure_with_its_evidence_and_a_clean_one_does_not() {
        let ExitHow::Failed(kind, evidence) = exit_how(&over(How::Code(3))) else {
            panic!("code 3 is a failure");
        };
        assert_eq!((kind, evidence.exit_code), (FailureKind::Exit, Some(3)));
        assert_eq!(
            evidence.text,
            "exited with code 3 after 2.3 s; 2 processes that it left were killed"
        );
        assert_eq!(
            (evidence.ran_ms, evidence.stderr_tail.as_str()),
            (2_345, "no such table")
        );
        let signal = exit_how(&over(How::Signal(11)));
        assert!(
            matches!(&signal, ExitHow::Failed(FailureKind::Signal, evidence)
                if evidence.signal == Some(11) && evidence.text.contains("SIGSEGV")),
            "{signal:?}"
        );
        assert_eq!(
            exit_how(&over(How::Code(0))),
            ExitHow::Ended(Ending::ByItself)
        );
        assert!(matches!(
            exit_how(&Over::HoldLost),
            ExitHow::Failed(FailureKind::Vanished, _)
        ));
    }
}
