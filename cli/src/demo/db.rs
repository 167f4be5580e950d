//! The database: how often each worker counted. It is in a file as well, so that it outlives a kill.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

use super::address;

/// In the directory that all parts run in.
const COUNTS: &str = "db.counts";
/// `add` and the name of an instance.
const QUESTION_BYTES_MAX: u64 = 256;
/// As many as there can be nodes, and some.
const WORKERS_MAX: usize = 128;
const CONNECTIONS_MAX: usize = 256;

pub(super) fn serve(port: u16) -> io::Result<()> {
    let counts = Counts::open(Path::new(COUNTS))?;
    let listener = address::listen(port, address::DB_ADDRESS)?;
    println!("begins with a count of {}", counts.total());
    let counts = Arc::new(Mutex::new(counts));
    for stream in listener.incoming() {
        let stream = stream?;
        // One for each connection that is open, and this one.
        if Arc::strong_count(&counts) > CONNECTIONS_MAX {
            eprintln!("refused a connection: {CONNECTIONS_MAX} are open");
            continue;
        }
        let counts = Arc::clone(&counts);
        thread::Builder::new().spawn(move || {
            // Whoever goes away in the middle of a question asks again.
            let _ = converse(&stream, &counts);
        })?;
    }
    Ok(())
}

/// A line for each question, until the other side is through.
fn converse(mut stream: &TcpStream, counts: &Mutex<Counts>) -> io::Result<()> {
    let mut questions = BufReader::new(stream);
    loop {
        let mut question = String::new();
        let read = questions
            .by_ref()
            .take(QUESTION_BYTES_MAX)
            .read_line(&mut question)?;
        if read == 0 {
            return Ok(());
        }
        let answer = counts
            .lock()
            .expect("nobody panics while counting")
            .answer(question.trim())?;
        stream.write_all(format!("{answer}\n").as_bytes())?;
        // The rest of a line that is too long would be taken for further questions.
        if !question.ends_with('\n') {
            return Ok(());
        }
    }
}

struct Counts {
    file: PathBuf,
    by_worker: BTreeMap<String, u64>,
}

impl Counts {
    fn open(file: &Path) -> io::Result<Self> {
        let text = match fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        let counts = text.lines().map(|line| {
            let (worker, count) = line.split_once(' ')?;
            Some((worker.to_owned(), count.parse().ok()?))
        });
        let by_worker = counts.collect::<Option<_>>().ok_or_else(|| {
            let why = format!("{} is not what was written to it", file.display());
            io::Error::new(io::ErrorKind::InvalidData, why)
        })?;
        Ok(Self {
            file: file.to_owned(),
            by_worker,
        })
    }

    fn total(&self) -> u64 {
        self.by_worker.values().sum()
    }

    fn answer(&mut self, question: &str) -> io::Result<String> {
        match question.split(' ').collect::<Vec<_>>().as_slice() {
            ["add", worker] if !worker.is_empty() => self.add(worker),
            ["read"] => Ok(self.in_words(" ")),
            _ => Ok(format!(
                "error: {question:?} is not understood; \"add NAME\" and \"read\" are"
            )),
        }
    }

    fn add(&mut self, worker: &str) -> io::Result<String> {
        if !self.by_worker.contains_key(worker) && self.by_worker.len() >= WORKERS_MAX {
            return Ok(format!("error: there are {WORKERS_MAX} workers already"));
        }
        *self.by_worker.entry(worker.to_owned()).or_default() += 1;
        // Who is answered can rely on it: it is in the file before.
        address::write_whole(&self.file, &self.in_words("\n"))?;
        Ok(self.total().to_string())
    }

    fn in_words(&self, between: &str) -> String {
        let mut text = String::new();
        for (worker, count) in &self.by_worker {
            let gap = if text.is_empty() { "" } else { between };
            // Writing to a string does not fail.
            let _ = write!(text, "{gap}{worker} {count}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_outlives_a_kill_and_nonsense_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("counts");
        let mut counts = Counts::open(&file).unwrap();
        assert_eq!(counts.answer("read").unwrap(), "");
        assert_eq!(counts.answer("add worker@n1").unwrap(), "1");
        assert_eq!(counts.answer("add worker@n2").unwrap(), "2");
        assert_eq!(counts.answer("add worker@n1").unwrap(), "3");
        for nonsense in ["", "add", "add ", "add a b", "drop"] {
            let answer = counts.answer(nonsense).unwrap();
            assert!(answer.starts_with("error: "), "{nonsense:?}: {answer}");
        }
        drop(counts);
        let mut counts = Counts::open(&file).unwrap();
        assert_eq!(counts.answer("read").unwrap(), "worker@n1 2 worker@n2 1");
    }

    #[test]
    fn it_is_bounded_and_a_damaged_file_is_said() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("counts");
        let mut counts = Counts::open(&file).unwrap();
        for number in 0..WORKERS_MAX {
            counts.answer(&format!("add w{number}")).unwrap();
        }
        let one_more = counts.answer("add another").unwrap();
        assert!(one_more.contains("128 workers already"), "{one_more}");
        fs::write(&file, "worker@n1 many").unwrap();
        assert!(Counts::open(&file).is_err());
    }
}
