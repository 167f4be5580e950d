//! Errors: one shape everywhere. What failed, why, what to do, and the code; one table says what each code means
//! to HTTP and to a shell.

use std::fmt;

use mainstay_protocol::code::{self, Code};
use mainstay_protocol::request::Refusal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::exit::Exit;
use crate::types::WishFlaw;

/// What went wrong, as printed by the CLI and sent as `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// What failed: "start web on n9".
    pub what: String,
    /// Its causes, in words.
    pub why: String,
    /// What to do about it: a runnable command.
    pub to_do: String,
    /// A code such as MS-NAME-HELD; `mainstay explain CODE` says what it means.
    #[schemars(with = "String")]
    pub code: Code,
    /// Of the request, as in the header `x-request-id`.
    pub request_id: String,
    /// The HTTP status.
    pub status: u16,
    /// What a command ends with that meets it.
    #[schemars(with = "u8")]
    pub exit: Exit,
    /// The nearest valid names, where a name was wrong.
    pub nearest: Vec<String>,
    /// What is wrong with specifications that were sent, each with its path; empty where none were.
    #[serde(default)]
    pub flaws: Vec<WishFlaw>,
    /// What is wrong with JSON that was sent, each with the pointer to it; empty where none was.
    #[serde(default)]
    pub faults: Vec<JsonFault>,
    /// It was made by the client, of a request without a whole answer: `what` names a route, not what was done.
    #[serde(skip)]
    pub is_of_route: bool,
}

impl Problem {
    pub fn new(code: Code, what: impl Into<String>, why: impl Into<String>) -> Self {
        let (status, exit) = meaning(&code);
        Self {
            what: what.into(),
            why: why.into(),
            to_do: remedy(&code).unwrap_or("mainstay status").to_owned(),
            code,
            request_id: String::new(),
            status,
            exit,
            nearest: Vec::new(),
            flaws: Vec::new(),
            faults: Vec::new(),
            is_of_route: false,
        }
    }

    /// A request came to no whole answer.
    pub fn of_route(code: Code, route: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            is_of_route: true,
            ..Self::new(code, route, why)
        }
    }

    /// A refusal of the coordinator or of a node's agent.
    pub fn refused(what: impl Into<String>, refusal: Refusal) -> Self {
        let faults = match WITH_FAULTS.contains(&refusal.code) {
            // The coordinator writes them a line each, behind a first one that says of what.
            true => refusal
                .text
                .lines()
                .skip(1)
                .map(JsonFault::of_line)
                .collect(),
            false => Vec::new(),
        };
        Self {
            faults,
            ..Self::new(refusal.code, what, refusal.text).near(refusal.nearest)
        }
    }

    #[must_use]
    pub fn to_do(mut self, command: impl Into<String>) -> Self {
        self.to_do = command.into();
        self
    }

    #[must_use]
    pub fn near(mut self, names: Vec<String>) -> Self {
        self.nearest = names;
        self
    }

    #[must_use]
    pub fn in_request(mut self, request_id: impl Into<String>) -> Self {
        self.request_id = request_id.into();
        self
    }

    /// A retry of the same request may succeed: the station is overloaded, or has no leader just now.
    pub fn is_retryable(&self) -> bool {
        [code::OVERLOADED, code::NO_QUORUM, code::NO_SERVER].contains(&self.code)
    }
}

/// One thing that is wrong with JSON that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JsonFault {
    /// Where: an RFC 6901 pointer, empty for all of it.
    pub pointer: String,
    /// What is wrong there.
    pub text: String,
}

impl JsonFault {
    fn of_line(line: &str) -> Self {
        let pointed = line.split_once(": ");
        let (pointer, text) = pointed
            .filter(|(pointer, _)| pointer.starts_with('/'))
            .unwrap_or(("", line));
        Self {
            pointer: pointer.to_owned(),
            text: text.to_owned(),
        }
    }
}

/// The four lines; a why that lists several things has a line for each.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "error: {}", self.what)?;
        write!(f, "  why: {}", self.why.replace('\n', "\n       "))?;
        if !self.nearest.is_empty() {
            write!(f, " (nearest: {})", self.nearest.join(", "))?;
        }
        writeln!(f)?;
        writeln!(f, "  do:  {}", self.to_do)?;
        write!(f, "  {}", self.code)?;
        if !self.request_id.is_empty() {
            write!(f, " (request {})", self.request_id)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problem {}

/// Whose refusals say line by line what is wrong, each with its pointer.
const WITH_FAULTS: [Code; 5] = [
    code::BAD_DEFINITION,
    code::BAD_INPUT,
    code::CONTROLLER_UNKNOWN,
    code::BAD_PARAMETERS,
    code::NO_ARTIFACT,
];

/// The one table: code, HTTP status, exit code. What is not in it is a state of a target: 409 and 9.
const MEANINGS: &[(Code, u16, Exit)] = &[
    (code::BAD_REQUEST, 400, Exit::Usage),
    (code::BAD_CONFIG, 422, Exit::Usage),
    (code::UNKNOWN_KIND, 400, Exit::Usage),
    (code::BAD_SPEC, 422, Exit::Usage),
    (code::BAD_DEFINITION, 400, Exit::Usage),
    (code::BAD_INPUT, 422, Exit::Usage),
    (code::SERVICE_UNKNOWN, 404, Exit::NotFound),
    (code::CONTROLLER_UNKNOWN, 422, Exit::Usage),
    (code::CONTROLLER_NOT_ORDERABLE, 409, Exit::Refused),
    (code::BAD_PARAMETERS, 422, Exit::Usage),
    (code::NO_ARTIFACT, 422, Exit::Usage),
    (code::ARTIFACT_DIFFERS, 409, Exit::Conflict),
    (code::EXISTS, 409, Exit::Conflict),
    (code::IN_USE, 409, Exit::Refused),
    (code::INACTIVE, 409, Exit::Refused),
    (code::UNSERVED, 409, Exit::Refused),
    (code::RUN_DIFFERS, 409, Exit::Conflict),
    (code::NOT_NOW, 409, Exit::Refused),
    (code::STALE_TOKEN, 409, Exit::Conflict),
    (code::STALE_PLAN, 409, Exit::Conflict),
    (code::NAME_IS_FIXED, 400, Exit::Usage),
    (code::NO_CONTEXT, 400, Exit::Usage),
    (code::UNKNOWN_NODE, 404, Exit::NotFound),
    (code::UNKNOWN_TYPE, 404, Exit::NotFound),
    (code::NOT_FOUND, 404, Exit::NotFound),
    (code::UNKNOWN_MESSAGE, 404, Exit::NotFound),
    (code::PLACEMENT_DIFFERS, 409, Exit::Conflict),
    (code::OVERTAKEN, 409, Exit::Conflict),
    (code::GENERATION_PAST, 412, Exit::Conflict),
    (code::LEAVING, 409, Exit::Conflict),
    (code::DEPENDED_ON, 409, Exit::Refused),
    (code::DEPENDENCY_CYCLE, 422, Exit::Usage),
    (code::NAME_HELD, 409, Exit::Conflict),
    (code::NAME_HELD_ON_NODE, 409, Exit::Conflict),
    (code::NODE_ID_IN_USE, 409, Exit::Conflict),
    (code::WRONG_CLUSTER, 409, Exit::Conflict),
    (code::TOKEN_UNKNOWN, 403, Exit::NotAllowed),
    (code::TOKEN_EXPIRED, 403, Exit::NotAllowed),
    (code::TOKEN_USED, 403, Exit::NotAllowed),
    (code::TOKEN_REVOKED, 403, Exit::NotAllowed),
    (code::TOKEN_ROLE, 403, Exit::NotAllowed),
    (code::NAME_TAKEN, 409, Exit::Conflict),
    (code::CLOCK, 403, Exit::NotAllowed),
    (code::STRANGER, 401, Exit::NotAllowed),
    (code::CERTIFICATE_EXPIRED, 401, Exit::NotAllowed),
    (code::IDENTITY_REVOKED, 403, Exit::NotAllowed),
    (code::NO_SEAL_KEY, 500, Exit::Refused),
    (code::NO_SECRET, 422, Exit::Usage),
    (code::NOT_ALLOWED, 403, Exit::NotAllowed),
    (code::NO_SERVER, 503, Exit::NoServer),
    (code::NO_QUORUM, 503, Exit::NoQuorum),
    (code::ANSWER_LOST, 502, Exit::NoServer),
    (code::TIMEOUT, 504, Exit::TimedOut),
    (code::OVERLOADED, 503, Exit::TimedOut),
    (code::TARGET_FAILED, 409, Exit::TargetFailed),
    (code::MESSAGE_REFUSED, 422, Exit::TargetFailed),
    (code::OWN_PART, 409, Exit::Refused),
    (code::NODE_CORDONED, 409, Exit::Refused),
    (code::NODE_DRAINED, 409, Exit::Refused),
    (code::IN_MAINTENANCE, 409, Exit::Refused),
    (code::NO_ROOM, 409, Exit::Refused),
    (code::ARTIFACTS_FULL, 409, Exit::Refused),
    (code::STRAY, 409, Exit::Refused),
    (code::REFUSED_BY_SAFETY, 409, Exit::Refused),
    (code::VERSION_MISMATCH, 426, Exit::VersionMismatch),
    (code::INTERNAL, 500, Exit::Bug),
    (code::DISK_FULL, 507, Exit::Refused),
    (code::BAD_BACKUP, 422, Exit::Usage),
    (code::DATA_DIRECTORY, 500, Exit::Bug),
    (code::MACHINE_UNREACHABLE, 503, Exit::NoServer),
    (code::MACHINE_REFUSES, 409, Exit::TargetFailed),
];

/// What a code means to HTTP and to a shell.
pub fn meaning(code: &Code) -> (u16, Exit) {
    MEANINGS
        .iter()
        .find(|(known, _, _)| known == code)
        .map_or((409, Exit::TargetFailed), |(_, status, exit)| {
            (*status, *exit)
        })
}

/// What usually helps; callers who know better say so.
fn remedy(code: &Code) -> Option<&'static str> {
    const REMEDIES: &[(Code, &str)] = &[
        (code::BAD_REQUEST, "mainstay --help"),
        (code::UNKNOWN_KIND, "mainstay get --help"),
        (code::UNKNOWN_NODE, "mainstay get nodes"),
        (code::UNKNOWN_TYPE, "mainstay get types"),
        (code::BAD_CONFIG, "mainstay get types -o json"),
        (code::NO_SECRET, "mainstay secret list"),
        (code::NAME_IS_FIXED, "mainstay get types"),
        (code::BAD_SPEC, "mainstay explain MS-BAD-SPEC"),
        (code::STALE_PLAN, "mainstay explain MS-STALE-PLAN"),
        (code::BAD_DEFINITION, "mainstay explain MS-BAD-DEFINITION"),
        (code::BAD_INPUT, "mainstay explain MS-BAD-INPUT"),
        (code::SERVICE_UNKNOWN, "mainstay service list"),
        (
            code::CONTROLLER_UNKNOWN,
            "mainstay explain MS-CONTROLLER-UNKNOWN",
        ),
        (
            code::CONTROLLER_NOT_ORDERABLE,
            "mainstay explain MS-CONTROLLER-NOT-ORDERABLE",
        ),
        (code::BAD_PARAMETERS, "mainstay service list"),
        (code::NO_ARTIFACT, "mainstay artifact list"),
        (code::ARTIFACT_DIFFERS, "mainstay artifact list"),
        (code::ARTIFACTS_FULL, "mainstay artifact list"),
        (code::EXISTS, "mainstay explain MS-EXISTS"),
        (code::IN_USE, "mainstay explain MS-IN-USE"),
        (code::INACTIVE, "mainstay orchestration list"),
        (code::UNSERVED, "mainstay get types"),
        (code::RUN_DIFFERS, "mainstay run list"),
        (code::NOT_NOW, "mainstay run list"),
        (code::STALE_TOKEN, "mainstay run list"),
        (code::GENERATION_PAST, "mainstay get placements"),
        (code::LEAVING, "mainstay get placements"),
        (code::DEPENDED_ON, "mainstay get placements"),
        (code::DEPENDENCY_CYCLE, "mainstay get placements"),
        (code::NAME_HELD, "mainstay get names"),
        (code::NO_SERVER, "mainstay dev"),
        (code::NO_CONTEXT, "mainstay dev"),
        (code::AGENT_DOWN, "mainstay get nodes"),
        (code::NODE_AWAY, "mainstay get nodes"),
        (code::OVERLOADED, "mainstay status"),
        (code::DISK_FULL, "df -h"),
        (code::INTERNAL, "mainstay version"),
        (code::MACHINE_UNREACHABLE, "mainstay bootstrap --help"),
        (code::MACHINE_REFUSES, "mainstay bootstrap --help"),
    ];
    REMEDIES
        .iter()
        .find(|(known, _)| known == code)
        .map(|(_, command)| *command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_the_table_is_there_once() {
        for (index, (code, _, _)) in MEANINGS.iter().enumerate() {
            assert!(
                MEANINGS[..index].iter().all(|(other, _, _)| other != code),
                "{code}"
            );
        }
    }

    /// What its page says is what a shell sees.
    #[test]
    fn the_page_of_a_code_names_its_exit_code() {
        let pages = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/codes");
        for (code, _, exit) in MEANINGS {
            let page = std::fs::read_to_string(format!("{pages}/{code}.md")).unwrap();
            let said = page.split("exit code ").nth(1);
            let digits = said.map(|said| said.split(|c: char| !c.is_ascii_digit()).next().unwrap());
            let said = digits.filter(|digits| !digits.is_empty());
            assert!(
                said.is_none_or(|said| said == (*exit as u8).to_string()),
                "{code} ends with {}, and its page says {said:?}",
                *exit as u8
            );
        }
    }

    #[test]
    fn a_problem_has_four_lines_and_names_the_nearest() {
        let problem = Problem::new(
            code::UNKNOWN_TYPE,
            "start greter",
            "no node provides \"greter\"",
        )
        .near(vec!["greeter".to_owned()])
        .in_request("r1");
        let text = problem.to_string();
        assert_eq!(text.lines().count(), 4, "{text}");
        assert!(
            text.contains("nearest: greeter") && text.contains("MS-UNKNOWN-TYPE (request r1)"),
            "{text}"
        );
        assert_eq!((problem.status, problem.exit), (404, Exit::NotFound));
    }

    #[test]
    fn a_problem_keeps_its_fields_through_json() {
        let problem = Problem::new(code::NO_QUORUM, "start", "no leader");
        let json = serde_json::to_value(&problem).unwrap();
        assert_eq!(json["exit"], 7);
        assert_eq!(serde_json::from_value::<Problem>(json).unwrap(), problem);
    }
}
