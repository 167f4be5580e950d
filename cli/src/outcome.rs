//! How commands end: with an exit code, or with a problem told in four lines.

use mainstay_api::{Exit, Problem};
use mainstay_protocol::code;

use crate::text::one_line;

pub type Outcome = Result<Exit, Problem>;

/// The arguments make no sense; nothing was asked of a server.
pub fn usage(what: impl Into<String>, why: impl Into<String>) -> Problem {
    Problem::new(code::BAD_REQUEST, what, why)
}

/// The machine refused something it was asked for: a file, a directory, a program. No defect of ours.
pub fn machine(what: impl Into<String>, why: impl std::fmt::Display) -> Problem {
    let mut problem =
        Problem::new(code::DATA_DIRECTORY, what, why.to_string()).to_do("mainstay --help");
    problem.exit = Exit::Usage;
    problem
}

/// A defect of ours.
pub fn bug(what: impl Into<String>, why: impl std::fmt::Display) -> Problem {
    Problem::new(code::INTERNAL, what, why.to_string())
}

/// Four lines, whatever the texts hold: they may quote evidence, replies and arguments.
pub fn four_lines(problem: &Problem) -> String {
    let why = if problem.why.is_empty() {
        "no cause known"
    } else {
        &problem.why
    };
    let nearest = if problem.nearest.is_empty() {
        String::new()
    } else {
        format!(" (nearest: {})", one_line(&problem.nearest.join(", ")))
    };
    let request = if problem.request_id.is_empty() {
        "-"
    } else {
        &problem.request_id
    };
    format!(
        "error: {}\n  why: {}{}\n  do:  {}\n  {} (request {})",
        one_line(&problem.what),
        one_line(why),
        nearest,
        one_line(&problem.to_do),
        problem.code,
        one_line(request),
    )
}

/// Of several targets the worst outcome is the command's.
pub fn worst(a: Exit, b: Exit) -> Exit {
    if gravity(b) > gravity(a) { b } else { a }
}

/// Higher is worse. A failed target outweighs one that is merely not there; a defect outweighs everything.
fn gravity(exit: Exit) -> u8 {
    match exit {
        Exit::Ok => 0,
        Exit::ChangesPending => 1,
        Exit::NotHealthy => 2,
        Exit::NotFound => 3,
        Exit::Conflict => 4,
        Exit::TimedOut => 5,
        Exit::TargetFailed => 6,
        Exit::Refused => 7,
        Exit::NotAllowed => 8,
        Exit::Usage => 9,
        Exit::VersionMismatch => 10,
        Exit::NoQuorum => 11,
        Exit::NoServer => 12,
        Exit::Interrupted => 13,
        Exit::Bug => 14,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_of_several_outcomes_wins_in_any_order() {
        for a in Exit::ALL {
            for b in Exit::ALL {
                assert_eq!(worst(a, b), worst(b, a), "{a:?} {b:?}");
            }
            assert_eq!(worst(Exit::Ok, a), a);
        }
    }

    #[test]
    fn a_problem_has_four_lines_whatever_its_texts_hold() {
        let problem = Problem::new(
            code::NAME_HELD,
            "could not\nstart \u{1b}[31mx",
            "held by\r\ngreeter@n1",
        )
        .near(vec!["a\nb".to_owned()])
        .to_do("mainstay describe greeter@n1");
        let text = four_lines(&problem);
        assert_eq!(text.lines().count(), 4, "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
        assert!(text.contains("greeter@n1 (nearest: a / b)\n"), "{text}");
        assert!(text.ends_with("MS-NAME-HELD (request -)"), "{text}");
        let silent = four_lines(&Problem::new(code::INTERNAL, "x", ""));
        assert!(silent.contains("why: no cause known"), "{silent}");
    }
}
