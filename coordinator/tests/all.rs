//! Tests of the coordinator: the real leader core in a world of its own.

mod harness;

mod life;
mod rules;
