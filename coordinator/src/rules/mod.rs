//! The rules that come with the system: one file each, in the order in which they run.
//!
//! First what makes and restores subjects, then what judges failures, then what ends, then what begins.

mod artifact_left;
mod asked;
mod command_resend;
mod could_not_start;
pub mod dependency_gate;
pub(crate) mod drain;
pub mod fence;
mod guard_spread;
pub(crate) mod hand_out;
mod isolation;
mod maintenance;
mod moving;
mod name_conflict;
mod node_lost;
mod node_return;
mod node_suspect;
pub(crate) mod place;
pub(crate) mod procedure_over;
mod quarantine;
mod reconfigure;
mod release;
mod restart;
mod restart_group;
pub(crate) mod restart_host;
mod retire;
pub mod rolling_update;
mod run_over;
mod singleton_lease;
mod start;
mod start_deadline;
mod step_due;
mod step_lost;
mod stop;
pub mod stop_escalate;
mod storm_brake;
pub(crate) mod stray;
mod supervisor_lost;
mod undo;
mod unresponsive;
mod unseen;
mod watch_spread;

use crate::procedure;
use crate::rule::RuleEntry;

pub(crate) fn shipped() -> Vec<RuleEntry> {
    vec![
        RuleEntry::of::<maintenance::Maintenance>(),
        RuleEntry::of::<maintenance::PlacementMaintenance>(),
        RuleEntry::of::<guard_spread::GuardSpread>(),
        RuleEntry::of::<node_suspect::NodeSuspect>(),
        RuleEntry::of::<storm_brake::StormBrake>(),
        RuleEntry::of::<node_lost::NodeLost>(),
        RuleEntry::of::<isolation::Isolation>(),
        RuleEntry::of::<fence::Fence>(),
        RuleEntry {
            users: false,
            ..procedure::entry::<restart_host::RestartHost>()
        },
        RuleEntry::of::<supervisor_lost::SupervisorLost>(),
        RuleEntry::of::<place::Place>(),
        RuleEntry::of::<moving::Moving>(),
        RuleEntry::of::<stray::Stray>(),
        RuleEntry::of::<node_return::NodeReturn>(),
        RuleEntry::of::<rolling_update::RollingUpdate>(),
        RuleEntry::of::<asked::Asked>(),
        RuleEntry::of::<release::Release>(),
        RuleEntry::of::<restart_group::RestartGroup>(),
        RuleEntry::of::<could_not_start::CouldNotStart>(),
        RuleEntry::of::<quarantine::Quarantine>(),
        RuleEntry::of::<restart::Restart>(),
        RuleEntry::of::<dependency_gate::DependencyGate>(),
        RuleEntry::of::<start_deadline::StartDeadline>(),
        RuleEntry::of::<unresponsive::Unresponsive>(),
        RuleEntry::of::<reconfigure::Reconfigure>(),
        RuleEntry::of::<stop::Stop>(),
        RuleEntry::of::<drain::Drain>(),
        RuleEntry::of::<stop_escalate::StopEscalate>(),
        RuleEntry::of::<retire::Retire>(),
        RuleEntry::of::<singleton_lease::SingletonLease>(),
        RuleEntry::of::<start::Start>(),
        RuleEntry::of::<name_conflict::NameConflict>(),
        // Behind those that decide what becomes of an instance.
        RuleEntry::of::<watch_spread::WatchSpread>(),
        RuleEntry::of::<unseen::Unseen>(),
        // Behind those too: who does the work is known by then.
        RuleEntry::of::<step_lost::StepLost>(),
        RuleEntry::of::<step_due::StepDue>(),
        RuleEntry::of::<undo::Undo>(),
        RuleEntry::of::<hand_out::HandOut>(),
        RuleEntry::of::<run_over::RunOver>(),
        RuleEntry::of::<artifact_left::ArtifactLeft>(),
        RuleEntry::of::<command_resend::CommandResend>(),
        RuleEntry::of::<procedure_over::ProcedureOver>(),
    ]
}
