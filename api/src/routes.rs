//! The table of routes: the one place that knows paths. The station mounts it, the client fills it in.

use std::fmt;

use mainstay_protocol::code::Code;
use mainstay_protocol::{Bearer, NodeName, Role, StationId};

const STRANGER: &str = "stranger";

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
    pub needs: Needs,
    /// With `{parameters}`.
    pub path: &'static str,
}

/// Who may ask a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nobody in particular: it answers strangers too.
    Nobody,
    Reader,
    Operator,
    Admin,
    /// Another station of the group, and nobody else.
    Station,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asker {
    /// It has not shown who it is.
    Stranger,
    /// Somebody with a role: a person's certificate, or a process of the station's own user or root on its machine.
    Person {
        name: String,
        /// What it was let in as.
        role: Role,
        /// The group that lets it do more than that, if one does.
        group: Option<InGroup>,
    },
    Station(StationId),
    /// It has a session; there is nothing for it to ask here.
    Agent(NodeName),
    /// Its certificate has run out.
    Expired(Bearer),
    /// It is let in no more, and why.
    Refused(Code, String),
}

/// A group that somebody is a member of, and what that may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InGroup {
    pub name: String,
    pub role: Role,
}

impl Asker {
    pub fn of(bearer: Bearer) -> Self {
        match bearer {
            Bearer::Agent(node) => Self::Agent(node),
            Bearer::Station(station) => Self::Station(station),
            Bearer::Person { name, role } => Self::Person {
                name: name.to_string(),
                role,
                group: None,
            },
        }
    }

    /// As one station tells another for whom it asks.
    pub fn to_header(&self) -> Option<String> {
        match self {
            Self::Person { name, role, .. } => Some(format!("person/{name}/{}", role.as_str())),
            Self::Station(station) => Some(format!("station/{station}")),
            Self::Stranger => Some(STRANGER.to_owned()),
            Self::Agent(_) | Self::Expired(_) | Self::Refused(_, _) => None,
        }
    }

    pub fn of_header(text: &str) -> Option<Self> {
        match text {
            STRANGER => Some(Self::Stranger),
            text => text.parse().ok().map(Self::of),
        }
    }

    /// What it may do: the role that it was let in with, or that of its group.
    pub fn role(&self) -> Option<Role> {
        match self {
            Self::Person { role, group, .. } => {
                Some(group.as_ref().map_or(*role, |group| group.role.max(*role)))
            }
            Self::Stranger
            | Self::Station(_)
            | Self::Agent(_)
            | Self::Expired(_)
            | Self::Refused(_, _) => None,
        }
    }

    pub fn may(&self, route: &Route) -> bool {
        match (route.needs, self) {
            (Needs::Nobody, _) => true,
            (Needs::Reader, Self::Person { .. }) => true,
            (Needs::Operator, Self::Person { .. }) => self.role() >= Some(Role::Operator),
            (Needs::Admin, Self::Person { .. }) => self.role() >= Some(Role::Admin),
            (Needs::Station, Self::Station(_)) => true,
            // A station that was let in asks to be added.
            (_, Self::Station(_)) => route.name == STATION_ADD.name || route.name == VERSION.name,
            (_, Self::Stranger | Self::Agent(_) | Self::Expired(_) | Self::Refused(_, _))
            | (Needs::Station, Self::Person { .. }) => false,
        }
    }
}

impl fmt::Display for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stranger => f.write_str("a stranger"),
            Self::Person { name, role, group } => match group {
                None => f.write_str(&role.of(name)),
                Some(group) => {
                    let InGroup {
                        name: of,
                        role: as_,
                    } = group;
                    f.write_str(&role.of_member(name, *as_, of))
                }
            },
            Self::Station(station) => station.fmt(f),
            Self::Agent(node) => write!(f, "the agent of {node}"),
            Self::Expired(bearer) => write!(f, "{bearer}, whose certificate has run out,"),
            Self::Refused(_, why) => f.write_str(why),
        }
    }
}

macro_rules! routes {
    ($($(#[$doc:meta])* $name:ident: $method:ident $needs:ident $path:literal;)*) => {
        $($(#[$doc])* pub const $name: Route = Route {
            name: stringify!($name),
            method: Method::$method,
            needs: Needs::$needs,
            path: $path,
        };)*
        /// Every route.
        pub const ALL: &[Route] = &[$($name),*];
    };
}

routes! {
    STATUS: Get Reader "/v1/status";
    VERSION: Get Reader "/v1/version";
    NODES: Get Reader "/v1/nodes";
    NODE: Get Reader "/v1/nodes/{name}";
    STATIONS: Get Reader "/v1/stations";
    STATION: Get Reader "/v1/stations/{name}";
    /// It is given a vote once it has caught up; the answer waits for that.
    STATION_ADD: Post Admin "/v1/stations/{name}";
    STATION_REMOVE: Delete Admin "/v1/stations/{name}";
    /// A station's own last words: this life of it ends in order.
    STATION_STOPS: Post Station "/v1/stations/{name}/stops";
    /// Leadership is handed over to it.
    STATION_LEAD: Post Admin "/v1/stations/{name}/lead";
    /// Answered by that station itself.
    STATION_CHECK: Post Operator "/v1/stations/{name}/check";
    STATION_STATUS: Post Operator "/v1/stations/{name}/status";
    TYPES: Get Reader "/v1/types";
    TYPE: Get Reader "/v1/types/{name}";
    PLACEMENTS: Get Reader "/v1/placements";
    /// `etag` is its generation.
    PLACEMENT: Get Reader "/v1/placements/{name}";
    /// The whole wish; `if-match: "GENERATION"` says what it is based on, `if-none-match: *` that there was none.
    PLACEMENT_PUT: Put Operator "/v1/placements/{name}";
    PLACEMENT_DELETE: Delete Operator "/v1/placements/{name}";
    /// Its wishes, the newest first.
    PLACEMENT_HISTORY: Get Reader "/v1/placements/{name}/history";
    PLACEMENT_RECONFIGURE: Post Operator "/v1/placements/{name}/reconfigure";
    PLACEMENT_ROLLBACK: Post Operator "/v1/placements/{name}/rollback";
    /// Several placements put and deleted as one.
    APPLY: Post Operator "/v1/apply";
    /// What wishes would change; changes nothing.
    PLAN: Post Reader "/v1/plan";
    SETTINGS: Get Reader "/v1/settings";
    SETTINGS_PUT: Put Admin "/v1/settings";
    /// `node=`, `placement=`, `type=`, `state=`; with `usage=1`, what each uses is asked of its node.
    INSTANCES: Get Reader "/v1/instances";
    /// `usage=1`
    INSTANCE: Get Reader "/v1/instances/{node}/{placement}";
    NAMES: Get Reader "/v1/names";
    NAME: Get Reader "/v1/names/{node}/{name}";
    SUPERVISORS: Get Reader "/v1/supervisors";
    SUPERVISOR: Get Reader "/v1/supervisors/{node}";
    CONFIGURATIONS: Get Reader "/v1/configurations";
    CONFIGURATION: Get Reader "/v1/configurations/{name}";
    RESOURCES: Get Reader "/v1/resources";
    RESOURCE_OF_KIND: Get Reader "/v1/resources/{kind}/{name}";
    ASKED: Get Reader "/v1/asked";
    ASKED_ONE: Get Reader "/v1/asked/{name}";
    /// What a rule would answer, from an operator.
    ASKED_ANSWER: Post Operator "/v1/asked/{name}/answer";
    PROCEDURES: Get Reader "/v1/procedures";
    PROCEDURE: Get Reader "/v1/procedures/{name}";
    /// Records of the last seconds.
    COLLECTED: Get Reader "/v1/collected";
    COLLECTED_ONE: Get Reader "/v1/collected/{name}";
    /// A stream that says when anything was committed, or leadership changed: the moment to look again.
    CHANGES: Get Reader "/v1/changes";
    /// Any one resource: `ref=`; an instance's usage too: `usage=1`
    RESOURCE: Get Reader "/v1/resource";
    /// `ref=`: one tree; without: a tree for each root problem.
    WHY: Get Reader "/v1/why";
    /// `ref=`, `depth=`: what lies around it; without: everything.
    GRAPH: Get Reader "/v1/graph";
    /// The linter over the whole graph: nothing, where it is sound.
    GRAPH_CHECK: Get Reader "/v1/graph/check";
    /// `ref=`: what would be affected if it failed.
    IMPACT: Get Reader "/v1/impact";
    /// `after=`, `limit=`, `ref=`, `cursor=`; a stream with `accept: text/event-stream`. A page may be short, even
    /// empty, and yet say where it goes on: one request looks at so many rows.
    EVENTS: Get Reader "/v1/events";
    /// `ref=`, `rule=`, `limit=`, `cursor=`; newest first, in pages like those of events.
    DECISIONS: Get Reader "/v1/decisions";
    START: Post Operator "/v1/start";
    INSTANCE_STOP: Post Operator "/v1/instances/{node}/{placement}/stop";
    INSTANCE_RESTART: Post Operator "/v1/instances/{node}/{placement}/restart";
    /// A start with the configuration that last ran, whatever is wanted.
    INSTANCE_SAFE_START: Post Operator "/v1/instances/{node}/{placement}/safe-start";
    INSTANCE_CLEAR: Post Operator "/v1/instances/{node}/{placement}/clear";
    INSTANCE_CHECK: Post Operator "/v1/instances/{node}/{placement}/check";
    INSTANCE_STATUS: Post Operator "/v1/instances/{node}/{placement}/status";
    /// `incarnation=`, `previous=`, `after=`: a page of what it wrote.
    INSTANCE_LOGS: Get Reader "/v1/instances/{node}/{placement}/logs";
    INSTANCE_MESSAGE: Post Operator "/v1/instances/{node}/{placement}/messages/{message}";
    SUPERVISOR_CHECK: Post Operator "/v1/supervisors/{node}/check";
    SUPERVISOR_STATUS: Post Operator "/v1/supervisors/{node}/status";
    CHAOS: Post Admin "/v1/chaos";
    WAIT: Post Reader "/v1/wait";
    RULES: Get Reader "/v1/rules";
    RULE: Get Reader "/v1/rules/{name}";
    RULE_DISABLE: Post Admin "/v1/rules/{name}/disable";
    RULE_ENABLE: Post Admin "/v1/rules/{name}/enable";
    PARKED: Get Reader "/v1/parked";
    PARKED_ONE: Get Reader "/v1/parked/{name}";
    PARKED_REQUEUE: Post Operator "/v1/parked/{name}/requeue";
    PARKED_DROP: Delete Operator "/v1/parked/{name}";
    /// What peers of the session socket sent that could not be read, by peer.
    BAD_FRAMES: Get Reader "/v1/bad-frames";
    /// The whole state as one file that can be restored; from any station.
    BACKUP: Get Admin "/v1/backup";
    HEALTHZ: Get Nobody "/healthz";
    READYZ: Get Nobody "/readyz";
    METRICS: Get Reader "/metrics";
    /// Tokens that let somebody in.
    TOKENS: Get Reader "/v1/tokens";
    TOKEN: Get Reader "/v1/tokens/{name}";
    /// The only time that anybody sees it.
    TOKEN_CREATE: Post Admin "/v1/tokens";
    TOKEN_REVOKE: Post Admin "/v1/tokens/{name}/revoke";
    /// Whoever shows a token is given a certificate.
    JOIN: Post Nobody "/v1/join";
    /// Who was let in.
    IDENTITIES: Get Reader "/v1/identities";
    IDENTITY: Get Reader "/v1/identities/{kind}/{name}";
    IDENTITY_OF_PERSON: Get Reader "/v1/identities/{kind}/{name}/{role}";
    IDENTITY_REVOKE: Post Admin "/v1/identities/{kind}/{name}/revoke";
    PERSON_REVOKE: Post Admin "/v1/identities/{kind}/{name}/{role}/revoke";
    /// What everybody shows, and until when it stands; of the station that leads, as far as it was shown them.
    CERTIFICATES: Get Reader "/v1/certificates";
    /// A station's or an agent's is renewed now.
    CERTIFICATE_ROTATE: Post Admin "/v1/certificates/{kind}/{name}/rotate";
    /// Which there are; what they are is not told.
    SECRETS: Get Reader "/v1/secrets";
    SECRET: Get Reader "/v1/secrets/{name}";
    SECRET_PUT: Put Admin "/v1/secrets/{name}";
    /// People who may do the same.
    GROUPS: Get Reader "/v1/groups";
    GROUP_PUT: Put Admin "/v1/groups/{name}";
    GROUP_DELETE: Delete Admin "/v1/groups/{name}";
    /// Who the asker is, and what it may do.
    WHOAMI: Get Reader "/v1/whoami";
}

/// Where a page goes on; absent on the last.
pub const NEXT_CURSOR_HEADER: &str = "mainstay-next";
/// How old an answer's data may be, in milliseconds.
pub const DATA_AGE_HEADER: &str = "mainstay-data-age-ms";
/// Where the stations of the group are now, for whoever came over the network: addresses, with commas between them.
pub const STATIONS_HEADER: &str = "mainstay-stations";
/// The type of a backup's bytes.
pub const BACKUP_CONTENT: &str = "application/vnd.mainstay.backup";
pub const REQUEST_ID_HEADER: &str = "x-request-id";
pub const IDEMPOTENCY_KEY_HEADER: &str = "idempotency-key";

/// The route of a request; each `{parameter}` is one segment, whatever it is.
pub fn find(method: Method, path: &str) -> Option<&'static Route> {
    let fits = |route: &&Route| {
        let (mut wanted, mut given) = (route.path.split('/'), path.split('/'));
        loop {
            match (wanted.next(), given.next()) {
                (None, None) => return true,
                (Some(wanted), Some(given)) if wanted == given || wanted.starts_with('{') => {}
                (Some(_) | None, _) => return false,
            }
        }
    };
    let mut fitting = ALL
        .iter()
        .filter(|route| route.method == method)
        .filter(fits);
    // What is spelled out goes before what fits everything.
    let first = fitting.next()?;
    Some(fitting.fold(first, |best, next| {
        match next.path.matches('{').count() < best.path.matches('{').count() {
            true => next,
            false => best,
        }
    }))
}

/// `GET /v1/status`.
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let method = match self.method {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Delete => "DELETE",
        };
        write!(f, "{method} {}", self.path)
    }
}

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

    /// A path of the route, with names in its parameters.
    fn path_of(route: &Route) -> String {
        route.fill(&["n1", "web", "x"])
    }

    #[test]
    fn every_route_is_found_by_its_path_and_what_is_none_is_not() {
        for route in ALL {
            assert_eq!(find(route.method, &path_of(route)), Some(route), "{route}");
        }
        for path in ["/v1", "/v1/status/", "/v1/status/x", "/v1//status", "/", ""] {
            assert_eq!(find(Method::Get, path), None, "{path}");
        }
        assert_eq!(find(Method::Delete, STATUS.path), None);
    }

    fn person(role: Role) -> Asker {
        Asker::Person {
            name: "ada".to_owned(),
            role,
            group: None,
        }
    }

    // proves: U1
    #[test]
    fn who_may_more_may_all_that_who_may_less_may_and_strangers_may_join_alone() {
        for route in ALL {
            let may = |asker: &Asker| asker.may(route);
            let [reader, operator, admin] = Role::ALL.map(|role| may(&person(role)));
            assert!(reader <= operator && operator <= admin, "{route}");
            assert_eq!(admin, route.needs != Needs::Station, "{route}");
            let looks = route.method == Method::Get;
            assert!(
                !reader || looks || [PLAN, WAIT, JOIN].contains(route),
                "{route}"
            );
            let everybody = [HEALTHZ, READYZ, JOIN].contains(route);
            let nobodies = [
                Asker::Stranger,
                Asker::Agent("n1".parse().unwrap()),
                Asker::Expired(Bearer::Agent("n1".parse().unwrap())),
                Asker::Refused(mainstay_protocol::code::IDENTITY_REVOKED, String::new()),
            ];
            for nobody in nobodies {
                assert_eq!(may(&nobody), everybody, "{route} {nobody:?}");
            }
            let station = may(&Asker::Station(StationId(1)));
            let stations = [STATION_STOPS, STATION_ADD, VERSION].contains(route);
            assert_eq!(station, stations || everybody, "{route}");
        }
    }

    // proves: U1
    #[test]
    fn a_group_lets_its_members_do_more_and_never_less() {
        for own in Role::ALL {
            for of_group in Role::ALL {
                let member = Asker::Person {
                    name: "ada".to_owned(),
                    role: own,
                    group: Some(InGroup {
                        name: "ops".to_owned(),
                        role: of_group,
                    }),
                };
                for route in ALL {
                    assert_eq!(member.may(route), person(own.max(of_group)).may(route));
                }
                // Another station looks for itself what groups there are.
                assert_eq!(member.to_header(), person(own).to_header());
            }
        }
    }

    #[test]
    fn who_asks_reads_back_from_what_one_station_tells_another() {
        let askers = Role::ALL.map(person).into_iter();
        for asker in askers.chain([Asker::Stranger, Asker::Station(StationId(2))]) {
            let text = asker.to_header().unwrap();
            assert_eq!(Asker::of_header(&text), Some(asker), "{text}");
        }
        assert_eq!(Asker::of_header("person/ada/god"), None);
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
