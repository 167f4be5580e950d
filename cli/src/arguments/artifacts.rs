//! Arguments of `artifact`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use mainstay_protocol::ArtifactId;

use super::values;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  mainstay artifact put site.tar.gz\n  mainstay artifact list",
    subcommand_required = true,
    disable_help_subcommand = true
)]
pub struct ArtifactArguments {
    #[command(subcommand)]
    pub command: ArtifactCommand,
}

#[derive(Debug, Subcommand)]
pub enum ArtifactCommand {
    /// Keep a file's content in the cluster, and say what it is called by
    #[command(
        after_help = "The same content again is the artifact that is there. Content never changes: another one has another id.\n\n\
                      Examples:\n  mainstay artifact put site.tar.gz\n  mainstay artifact put data.csv --name measurements --type text/csv"
    )]
    Put(ArtifactPutArguments),
    /// All there are
    #[command(after_help = "Examples:\n  mainstay artifact list\n  mainstay artifact list -o wide")]
    List,
    /// One, with the files of an archive
    #[command(
        after_help = "Example:\n  mainstay artifact show urn:ivcap:artifact:5f1d2a3b-0000-8000-8000-000000000004"
    )]
    Show(ArtifactOneArguments),
    /// Write one's content to a file
    #[command(
        after_help = "Example:\n  mainstay artifact get urn:ivcap:artifact:5f1d2a3b-0000-8000-8000-000000000004 site.tar.gz"
    )]
    Get(ArtifactGetArguments),
    /// Delete one that nothing uses
    #[command(
        after_help = "Example:\n  mainstay artifact delete urn:ivcap:artifact:5f1d2a3b-0000-8000-8000-000000000004"
    )]
    Delete(ArtifactOneArguments),
}

#[derive(Debug, Args)]
pub struct ArtifactPutArguments {
    /// The file
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// What people call it; the file's name, unless given
    #[arg(long = "name", value_name = "TEXT")]
    pub words: Option<String>,
    /// What its content is, as in text/csv; told by the file's name, unless given
    #[arg(long = "type", value_name = "MEDIA-TYPE")]
    pub media_type: Option<String>,
    /// What it is to be called by; made of its content, unless given
    #[arg(long, value_name = "ARTIFACT", value_parser = values::artifact)]
    pub id: Option<ArtifactId>,
}

#[derive(Debug, Args)]
pub struct ArtifactOneArguments {
    /// What it is called by, as `artifact list` says
    #[arg(value_name = "ARTIFACT", value_parser = values::artifact)]
    pub id: ArtifactId,
}

#[derive(Debug, Args)]
pub struct ArtifactGetArguments {
    /// What it is called by, as `artifact list` says
    #[arg(value_name = "ARTIFACT", value_parser = values::artifact)]
    pub id: ArtifactId,
    /// Where to; there is to be nothing of this name
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

impl ArtifactCommand {
    pub fn told(&self) -> String {
        match self {
            Self::Put(put) => format!("put artifact {}", put.file.display()),
            Self::List => "artifact list".to_owned(),
            Self::Show(one) => format!("show {}", one.id),
            Self::Get(one) => format!("get {}", one.id),
            Self::Delete(one) => format!("delete {}", one.id),
        }
    }
}
