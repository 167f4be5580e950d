//! Whether something takes connections, or answers over HTTP; and whether it says itself that all is not well.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::answer;
use super::ports::Ports;

/// Of one try: readiness tries again, and a Check has its own deadline as well.
const TRY: Duration = Duration::from_secs(5);

/// What is to be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Goal {
    Tcp { address: String },
    Http { address: String, path: String },
}

/// It was reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reached {
    Well,
    /// It answers, and says that something is in its way.
    Warns(String),
}

impl Goal {
    /// A port's name, a number, or HOST:PORT.
    pub(super) fn tcp(text: &str, ports: &Ports) -> Result<Self, String> {
        let address = match (ports.get(text), text.parse::<u16>()) {
            (Some(port), _) => format!("127.0.0.1:{port}"),
            (None, Ok(port)) => format!("127.0.0.1:{port}"),
            (None, Err(_)) if text.contains(':') => text.to_owned(),
            (None, Err(_)) => {
                return Err(format!(
                    "tcp: \"{text}\" is no port's name, no number and no HOST:PORT"
                ));
            }
        };
        Ok(Self::Tcp { address })
    }

    /// A path on the first port, or a whole address.
    pub(super) fn http(text: &str, ports: &Ports, first: Option<&str>) -> Result<Self, String> {
        if text.starts_with('/') {
            let port = first.and_then(|name| ports.get(name));
            let port = port.ok_or_else(|| {
                format!("http: \"{text}\" is a path, and there is no port to ask for it; add one to ports")
            })?;
            return Ok(Self::Http {
                address: format!("127.0.0.1:{port}"),
                path: text.to_owned(),
            });
        }
        let rest = text.strip_prefix("http://").ok_or_else(|| {
            format!("http: \"{text}\" is neither a path, as /health is, nor http://HOST:PORT/PATH")
        })?;
        let (host, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, "/"),
        };
        let address = match host.contains(':') {
            true => host.to_owned(),
            false => format!("{host}:80"),
        };
        Ok(Self::Http {
            address,
            path: path.to_owned(),
        })
    }

    /// Why not, in words.
    pub(super) async fn reach(&self) -> Result<Reached, String> {
        match timeout(TRY, self.tried()).await {
            Ok(reached) => reached,
            Err(_) => Err(format!("{self} did not answer within {} s", TRY.as_secs())),
        }
    }

    async fn tried(&self) -> Result<Reached, String> {
        match self {
            Self::Tcp { address } => match TcpStream::connect(address).await {
                Ok(_) => Ok(Reached::Well),
                Err(error) => Err(format!("{self} takes no connection: {error}")),
            },
            Self::Http { address, path } => {
                let answer = answer::get(address, path)
                    .await
                    .map_err(|error| format!("{self} does not answer: {error}"))?;
                match (answer.status, answer.warning) {
                    (200..=399, None) => Ok(Reached::Well),
                    (200..=399, Some(warning)) => Ok(Reached::Warns(warning)),
                    (other, None) => Err(format!("{self} answers with {other}")),
                    (other, Some(why)) => Err(format!("{self} answers with {other}: {why}")),
                }
            }
        }
    }
}

impl std::fmt::Display for Goal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp { address } => write!(f, "{address}"),
            Self::Http { address, path } => write!(f, "http://{address}{path}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    #[test]
    fn goals_are_read_or_refused() {
        let ports = Ports::from([("http".to_owned(), 8080)]);
        let shown = |goal: Result<Goal, String>| goal.map(|goal| goal.to_string());
        assert_eq!(shown(Goal::tcp("http", &ports)).unwrap(), "127.0.0.1:8080");
        assert_eq!(shown(Goal::tcp("99", &ports)).unwrap(), "127.0.0.1:99");
        assert_eq!(shown(Goal::tcp("db:5432", &ports)).unwrap(), "db:5432");
        assert!(Goal::tcp("htp", &ports).is_err());
        let first = Some("http");
        assert_eq!(
            shown(Goal::http("/health", &ports, first)).unwrap(),
            "http://127.0.0.1:8080/health"
        );
        assert_eq!(
            shown(Goal::http("http://db/x", &ports, None)).unwrap(),
            "http://db:80/x"
        );
        for (text, first) in [("/health", None), ("health", first), ("https://a/", first)] {
            assert!(Goal::http(text, &ports, first).is_err(), "{text}");
        }
    }

    #[tokio::test]
    async fn an_answer_counts_by_its_status() {
        for (says, right) in [
            ("HTTP/1.1 204 No Content\r\n\r\n", true),
            ("HTTP/1.0 302 Found\r\n\r\n", true),
            ("HTTP/1.1 503 Busy\r\n\r\n", false),
            (
                "HTTP/1.1 200 OK\r\nContent-Type: application/health+json\r\n\r\n{\"status\":\"warn\"}",
                true,
            ),
            ("hello\r\n", false),
            ("", false),
        ] {
            let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
            let address = listener.local_addr().unwrap().to_string();
            let server = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let mut asked = [0; 512];
                let count = stream.read(&mut asked).unwrap();
                stream.write_all(says.as_bytes()).unwrap();
                String::from_utf8_lossy(&asked[..count]).into_owned()
            });
            let path = "/health".to_owned();
            let reached = Goal::Http { address, path }.reach().await;
            assert!(
                server
                    .join()
                    .unwrap()
                    .starts_with("GET /health HTTP/1.1\r\n")
            );
            assert_eq!(reached.is_ok(), right, "{says:?}: {reached:?}");
        }
    }
}
