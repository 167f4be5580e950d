//! When a dev cluster is ready: its nodes are Online and its demo runs.

use std::time::{Duration, Instant};

use mainstay_api::{Client, Problem};
use mainstay_protocol::code;

use super::demo::Demo;
use crate::text::span;

/// Between two looks at a cluster that is coming up.
const LOOK: Duration = Duration::from_millis(20);
/// One look.
const LOOK_TIMEOUT: Duration = Duration::from_secs(2);

pub struct Wanted {
    pub nodes: u16,
    /// What is applied once the nodes are there, if anything.
    pub demo: Option<Demo>,
    pub timeout: Duration,
}

impl Wanted {
    pub async fn come_up(&self, client: &Client) -> Result<(), Problem> {
        let started = Instant::now();
        self.online(client, started).await?;
        if let Some(demo) = &self.demo {
            let left = self.timeout.saturating_sub(started.elapsed());
            demo.runs(client, left).await?;
        }
        Ok(())
    }

    async fn online(&self, client: &Client, started: Instant) -> Result<(), Problem> {
        let look = client.clone().with_timeout(LOOK_TIMEOUT);
        let names: Vec<String> = (1..=self.nodes).map(|node| format!("n{node}")).collect();
        loop {
            let seen = match look.nodes().await {
                Ok(nodes) => {
                    // A kept graph says Online of nodes that its station has not heard yet.
                    let online = |name: &String| {
                        nodes.iter().any(|node| {
                            node.name == *name && node.state == "Online" && node.heard_ms.is_some()
                        })
                    };
                    let missing: Vec<&str> = names
                        .iter()
                        .filter(|name| !online(name))
                        .map(String::as_str)
                        .collect();
                    if missing.is_empty() {
                        return Ok(());
                    }
                    format!("not online: {}", missing.join(", "))
                }
                Err(problem) => problem.why,
            };
            if started.elapsed() >= self.timeout {
                return Err(Problem::new(
                    code::TIMEOUT,
                    "bring the dev cluster up",
                    format!("{seen} after {}", span(self.timeout)),
                )
                .to_do("mainstay dev -v"));
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}
