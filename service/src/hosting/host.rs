//! The host: the parent that every instance actor has, and that does nothing.
//!
//! A dying ractor parent kills its children, and the default supervision handler ends the parent when a child
//! ends. So the parent is an actor without any logic that could fail; whoever watches instances does it beside.

use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, SpawnErr, SupervisionEvent};
use tokio::task::JoinHandle;

struct Host;

impl Actor for Host {
    type Msg = ();
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<()>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    /// Nothing: in particular, it does not end.
    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<()>,
        _: SupervisionEvent,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        Ok(())
    }
}

/// Starts a host on the current runtime. When its handle finishes, all its instances are being killed: the agent
/// process must end.
pub async fn spawn_host() -> Result<(ActorCell, JoinHandle<()>), SpawnErr> {
    let (host, ended) = Actor::spawn(None, Host, ()).await?;
    Ok((host.get_cell(), ended))
}
