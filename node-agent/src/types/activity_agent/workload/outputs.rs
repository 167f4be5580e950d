//! What a task leaves behind, within what an activity may.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mainstay_protocol::{Json, limits};
use mainstay_service::Processed;

use super::super::answer;
use super::Fault;
use super::task::Wanted;

/// Of its standard output.
pub(super) const RESULT_BYTES_MAX: usize = 4 * 1024;
/// So much is kept of it: the end of a line does not count.
pub(super) const OUTPUT_BYTES_KEPT: usize = RESULT_BYTES_MAX + 1;
/// Of parameters that are too long, so many are named.
const NAMED_MAX: usize = 3;

/// What is found where a file of a parameter was to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    File(Vec<u8>),
    /// Nothing, for this reason.
    Missing(String),
    /// A directory, a device.
    NoFile,
    /// It leads to this, which is nobody's to give away.
    Refused(PathBuf),
    TooLong,
}

pub(super) fn parameter(wanted: &Wanted, found: Found) -> Result<String, Fault> {
    let Wanted { name, path, .. } = wanted;
    let fault = |why: String| Err(Fault::Work(format!("its output parameter {name}: {why}")));
    match (found, &wanted.default) {
        (Found::File(bytes), _) => match String::from_utf8(bytes) {
            Ok(text) => Ok(trimmed(&text).to_owned()),
            Err(_) => fault(format!("{path} is not UTF-8")),
        },
        (Found::Missing(_), Some(default)) => Ok(default.clone()),
        (Found::Missing(why), None) if why.is_empty() => fault(format!("{path} is not there")),
        (Found::Missing(why), None) => fault(format!("{path} is not there ({why})")),
        (Found::NoFile, _) => fault(format!("{path} is no file")),
        (Found::Refused(real), _) => {
            let leads = match real == Path::new(path) {
                true => String::new(),
                false => format!(" leads to {}, which", real.display()),
            };
            fault(format!(
                "{path}{leads} is refused: nothing of the kernel's (/proc, /sys, /dev) is an output"
            ))
        }
        (Found::TooLong, _) => fault(format!(
            "{path} has more than the {} bytes that outputs may have",
            limits::WORK_BYTES_MAX
        )),
    }
}

/// Of a task that ended with 0.
pub(super) fn complete(
    engine: &str,
    stdout: &[u8],
    parameters: &BTreeMap<String, String>,
    evidence: Json,
) -> Processed {
    let texts = parameters.iter();
    let texts = texts.map(|(name, text)| (name.clone(), Json::text(text)));
    let with = |result: &str| {
        Json::of(&[
            ("exitCode", number(0)),
            ("result", Json::text(result)),
            ("parameters", Json::object(&texts.clone().collect())),
            ("limits", evidence.clone()),
            ("engine", Json::text(engine)),
        ])
    };
    let most = limits::WORK_BYTES_MAX;
    let bytes = with("").as_str().len();
    if bytes > most {
        return Processed::fatal(answer::told(too_long(parameters, bytes)));
    }
    let result = end(stdout);
    let mut result = result.as_str();
    // Escaped, letters are longer than they were.
    while bytes + Json::text(result).as_str().len() - 2 > most {
        result = &result[result.ceil_char_boundary(result.len().div_ceil(2))..];
    }
    answer::completed(&with(result))
}

fn too_long(parameters: &BTreeMap<String, String>, bytes: usize) -> String {
    let mut longest: Vec<(&String, usize)> = parameters
        .iter()
        .map(|(name, text)| (name, text.len()))
        .collect();
    longest.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    let named = longest.iter().take(NAMED_MAX);
    let named: Vec<String> = named
        .map(|(name, bytes)| format!("{name} of {bytes}"))
        .collect();
    format!(
        "its outputs have {bytes} bytes, more than {}; the longest parameters: {}",
        limits::WORK_BYTES_MAX,
        named.join(", ")
    )
}

/// Of what was kept, as text.
fn end(stdout: &[u8]) -> String {
    let is_cut = stdout.len() > RESULT_BYTES_MAX;
    let is_amid = |byte: &u8| is_cut && byte & 0b1100_0000 == 0b1000_0000;
    // The rest of a letter that was cut.
    let from = stdout.iter().take_while(|byte| is_amid(byte)).count();
    let text = String::from_utf8_lossy(&stdout[from..]);
    let text = trimmed(&text);
    text[text.ceil_char_boundary(text.len().saturating_sub(RESULT_BYTES_MAX))..].to_owned()
}

/// Without the end of its last line.
fn trimmed(text: &str) -> &str {
    text.strip_suffix('\n').unwrap_or(text)
}

pub(super) fn number(number: u64) -> Json {
    Json::parse(&number.to_string()).expect("a number is JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(default: Option<&str>) -> Wanted {
        Wanted {
            name: "y".to_owned(),
            path: "/y".to_owned(),
            default: default.map(str::to_owned),
        }
    }

    fn result(stdout: &[u8]) -> String {
        let none = BTreeMap::new();
        let said = complete("host", stdout, &none, Json::empty_object());
        let output = said.output().expect("it is complete");
        output.member("result").unwrap().as_text().unwrap()
    }

    #[test]
    fn a_result_is_the_end_of_what_was_said_without_its_last_newline() {
        assert_eq!(result(b"a\nb\n\n"), "a\nb\n");
        assert_eq!(result(b"caf\xe9"), "caf\u{fffd}");
        let long = "\u{e9}".repeat(RESULT_BYTES_MAX / 2);
        assert_eq!(result(format!("{long}\n").as_bytes()), long);
        // As it is kept: the first letter is cut.
        let cut = [&[0xa9], long.as_bytes()].concat();
        assert_eq!(result(&cut), long);
    }

    #[test]
    fn a_result_that_grows_by_being_written_as_json_is_cut() {
        let result = result(&[1; RESULT_BYTES_MAX]);
        assert!(
            (1_024..=RESULT_BYTES_MAX / 2).contains(&result.len()),
            "{}",
            result.len()
        );
    }

    #[test]
    fn parameters_are_texts_of_files_or_said_to_be_none() {
        let read = |found, default| match parameter(&wanted(default), found) {
            Ok(text) => text,
            Err(Fault::Work(why) | Fault::Engine(why)) => why,
        };
        let file = |bytes: &[u8]| Found::File(bytes.to_vec());
        assert_eq!(read(file(b"x\n\n"), None), "x\n");
        assert_eq!(read(file(b""), Some("d")), "");
        assert_eq!(read(Found::Missing("no".to_owned()), Some("d")), "d");
        for (found, why) in [
            (Found::Missing("no".to_owned()), "/y is not there (no)"),
            (Found::Missing(String::new()), "/y is not there"),
            (Found::NoFile, "/y is no file"),
            (
                Found::Refused(PathBuf::from("/y")),
                "/y is refused: nothing of the kernel's (/proc, /sys, /dev) is an output",
            ),
            (
                Found::Refused(PathBuf::from("/proc/1/environ")),
                "/y leads to /proc/1/environ, which is refused: nothing of the kernel's (/proc, /sys, /dev) is an output",
            ),
            (file(b"\xff"), "/y is not UTF-8"),
            (
                Found::TooLong,
                "/y has more than the 16384 bytes that outputs may have",
            ),
        ] {
            assert_eq!(read(found, None), format!("its output parameter y: {why}"));
        }
    }

    #[test]
    fn parameters_that_are_too_long_together_are_named() {
        let text = |bytes: usize| "x".repeat(bytes);
        let many = [("a", 9_000), ("b", 9_001), ("c", 1)];
        let many = many.map(|(name, bytes)| (name.to_owned(), text(bytes)));
        let said = complete("host", b"", &many.into(), Json::empty_object());
        let why = "its outputs have 18092 bytes, more than 16384; the longest parameters: b of 9001, a of 9000, c of 1";
        assert_eq!(said, Processed::fatal(why));
    }
}
