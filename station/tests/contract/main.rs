//! The station's contract, on a real station with its real store: each route, its keys, refusals and exit codes;
//! and what hostile peers can do to it, which is nothing. Agents here are sessions that speak the protocol and
//! carry commands out in memory.
#![allow(clippy::unwrap_used)] // helpers of tests too: the failing line is the explanation

mod agent;
mod agent_config;
mod artifacts;
mod asks;
mod bounds;
mod bulk;
mod changes;
mod cluster;
mod disaster;
mod group;
mod history;
mod hostile;
mod looks;
mod lookups;
mod metrics;
mod parked;
mod placements;
mod plans;
mod restart;
mod rules;
mod services;
mod sessions;
mod wait;
mod work;
