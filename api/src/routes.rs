//! The table of routes: the one place that knows paths. The station mounts it, the client fills it in.

#[cfg(test)]
mod tests;

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

impl Method {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    pub name: &'static str,
    pub method: Method,
    pub needs: Needs,
    /// With `{parameters}`.
    pub path: &'static str,
    /// Its doc comment: a sentence that says what it does, then what else there is to know.
    pub about: &'static str,
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

    /// The group that lets it do more than it was let in for.
    pub fn group(&self) -> Option<&InGroup> {
        match self {
            Self::Person { group, .. } => group.as_ref(),
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
    ($($(#[doc = $about:literal])+ $name:ident: $method:ident $needs:ident $path:literal;)*) => {
        $($(#[doc = $about])+ pub const $name: Route = Route {
            name: stringify!($name),
            method: Method::$method,
            needs: Needs::$needs,
            path: $path,
            about: concat!($($about),+),
        };)*
        /// Every route.
        pub const ALL: &[Route] = &[$($name),*];
    };
}

routes! {
    /// The whole cluster at a glance.
    STATUS: Get Reader "/v1/status";
    /// What the station is and runs.
    VERSION: Get Reader "/v1/version";
    /// Every node.
    NODES: Get Reader "/v1/nodes";
    /// One node.
    NODE: Get Reader "/v1/nodes/{name}";
    /// Every station of the group; those that were removed with `state=Removed` alone.
    STATIONS: Get Reader "/v1/stations";
    /// One station.
    STATION: Get Reader "/v1/stations/{name}";
    /// Adds a station to the group. It is given a vote once it has caught up; the answer waits for that.
    STATION_ADD: Post Admin "/v1/stations/{name}";
    /// Removes a station from the group. Its number is not used again.
    STATION_REMOVE: Delete Admin "/v1/stations/{name}";
    /// A station's own last words: this life of it ends in order.
    STATION_STOPS: Post Station "/v1/stations/{name}/stops";
    /// Leadership is handed over to this station.
    STATION_LEAD: Post Admin "/v1/stations/{name}/lead";
    /// Checks a station. Answered by that station itself.
    STATION_CHECK: Post Operator "/v1/stations/{name}/check";
    /// Asks a station how it is, in its own words. Answered by that station itself.
    STATION_STATUS: Post Operator "/v1/stations/{name}/status";
    /// Every service type.
    TYPES: Get Reader "/v1/types";
    /// One service type.
    TYPE: Get Reader "/v1/types/{name}";
    /// Every placement.
    PLACEMENTS: Get Reader "/v1/placements";
    /// One placement. `etag` is its generation.
    PLACEMENT: Get Reader "/v1/placements/{name}";
    /// Makes a placement, or replaces its whole wish. `if-match: "GENERATION"` says what it is based on,
    /// `if-none-match: *` that there was none.
    PLACEMENT_PUT: Put Operator "/v1/placements/{name}";
    /// Deletes a placement. `if-match: "GENERATION"` says what that is based on.
    PLACEMENT_DELETE: Delete Operator "/v1/placements/{name}";
    /// The wishes of a placement, the newest first.
    PLACEMENT_HISTORY: Get Reader "/v1/placements/{name}/history";
    /// Gives a placement another configuration: everywhere, or on some nodes first.
    PLACEMENT_RECONFIGURE: Post Operator "/v1/placements/{name}/reconfigure";
    /// Takes a placement back to an earlier wish.
    PLACEMENT_ROLLBACK: Post Operator "/v1/placements/{name}/rollback";
    /// Several placements put and deleted as one.
    APPLY: Post Operator "/v1/apply";
    /// What wishes would change; changes nothing.
    PLAN: Post Reader "/v1/plan";
    /// The settings as they are.
    SETTINGS: Get Reader "/v1/settings";
    /// Changes settings. Those that are not named stay as they are.
    SETTINGS_PUT: Put Admin "/v1/settings";
    /// Every instance. With `usage=1`, what each uses is asked of its node.
    INSTANCES: Get Reader "/v1/instances";
    /// One instance. With `usage=1`, what it uses is asked of its node.
    INSTANCE: Get Reader "/v1/instances/{node}/{placement}";
    /// Every name that is held or waited for.
    NAMES: Get Reader "/v1/names";
    /// One name on one node.
    NAME: Get Reader "/v1/names/{node}/{name}";
    /// Every supervisor.
    SUPERVISORS: Get Reader "/v1/supervisors";
    /// The supervisor of a node.
    SUPERVISOR: Get Reader "/v1/supervisors/{node}";
    /// Every configuration that something has or wants.
    CONFIGURATIONS: Get Reader "/v1/configurations";
    /// One configuration, by its hash.
    CONFIGURATION: Get Reader "/v1/configurations/{name}";
    /// Every resource that instances hold or share.
    RESOURCES: Get Reader "/v1/resources";
    /// One resource that instances hold or share.
    RESOURCE_OF_KIND: Get Reader "/v1/resources/{kind}/{name}";
    /// Every failure that waits for an answer.
    ASKED: Get Reader "/v1/asked";
    /// One failure that waits for an answer.
    ASKED_ONE: Get Reader "/v1/asked/{name}";
    /// Answers a failure as a rule would, from an operator. The body is the answer, any JSON.
    ASKED_ANSWER: Post Operator "/v1/asked/{name}/answer";
    /// Every procedure: rules' work that goes over several steps.
    PROCEDURES: Get Reader "/v1/procedures";
    /// One procedure.
    PROCEDURE: Get Reader "/v1/procedures/{name}";
    /// Records that collectors brought in the last seconds.
    COLLECTED: Get Reader "/v1/collected";
    /// One record that a collector brought.
    COLLECTED_ONE: Get Reader "/v1/collected/{name}";
    /// A stream that says when anything was committed, or leadership changed: the moment to look again.
    CHANGES: Get Reader "/v1/changes";
    /// Any one thing by its reference. With `usage=1`, what an instance uses is asked of its node.
    RESOURCE: Get Reader "/v1/resource";
    /// Why something is as it is. Without `ref=`: a tree for each root problem of the cluster.
    WHY: Get Reader "/v1/why";
    /// What lies around something, `depth=` relations away. Without `ref=`: everything.
    GRAPH: Get Reader "/v1/graph";
    /// The linter over the whole graph: nothing, where it is sound.
    GRAPH_CHECK: Get Reader "/v1/graph/check";
    /// What would be affected if something failed now.
    IMPACT: Get Reader "/v1/impact";
    /// What happened: without `after=` the newest, oldest first. A stream with `accept: text/event-stream`.
    /// A page may be short, even empty, and yet say where it goes on: one request looks at so many rows.
    EVENTS: Get Reader "/v1/events";
    /// What rules decided, newest first. Pages are like those of events.
    DECISIONS: Get Reader "/v1/decisions";
    /// Makes a placement, or adds nodes to it.
    START: Post Operator "/v1/start";
    /// Stops an instance. That is kept over restarts and re-placing.
    INSTANCE_STOP: Post Operator "/v1/instances/{node}/{placement}/stop";
    /// Restarts an instance.
    INSTANCE_RESTART: Post Operator "/v1/instances/{node}/{placement}/restart";
    /// Moves an instance to another node.
    INSTANCE_MOVE: Post Operator "/v1/instances/{node}/{placement}/move";
    /// Starts an instance with the configuration that last ran, whatever is wanted.
    INSTANCE_SAFE_START: Post Operator "/v1/instances/{node}/{placement}/safe-start";
    /// Clears what keeps an instance from being started again.
    INSTANCE_CLEAR: Post Operator "/v1/instances/{node}/{placement}/clear";
    /// Checks an instance. It is asked on its node.
    INSTANCE_CHECK: Post Operator "/v1/instances/{node}/{placement}/check";
    /// Asks an instance how it is, in its own words. It is asked on its node.
    INSTANCE_STATUS: Post Operator "/v1/instances/{node}/{placement}/status";
    /// A page of what an instance wrote, from the beginning of its present incarnation.
    INSTANCE_LOGS: Get Reader "/v1/instances/{node}/{placement}/logs";
    /// Sends an instance a message, and answers with its answer. The body is the message's content.
    INSTANCE_MESSAGE: Post Operator "/v1/instances/{node}/{placement}/messages/{message}";
    /// Checks the supervisor of a node.
    SUPERVISOR_CHECK: Post Operator "/v1/supervisors/{node}/check";
    /// Asks the supervisor of a node how it is, in its own words.
    SUPERVISOR_STATUS: Post Operator "/v1/supervisors/{node}/status";
    /// Breaks something on purpose, where the station was started for that.
    CHAOS: Post Admin "/v1/chaos";
    /// Waits for a state. What cannot come right by itself ends it at once.
    WAIT: Post Reader "/v1/wait";
    /// A node takes no new instances.
    NODE_CORDON: Post Operator "/v1/nodes/{name}/cordon";
    /// A node is to be empty.
    NODE_DRAIN: Post Operator "/v1/nodes/{name}/drain";
    /// A node takes instances again.
    NODE_UNCORDON: Post Operator "/v1/nodes/{name}/uncordon";
    /// Somebody works on a node: whatever happens there is left as it is.
    NODE_MAINTENANCE: Post Operator "/v1/nodes/{name}/maintenance";
    /// The work on a node is over.
    NODE_MAINTENANCE_OVER: Delete Operator "/v1/nodes/{name}/maintenance";
    /// Somebody works on every node.
    MAINTENANCE: Post Operator "/v1/maintenance";
    /// The work on every node is over.
    MAINTENANCE_OVER: Delete Operator "/v1/maintenance";
    /// Somebody works on what a placement wants.
    PLACEMENT_MAINTENANCE: Post Operator "/v1/placements/{name}/maintenance";
    /// That work is over.
    PLACEMENT_MAINTENANCE_OVER: Delete Operator "/v1/placements/{name}/maintenance";
    /// Labels of a node, over those that its agent brings.
    NODE_LABELS: Put Operator "/v1/nodes/{name}/labels";
    /// Somebody has seen that a node is dead: nobody waits for it any longer.
    NODE_CONFIRM_DEAD: Post Admin "/v1/nodes/{name}/confirm-dead";
    /// A node's machine is to be restarted.
    NODE_RESTART: Post Admin "/v1/nodes/{name}/restart";
    /// A node is no part of the cluster any more.
    NODE_REMOVE: Delete Admin "/v1/nodes/{name}";
    /// Every rule of the station, in the order in which they run.
    RULES: Get Reader "/v1/rules";
    /// One rule.
    RULE: Get Reader "/v1/rules/{name}";
    /// Switches a rule off.
    RULE_DISABLE: Post Admin "/v1/rules/{name}/disable";
    /// Switches a rule on.
    RULE_ENABLE: Post Admin "/v1/rules/{name}/enable";
    /// Everything that is set aside.
    PARKED: Get Reader "/v1/parked";
    /// One thing that is set aside.
    PARKED_ONE: Get Reader "/v1/parked/{name}";
    /// Takes up again what is set aside.
    PARKED_REQUEUE: Post Operator "/v1/parked/{name}/requeue";
    /// Drops what is set aside.
    PARKED_DROP: Delete Operator "/v1/parked/{name}";
    /// Every type of activity.
    ACTIVITIES: Get Reader "/v1/activities";
    /// One type of activity. `etag` is its generation.
    ACTIVITY: Get Reader "/v1/activities/{name}";
    /// Makes a type of activity, where there is none of that name. The body is its definition.
    ACTIVITY_CREATE: Post Operator "/v1/activities";
    /// Makes a type of activity, or replaces it for runs that begin later. `if-match: "GENERATION"` says what it is based on.
    ACTIVITY_PUT: Put Operator "/v1/activities/{name}";
    /// Deletes a type of activity that no orchestration has.
    ACTIVITY_DELETE: Delete Operator "/v1/activities/{name}";
    /// Every orchestration.
    ORCHESTRATIONS: Get Reader "/v1/orchestrations";
    /// One orchestration. `etag` is its generation.
    ORCHESTRATION: Get Reader "/v1/orchestrations/{name}";
    /// Makes an orchestration, where there is none of that name. The body is its definition.
    ORCHESTRATION_CREATE: Post Operator "/v1/orchestrations";
    /// Makes an orchestration, or replaces it for runs that begin later. `if-match: "GENERATION"` says what it is based on.
    ORCHESTRATION_PUT: Put Operator "/v1/orchestrations/{name}";
    /// Deletes an orchestration. Runs of it go on.
    ORCHESTRATION_DELETE: Delete Operator "/v1/orchestrations/{name}";
    /// Every run.
    RUNS: Get Reader "/v1/runs";
    /// One run, with its steps.
    RUN: Get Reader "/v1/runs/{name}";
    /// Begins a run. The same one again is the run that is there.
    RUN_START: Post Operator "/v1/runs";
    /// Forgets a run that is over, whatever it may have left behind.
    RUN_FORGET: Delete Operator "/v1/runs/{name}";
    /// Nothing more of a run is given out.
    RUN_PAUSE: Post Operator "/v1/runs/{name}/pause";
    /// A run that was paused goes on.
    RUN_RESUME: Post Operator "/v1/runs/{name}/resume";
    /// Ends a run. What has not begun never does.
    RUN_CANCEL: Post Operator "/v1/runs/{name}/cancel";
    /// A run that failed goes on where it failed.
    RUN_RETRY: Post Operator "/v1/runs/{name}/retry";
    /// Undoes what a run did, by another one.
    RUN_DISPOSE: Post Operator "/v1/runs/{name}/dispose";
    /// Says from outside what became of a step: that it is done, or why it failed.
    STEP_DONE: Post Operator "/v1/runs/{run}/steps/{activity}/done";
    /// Every service that is registered.
    SERVICES: Get Reader "/v1/services";
    /// One service. `etag` is its generation.
    SERVICE: Get Reader "/v1/services/{id}";
    /// Registers a service, where there is none of that id. The body is its description.
    SERVICE_CREATE: Post Operator "/v1/services";
    /// Registers a service, or replaces it for orders that follow. `if-match: "GENERATION"` says what it is based on.
    SERVICE_PUT: Put Operator "/v1/services/{id}";
    /// Deletes a service. What was ordered of it goes on.
    SERVICE_DELETE: Delete Operator "/v1/services/{id}";
    /// Every artifact of which all has come.
    ARTIFACTS: Get Reader "/v1/artifacts";
    /// One artifact, with the files of an archive.
    ARTIFACT: Get Reader "/v1/artifacts/{id}";
    /// An artifact's bytes.
    ARTIFACT_CONTENT: Get Reader "/v1/artifacts/{id}/content";
    /// Keeps a content. The body is its bytes. The same content again is the artifact that is there; another one is refused.
    ARTIFACT_PUT: Put Operator "/v1/artifacts/{id}";
    /// Deletes an artifact that nothing uses.
    ARTIFACT_DELETE: Delete Operator "/v1/artifacts/{id}";
    /// Every order; `type` is its service, `state` its status.
    ORDERS: Get Reader "/v1/orders";
    /// One order, with its steps and what they left behind. It is a run, of the same id.
    ORDER: Get Reader "/v1/orders/{id}";
    /// Orders something. The same one again is the order that is there; `location` says where it is.
    ORDER_PLACE: Post Operator "/v1/orders";
    /// What there are JSON Schemas of.
    SCHEMAS: Get Reader "/v1/schemas";
    /// The JSON Schema of what people write: activity, orchestration, service.
    SCHEMA: Get Reader "/v1/schemas/{name}";
    /// What peers of the session socket sent that could not be read, by peer.
    BAD_FRAMES: Get Reader "/v1/bad-frames";
    /// The whole state as one file that can be restored. From any station.
    BACKUP: Get Admin "/v1/backup";
    /// The document that describes this API. Not for strangers: nothing in it is secret, but they have nothing to ask
    /// here except to be let in, and whoever only looks around is told no more than that.
    OPENAPI: Get Reader "/v1/openapi.json";
    /// Whether the process answers.
    HEALTHZ: Get Nobody "/healthz";
    /// Whether the station takes changes: it leads or hears who does.
    READYZ: Get Nobody "/readyz";
    /// Metrics as Prometheus reads them.
    METRICS: Get Reader "/metrics";
    /// Every token that lets somebody in.
    TOKENS: Get Reader "/v1/tokens";
    /// One token; its secret is not told.
    TOKEN: Get Reader "/v1/tokens/{name}";
    /// Makes a token. This is the only time that anybody sees it.
    TOKEN_CREATE: Post Admin "/v1/tokens";
    /// Takes a token back.
    TOKEN_REVOKE: Post Admin "/v1/tokens/{name}/revoke";
    /// Whoever shows a token is given a certificate.
    JOIN: Post Nobody "/v1/join";
    /// Everybody who was let in.
    IDENTITIES: Get Reader "/v1/identities";
    /// An agent or a station that was let in.
    IDENTITY: Get Reader "/v1/identities/{kind}/{name}";
    /// A person who was let in.
    IDENTITY_OF_PERSON: Get Reader "/v1/identities/{kind}/{name}/{role}";
    /// Lets an agent or a station in no more.
    IDENTITY_REVOKE: Post Admin "/v1/identities/{kind}/{name}/revoke";
    /// Lets a person in no more.
    PERSON_REVOKE: Post Admin "/v1/identities/{kind}/{name}/{role}/revoke";
    /// What everybody shows, and until when it stands; of the station that leads, as far as it was shown them.
    CERTIFICATES: Get Reader "/v1/certificates";
    /// Renews the certificate of a station or an agent now.
    CERTIFICATE_ROTATE: Post Admin "/v1/certificates/{kind}/{name}/rotate";
    /// Which secrets there are. What they are is not told.
    SECRETS: Get Reader "/v1/secrets";
    /// That there is a secret, who set it, and when.
    SECRET: Get Reader "/v1/secrets/{name}";
    /// Sets a secret.
    SECRET_PUT: Put Admin "/v1/secrets/{name}";
    /// Every group of people who may do the same.
    GROUPS: Get Reader "/v1/groups";
    /// Sets a group of people who may do the same.
    GROUP_PUT: Put Admin "/v1/groups/{name}";
    /// Removes a group. Its members may do what each of them was let in as.
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
        write!(f, "{} {}", self.method.as_str(), self.path)
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
