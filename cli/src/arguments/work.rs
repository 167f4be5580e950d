//! Arguments of `orchestration`, `activity` and `run`.

use clap::{Args, Subcommand};
use mainstay_protocol::{Json, RunId, WorkName};

use super::values::{self, PayloadPair};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  mainstay orchestration apply -f tenant.json\n  mainstay orchestration list",
    subcommand_required = true,
    disable_help_subcommand = true
)]
pub struct OrchestrationArguments {
    #[command(subcommand)]
    pub command: DefinitionCommand,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  mainstay activity apply -f activities/\n  mainstay activity list",
    subcommand_required = true,
    disable_help_subcommand = true
)]
pub struct ActivityArguments {
    #[command(subcommand)]
    pub command: DefinitionCommand,
}

#[derive(Debug, Subcommand)]
pub enum DefinitionCommand {
    /// Make them as files say, for runs that begin from now on
    Apply(DefinitionApplyArguments),
    /// All there are
    #[command(
        after_help = "Examples:\n  mainstay orchestration list\n  mainstay activity list -o wide"
    )]
    List,
    /// One, with its definition
    #[command(
        after_help = "Examples:\n  mainstay orchestration show tenant.example.com\n  mainstay activity show echo -o json"
    )]
    Show(DefinitionOneArguments),
    /// Delete one; runs that began go on
    #[command(
        after_help = "Examples:\n  mainstay orchestration delete tenant.example.com\n  mainstay activity delete echo"
    )]
    Delete(DefinitionOneArguments),
}

#[derive(Debug, Args)]
#[command(
    after_help = "Reads JSON and YAML; a directory stands for its files, - for standard input. Every fault of a definition is told, with its place.\n\n\
                  Examples:\n  mainstay activity apply -f activities/\n  mainstay orchestration apply -f tenant.json"
)]
pub struct DefinitionApplyArguments {
    /// A file, a directory, or - for standard input
    #[arg(short = 'f', long = "file", value_name = "PATH", required = true)]
    pub files: Vec<String>,
}

#[derive(Debug, Args)]
pub struct DefinitionOneArguments {
    /// Its type, as the list says
    #[arg(value_name = "NAME", value_parser = values::work_name)]
    pub name: WorkName,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  mainstay run start tenant.example.com cell=eu1\n  mainstay run show r1",
    subcommand_required = true,
    disable_help_subcommand = true
)]
pub struct RunArguments {
    #[command(subcommand)]
    pub command: RunCommand,
}

#[derive(Debug, Subcommand)]
pub enum RunCommand {
    /// Begin one, and wait for its end
    Start(RunStartArguments),
    /// Those there are
    List(RunListArguments),
    /// One, with its steps
    #[command(after_help = "Examples:\n  mainstay run show r1\n  mainstay run show r1 -o json")]
    Show(RunOneArguments),
    /// What becomes of it, as it happens, until its end
    #[command(after_help = "Example:\n  mainstay run follow r1")]
    Follow(RunOneArguments),
    /// Give nothing more of it out, until it is resumed
    #[command(after_help = "Example:\n  mainstay run pause r1")]
    Pause(RunOneArguments),
    /// Go on with one that was paused
    #[command(after_help = "Example:\n  mainstay run resume r1")]
    Resume(RunOneArguments),
    /// End it: what has not begun never does
    #[command(after_help = "Example:\n  mainstay run cancel r1")]
    Cancel(RunOneArguments),
    /// Go on with one that failed, where it failed
    Retry(RunWaitArguments),
    /// Undo what it did, and wait for that
    Dispose(RunWaitArguments),
    /// Say from outside that a step is done, or failed
    Complete(RunCompleteArguments),
    /// Forget one that is over, whatever it may have left behind
    #[command(after_help = "Example:\n  mainstay run forget r1")]
    Forget(RunOneArguments),
}

#[derive(Debug, Args)]
#[command(
    after_help = "The same one again is the run that is there. Ends with 0 if it comes to its end, with 9 if it fails, with 8 if time is up.\n\n\
                  Examples:\n  mainstay run start tenant.example.com cell=eu1\n  \
                  mainstay run start tenant.example.com --id t7 --payload t7.json --no-wait"
)]
pub struct RunStartArguments {
    /// Its orchestration
    #[arg(value_name = "ORCHESTRATION", value_parser = values::work_name)]
    pub orchestration: WorkName,
    /// What it is given, over what --payload says
    #[arg(value_name = "KEY=VALUE", value_parser = values::payload_pair)]
    pub pairs: Vec<PayloadPair>,
    /// A JSON or YAML file of what it is given, or - for standard input
    #[arg(long, value_name = "PATH")]
    pub payload: Option<String>,
    /// What it is to be called by; made up, unless given
    #[arg(long, value_name = "RUN", value_parser = values::run_id)]
    pub id: Option<RunId>,
    /// What you know it by
    #[arg(long, value_name = "TEXT")]
    pub correlation: Option<String>,
    /// The section of a definition that has several
    #[arg(long, value_name = "NAME")]
    pub section: Option<String>,
    /// Return once it has begun
    #[arg(long)]
    pub no_wait: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  mainstay run list --state Errored\n  mainstay run list --of tenant.example.com"
)]
pub struct RunListArguments {
    /// Those of one orchestration
    #[arg(long, value_name = "ORCHESTRATION", value_parser = values::work_name)]
    pub of: Option<WorkName>,
    /// Those in one state
    #[arg(long, value_name = "STATE", value_parser = values::run_state)]
    pub state: Option<String>,
    /// Those that somebody knows by this
    #[arg(long, value_name = "TEXT")]
    pub correlation: Option<String>,
}

#[derive(Debug, Args)]
pub struct RunOneArguments {
    /// What it is called by, as `run list` says
    #[arg(value_name = "RUN", value_parser = values::run_id)]
    pub id: RunId,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  mainstay run retry r1\n  mainstay run dispose r1 --no-wait")]
pub struct RunWaitArguments {
    /// What it is called by, as `run list` says
    #[arg(value_name = "RUN", value_parser = values::run_id)]
    pub id: RunId,
    /// Return once it has begun
    #[arg(long)]
    pub no_wait: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "The token is what the activity was told, and what `run show` says.\n\n\
                  Examples:\n  mainstay run complete r1 approve --token 7 --result '{\"by\":\"ada\"}'\n  \
                  mainstay run complete r1 approve --token 7 --error 'nobody wants it'"
)]
pub struct RunCompleteArguments {
    /// What the run is called by
    #[arg(value_name = "RUN", value_parser = values::run_id)]
    pub id: RunId,
    /// Which activity of it
    #[arg(value_name = "ACTIVITY", value_parser = values::work_name)]
    pub activity: WorkName,
    /// Of the call that is meant
    #[arg(long, value_name = "TOKEN")]
    pub token: String,
    /// What it leaves behind: a JSON object
    #[arg(long, value_name = "JSON", value_parser = values::json_object)]
    pub result: Option<Json>,
    /// It failed for good, and why
    #[arg(long, value_name = "TEXT", conflicts_with = "result")]
    pub error: Option<String>,
}

impl DefinitionCommand {
    pub fn told(&self, kind: &str) -> String {
        match self {
            Self::Apply(_) => format!("{kind} apply"),
            Self::List => format!("{kind} list"),
            Self::Show(one) => format!("show {kind}/{}", one.name),
            Self::Delete(one) => format!("delete {kind}/{}", one.name),
        }
    }
}

impl RunCommand {
    pub fn told(&self) -> String {
        match self {
            Self::Start(start) => format!("start a run of {}", start.orchestration),
            Self::List(_) => "run list".to_owned(),
            Self::Show(one) => format!("show run/{}", one.id),
            Self::Follow(one) => format!("follow run/{}", one.id),
            Self::Pause(one) => format!("pause run/{}", one.id),
            Self::Resume(one) => format!("resume run/{}", one.id),
            Self::Cancel(one) => format!("cancel run/{}", one.id),
            Self::Retry(one) => format!("retry run/{}", one.id),
            Self::Dispose(one) => format!("dispose of run/{}", one.id),
            Self::Complete(one) => format!("complete {} of run/{}", one.activity, one.id),
            Self::Forget(one) => format!("forget run/{}", one.id),
        }
    }
}
