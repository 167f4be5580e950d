//! The hold with real processes: how they end, what they leave, what they write, who may ask.

#![expect(
    clippy::unwrap_used,
    reason = "in a test the failing line is the explanation"
)]

mod asking;
mod ending;
mod guarding;
mod held;
mod lease;
mod output;
mod starting;
