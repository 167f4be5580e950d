//! Listeners that sites share: one per address in this process, as long as one site is on it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock, Weak};

use hyper::body::Incoming;
use hyper::header::HOST;
use hyper::{Request, Response, StatusCode};
use mainstay_service::CannotStart;
use tokio::sync::{Mutex, mpsc};

use super::site::Site;
use crate::types::http_server::{Body, Handler, Server, Tunnel, said};
use crate::types::listening;

/// Every host that no other site has.
pub(super) const ANY_HOST: &str = "*";
/// Of a name in the domain name system.
const HOST_BYTES_MAX: usize = 253;

/// By what their sites asked for, since a free port is not known before.
static LISTENERS: Mutex<BTreeMap<SocketAddr, Weak<Listener>>> = Mutex::const_new(BTreeMap::new());

#[derive(Debug)]
struct Listener {
    sites: Arc<Sites>,
    address: SocketAddr,
    server: Server,
}

#[derive(Debug, Default)]
struct Sites(RwLock<BTreeMap<String, Arc<Site>>>);

/// A site's place on a listener. Dropped, its host is free.
#[derive(Debug)]
pub(super) struct Seat {
    host: String,
    /// Taken when it leaves in order.
    listener: Option<Arc<Listener>>,
    address: SocketAddr,
}

/// A host name as it is compared.
pub(super) fn host(name: &str) -> Result<String, String> {
    let plain = name.trim_end_matches('.').to_ascii_lowercase();
    let letter = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let is_name = !plain.is_empty() && plain.len() <= HOST_BYTES_MAX && plain.chars().all(letter);
    if is_name || plain == ANY_HOST {
        Ok(plain)
    } else {
        Err(format!(
            "host: \"{name}\" is no host name; write one as in shop.example, or \"*\""
        ))
    }
}

impl Seat {
    pub(super) async fn take(
        at: SocketAddr,
        host: String,
        site: Arc<Site>,
    ) -> Result<Self, CannotStart> {
        let mut listeners = LISTENERS.lock().await;
        listeners.retain(|_, listener| listener.strong_count() > 0);
        let there = listeners.get(&at).and_then(Weak::upgrade);
        let listener = match there {
            Some(listener) => listener,
            None => {
                let bound = listening::listen(at).await?;
                let sites = Arc::new(Sites::default());
                let address = bound.local_addr().map_err(CannotStart::not_now)?;
                let server = Server::begin(bound, Arc::clone(&sites));
                let listener = Arc::new(Listener {
                    sites,
                    address,
                    server,
                });
                listeners.insert(at, Arc::downgrade(&listener));
                listener
            }
        };
        let address = listener.address;
        listener.sites.add(&host, site).map_err(|owner| {
            CannotStart::not_now(format!("the host {host} on {address} is taken by {owner}"))
        })?;
        Ok(Self {
            host,
            listener: Some(listener),
            address,
        })
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The last site takes the listener along, when the requests under way are answered.
    pub(super) async fn leave(mut self) {
        let Some(listener) = self.listener.take() else {
            return;
        };
        listener.sites.remove(&self.host);
        // Nobody takes a seat on it in between.
        let listeners = LISTENERS.lock().await;
        let last = Arc::into_inner(listener);
        drop(listeners);
        if let Some(last) = last {
            last.server.finish().await;
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(listener) = &self.listener {
            listener.sites.remove(&self.host);
        }
    }
}

impl Sites {
    /// Else who has the host.
    fn add(&self, host: &str, site: Arc<Site>) -> Result<(), String> {
        let mut sites = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(there) = sites.get(host) {
            return Err(there.owner().to_owned());
        }
        sites.insert(host.to_owned(), site);
        Ok(())
    }

    fn remove(&self, host: &str) {
        let mut sites = self.0.write().unwrap_or_else(PoisonError::into_inner);
        sites.remove(host);
    }

    fn of(&self, host: &str) -> Option<Arc<Site>> {
        let sites = self.0.read().unwrap_or_else(PoisonError::into_inner);
        sites.get(host).or_else(|| sites.get(ANY_HOST)).cloned()
    }
}

impl Handler for Sites {
    async fn answer(
        &self,
        request: Request<Incoming>,
        _: SocketAddr,
        _: mpsc::Sender<Tunnel>,
    ) -> Response<Body> {
        let Some(host) = wanted(&request) else {
            return said(StatusCode::BAD_REQUEST, "the request names no host");
        };
        match self.of(&host) {
            Some(site) => site.answer(&request).await,
            None => said(
                StatusCode::NOT_FOUND,
                &format!("no site here has the host {host}"),
            ),
        }
    }
}

/// From the target, else from the header; without port.
fn wanted(request: &Request<Incoming>) -> Option<String> {
    let named = match request.uri().authority() {
        Some(authority) => authority.as_str(),
        None => request.headers().get(HOST)?.to_str().ok()?,
    };
    without_port(named)
}

fn without_port(named: &str) -> Option<String> {
    let name = match named.rsplit_once(':') {
        Some((name, port)) if port.chars().all(|c| c.is_ascii_digit()) => name,
        Some(_) | None => named,
    };
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_compared_without_port_case_and_last_dot() {
        for (named, plain) in [
            ("Shop.Example", Some("shop.example")),
            ("shop.example:8080", Some("shop.example")),
            ("shop.example.:80", Some("shop.example")),
            ("[::1]:80", Some("[::1]")),
            ("127.0.0.1", Some("127.0.0.1")),
            (":80", None),
            ("", None),
        ] {
            assert_eq!(without_port(named).as_deref(), plain, "{named}");
        }
        assert_eq!(host("Shop.Example.").unwrap(), "shop.example");
        assert_eq!(host("*").unwrap(), "*");
        for bad in ["", ".", "a b", "a/b", "*.a", "a:80"] {
            host(bad).unwrap_err();
        }
    }
}
