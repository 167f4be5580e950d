//! From what a person typed to a resource that exists; otherwise to the nearest that do.

use mainstay_protocol::code;
use mainstay_protocol::words::nearest;
use mainstay_resource_graph::{BadReference, Key, Kind};

use super::Present;
use crate::problem::Problem;

/// Kinds a person can ask for.
pub const KINDS: [Kind; 18] = [
    Kind::Node,
    Kind::Station,
    Kind::Type,
    Kind::Placement,
    Kind::Instance,
    Kind::Name,
    Kind::Supervisor,
    Kind::Configuration,
    Kind::Resource,
    Kind::Asked,
    Kind::Procedure,
    Kind::Collected,
    Kind::Orchestration,
    Kind::Activity,
    Kind::Run,
    Kind::Step,
    Kind::Service,
    Kind::Artifact,
];

/// What a text means, whether or not it exists.
pub fn parse(reference: &str) -> Result<Key, Problem> {
    reference.parse().map_err(|bad: BadReference| {
        let what = format!("find \"{}\"", shown(reference));
        match bad {
            BadReference::UnknownKind { kind } => {
                let kinds = nearest(&kind, KINDS.iter().map(|kind| kind.as_str()));
                let why = format!("there is no kind \"{}\"", shown(&kind));
                Problem::new(code::UNKNOWN_KIND, what, why).near(kinds)
            }
            bad @ (BadReference::Name(_)
            | BadReference::Work(_)
            | BadReference::Service(_)
            | BadReference::Artifact(_)
            | BadReference::Shape { .. }) => Problem::new(code::BAD_REQUEST, what, bad.to_string())
                .to_do("mainstay get instances"),
        }
    })
}

impl Present<'_> {
    /// The key a reference names, if it exists.
    pub fn find(&self, reference: &str) -> Result<Key, Problem> {
        let key = parse(reference)?;
        match self.record(&key) {
            Some(_) => Ok(key),
            None => Err(self.missing(&key)),
        }
    }

    /// Nothing has this key: with what is nearest to it.
    pub fn missing(&self, key: &Key) -> Problem {
        let kind = key.kind();
        let reference = key.to_string();
        let existing: Vec<String> = self
            .view
            .keys(kind)
            .iter()
            .map(ToString::to_string)
            .collect();
        let mut near = nearest(&reference, existing.iter().map(String::as_str));
        if let Key::Placement(name) = key {
            let same = [Kind::Node, Kind::Type, Kind::Supervisor]
                .into_iter()
                .map(|kind| format!("{}/{name}", kind.as_str()));
            let there = same.filter(|other| {
                other
                    .parse()
                    .is_ok_and(|key: Key| self.record(&key).is_some())
            });
            near.splice(0..0, there);
            near.truncate(mainstay_protocol::limits::NEAREST_MAX);
        }
        let code = match key {
            Key::Node(_) => code::UNKNOWN_NODE,
            Key::Type(_) => code::UNKNOWN_TYPE,
            _ => code::NOT_FOUND,
        };
        let why = match reference.contains('/') {
            // `node/n9` says already what it is.
            true => format!("there is no {reference}"),
            false => format!("there is no {} {reference}", word(kind)),
        };
        Problem::new(code, format!("find {reference}"), why)
            .near(near)
            .to_do(list_command(kind))
    }
}

/// The command that lists what there is of a kind; those without a list are seen in the whole.
fn list_command(kind: Kind) -> &'static str {
    match kind {
        Kind::Station => "mainstay get stations",
        Kind::Node => "mainstay get nodes",
        Kind::Type => "mainstay get types",
        Kind::Placement => "mainstay get placements",
        Kind::Instance => "mainstay get instances",
        Kind::Name => "mainstay get names",
        Kind::Configuration => "mainstay get configurations",
        Kind::Supervisor => "mainstay get supervisors",
        Kind::Parked => "mainstay parked list",
        Kind::Resource => "mainstay get resources",
        Kind::Asked => "mainstay get asked",
        Kind::Procedure => "mainstay get procedures",
        Kind::Collected => "mainstay get collected",
        Kind::Token => "mainstay token list",
        Kind::Identity => "mainstay identity list",
        Kind::Secret => "mainstay secret list",
        Kind::Orchestration => "mainstay orchestration list",
        Kind::Activity => "mainstay activity list",
        Kind::Run | Kind::Step => "mainstay run list",
        Kind::Service => "mainstay service list",
        Kind::Artifact => "mainstay artifact list",
        Kind::Cluster | Kind::Outbox | Kind::Command | Kind::Text | Kind::Chunk => {
            "mainstay status"
        }
    }
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Configuration => "configuration",
        kind => kind.as_str(),
    }
}

/// What a person typed, cut so that an error stays readable.
fn shown(text: &str) -> String {
    const SHOWN_CHARS_MAX: usize = 80;
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{}..", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use crate::exit::Exit;
    use crate::present::sample::Sample;

    #[test]
    fn a_wrong_reference_is_answered_with_the_nearest() {
        let sample = Sample::new();
        let present = sample.present();
        assert_eq!(present.find("web@n1").unwrap().to_string(), "web@n1");
        let missing = present.find("wep@n1").unwrap_err();
        assert_eq!(
            (missing.exit, missing.nearest[0].as_str()),
            (Exit::NotFound, "web@n1")
        );
        let kind = present.find("nodse/n1").unwrap_err();
        assert_eq!((kind.exit, kind.nearest[0].as_str()), (Exit::Usage, "node"));
        assert_eq!(present.find("Web!").unwrap_err().exit, Exit::Usage);
        assert_eq!(
            present.find(&"x".repeat(10_000)).unwrap_err().exit,
            Exit::Usage
        );
        assert_eq!(present.find("n1").unwrap_err().nearest[0], "node/n1");
        let node = present.find("node/n9").unwrap_err();
        assert_eq!(node.why, "there is no node/n9");
    }
}
