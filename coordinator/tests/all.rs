//! Tests of the coordinator: the real leader core in a world of its own.

mod harness;

mod explain;
mod leader;
mod life;
mod parked;
mod properties;
mod rules;
