//! The parts of the demo that `mainstay dev` starts: three programs that need one another, worth breaking.
//!
//! ```text
//!   worker@n1..nN --"add"--> db <--"read"-- web <--- a browser
//! ```
//!
//! Each behaves as a program should whose database may be away: a worker goes on asking for a moment, then gives up
//! and says so, and is not started again before the database is back (`depends_on`); the web page stays, shows what
//! it saw last, and says in its health that something is in its way.
//!
//! They find the database by a file in the directory that all of them run in, because its port is any free one.

mod address;
mod database;
mod db;
mod http;
mod web;
mod worker;

use mainstay_api::Exit;

use crate::arguments::{DemoArguments, DemoPart};

pub use address::{WEB_ADDRESS, read as read_address};

/// Until it cannot go on. It says why in a line of its own, as any program would: `why` quotes it.
pub fn run(arguments: &DemoArguments) -> Exit {
    let ended = match arguments.part {
        DemoPart::Db { port } => db::serve(port).map_err(|error| error.to_string()),
        DemoPart::Worker => worker::work(),
        DemoPart::Web { port } => web::serve(port),
    };
    match ended {
        Ok(()) => Exit::Ok,
        Err(why) => {
            eprintln!("{why}");
            Exit::TargetFailed
        }
    }
}
