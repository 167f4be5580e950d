//! Reason codes: stable, each with a page under `docs/codes/`.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A stable code such as `MS-NAME-HELD`. An unknown one from a newer peer is kept as it came.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Code(Cow<'static, str>);

impl Code {
    pub const fn known(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

macro_rules! codes {
    ($($name:ident = $text:literal: $meaning:literal;)*) => {
        $(#[doc = $meaning] pub const $name: Code = Code::known($text);)*
        /// Every code with its meaning in one line.
        pub const ALL: &[(Code, &str)] = &[$((Code::known($text), $meaning)),*];
    };
}

codes! {
    // An instance's state.
    STARTING = "MS-STARTING": "A start was decided and its outcome is awaited.";
    WAITING_FOR_NODE = "MS-WAITING-FOR-NODE": "The node is not online; the start waits for its agent.";
    NODE_LOST = "MS-NODE-LOST": "The node was away for too long, or somebody said that it is dead: nobody waits for it any longer.";
    NODE_SUSPECT = "MS-NODE-SUSPECT": "The node is not heard, and nobody has seen yet what has become of it.";
    NODE_ISOLATED = "MS-NODE-ISOLATED": "Others see the node's agent; the station does not.";
    NODE_UNSEEN = "MS-NODE-UNSEEN": "Neither the station nor anybody who guards the node sees it.";
    SUPERVISOR_SILENT = "MS-SUPERVISOR-SILENT": "The node's agent answers, and says that its supervisor does not.";
    SUPERVISOR_BACK = "MS-SUPERVISOR-BACK": "Somebody sees the node's supervisor at work again.";
    GUARDS_SPREAD = "MS-GUARDS-SPREAD": "Which nodes guard which supervisors was spread anew.";
    HOST_RESTARTED = "MS-HOST-RESTARTED": "The machine was restarted: another run of its agent is here.";
    HOST_OFF = "MS-HOST-OFF": "The machine was switched off, and is not back.";
    HOST_NOT_RESTARTED = "MS-HOST-NOT-RESTARTED": "Nothing that was tried restarted the machine.";
    HOST_FENCED = "MS-HOST-FENCED": "The machine is switched off, because a singleton on it is to be gone for certain.";
    COMMAND_FAILED = "MS-COMMAND-FAILED": "A command of the cluster's owners did not end well.";
    BROKEN_ON_PURPOSE = "MS-BROKEN-ON-PURPOSE": "Somebody broke it with chaos, and nobody has healed it yet.";
    WATCHES_SPREAD = "MS-WATCHES-SPREAD": "Which other nodes watch an instance was decided anew.";
    UNSEEN = "MS-UNSEEN": "Its own node finds it well, and nobody who watches it from another node gets an answer.";
    SEEN_AGAIN = "MS-SEEN-AGAIN": "An instance that nobody saw from another node is seen again, or is not watched any more.";
    NODES_HELD = "MS-NODES-HELD": "So many nodes are away at once that it is probably the network, or the station itself: none is given up.";
    NODES_RELEASED = "MS-NODES-RELEASED": "Enough nodes are back, or given up: those that are away are given up again.";
    NODE_NOT_MEANT = "MS-NODE-NOT-MEANT": "The placement asks for nodes with other labels.";
    LEASE_RAN_OUT = "MS-LEASE-RAN-OUT": "The only one in the cluster was ended where it ran: its lease was not renewed in time.";
    LEASE_HELD = "MS-LEASE-HELD": "Another one of this singleton may still run: it starts when that one's lease has run out for certain.";
    BELOW_MINIMUM = "MS-BELOW-MINIMUM": "A placement asks for more that serve whatever happens than it has instances.";
    TOO_FEW_NODES = "MS-TOO-FEW-NODES": "A placement of so many wants more nodes than can take one.";
    NO_ROOM = "MS-NO-ROOM": "The node has less free than is needed.";
    TOO_BIG = "MS-TOO-BIG": "More is needed than the node offers, even if it were empty.";
    PORT_TAKEN = "MS-PORT-TAKEN": "Another instance on the node has the port.";
    NODE_TOO_SMALL = "MS-NODE-TOO-SMALL": "The placement asks for nodes that offer more.";
    NOT_BESIDE = "MS-NOT-BESIDE": "The placement is to be near another one, and the node is not.";
    NOT_APART = "MS-NOT-APART": "The placement is to be apart from another one, and the node is not.";
    NODE_NOT_ASKED = "MS-NODE-NOT-ASKED": "As many nodes as are asked at a time have refused; further ones are asked later.";
    STARTS_IN_TURN = "MS-STARTS-IN-TURN": "As many starts are under way on the node as may be; the next ones begin in order.";
    FAILED_THERE = "MS-FAILED-THERE": "It failed on the node too often, or could not take its place there: it is tried elsewhere for a while.";
    MOVING = "MS-MOVING": "Somebody moves an instance to another node: it ends where it is when the other serves.";
    MOVED = "MS-MOVED": "An instance that somebody moved serves on its new node, and ends on the old one.";
    MOVE_FAILED = "MS-MOVE-FAILED": "What was to take an instance's place on another node did not serve in time, or was overtaken by events.";
    MINIMUM_KEPT = "MS-MINIMUM-KEPT": "No more serve than the placement's minimum; what would take another down waits.";
    NODE_DRAINED = "MS-NODE-DRAINED": "Somebody drained the node: what is wanted there waits until it is uncordoned.";
    IN_MAINTENANCE = "MS-IN-MAINTENANCE": "Somebody works on the node: whatever happens there is left as it is.";
    MAINTENANCE_OVER = "MS-MAINTENANCE-OVER": "The time of a node's maintenance is over.";
    TYPE_NOT_PROVIDED = "MS-TYPE-NOT-PROVIDED": "The node's agent does not have this service type.";
    NAME_HELD = "MS-NAME-HELD": "Another instance on the node holds the name.";
    NAME_HELD_ON_NODE = "MS-NAME-HELD-ON-NODE": "The node itself says the name is taken, against the graph.";
    CANNOT_RUN_HERE = "MS-CANNOT-RUN-HERE": "Something that the service needs is missing or forbidden on this node.";
    DEPENDENCY_NOT_READY = "MS-DEPENDENCY-NOT-READY": "What the placement depends on is not as far as it must be.";
    WAITS_FOR_DEPENDENTS = "MS-WAITS-FOR-DEPENDENTS": "Its stop waits until what depends on it has ended.";
    CONFIG_REFUSED = "MS-CONFIG-REFUSED": "The service refused its configuration; it waits for a changed wish.";
    START_REFUSED = "MS-START-REFUSED": "The service said it cannot start now.";
    START_DEADLINE = "MS-START-DEADLINE": "The service did not finish starting within its deadline.";
    PANICKED = "MS-PANICKED": "The service's code panicked.";
    REPORTED_FAILURE = "MS-REPORTED-FAILURE": "The service said itself that it failed.";
    VANISHED = "MS-VANISHED": "The instance ended unasked and without a word.";
    KILLED = "MS-KILLED": "The instance was killed from outside.";
    EXITED = "MS-EXITED": "A process of the instance ended.";
    AGENT_ENDED = "MS-AGENT-ENDED": "The agent that hosted the instance ended.";
    STATION_AWAY = "MS-STATION-AWAY": "The station that leads does not hear this one.";
    STATION_JOINING = "MS-STATION-JOINING": "The station takes the log over and does not vote yet.";
    STATION_RESTARTED = "MS-STATION-RESTARTED": "The station was started again after a life that did not end in order.";
    AGENT_STOPPED = "MS-AGENT-STOPPED": "The agent that hosted the instance was ended in order.";
    NODE_AWAY = "MS-NODE-AWAY": "The node's agent is not connected; what the instance does is not known.";
    DEGRADED = "MS-DEGRADED": "The service's own Check says degraded.";
    CHECK_FAILED = "MS-CHECK-FAILED": "The service's own Check says failed.";
    UNRESPONSIVE = "MS-UNRESPONSIVE": "Checks miss their deadline.";
    BACKOFF = "MS-BACKOFF": "The next start waits for its time.";
    RESTART_BUDGET_USED = "MS-RESTART-BUDGET-USED": "Too many failures within the window; an operator must clear it.";
    NO_RESTART = "MS-NO-RESTART": "The restart policy asks for no restart after this end.";
    STOPPING = "MS-STOPPING": "A stop was decided and its outcome is awaited.";
    STOPPED_BY_OPERATOR = "MS-STOPPED-BY-OPERATOR": "Somebody asked for the stop.";
    ENDED_BY_ITSELF = "MS-ENDED-BY-ITSELF": "The instance ended cleanly by itself.";
    WILL_NOT_END = "MS-WILL-NOT-END": "A task of the instance never yields and cannot be aborted; restart the agent.";
    UPDATING = "MS-UPDATING": "A changed configuration is on its way to the instances.";
    UPDATED = "MS-UPDATED": "A changed configuration has reached all instances.";
    UPDATE_HALTED = "MS-UPDATE-HALTED": "A changed configuration is no good, and there is nothing to go back to.";
    ROLLED_BACK = "MS-ROLLED-BACK": "A changed configuration was no good and was taken back.";
    NEEDS_RESTART = "MS-NEEDS-RESTART": "The instance cannot take the configuration while it runs.";
    RECONFIGURING = "MS-RECONFIGURING": "The instance is given another configuration.";
    RESTART_ASKED = "MS-RESTART-ASKED": "An operator asked for a restart.";
    CLEARED = "MS-CLEARED": "An operator cleared the instance's failures.";
    WANTED = "MS-WANTED": "A placement asks for this instance.";
    NOT_WANTED = "MS-NOT-WANTED": "No placement asks for this instance any more.";
    ANNOUNCED_STOP = "MS-ANNOUNCED-STOP": "The instance said that it is about to stop.";
    ADOPTED = "MS-ADOPTED": "An instance that ran without a command is taken in as the wanted one.";
    STRAY = "MS-STRAY": "Something runs on the node that no command started and nothing asks for.";
    RESTART_TOGETHER = "MS-RESTART-TOGETHER": "Another member of its restart group failed.";
    // Resources and questions.
    RESOURCE_NOT_ALLOWED = "MS-RESOURCE-NOT-ALLOWED": "The instance's type may not use resources of this kind.";
    RESOURCE_HELD = "MS-RESOURCE-HELD": "Another instance has the resource and does not share it.";
    RESOURCES_FREED = "MS-RESOURCES-FREED": "What the instance used is free, since it is gone.";
    ASKED = "MS-ASKED": "The instance failed in a way of its own and waits for an answer.";
    ANSWERED = "MS-ANSWERED": "A rule or an operator answered what an instance asked.";
    NOT_ANSWERED = "MS-NOT-ANSWERED": "Nobody answered what the instance asked within its deadline.";
    // Orchestrations and runs.
    BAD_DEFINITION = "MS-BAD-DEFINITION": "A definition has faults; each is told with where it is.";
    BAD_INPUT = "MS-BAD-INPUT": "What a run was given, or an activity was said to have left behind, is not as its schema says.";
    EXISTS = "MS-EXISTS": "There is one of this name already; nothing was changed.";
    INACTIVE = "MS-INACTIVE": "The orchestration is not active: it begins no runs.";
    IN_USE = "MS-IN-USE": "Something else uses it; it cannot be deleted.";
    UNSERVED = "MS-UNSERVED": "No service type of the cluster does such work.";
    SERVICE_UNKNOWN = "MS-SERVICE-UNKNOWN": "No service of this id or name is registered.";
    CONTROLLER_UNKNOWN = "MS-CONTROLLER-UNKNOWN": "Nobody knows the model that the controller of a service names.";
    CONTROLLER_NOT_ORDERABLE = "MS-CONTROLLER-NOT-ORDERABLE": "The service is of a model that nobody orders: it hosts something for as long as it is wanted.";
    BAD_PARAMETERS = "MS-BAD-PARAMETERS": "Parameters of an order are missing, unknown or of another kind; each is told.";
    NO_ARTIFACT = "MS-NO-ARTIFACT": "There is no artifact of this id, or not all of it has come.";
    ARTIFACT_DIFFERS = "MS-ARTIFACT-DIFFERS": "An artifact of this id exists with other content; content never changes.";
    ARTIFACTS_FULL = "MS-ARTIFACTS-FULL": "There is no room for another artifact.";
    ARTIFACT_LEFT = "MS-ARTIFACT-LEFT": "What came of an artifact that was broken off is removed.";
    RUN_DIFFERS = "MS-RUN-DIFFERS": "A run of this name exists and was begun with other content.";
    NOT_NOW = "MS-NOT-NOW": "The run is in a state in which this cannot be done.";
    STALE_TOKEN = "MS-STALE-TOKEN": "The step was handed out again since, or is over; what names an older token changes nothing.";
    HANDED_OUT = "MS-HANDED-OUT": "A step was due and went to an instance.";
    MISSING_INPUT = "MS-MISSING-INPUT": "A step needs an input that has no value; no attempt would find one.";
    QUEUE_AWAY = "MS-QUEUE-AWAY": "The outside queue cannot be used; what is due waits for it.";
    NO_HANDS = "MS-NO-HANDS": "A step is due, and all who do such work have their hands full.";
    STEP_WAITS = "MS-STEP-WAITS": "A step waits: for somebody outside, or for the time of its next call.";
    STEP_FAILED = "MS-STEP-FAILED": "An attempt of a step failed, or the step for good.";
    RUN_PAUSED = "MS-RUN-PAUSED": "Somebody paused the run: nothing of it is handed out.";
    RUN_FAILED = "MS-RUN-FAILED": "A step of the run failed for good.";
    STEP_DUE = "MS-STEP-DUE": "The time of a step has come: another call, another attempt, or the end of a wait.";
    WORKER_GONE = "MS-WORKER-GONE": "The instance that had a step is gone; the attempt counts.";
    UNDOING = "MS-UNDOING": "A run failed, and another one undoes what it did.";
    UNDONE = "MS-UNDONE": "What a failed run did is undone.";
    NOT_UNDONE = "MS-NOT-UNDONE": "What a failed run did could not be undone.";
    RUN_OVER = "MS-RUN-OVER": "A run ended a while ago and is forgotten.";
    // Calls between instances.
    NOT_REACHED = "MS-NOT-REACHED": "The agent of the instance that is called could not be reached; nothing was asked.";
    OTHER_INCARNATION = "MS-OTHER-INCARNATION": "Another incarnation runs than the one that is called.";
    // A rule's outcomes.
    PROCEDURE_STEP = "MS-PROCEDURE-STEP": "A procedure began, or went on to its next step.";
    PROCEDURE_ENDED = "MS-PROCEDURE-ENDED": "A procedure came to its end.";
    RULE_SUSPENDED = "MS-RULE-SUSPENDED": "The rule did not come to an end several times, and is not run.";
    RECORD_TAKEN = "MS-RECORD-TAKEN": "A rule took note of a record.";
    WITHIN_BUDGET = "MS-WITHIN-BUDGET": "Failures are within the restart budget.";
    RESTARTED_AT_ONCE = "MS-RESTARTED-AT-ONCE": "The first failure since sustained health restarts at once.";
    NAME_FREED = "MS-NAME-FREED": "The name became free and its oldest waiter is next.";
    RESENT = "MS-RESENT": "A command was not answered and is sent again.";
    COMMAND_REFUSED = "MS-COMMAND-REFUSED": "The node refused a command as older than what it knows.";
    // Nodes, supervisors, stations.
    AGENT_DOWN = "MS-AGENT-DOWN": "The agent has no session, and its machine answers.";
    AGENT_SILENT = "MS-AGENT-SILENT": "The node is not heard, nothing answers at its address, and nobody who guards it could be asked.";
    NODE_RETURNED = "MS-NODE-RETURNED": "The node's agent is back.";
    NOT_HEARD_YET = "MS-NOT-HEARD-YET": "Nothing was heard from the node since the coordinator started.";
    SUPERVISOR_RESTARTED = "MS-SUPERVISOR-RESTARTED": "The node's supervisor was replaced by its next incarnation.";
    RULE_PANICKED = "MS-RULE-PANICKED": "A rule panicked on this subject and is parked for it.";
    RULE_OFF = "MS-RULE-OFF": "The rule that would act here is switched off.";
    RULES_OSCILLATE = "MS-RULES-OSCILLATE": "Rules undid each other's work on this subject and are parked for it.";
    ENTRY_TOO_LARGE = "MS-ENTRY-TOO-LARGE": "An event or a rule would write more than fits one entry of the log.";
    EVENT_PARKED = "MS-EVENT-PARKED": "An event could not be recorded and was set aside.";
    OWN_PART = "MS-OWN-PART": "A part of the runtime itself; it is not started or stopped by hand.";
    // Errors of the API and the CLI.
    BAD_REQUEST = "MS-BAD-REQUEST": "The request is not valid.";
    BAD_CONFIG = "MS-BAD-CONFIG": "The configuration is not valid for the type.";
    UNKNOWN_NODE = "MS-UNKNOWN-NODE": "No node has this name.";
    UNKNOWN_TYPE = "MS-UNKNOWN-TYPE": "No node provides this service type.";
    NOT_FOUND = "MS-NOT-FOUND": "Nothing has this reference.";
    UNKNOWN_KIND = "MS-UNKNOWN-KIND": "There is no such kind.";
    UNKNOWN_MESSAGE = "MS-UNKNOWN-MESSAGE": "The type has no such message.";
    MESSAGE_REFUSED = "MS-MESSAGE-REFUSED": "The service refused the message.";
    PLACEMENT_DIFFERS = "MS-PLACEMENT-DIFFERS": "The placement exists with another type or configuration.";
    OVERTAKEN = "MS-OVERTAKEN": "Another change wanted the opposite before this one was carried out.";
    GENERATION_PAST = "MS-GENERATION-PAST": "The change is based on a generation that is past.";
    LEAVING = "MS-LEAVING": "The placement is being deleted.";
    DEPENDED_ON = "MS-DEPENDED-ON": "Another placement depends on this one.";
    DEPENDENCY_CYCLE = "MS-DEPENDENCY-CYCLE": "The placement would depend on itself.";
    BAD_SPEC = "MS-BAD-SPEC": "What was written in a file or sent as a specification is not right.";
    STALE_PLAN = "MS-STALE-PLAN": "What a kept plan touches has changed since it was made.";
    NAME_IS_FIXED = "MS-NAME-IS-FIXED": "The type has one fixed name; --holds is for generic types.";
    NOT_RUNNING = "MS-NOT-RUNNING": "The instance is not running.";
    OVERLOADED = "MS-OVERLOADED": "Too much is queued; try again.";
    TIMEOUT = "MS-TIMEOUT": "No answer within the deadline.";
    NO_SERVER = "MS-NO-SERVER": "No station could be reached.";
    NO_QUORUM = "MS-NO-QUORUM": "The station has no leader.";
    ANSWER_LOST = "MS-ANSWER-LOST": "Whoever was to answer was lost; whether what was asked took effect is not known.";
    ANOTHER_LEADS = "MS-ANOTHER-LEADS": "Another station leads.";
    TARGET_FAILED = "MS-TARGET-FAILED": "What was waited for failed.";
    NOT_ALLOWED = "MS-NOT-ALLOWED": "The caller may not do this.";
    NODE_CORDONED = "MS-NODE-CORDONED": "Somebody cordoned the node: it takes no new instances.";
    REFUSED_BY_SAFETY = "MS-REFUSED-BY-SAFETY": "A safety rule refuses this.";
    VERSION_MISMATCH = "MS-VERSION-MISMATCH": "The two sides share no version.";
    NO_CONTEXT = "MS-NO-CONTEXT": "No cluster is chosen.";
    NODE_ID_IN_USE = "MS-NODE-ID-IN-USE": "Another agent runs under this node's id.";
    TOKEN_UNKNOWN = "MS-TOKEN-UNKNOWN": "The cluster knows no such token.";
    TOKEN_EXPIRED = "MS-TOKEN-EXPIRED": "The token's time is over.";
    TOKEN_USED = "MS-TOKEN-USED": "The token has let somebody in already.";
    TOKEN_REVOKED = "MS-TOKEN-REVOKED": "The token was taken back.";
    TOKEN_ROLE = "MS-TOKEN-ROLE": "The token lets in somebody else.";
    NAME_TAKEN = "MS-NAME-TAKEN": "Somebody of this name is in the cluster already.";
    CLOCK = "MS-CLOCK": "The clocks of two machines are too far apart.";
    STRANGER = "MS-STRANGER": "The peer does not show that it belongs to this cluster.";
    CERTIFICATE_EXPIRED = "MS-CERTIFICATE-EXPIRED": "A certificate has run out.";
    IDENTITY_REVOKED = "MS-IDENTITY-REVOKED": "An identity was taken back.";
    NO_SEAL_KEY = "MS-NO-SEAL-KEY": "The station does not have the key to what lies sealed in its store.";
    NO_SECRET = "MS-NO-SECRET": "A configuration refers to a secret that is not there.";
    WRONG_CLUSTER = "MS-WRONG-CLUSTER": "The peer belongs to another cluster.";
    INTERNAL = "MS-INTERNAL": "A defect in Mainstay.";
    DISK_FULL = "MS-DISK-FULL": "The disk of the station that decides is almost full; nothing is changed.";
    BAD_BACKUP = "MS-BAD-BACKUP": "The file is no backup, or is not whole.";
    DATA_DIRECTORY = "MS-DATA-DIRECTORY": "The data directory cannot be used.";
    MACHINE_UNREACHABLE = "MS-MACHINE-UNREACHABLE": "A machine of the cluster's file cannot be reached, or nothing can be run on it.";
    MACHINE_REFUSES = "MS-MACHINE-REFUSES": "A step of making a cluster failed on a machine.";
}

/// Why something is in the state it is in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    pub code: Code,
    pub text: String,
    /// The resources it speaks of, as references.
    pub refs: Vec<String>,
}

impl Reason {
    pub fn new(code: Code, text: impl Into<String>) -> Self {
        Self {
            code,
            text: text.into(),
            refs: Vec::new(),
        }
    }

    #[must_use]
    pub fn about(mut self, reference: impl fmt::Display) -> Self {
        self.refs.push(reference.to_string());
        self
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_distinct_and_well_formed() {
        let texts: BTreeSet<&str> = ALL.iter().map(|(code, _)| code.as_str()).collect();
        assert_eq!(texts.len(), ALL.len());
        for text in texts {
            assert!(text.starts_with("MS-"), "{text}");
            assert!(
                text.bytes().all(|b| b.is_ascii_uppercase() || b == b'-'),
                "{text}"
            );
        }
    }
}
