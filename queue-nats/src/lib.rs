//! # NATS JetStream as the outside queue
//!
//! One stream of a cluster holds what is due, a message for each step; one durable pull consumer for each type of activity
//! takes it.
//!
//! ```text
//!   Due --publish--> mainstay.<cluster>.due.<provider>.<type>.<run>.<activity>   (one message of a subject at most)
//!                                        |
//!   Turn <--take---  consumer <provider>__<type>  --complete: ack | give up: nak | extend: in progress
//! ```
//!
//! What must hold:
//! - Names become words of subjects so that no two become one.
//! - Whatever the server answers, or does not, is a fault that says what was asked of it; nothing panics and nothing waits
//!   without end.
//! - A stream that is there is taken as it is: how many replicas it has, and where it lies, is for whoever runs the server.
#![forbid(unsafe_code)]

mod engine;
mod message;
mod subject;

pub use engine::{Login, Nats, NatsOptions, NotThese, servers};
