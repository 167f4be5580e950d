//! Every bound of the hold, by name, with its reason.

/// The last of standard error that an exit keeps, as an agent's evidence does.
pub const STDERR_TAIL_BYTES: usize = 4 * 1024;
/// Read from a pipe at a time; a talkative stream has this much per turn, and then the others have theirs.
pub const PIPE_READ_BYTES: usize = 16 * 1024;
/// A line of the log; a longer one is written in pieces.
pub const LOG_LINE_BYTES_MAX: usize = 8 * 1024;
/// A spec: arguments and environment of a process together, far more than anybody writes.
pub const SPEC_BYTES_MAX: usize = 256 * 1024;
/// A state or exit file: one tail of standard error, escaped, and some words.
pub const RECORD_BYTES_MAX: usize = 32 * 1024;
/// A request on the socket: one word and few fields.
pub const REQUEST_BYTES_MAX: usize = 1024;
/// An answer or event on the socket: an exit, escaped.
pub const ANSWER_BYTES_MAX: usize = RECORD_BYTES_MAX;
/// What waits to be read by one client; one that reads nothing is closed.
pub const CLIENT_BACKLOG_BYTES_MAX: usize = 2 * ANSWER_BYTES_MAX;
/// Clients at a time: one agent, its successor, somebody who looks.
pub const CLIENTS_MAX: usize = 4;
/// Steps of a stop: signals and waits.
pub const STOP_STEPS_MAX: usize = 8;
/// A datagram of sd_notify.
pub const NOTIFY_BYTES_MAX: usize = 2 * 1024;
/// A status text that a process says of itself.
pub const STATUS_BYTES_MAX: usize = 512;
/// How often the hold looks at what nobody tells it: its directory, adopted children, a stopped process.
pub const TICK_MS: u64 = 2_000;
/// Between two looks for what is left of a process that has ended: from, to.
pub const CLEARING_MS_MIN: u64 = 1;
pub const CLEARING_MS_MAX: u64 = 200;
/// For a last word to clients that are slow to read.
pub const FAREWELL_MS: u64 = 500;
/// One log file, and how many of them, unless the spec says otherwise.
pub const LOG_BYTES_DEFAULT: u64 = 8 * 1024 * 1024;
pub const LOG_FILES_DEFAULT: u32 = 4;
/// A log file is larger than anything that is written to it in one go.
pub const LOG_BYTES_MIN: u64 = 64 * 1024;
/// Files of older incarnations that a slot keeps beside those of the present one.
pub const OLDER_LOGS_MAX: usize = 8;
/// Reads of each pipe after the end of the process: all that a pipe holds by default, several times over.
pub const DRAIN_TURNS_MAX: usize = 64;
/// How long a lock is tried for that somebody has: what lies between a fork and its exec, on a busy machine.
pub const LOCK_PATIENCE_MS: u64 = 200;
