//! Looking from outside: the process table and the file system, never Mainstay's own word.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A line of the process table.
#[derive(Debug, Clone)]
pub struct Process {
    pub pid: u32,
    pub parent: u32,
    /// Separated by NUL, as the kernel keeps them.
    pub arguments: String,
    /// User and system time, in clock ticks (100 a second).
    pub ticks: u64,
    pub state: char,
}

/// Every process there is; those that end while we look are left out.
pub fn processes() -> Vec<Process> {
    let entries = fs::read_dir("/proc").expect("there is a process table");
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(process)
        .collect()
}

pub fn process(pid: u32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let arguments = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    // The name in parentheses may hold anything; fields are counted behind it.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some(Process {
        pid,
        parent: fields.get(1)?.parse().ok()?,
        arguments,
        ticks: fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?,
        state: fields.first()?.chars().next()?,
    })
}

/// Processes whose arguments or environment speak of a directory: what a cluster below it left behind.
pub fn processes_of(directory: &Path) -> Vec<Process> {
    let needle = directory.to_string_lossy().into_owned();
    processes()
        .into_iter()
        .filter(|process| process.state != 'Z')
        .filter(|process| {
            let environment =
                fs::read(format!("/proc/{}/environ", process.pid)).unwrap_or_default();
            process.arguments.contains(&needle)
                || String::from_utf8_lossy(&environment).contains(&needle)
        })
        .collect()
}

/// Everything below a directory, but for what the test itself put there.
pub fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(next) = open.pop() {
        let Ok(entries) = fs::read_dir(&next) else {
            continue;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path.clone());
            }
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Lines of a witness file: `start|stop NAME pid incarnation time`, appended by the services themselves.
#[derive(Debug, Clone, Default)]
pub struct Witness {
    pub lines: Vec<Vec<String>>,
}

impl Witness {
    pub fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_default();
        let lines = text
            .lines()
            .map(|line| line.split_whitespace().map(str::to_owned).collect())
            .collect();
        Self { lines }
    }

    /// Starts per (who, incarnation).
    pub fn starts(&self) -> BTreeMap<(String, String), usize> {
        let mut starts = BTreeMap::new();
        for line in &self.lines {
            if let [what, who, _, incarnation, ..] = line.as_slice()
                && what == "start"
            {
                *starts
                    .entry((who.clone(), incarnation.clone()))
                    .or_default() += 1;
            }
        }
        starts
    }
}
