//! Why a station did not start, and what a shell is told of it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use mainstay_api::{Exit, Problem};
use mainstay_identity::KeepError;
use mainstay_orchestrator::TwoForOne;
use mainstay_protocol::code;
use mainstay_queue_nats::NotThese;
use mainstay_store::OpenError;

/// Why a station did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Store(#[from] OpenError),
    #[error("the socket {path} cannot be opened: {cause}")]
    Socket {
        path: PathBuf,
        cause: std::io::Error,
    },
    #[error("what the station shows over the network cannot be read: {0}")]
    Identity(#[from] KeepError),
    #[error("{address} cannot be listened on: {cause}")]
    Address {
        address: String,
        cause: std::io::Error,
    },
    #[error(
        "on {address} everybody shows who they are, and this station has nothing to show: it was neither initialised nor joined"
    )]
    NothingToShow { address: String },
    #[error(
        "{name} had a store here and it is gone, and with it what it promised to the others: empty and under its old number it could take part in losing what the group has; remove {name} from the group and let a new station join into an empty directory, or put a restored store here"
    )]
    StoreGone { name: String },
    #[error(
        "this station's cluster is on a network, and what it shows there is not in {dir}: put a copy of its identity directory there"
    )]
    IdentityGone { dir: PathBuf },
    #[error(transparent)]
    Models(#[from] TwoForOne),
    #[error(transparent)]
    Queue(#[from] NotThese),
    #[error("the process cannot be set up: {0}")]
    Process(std::io::Error),
}

pub fn failed(dir: &Path, error: &StartError) -> ExitCode {
    let what = format!("start a station in {}", dir.display());
    // A path that cannot be used is the caller's to mend; damage and the machine's own trouble are not.
    let (code, exit) = match error {
        StartError::Store(
            OpenError::Locked { .. }
            | OpenError::Foreign { .. }
            | OpenError::NotEmpty { .. }
            | OpenError::Unfinished { .. }
            | OpenError::NotOne { .. }
            | OpenError::Empty { .. }
            | OpenError::OneOfSeveral { .. }
            | OpenError::Sound { .. }
            | OpenError::Unsalvageable { .. },
        )
        | StartError::StoreGone { .. }
        | StartError::IdentityGone { .. } => (code::DATA_DIRECTORY, Exit::Conflict),
        StartError::Store(OpenError::NewerFormat { .. }) => {
            (code::DATA_DIRECTORY, Exit::VersionMismatch)
        }
        StartError::Store(OpenError::Io { .. })
        | StartError::Socket { .. }
        | StartError::Address { .. }
        | StartError::Identity(_) => (code::DATA_DIRECTORY, Exit::Usage),
        StartError::NothingToShow { .. } => (code::STRANGER, Exit::Usage),
        StartError::Models(_) | StartError::Queue(_) => (code::BAD_REQUEST, Exit::Usage),
        StartError::Store(
            OpenError::Damaged { .. } | OpenError::Database { .. } | OpenError::Log { .. },
        ) => (code::DATA_DIRECTORY, Exit::Bug),
        StartError::Process(_) => (code::INTERNAL, Exit::Bug),
    };
    let to_do = match error {
        StartError::NothingToShow { .. } => "mainstay init --help".to_owned(),
        StartError::Models(_) => "mainstay version".to_owned(),
        StartError::Queue(_) => "mainstay station run --help".to_owned(),
        StartError::Address { .. } => "ip address".to_owned(),
        StartError::StoreGone { .. } => "mainstay token create --role station".to_owned(),
        StartError::Store(OpenError::Damaged { .. }) => {
            let dir = dir.display();
            format!("mainstay station repair --dir {dir} --to {dir}.repaired")
        }
        StartError::Store(_)
        | StartError::Socket { .. }
        | StartError::Identity(_)
        | StartError::IdentityGone { .. }
        | StartError::Process(_) => format!("ls -ld {}", dir.display()),
    };
    let mut problem = Problem::new(code, what, error.to_string())
        .to_do(to_do)
        .in_request("-");
    problem.exit = exit;
    tracing::error!(%error, "the station did not start");
    eprintln!("{problem}");
    problem.exit.into()
}
