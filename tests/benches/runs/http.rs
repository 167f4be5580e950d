//! A connection over which request follows request, as clients of every system keep theirs.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderName};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

/// Where a system listens.
#[derive(Debug, Clone)]
pub enum Place {
    Unix(PathBuf),
    Tcp(SocketAddr),
}

/// Opened with its first request, and anew after it broke.
#[derive(Debug)]
pub struct Connection {
    place: Place,
    sender: Option<SendRequest<Full<Bytes>>>,
}

#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    body: Bytes,
}

impl Answer {
    pub fn json(&self) -> anyhow::Result<Value> {
        let text = || String::from_utf8_lossy(&self.body).into_owned();
        serde_json::from_slice(&self.body).with_context(text)
    }

    /// What it says, unless it is a refusal.
    pub fn granted(self) -> anyhow::Result<Value> {
        let text = String::from_utf8_lossy(&self.body);
        anyhow::ensure!(self.status.is_success(), "{}: {text}", self.status);
        self.json()
    }
}

impl Connection {
    pub fn new(place: Place) -> Self {
        Self {
            place,
            sender: None,
        }
    }

    pub async fn get(&mut self, path: &str) -> anyhow::Result<Answer> {
        self.ask(Method::GET, path, None, String::new()).await
    }

    pub async fn post(&mut self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        self.ask(Method::POST, path, None, body.to_string()).await
    }

    /// The same again does nothing more.
    pub async fn post_once(
        &mut self,
        path: &str,
        key: &str,
        body: &Value,
    ) -> anyhow::Result<Answer> {
        self.ask(Method::POST, path, Some(key), body.to_string())
            .await
    }

    async fn ask(
        &mut self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: String,
    ) -> anyhow::Result<Answer> {
        let mut sender = match self.sender.take() {
            Some(sender) => sender,
            None => open(&self.place).await?,
        };
        sender.ready().await?;
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, "bench")
            .header(ACCEPT, "application/json");
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if let Some(key) = key {
            request = request.header(HeaderName::from_static("idempotency-key"), key);
        }
        let response = sender
            .send_request(request.body(Full::new(body.into()))?)
            .await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        self.sender = Some(sender);
        Ok(Answer { status, body })
    }
}

async fn open(place: &Place) -> anyhow::Result<SendRequest<Full<Bytes>>> {
    match place {
        Place::Unix(path) => spoken_over(UnixStream::connect(path).await?).await,
        Place::Tcp(address) => {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            spoken_over(stream).await
        }
    }
}

async fn spoken_over(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> anyhow::Result<SendRequest<Full<Bytes>>> {
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // It ends with its sender, or with its other end, which the sender sees.
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender)
}
