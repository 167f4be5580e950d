//! A real agent against a scripted station: every way that an instance can begin, answer, fail and end, as the
//! station hears of it.

mod asking;
mod ending;
mod sessions;
mod starting;
mod station;
mod stuck;
