//! Tests of the coordinator: the real leader core in a world of its own.

mod harness;

mod leader;
mod life;
mod parked;
mod rules;
