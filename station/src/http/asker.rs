//! Who asks, and whether it may: the table of routes says what each needs, and nothing is asked that is not in it. A connection
//! says who that is, and each request anew whether that one is still let in.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::connect_info::{self, ConnectInfo};
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::serve::IncomingStream;
use hyper::body::Frame;
use mainstay_api::Problem;
use mainstay_api::routes::{self, Asker, Needs, Route};
use mainstay_identity::tls::Peer;
use mainstay_protocol::{StationId, code};

use super::Api;
use super::admission::{Admitting, Others};
use super::reply::Failure;
use crate::shared::Shared;

/// Which station passed it on: nobody does so twice.
pub const PASSED_ON_BY: &str = "mainstay-passed-on-by";
/// For whom a station asks.
pub const ASKED_FOR: &str = "mainstay-asked-for";

/// Whose connection it is.
#[derive(Clone, Debug)]
pub enum Connected {
    /// A process of this machine, or a station that was introduced over it.
    Known(Asker),
    /// It came over the network and showed this.
    Shown(Arc<Peer>),
    /// It came over the network and showed nothing.
    Stranger,
}

impl Connected {
    /// Who that is now.
    fn asker(&self, shared: &Shared) -> Asker {
        match self {
            Self::Known(asker) => asker.clone(),
            Self::Stranger => Asker::Stranger,
            Self::Shown(peer) if peer.is_over() => Asker::Expired(peer.bearer.clone()),
            Self::Shown(peer) => match shared.admits(peer) {
                Ok(()) => shared.with_group(Asker::of(peer.bearer.clone())),
                Err(refusal) => Asker::Refused(refusal.code, refusal.text),
            },
        }
    }
}

impl connect_info::Connected<IncomingStream<'_, Admitting>> for Connected {
    fn connect_info(stream: IncomingStream<'_, Admitting>) -> Self {
        stream.remote_addr().clone()
    }
}

impl connect_info::Connected<IncomingStream<'_, Others>> for Connected {
    fn connect_info(stream: IncomingStream<'_, Others>) -> Self {
        stream.remote_addr().clone()
    }
}

/// Refuses who may not, before anything else is done with a request.
pub async fn authorise(
    State(api): State<Api>,
    ConnectInfo(connected): ConnectInfo<Connected>,
    mut request: Request,
    next: Next,
) -> Response {
    let shared = &api.shared;
    let asker = asker_of(shared, connected.asker(shared), &mut request);
    // What is not in the table is answered by the fallback, which tells nothing.
    let route =
        method_of(request.method()).and_then(|method| routes::find(method, request.uri().path()));
    if let Some(route) = route
        && !asker.may(route)
    {
        let what = format!("{} {}", request.method(), request.uri().path());
        return Failure::from(refusal(what, &asker, route)).into_response();
    }
    request.extensions_mut().insert(asker);
    let mut response = next.run(request).await;
    if let Connected::Shown(_) = connected
        && let Ok(stations) = HeaderValue::try_from(stations(shared))
    {
        let name = HeaderName::from_static(routes::STATIONS_HEADER);
        response.headers_mut().insert(name, stations);
    }
    // What goes on for longer than a request ends with the right to it.
    let is_whole = response.body().size_hint().exact().is_some();
    match connected {
        Connected::Shown(_) if !is_whole => response.map(|body| {
            Body::new(WhileLetIn {
                body,
                connected,
                shared: Arc::clone(&api.shared),
            })
        }),
        Connected::Shown(_) | Connected::Known(_) | Connected::Stranger => response,
    }
}

/// A station of the group says for whom it asks; whoever else says so is not listened to.
fn asker_of(shared: &Shared, asker: Asker, request: &mut Request) -> Asker {
    let headers = request.headers_mut();
    let believed = matches!(&asker, Asker::Station(station) if is_member(shared, *station));
    if !believed {
        headers.remove(PASSED_ON_BY);
        headers.remove(ASKED_FOR);
        return asker;
    }
    let said = headers.get(ASKED_FOR).and_then(|text| text.to_str().ok());
    match said.and_then(Asker::of_header) {
        Some(Asker::Person { name, role, .. }) => shared.person(name, role),
        Some(said) => said,
        None => asker,
    }
}

/// Where those are that can be reached over the network.
fn stations(shared: &Shared) -> String {
    let addresses = shared.store.status().addresses.into_values();
    let addresses: Vec<String> = addresses.filter(|at| !at.starts_with("unix:")).collect();
    addresses.join(",")
}

fn is_member(shared: &Shared, station: StationId) -> bool {
    shared.store.status().addresses.contains_key(&station)
}

/// An answer that goes on as long as whoever asked is let in.
struct WhileLetIn {
    body: Body,
    connected: Connected,
    shared: Arc<Shared>,
}

impl HttpBody for WhileLetIn {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match self.connected.asker(&self.shared) {
            Asker::Refused(_, why) => Poll::Ready(Some(Err(axum::Error::new(why)))),
            Asker::Expired(bearer) => {
                let why = format!("the certificate of {bearer} has run out");
                Poll::Ready(Some(Err(axum::Error::new(why))))
            }
            _ => Pin::new(&mut self.body).poll_frame(context),
        }
    }
}

fn method_of(method: &Method) -> Option<routes::Method> {
    Some(match *method {
        Method::GET | Method::HEAD => routes::Method::Get,
        Method::POST => routes::Method::Post,
        Method::PUT => routes::Method::Put,
        Method::DELETE => routes::Method::Delete,
        _ => return None,
    })
}

fn refusal(what: String, asker: &Asker, route: &Route) -> Problem {
    let needs = match route.needs {
        Needs::Nobody => "nobody in particular",
        Needs::Reader => "a reader",
        Needs::Operator => "an operator",
        Needs::Admin => "an admin",
        Needs::Station => "a station",
    };
    match asker {
        Asker::Refused(code, why) => {
            Problem::new(code.clone(), what, why.clone()).to_do("mainstay join --help")
        }
        Asker::Expired(bearer) => {
            let why = format!("the certificate of {bearer} has run out");
            Problem::new(code::CERTIFICATE_EXPIRED, what, why).to_do("mainstay join --help")
        }
        Asker::Stranger => {
            let why = format!("this needs {needs}, and you show no certificate");
            Problem::new(code::STRANGER, what, why).to_do("mainstay join --help")
        }
        Asker::Person { .. } | Asker::Station(_) | Asker::Agent(_) => {
            let why = format!("this needs {needs}, and {asker} is none");
            Problem::new(code::NOT_ALLOWED, what, why).to_do("mainstay identity whoami")
        }
    }
}

/// Marks a request that is passed on, with who asked.
pub fn mark(request: &mut Request, by: &str) {
    let asker = request
        .extensions()
        .get::<Asker>()
        .and_then(Asker::to_header);
    let headers = request.headers_mut();
    let mut set = |name: &'static str, text: &str| {
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    set(PASSED_ON_BY, by);
    if let Some(asker) = asker {
        set(ASKED_FOR, &asker);
    }
}
