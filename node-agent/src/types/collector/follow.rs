//! Following: files by looking at them again and again, a fifo by waiting for what is written into it.
//!
//! A file that was replaced under its name (another inode) is read to its end first, as far as it was seen, then the new
//! one from its beginning; one that became shorter is begun anew.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader as AsyncReader};
use tokio::net::unix::pipe;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use super::From;

/// Lines of one look.
const LINES_MAX: usize = 64;
/// Bytes of a line that are read into memory; the rest of it is passed over.
const LINE_BYTES_MAX: usize = 16 * 1024;
/// For the rest of a line that is being written into a fifo.
const MOMENT: Duration = Duration::from_millis(20);
/// Files of a directory that are followed.
const FILES_MAX: usize = 1024;

/// A line, and where the next begins.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) file: String,
    pub(super) text: String,
    /// It was longer.
    pub(super) was_cut: bool,
    place: Option<Place>,
}

/// How far a file was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    device: u64,
    inode: u64,
    offset: u64,
}

impl Place {
    fn in_file(metadata: &Metadata, offset: u64) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            offset,
        }
    }

    fn is_of(&self, metadata: &Metadata) -> bool {
        (self.device, self.inode) == (metadata.dev(), metadata.ino())
    }
}

pub(super) struct Follow {
    path: PathBuf,
    from: From,
    /// Where the places are kept.
    kept: PathBuf,
    places: BTreeMap<String, Place>,
    /// Files that are there before the first look are begun where `from` says; later ones at their beginning.
    looked: bool,
    fifo: Option<Fifo>,
}

struct Fifo {
    inode: u64,
    reader: AsyncReader<pipe::Receiver>,
    /// A line without its end, so far.
    half: Vec<u8>,
}

impl Follow {
    pub(super) fn resume(path: PathBuf, from: From, kept: PathBuf) -> Result<Self, String> {
        let resumed = match fs::read(&kept) {
            Ok(bytes) => Some(serde_json::from_slice(&bytes).map_err(|error| {
                format!(
                    "{} is damaged ({error}); remove it to begin anew",
                    kept.display()
                )
            })?),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(format!("{}: {error}", kept.display())),
        };
        Ok(Self {
            path,
            from,
            kept,
            looked: resumed.is_some(),
            places: resumed.unwrap_or_default(),
            fifo: None,
        })
    }

    pub(super) fn files(&self) -> usize {
        self.places.len().max(usize::from(self.fifo.is_some()))
    }

    /// What is new, oldest first; not all at once.
    pub(super) async fn next(&mut self) -> Result<Vec<Line>, String> {
        let path = self.path.clone();
        let trouble = |error: io::Error| format!("{}: {error}", path.display());
        let metadata = match fs::metadata(&self.path) {
            Ok(metadata) => metadata,
            Err(error) => {
                // What comes later is new as a whole.
                self.looked |= error.kind() == ErrorKind::NotFound;
                return Err(trouble(error));
            }
        };
        if metadata.file_type().is_fifo() {
            let read = self.read_fifo(metadata.ino()).await;
            return read.map_err(trouble);
        }
        self.fifo = None;
        let (path, places) = (self.path.clone(), self.places.clone());
        let begin_at = match self.looked {
            true => From::Beginning,
            false => self.from,
        };
        let is_directory = metadata.is_dir();
        let looked = spawn_blocking(move || match is_directory {
            true => look_into(&path, places, begin_at),
            false => {
                let name = path.to_string_lossy().into_owned();
                look_at(vec![(name, path)], places, begin_at)
            }
        });
        let (lines, places) = looked
            .await
            .map_err(|error| error.to_string())?
            .map_err(trouble)?;
        self.looked = true;
        self.places = places;
        Ok(lines)
    }

    /// These are on their way: the next life begins behind them.
    pub(super) async fn done(&mut self, lines: Vec<Line>) -> Result<(), String> {
        let mut changed = !self.kept.exists() && self.looked;
        for line in lines {
            if let Some(place) = line.place {
                self.places.insert(line.file, place);
                changed = true;
            }
        }
        if !changed {
            return Ok(());
        }
        let (kept, json) = (self.kept.clone(), serde_json::to_vec(&self.places));
        let written = spawn_blocking(move || write_whole(&kept, &json?));
        written
            .await
            .map_err(|error| error.to_string())?
            .map_err(|error| format!("{}: {error}", self.kept.display()))
    }

    /// Until it is worth looking again.
    pub(super) async fn wait(&mut self, every: Duration) {
        let Some(fifo) = &mut self.fifo else {
            return sleep(every).await;
        };
        tokio::select! {
            _ = fifo.reader.fill_buf() => {}
            () = sleep(every) => {}
        }
    }

    /// What is in it by now, and a moment's patience for the rest of a line.
    async fn read_fifo(&mut self, inode: u64) -> io::Result<Vec<Line>> {
        if self.fifo.as_ref().is_none_or(|fifo| fifo.inode != inode) {
            // Open for writing too: so it has no end when a writer closes it.
            let receiver = pipe::OpenOptions::new()
                .read_write(true)
                .open_receiver(&self.path)?;
            self.fifo = Some(Fifo {
                inode,
                reader: AsyncReader::new(receiver),
                half: Vec::new(),
            });
        }
        let name = self.path.to_string_lossy().into_owned();
        let mut lines = Vec::new();
        while let Some(fifo) = self.fifo.as_mut().filter(|_| lines.len() < LINES_MAX) {
            let room = LINE_BYTES_MAX - fifo.half.len();
            let mut limited = (&mut fifo.reader).take(room as u64);
            // What was read until the time is up stays in `half`.
            let reading = limited.read_until(b'\n', &mut fifo.half);
            match timeout(MOMENT, reading).await {
                Ok(read) => read?,
                Err(_) => break,
            };
            let bytes = std::mem::take(&mut fifo.half);
            lines.push(Line {
                file: name.clone(),
                text: String::from_utf8_lossy(&bytes).into_owned(),
                was_cut: bytes.last() != Some(&b'\n'),
                place: None,
            });
        }
        Ok(lines)
    }
}

fn write_whole(path: &Path, json: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(json)?;
    fs::rename(new, path)
}

type Looked = io::Result<(Vec<Line>, BTreeMap<String, Place>)>;

fn look_into(directory: &Path, places: BTreeMap<String, Place>, from: From) -> Looked {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.metadata().is_ok_and(|it| it.is_file()) && files.len() < FILES_MAX {
            let name = entry.file_name().to_string_lossy().into_owned();
            files.push((name, entry.path()));
        }
    }
    files.sort();
    look_at(files, places, from)
}

fn look_at(
    files: Vec<(String, PathBuf)>,
    mut places: BTreeMap<String, Place>,
    from: From,
) -> Looked {
    let mut lines = Vec::new();
    places.retain(|name, _| files.iter().any(|(there, _)| there == name));
    for (name, path) in files {
        let file = match File::open(&path) {
            Ok(file) => file,
            // It went between two looks.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let metadata = file.metadata()?;
        let place = match places.get(&name) {
            Some(place) if place.is_of(&metadata) && place.offset <= metadata.len() => *place,
            Some(_) => Place::in_file(&metadata, 0),
            None => {
                let offset = match from {
                    From::Beginning => 0,
                    From::End => metadata.len(),
                };
                Place::in_file(&metadata, offset)
            }
        };
        places.insert(name.clone(), place);
        read_from(&file, &name, place, &mut lines)?;
        if lines.len() >= LINES_MAX {
            break;
        }
    }
    Ok((lines, places))
}

/// Whole lines only: what has no end yet is still being written.
fn read_from(file: &File, name: &str, mut place: Place, lines: &mut Vec<Line>) -> io::Result<()> {
    let mut reader = BufReader::new(file);
    reader.seek(SeekFrom::Start(place.offset))?;
    while lines.len() < LINES_MAX {
        let mut bytes = Vec::new();
        let read = (&mut reader)
            .take(LINE_BYTES_MAX as u64)
            .read_until(b'\n', &mut bytes)?;
        let mut len = read as u64;
        let was_cut = read == LINE_BYTES_MAX && bytes.last() != Some(&b'\n');
        if was_cut {
            match skip_line(&mut reader)? {
                Some(rest) => len += rest,
                None => return Ok(()),
            }
        } else if bytes.last() != Some(&b'\n') {
            return Ok(());
        }
        place.offset += len;
        lines.push(Line {
            file: name.to_owned(),
            text: String::from_utf8_lossy(&bytes).into_owned(),
            was_cut,
            place: Some(place),
        });
    }
    Ok(())
}

/// The rest of a line; none if it has no end yet.
fn skip_line(reader: &mut impl BufRead) -> io::Result<Option<u64>> {
    let mut skipped = 0;
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(None);
        }
        if let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
            reader.consume(end + 1);
            return Ok(Some(skipped + end as u64 + 1));
        }
        let len = buffer.len();
        skipped += len as u64;
        reader.consume(len);
    }
}
