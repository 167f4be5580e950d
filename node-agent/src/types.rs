//! The service types that every agent has.

pub mod activity_agent;
pub mod app_server;
pub mod collector;
pub mod data_proxy;
pub mod flaky;
pub mod greeter;
pub mod http_watch;
pub mod noisy;
pub mod ocf;
pub mod process;
pub mod service_proxy;
pub mod systemd;

mod http_server;
mod http_url;
mod listening;
mod served_file;
mod watching;
mod witness;

#[cfg(test)]
#[path = "../../tests/src/containers.rs"]
#[allow(dead_code, reason = "others use more of it")]
mod containers;
#[cfg(test)]
mod site;

use mainstay_service::{TypeSet, TypesClash};

pub(crate) fn add_to(types: &mut TypeSet) -> Result<(), TypesClash> {
    types.add::<greeter::Greeter>()?;
    types.add::<noisy::Noisy>()?;
    types.add::<flaky::Flaky>()?;
    types.add::<process::Process>()?;
    types.add::<ocf::Ocf>()?;
    types.add::<http_watch::HttpWatch>()?;
    types.add::<collector::Collector>()?;
    types.add::<service_proxy::ServiceProxy>()?;
    types.add::<app_server::AppServer>()?;
    types.add::<activity_agent::ActivityAgent>()?;
    types.add::<data_proxy::DataProxy>()?;
    types.add::<systemd::Systemd>()
}
