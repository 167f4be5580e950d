//! A service that is there for one processor, whatever that is asked for.

use serde_json::json;

use super::{Around, TestService};
use crate::context::Context;
use crate::outcome::CannotStart;
use crate::probe::Busy;
use crate::processor::{Activities, Processor};
use crate::service::{NoConfig, NoMessage, Service};
use crate::type_info::TypeInfo;

/// Does so many calls at once.
const HANDS: u32 = 8;

/// What [`TestService::doing`] starts.
#[derive(Debug)]
pub struct Alone;

impl Service for Alone {
    type Config = NoConfig;
    type Message = NoMessage;
    type Probe = Busy;
    const TYPE: TypeInfo = TypeInfo::new("alone", "1.0.0");

    async fn start(_: NoConfig, ctx: &Context) -> Result<(Self, Busy), CannotStart> {
        Ok((Self, ctx.busy()))
    }
}

impl TestService<Alone> {
    /// An instance that does every activity with this processor, for those that need nothing of a service of their own.
    pub fn doing(processor: impl Processor) -> Self {
        let around = Around {
            activities: Some(Activities::at_once(HANDS).as_configured(processor)),
            ..Around::default()
        };
        let started = Self::start_around(json!({}), around);
        started.expect("there is nothing that it could refuse")
    }
}
