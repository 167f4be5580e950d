//! The trait that a service implements.

use std::borrow::Cow;
use std::future::Future;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::outcome::{CannotStart, Failure, Reconfigure, Reply, StatusText, StopReason};
use crate::probe::Probe;
use crate::processor::Activities;
use crate::type_info::TypeInfo;

/// A kind of service. Write its functions as `async fn`.
///
/// Messages, `status` and `stop` come one at a time; the probe is asked beside them, from another thread.
pub trait Service: Sized + Send + 'static {
    /// What a placement sets. Unknown fields are refused if it says `#[serde(deny_unknown_fields)]`.
    type Config: Serialize + DeserializeOwned + JsonSchema + Clone + Send + Sync + 'static;
    /// Its own messages: an externally tagged enum; [`NoMessage`] for none.
    type Message: DeserializeOwned + JsonSchema + Send + 'static;
    /// Answers Check while the service works; [`Busy`](crate::Busy) if there is nothing special to say.
    type Probe: Probe;

    const TYPE: TypeInfo;

    /// Gets ready. Returning `Ok` says that the service is initialised and answers.
    fn start(
        config: Self::Config,
        ctx: &Context,
    ) -> impl Future<Output = Result<(Self, Self::Probe), CannotStart>> + Send;

    /// Serves one message. `Err` means that the instance has failed; a message that it cannot serve is
    /// `Ok(Reply::refused(..))`.
    fn handle(
        &mut self,
        _message: Self::Message,
        _ctx: &Context,
    ) -> impl Future<Output = Result<Reply, Failure>> + Send {
        async { Ok(Reply::refused("this service takes no messages")) }
    }

    /// Goes on with another configuration, if it can. Asked only where its type says
    /// [`in_place`](TypeInfo::in_place); without that, a changed configuration is a restart.
    fn reconfigure(
        &mut self,
        _new: Self::Config,
        _ctx: &Context,
    ) -> impl Future<Output = Reconfigure> + Send {
        async { Reconfigure::Restart }
    }

    /// Activities of runs that its instances do, beside their messages; of most services none.
    fn activities() -> Activities {
        Activities::default()
    }

    /// What it would say of itself; also written to the log.
    fn status(&mut self, _ctx: &Context) -> impl Future<Output = StatusText> + Send {
        async { StatusText::from("running") }
    }

    /// Ends in order. It has until the stop deadline and is killed then.
    fn stop(self, _ctx: &Context, _why: StopReason) -> impl Future<Output = ()> + Send {
        async move { drop(self) }
    }
}

/// For a service without configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoConfig {}

/// For a service without messages of its own.
#[derive(Debug, Clone, Deserialize)]
pub enum NoMessage {}

impl JsonSchema for NoMessage {
    fn schema_name() -> Cow<'static, str> {
        "NoMessage".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "enum": [] })
    }
}
