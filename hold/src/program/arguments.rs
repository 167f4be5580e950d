//! The command line, by hand: an argument parser would be larger than the rest.

use std::ffi::OsString;
use std::path::PathBuf;

use mainstay_hold::Request;

pub const USAGE: &str = "usage: mainstay-hold run --slot DIR [-- COMMAND [ARGUMENT..]]
       mainstay-hold ask --slot DIR state|subscribe|usage|kill
       mainstay-hold ask --slot DIR stop step=SIGNAL:MILLISECONDS..
       mainstay-hold ask --slot DIR lease until-ms=MILLISECONDS
       mainstay-hold clear --slot DIR
       mainstay-hold guard --mark TEXT [--engine COUNT WORD..]..
       mainstay-hold within [--group DIR].. [--limit NAME=NUMBER].. -- COMMAND [ARGUMENT..]
       mainstay-hold version";

#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    Run(Run),
    /// The second stage; nobody types this.
    Exec {
        parent: u32,
    },
    Ask {
        slot: PathBuf,
        request: Request,
    },
    Clear {
        slot: PathBuf,
    },
    Guard {
        mark: String,
        /// Each the words that ask an engine of containers.
        engines: Vec<Vec<String>>,
    },
    Within(Within),
    Version,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Run {
    pub slot: PathBuf,
    /// Given by hand; else the slot has a spec.
    pub command: Vec<String>,
}

/// What a command is to be run within.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Within {
    pub groups: Vec<PathBuf>,
    /// By the names that a spec has for them.
    pub limits: Vec<(String, u64)>,
    /// Not empty.
    pub command: Vec<String>,
}

pub fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Command, String> {
    let mut words = Vec::new();
    for argument in arguments {
        let text = argument.into_string();
        words.push(text.map_err(|raw| format!("{} is not UTF-8", raw.display()))?);
    }
    let mut words = words.into_iter();
    match words.next().as_deref() {
        Some("run") => {
            let slot = slot(&mut words)?;
            let command = match words.next().as_deref() {
                None => Vec::new(),
                Some("--") => words.collect(),
                Some(other) => {
                    return Err(format!("\"{other}\" is not known; a command follows --"));
                }
            };
            Ok(Command::Run(Run { slot, command }))
        }
        Some("exec") => {
            let parent = words.next().and_then(|pid| pid.parse().ok());
            let parent = parent.ok_or("exec is for the hold itself")?;
            Ok(Command::Exec { parent })
        }
        Some("ask") => {
            let slot = slot(&mut words)?;
            let line: Vec<String> = words.collect();
            let request = Request::from_line(&line.join(" ")).map_err(|error| error.to_string())?;
            Ok(Command::Ask { slot, request })
        }
        Some("clear") => slot(&mut words).map(|slot| Command::Clear { slot }),
        Some("guard") => match (words.next().as_deref(), words.next()) {
            (Some("--mark"), Some(mark)) if !mark.is_empty() => Ok(Command::Guard {
                mark,
                engines: engines(&mut words)?,
            }),
            _ => Err("--mark TEXT is missing".to_owned()),
        },
        Some("within") => within(&mut words).map(Command::Within),
        Some("version" | "--version") => Ok(Command::Version),
        Some(other) => Err(format!("\"{other}\" is no command")),
        None => Err("no command".to_owned()),
    }
}

fn slot(words: &mut impl Iterator<Item = String>) -> Result<PathBuf, String> {
    match (words.next().as_deref(), words.next()) {
        (Some("--slot"), Some(path)) => Ok(PathBuf::from(path)),
        _ => Err("--slot DIR is missing".to_owned()),
    }
}

/// Each with the count of its words: any of them may look like an option of ours.
fn engines(words: &mut impl Iterator<Item = String>) -> Result<Vec<Vec<String>>, String> {
    let mut engines = Vec::new();
    while let Some(word) = words.next() {
        if word != "--engine" {
            return Err(format!("\"{word}\" is not known"));
        }
        let count = words.next().and_then(|count| count.parse().ok());
        let count: usize = count.ok_or("--engine COUNT is missing")?;
        let engine: Vec<String> = words.by_ref().take(count).collect();
        if engine.is_empty() || engine.len() < count {
            return Err(format!("--engine {count} has {} words", engine.len()));
        }
        engines.push(engine);
    }
    Ok(engines)
}

fn within(words: &mut impl Iterator<Item = String>) -> Result<Within, String> {
    let mut within = Within::default();
    loop {
        match (words.next().as_deref(), words.next()) {
            (Some("--group"), Some(path)) => within.groups.push(PathBuf::from(path)),
            (Some("--limit"), Some(limit)) => {
                let parts = limit.split_once('=');
                let parts = parts.and_then(|(name, number)| Some((name, number.parse().ok()?)));
                let (name, number) = parts.ok_or_else(|| format!("\"{limit}\" is no limit"))?;
                within.limits.push((name.to_owned(), number));
            }
            (Some("--"), Some(program)) => {
                within.command = [program].into_iter().chain(words).collect();
                return Ok(within);
            }
            (Some(other), Some(_)) => return Err(format!("\"{other}\" is not known")),
            (_, None) | (None, _) => return Err("a command follows --".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, String> {
        parse(line.split_ascii_whitespace().map(OsString::from))
    }

    #[test]
    fn a_line_is_read_or_refused_in_words() {
        let slot = PathBuf::from("/s");
        assert_eq!(
            parsed("run --slot /s -- sleep 5"),
            Ok(Command::Run(Run {
                slot: slot.clone(),
                command: vec!["sleep".to_owned(), "5".to_owned()],
            }))
        );
        assert_eq!(
            parsed("ask --slot /s kill"),
            Ok(Command::Ask {
                slot: slot.clone(),
                request: Request::Kill
            })
        );
        assert_eq!(
            parsed("ask --slot /s lease until-ms=5"),
            Ok(Command::Ask {
                slot,
                request: Request::Lease { until_ms: 5 }
            })
        );
        let guard = |engines: &[&[&str]]| {
            let words = |engine: &&[&str]| engine.iter().map(|word| (*word).to_owned()).collect();
            Ok(Command::Guard {
                mark: "m".to_owned(),
                engines: engines.iter().map(words).collect(),
            })
        };
        assert_eq!(parsed("guard --mark m"), guard(&[]));
        assert_eq!(
            parsed("guard --mark m --engine 3 podman --engine x --engine 1 docker"),
            guard(&[&["podman", "--engine", "x"], &["docker"]])
        );
        assert_eq!(
            parsed("within --group /g --limit cpu-seconds=5 -- sh -- x"),
            Ok(Command::Within(Within {
                groups: vec![PathBuf::from("/g")],
                limits: vec![("cpu-seconds".to_owned(), 5)],
                command: vec!["sh".to_owned(), "--".to_owned(), "x".to_owned()],
            }))
        );
        for (line, word) in [
            ("", "no command"),
            ("guard m", "--mark"),
            ("guard --mark m --engine", "COUNT"),
            ("guard --mark m --engine 2 podman", "has 1 words"),
            ("guard --mark m podman", "podman"),
            ("within", "command"),
            ("within --group /g --", "command"),
            ("within --limit cpu -- sh", "no limit"),
            ("within --slot /s", "--slot"),
            ("run", "--slot"),
            ("run --slot /s sleep", "--"),
            ("ask --slot /s dance", "dance"),
            ("ask --slot /s lease", "until-ms"),
            ("dance", "dance"),
            ("exec", "itself"),
        ] {
            let error = parsed(line).unwrap_err();
            assert!(error.contains(word), "{line}: {error}");
        }
    }
}
