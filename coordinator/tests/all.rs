//! Tests of the coordinator: the real leader core in a world of its own.

#![allow(clippy::unwrap_used)] // in a test the failing line is the explanation, in its harness too

mod harness;

mod deaths;
mod explain;
mod guards;
mod large;
mod leader;
mod life;
mod parked;
mod placing;
mod properties;
mod rules;
mod watchers;
