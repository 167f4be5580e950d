//! An instance's probe, as the supervisor takes it.

use std::time::Duration;

use mainstay_service::hosting::Hosted;
use mainstay_supervisor::{CheckFuture, Probe};

pub(super) struct HostedProbe(pub(super) Hosted);

impl Probe for HostedProbe {
    fn check(&self) -> CheckFuture {
        let hosted = self.0.clone();
        Box::pin(async move { hosted.probe().await })
    }

    fn excuse(&self, deadline: Duration) -> Option<String> {
        Some(self.0.excuse(deadline))
    }
}
