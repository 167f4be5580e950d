//! The database: what was found is in a journal, so that it outlives a kill.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use super::ANSWER_WITHIN;

/// What a page shows.
const NEWEST: usize = 10;
/// A question is a few words.
const QUESTION_BYTES_MAX: u64 = 256;

struct Database {
    journal: File,
    /// `PRIME WORKER`, the first prime first.
    found: Vec<String>,
}

pub(super) fn serve(socket: &Path, journal: &Path) -> io::Result<()> {
    let mut database = Database::open(journal)?;
    // Left by one that was killed; its hold saw to it that there is no other.
    if let Err(error) = fs::remove_file(socket)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let listener = UnixListener::bind(socket)?;
    println!(
        "the database has {} primes and listens on {}",
        database.found.len(),
        socket.display()
    );
    for stream in listener.incoming() {
        // Whoever goes away in the middle of a question asks again.
        if let Err(error) = stream.and_then(|stream| database.serve_one(stream)) {
            eprintln!("a question came to nothing: {error}");
        }
    }
    Ok(())
}

impl Database {
    fn open(path: &Path) -> io::Result<Self> {
        let journal = OpenOptions::new()
            .create(true)
            .append(true)
            .read(true)
            .open(path)?;
        let mut found = Vec::new();
        for line in BufReader::new(&journal).lines() {
            found.push(line?);
        }
        Ok(Self { journal, found })
    }

    fn serve_one(&mut self, mut stream: UnixStream) -> io::Result<()> {
        stream.set_read_timeout(Some(ANSWER_WITHIN))?;
        stream.set_write_timeout(Some(ANSWER_WITHIN))?;
        let mut question = String::new();
        BufReader::new((&stream).take(QUESTION_BYTES_MAX)).read_line(&mut question)?;
        let answer = self.answer(question.trim())?;
        stream.write_all(answer.as_bytes())
    }

    fn answer(&mut self, question: &str) -> io::Result<String> {
        let words: Vec<&str> = question.split(' ').collect();
        Ok(match words.as_slice() {
            ["next"] => {
                let last = self.found.last().and_then(|found| found.split(' ').next());
                format!("{} {}\n", self.found.len() + 1, last.unwrap_or("1"))
            }
            // The second to find the same is late.
            ["found", number, prime, worker] if *number == (self.found.len() + 1).to_string() => {
                let line = format!("{prime} {worker}");
                writeln!(self.journal, "{line}")?;
                self.found.push(line);
                "taken\n".to_owned()
            }
            ["list"] => {
                let newest = self.found.iter().enumerate().rev().take(NEWEST);
                newest
                    .map(|(at, found)| format!("{} {found}\n", at + 1))
                    .collect()
            }
            _ => "not taken\n".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_is_kept_over_a_kill_and_taken_once() {
        let directory = tempfile::tempdir().unwrap();
        let journal = directory.path().join("journal");
        let mut database = Database::open(&journal).unwrap();
        assert_eq!(database.answer("next").unwrap(), "1 1\n");
        assert_eq!(database.answer("found 1 2 worker@n2").unwrap(), "taken\n");
        assert_eq!(database.answer("found 1 2 late@n1").unwrap(), "not taken\n");
        assert_eq!(database.answer("nonsense").unwrap(), "not taken\n");
        drop(database);
        let mut database = Database::open(&journal).unwrap();
        assert_eq!(database.answer("next").unwrap(), "2 2\n");
        assert_eq!(database.answer("list").unwrap(), "1 2 worker@n2\n");
    }
}
