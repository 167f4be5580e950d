//! The sessions of this station: one per node at a time, each with a bounded queue of its own.
//!
//! ```text
//!   listener --accept, user checked--> introduce: handshake, NodeUp (with a deadline)
//!                                          | refused: Denied, closed
//!                                          v
//!                        serve: frames in --> inbox, answers      writer: queue --> frames out
//! ```
//! Left by: the peer closes, a broken frame, a queue that is full (stuck), silence, loss of leadership, or the same
//! agent run coming again.

mod artifacts;
mod bad_peers;
mod bulk;
mod following;
mod introduce;
mod link;
mod listener;
mod network;
mod secrets;
mod serve;
mod writer;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mainstay_coordinator::{Effect, Entry, Event, GoneWhy};
use mainstay_protocol::bad_frames::BadFrames;
use mainstay_protocol::code;
use mainstay_protocol::request::{Answer, Ask, Refusal};
use mainstay_protocol::session::{Acknowledged, Denied, StationMessage, Stations, Welcome};
use mainstay_protocol::{AgentRunId, NodeName, limits};
use mainstay_resource_graph::View;
use tokio::sync::mpsc;

use crate::shared::Submitted;
use bad_peers::BadPeers;
pub use introduce::read_handshake;
pub use link::Link;
pub use listener::{Ground, ListenerConfig, listen};
pub use network::bind;

/// Every session there is, by node.
#[derive(Debug, Default)]
pub struct Sessions {
    live: Mutex<BTreeMap<NodeName, Arc<Link>>>,
    bad: Mutex<BadPeers>,
    /// What every agent is to know; none where there is one station.
    stations: Mutex<Option<Stations>>,
}

impl Sessions {
    fn live(&self) -> MutexGuard<'_, BTreeMap<NodeName, Arc<Link>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stations(&self) -> MutexGuard<'_, Option<Stations>> {
        self.stations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, node: &NodeName) -> Option<Arc<Link>> {
        self.live().get(node).cloned()
    }

    fn find_run(&self, node: &NodeName, agent_run: AgentRunId) -> Option<Arc<Link>> {
        self.find(node).filter(|link| link.agent_run == agent_run)
    }

    /// Makes a link the node's own. The same agent run takes its place over; another run is refused.
    fn open(&self, link: &Arc<Link>) -> Result<(), Refusal> {
        let mut live = self.live();
        if let Some(old) = live.get(&link.node) {
            if old.agent_run != link.agent_run {
                let text = format!(
                    "another agent (run {}) has a session as {} since it came{}",
                    old.agent_run,
                    link.node,
                    old.pid
                        .map_or_else(String::new, |pid| format!(" as process {pid}")),
                );
                return Err(Refusal::new(code::NODE_ID_IN_USE, text));
            }
            old.close("the same agent opened another session");
        }
        live.insert(link.node.clone(), Arc::clone(link));
        Ok(())
    }

    /// A session has ended. The coordinator is told in the same breath as the place becomes free, so that it never
    /// takes the end of an old session for that of its successor.
    async fn closed(&self, link: &Arc<Link>, inbox: &mpsc::Sender<Submitted>) {
        link.end();
        let permit = inbox.reserve().await;
        let mut live = self.live();
        let is_current = live
            .get(&link.node)
            .is_some_and(|current| Arc::ptr_eq(current, link));
        if !is_current {
            return;
        }
        live.remove(&link.node);
        if let Ok(permit) = permit {
            permit.send(Submitted {
                event: Event::AgentGone {
                    node: link.node.clone(),
                    agent_run: Some(link.agent_run),
                    why: GoneWhy::SessionClosed,
                },
                answer: None,
            });
        }
    }

    /// Carries out what concerns a session; anything else is handed back.
    pub fn carry_out(&self, effect: Effect) -> Option<Effect> {
        match effect {
            Effect::Welcome {
                node,
                agent_run,
                node_id,
                node_epoch,
                watermark,
                leadership,
            } => {
                let welcome = Welcome {
                    node_id,
                    node_epoch,
                    watermark,
                    leadership,
                    credits: limits::REPORT_CREDITS as u32,
                };
                if let Some(link) = self.find_run(&node, agent_run) {
                    link.welcome();
                    link.send(StationMessage::Welcome(welcome));
                    if let Some(stations) = self.stations().clone() {
                        link.send(StationMessage::Stations(stations));
                    }
                }
            }
            Effect::Deny {
                node,
                agent_run,
                refusal,
            } => {
                if let Some(link) = self.find_run(&node, agent_run) {
                    link.deny(&refusal);
                }
            }
            Effect::Acknowledge {
                node,
                node_epoch,
                up_to,
            } => self.send(
                &node,
                StationMessage::Acknowledged(Acknowledged { node_epoch, up_to }),
            ),
            Effect::Send { node, command } => {
                // Without room it is left to be sent again: a command is repeated until it is answered.
                if let Some(link) = self.find(&node).filter(|link| link.is_welcome()) {
                    link.send_if_room(StationMessage::Command(Box::new(command)));
                }
            }
            Effect::Guard { node, guards } => self.send(&node, StationMessage::Guards(guards)),
            Effect::Watch { node, watches } => self.send(&node, StationMessage::Watches(watches)),
            other @ (Effect::Reply { .. }
            | Effect::Look(_)
            | Effect::AskHost(_)
            | Effect::Applied(_)) => {
                return Some(other);
            }
        }
        None
    }

    /// Agents that follow something in it are told.
    pub fn applied(&self, entry: &Entry, view: &dyn View) {
        let live = self.live();
        let followers = live.values().filter(|link| !link.following.is_empty());
        let followers: Vec<Arc<Link>> = followers.cloned().collect();
        drop(live);
        if !followers.is_empty() {
            following::applied(entry, view, &followers);
        }
    }

    fn send(&self, node: &NodeName, message: StationMessage) {
        // Without a session the node hears it after its next welcome.
        if let Some(link) = self.find(node).filter(|link| link.is_welcome()) {
            link.send(message);
        }
    }

    /// The coordinator gave this agent run up; it has to introduce itself again.
    pub fn close_run(&self, node: &NodeName, agent_run: AgentRunId, why: &'static str) {
        // One that is not welcome yet is a successor whose NodeUp is behind what is being carried out.
        if let Some(link) = self
            .find_run(node, agent_run)
            .filter(|link| link.is_welcome())
        {
            link.close(why);
        }
    }

    pub fn close(&self, node: &NodeName, why: &'static str) {
        if let Some(link) = self.find(node) {
            link.close(why);
        }
    }

    pub fn close_all(&self, why: &'static str) {
        for link in self.live().values() {
            link.close(why);
        }
    }

    /// Whether agents were ever told of several.
    pub fn know_stations(&self) -> bool {
        self.stations().is_some()
    }

    /// Says to every agent where the stations are.
    pub fn tell_stations(&self, stations: &Stations) {
        *self.stations() = Some(stations.clone());
        for link in self.live().values().filter(|link| link.is_welcome()) {
            link.send_if_room(StationMessage::Stations(stations.clone()));
        }
    }

    /// Whether a node's agent has a session on which it can be asked.
    pub fn has(&self, node: &NodeName) -> bool {
        self.find(node).is_some_and(|link| link.is_welcome())
    }

    /// Puts a question to a node's agent. There is always an answer: at the latest that there was none in time.
    pub async fn ask(&self, node: &NodeName, ask: Ask, deadline: Duration) -> Answer {
        let Some(link) = self.find(node).filter(|link| link.is_welcome()) else {
            let text = format!("the agent of {node} is not connected");
            return Answer::Refused(Refusal::new(code::AGENT_DOWN, text));
        };
        link.ask(ask, deadline).await
    }

    fn keep_bad(&self, bad: BadFrames) {
        self.bad
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .keep(bad);
    }

    /// What peers sent that could not be read, by peer.
    pub fn bad_frames(&self) -> Vec<BadFrames> {
        self.bad
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .all()
    }
}

fn denied(refusal: &Refusal) -> StationMessage {
    StationMessage::Denied(Denied {
        code: refusal.code.clone(),
        text: refusal.text.clone(),
    })
}
