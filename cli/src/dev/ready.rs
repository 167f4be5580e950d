//! When a dev cluster is ready: its nodes are Online and its demo runs.

use std::time::{Duration, Instant};

use mainstay_api::types::{Until, WaitRequest};
use mainstay_api::{Client, Problem};
use mainstay_protocol::code;

use super::demo::{self, Part};
use crate::text::span;

/// Between two looks at a cluster that is coming up.
const LOOK: Duration = Duration::from_millis(20);
/// One look.
const LOOK_TIMEOUT: Duration = Duration::from_secs(2);

pub struct Wanted {
    pub nodes: u16,
    /// What is started once the nodes are there; nothing where there is to be no demo.
    pub demo: Vec<Part>,
    pub timeout: Duration,
}

impl Wanted {
    pub async fn come_up(&self, client: &Client) -> Result<(), Problem> {
        let started = Instant::now();
        self.online(client, started).await?;
        for part in &self.demo {
            self.runs(client, part, started).await?;
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

    /// One after the other: what comes later needs what was there before.
    async fn runs(&self, client: &Client, part: &Part, started: Instant) -> Result<(), Problem> {
        client.start(&part.request).await?;
        for reference in &part.instances {
            let left = self.timeout.saturating_sub(started.elapsed());
            let request = WaitRequest {
                reference: reference.clone(),
                until: Until::Running,
                timeout_ms: u64::try_from(left.as_millis()).unwrap_or(u64::MAX),
                unless_blocked: false,
                after_revision: 0,
            };
            client.wait(&request).await?;
        }
        Ok(())
    }

    /// Where the demo's page is; none where there is no demo, or nobody says.
    pub async fn page(&self, client: &Client) -> Option<String> {
        let web = self.demo.iter().find(|part| part.is(demo::WEB))?;
        let (placement, node) = web.instances.first()?.split_once('@')?;
        let status = client.ask_status(node, placement).await.ok()?;
        let (_, port) = status.text.split_once("port http is ")?;
        let port = port.split(';').next()?;
        Some(format!("http://127.0.0.1:{port}/"))
    }
}
