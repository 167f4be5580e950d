//! The rules that come with the system: one file each, in the order in which they run.
//!
//! First what makes and restores subjects, then what judges failures, then what ends, then what begins.

mod asked;
mod command_resend;
mod could_not_start;
pub mod dependency_gate;
mod drain;
mod maintenance;
mod name_conflict;
mod node_lost;
mod node_return;
mod place;
pub(crate) mod procedure_over;
mod quarantine;
mod reconfigure;
mod release;
mod restart;
mod restart_group;
mod retire;
mod rolling_update;
mod singleton_lease;
mod start;
mod start_deadline;
mod stop;
pub mod stop_escalate;
mod storm_brake;
pub(crate) mod stray;
mod unresponsive;

use crate::rule::RuleEntry;

pub(crate) fn shipped() -> Vec<RuleEntry> {
    vec![
        RuleEntry::of::<maintenance::Maintenance>(),
        RuleEntry::of::<storm_brake::StormBrake>(),
        RuleEntry::of::<node_lost::NodeLost>(),
        RuleEntry::of::<place::Place>(),
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
        RuleEntry::of::<command_resend::CommandResend>(),
        RuleEntry::of::<procedure_over::ProcedureOver>(),
    ]
}
