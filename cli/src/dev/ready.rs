//! When a dev cluster is ready: its nodes are Online, its stations in the group, and its demo runs.

use std::time::{Duration, Instant};

use mainstay_api::types::Node;
use mainstay_api::{Client, Problem};
use mainstay_protocol::code;

use super::demo::Demo;
use super::layout::Size;
use super::stations::Joining;
use crate::text::span;

/// Between two looks at a cluster that is coming up.
const LOOK: Duration = Duration::from_millis(20);
/// One look.
const LOOK_TIMEOUT: Duration = Duration::from_secs(2);

pub struct Wanted {
    pub size: Size,
    /// The stations that are added to the first.
    pub joining: Vec<Joining>,
    /// What is applied once the nodes are there, if anything.
    pub demo: Option<Demo>,
    pub timeout: Duration,
}

impl Wanted {
    /// `stations` are the clients of one station each, `all` is that of all of them.
    pub async fn come_up(&self, stations: &[Client], all: &Client) -> Result<(), Problem> {
        let started = Instant::now();
        let online = self.until(started, stations, async |look| {
            // A kept graph says Online of nodes that its station has not heard yet.
            let online = |node: &Node| node.state == "Online" && node.heard_ms.is_some();
            let nodes = look.nodes().await?.into_iter();
            let online = nodes.filter(online).map(|node| node.name).collect();
            Ok(missing("not online", self.size.nodes(), online))
        });
        let grouped = async {
            Joining::add(&self.joining, all, self.timeout).await?;
            let running = async |look: Client| {
                let stations = look.stations().await?.into_iter();
                let running = stations.filter(|station| station.state == "Running");
                let running = running.map(|station| station.id).collect();
                Ok(missing("not in the group", self.size.stations(), running))
            };
            self.until(started, stations, running).await
        };
        tokio::try_join!(online, grouped)?;
        if let Some(demo) = &self.demo {
            let left = self.timeout.saturating_sub(started.elapsed());
            demo.runs(all, left).await?;
        }
        Ok(())
    }

    /// Looks again and again, until one of the stations says that nothing is missing: only the one that leads has
    /// heard the nodes, and one that is only joining has nothing to say yet.
    async fn until(
        &self,
        started: Instant,
        stations: &[Client],
        missing: impl AsyncFn(Client) -> Result<Option<String>, Problem>,
    ) -> Result<(), Problem> {
        loop {
            let mut seen = Vec::new();
            for station in stations {
                match missing(station.clone().with_timeout(LOOK_TIMEOUT)).await {
                    Ok(None) => return Ok(()),
                    Ok(Some(missing)) => seen.push(missing),
                    Err(problem) => seen.push(problem.why),
                }
            }
            if started.elapsed() >= self.timeout {
                seen.dedup();
                let why = format!("{} after {}", seen.join("; "), span(self.timeout));
                let what = "bring the dev cluster up";
                return Err(Problem::new(code::TIMEOUT, what, why).to_do("mainstay dev -v"));
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

fn missing(how: &str, wanted: impl Iterator<Item = String>, there: Vec<String>) -> Option<String> {
    let missing: Vec<String> = wanted.filter(|name| !there.contains(name)).collect();
    (!missing.is_empty()).then(|| format!("{how}: {}", missing.join(", ")))
}
