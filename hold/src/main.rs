//! `mainstay-hold`: see the library for what it is, `program/` for how.
#![forbid(unsafe_code)]

mod program;

use std::process::ExitCode;

fn main() -> ExitCode {
    program::main()
}
