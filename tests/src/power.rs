//! Power that can be cut: every file is cut back to what its last completed sync covered. It uses nothing else of this crate, so
//! that tests below it have it by its path.
//!
//! Files are only ever appended to, so the synced size is exactly what survives. Names are taken for durable.

use std::collections::HashMap;
use std::fs::{self, File};
use std::os::linux::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::UNIX_EPOCH;

const SHIM: &str = include_str!("power/shim.c");

/// Of whoever runs in its environment.
#[derive(Debug)]
pub struct Power {
    shim: PathBuf,
    journal: PathBuf,
}

impl Power {
    /// What it takes is kept in this directory.
    pub fn of(directory: &Path) -> Self {
        let (source, shim) = (directory.join("shim.c"), directory.join("shim.so"));
        fs::write(&source, SHIM).expect("a directory of its own");
        let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
        let compiled = Command::new(compiler)
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(&shim)
            .arg(&source)
            .status();
        assert!(
            compiled.expect("there is a C compiler").success(),
            "the shim does not compile"
        );
        Self {
            shim,
            journal: directory.join("journal"),
        }
    }

    pub fn environment(&self) -> [(&'static str, &Path); 2] {
        [
            ("LD_PRELOAD", &self.shim),
            ("MAINSTAY_SYNC_JOURNAL", &self.journal),
        ]
    }

    /// Cuts every file back to its last synced size; says how many bytes went. Nobody may be writing any more.
    pub fn cut(&self, directory: &Path) -> u64 {
        let (synced, mut lost) = (self.synced(), 0);
        for path in files(directory) {
            let metadata = fs::metadata(&path).expect("nobody removes it");
            let keep = synced.get(&birth(&metadata)).copied().unwrap_or(0);
            if keep < metadata.len() {
                lost += metadata.len() - keep;
                let file = File::options().write(true).open(&path);
                let cut = file.and_then(|file| file.set_len(keep));
                cut.expect("it is ours");
            }
        }
        lost
    }

    fn synced(&self) -> HashMap<Birth, u64> {
        let text = fs::read_to_string(&self.journal).expect("something was synced");
        let line = |line: &str| {
            let mut numbers = line.split(' ').map(|part| part.parse().expect("a number"));
            let mut next = || numbers.next().expect("four numbers");
            let file = (next(), next(), next());
            (file, next())
        };
        text.lines().map(line).collect()
    }
}

/// An inode may be used again; its time of birth tells one file from the next.
type Birth = (u64, u64, u64);

fn birth(metadata: &fs::Metadata) -> Birth {
    let born = metadata.created().expect("the file system has it");
    let born = born.duration_since(UNIX_EPOCH).expect("it is of our time");
    (
        metadata.st_ino(),
        born.as_secs(),
        u64::from(born.subsec_nanos()),
    )
}

/// Sockets and pipes have nothing to lose.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("it is there") {
        let entry = entry.expect("it can be read");
        let kind = entry.file_type().expect("it has a kind");
        if kind.is_dir() {
            found.extend(files(&entry.path()));
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
    found
}
