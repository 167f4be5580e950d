//! Every route as a typed call.

use std::time::{Duration, Instant};

use hyper::body::Incoming;
use mainstay_protocol::code;
use mainstay_protocol::limits;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::connection::{self, Asked};
use super::stream::Stream;
use super::{ByteStream, Change, ChangeStream, Client, EventStream};
use crate::problem::Problem;
use crate::routes::{self, Route, query};
use crate::types::{
    Accepted, ApplyRequest, Asked as Question, BadPeer, CallAnswer, ChaosRequest, CheckAnswer,
    Collected, Configuration, Decision, Described, Done, Event, Graph, GraphProblem, Impact,
    Instance, LogPage, MoveRequest, Name, Node, Parked, Placement, PlacementSpec, PlacementVersion,
    Plan, PlanRequest, Procedure, ReconfigureRequest, Resource, RollbackRequest, Rule, RuleSwitch,
    ServiceType, Settings, SettingsRequest, StartRequest, Station, StationRequest, Status,
    StatusAnswer, Supervisor, Version, WaitAnswer, WaitRequest, Why,
};

/// Which instances; all, where nothing is said.
#[derive(Debug, Clone, Default)]
pub struct InstanceFilter {
    pub node: Option<String>,
    pub placement: Option<String>,
    pub service_type: Option<String>,
    pub state: Option<String>,
    /// What each uses, too: their nodes are asked.
    pub usage: bool,
}

/// Which events.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// Only later ones.
    pub after: Option<u64>,
    /// Without `after`: the newest so many.
    pub limit: Option<usize>,
    /// Of one subject.
    pub reference: Option<String>,
}

/// Which decisions, newest first.
#[derive(Debug, Clone, Default)]
pub struct DecisionFilter {
    pub reference: Option<String>,
    pub rule: Option<String>,
    pub limit: Option<usize>,
}

/// From where on a log is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogsFrom {
    /// Of the present incarnation.
    Beginning,
    /// Of the one before it.
    Previous,
    /// Behind a page: its `next`.
    After(String),
}

/// Beyond a wait's own timeout: the way there and back.
const WAIT_MARGIN: Duration = Duration::from_secs(5);
/// A new station is sent the whole state before it votes.
pub const STATION_ADD_TIMEOUT: Duration = Duration::from_secs(60);

impl Client {
    pub async fn status(&self) -> Result<Status, Problem> {
        self.get(routes::STATUS.path).await
    }

    pub async fn version(&self) -> Result<Version, Problem> {
        self.get(routes::VERSION.path).await
    }

    pub async fn nodes(&self) -> Result<Vec<Node>, Problem> {
        self.list(routes::NODES.path).await
    }

    pub async fn node(&self, name: &str) -> Result<Node, Problem> {
        self.get(&routes::NODE.fill(&[name])).await
    }

    pub async fn stations(&self) -> Result<Vec<Station>, Problem> {
        self.list(routes::STATIONS.path).await
    }

    /// Returns once it has caught up and votes, or was a member already.
    pub async fn add_station(&self, name: &str, address: &str) -> Result<Accepted, Problem> {
        let path = routes::STATION_ADD.fill(&[name]);
        let change = Change::new(routes::STATION_ADD.method, &path);
        let request = StationRequest {
            address: address.to_owned(),
        };
        self.change(change, &request, self.patience(STATION_ADD_TIMEOUT))
            .await
    }

    /// Its number is not used again.
    pub async fn remove_station(&self, name: &str) -> Result<Accepted, Problem> {
        self.delete(&routes::STATION_REMOVE.fill(&[name])).await
    }

    /// Hands leadership over to it.
    pub async fn lead_station(&self, name: &str) -> Result<Accepted, Problem> {
        self.post(&routes::STATION_LEAD.fill(&[name]), &Value::Null)
            .await
    }

    pub async fn types(&self) -> Result<Vec<ServiceType>, Problem> {
        self.list(routes::TYPES.path).await
    }

    pub async fn service_type(&self, name: &str) -> Result<ServiceType, Problem> {
        self.get(&routes::TYPE.fill(&[name])).await
    }

    pub async fn placements(&self) -> Result<Vec<Placement>, Problem> {
        self.list(routes::PLACEMENTS.path).await
    }

    pub async fn placement(&self, name: &str) -> Result<Placement, Problem> {
        self.get(&routes::PLACEMENT.fill(&[name])).await
    }

    /// Makes a placement, or replaces its whole wish; based on a generation, 0 where there was none.
    pub async fn put_placement(
        &self,
        spec: &PlacementSpec,
        based_on: Option<u64>,
    ) -> Result<Accepted, Problem> {
        let path = routes::PLACEMENT_PUT.fill(&[&spec.name]);
        let change = Change {
            based_on,
            ..Change::new(routes::PLACEMENT_PUT.method, &path)
        };
        self.change(change, spec, self.timeout()).await
    }

    pub async fn delete_placement(
        &self,
        name: &str,
        based_on: Option<u64>,
    ) -> Result<Accepted, Problem> {
        let path = routes::PLACEMENT_DELETE.fill(&[name]);
        let change = Change {
            based_on,
            ..Change::new(routes::PLACEMENT_DELETE.method, &path)
        };
        self.change(change, &Value::Null, self.timeout()).await
    }

    pub async fn placement_history(&self, name: &str) -> Result<Vec<PlacementVersion>, Problem> {
        self.get(&routes::PLACEMENT_HISTORY.fill(&[name])).await
    }

    pub async fn reconfigure(
        &self,
        name: &str,
        request: &ReconfigureRequest,
    ) -> Result<Accepted, Problem> {
        self.post(&routes::PLACEMENT_RECONFIGURE.fill(&[name]), request)
            .await
    }

    pub async fn rollback(
        &self,
        name: &str,
        request: &RollbackRequest,
    ) -> Result<Accepted, Problem> {
        self.post(&routes::PLACEMENT_ROLLBACK.fill(&[name]), request)
            .await
    }

    pub async fn safe_start(&self, node: &str, placement: &str) -> Result<Accepted, Problem> {
        let path = routes::INSTANCE_SAFE_START.fill(&[node, placement]);
        self.post(&path, &Value::Null).await
    }

    /// Placements put and deleted as one.
    pub async fn apply(&self, request: &ApplyRequest) -> Result<Accepted, Problem> {
        self.post(routes::APPLY.path, request).await
    }

    /// What wishes would change.
    pub async fn plan(&self, request: &PlanRequest) -> Result<Plan, Problem> {
        self.post(routes::PLAN.path, request).await
    }

    pub async fn settings(&self) -> Result<Settings, Problem> {
        self.get(routes::SETTINGS.path).await
    }

    pub async fn set_settings(&self, request: &SettingsRequest) -> Result<Accepted, Problem> {
        let change = Change::new(routes::SETTINGS_PUT.method, routes::SETTINGS_PUT.path);
        self.change(change, request, self.timeout()).await
    }

    pub async fn instances(&self, filter: &InstanceFilter) -> Result<Vec<Instance>, Problem> {
        let pairs = [
            ("node", &filter.node),
            ("placement", &filter.placement),
            ("type", &filter.service_type),
            ("state", &filter.state),
            ("usage", &filter.usage.then(|| "1".to_owned())),
        ];
        self.list(&with_query(&routes::INSTANCES, &pairs)).await
    }

    pub async fn instance(&self, node: &str, placement: &str) -> Result<Instance, Problem> {
        self.get(&routes::INSTANCE.fill(&[node, placement])).await
    }

    /// With what it uses: its node is asked.
    pub async fn instance_and_usage(
        &self,
        node: &str,
        placement: &str,
    ) -> Result<Instance, Problem> {
        let path = routes::INSTANCE.fill(&[node, placement]);
        self.get(&format!("{path}{}", query(&[("usage", "1")])))
            .await
    }

    pub async fn names(&self) -> Result<Vec<Name>, Problem> {
        self.list(routes::NAMES.path).await
    }

    pub async fn supervisors(&self) -> Result<Vec<Supervisor>, Problem> {
        self.list(routes::SUPERVISORS.path).await
    }

    pub async fn configurations(&self) -> Result<Vec<Configuration>, Problem> {
        self.list(routes::CONFIGURATIONS.path).await
    }

    pub async fn resources(&self) -> Result<Vec<Resource>, Problem> {
        self.list(routes::RESOURCES.path).await
    }

    pub async fn asked(&self) -> Result<Vec<Question>, Problem> {
        self.list(routes::ASKED.path).await
    }

    pub async fn procedures(&self) -> Result<Vec<Procedure>, Problem> {
        self.list(routes::PROCEDURES.path).await
    }

    pub async fn collected(&self) -> Result<Vec<Collected>, Problem> {
        self.list(routes::COLLECTED.path).await
    }

    /// Any one resource by its reference.
    pub async fn resource(&self, reference: &str) -> Result<Described, Problem> {
        let path = format!("{}{}", routes::RESOURCE.path, query(&[("ref", reference)]));
        self.get(&path).await
    }

    /// The same, and of an instance what it uses: its node is asked.
    pub async fn resource_and_usage(&self, reference: &str) -> Result<Described, Problem> {
        let pairs = query(&[("ref", reference), ("usage", "1")]);
        self.get(&format!("{}{pairs}", routes::RESOURCE.path)).await
    }

    pub async fn why(&self, reference: &str) -> Result<Why, Problem> {
        let path = format!("{}{}", routes::WHY.path, query(&[("ref", reference)]));
        self.get(&path).await
    }

    /// A tree for each root problem of the cluster.
    pub async fn why_all(&self) -> Result<Vec<Why>, Problem> {
        self.get(routes::WHY.path).await
    }

    /// What lies around a resource, or everything.
    pub async fn graph(
        &self,
        reference: Option<&str>,
        depth: Option<usize>,
    ) -> Result<Graph, Problem> {
        let pairs = [
            ("ref", &reference.map(str::to_owned)),
            ("depth", &depth.map(|depth| depth.to_string())),
        ];
        self.get(&with_query(&routes::GRAPH, &pairs)).await
    }

    pub async fn graph_check(&self) -> Result<Vec<GraphProblem>, Problem> {
        self.get(routes::GRAPH_CHECK.path).await
    }

    pub async fn impact(&self, reference: &str) -> Result<Impact, Problem> {
        let path = format!("{}{}", routes::IMPACT.path, query(&[("ref", reference)]));
        self.get(&path).await
    }

    /// So many events as asked for, oldest first, over as many pages as it takes.
    pub async fn events(&self, filter: &EventFilter) -> Result<Vec<Event>, Problem> {
        let path = events_path(filter);
        let pages = self.pages(&path, rows_wanted(filter.limit)).await?;
        let in_order: Vec<Vec<Event>> = match filter.after {
            Some(_) => pages,
            // Without a beginning each page is older than the one before.
            None => pages.into_iter().rev().collect(),
        };
        let mut events: Vec<Event> = in_order.into_iter().flatten().collect();
        let surplus = events.len().saturating_sub(rows_wanted(filter.limit));
        match filter.after {
            Some(_) => events.truncate(events.len() - surplus),
            None => drop(events.drain(..surplus)),
        }
        Ok(events)
    }

    /// What one request finds among the newest of a long history, oldest first: quick, and maybe not all.
    pub async fn recent_events(&self, filter: &EventFilter) -> Result<Vec<Event>, Problem> {
        self.get(&events_path(filter)).await
    }

    /// Events as they come.
    pub async fn follow(&self, filter: &EventFilter) -> Result<EventStream, Problem> {
        self.stream(&events_path(filter)).await
    }

    /// Whenever anything changed, from now on; the first at once.
    pub async fn changes(&self) -> Result<ChangeStream, Problem> {
        self.stream(routes::CHANGES.path).await
    }

    /// The whole state as a file, from whichever station answers.
    pub async fn backup(&self) -> Result<ByteStream, Problem> {
        let asked = Asked::get(routes::BACKUP.path);
        let (what, request_id, body) = self.opened(asked).await?;
        Ok(ByteStream::new(what, request_id, body))
    }

    async fn stream<T: DeserializeOwned>(&self, path: &str) -> Result<Stream<T>, Problem> {
        let (what, request_id, body) = self.opened(Asked::stream(path)).await?;
        Ok(Stream::new(what, request_id, body))
    }

    /// An answer that is read as it comes.
    pub(super) async fn opened(
        &self,
        asked: Asked<'_>,
    ) -> Result<(String, String, Incoming), Problem> {
        let what = asked.what();
        let order = self.stations.in_order();
        let opened = self.reach(&asked, self.timeout(), &order, connection::open);
        let (_, (request_id, response)) = opened.await?;
        if !response.status().is_success() {
            let refused = connection::receive(what, request_id, response).await?;
            return Err(refused.problem());
        }
        Ok((what, request_id, response.into_body()))
    }

    /// So many decisions as asked for, over as many pages as it takes.
    pub async fn decisions(&self, filter: &DecisionFilter) -> Result<Vec<Decision>, Problem> {
        let wanted = rows_wanted(filter.limit);
        let pages = self.pages(&decisions_path(filter), wanted).await?;
        Ok(pages.into_iter().flatten().take(wanted).collect())
    }

    /// What one request finds among the newest of a long history: quick, and maybe not all.
    pub async fn recent_decisions(
        &self,
        filter: &DecisionFilter,
    ) -> Result<Vec<Decision>, Problem> {
        self.get(&decisions_path(filter)).await
    }

    pub async fn start(&self, request: &StartRequest) -> Result<Accepted, Problem> {
        self.post(routes::START.path, request).await
    }

    pub async fn stop(&self, node: &str, placement: &str) -> Result<Accepted, Problem> {
        self.post(
            &routes::INSTANCE_STOP.fill(&[node, placement]),
            &Value::Null,
        )
        .await
    }

    pub async fn restart(&self, node: &str, placement: &str) -> Result<Accepted, Problem> {
        self.post(
            &routes::INSTANCE_RESTART.fill(&[node, placement]),
            &Value::Null,
        )
        .await
    }

    pub async fn move_to(
        &self,
        node: &str,
        placement: &str,
        to: &str,
    ) -> Result<Accepted, Problem> {
        let path = routes::INSTANCE_MOVE.fill(&[node, placement]);
        let to = to.to_owned();
        self.post(&path, &MoveRequest { to }).await
    }

    pub async fn clear(&self, node: &str, placement: &str) -> Result<Accepted, Problem> {
        self.post(
            &routes::INSTANCE_CLEAR.fill(&[node, placement]),
            &Value::Null,
        )
        .await
    }

    pub async fn check(&self, node: &str, placement: &str) -> Result<CheckAnswer, Problem> {
        self.post(
            &routes::INSTANCE_CHECK.fill(&[node, placement]),
            &Value::Null,
        )
        .await
    }

    pub async fn ask_status(&self, node: &str, placement: &str) -> Result<StatusAnswer, Problem> {
        self.post(
            &routes::INSTANCE_STATUS.fill(&[node, placement]),
            &Value::Null,
        )
        .await
    }

    /// A page of what an instance wrote.
    pub async fn logs(
        &self,
        node: &str,
        placement: &str,
        from: &LogsFrom,
    ) -> Result<LogPage, Problem> {
        let pairs: &[(&str, &str)] = match from {
            LogsFrom::Beginning => &[],
            LogsFrom::Previous => &[("previous", "1")],
            LogsFrom::After(place) => &[("after", place)],
        };
        let path = routes::INSTANCE_LOGS.fill(&[node, placement]);
        self.get(&format!("{path}{}", query(pairs))).await
    }

    pub async fn call(
        &self,
        node: &str,
        placement: &str,
        message: &str,
        body: &Value,
    ) -> Result<CallAnswer, Problem> {
        self.post(
            &routes::INSTANCE_MESSAGE.fill(&[node, placement, message]),
            body,
        )
        .await
    }

    pub async fn station_check(&self, name: &str) -> Result<CheckAnswer, Problem> {
        let path = routes::STATION_CHECK.fill(&[name]);
        self.post(&path, &Value::Null).await
    }

    pub async fn station_status(&self, name: &str) -> Result<StatusAnswer, Problem> {
        let path = routes::STATION_STATUS.fill(&[name]);
        self.post(&path, &Value::Null).await
    }

    pub async fn supervisor_check(&self, node: &str) -> Result<CheckAnswer, Problem> {
        self.post(&routes::SUPERVISOR_CHECK.fill(&[node]), &Value::Null)
            .await
    }

    pub async fn supervisor_status(&self, node: &str) -> Result<StatusAnswer, Problem> {
        self.post(&routes::SUPERVISOR_STATUS.fill(&[node]), &Value::Null)
            .await
    }

    pub async fn chaos(&self, request: &ChaosRequest) -> Result<Done, Problem> {
        self.post(routes::CHAOS.path, request).await
    }

    /// Waits for as long as the request says, also over a restart of the station.
    pub async fn wait(&self, request: &WaitRequest) -> Result<WaitAnswer, Problem> {
        let started = Instant::now();
        let timeout = Duration::from_millis(request.timeout_ms);
        loop {
            let left = timeout.saturating_sub(started.elapsed());
            let waiting = WaitRequest {
                timeout_ms: left.as_millis() as u64,
                ..request.clone()
            };
            let change = Change::new(routes::WAIT.method, routes::WAIT.path);
            // To wait changes nothing: it is asked again also where its answer was lost.
            let again =
                |problem: &Problem| problem.is_retryable() || problem.code == code::ANSWER_LOST;
            match self.change(change, &waiting, left + WAIT_MARGIN).await {
                Err(problem) if again(&problem) && started.elapsed() < timeout => {
                    tokio::time::sleep(super::RETRY_PAUSE).await;
                }
                answer => return answer,
            }
        }
    }

    /// In the order in which they run.
    pub async fn rules(&self) -> Result<Vec<Rule>, Problem> {
        self.get(routes::RULES.path).await
    }

    pub async fn rule(&self, name: &str) -> Result<Rule, Problem> {
        self.get(&routes::RULE.fill(&[name])).await
    }

    pub async fn rule_disable(&self, name: &str, switch: &RuleSwitch) -> Result<Accepted, Problem> {
        self.post(&routes::RULE_DISABLE.fill(&[name]), switch).await
    }

    pub async fn rule_enable(&self, name: &str) -> Result<Accepted, Problem> {
        self.post(&routes::RULE_ENABLE.fill(&[name]), &Value::Null)
            .await
    }

    pub async fn parked(&self) -> Result<Vec<Parked>, Problem> {
        self.list(routes::PARKED.path).await
    }

    pub async fn parked_one(&self, id: &str) -> Result<Parked, Problem> {
        self.get(&routes::PARKED_ONE.fill(&[id])).await
    }

    pub async fn parked_requeue(&self, id: &str) -> Result<Accepted, Problem> {
        self.post(&routes::PARKED_REQUEUE.fill(&[id]), &Value::Null)
            .await
    }

    pub async fn parked_drop(&self, id: &str) -> Result<Accepted, Problem> {
        self.delete(&routes::PARKED_DROP.fill(&[id])).await
    }

    pub async fn answer(&self, id: &str, answer: &Value) -> Result<Accepted, Problem> {
        self.post(&routes::ASKED_ANSWER.fill(&[id]), answer).await
    }

    pub async fn bad_frames(&self) -> Result<Vec<BadPeer>, Problem> {
        self.get(routes::BAD_FRAMES.path).await
    }

    /// As Prometheus reads them.
    pub async fn metrics(&self) -> Result<String, Problem> {
        let asked = Asked::get(routes::METRICS.path);
        Ok(self.ask(asked, self.timeout()).await?.text())
    }

    /// Whether the station says it is ready.
    pub async fn ready(&self) -> Result<(), Problem> {
        self.get::<Value>(routes::READYZ.path).await.map(drop)
    }
}

/// As many as the station gives by itself, where nobody says how many.
fn rows_wanted(limit: Option<usize>) -> usize {
    limit.unwrap_or(limits::HISTORY_ROWS_DEFAULT)
}

fn decisions_path(filter: &DecisionFilter) -> String {
    let limit = filter.limit.map(|limit| limit.to_string());
    let pairs = [
        ("ref", &filter.reference),
        ("rule", &filter.rule),
        ("limit", &limit),
    ];
    with_query(&routes::DECISIONS, &pairs)
}

fn events_path(filter: &EventFilter) -> String {
    let after = filter.after.map(|after| after.to_string());
    let limit = filter.limit.map(|limit| limit.to_string());
    let pairs = [
        ("after", &after),
        ("limit", &limit),
        ("ref", &filter.reference),
    ];
    with_query(&routes::EVENTS, &pairs)
}

fn with_query(route: &Route, pairs: &[(&str, &Option<String>)]) -> String {
    let given: Vec<(&str, &str)> = pairs
        .iter()
        .filter_map(|(key, value)| Some((*key, value.as_deref()?)))
        .collect();
    format!("{}{}", route.path, query(&given))
}
