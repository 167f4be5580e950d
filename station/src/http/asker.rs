//! Who asks, and whether it may: the table of routes says what each needs, and nothing is asked that is not in it.

use axum::extract::Request;
use axum::extract::connect_info::{self, ConnectInfo};
use axum::http::{HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::serve::IncomingStream;
use mainstay_api::Problem;
use mainstay_api::routes::{self, Asker, Needs, Route};
use mainstay_protocol::code;

use super::admission::{Admitting, Others};
use super::reply::Failure;

/// Which station passed it on: nobody does so twice.
pub const PASSED_ON_BY: &str = "mainstay-passed-on-by";
/// For whom a station asks.
pub const ASKED_FOR: &str = "mainstay-asked-for";

/// Whose connection it is.
#[derive(Clone, Debug)]
pub struct Connected(pub Asker);

impl connect_info::Connected<IncomingStream<'_, Admitting>> for Connected {
    fn connect_info(stream: IncomingStream<'_, Admitting>) -> Self {
        Self(stream.remote_addr().clone())
    }
}

impl connect_info::Connected<IncomingStream<'_, Others>> for Connected {
    fn connect_info(stream: IncomingStream<'_, Others>) -> Self {
        Self(stream.remote_addr().clone())
    }
}

/// Refuses who may not, before anything else is done with a request.
pub async fn authorise(
    ConnectInfo(Connected(connected)): ConnectInfo<Connected>,
    mut request: Request,
    next: Next,
) -> Response {
    let asker = asker_of(connected, &mut request);
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
    next.run(request).await
}

/// A station says for whom it asks; whoever else says so is not listened to.
fn asker_of(connected: Asker, request: &mut Request) -> Asker {
    let headers = request.headers_mut();
    if !matches!(connected, Asker::Station(_)) {
        headers.remove(PASSED_ON_BY);
        headers.remove(ASKED_FOR);
        return connected;
    }
    let said = headers.get(ASKED_FOR).and_then(|text| text.to_str().ok());
    said.and_then(Asker::of_header).unwrap_or(connected)
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
