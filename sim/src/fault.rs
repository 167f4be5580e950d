//! Every kind of fault, by name: what is not in this list is not injected, what is must fire.

macro_rules! faults {
    ($($name:ident = $text:literal;)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Fault {
            $(#[doc = $text] $name,)*
        }

        impl Fault {
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            pub fn text(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

faults! {
    LinkCut = "link: cut, what was under way is lost";
    LinkStraggler = "link: the agent is back before the station saw the old session end";
    LinkDelay = "link: a message takes very long";
    LinkSilentToStation = "link: nothing arrives at the station, nobody is told";
    LinkSilentToAgent = "link: nothing arrives at the agent, nobody is told";
    ReportDuplicated = "link: reports arrive a second time, later";
    CommandDuplicated = "link: a command arrives a second time, later";
    CommandReordered = "link: a command is overtaken by later ones";
    CrashBeforeWrite = "station: dies before the entry is written";
    CrashUnsynced = "station: dies before the sync, the entry is lost";
    CrashTornTail = "station: dies, the last entry is cut off in the middle";
    CrashSyncedUntold = "station: dies after the sync, before the core was told";
    CrashUncarried = "station: dies after the commit, before its effects went out";
    CrashHalfCarried = "station: dies in the middle of the effects";
    DiskSlow = "station: a sync takes very long";
    ProposalLost = "station: the log says the proposal is lost";
    ProposalLostThenCommitted = "station: the log says lost, and commits it all the same";
    LostToldTwice = "station: the log says once more that a proposal is lost, late";
    LeadershipLost = "station: leads no longer, the process lives";
    MajoritySilent = "station: leads and hears no majority";
    StationPaused = "station: stands still for a while";
    StationsKilled = "station: all die at once, and every agent with them";
    DiskSlowLong = "station: its disk is slow for a while";
    ClockDrift = "station: its clock runs faster or slower";
    CutBetweenStations = "network: some stations and nodes are cut off from the others";
    CutOneWay = "network: nothing goes from one station to another, the other way is open";
    CutOneWayToAgent = "network: nothing goes from a station to a node, or back";
    WordLost = "network: a word between stations is lost";
    WordDelayed = "network: a word between stations takes very long";
    WordDoubled = "network: a word between stations arrives a second time, later";
    SnapshotInstalled = "station: was away for longer than the log is kept, and is given a snapshot";
    StationAdded = "group: a station is added: it learns, then votes";
    StationRemoved = "group: a station is removed";
    LeaderRemoved = "group: who leads is to be removed, and hands over";
    LearnerGivenSnapshot = "group: a station is added where the log is cut off, and is given a snapshot";
    ChangeWaits = "group: a change waits for the one before it, for the term's first slot, or for the log to be caught up";
    ChangeCutOff = "group: a leader is cut off, or dies, just as it put a change forward";
    ChangeFellBack = "group: a change is truncated, and the group before it is in force again";
    RemovalRefused = "group: a removal that would lose the majority is refused";
    RemovedAsks = "group: a station that was removed asks for votes, in vain";
    OldCommand = "agent: is commanded by a leadership that it knows to be over";
    OrderPassedOn = "operators: a station that does not lead passes an order on";
    SnapshotRestart = "station: restarts from a snapshot and the rest of the log";
    WallClockJump = "station: the wall clock jumps";
    AgentKilled = "agent: its process is killed";
    AgentKilledWriting = "agent: is killed in the middle of a write";
    AgentPaused = "agent: stands still for a while";
    AgentFileLost = "agent: its file is gone when it comes back";
    NodeRebooted = "node: another boot";
    TypeMissing = "agent: comes back without one of its types";
    OfferChanged = "agent: comes back with another offer";
    FileCompacted = "agent: its file is written anew";
    ProcessFound = "agent: comes back and finds what outlived it";
    SupervisorDied = "supervisor: dies; what it would have seen is kept";
    StartSlow = "service: start takes longer than its deadline";
    StartSilent = "service: start never returns and cannot be ended by asking";
    StartConfig = "service: refuses its configuration";
    StartNotNow = "service: cannot start now";
    StartPanic = "service: panics while starting";
    StartNameTaken = "service: somebody outside holds its name";
    Panics = "service: panics";
    EndsCleanly = "service: ends by itself";
    ReportsFailure = "service: says it failed, and lives";
    ReportsThenEnds = "service: says it failed, then ends";
    Hangs = "service: does not answer its Checks";
    CheckFails = "service: its Check says failed, again and again";
    Degrades = "service: its Check says degraded";
    UsesResource = "service: wants a resource, or gives one back";
    Asks = "service: fails in a way of its own and asks what to do";
    StopSlow = "service: does not stop within its deadline";
    StopUnanswered = "service: a stop is not answered until it is killed";
    NeverEnds = "service: can be neither stopped nor killed";
    ChangeRefused = "service: does not take another configuration while it runs";
    ChangeUnanswered = "service: does not say whether it takes another configuration";
    ChangePanics = "service: panics over another configuration";
    NamesCollide = "operators: two placements want one name";
    AnswerLost = "operators: the answer is lost, and the order given again";
    NodeCordoned = "people: a node takes nothing new";
    NodeDrained = "people: a node is to be empty";
    NodeMaintained = "people: a node is worked on";
    NodeToBeRestarted = "people: a machine is to be restarted";
    NodeSaidDead = "people: somebody says of a node that is away that it is dead";
    HostRestarted = "people: their command restarts a machine";
    LeaseRanOut = "nodes: a lease runs out, and its hold ends what had it";
    InstanceMoved = "people: an instance is moved";
    NodeReleased = "people: what was said of a node is lifted";
    RulePanics = "rules: one panics on a subject's state";
}
