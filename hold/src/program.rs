//! The program: one process per slot, in two stages, and a way to ask it by hand.
//!
//! ```text
//!   run --slot DIR        the hold: lock, pipes, logs, exit status; one poll loop until nothing is left
//!     exec                its second stage, in the process to be: limits, user, directory, then the program
//!   ask --slot DIR WORD   one request on the socket, for people and scripts
//!   clear --slot DIR      kills what a hold that was killed has left behind
//!   guard --mark TEXT     kills what carries the mark, once whoever started it is gone; has no slot
//!   within .. -- COMMAND  becomes the command, in control groups and with limits that were made for it; has no slot
//! ```

mod alarm;
mod arguments;
mod ask;
mod clients;
mod containers;
mod end;
mod guard;
mod hold;
mod ladder;
mod lease;
mod memory;
mod notify;
mod stage;
mod start;
mod stop;
mod streams;
mod within;

use std::process::ExitCode;

use arguments::Command;
use mainstay_hold::exit_code;

pub fn main() -> ExitCode {
    match arguments::parse(std::env::args_os().skip(1)) {
        Ok(Command::Run(run)) => start::run(run),
        Ok(Command::Exec { parent }) => stage::run(parent),
        Ok(Command::Ask { slot, request }) => ask::run(&slot, &request),
        Ok(Command::Clear { slot }) => ask::clear(&slot),
        Ok(Command::Guard { mark, engines }) => guard::run(&mark, &engines),
        Ok(Command::Within(within)) => within::run(&within),
        Ok(Command::Version) => {
            println!("mainstay-hold {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("error: {why}\n{}", arguments::USAGE);
            ExitCode::from(exit_code::USAGE)
        }
    }
}
