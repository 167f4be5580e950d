//! Runs of orchestrations with the stations' own queue.

mod ledger;
mod runs_suite;

const NATS: bool = false;
