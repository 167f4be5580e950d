//! The command line, by hand: an argument parser would be larger than the rest.

use std::ffi::OsString;
use std::path::PathBuf;

use mainstay_hold::Request;

pub const USAGE: &str = "usage: mainstay-hold run --slot DIR [-- COMMAND [ARGUMENT..]]
       mainstay-hold ask --slot DIR state|subscribe|usage|kill
       mainstay-hold ask --slot DIR stop step=SIGNAL:MILLISECONDS..
       mainstay-hold ask --slot DIR lease until-ms=MILLISECONDS
       mainstay-hold clear --slot DIR
       mainstay-hold guard --mark TEXT
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
    },
    Version,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Run {
    pub slot: PathBuf,
    /// Given by hand; else the slot has a spec.
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
            (Some("--mark"), Some(mark)) if !mark.is_empty() => Ok(Command::Guard { mark }),
            _ => Err("--mark TEXT is missing".to_owned()),
        },
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
        let mark = "m".to_owned();
        assert_eq!(parsed("guard --mark m"), Ok(Command::Guard { mark }));
        for (line, word) in [
            ("", "no command"),
            ("guard m", "--mark"),
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
