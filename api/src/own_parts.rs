//! Parts of the runtime itself: shown and asked like services, never started, stopped or restarted by hand.

use mainstay_protocol::code;

use crate::problem::Problem;

/// Names of own parts, which no service may take.
const NAMES: [&str; 5] = [
    "coordinator",
    "host",
    "recovery-coordinator",
    "recovery-supervisor",
    "supervisor",
];

/// Why `verb` is not done to `reference`; none if it is no part of the runtime.
pub fn refuse(verb: &str, reference: &str) -> Option<Problem> {
    let kind = reference.split(['/', '@']).next().unwrap_or_default();
    let singular = kind.strip_suffix('s').unwrap_or(kind);
    let part = match singular {
        "node" | "station" => true,
        name => NAMES.contains(&name),
    };
    let bare = ["node", "station"].contains(&reference);
    if !part || bare {
        return None;
    }
    let why = format!(
        "{reference} is a part of the runtime; what needs it restarted restarts it by itself"
    );
    let problem = Problem::new(code::OWN_PART, format!("{verb} {reference}"), why);
    Some(match singular {
        "supervisor" if reference.contains('/') => {
            problem.to_do(format!("mainstay check {reference}"))
        }
        "node" => problem.to_do(format!("mainstay describe {reference}")),
        _ => problem.to_do("mainstay status"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;

    #[test]
    fn own_parts_are_refused_and_services_are_not() {
        for own in [
            "supervisor/n1",
            "supervisors/n1",
            "recovery-coordinator",
            "station/s1",
            "node/n1",
            "coordinator@n1",
        ] {
            assert_eq!(
                refuse("stop", own).map(|problem| problem.exit),
                Some(Exit::Refused),
                "{own}"
            );
        }
        for service in ["web", "web@n1", "placement/web", "hostess", "node"] {
            assert_eq!(refuse("stop", service), None, "{service}");
        }
    }
}
