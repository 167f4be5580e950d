//! The database as its users see it: a connection that is kept, and made anew after it broke.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use super::address::{self, DB_ADDRESS};

/// A database that takes longer is as good as none.
const ANSWER_WITHIN: Duration = Duration::from_millis(1000);

#[derive(Default)]
pub(super) struct Database {
    connection: Option<BufReader<TcpStream>>,
}

impl Database {
    /// What it answers; or why it does not, in words.
    pub(super) fn ask(&mut self, question: &str) -> Result<String, String> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => connect()?,
        };
        let answer = exchange(&mut connection, question)
            .map_err(|error| format!("db went away: {error}"))?;
        if let Some(why) = answer.strip_prefix("error: ") {
            return Err(format!("db refuses: {why}"));
        }
        // Only one that is in order is used again.
        self.connection = Some(connection);
        Ok(answer)
    }
}

fn connect() -> Result<BufReader<TcpStream>, String> {
    let address = address::read(Path::new(DB_ADDRESS))
        .map_err(|error| format!("db does not say where it is: {error}"))?;
    open(address).map_err(|error| format!("db at {address} does not answer: {error}"))
}

fn open(address: SocketAddr) -> io::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect_timeout(&address, ANSWER_WITHIN)?;
    stream.set_read_timeout(Some(ANSWER_WITHIN))?;
    stream.set_write_timeout(Some(ANSWER_WITHIN))?;
    Ok(BufReader::new(stream))
}

fn exchange(connection: &mut BufReader<TcpStream>, question: &str) -> io::Result<String> {
    connection
        .get_mut()
        .write_all(format!("{question}\n").as_bytes())?;
    let mut answer = String::new();
    match connection.read_line(&mut answer) {
        Ok(_) if answer.ends_with('\n') => Ok(answer.trim_end().to_owned()),
        Ok(_) => Err(io::Error::other("it closed the connection")),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            let why = format!("no answer within {} ms", ANSWER_WITHIN.as_millis());
            Err(io::Error::new(io::ErrorKind::TimedOut, why))
        }
        Err(error) => Err(error),
    }
}
