//! Outside `http` URLs, and asking them: one question on a connection of its own, within a deadline and a bound. Redirects
//! are answers like any other.

use std::error::Error as _;
use std::fmt;
use std::io;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::header::{ACCEPT, CONNECTION, HOST, HeaderMap, HeaderValue, USER_AGENT};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// An absolute URL whose scheme is `http`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Url {
    host: String,
    port: u16,
    /// With the query; begins with a slash.
    path: String,
}

/// What an answer was.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    /// At most what was asked for.
    pub(super) body: Vec<u8>,
}

/// Why there was none. Reads on after the URL.
#[derive(Debug, Error)]
pub(super) enum NoAnswer {
    #[error("cannot be reached: {0}")]
    Unreachable(io::Error),
    #[error("does not speak HTTP: {0}")]
    NotHttp(String),
    #[error("broke off its answer: {0}")]
    BrokenOff(String),
    #[error("did not answer within {} ms", .0.as_millis())]
    Late(Duration),
}

impl NoAnswer {
    /// hyper tells the cause of an error apart from it.
    fn of(error: hyper::Error) -> Self {
        let mut why = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            why.push_str(": ");
            why.push_str(&cause.to_string());
            source = cause.source();
        }
        match error.is_parse() {
            true => Self::NotHttp(why),
            false => Self::BrokenOff(why),
        }
    }
}

impl Url {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let uri: Uri = text
            .parse()
            .map_err(|error| format!("\"{text}\" is no URL: {error}"))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => {
                return Err(format!(
                    "\"{text}\" needs TLS, which this agent cannot speak to outside services yet; write http://"
                ));
            }
            _ => return Err(format!("\"{text}\" does not begin with http://")),
        }
        let authority = uri.authority().map(|a| a.as_str()).unwrap_or_default();
        if authority.contains('@') {
            return Err(
                "it has a user name or password in it, which would be shown to everybody".into(),
            );
        }
        let host = uri.host().filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| format!("\"{text}\" names no host"))?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        // `http://HOST?query` is a URL, and what is asked for begins with a slash.
        let slash = if path.starts_with('/') { "" } else { "/" };
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: uri.port_u16().unwrap_or(80),
            path: format!("{slash}{path}"),
        })
    }

    /// `HOST[:PORT]`, as in a header.
    pub(super) fn authority(&self) -> String {
        let host = if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        match self.port {
            80 => host,
            port => format!("{host}:{port}"),
        }
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The same place, another path.
    pub(super) fn with_path(&self, path: &str) -> Self {
        Self {
            path: path.to_owned(),
            ..self.clone()
        }
    }

    pub(super) async fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority(), self.path)
    }
}

/// GET, with at most so much of the body.
pub(super) async fn get(
    url: &Url,
    body_bytes_max: usize,
    within: Duration,
) -> Result<Answer, NoAnswer> {
    let question = Question {
        method: Method::GET,
        headers: HeaderMap::new(),
        body: String::new(),
    };
    ask(url, question, body_bytes_max, within).await
}

/// What is asked.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) method: Method,
    /// Beside those that every question has.
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

pub(super) async fn ask(
    url: &Url,
    question: Question,
    body_bytes_max: usize,
    within: Duration,
) -> Result<Answer, NoAnswer> {
    let late = |_| NoAnswer::Late(within);
    timeout(within, converse(url, question, body_bytes_max))
        .await
        .map_err(late)?
}

/// One that has a body says how long it is; hyper adds that.
fn request(url: &Url, question: Question) -> Result<Request<Full<Bytes>>, io::Error> {
    let mut request = Request::new(Full::from(question.body));
    *request.method_mut() = question.method;
    *request.uri_mut() = url.path().parse().map_err(io::Error::other)?;
    let agent = concat!("mainstay/", env!("CARGO_PKG_VERSION"));
    let host = HeaderValue::try_from(url.authority()).map_err(io::Error::other)?;
    let headers = request.headers_mut();
    headers.insert(HOST, host);
    headers.insert(USER_AGENT, HeaderValue::from_static(agent));
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    headers.extend(question.headers);
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    Ok(request)
}

async fn converse(
    url: &Url,
    question: Question,
    body_bytes_max: usize,
) -> Result<Answer, NoAnswer> {
    let request = request(url, question).map_err(NoAnswer::Unreachable)?;
    let stream = url.connect().await.map_err(NoAnswer::Unreachable)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(NoAnswer::of)?;
    let asking = async {
        let answer = sender.send_request(request).await.map_err(NoAnswer::of)?;
        let (head, mut from) = answer.into_parts();
        let mut body = Vec::new();
        while body.len() < body_bytes_max {
            let Some(frame) = from.frame().await else {
                break;
            };
            if let Ok(data) = frame.map_err(NoAnswer::of)?.into_data() {
                body.extend_from_slice(&data);
            }
        }
        body.truncate(body_bytes_max);
        Ok(Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body,
        })
    };
    // The connection is driven here and not in a task: whoever gives up ends both.
    tokio::pin!(asking);
    tokio::pin!(connection);
    let mut open = true;
    loop {
        tokio::select! {
            biased;
            answer = &mut asking => return answer,
            _ = &mut connection, if open => open = false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_read_and_written_back() {
        for (text, authority, path) in [
            ("http://a.example", "a.example", "/"),
            ("http://a.example:8080/x?y=1", "a.example:8080", "/x?y=1"),
            ("http://a.example?y=1", "a.example", "/?y=1"),
            ("http://[::1]:99/", "[::1]:99", "/"),
            ("http://127.0.0.1:80/a", "127.0.0.1", "/a"),
        ] {
            let url = Url::parse(text).unwrap();
            assert_eq!((url.authority().as_str(), url.path()), (authority, path));
            assert_eq!(Url::parse(&url.to_string()).unwrap(), url);
        }
    }

    #[test]
    fn what_cannot_be_asked_is_refused_with_its_reason() {
        for (text, word) in [
            ("https://a.example/", "needs TLS"),
            ("ftp://a.example/", "http://"),
            ("a.example", "http://"),
            ("/path", "http://"),
            ("", "no URL"),
            ("http://", "no URL"),
            ("http://user:secret@a.example/", "password"),
            ("http://a b/", "no URL"),
        ] {
            let told = Url::parse(text).unwrap_err();
            assert!(told.contains(word), "{text}: {told}");
            assert!(!told.contains("secret"), "{told}");
        }
    }
}
