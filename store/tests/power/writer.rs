//! The child of the power-loss test: proposes changes, one after the other, and says which are acknowledged.
#![allow(clippy::unwrap_used, reason = "part of a test")]

#[path = "../support/mod.rs"]
mod support;

use std::io::Write;
use std::path::Path;

use support::{Driver, Fate, NODES, config, highest};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let mut config = config(Path::new(&arguments[1]));
    config.snapshot_entries = 40;
    if arguments
        .get(2)
        .is_some_and(|argument| argument == "no-sync")
    {
        config = config.planted_no_sync();
    }
    let mut driver = Driver::open_leading(config);
    let mut number = highest(&driver.graph);
    let mut out = std::io::stdout();
    loop {
        number += 1;
        let fate = driver.write(number % NODES, number);
        assert_eq!(fate, Fate::Committed { took_effect: true });
        writeln!(out, "ack {number}").unwrap();
        out.flush().unwrap();
    }
}
