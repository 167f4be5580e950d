//! Every bound, by name, with its reason.

use std::time::Duration;

/// Names fit a DNS label, so that they can become host names.
pub const NAME_BYTES_MAX: usize = 63;
/// A control frame: heartbeats, commands, reports; small, so that none waits long behind another.
pub const CONTROL_FRAME_BYTES_MAX: usize = 64 * 1024;
/// A handshake is a few hundred bytes; more is not one of ours.
pub const HANDSHAKE_BYTES_MAX: usize = 16 * 1024;
/// TLVs of a handshake, unknown ones included.
pub const HANDSHAKE_FIELDS_MAX: usize = 64;
/// Undecodable frames kept per peer for inspection.
pub const BAD_FRAMES_KEPT_MAX: usize = 16;
/// Bytes kept of each of them.
pub const BAD_FRAME_KEPT_BYTES: usize = 256;
/// Unacknowledged reports of one agent at the station: its credit.
pub const REPORT_CREDITS: usize = 256;
/// Reports in one frame.
pub const REPORTS_PER_FRAME_MAX: usize = 64;
/// Reports an outbox holds; beyond it no new Start is taken (Stop and Check always are).
pub const OUTBOX_REPORTS_MAX: usize = 16 * 1024;
/// Answers to refused commands beyond that; then such commands are left to be repeated.
pub const OUTBOX_ANSWERS_MAX: usize = 1024;
/// Commands an agent keeps, open or answered and not yet acknowledged; one more is left to be repeated.
pub const COMMANDS_KEPT_MAX: usize = 64 * 1024;
/// How long an agent may keep to itself that an activity was taken, in case it can say with it that it is done. Well
/// before the command is sent again.
pub const TAKEN_UNTOLD_MS: u64 = 300;
/// Incarnation floors an agent keeps; beyond it those of placements made longest ago go.
pub const FLOORS_KEPT_MAX: usize = 2 * INSTANCES_PER_NODE_MAX;
/// Observations of the supervisor, the starter and the host waiting for the agent core.
pub const OBSERVATIONS_MAX: usize = 1024;
/// Ends of an agent's supervisor in a row before the agent gives up: whoever cannot watch must not look as if it did.
pub const SUPERVISOR_DEATHS_MAX: u32 = 10;
/// A supervisor that lived for so long was well: it has looked at everything, and the next end is the first again.
pub const SUPERVISOR_WELL_MS: u64 = 10_000;
/// Before the second restart in a row, then twice as long each time.
pub const SUPERVISOR_PAUSE_MS_MIN: u64 = 100;
pub const SUPERVISOR_PAUSE_MS_MAX: u64 = 5_000;
/// Bytes of an agent's file before it is written anew without what is settled.
pub const AGENT_FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Bytes of a failure's own words and of a tail of standard error.
pub const EVIDENCE_BYTES_MAX: usize = 4 * 1024;
/// Messages waiting in front of one instance; one more is refused as overloaded.
pub const INSTANCE_MAILBOX_MAX: usize = 128;
/// A page of a log; escaped, it fits a control frame.
pub const LOG_PAGE_BYTES_MAX: usize = 32 * 1024;
/// Instances whose usage is asked for in one question; the answer fits a control frame.
pub const USAGES_MAX: usize = 256;
/// Nodes whose no is said of a placement that finds too few.
pub const WHY_NODES_MAX: usize = 100;
/// Instances that one placement of so many may want.
pub const PLACEMENT_COUNT_MAX: u32 = 10_000;
/// Starts under way on one node; the others begin in order. What starts takes more than what runs, and all at once would
/// miss the deadlines that each alone keeps.
pub const STARTS_PER_NODE_MAX: usize = 32;
/// Nodes that refused an instance of a placement of so many for want of room and are remembered for `ROOM_ASKED_AGAIN_MS`;
/// with so many of them no further node is asked: what the coordinator knows of nodes is wrong then.
pub const NODES_ASKED_MAX: usize = 8;
/// Nodes that refused such an instance and are asked after all others for a while: as many as can be asked in that time,
/// `NODES_ASKED_MAX` every `ROOM_ASKED_AGAIN_MS`, and some more.
pub const NODES_ASKED_LAST_MAX: usize = 400;
/// For how long.
pub const NODES_ASKED_LAST_MS: u64 = 600_000;
/// Until a node that refused a start for want of room is asked again.
pub const ROOM_ASKED_AGAIN_MS: u64 = 15_000;
/// Ports that one instance may need.
pub const PORTS_MAX: usize = 64;
/// Cores that an instance may need, or a node offer, and bytes: of all instances of a node together they can be counted.
pub const MILLICORES_MAX: u64 = 100_000_000;
pub const ROOM_BYTES_MAX: u64 = 1 << 50;
/// Other placements that one may want to be near, or apart from.
pub const AFFINITIES_MAX: usize = 16;
/// Instances on one node.
pub const INSTANCES_PER_NODE_MAX: usize = 10_000;
/// A message's or configuration's JSON; fits a control frame with room to spare.
pub const JSON_BYTES_MAX: usize = 32 * 1024;
/// Questions under way per session.
pub const REQUESTS_IN_FLIGHT_MAX: usize = 256;
/// An answer or request of so many bytes goes over its session's bulk connection, so that nothing waits behind it.
pub const BULKY_BYTES_MIN: usize = 4 * 1024;
/// Frames queued for a bulk connection; whoever has one more waits, or is refused.
pub const BULK_QUEUE_MAX: usize = 16;
/// A bulk connection whose other side takes nothing for so long is closed: that side is stuck, or gone.
pub const BULK_WRITE_DEADLINE_MS: u64 = 30_000;
/// Frames queued for one session before it is closed as stuck.
pub const SESSION_QUEUE_MAX: usize = 1024;
/// Events in one batch of the leader core.
pub const BATCH_EVENTS_MAX: usize = 512;
/// Events waiting for the leader core; beyond it callers are told to come back.
pub const INBOX_EVENTS_MAX: usize = 8 * 1024;
/// Subjects one step takes of those that are left; what its own events change comes to them.
pub const STEP_SUBJECTS_MAX: usize = 1024;
/// Bytes of one step's output, after which it takes no further event and judges no further subject: what is left
/// is for the next. An event, and a judgement, is recorded whole.
pub const STEP_BYTES_MAX: usize = 1024 * 1024;
/// Bytes that one event may write: what a node with `INSTANCES_PER_NODE_MAX` instances changes fits.
pub const EVENT_BYTES_MAX: usize = 24 * 1024 * 1024;
/// Bytes that one judgement may write: instances on thousands of nodes fit.
pub const JUDGEMENT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of an entry: a step that is full, with one event and one judgement of the largest size on top; below what
/// the codec reads.
pub const ENTRY_BYTES_MAX: usize =
    EVENT_BYTES_MAX + JUDGEMENT_BYTES_MAX + 2 * STEP_BYTES_MAX + NODE_UP_BYTES_MAX;
/// Bytes kept of a failure's words and of a health's detail when so many instances change at once that whole texts
/// would not fit an entry. The failure's own event and the decisions about it have them in full.
pub const EVIDENCE_SHORT_BYTES: usize = 256;
/// Decisions of one step; the rest stays dirty for the next.
pub const STEP_DECISIONS_MAX: usize = 512;
/// Rounds of rules over what rules changed, before the oscillating ones are parked.
pub const CONVERGE_ROUNDS_MAX: usize = 16;
/// Keys a decision's read set holds.
pub const DECISION_READS_MAX: usize = 32;
/// Bytes of a decision's read set and texts.
pub const DECISION_BYTES_MAX: usize = 4 * 1024;
/// Restart times an instance remembers; more than any budget.
pub const ATTEMPTS_KEPT_MAX: usize = 32;
/// Earlier wishes a placement remembers, to be shown and to go back to.
pub const PLACEMENT_HISTORY_MAX: usize = 10;
/// Placements that one placement depends on.
pub const DEPENDENCIES_MAX: usize = 64;
/// Placements that one operation puts or deletes.
pub const APPLY_CHANGES_MAX: usize = 1024;
/// Bytes of decisions and events kept on disk (1 GiB), and their age (7 days).
pub const HISTORY_BYTES_MAX: u64 = 1024 * 1024 * 1024;
pub const HISTORY_AGE_SECONDS: u64 = 7 * 24 * 3600;
/// Rows of one answer of the API; more is paged.
pub const PAGE_ROWS_MAX: usize = 10_000;
/// A request body of the API.
pub const HTTP_BODY_BYTES_MAX: usize = 256 * 1024;
/// Vertices of one answer about the graph; what lies further is left out, and that is said.
pub const GRAPH_VERTICES_MAX: usize = 10_000;
/// Relations between a resource and what is shown around it.
pub const GRAPH_DEPTH_MAX: usize = 16;
/// Rules that can be switched off at once, and the bytes of who did it and why.
pub const RULES_OFF_MAX: usize = 64;
pub const RULE_OFF_BYTES_MAX: usize = 512;
/// Depth of a `why` tree.
pub const WHY_DEPTH_MAX: usize = 16;
/// A bulk frame: logs, snapshots, uploads; on a connection of its own.
pub const BULK_FRAME_BYTES_MAX: usize = 1024 * 1024;
/// A NodeUp alone may be larger than a control frame: it carries the digest of `INSTANCES_PER_NODE_MAX`
/// instances, and nothing waits behind it, since it opens the session.
pub const NODE_UP_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Instances one heartbeat speaks of: with names of full length they fit a control frame.
pub const HEARTBEAT_INSTANCES_MAX: usize = 400;
/// Anything the codec reads; above every frame and record.
pub const DECODE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// A text of the handshake: build, boot id, feature, interface.
pub const HANDSHAKE_TEXT_BYTES_MAX: usize = 128;
/// So long an instance must be healthy with a changed configuration before the next is changed, unless its placement says
/// otherwise: what falls over at once shall fall over alone.
pub const UPDATE_WAIT_MS: u64 = 2_000;
/// Entries after which the station takes a snapshot and cuts its log; a restart replays less than this.
pub const LOG_SNAPSHOT_ENTRIES: u64 = 8 * 1024;
/// Bytes of entries after which it does so anyway.
pub const LOG_SNAPSHOT_BYTES: u64 = 64 * 1024 * 1024;
/// Writes of the log waiting for the committer's next sync; one sync completes them all.
pub const COMMIT_QUEUE_MAX: usize = 1024;
/// What the log has to tell the leader core and the core has not taken; beyond it, applying waits.
pub const LOG_EVENTS_MAX: usize = 1024;
/// Bytes of entries that one station sends another at once, unless one alone has more.
pub const GROUP_BATCH_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of anything that one station sends another.
pub const GROUP_FRAME_BYTES_MAX: usize = GROUP_BATCH_BYTES_MAX + 2 * ENTRY_BYTES_MAX;
/// Without word of a majority for so long a leader decides nothing more, since another may lead; a station that is not
/// heard for so long is away.
pub const STATION_SILENCE_MS: u64 = 2_000;
/// Stations of one cluster, those that do not vote yet or no more included.
pub const STATIONS_MAX: usize = 9;
/// Stations that one file founds a cluster with: more make every decision slower and bear the loss of hardly more.
pub const CLUSTER_STATIONS_MAX: usize = 5;
/// Machines of one file.
pub const CLUSTER_MACHINES_MAX: usize = 1024;
/// Bytes of a station's address.
pub const ADDRESS_BYTES_MAX: usize = 300;
/// Bytes of one chunk of a snapshot's stream, before its last record; fits a bulk frame.
pub const SNAPSHOT_CHUNK_BYTES: usize = 512 * 1024;
/// Bytes of write-ahead logs before the database turns the oldest into files.
pub const WAL_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Connections that the kernel keeps for a listener: a fleet that comes back at once.
pub const LISTEN_BACKLOG: u32 = 4_096;
/// Backups that a station writes at a time: each keeps old data on disk for as long as it is read.
pub const BACKUPS_MAX: usize = 2;
/// For how long a backup waits for its reader, and a reader for its next piece.
pub const BACKUP_STALL_MS: u64 = 60_000;
/// With less free than this on the disk of a station's data nothing more is proposed: what is under way, a snapshot and
/// the next start still fit.
pub const DISK_FREE_BYTES_MIN: u64 = 64 * 1024 * 1024;
/// Kept in a station's data directory, and given up to open it on a full disk.
pub const BALLAST_BYTES: u64 = 32 * 1024 * 1024;
/// How old a look at the disk may be.
pub const DISK_LOOK_MS: u64 = 200;
/// Stations of a dev cluster.
pub const DEV_STATIONS_MAX: u16 = 5;
/// Nodes of a dev cluster: agent processes on one machine.
pub const DEV_NODES_MAX: u16 = 64;
/// Bytes of one dev daemon's log before it begins anew, with one older piece kept.
pub const DEV_LOG_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Bytes of one line between a dev cluster's parent and its reaper.
pub const DEV_NOTE_BYTES_MAX: u64 = 64 * 1024;
/// Breaks between log time and wall time that a station remembers: one for each gap without a leader.
pub const WALL_ANCHORS_MAX: usize = 64;
/// Newest revisions whose events a starting station reads for those breaks.
pub const WALL_REVISIONS_READ: u64 = 100_000;
/// Bytes of one answer that a client of the API reads; a page of `PAGE_ROWS_MAX` rows fits.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes of one event of a followed stream.
pub const STREAM_EVENT_BYTES_MAX: usize = 1024 * 1024;
/// Names offered in place of a wrong one.
pub const NEAREST_MAX: usize = 3;
/// Connections to the session socket that have not introduced themselves yet; one more is closed at once.
pub const HANDSHAKES_MAX: usize = 512;
/// Connections of other agents to one agent: two guard it, and each whose instances call some here has one.
pub const PEERS_MAX: usize = 512;
/// Questions of other agents that are answered at a time, beside those of the station.
pub const PEER_CALLS_MAX: usize = 256;
/// Calls under way from one agent, and to one other node: who waits for a slow one must not keep others from theirs.
pub const CALLS_MAX: usize = 1024;
pub const CALLS_PER_NODE_MAX: usize = 256;
/// Instances of other nodes that one agent Checks: with names of full length they fit a control frame, and all may be of one
/// node.
pub const WATCHED_ELSEWHERE_MAX: usize = CALLS_PER_NODE_MAX;
/// Checks of other nodes' agents that are answered at a time, beside the calls of instances.
pub const WATCHER_CHECKS_MAX: usize = 2 * WATCHED_ELSEWHERE_MAX;
/// Other agents to which one has a connection for calls.
pub const CALLED_NODES_MAX: usize = 256;
/// A connection for calls on which nothing was asked for so long is closed.
pub const CALLS_IDLE_MS: u64 = 10_000;
/// Something that was looked up and that nobody watches is kept up to date for so long: whoever asks often asks nobody.
pub const LOOKUP_KEPT_MS: u64 = 60_000;
/// What one agent is told of when it changes: with names of full length they fit a control frame.
pub const LOOKUPS_FOLLOWED_MAX: usize = 256;
/// Bytes of the instances of one answer, which fits a control frame; the others are counted.
pub const FOUND_BYTES_MAX: usize = 48 * 1024;
/// From one word about what an agent follows to the next: what changes often is told as it is then.
pub const FOUND_EVERY_MS: u64 = 100;
/// Programs of one node that are connected to the agent's socket for lookups and calls.
pub const LOCAL_CONNECTIONS_MAX: usize = 64;
/// One line of them.
pub const LOCAL_LINE_BYTES_MAX: usize = 64 * 1024;
/// Answers that wait to be sent to one of them.
pub const PEER_QUEUE_MAX: usize = 16;
/// Agents that are asked, one after the other, to switch a machine off.
pub const FENCERS_MAX: usize = 3;
/// Words of a command about machines, and their bytes together.
pub const HOST_COMMAND_WORDS_MAX: usize = 64;
pub const HOST_COMMAND_BYTES_MAX: usize = 4 * 1024;
/// Commands about machines that an agent remembers, so that each is run once.
pub const HOST_COMMANDS_KEPT_MAX: usize = 64;
/// Nodes that are looked for at once; the others of those that are away have their turn behind them.
pub const LOOKS_IN_FLIGHT_MAX: usize = 256;
/// From one look for a node that is away to the next.
pub const LOOK_EVERY_MS: u64 = 1_500;
/// Whoever looks and sees nothing by then has seen nothing.
pub const LOOK_WITHIN_MS: u64 = 1_000;
/// Time for a peer to introduce itself, handshake and NodeUp together.
pub const HANDSHAKE_DEADLINE_MS: u64 = 5_000;
/// Bytes read from a session at a time.
pub const SESSION_READ_BYTES: usize = 64 * 1024;
/// Time one write to a session may take before the peer counts as stuck.
pub const SESSION_WRITE_DEADLINE_MS: u64 = 10_000;
/// Peers whose bad frames are remembered; the longest known is forgotten first.
pub const BAD_PEERS_MAX: usize = 256;
/// Bad bodies in one session before it is closed: a peer that is only broken is no use.
pub const BAD_FRAMES_PER_SESSION_MAX: u64 = 1_000;
/// Answers kept for requests that may be repeated with the same key.
pub const IDEMPOTENCY_KEYS_MAX: usize = 1024;
/// Requests of the API that wait for something at a time, each on a connection; one more is told to come back.
pub const WAITERS_MAX: usize = 1024;
/// The longest a request of the API waits.
pub const WAIT_MS_MAX: u64 = 24 * 3600 * 1000;
/// Between two starts of a coordinator that failed: doubled each time up to this.
pub const COORDINATOR_RESTART_MS_MAX: u64 = 10_000;
/// One call of the leader core takes far less; an endless one ends the process.
pub const CORE_CALL_MS_MAX: u64 = 30_000;
/// The same in dev clusters, where people wait for it.
pub const DEV_CORE_CALL_MS_MAX: u64 = 5_000;
/// Ends by the watchdog that a station keeps.
pub const ENDS_NOTED_MAX: usize = 16;
/// Rows of events or decisions in one answer, unless the asker says how many.
pub const HISTORY_ROWS_DEFAULT: usize = 100;
/// Rows of events or decisions one request looks at, wanted or not; the answer says where to go on. So a question
/// about one subject among a million does not hold a thread and old data for long.
pub const HISTORY_SCAN_ROWS_MAX: usize = 20_000;
/// Trees of one `why` without a subject.
pub const WHY_TREES_MAX: usize = 200;
/// Events read at a time for one follower, and held until it has taken them.
pub const FOLLOWER_EVENTS_MAX: usize = 64;
/// Followers of events at a time; well below the connections, so that questions still come through.
pub const FOLLOWERS_MAX: usize = 256;
/// Connections to the API at a time; one more is told to come back.
pub const API_CONNECTIONS_MAX: usize = 2048;
/// Connections of those that show nothing, at a time: they come with a token.
pub const API_STRANGERS_MAX: usize = 64;
/// Of those that are told to come back, how many at a time; one more is closed without a word.
pub const API_REFUSALS_MAX: usize = 64;
/// Instances whose recovery is measured at a time; that of one more is not.
pub const RECOVERIES_FOLLOWED_MAX: usize = 16 * 1024;
/// Rules and events set aside; beyond it an event that cannot be recorded is dropped.
pub const PARKED_MAX: usize = 1024;
/// Bytes of one file of wishes; people write them, and a mistaken path must not fill the memory.
pub const FILE_BYTES_MAX: usize = 1024 * 1024;
/// Files of one `plan` or `apply`.
pub const FILES_MAX: usize = 512;
/// Levels of lists and objects in a file; parsers and printers of its values recurse.
pub const FILE_DEPTH_MAX: usize = 64;
/// Values of a file with its aliases followed: a few lines of aliases of aliases stand for billions.
pub const FILE_NODES_MAX: usize = 100_000;
/// Faults told of one file; the others are counted.
pub const FILE_FAULTS_MAX: usize = 100;
/// A kept plan, and a request of `plan` or `apply`: what files of the largest size come to.
pub const PLAN_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Resources that one instance uses at a time.
pub const RESOURCES_PER_INSTANCE_MAX: usize = 64;
/// Questions of one instance that wait for their answer; one more is refused.
pub const QUESTIONS_OPEN_MAX: usize = 16;
/// The longest an instance's question waits for its answer.
pub const QUESTION_MS_MAX: u64 = 24 * 3600 * 1000;
/// Words of one instance (questions, records, what it uses) that pass in a second; one more waits.
pub const WORDS_PER_SECOND_MAX: u64 = 20;
/// Words that may pass at once after a silence.
pub const WORDS_BURST: usize = 32;
/// Bytes of one record, one question's body, one answer.
pub const WORD_BYTES_MAX: usize = 4 * 1024;
/// How long a record is kept for rules to take note of it.
pub const COLLECTED_KEPT_MS: u64 = 5_000;
/// Records kept at a time in the whole cluster; beyond it new ones are dropped.
pub const COLLECTED_KEPT_MAX: usize = 16 * 1024;
/// Strays of one node that are kept; the rest is told by number.
pub const STRAYS_PER_NODE_MAX: usize = 256;
/// Bytes of what a procedure remembers between two steps.
pub const PROCEDURE_STEP_BYTES_MAX: usize = 4 * 1024;

/// Certificates whose end a station remembers: everybody that a large cluster lets in.
pub const CERTIFICATES_SEEN_MAX: usize = 16 * 1024;
/// Tokens that are open, or over for less than `TOKEN_KEPT_MS`: a fleet of a thousand machines in one go.
pub const TOKENS_MAX: usize = 2_000;
/// A token that is over is remembered for so long, so that whoever comes late is told why.
pub const TOKEN_KEPT_MS: u64 = 24 * 3_600_000;
/// How long a token may be good for: longer, and it lies around.
pub const TOKEN_VALID_MS_MAX: u64 = 7 * 24 * 3_600_000;
/// Why somebody did something, as they say it.
pub const SAID_BYTES_MAX: usize = 500;
/// Of a label's name, and of its value.
pub const NODE_LABEL_BYTES_MAX: usize = 128;
/// Announced work on a node ends by itself after so long at the latest, if it is to end by itself.
pub const MAINTENANCE_MAX: Duration = Duration::from_secs(365 * 24 * 3600);
/// A way, or a disk, that is slower on purpose by more is no slow one.
pub const SLOWER_MAX: Duration = Duration::from_secs(600);
/// So many records are handed over at once while a graph is read, and so many times before whoever takes them must follow.
pub const READ_BATCH: usize = 1_000;
pub const READ_BATCHES_AHEAD: usize = 8;
/// Labels of one node.
pub const NODE_LABELS_MAX: usize = 64;
/// The shortest lease: it is renewed once a second, and a change of the station that leads takes up to two.
pub const LEASE_MS_MIN: u64 = 3_000;
/// The longest: until it is over, nobody takes the place of one whose node is gone.
pub const LEASE_MS_MAX: u64 = 3_600_000;
/// What ends with its lease takes no longer for it: elsewhere everybody waits.
pub const LEASE_STOP_MS_MAX: u64 = 5_000;
/// How much faster than the coordinator's a node's clock may be, or slower, in thousandths.
pub const LEASE_DRIFT_PER_MILLE: u64 = 10;
/// For a node to notice that a lease is over, and for its kernel to end what had it.
pub const LEASE_MARGIN_MS: u64 = 500;
/// Groups of people, and the members of all together: they are in one vertex.
pub const GROUPS_MAX: usize = 100;
pub const GROUP_MEMBERS_MAX: usize = 2_000;
/// Secrets of a cluster, and the bytes of one.
pub const SECRETS_MAX: usize = 10_000;
pub const SECRET_BYTES_MAX: usize = 32 * 1024;
/// Of one node, asked for and not yet answered.
pub const SECRETS_WANTED_MAX: usize = 256;
/// A clock that is further off than this is told of before anything is decided by it.
pub const CLOCK_SKEW_MS_MAX: u64 = 3_600_000;
/// Bytes of the name of an orchestration, an activity type, an activity.
pub const WORK_NAME_BYTES_MAX: usize = 128;
/// Activities of one section of an orchestration: who is before whom is known for each two of them.
pub const ACTIVITIES_MAX: usize = 2_000;
/// How deep values of JSON may be nested: they are taken apart level by level.
pub const JSON_DEPTH_MAX: usize = 100;
/// How deep a value may be that is kept or travels: some levels more than what is written, since values stand in others.
pub const JSON_DEPTH_KEPT_MAX: usize = 120;
/// What a run is given, an activity's inputs, its scratch, what it leaves behind, and what the activities of a run share:
/// each of them. Three of them travel in one frame.
pub const WORK_BYTES_MAX: usize = 16 * 1024;
/// What instances of a type may say that they take at once.
pub const HANDS_MAX: u32 = 1_024;
/// Of the activities of a run that failed, so many are told with it.
pub const RUN_ERRORS_MAX: usize = 32;
/// What a run leaves behind is mapped out of so many: each may be as large as what an activity leaves.
pub const RUN_OUTPUTS_MAX: usize = 64;
/// What whoever began a run knows it by.
pub const CORRELATION_BYTES_MAX: usize = 256;
/// The definition of an orchestration, and of a type of activity.
pub const DEFINITION_BYTES_MAX: usize = 256 * 1024;
/// Bytes of one artifact, and of all together: every station has them in memory.
pub const ARTIFACT_BYTES_MAX: u64 = 16 * 1024 * 1024;
pub const ARTIFACTS_BYTES_MAX: u64 = 128 * 1024 * 1024;
/// Artifacts of a cluster.
pub const ARTIFACTS_MAX: usize = 1_000;
/// Bytes of one piece of an artifact, a vertex of its own: a step has a few of them, and no entry many.
pub const ARTIFACT_CHUNK_BYTES: usize = 256 * 1024;
/// Bytes of an artifact in one answer to an agent, which fits a control frame.
pub const ARTIFACT_PART_BYTES: usize = 32 * 1024;
/// Of an artifact's name, and of its media type.
pub const ARTIFACT_NAME_BYTES_MAX: usize = 128;
/// An artifact of which nothing has come for so long never comes.
pub const ARTIFACT_ARRIVES_MS: u64 = 60_000;
/// Artifacts that one station takes at a time: each is in its memory until it is written.
pub const ARTIFACT_PUTS_MAX: usize = 4;
/// Files of an archive, their names together, and what they unpack to.
pub const ARCHIVE_FILES_MAX: usize = 4_096;
pub const ARCHIVE_NAMES_BYTES_MAX: usize = 256 * 1024;
pub const ARCHIVE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Bytes of one file's path in an archive.
pub const ARCHIVE_PATH_BYTES_MAX: usize = 1_024;
/// Artifacts that an agent asks for at a time.
pub const ARTIFACTS_WANTED_MAX: usize = 64;
/// Orchestrations, and types of activities: of each.
pub const DEFINITIONS_MAX: usize = 10_000;
/// Runs that are there at one time, over or not.
pub const RUNS_MAX: usize = 200_000;
/// How long a run that is over is there to be looked at.
pub const RUN_KEPT_MS: u64 = 86_400_000;
/// The longest time an activity may ask for before its next call.
pub const WORK_WAIT_MS_MAX: u64 = 366 * 86_400_000;
