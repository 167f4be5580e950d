//! The table of routes: the one place that knows paths. The station mounts it, the client fills it in.

/// How a route is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
    Put,
    Delete,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    pub name: &'static str,
    pub method: Method,
    /// With `{parameters}`.
    pub path: &'static str,
}

macro_rules! routes {
    ($($(#[$doc:meta])* $name:ident: $method:ident $path:literal;)*) => {
        $($(#[$doc])* pub const $name: Route = Route {
            name: stringify!($name),
            method: Method::$method,
            path: $path,
        };)*
        /// Every route.
        pub const ALL: &[Route] = &[$($name),*];
    };
}

routes! {
    STATUS: Get "/v1/status";
    VERSION: Get "/v1/version";
    NODES: Get "/v1/nodes";
    NODE: Get "/v1/nodes/{name}";
    STATIONS: Get "/v1/stations";
    STATION: Get "/v1/stations/{name}";
    /// It is given a vote once it has caught up; the answer waits for that.
    STATION_ADD: Post "/v1/stations/{name}";
    STATION_REMOVE: Delete "/v1/stations/{name}";
    /// A station's own last words: this life of it ends in order.
    STATION_STOPS: Post "/v1/stations/{name}/stops";
    /// Leadership is handed over to it.
    STATION_LEAD: Post "/v1/stations/{name}/lead";
    TYPES: Get "/v1/types";
    TYPE: Get "/v1/types/{name}";
    PLACEMENTS: Get "/v1/placements";
    /// `etag` is its generation.
    PLACEMENT: Get "/v1/placements/{name}";
    /// The whole wish; `if-match: "GENERATION"` says what it is based on, `if-none-match: *` that there was none.
    PLACEMENT_PUT: Put "/v1/placements/{name}";
    PLACEMENT_DELETE: Delete "/v1/placements/{name}";
    /// Its wishes, the newest first.
    PLACEMENT_HISTORY: Get "/v1/placements/{name}/history";
    PLACEMENT_RECONFIGURE: Post "/v1/placements/{name}/reconfigure";
    PLACEMENT_ROLLBACK: Post "/v1/placements/{name}/rollback";
    /// Several placements put and deleted as one.
    APPLY: Post "/v1/apply";
    /// What wishes would change; changes nothing.
    PLAN: Post "/v1/plan";
    SETTINGS: Get "/v1/settings";
    SETTINGS_PUT: Put "/v1/settings";
    /// `node=`, `placement=`, `type=`, `state=`; with `usage=1`, what each uses is asked of its node.
    INSTANCES: Get "/v1/instances";
    /// `usage=1`
    INSTANCE: Get "/v1/instances/{node}/{placement}";
    NAMES: Get "/v1/names";
    NAME: Get "/v1/names/{node}/{name}";
    SUPERVISORS: Get "/v1/supervisors";
    SUPERVISOR: Get "/v1/supervisors/{node}";
    CONFIGURATIONS: Get "/v1/configurations";
    CONFIGURATION: Get "/v1/configurations/{name}";
    RESOURCES: Get "/v1/resources";
    RESOURCE_OF_KIND: Get "/v1/resources/{kind}/{name}";
    ASKED: Get "/v1/asked";
    ASKED_ONE: Get "/v1/asked/{name}";
    /// What a rule would answer, from an operator.
    ASKED_ANSWER: Post "/v1/asked/{name}/answer";
    PROCEDURES: Get "/v1/procedures";
    PROCEDURE: Get "/v1/procedures/{name}";
    /// Records of the last seconds.
    COLLECTED: Get "/v1/collected";
    COLLECTED_ONE: Get "/v1/collected/{name}";
    /// A stream that says when anything was committed, or leadership changed: the moment to look again.
    CHANGES: Get "/v1/changes";
    /// Any one resource: `ref=`; an instance's usage too: `usage=1`
    RESOURCE: Get "/v1/resource";
    /// `ref=`: one tree; without: a tree for each root problem.
    WHY: Get "/v1/why";
    /// `ref=`, `depth=`: what lies around it; without: everything.
    GRAPH: Get "/v1/graph";
    /// The linter over the whole graph: nothing, where it is sound.
    GRAPH_CHECK: Get "/v1/graph/check";
    /// `ref=`: what would be affected if it failed.
    IMPACT: Get "/v1/impact";
    /// `after=`, `limit=`, `ref=`, `cursor=`; a stream with `accept: text/event-stream`. A page may be short, even
    /// empty, and yet say where it goes on: one request looks at so many rows.
    EVENTS: Get "/v1/events";
    /// `ref=`, `rule=`, `limit=`, `cursor=`; newest first, in pages like those of events.
    DECISIONS: Get "/v1/decisions";
    START: Post "/v1/start";
    INSTANCE_STOP: Post "/v1/instances/{node}/{placement}/stop";
    INSTANCE_RESTART: Post "/v1/instances/{node}/{placement}/restart";
    /// A start with the configuration that last ran, whatever is wanted.
    INSTANCE_SAFE_START: Post "/v1/instances/{node}/{placement}/safe-start";
    INSTANCE_CLEAR: Post "/v1/instances/{node}/{placement}/clear";
    INSTANCE_CHECK: Post "/v1/instances/{node}/{placement}/check";
    INSTANCE_STATUS: Post "/v1/instances/{node}/{placement}/status";
    /// `incarnation=`, `previous=`, `after=`: a page of what it wrote.
    INSTANCE_LOGS: Get "/v1/instances/{node}/{placement}/logs";
    INSTANCE_MESSAGE: Post "/v1/instances/{node}/{placement}/messages/{message}";
    SUPERVISOR_CHECK: Post "/v1/supervisors/{node}/check";
    SUPERVISOR_STATUS: Post "/v1/supervisors/{node}/status";
    CHAOS: Post "/v1/chaos";
    WAIT: Post "/v1/wait";
    RULES: Get "/v1/rules";
    RULE: Get "/v1/rules/{name}";
    RULE_DISABLE: Post "/v1/rules/{name}/disable";
    RULE_ENABLE: Post "/v1/rules/{name}/enable";
    PARKED: Get "/v1/parked";
    PARKED_ONE: Get "/v1/parked/{name}";
    PARKED_REQUEUE: Post "/v1/parked/{name}/requeue";
    PARKED_DROP: Delete "/v1/parked/{name}";
    /// What peers of the session socket sent that could not be read, by peer.
    BAD_FRAMES: Get "/v1/bad-frames";
    /// The whole state as one file that can be restored; from any station.
    BACKUP: Get "/v1/backup";
    HEALTHZ: Get "/healthz";
    READYZ: Get "/readyz";
    METRICS: Get "/metrics";
}

/// Where a page goes on; absent on the last.
pub const NEXT_CURSOR_HEADER: &str = "mainstay-next";
/// How old an answer's data may be, in milliseconds.
pub const DATA_AGE_HEADER: &str = "mainstay-data-age-ms";
/// The type of a backup's bytes.
pub const BACKUP_CONTENT: &str = "application/vnd.mainstay.backup";
pub const REQUEST_ID_HEADER: &str = "x-request-id";
pub const IDEMPOTENCY_KEY_HEADER: &str = "idempotency-key";

impl Route {
    /// The path with its parameters filled in, in order; whatever they are, they stay one segment each.
    pub fn fill(&self, parameters: &[&str]) -> String {
        let mut parameters = parameters.iter();
        let segments: Vec<String> = self
            .path
            .split('/')
            .map(|segment| {
                if segment.starts_with('{') {
                    escape(parameters.next().copied().unwrap_or_default())
                } else {
                    segment.to_owned()
                }
            })
            .collect();
        segments.join("/")
    }
}

/// A query: `?a=1&b=2`, empty if there are no pairs.
pub fn query(pairs: &[(&str, &str)]) -> String {
    let joined: Vec<String> = pairs
        .iter()
        .map(|(key, value)| format!("{key}={}", escape(value)))
        .collect();
    match joined.is_empty() {
        true => String::new(),
        false => format!("?{}", joined.join("&")),
    }
}

/// Percent-encoding of everything that is not plainly a name.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte))
            }
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    // A segment of dots alone is taken for a way up.
    match out.as_str() {
        "." => "%2E".to_owned(),
        ".." => "%2E%2E".to_owned(),
        _ => out,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_distinct() {
        for (index, route) in ALL.iter().enumerate() {
            let same = |other: &&Route| other.path == route.path && other.method == route.method;
            assert!(
                !ALL[..index].iter().any(|other| same(&other)),
                "{}",
                route.path
            );
        }
    }

    #[test]
    fn hostile_parameters_stay_one_segment() {
        assert_eq!(INSTANCE.fill(&["n1", "web"]), "/v1/instances/n1/web");
        assert_eq!(
            NODE.fill(&["../x?y#z ä"]),
            "/v1/nodes/..%2Fx%3Fy%23z%20%C3%A4"
        );
        assert_eq!(NODE.fill(&[".."]), "/v1/nodes/%2E%2E");
        assert_eq!(
            query(&[("ref", "web@n1"), ("limit", "5")]),
            "?ref=web%40n1&limit=5"
        );
    }
}
