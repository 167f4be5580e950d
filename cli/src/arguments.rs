//! The command line as data: every command, flag and help text. Nothing here does anything.

mod access;
mod artifacts;
mod bootstrap;
mod changes;
mod daemons;
mod disaster;
mod files;
mod local;
mod looks;
mod nodes;
mod rules;
mod services;
mod stations;
mod support;
mod values;
mod work;

use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use mainstay_resource_graph::Key;

pub use access::{
    CanIArguments, CertArguments, CertCommand, GroupCommand, HereArguments, IdentityArguments,
    IdentityCommand, InitArguments, JoinArguments, SecretArguments, SecretCommand, TokenArguments,
    TokenCommand, TokenCreateArguments,
};
pub use artifacts::{
    ArtifactArguments, ArtifactCommand, ArtifactGetArguments, ArtifactPutArguments,
};
pub use bootstrap::BootstrapArguments;
pub use changes::{
    AnswerArguments, CallArguments, ChangeArguments, ChaosArguments, ChaosCommand, DeleteArguments,
    MoveArguments, PlacementArguments, PlacementCommand, ReconfigureArguments, RollbackArguments,
    StartArguments,
};
pub use daemons::{
    AgentArguments, AgentCommand, DaemonArguments, DemoArguments, DemoPart, DevArguments,
    DevCommand, ReaperArguments, StationRunArguments,
};
pub use disaster::{BackupArguments, RecoverArguments, RepairArguments, RestoreArguments};
pub use files::{ApplyArguments, PlanArguments, SettingsArguments, SettingsCommand};
pub use local::{
    CompleteWordsArguments, CompletionArguments, ExplainArguments, NewArguments, NewCommand,
    NewServiceArguments,
};
pub use looks::{
    CheckArguments, DecisionsArguments, DescribeArguments, EventsArguments, GetArguments,
    GraphArguments, GraphCommand, GraphFormat, ImpactArguments, LogsArguments, ParkedArguments,
    ParkedCommand, ParkedDropArguments, StatusArguments, WaitArguments, WatchArguments,
    WhyArguments,
};
pub use nodes::{
    DrainArguments, MaintenanceArguments, MaintenanceCommand, NodeArguments, NodeCommand,
};
pub use rules::{RuleArguments, RuleCommand, RuleDisableArguments};
pub use services::{
    OrderArguments, OrderCommand, OrderListArguments, OrderPlaceArguments, ServiceArguments,
    ServiceCommand,
};
pub use stations::{StationAddArguments, StationArguments, StationCommand, StationRemoveArguments};
pub use support::{DebugArguments, DebugBundleArguments, DebugCommand, DoctorArguments};
#[cfg(test)]
pub use values::config_pair;
pub use values::{ConfigPair, Since, Table, TokenFrom, parsed_token, reference};
pub use work::{
    ActivityArguments, DefinitionApplyArguments, DefinitionCommand, OrchestrationArguments,
    RunArguments, RunCommand, RunCompleteArguments, RunListArguments, RunStartArguments,
    RunWaitArguments,
};

/// Runs services on a set of machines, keeps them running, and says why.
#[derive(Debug, Parser)]
#[command(
    name = "mainstay",
    version,
    about,
    max_term_width = 100,
    subcommand_required = true,
    disable_help_subcommand = true,
    after_help = "Examples:\n  mainstay dev\n  mainstay why greeter@n2"
)]
pub struct Arguments {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// The command that shows the help of the one that was given.
    #[arg(skip)]
    pub help: String,
    /// How data is printed
    #[arg(
        short,
        long,
        global = true,
        value_enum,
        default_value = "table",
        value_name = "FORMAT",
        hide_possible_values = true,
        help = "How data is printed: table, wide, json, yaml, or name (references only)"
    )]
    pub output: Format,
    /// Which cluster is spoken to (else $MAINSTAY_CONTEXT, else the current one)
    #[arg(long, global = true, value_name = "NAME", value_parser = values::context)]
    pub context: Option<String>,
    /// How long to wait, as in 500ms, 30s, 5m; for a change 60s unless given
    #[arg(long, global = true, value_name = "TIME", value_parser = values::duration)]
    pub timeout: Option<Duration>,
    /// No colour, also on a terminal
    #[arg(long, global = true)]
    pub no_color: bool,
    /// Say nothing but data and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more about what is done
    #[arg(short, long, global = true)]
    pub verbose: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Table,
    /// With more columns.
    Wide,
    Json,
    Yaml,
    /// The references alone, a line each: for scripts.
    Name,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start a cluster on this machine to try things on
    Dev(DevArguments),
    /// Found a cluster: prepare its first station on this machine
    Init(InitArguments),
    /// Join a cluster with a token: as a station, an agent or a person
    Join(JoinArguments),
    /// Make a whole cluster from one file
    Bootstrap(BootstrapArguments),
    /// The stations of a cluster, and the daemon that is one
    Station(StationArguments),
    /// The agent daemon of a node
    Agent(AgentArguments),
    /// Is the cluster healthy, and what is not
    Status(StatusArguments),
    /// List resources of a kind
    Get(GetArguments),
    /// Everything known about one resource
    #[command(
        after_help = "Examples:\n  mainstay describe greeter@n1\n  mainstay describe type/flaky"
    )]
    Describe(DescribeArguments),
    /// What files would change
    Plan(PlanArguments),
    /// Make it so as files say, and wait for what comes of it
    Apply(ApplyArguments),
    /// Run a service type on nodes
    Start(StartArguments),
    /// Stop instances and keep them stopped
    #[command(after_help = "Examples:\n  mainstay stop greeter@n1\n  mainstay stop greeter")]
    Stop(ChangeArguments),
    /// Stop instances and start their next incarnation
    #[command(after_help = "Example:\n  mainstay restart greeter@n1")]
    Restart(ChangeArguments),
    /// Run an instance on another node instead
    Move(MoveArguments),
    /// Ask instances for their health, now
    #[command(after_help = "Examples:\n  mainstay check greeter\n  mainstay check supervisor/n1")]
    Check(CheckArguments),
    /// Ask instances to log their status and say it here
    #[command(after_help = "Example:\n  mainstay ask-status greeter@n1")]
    AskStatus(CheckArguments),
    /// Send an instance a message of its type
    Call(CallArguments),
    /// Answer what an instance asks
    Answer(AnswerArguments),
    /// What an instance wrote, a process or an actor
    Logs(LogsArguments),
    /// What happened, oldest first
    Events(EventsArguments),
    /// What rules decided, newest first
    Decisions(DecisionsArguments),
    /// Why something is as it is, and what can be done
    Why(WhyArguments),
    /// What would be affected if something failed
    Impact(ImpactArguments),
    /// What is related to what
    Graph(GraphArguments),
    /// Wait until something is as wanted
    Wait(WaitArguments),
    /// Change a placement's configuration, one instance after the other
    Reconfigure(ReconfigureArguments),
    /// A placement's wishes, and the way back to one
    Placement(PlacementArguments),
    /// Delete a placement: its instances end, then it is gone
    Delete(DeleteArguments),
    /// Forget an instance's failures and let it start again
    #[command(after_help = "Example:\n  mainstay clear flaky@n2")]
    Clear(ChangeArguments),
    /// Work of several steps that comes to its end whatever fails meanwhile
    Orchestration(OrchestrationArguments),
    /// The types of activities that orchestrations are made of
    Activity(ActivityArguments),
    /// Executions of orchestrations: begun, followed, tried again, undone
    Run(RunArguments),
    /// What can be ordered, and what is hosted
    Service(ServiceArguments),
    /// Content that the cluster keeps: web UIs, data
    Artifact(ArtifactArguments),
    /// Order something of a service, and wait for its end
    Order(OrderArguments),
    /// What people say of nodes: cordon, drain, label, remove
    Node(NodeArguments),
    /// Work on something without its being told as a problem
    Maintenance(MaintenanceArguments),
    /// What the cluster's rules measure against
    Settings(SettingsArguments),
    /// What was set aside because judging it panicked
    Parked(ParkedArguments),
    /// The rules, what they did, and switching them off and on
    Rule(RuleArguments),
    /// Break something on purpose
    Chaos(ChaosArguments),
    /// Write the whole state of the cluster to a file
    Backup(BackupArguments),
    /// Make a station's data directory from a backup
    Restore(RestoreArguments),
    /// Whether this machine and the cluster are fit, and what to do
    Doctor(DoctorArguments),
    /// A bundle for whoever helps
    Debug(DebugArguments),
    /// What a reason code, a kind or a key of its JSON means
    Explain(ExplainArguments),
    /// Tokens that let machines and people in
    Token(TokenArguments),
    /// Who was let in, and who you are
    Identity(IdentityArguments),
    /// What daemons and people show, until when, and renewing it
    Cert(CertArguments),
    /// What only those services learn that it is handed to
    Secret(SecretArguments),
    /// Whether you may do something; exit code 0 or 5
    CanI(CanIArguments),
    /// Write the beginnings of a program of your own
    New(NewArguments),
    /// Let a shell complete commands, flags and names
    Completion(CompletionArguments),
    /// The build of this program and of the station
    #[command(after_help = "Example:\n  mainstay version -o json")]
    Version,
    #[command(hide = true)]
    CompleteWords(CompleteWordsArguments),
    #[command(hide = true)]
    Demo(DemoArguments),
    #[command(hide = true)]
    DevDaemon(DaemonArguments),
    #[command(hide = true)]
    DevReaper(ReaperArguments),
}

impl Command {
    /// Whether what it shows are resources: then their references can be all that is printed.
    pub fn has_references(&self) -> bool {
        match self {
            Self::Dev(_)
            | Self::Station(_)
            | Self::Status(_)
            | Self::Get(_)
            | Self::Describe(_)
            | Self::Start(_)
            | Self::Stop(_)
            | Self::Restart(_)
            | Self::Move(_)
            | Self::Reconfigure(_)
            | Self::Placement(_)
            | Self::Delete(_)
            | Self::Clear(_)
            | Self::Check(_)
            | Self::AskStatus(_)
            | Self::Call(_)
            | Self::Answer(_)
            | Self::Events(_)
            | Self::Decisions(_)
            | Self::Why(_)
            | Self::Impact(_)
            | Self::Graph(_)
            | Self::Wait(_)
            | Self::Parked(_)
            | Self::Rule(_)
            | Self::Orchestration(_)
            | Self::Activity(_)
            | Self::Run(_)
            | Self::Service(_)
            | Self::Artifact(_)
            | Self::Order(_)
            | Self::Node(_)
            | Self::Maintenance(_)
            | Self::Plan(_)
            | Self::Apply(_)
            | Self::Token(_)
            | Self::Identity(_)
            | Self::Cert(_)
            | Self::Secret(_)
            | Self::Chaos(_) => true,
            Self::Agent(_)
            | Self::Init(_)
            | Self::Join(_)
            | Self::Bootstrap(_)
            | Self::CanI(_)
            | Self::Logs(_)
            | Self::Backup(_)
            | Self::Restore(_)
            | Self::Debug(_)
            | Self::Doctor(_)
            | Self::Explain(_)
            | Self::New(_)
            | Self::Settings(_)
            | Self::Completion(_)
            | Self::CompleteWords(_)
            | Self::Demo(_)
            | Self::Version
            | Self::DevDaemon(_)
            | Self::DevReaper(_) => false,
        }
    }

    /// What is being done, as people say it: the command and what it is about.
    pub fn told(&self) -> String {
        let of = str::to_owned;
        let one = |verb: &str, reference: &Key| format!("{verb} {reference}");
        let about = |verb: &str, reference: Option<String>| {
            reference.map_or_else(|| of(verb), |one| format!("{verb} {one}"))
        };
        let about_key = |verb: &str, one: Option<&Key>| about(verb, one.map(Key::to_string));
        match self {
            Self::Dev(_) | Self::Demo(_) | Self::DevDaemon(_) => of("run a dev cluster"),
            Self::DevReaper(_) => of("run a dev cluster"),
            Self::Station(station) => station.command.told(),
            Self::Agent(_) => of("run an agent"),
            Self::Status(_) => "status".to_owned(),
            Self::Get(get) => about(&get.told(), get.reference.clone()),
            Self::Describe(describe) => one("describe", &describe.reference),
            Self::Plan(_) => "plan".to_owned(),
            Self::Apply(apply) => apply.told(),
            Self::Settings(settings) => settings.command.told().to_owned(),
            Self::Start(start) => format!("start {}", start.placement()),
            Self::Stop(change) => one("stop", &change.reference),
            Self::Restart(change) => one("restart", &change.reference),
            Self::Move(change) => format!("move {} to {}", change.instance, change.to),
            Self::Reconfigure(change) => one("reconfigure", &change.reference),
            Self::Placement(placement) => placement.command.told(),
            Self::Delete(delete) => about("delete", delete.named()),
            Self::Clear(change) => one("clear", &change.reference),
            Self::Check(check) => one("check", &check.reference),
            Self::AskStatus(check) => one("ask-status", &check.reference),
            Self::Call(call) => format!("call {} {}", call.reference, call.message),
            Self::Answer(answer) => format!("answer asked/{}", answer.id),
            Self::Logs(logs) => format!("logs {}", logs.reference),
            Self::Events(_) => "events".to_owned(),
            Self::Decisions(made) => about_key("decisions", made.reference.as_ref()),
            Self::Why(why) => about_key("why", why.reference.as_ref()),
            Self::Impact(impact) => one("impact", &impact.reference),
            Self::Graph(graph) => match graph.command {
                Some(GraphCommand::Check) => "graph check".to_owned(),
                None => about_key("graph", graph.reference.as_ref()),
            },
            Self::Wait(wait) => format!("wait for {} to be {}", wait.reference, wait.goal),
            Self::Parked(parked) => parked.command.told(),
            Self::Rule(rule) => rule.command.told(),
            Self::Chaos(chaos) => chaos.command.told(),
            Self::Backup(backup) => backup.told(),
            Self::Restore(restore) => restore.told(),
            Self::Debug(debug) => debug.command.told(),
            Self::Doctor(_) => "doctor".to_owned(),
            Self::Explain(explain) => format!("explain {}", explain.subject),
            Self::New(new) => new.command.told(),
            Self::Completion(_) | Self::CompleteWords(_) => of("completion"),
            Self::Init(init) => init.told(),
            Self::Join(join) => join.told(),
            Self::Bootstrap(bootstrap) => bootstrap.told(),
            Self::Token(token) => token.command.told(),
            Self::Orchestration(one) => one.command.told("orchestration"),
            Self::Activity(one) => one.command.told("activity"),
            Self::Run(run) => run.command.told(),
            Self::Service(service) => service.command.told(),
            Self::Artifact(artifact) => artifact.command.told(),
            Self::Order(order) => order.told(),
            Self::Node(node) => node.command.told(),
            Self::Maintenance(maintenance) => maintenance.command.told(),
            Self::Identity(identity) => identity.command.told(),
            Self::Cert(cert) => cert.command.told(),
            Self::Secret(secret) => secret.command.told(),
            Self::CanI(can_i) => can_i.told(),
            Self::Version => "version".to_owned(),
        }
    }
}

impl ApplyArguments {
    fn told(&self) -> String {
        match &self.plan {
            Some(file) => format!("apply the plan {file}"),
            None => "apply".to_owned(),
        }
    }
}

impl PlacementCommand {
    fn told(&self) -> String {
        match self {
            Self::History(one) => format!("history of {}", one.placement),
            Self::Rollback(one) => format!("roll {} back", one.placement),
        }
    }
}

impl NewCommand {
    fn told(&self) -> String {
        let Self::Service(service) = self;
        format!("new service {}", service.name)
    }
}

impl ChaosCommand {
    fn told(&self) -> String {
        match self {
            Self::Kill(target) => format!("chaos kill {}", target.reference),
            Self::Panic(target) => format!("chaos panic {}", target.reference),
            Self::Hang(target) => format!("chaos hang {}", target.reference),
            Self::Stop(target) => format!("chaos stop {}", target.reference),
            Self::Partition { node, .. } => format!("chaos partition node/{node}"),
            Self::Delay { node, .. } => format!("chaos delay node/{node}"),
            Self::SlowDisk { station, .. } => format!("chaos slow-disk station/{station}"),
            Self::Skew { station, .. } => format!("chaos skew station/{station}"),
            Self::Heal { what, .. } => format!("chaos heal {what}"),
        }
    }
}

impl GetArguments {
    fn told(&self) -> String {
        match self.kind.to_possible_value() {
            Some(kind) => format!("get {}", kind.get_name()),
            None => "get".to_owned(),
        }
    }
}

impl ParkedCommand {
    fn told(&self) -> String {
        match self {
            Self::List => "list what is parked".to_owned(),
            Self::Show(one) => format!("show parked/{}", one.id),
            Self::Requeue(one) => format!("requeue parked/{}", one.id),
            Self::Drop(one) => format!("drop parked/{}", one.id),
        }
    }
}

impl RuleCommand {
    fn told(&self) -> String {
        match self {
            Self::List => "list rules".to_owned(),
            Self::Show(one) => format!("show rule {}", one.name),
            Self::Disable(one) => format!("disable rule {}", one.name),
            Self::Enable(one) => format!("enable rule {}", one.name),
        }
    }
}
