//! The parts of the demo that `mainstay dev` starts: three processes that need one another, worth breaking.
//!
//! ```text
//!   worker --"next"--> db <--"list"-- web <--- a browser
//!      '----"found"---->|
//! ```
//!
//! The database hands out numbers; the worker finds the prime of that number and hands it in; the web page shows what
//! was found. Each is as good a citizen as it should be: who cannot reach the database says so and fails.

mod db;
mod web;
mod worker;

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use mainstay_api::{Exit, Problem};
use mainstay_protocol::code;

use crate::arguments::{DemoArguments, DemoPart};
use crate::outcome::Outcome;

/// In the directory that all parts run in.
const SOCKET: &str = "demo.sock";
const JOURNAL: &str = "demo.journal";
/// A database that takes longer is as good as none.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);

pub fn run(arguments: &DemoArguments) -> Outcome {
    let (part, ended) = match arguments.part {
        DemoPart::Db => ("database", db::serve(Path::new(SOCKET), Path::new(JOURNAL))),
        DemoPart::Worker => ("worker", worker::work()),
        DemoPart::Web { port } => ("web page", web::serve(port)),
    };
    match ended {
        Ok(()) => Ok(Exit::Ok),
        Err(error) => {
            let what = format!("run the demo's {part}");
            let problem = Problem::new(code::TARGET_FAILED, what, error.to_string());
            Err(problem.to_do("mainstay why db"))
        }
    }
}

/// One question to the database, and the lines of its answer.
fn ask(question: &str) -> io::Result<Vec<String>> {
    let asked = || -> io::Result<Vec<String>> {
        let mut stream = UnixStream::connect(SOCKET)?;
        stream.set_read_timeout(Some(ANSWER_WITHIN))?;
        stream.set_write_timeout(Some(ANSWER_WITHIN))?;
        writeln!(stream, "{question}")?;
        BufReader::new(stream).lines().collect()
    };
    asked().map_err(|error| {
        io::Error::new(
            error.kind(),
            format!("the database does not answer: {error}"),
        )
    })
}
