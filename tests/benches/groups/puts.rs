//! Clients of etcd that put. They speak gRPC as its own clients do, over HTTP/2 and with messages written by hand, which
//! costs this machine less than a whole client would, and etcd less than its JSON gateway. Debian has no other: `etcdctl
//! check perf` puts at a rate of its own, and etcd's `benchmark` is not packaged.

use std::sync::Arc;
use std::time::Duration;

use h2::client::SendRequest;
use hyper::body::Bytes;
use hyper::{Method, Request};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::{Acks, WRITERS};

/// A put that goes into a leader's end is given up, and put again: etcd itself gives it up after seven seconds.
const PUT_MAX: Duration = Duration::from_secs(1);
/// Before the next endpoint is asked.
const PAUSE: Duration = Duration::from_millis(10);

/// What is put, and where.
pub struct PutsConfig {
    pub endpoints: Vec<String>,
    /// Whom everybody asks first: others only pass it on.
    pub leader: usize,
    pub connections: usize,
    pub payload_bytes: usize,
}

/// Writers at work; dropped, they are gone.
pub struct Puts {
    _writers: JoinSet<()>,
}

impl Puts {
    pub fn start(runtime: &Handle, config: &PutsConfig, acks: &Arc<Acks>) -> Self {
        let connecting = async {
            let mut open = Vec::new();
            for _ in 0..config.connections {
                let way = connect(&config.endpoints[config.leader]).await;
                open.push(way.expect("who leads takes connections"));
            }
            open
        };
        let open = runtime.block_on(connecting);
        let mut writers = JoinSet::new();
        for number in 0..WRITERS {
            let writer = Writer {
                number,
                endpoints: config.endpoints.clone(),
                turn: config.leader,
                way: Some(open[number % open.len()].clone()),
                message: put(number, config.payload_bytes),
                acks: Arc::clone(acks),
            };
            writers.spawn_on(writer.write(), runtime);
        }
        Self { _writers: writers }
    }
}

struct Writer {
    number: usize,
    endpoints: Vec<String>,
    turn: usize,
    way: Option<SendRequest<Bytes>>,
    message: Bytes,
    acks: Arc<Acks>,
}

impl Writer {
    async fn write(mut self) {
        loop {
            match timeout(PUT_MAX, self.put_once()).await {
                Ok(Some(())) => self.acks.note(self.number, 1),
                // Refused, broken or not in time: the next one is asked.
                Ok(None) | Err(_) => {
                    self.turn = (self.turn + 1) % self.endpoints.len();
                    self.way = None;
                    // tidy: waits because the next one is not asked in a hot loop
                    sleep(PAUSE).await;
                }
            }
        }
    }

    /// None: it was not acknowledged.
    async fn put_once(&mut self) -> Option<()> {
        let endpoint = &self.endpoints[self.turn];
        let way = match self.way.take() {
            Some(way) => way,
            None => connect(endpoint).await.ok()?,
        };
        let mut way = way.ready().await.ok()?;
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("http://{endpoint}/etcdserverpb.KV/Put"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .expect("it is a request");
        let (response, mut body) = way.send_request(request, false).ok()?;
        body.send_data(self.message.clone(), true).ok()?;
        let response = response.await.ok()?;
        let mut answer = response.into_body();
        while let Some(chunk) = answer.data().await {
            let bytes = chunk.ok()?.len();
            answer.flow_control().release_capacity(bytes).ok()?;
        }
        let trailers = answer.trailers().await.ok()?;
        self.way = Some(way);
        // A refusal has its status at once, and none behind.
        let status = trailers?.remove("grpc-status")?;
        (status == "0").then_some(())
    }
}

async fn connect(endpoint: &str) -> anyhow::Result<SendRequest<Bytes>> {
    let stream = TcpStream::connect(endpoint).await?;
    stream.set_nodelay(true)?;
    let (way, connection) = h2::client::handshake(stream).await?;
    // It ends when the last writer on it has gone, or with its other end, which writers see.
    tokio::spawn(async move { drop(connection.await) });
    Ok(way)
}

/// A `PutRequest` as gRPC frames it: a key of the writer's own, and what is missing to the payload as its value.
fn put(writer: usize, payload_bytes: usize) -> Bytes {
    let key = format!("c{writer:02}/writer");
    let value = vec![b'x'; payload_bytes - key.len()];
    let mut fields = Vec::new();
    for (field, bytes) in [(1, key.as_bytes()), (2, &value)] {
        fields.push((field << 3) | LENGTH_DELIMITED);
        fields.push(u8::try_from(bytes.len()).expect("short"));
        fields.extend(bytes);
    }
    assert!(value.len() < 128, "a length of one byte");
    let mut message = vec![0];
    message.extend((fields.len() as u32).to_be_bytes());
    message.extend(fields);
    message.into()
}

const LENGTH_DELIMITED: u8 = 2;
