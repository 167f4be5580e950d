//! A real agent against a scripted station: every way that an instance can begin, answer, fail and end, as the
//! station hears of it.

#![allow(
    clippy::unwrap_used,
    reason = "in a test the failing line is the explanation"
)]

mod activities;
mod asking;
mod bulk;
mod calls;
mod ending;
mod guards;
mod leases;
mod processes;
mod sessions;
mod several;
mod starting;
mod station;
mod stuck;
mod working;
mod workloads;
