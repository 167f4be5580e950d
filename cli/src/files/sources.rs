//! Where the texts come from: files, the files of a directory, standard input. The only part that touches the machine;
//! everything it reads has a bound.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mainstay_protocol::limits;

use super::fault::{Fault, Faults};
use super::tree::{Lines, Place};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Yaml,
    Toml,
    Json,
}

/// A text and what it is called.
#[derive(Debug)]
pub struct Source {
    pub file: Arc<str>,
    pub format: Format,
    pub text: String,
}

/// Standard input, for whoever names it with `-`.
pub type Stdin<'a> = &'a mut dyn Read;

const STDIN: &str = "-";
const EXTENSIONS: &str = ".yaml, .yml, .toml or .json";

/// The texts of all paths, in their order; a directory's in the order of their names. A path named twice counts once.
pub fn sources(paths: &[String], stdin: Stdin<'_>) -> Result<Vec<Source>, Vec<Fault>> {
    let mut reading = Reading {
        sources: Vec::new(),
        faults: Vec::new(),
        seen: BTreeSet::new(),
    };
    for path in paths {
        if path == STDIN {
            if reading.seen.insert(PathBuf::from(STDIN)) {
                let bytes = bounded(stdin);
                reading.text(STDIN, None, bytes);
            }
        } else {
            reading.path(Path::new(path));
        }
    }
    match reading.faults.is_empty() {
        true => Ok(reading.sources),
        false => Err(reading.faults),
    }
}

struct Reading {
    sources: Vec<Source>,
    faults: Vec<Fault>,
    seen: BTreeSet<PathBuf>,
}

impl Reading {
    fn path(&mut self, path: &Path) {
        match fs::metadata(path) {
            Ok(about) if about.is_dir() => self.directory(path),
            Ok(about) => self.file(path, about.is_file()),
            Err(error) => self.refuse(path, format!("it cannot be read: {error}")),
        }
    }

    /// Not those of directories within: what is applied by accident is worse than what has to be named.
    fn directory(&mut self, path: &Path) {
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            Err(error) => {
                return self.refuse(path, format!("the directory cannot be read: {error}"));
            }
        };
        let mut files: Vec<PathBuf> = Vec::new();
        for entry in entries {
            match entry {
                Ok(entry) => files.push(entry.path()),
                Err(error) => {
                    self.refuse(path, format!("the directory cannot be read: {error}"));
                }
            }
        }
        files.retain(|file| is_ours(file) && file.is_file());
        files.sort();
        if files.is_empty() {
            self.refuse(
                path,
                format!("no file in this directory ends in {EXTENSIONS}"),
            );
        }
        for file in files {
            self.file(&file, true);
        }
    }

    fn file(&mut self, path: &Path, regular: bool) {
        let same = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        if !self.seen.insert(same) {
            return;
        }
        if self.sources.len() >= limits::FILES_MAX {
            if self.sources.len() == limits::FILES_MAX && self.faults.is_empty() {
                let why = format!(
                    "more than {} files at once are not taken",
                    limits::FILES_MAX
                );
                self.refuse(path, why);
            }
            return;
        }
        let format = format_of(path);
        // A pipe (`-f <(generate)`) has no name to go by, as standard input has none.
        if regular && format.is_none() {
            return self.refuse(
                path,
                format!("what it holds is not known: name it {EXTENSIONS}"),
            );
        }
        match File::open(path) {
            Ok(mut file) => {
                let bytes = bounded(&mut file);
                self.text(&path.to_string_lossy(), format, bytes);
            }
            Err(error) => self.refuse(path, format!("it cannot be read: {error}")),
        }
    }

    fn text(&mut self, name: &str, format: Option<Format>, bytes: std::io::Result<Vec<u8>>) {
        let bytes = match bytes {
            Ok(bytes) => bytes,
            Err(error) => {
                return self.refuse(Path::new(name), format!("it cannot be read: {error}"));
            }
        };
        if bytes.len() > limits::FILE_BYTES_MAX {
            let why = format!(
                "it has more than {} KiB; divide it",
                limits::FILE_BYTES_MAX / 1024
            );
            return self.refuse(Path::new(name), why);
        }
        match decoded(bytes) {
            Ok(text) => self.sources.push(Source {
                file: name.into(),
                format: format.unwrap_or_else(|| guessed(&text)),
                text,
            }),
            Err((at, why)) => {
                let mut faults = Faults::new(self.sources.len(), name);
                faults.add(at, why);
                self.faults.extend(faults.done().0);
            }
        }
    }

    fn refuse(&mut self, path: &Path, why: String) {
        self.faults.push(Fault {
            source: self.sources.len(),
            line: None,
            column: None,
            file: path.to_string_lossy().into(),
            path: String::new(),
            why,
            nearest: Vec::new(),
        });
    }
}

/// One byte more than may be, so that too much is seen.
fn bounded(from: &mut dyn Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(limits::FILE_BYTES_MAX as u64 + 1)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// UTF-8, without the mark that some editors put before it.
fn decoded(bytes: Vec<u8>) -> Result<String, (Place, String)> {
    if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
        let why = "this is UTF-16: save the file as UTF-8";
        return Err((Place::START, why.to_owned()));
    }
    let mut text = String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let before = String::from_utf8_lossy(&error.as_bytes()[..valid]).into_owned();
        let at = Lines::new(&before).place(valid);
        (at, "this is not UTF-8: save the file as UTF-8".to_owned())
    })?;
    if text.starts_with('\u{FEFF}') {
        text.remove(0);
    }
    Ok(text)
}

fn is_ours(path: &Path) -> bool {
    let hidden = path
        .file_name()
        .is_none_or(|name| name.to_string_lossy().starts_with('.'));
    !hidden && format_of(path).is_some()
}

fn format_of(path: &Path) -> Option<Format> {
    let extension = path.extension()?.to_str()?.to_ascii_lowercase();
    match extension.as_str() {
        "yaml" | "yml" => Some(Format::Yaml),
        "toml" => Some(Format::Toml),
        "json" => Some(Format::Json),
        _ => None,
    }
}

/// By the first line that says something: `{` or `[{` begins JSON, `key =` and `[table]` TOML, all else is YAML.
fn guessed(text: &str) -> Format {
    let line = text
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty() && !line.starts_with('#'))
        .unwrap_or_default();
    let key = |text: &str| {
        let text = text.trim();
        !text.is_empty()
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '"' | '\''))
    };
    if line.starts_with('{') {
        return Format::Json;
    }
    if let Some(inside) = line.strip_prefix('[') {
        let table = inside.trim_start_matches('[').split(']').next();
        return match table.is_some_and(key) {
            true => Format::Toml,
            false => Format::Json,
        };
    }
    match line.split_once('=') {
        Some((left, _)) if key(left) => Format::Toml,
        Some(_) | None => Format::Yaml,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(paths: &[&Path], stdin: &[u8]) -> Result<Vec<Source>, Vec<String>> {
        let paths: Vec<String> = paths
            .iter()
            .map(|path| path.to_string_lossy().into_owned())
            .collect();
        let mut stdin = stdin;
        sources(&paths, &mut stdin)
            .map_err(|faults| faults.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_directory_gives_its_files_in_order_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.yaml", "a.toml", ".hidden.yaml", "README.md"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        fs::create_dir(dir.path().join("within.yaml")).unwrap();
        let read = read(&[dir.path(), &dir.path().join("b.yaml")], b"").unwrap();
        let names: Vec<&str> = read
            .iter()
            .map(|source| source.file.rsplit('/').next().unwrap())
            .collect();
        assert_eq!(names, ["a.toml", "b.yaml"]);
    }

    #[test]
    fn what_cannot_be_read_is_told_all_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            fs::write(&path, bytes).unwrap();
            path
        };
        let empty = dir.path().join("empty");
        fs::create_dir(&empty).unwrap();
        let told = read(
            &[
                &dir.path().join("none.yaml"),
                &file("utf16.yaml", &[0xFF, 0xFE, b'a', 0]),
                &file("latin1.yaml", b"kind: Placement\nname: \xE9\n"),
                &file("notes.txt", b""),
                &file("large.json", &vec![b' '; limits::FILE_BYTES_MAX + 1]),
                &empty,
            ],
            b"",
        )
        .unwrap_err();
        assert_eq!(told.len(), 6, "{told:#?}");
        for (line, said) in told.iter().zip([
            "none.yaml: it cannot be read: No such file",
            "utf16.yaml:1:1: this is UTF-16",
            "latin1.yaml:2:7: this is not UTF-8",
            "notes.txt: what it holds is not known",
            "large.json: it has more than",
            "empty: no file in this directory",
        ]) {
            assert!(line.contains(said), "{line}");
        }
    }

    #[test]
    fn standard_input_says_by_its_beginning_what_it_is() {
        for (text, format) in [
            ("kind: Placement", Format::Yaml),
            ("---\nkind: Placement", Format::Yaml),
            ("", Format::Yaml),
            ("# x\n\n{\"kind\": 1}", Format::Json),
            ("[{\"kind\": 1}]", Format::Json),
            ("[]", Format::Json),
            ("# placements\n[[placement]]\n", Format::Toml),
            ("[settings]", Format::Toml),
            ("kind = \"Placement\"", Format::Toml),
            ("command: a=b", Format::Yaml),
        ] {
            let read = read(&[Path::new("-"), Path::new("-")], text.as_bytes()).unwrap();
            assert_eq!(read.len(), 1);
            assert_eq!(read[0].format, format, "{text}");
        }
    }

    #[test]
    fn the_mark_before_utf8_is_no_part_of_the_text() {
        let read = read(&[Path::new("-")], "\u{FEFF}kind: x".as_bytes()).unwrap();
        assert_eq!(read[0].text, "kind: x");
    }
}
