//! # The `mainstay` program
//!
//! ```text
//!   words -> parse -> Arguments -+-> agent run, station run      daemons of other crates, on this thread
//!                                +-> dev                         parent of daemons, and their reaper
//!                                +-> commands -> api Client      one question or change, one answer
//!                                        |
//!                                        +-> Console: data to stdout, talk to stderr, problems in four lines
//! ```
//!
//! A library, so that a program of a user's own can be the whole of Mainstay with its own service types and rules:
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! fn main() -> ExitCode {
//!     mainstay_cli::main_with(mainstay_agent::Agent::new(), mainstay_station::Station::new())
//! }
//! ```
//!
//! What must hold:
//! - Arguments are data: `arguments` parses and does nothing; `commands` does and parses nothing.
//! - Every way to end has an exit code of the contract; every problem is told in four lines with a command that
//!   parses.
//! - What others wrote (evidence, replies, arguments) reaches a terminal without control characters.
//! - A command keeps no state but contexts. `dev` leaves nothing behind, however it ends.
#![forbid(unsafe_code)]

mod arguments;
mod parse;

mod console;
mod outcome;
mod shown;
mod table;
mod text;
mod yaml;

mod app;
mod bundle;
mod directories;
mod doctor;
mod home;
mod process;

mod files;
mod founding;

mod commands;
mod daemons;
mod demo;
mod dev;

mod program;

#[cfg(test)]
mod tests;

pub use program::main_with;
