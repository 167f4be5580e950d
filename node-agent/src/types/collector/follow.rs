//! Following: files by looking at them again and again, a fifo by waiting for what is written into it.
//!
//! A file that was replaced under its name (another inode, or born at another time) is begun anew, and so is one that
//! became shorter; what was written to the old one after the last look is not seen any more.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader as AsyncReader};
use tokio::net::unix::pipe;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use super::From;

/// Lines of one look.
const LINES_MAX: usize = 64;
/// Of these, lines of one file: one that is busy leaves room for the others.
const LINES_OF_FILE_MAX: usize = 16;
/// Bytes of a line that make a record; a longer one makes several.
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
    /// Nanoseconds since 1970, where the file system tells: an inode is used again soon.
    born: Option<u128>,
    offset: u64,
}

/// What is kept over the lives of the instance.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    /// Of another path there is nothing to go on with.
    path: PathBuf,
    places: BTreeMap<String, Place>,
}

impl Place {
    fn in_file(metadata: &Metadata, offset: u64) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            born: born(metadata),
            offset,
        }
    }

    fn is_of(&self, metadata: &Metadata) -> bool {
        (self.device, self.inode, self.born) == (metadata.dev(), metadata.ino(), born(metadata))
    }
}

fn born(metadata: &Metadata) -> Option<u128> {
    let born = metadata.created().ok()?;
    let since = born.duration_since(UNIX_EPOCH).ok()?;
    Some(since.as_nanos())
}

pub(super) struct Follow {
    path: PathBuf,
    from: From,
    /// Where the places are kept.
    kept: PathBuf,
    places: BTreeMap<String, Place>,
    /// Files that are there before the first look are begun where `from` says; later ones at their beginning.
    looked: bool,
    /// What was kept is not what is so.
    unsaved: bool,
    /// The file that was looked at last: the next look begins behind it.
    last: Option<String>,
    trouble: Option<String>,
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
        let resumed: Option<Kept> = match fs::read(&kept) {
            Ok(bytes) => Some(serde_json::from_slice(&bytes).map_err(|error| {
                let kept = kept.display();
                format!("{kept} is damaged ({error}); remove it to begin anew")
            })?),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(format!("{}: {error}", kept.display())),
        };
        let resumed = resumed.filter(|resumed| resumed.path == path);
        Ok(Self {
            path,
            from,
            kept,
            looked: resumed.is_some(),
            unsaved: resumed.is_none(),
            places: resumed.map(|resumed| resumed.places).unwrap_or_default(),
            last: None,
            trouble: None,
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
        if !metadata.is_dir() && !metadata.is_file() {
            return Err(format!(
                "{} is neither a file nor a directory nor a fifo",
                path.display()
            ));
        }
        let begin_at = match self.looked {
            true => From::Beginning,
            false => self.from,
        };
        let look = Look {
            path: self.path.clone(),
            is_directory: metadata.is_dir(),
            places: self.places.clone(),
            begin_at,
            behind: self.last.clone(),
        };
        let seen = spawn_blocking(move || look.look())
            .await
            .map_err(|error| error.to_string())?
            .map_err(trouble)?;
        self.unsaved |= !self.looked;
        self.looked = true;
        self.places = seen.places;
        self.last = seen.last;
        self.trouble = seen.trouble;
        Ok(seen.lines)
    }

    /// What is amiss with some of the files, while the others are read.
    pub(super) fn trouble(&self) -> Option<String> {
        self.trouble.clone()
    }

    /// These are on their way: the next life begins behind them.
    pub(super) async fn done(&mut self, lines: Vec<Line>) -> Result<(), String> {
        for line in lines {
            if let Some(place) = line.place {
                self.places.insert(line.file, place);
                self.unsaved = true;
            }
        }
        if !self.unsaved || !self.looked {
            return Ok(());
        }
        let kept = Kept {
            path: self.path.clone(),
            places: self.places.clone(),
        };
        let file = self.kept.clone();
        let written = spawn_blocking(move || write_whole(&file, &serde_json::to_vec(&kept)?));
        written
            .await
            .map_err(|error| error.to_string())?
            .map_err(|error| format!("{}: {error}", self.kept.display()))?;
        self.unsaved = false;
        Ok(())
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

/// One look at files.
struct Look {
    path: PathBuf,
    is_directory: bool,
    places: BTreeMap<String, Place>,
    begin_at: From,
    behind: Option<String>,
}

struct Seen {
    lines: Vec<Line>,
    places: BTreeMap<String, Place>,
    last: Option<String>,
    trouble: Option<String>,
}

impl Look {
    fn look(self) -> io::Result<Seen> {
        let mut seen = Seen {
            lines: Vec::new(),
            places: self.places.clone(),
            last: None,
            trouble: None,
        };
        let mut files = match self.is_directory {
            true => files_in(&self.path, &mut seen.trouble)?,
            false => vec![(self.path.to_string_lossy().into_owned(), self.path.clone())],
        };
        seen.places
            .retain(|name, _| files.iter().any(|(there, _)| there == name));
        // Everyone has a turn, however much the others write.
        let first = files.partition_point(|(name, _)| Some(name) <= self.behind.as_ref());
        files.rotate_left(first);
        for (name, path) in files {
            if let Err(error) = self.look_at(&name, &path, &mut seen) {
                seen.trouble = Some(format!("{}: {error}", path.display()));
            }
            seen.last = Some(name);
            if seen.lines.len() >= LINES_MAX {
                break;
            }
        }
        Ok(seen)
    }

    fn look_at(&self, name: &str, path: &Path, seen: &mut Seen) -> io::Result<()> {
        let file = match File::open(path) {
            Ok(file) => file,
            // It went between two looks.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let metadata = file.metadata()?;
        let place = match seen.places.get(name) {
            Some(place) if place.is_of(&metadata) && place.offset <= metadata.len() => *place,
            Some(_) => Place::in_file(&metadata, 0),
            None => {
                let offset = match self.begin_at {
                    From::Beginning => 0,
                    From::End => metadata.len(),
                };
                Place::in_file(&metadata, offset)
            }
        };
        seen.places.insert(name.to_owned(), place);
        read_from(&file, name, place, &mut seen.lines)
    }
}

/// By their names, as many as are followed.
fn files_in(directory: &Path, trouble: &mut Option<String>) -> io::Result<Vec<(String, PathBuf)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.metadata().is_ok_and(|it| it.is_file()) {
            let name = entry.file_name().to_string_lossy().into_owned();
            files.push((name, entry.path()));
        }
    }
    files.sort();
    if files.len() > FILES_MAX {
        *trouble = Some(format!(
            "{} has {} files, and only the first {FILES_MAX} by name are followed",
            directory.display(),
            files.len()
        ));
        files.truncate(FILES_MAX);
    }
    Ok(files)
}

/// Whole lines only, and pieces of those that are too long: what has no end yet is still being written.
fn read_from(file: &File, name: &str, mut place: Place, lines: &mut Vec<Line>) -> io::Result<()> {
    let mut reader = BufReader::new(file);
    reader.seek(SeekFrom::Start(place.offset))?;
    for _ in 0..LINES_OF_FILE_MAX {
        let mut bytes = Vec::new();
        let read = (&mut reader)
            .take(LINE_BYTES_MAX as u64)
            .read_until(b'\n', &mut bytes)?;
        let was_cut = bytes.last() != Some(&b'\n');
        if was_cut && read < LINE_BYTES_MAX {
            return Ok(());
        }
        place.offset += read as u64;
        lines.push(Line {
            file: name.to_owned(),
            text: String::from_utf8_lossy(&bytes).into_owned(),
            was_cut,
            place: Some(place),
        });
    }
    Ok(())
}
