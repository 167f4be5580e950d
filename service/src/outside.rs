//! What an instance may stand for outside its agent's process: it may outlive the agent, and never the instance.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use mainstay_protocol::PlacementName;
use mainstay_protocol::health::ProcessIdentity;
use mainstay_protocol::request::Refusal;

use crate::hosting::Breakage;
use crate::lease::HeldLease;

/// What is awaited without its type being known.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Told to whatever hosts the instance with [`Context::stands_for`](crate::Context::stands_for), before there is
/// anything. From then on the instance is gone only when `clear` has returned, however it came to its end.
pub trait Outside: Send + Sync + 'static {
    /// Its processes, as the kernel knows them.
    fn processes(&self) -> Vec<ProcessIdentity>;

    /// The process that all of them descend from and that outlives each: what they use is measured below it. None:
    /// it is not measured.
    fn root(&self) -> Option<ProcessIdentity> {
        None
    }

    /// Kills what there is, and returns when nothing is left; at once, if nothing is. Asked again, it does the same.
    fn clear(self: Arc<Self>) -> BoxFuture<()>;

    /// Breaks it on purpose; what comes of it is seen like any other failure.
    fn break_it(&self, how: &Breakage) -> Result<(), Refusal>;
}

/// How a start begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Beginning {
    /// From nothing.
    #[default]
    Anew,
    /// An earlier life of the agent was starting this incarnation; what it began is there.
    Resumed,
    /// An earlier life of the agent had started this incarnation; it lives, or has just ended.
    Adopted,
}

/// Where on the node an instance may keep what outlives its agent. Nothing is there until somebody makes it.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// The instance's own, from one incarnation to the next.
    pub directory: PathBuf,
    /// The directory of its exclusive name.
    pub slot: PathBuf,
    /// The program that holds outside processes.
    pub hold: PathBuf,
    /// Control groups may be made below it, to bound memory; none: the agent was given none to divide.
    pub memory_groups: Option<PathBuf>,
    /// Of the only one in the cluster.
    pub lease: Option<HeldLease>,
    /// Where programs of this machine ask its agent for other instances; none: its agent could not listen there.
    pub socket: Option<PathBuf>,
    /// `HOST:PORT` of an instance of each placement that its own depends on, as its start saw it.
    pub addresses: BTreeMap<PlacementName, String>,
    /// Its agent may be broken on purpose (`--chaos`), and so may whatever it hosts.
    pub chaos: bool,
}
