//! Bounds of the API's own, each with its reason.

/// Breaks between log time and wall time that are remembered: one for each gap without a leader.
pub const WALL_ANCHORS_MAX: usize = 64;
/// Bytes of one answer the client reads; a page of `PAGE_ROWS_MAX` rows fits.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes of one event of a followed stream.
pub const STREAM_EVENT_BYTES_MAX: usize = 1024 * 1024;
/// Names offered in place of a wrong one.
pub const NEAREST_MAX: usize = 3;
