//! The HTTP API, on its Unix socket and over the network: reads from store snapshots, changes through the inbox, questions through the
//! sessions.

mod access;
mod admission;
mod artifacts;
mod asker;
mod asks;
mod backup;
mod certificates;
mod changed;
mod changes;
mod chaos;
mod forward;
mod history;
mod idempotency;
mod logs;
mod looks;
mod nodes;
mod overview;
mod placements;
mod plans;
mod reply;
mod rules;
mod services;
mod stations;
mod stream;
mod usage;
mod wait;
mod work;

use std::convert::Infallible;
use std::future::IntoFuture;
use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRequestParts};
use axum::http::request::Parts;
use axum::middleware;
use axum::routing::{MethodRouter, delete, get, post, put};
use mainstay_api::routes::{self, Asker, Method, Route};
use mainstay_identity::way::BoxedStream;
use mainstay_protocol::limits;
use tokio::net::UnixListener;
use tokio::sync::{Semaphore, mpsc, watch};

use crate::shared::Shared;
pub use asker::Connected;
pub use forward::say_farewell;

use admission::{Admitting, OF_THIS_MACHINE, Others};
use idempotency::Keys;

/// What handlers share.
#[derive(Clone)]
pub struct Api {
    pub shared: Arc<Shared>,
    keys: Arc<Keys>,
    waiters: Arc<Semaphore>,
    followers: Arc<Semaphore>,
    backups: Arc<Semaphore>,
    artifacts: Arc<Semaphore>,
    stop: watch::Receiver<bool>,
    /// Who asks; a stranger, until a request has said more.
    asker: Asker,
}

impl Api {
    /// Who did it, as it is remembered: on this machine somebody says so, everybody else has shown it.
    pub fn by(&self, said: String) -> String {
        match &self.asker {
            Asker::Person { name, .. } if name.starts_with(OF_THIS_MACHINE) => said,
            shown => shown.to_string(),
        }
    }
}

/// For a handler, with who asks it.
impl FromRequestParts<Self> for Api {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, api: &Self) -> Result<Self, Infallible> {
        let asker = parts.extensions.get::<Asker>().cloned();
        Ok(Self {
            asker: asker.unwrap_or(Asker::Stranger),
            ..api.clone()
        })
    }
}

/// A connection on which requests come, and whose it is.
pub struct ToApi {
    pub stream: BoxedStream,
    pub whose: Connected,
}

/// Serves until the station stops: whom the socket lets in, and who comes over the network.
pub async fn serve(
    listener: UnixListener,
    others: mpsc::Receiver<ToApi>,
    shared: Arc<Shared>,
    stop: watch::Receiver<bool>,
) {
    let api = Api {
        shared,
        keys: Arc::new(Keys::default()),
        waiters: Arc::new(Semaphore::new(limits::WAITERS_MAX)),
        followers: Arc::new(Semaphore::new(limits::FOLLOWERS_MAX)),
        backups: Arc::new(Semaphore::new(limits::BACKUPS_MAX)),
        artifacts: Arc::new(Semaphore::new(limits::ARTIFACT_PUTS_MAX)),
        stop: stop.clone(),
        asker: Asker::Stranger,
    };
    let until_stop = |mut stop: watch::Receiver<bool>| async move {
        // A sender that is gone means the same as one that says so.
        drop(stop.wait_for(|stop| *stop).await);
    };
    let router = router(api);
    let service = || {
        router
            .clone()
            .into_make_service_with_connect_info::<Connected>()
    };
    let own = axum::serve(Admitting::new(listener), service())
        .with_graceful_shutdown(until_stop(stop.clone()));
    let others =
        axum::serve(Others::new(others), service()).with_graceful_shutdown(until_stop(stop));
    let (own, others) = tokio::join!(own.into_future(), others.into_future());
    for error in [own.err(), others.err()].into_iter().flatten() {
        tracing::error!(%error, "the API ended");
    }
}

fn router(api: Api) -> Router {
    let mut router = Router::new();
    for (route, handler) in handlers() {
        router = router.route(route.path, handler);
    }
    router
        .fallback(reply::no_such_route)
        .method_not_allowed_fallback(reply::no_such_method)
        .layer(DefaultBodyLimit::max(limits::HTTP_BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(
            api.clone(),
            idempotency::once_per_key,
        ))
        .layer(middleware::from_fn_with_state(
            api.clone(),
            forward::to_leader,
        ))
        .layer(middleware::from_fn_with_state(
            api.clone(),
            asker::authorise,
        ))
        .layer(middleware::from_fn_with_state(
            api.clone(),
            reply::with_request_id,
        ))
        .with_state(api)
}

/// Takes what many files come to.
fn large(handler: MethodRouter<Api>) -> MethodRouter<Api> {
    handler.layer(DefaultBodyLimit::max(limits::PLAN_BYTES_MAX))
}

/// Takes a whole artifact, and what is a little longer: that is refused in better words than the framework has.
fn as_large_as_an_artifact(handler: MethodRouter<Api>) -> MethodRouter<Api> {
    handler.layer(DefaultBodyLimit::max(
        limits::ARTIFACT_BYTES_MAX as usize + limits::HTTP_BODY_BYTES_MAX,
    ))
}

/// Whether any handler is there for requests of this method.
fn is_served(method: Method) -> bool {
    matches!(
        method,
        Method::Get | Method::Post | Method::Put | Method::Delete
    )
}

fn handlers() -> Vec<(Route, MethodRouter<Api>)> {
    let mut handlers = vec![
        (routes::STATUS, get(overview::status)),
        (routes::VERSION, get(overview::version)),
        (routes::OPENAPI, get(overview::document)),
        (routes::HEALTHZ, get(overview::healthz)),
        (routes::READYZ, get(overview::readyz)),
        (routes::METRICS, get(overview::metrics)),
        (routes::BAD_FRAMES, get(overview::bad_frames)),
        (routes::RESOURCE, get(looks::resource)),
        (routes::WHY, get(looks::why)),
        (routes::GRAPH, get(looks::graph)),
        (routes::GRAPH_CHECK, get(looks::graph_check)),
        (routes::IMPACT, get(looks::impact)),
        (routes::EVENTS, get(history::events)),
        (routes::CHANGES, get(changed::changes)),
        (routes::DECISIONS, get(history::decisions)),
        (routes::START, post(changes::start)),
        (routes::PLAN, large(post(plans::plan))),
        (routes::APPLY, large(post(placements::apply))),
        (routes::SETTINGS, get(plans::settings)),
        (routes::SETTINGS_PUT, put(plans::set_settings)),
        (routes::PLACEMENT, get(placements::one)),
        (routes::PLACEMENT_HISTORY, get(placements::history)),
        (routes::PLACEMENT_RECONFIGURE, post(placements::reconfigure)),
        (routes::PLACEMENT_ROLLBACK, post(placements::rollback)),
        (routes::INSTANCE_SAFE_START, post(changes::safe_start)),
        (routes::PLACEMENT_PUT, put(placements::put)),
        (routes::PLACEMENT_DELETE, delete(placements::delete)),
        (routes::INSTANCE_STOP, post(changes::stop)),
        (routes::INSTANCE_RESTART, post(changes::restart)),
        (routes::INSTANCE_MOVE, post(changes::move_to)),
        (routes::INSTANCE_CLEAR, post(changes::clear)),
        (routes::PARKED_REQUEUE, post(changes::requeue)),
        (routes::ASKED_ANSWER, post(changes::answer)),
        (routes::INSTANCE_CHECK, post(asks::check)),
        (routes::INSTANCE_STATUS, post(asks::status)),
        (routes::INSTANCE_LOGS, get(logs::logs)),
        (routes::INSTANCE_MESSAGE, post(asks::message)),
        (routes::SUPERVISOR_CHECK, post(asks::supervisor_check)),
        (routes::STATION_CHECK, post(stations::check)),
        (routes::STATION_STATUS, post(stations::status)),
        (routes::SUPERVISOR_STATUS, post(asks::supervisor_status)),
        (routes::CHAOS, post(chaos::chaos)),
        (routes::WAIT, post(wait::wait)),
        (routes::BACKUP, get(backup::backup)),
        (routes::STATION_ADD, post(stations::add)),
        (routes::STATION_REMOVE, delete(stations::remove)),
        (routes::STATION_LEAD, post(stations::lead)),
        (routes::STATION_STOPS, post(stations::stops)),
        (routes::RULES, get(rules::list)),
        (routes::RULE, get(rules::one)),
        (routes::RULE_DISABLE, post(rules::disable)),
        (routes::RULE_ENABLE, post(rules::enable)),
        (routes::PARKED_ONE, get(looks::parked)),
        (routes::PARKED_DROP, delete(changes::drop_parked)),
    ];
    let of_others = [
        looks::lists(),
        access::handlers(),
        certificates::handlers(),
        nodes::handlers(),
        work::handlers(),
        services::handlers(),
        artifacts::handlers(),
    ];
    handlers.extend(of_others.into_iter().flatten());
    debug_assert!(handlers.iter().all(|(route, _)| is_served(route.method)));
    handlers
}
