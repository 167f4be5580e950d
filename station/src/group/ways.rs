//! Ways to the other stations. Both ends introduce themselves with the frozen handshake before anything else is said.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use mainstay_coordinator::StationLife;
use mainstay_identity::Renewing;
use mainstay_identity::way::{self, BoxedStream};
use mainstay_protocol::handshake::{Channel, Handshake, Role, agree};
use mainstay_protocol::{Address, Bearer, ClusterId, Epoch, StationId, limits, revision};
use mainstay_store::{PeerStream, Reach};
use tokio::io::AsyncWriteExt;

use crate::options::StationOptions;
use crate::sessions::read_handshake;

#[derive(Debug)]
pub struct Ways {
    mine: Handshake,
    /// What it shows over the network.
    shown: Option<Renewing>,
    /// Of the cluster, as far as this station knows it; 0 before that.
    epoch: AtomicU64,
    met: Mutex<BTreeMap<StationId, Met>>,
}

/// What came of the newest try, and who was met there last.
#[derive(Debug, Clone, Default)]
struct Met {
    failed: Option<String>,
    life: Option<StationLife>,
}

/// How this station introduces itself.
pub fn introduction(options: &StationOptions, cluster: ClusterId, life: &StationLife) -> Handshake {
    Handshake {
        cluster: Some(cluster),
        node: options.node.clone(),
        interfaces: vec![revision::control()],
        station: Some(options.station),
        run: Some(life.run),
        ..Handshake::new(Role::Station, Channel::Control, &life.build)
    }
}

impl Ways {
    pub fn new(mine: Handshake, shown: Option<Renewing>) -> Arc<Self> {
        Arc::new(Self {
            mine,
            shown,
            epoch: AtomicU64::new(0),
            met: Mutex::default(),
        })
    }

    /// The cluster is in this epoch, or in a later one that was heard of before.
    pub fn of_epoch(&self, epoch: Epoch) {
        self.epoch.fetch_max(epoch.0, Ordering::Relaxed);
    }

    pub fn epoch(&self) -> Epoch {
        Epoch(self.epoch.load(Ordering::Relaxed))
    }

    fn met(&self) -> MutexGuard<'_, BTreeMap<StationId, Met>> {
        // Every write under the lock is one assignment.
        self.met.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why the newest try to reach it came to nothing.
    pub fn failed(&self, station: StationId) -> Option<String> {
        self.met().get(&station)?.failed.clone()
    }

    /// The newest life of it that was met.
    pub fn life(&self, station: StationId) -> Option<StationLife> {
        self.met().get(&station)?.life.clone()
    }

    /// A connection on which the other station takes requests of its API.
    pub async fn to_api(&self, station: StationId, address: &str) -> io::Result<BoxedStream> {
        self.open(station, address, Channel::Bulk).await
    }

    async fn open(
        &self,
        station: StationId,
        address: &str,
        channel: Channel,
    ) -> io::Result<BoxedStream> {
        let within = Duration::from_millis(limits::HANDSHAKE_DEADLINE_MS);
        let opening = tokio::time::timeout(within, self.introduced(station, address, channel));
        let opened = opening
            .await
            .unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into()));
        let mut met = self.met();
        let met = met.entry(station).or_default();
        match opened {
            Ok((stream, life)) => {
                met.failed = None;
                met.life = life.or(met.life.take());
                Ok(stream)
            }
            Err(error) => {
                met.failed = Some(error.to_string());
                Err(error)
            }
        }
    }

    async fn introduced(
        &self,
        station: StationId,
        address: &str,
        channel: Channel,
    ) -> io::Result<(BoxedStream, Option<StationLife>)> {
        let address: Address = address.parse().map_err(io::Error::other)?;
        let shown = self.shown.as_ref().map(Renewing::session);
        let (mut stream, bearer) = way::to_whom(&address, shown).await.map_err(in_words)?;
        if let Some(bearer) = bearer.filter(|bearer| *bearer != Bearer::Station(station)) {
            let why = format!("at {address} is {bearer}, not {station}");
            return Err(io::Error::other(why));
        }
        let mine = Handshake {
            channel,
            epoch: self.epoch(),
            ..self.mine.clone()
        };
        let bytes = mine.encode().map_err(io::Error::other)?;
        stream.write_all(&bytes).await?;
        stream.flush().await?;
        let theirs = read_handshake(&mut stream)
            .await
            .map_err(io::Error::other)?;
        agree(&mine, &theirs).map_err(|refused| io::Error::other(refused.text))?;
        if mine.epoch != Epoch(0) && theirs.epoch > mine.epoch {
            return Err(io::Error::other(format!(
                "the cluster was restored or recovered without this station: {station} is of epoch {}, and this one of epoch {}; \
                 delete its data directory and add it anew",
                theirs.epoch, mine.epoch
            )));
        }
        if theirs.station != Some(station) {
            let who = theirs.station.map(|other| other.to_string());
            let who = who.unwrap_or_else(|| format!("{:?}", theirs.role).to_lowercase());
            return Err(io::Error::other(format!(
                "at {address} is {who}, not {station}"
            )));
        }
        Ok((stream, life_of(&theirs)))
    }
}

/// What a station's introduction says of this life of it.
fn life_of(theirs: &Handshake) -> Option<StationLife> {
    Some(StationLife {
        run: theirs.run?,
        build: theirs.build.clone(),
        node: theirs.node.clone(),
    })
}

/// What TLS has to say, as an administrator understands it.
fn in_words(error: io::Error) -> io::Error {
    match way::told(&error) {
        Some((_, why)) => io::Error::new(error.kind(), why),
        None => error,
    }
}

/// The log's way to its peers.
#[derive(Debug)]
pub struct LogWays(pub Arc<Ways>);

impl Reach for LogWays {
    fn connect(
        &self,
        station: StationId,
        address: &str,
    ) -> BoxFuture<'static, io::Result<Box<dyn PeerStream>>> {
        let (ways, address) = (Arc::clone(&self.0), address.to_owned());
        Box::pin(async move {
            let stream = ways.open(station, &address, Channel::Control).await?;
            Ok(Box::new(stream) as Box<dyn PeerStream>)
        })
    }
}
