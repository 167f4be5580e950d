//! The stations of a dev cluster behind the first: each runs once it is known what it joins, and is then added.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mainstay_api::{Client, Problem};
use mainstay_protocol::code;
use tokio::net::UnixStream;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use super::daemon::{Asked, Daemon, Died};
use super::layout::Layout;
use super::reaper::Reaper;
use crate::text::span;

/// Between two looks at a first station that is coming up.
const LOOK: Duration = Duration::from_millis(20);
/// One look.
const LOOK_TIMEOUT: Duration = Duration::from_secs(2);

/// A station that is to be in the group.
#[derive(Debug)]
pub struct Joining {
    pub name: String,
    /// Where the others reach it.
    socket: PathBuf,
}

impl Joining {
    pub fn all(layout: &Layout) -> Vec<Self> {
        let joining = layout.size.stations().skip(1);
        let of = |name: String| Self {
            socket: layout.session_socket(&name),
            name,
        };
        joining.map(of).collect()
    }

    /// One after the other: a group changes one member at a time. A member already is none that changes.
    pub async fn add(joining: &[Self], client: &Client, timeout: Duration) -> Result<(), Problem> {
        let client = client.clone().with_timeout(timeout);
        let begun = Instant::now();
        for one in joining {
            // Before that there is nobody to be added.
            while UnixStream::connect(&one.socket).await.is_err() {
                if begun.elapsed() >= timeout {
                    return Err(one.never_came(timeout));
                }
                sleep(LOOK).await;
            }
            let address = format!("unix:{}", one.socket.display());
            client.add_station(&one.name, &address).await?;
        }
        Ok(())
    }

    fn never_came(&self, timeout: Duration) -> Problem {
        let (name, socket) = (&self.name, self.socket.display());
        let why = format!("it does not listen on {socket} after {}", span(timeout));
        Problem::new(code::TIMEOUT, format!("start {name}"), why).to_do("mainstay dev -v")
    }
}

/// Waits for the cluster that the first station has founded, then keeps a station of it running.
pub async fn keep_joined(
    mut station: Daemon,
    founder: Client,
    reaper: Arc<Mutex<Reaper>>,
    mut asked: watch::Receiver<Asked>,
    died: mpsc::Sender<Died>,
) -> Result<(), Problem> {
    let cluster = tokio::select! {
        cluster = cluster_of(&founder) => cluster,
        _ = asked.changed() => return Ok(()),
    };
    station.arguments.extend(["--joins".into(), cluster.into()]);
    station.keep_running(reaper, asked, died).await
}

/// Until it says. One that never does ends with the patience of whoever waits for the cluster.
async fn cluster_of(founder: &Client) -> String {
    let look = founder.clone().with_timeout(LOOK_TIMEOUT);
    loop {
        if let Ok(version) = look.version().await
            && let Some(cluster) = version.cluster_id
        {
            return cluster;
        }
        sleep(LOOK).await;
    }
}
