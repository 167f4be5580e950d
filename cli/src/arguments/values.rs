//! Values of arguments: references, times, `key=value` pairs. Each parser says what it wanted.

use std::str::FromStr;
use std::time::{Duration, SystemTime};

use clap::ValueEnum;
use mainstay_api::types::{self, BadUntil, Until};
use mainstay_identity::JoinToken;
use mainstay_protocol::Address;
use mainstay_protocol::json::Shape;
use mainstay_protocol::label;
use mainstay_protocol::words::nearest;
use mainstay_protocol::{
    ArtifactId, ClusterName, Json, NodeName, NotAStation, PersonName, PlacementName, RunId,
    SlotName, StationId, TypeName, WorkName, limits,
};
use mainstay_resource_graph::{BadReference, Key, Kind};
use serde_json::Value;

/// The words a kind goes by on the command line, for the nearest one.
const KIND_WORDS: [&str; 11] = [
    "cluster",
    "station",
    "node",
    "type",
    "placement",
    "instance",
    "name",
    "config",
    "configuration",
    "supervisor",
    "parked",
];

/// What to add to a message about a wrong word.
fn like<'a>(wrong: &str, valid: impl IntoIterator<Item = &'a str>) -> String {
    match nearest(wrong, valid).first() {
        Some(word) => format!("; the nearest is \"{word}\""),
        None => String::new(),
    }
}

pub fn reference(text: &str) -> Result<Key, String> {
    Key::from_str(text).map_err(|bad| match bad {
        BadReference::UnknownKind { kind } => {
            let like = like(&kind, KIND_WORDS);
            format!("there is no kind \"{kind}\"{like}")
        }
        other @ (BadReference::Name(_)
        | BadReference::Work(_)
        | BadReference::Service(_)
        | BadReference::Artifact(_)
        | BadReference::Shape { .. }) => other.to_string(),
    })
}

/// As it was written: the station reads it again.
pub fn nats_servers(text: &str) -> Result<String, String> {
    match mainstay_station::nats_servers(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(not) => Err(not.to_string()),
    }
}

fn with_article(kind: Kind) -> String {
    let kind = kind.as_str();
    let article = match kind.starts_with(['a', 'e', 'i', 'o', 'u']) {
        true => "an",
        false => "a",
    };
    format!("{article} {kind}")
}

/// Something a service can be asked on: an instance, or a placement for all of its instances.
pub fn instances(text: &str) -> Result<Key, String> {
    let key = reference(text)?;
    match key.kind() {
        Kind::Instance | Kind::Placement => Ok(key),
        other => Err(format!(
            "\"{text}\" is {}; write PLACEMENT@NODE, or PLACEMENT for all its instances",
            with_article(other)
        )),
    }
}

/// As `instances`, and supervisors and stations, which answer as well.
pub fn asked(text: &str) -> Result<Key, String> {
    let key = reference(text)?;
    match key.kind() {
        Kind::Supervisor | Kind::Station => Ok(key),
        _ => instances(text),
    }
}

pub fn instance(text: &str) -> Result<mainstay_protocol::InstanceKey, String> {
    match reference(text)? {
        Key::Instance(key) => Ok(key),
        Key::Placement(name) => Err(format!(
            "\"{name}\" is a placement; say on which node: {name}@NODE"
        )),
        other => Err(format!(
            "\"{other}\" is {}; write PLACEMENT@NODE",
            with_article(other.kind())
        )),
    }
}

/// What somebody can work on: a node, a placement, or all nodes.
pub fn worked_on(text: &str) -> Result<Key, String> {
    let key = reference(text)?;
    match key.kind() {
        Kind::Node | Kind::Placement | Kind::Cluster => Ok(key),
        other => Err(format!(
            "\"{text}\" is {}; write node/NODE, a placement, or cluster",
            with_article(other)
        )),
    }
}

/// What chaos can break: an instance, a node's supervisor, a node's agent, a station.
pub fn breakable(text: &str) -> Result<Key, String> {
    let key = reference(text)?;
    match key.kind() {
        Kind::Instance | Kind::Supervisor | Kind::Node | Kind::Station => Ok(key),
        Kind::Placement => Err(format!(
            "\"{text}\" is a placement; say on which node: {text}@NODE"
        )),
        other => Err(format!(
            "\"{text}\" is {}; write PLACEMENT@NODE, supervisor/NODE, node/NODE or station/ID",
            with_article(other)
        )),
    }
}

/// What chaos broke and can make good: a node's way, a station's disk and clock, or all of it.
pub fn healable(text: &str) -> Result<Key, String> {
    let key = reference(text)?;
    match key.kind() {
        Kind::Node | Kind::Station | Kind::Cluster => Ok(key),
        other => Err(format!(
            "\"{text}\" is {}; write node/NODE, station/ID or cluster",
            with_article(other)
        )),
    }
}

/// A context is a file by its name, and named like a cluster.
pub fn context(text: &str) -> Result<String, String> {
    ClusterName::new(text)
        .map(|name| name.to_string())
        .map_err(|bad| bad.to_string())
}

pub fn node(text: &str) -> Result<NodeName, String> {
    let text = text.strip_prefix("node/").unwrap_or(text);
    NodeName::new(text).map_err(|bad| bad.to_string())
}

/// KEY=VALUE, or KEY- to take it away.
pub fn label(text: &str) -> Result<(String, Option<String>), String> {
    let parsed = match text.split_once('=') {
        Some((key, value)) => Some((key, Some(value.to_owned()))),
        None => text.strip_suffix('-').map(|key| (key, None)),
    };
    match parsed {
        // Any can be taken away.
        Some((key, None)) if !key.is_empty() => Ok((key.to_owned(), None)),
        Some((key, Some(value))) => label::pair(key, &value)
            .map(|()| (key.to_owned(), Some(value)))
            .map_err(|bad| format!("{bad}; role- takes one away")),
        Some(_) | None => Err(format!(
            "\"{text}\" is no label; write role=web, or role- to take it away"
        )),
    }
}

pub fn label_name(text: &str) -> Result<String, String> {
    match text {
        name if name.contains('=') => Err(format!(
            "\"{name}\" has a value; a label's name is wanted, as in rack"
        )),
        name => label::name(name)
            .map(|()| name.to_owned())
            .map_err(|bad| bad.to_string()),
    }
}

/// How many instances a placement has.
pub fn instance_count(text: &str) -> Result<u32, String> {
    let max = limits::PLACEMENT_COUNT_MAX;
    match text.parse() {
        Ok(count) if count <= max => Ok(count),
        Ok(count) => Err(format!("{count} are too many; at most {max}")),
        Err(_) => Err(format!("\"{text}\" is no number; write one, as in 3")),
    }
}

pub fn service_type(text: &str) -> Result<TypeName, String> {
    let text = text.strip_prefix("type/").unwrap_or(text);
    TypeName::new(text).map_err(|bad| bad.to_string())
}

pub fn placement(text: &str) -> Result<PlacementName, String> {
    PlacementName::new(text).map_err(|bad| bad.to_string())
}

/// A placement with or without its kind; an instance of one is not deleted but stopped.
pub fn whole_placement(text: &str) -> Result<PlacementName, String> {
    match reference(text)? {
        Key::Placement(name) => Ok(name),
        Key::Instance(key) => Err(format!(
            "\"{text}\" is an instance; stop it, or delete the whole placement {}",
            key.placement
        )),
        other => Err(format!(
            "\"{text}\" is a {}; placements can be deleted",
            with_article(other.kind())
        )),
    }
}

pub fn slot(text: &str) -> Result<SlotName, String> {
    SlotName::new(text).map_err(|bad| bad.to_string())
}

/// With or without `station/` in front.
pub fn station(text: &str) -> Result<StationId, String> {
    let name = text.strip_prefix("station/").unwrap_or(text);
    name.parse().map_err(|bad: NotAStation| bad.to_string())
}

/// Where a station is reached. The others do not share the directory this runs in.
pub fn address(text: &str) -> Result<String, String> {
    let address: Result<Address, _> = text.parse();
    address
        .map(|address| address.to_string())
        .map_err(|error| error.to_string())
}

/// One that other machines can reach.
pub fn tls_address(text: &str) -> Result<Address, String> {
    match text.parse() {
        Ok(address @ Address::Tls { .. }) => Ok(address),
        Ok(Address::Unix(_)) => Err(format!(
            "\"{text}\" is on this machine only; write HOST:PORT"
        )),
        Err(_) => Err(format!("\"{text}\" is no address; write HOST:PORT")),
    }
}

pub fn person(text: &str) -> Result<PersonName, String> {
    PersonName::new(text).map_err(|bad| bad.to_string())
}

/// A token as it was said, or where it is to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenFrom {
    Said(JoinToken),
    Stdin,
}

/// Whatever is wrong with it, what it is stays secret.
pub fn token(text: &str) -> Result<TokenFrom, String> {
    match text {
        "-" => Ok(TokenFrom::Stdin),
        text => parsed_token(text).map(TokenFrom::Said),
    }
}

pub fn parsed_token(text: &str) -> Result<JoinToken, String> {
    text.parse()
        .map_err(|error: mainstay_identity::BadToken| error.to_string())
}

/// With or without `parked/` in front.
pub fn parked(text: &str) -> Result<String, String> {
    let id = text.strip_prefix("parked/").unwrap_or(text);
    match reference(&format!("parked/{id}"))? {
        Key::Parked(id) => Ok(id.0),
        other => Err(format!("\"{other}\" is not parked work")),
    }
}

/// With or without `asked/` in front.
pub fn question(text: &str) -> Result<String, String> {
    let id = text.strip_prefix("asked/").unwrap_or(text);
    match reference(&format!("asked/{id}"))? {
        Key::Asked(id) => Ok(id.0.to_string()),
        other => Err(format!("\"{other}\" is no question of an instance")),
    }
}

/// With or without `rule/` in front.
pub fn rule(text: &str) -> Result<String, String> {
    let name = text.strip_prefix("rule/").unwrap_or(text);
    let well_formed = !name.is_empty()
        && name.len() <= 64
        && name.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte)
        });
    match well_formed {
        true => Ok(name.to_owned()),
        false => Err(format!(
            "\"{name}\" is no rule's name, as `mainstay rule list` says them"
        )),
    }
}

pub fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|_library_words| {
        format!("\"{text}\" is no length of time; write one such as 500ms, 30s or 5m")
    })
}

/// A message's JSON.
pub fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|bad| {
        // The library counts depth itself, and says so in words alone.
        let too_deep = bad.to_string().contains("recursion limit");
        let where_it_is = match (bad.is_eof(), bad.line()) {
            _ if too_deep => {
                return "this is nested deeper than the 127 levels that are read".to_owned();
            }
            (true, _) => "it ends too early".to_owned(),
            (false, 0 | 1) => format!("character {} does not belong there", bad.column()),
            (false, line) => format!(
                "character {} of line {line} does not belong there",
                bad.column()
            ),
        };
        format!("this is not JSON: {where_it_is}; write it as in '{{\"name\":\"Ada\"}}'")
    })
}

/// So long ago, or at that time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    Ago(Duration),
    At(SystemTime),
}

impl Since {
    /// `None` when it lies before the beginning of time.
    pub fn moment(self, now: SystemTime) -> Option<SystemTime> {
        match self {
            Self::Ago(ago) => now.checked_sub(ago),
            Self::At(at) => Some(at),
        }
    }
}

pub fn since(text: &str) -> Result<Since, String> {
    if let Ok(ago) = humantime::parse_duration(text) {
        return Ok(Since::Ago(ago));
    }
    humantime::parse_rfc3339_weak(text)
        .map(Since::At)
        .map_err(|_library_words| {
            format!(
                "\"{text}\" is no time; write how long ago (10m), or a UTC time (2026-01-31T12:00:00Z)"
            )
        })
}

/// One `key=value` of a configuration. Dots in the key reach into objects.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigPair {
    pub path: Vec<String>,
    pub value: Value,
}

/// A part of what a run is given, as it is written.
#[derive(Debug, Clone)]
pub struct PayloadPair {
    pub path: Vec<String>,
    pub value: Json,
}

pub fn payload_pair(text: &str) -> Result<PayloadPair, String> {
    let ConfigPair { path, .. } = config_pair(text)?;
    let value = text.split_once('=').map_or("", |(_, value)| value);
    let value = Json::parse(value).unwrap_or_else(|_| Json::text(value));
    Ok(PayloadPair { path, value })
}

/// An orchestration, a type of activity, or an activity.
pub fn work_name(text: &str) -> Result<WorkName, String> {
    WorkName::new(text).map_err(|bad| bad.to_string())
}

/// A run, also as it is shown: `run/r1`.
pub fn run_id(text: &str) -> Result<RunId, String> {
    RunId::new(text.strip_prefix("run/").unwrap_or(text)).map_err(|bad| bad.to_string())
}

/// An artifact by its id, also as it is shown: `artifact/urn:ivcap:artifact:UUID`.
pub fn artifact(text: &str) -> Result<ArtifactId, String> {
    let text = text.strip_prefix("artifact/").unwrap_or(text);
    ArtifactId::new(text).map_err(|bad| format!("{bad}; mainstay artifact list shows them"))
}

/// A service by its id or name, also as it is shown: `service/urn:ivcap:service:UUID`.
pub fn service(text: &str) -> Result<String, String> {
    let text = text.strip_prefix("service/").unwrap_or(text);
    match text.trim().is_empty() {
        true => Err("a service has an id or a name; mainstay service list shows them".to_owned()),
        false => Ok(text.to_owned()),
    }
}

/// `name=value`, as text: what it is the service's parameter says.
pub fn parameter(text: &str) -> Result<(String, Json), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), Json::text(value))),
        _ => Err(format!("\"{text}\" is no parameter; write NAME=VALUE")),
    }
}

pub fn order_status(text: &str) -> Result<String, String> {
    let known = types::ORDER_STATUSES;
    match known
        .iter()
        .find(|status| status.eq_ignore_ascii_case(text))
    {
        Some(status) => Ok((*status).to_owned()),
        None => {
            let like = like(text, known.iter().copied());
            Err(format!(
                "an order is never \"{text}\"{like}; there are {}",
                known.join(", ")
            ))
        }
    }
}

pub fn run_state(text: &str) -> Result<String, String> {
    let known = types::states_of(Kind::Run);
    let found = known.iter().find(|state| state.eq_ignore_ascii_case(text));
    found.map(|state| (*state).to_owned()).ok_or_else(|| {
        let like = like(text, known.iter().copied());
        format!(
            "a run is never \"{text}\"{like}; there are {}",
            known.join(", ")
        )
    })
}

/// JSON as it is written.
pub fn json_object(text: &str) -> Result<Json, String> {
    let json = Json::parse(text).map_err(|bad| bad.to_string())?;
    match json.shape() {
        Shape::Object => Ok(json),
        other => Err(format!(
            "write an object, as in {{\"by\":\"ada\"}}; it is {}",
            other.with_article()
        )),
    }
}

/// The value is JSON if it reads as JSON, else it is the text itself.
pub fn config_pair(text: &str) -> Result<ConfigPair, String> {
    let (key, value) = text
        .split_once('=')
        .ok_or_else(|| format!("\"{text}\" has no \"=\"; write KEY=VALUE, as in greeting=hello"))?;
    let path: Vec<String> = key.split('.').map(str::to_owned).collect();
    if path.iter().any(String::is_empty) {
        return Err(format!(
            "\"{key}\" is no key: a part of it is empty; write KEY=VALUE, or A.B=VALUE"
        ));
    }
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
    Ok(ConfigPair { path, value })
}

/// What `wait` waits for, with the nearest word for a wrong one.
pub fn goal(text: &str) -> Result<Until, String> {
    text.parse().map_err(|bad: BadUntil| {
        let states = types::states().map(|state| format!("state={state}"));
        let words: Vec<String> = ["running", "healthy", "gone", "settled"]
            .into_iter()
            .map(str::to_owned)
            .chain(states)
            .collect();
        let like = like(text, words.iter().map(String::as_str));
        format!("{bad}{like}")
    })
}

/// A list `get` can show. The aliases are what people type for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Table {
    #[value(alias = "node")]
    Nodes,
    #[value(alias = "station")]
    Stations,
    #[value(alias = "type")]
    Types,
    #[value(alias = "placement")]
    Placements,
    #[value(alias = "instance")]
    Instances,
    #[value(alias = "name")]
    Names,
    #[value(alias = "supervisor")]
    Supervisors,
    #[value(aliases = ["configuration", "config", "configs"])]
    Configurations,
    #[value(alias = "resource")]
    Resources,
    /// What instances ask
    Asked,
    #[value(alias = "procedure")]
    Procedures,
    /// Records of the last seconds
    Collected,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_json_if_they_read_as_json() {
        let pair = |text| config_pair(text).unwrap();
        assert_eq!(pair("a=1").value, Value::from(1));
        assert_eq!(pair("a=hello there").value, Value::from("hello there"));
        assert_eq!(pair("a=\"1\"").value, Value::from("1"));
        assert_eq!(pair("a={\"b\":[true]}").value["b"][0], Value::from(true));
        assert_eq!(pair("a.b=x=y").path, ["a", "b"]);
        assert_eq!(pair("a.b=x=y").value, Value::from("x=y"));
        for bad in ["", "a", "=1", "a..b=1", ".a=1"] {
            assert!(config_pair(bad).unwrap_err().contains("KEY=VALUE"), "{bad}");
        }
    }

    #[test]
    fn stations_are_called_as_they_are_shown() {
        assert_eq!(station("s2"), Ok(StationId(2)));
        assert_eq!(station("station/s12"), Ok(StationId(12)));
        for bad in [
            "", "2", "s", "s0", "s02", "s+2", "ss2", "station/", "node/n1",
        ] {
            assert!(station(bad).unwrap_err().contains("s1, s2"), "{bad}");
        }
        assert!(address("unix:/run/s2.sock").is_ok());
        for bad in ["", "/run/s2.sock", "unix:", "unix:s2.sock", "tcp:1.2.3.4:5"] {
            assert!(address(bad).unwrap_err().contains("unix:"), "{bad}");
        }
    }

    #[test]
    fn a_wrong_kind_names_the_nearest() {
        assert!(reference("nod/n1").unwrap_err().contains("\"node\""));
        assert!(instance("greeter").unwrap_err().contains("greeter@NODE"));
        assert!(instances("node/n1").unwrap_err().contains("PLACEMENT@NODE"));
    }

    #[test]
    fn what_is_no_time_and_no_json_is_told_in_our_own_words() {
        for bad in ["abc", "1x", "", "5", "-1s"] {
            let words =
                format!("\"{bad}\" is no length of time; write one such as 500ms, 30s or 5m");
            assert_eq!(duration(bad), Err(words));
            let since = since(bad).unwrap_err();
            assert!(
                since.starts_with(&format!("\"{bad}\" is no time;")),
                "{since}"
            );
        }
        for (bad, words) in [
            ("{", "it ends too early"),
            ("nope", "character 2 does not belong there"),
            ("{\n\"a\":}", "character 5 of line 2 does not belong there"),
        ] {
            let why = json(bad).unwrap_err();
            assert!(why.contains(words), "{bad}: {why}");
        }
    }

    #[test]
    fn goals_name_states_in_any_case() {
        assert_eq!(
            goal("state=quarantined"),
            Ok(Until::State("Quarantined".to_owned()))
        );
        assert!(
            goal("state=Runing")
                .unwrap_err()
                .contains("\"state=Running\"")
        );
        assert!(goal("helthy").unwrap_err().contains("\"healthy\""));
    }

    #[test]
    fn since_is_a_duration_or_a_time() {
        assert_eq!(since("10m"), Ok(Since::Ago(Duration::from_secs(600))));
        assert!(matches!(since("2026-01-31T12:00:00Z"), Ok(Since::At(_))));
        assert!(since("yesterday").unwrap_err().contains("10m"));
    }
}
