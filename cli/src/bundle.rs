//! A support bundle: parts with a name each, what could not be had, and all of it as one compressed archive. Nothing comes in
//! but through `redact`.

mod redact;

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;
use serde_json::Value;

pub use redact::{Content, redacted};

/// Of one part; what is beyond it is cut off and said.
pub const PART_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The directory that it unpacks to.
const ROOT: &str = "mainstay-bundle";

#[derive(Debug, Default)]
pub struct Bundle {
    parts: Vec<(String, Vec<u8>)>,
    left_out: Vec<LeftOut>,
}

/// A part that is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Taken {
    pub part: String,
    pub bytes: u64,
}

/// One that is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    pub part: String,
    pub why: String,
}

impl Bundle {
    pub fn json(&mut self, part: &str, value: Value) {
        self.add(part, Content::Json(value));
    }

    pub fn text(&mut self, part: &str, text: String) {
        self.add(part, Content::Text(text));
    }

    pub fn leave_out(&mut self, part: &str, why: impl Into<String>) {
        // Why may quote what it could not read.
        let why = redacted(Content::Text(why.into())).to_text();
        self.left_out.push(LeftOut {
            part: part.to_owned(),
            why,
        });
    }

    fn add(&mut self, part: &str, content: Content) {
        let mut text = redacted(content).to_text();
        if text.len() > PART_BYTES_MAX {
            let end = text.floor_char_boundary(PART_BYTES_MAX);
            text.truncate(end);
            self.leave_out(part, format!("what is beyond its first {end} bytes"));
        }
        let part = self.free(part);
        self.parts.push((part, text.into_bytes()));
    }

    /// Two files of one name are both in it.
    fn free(&self, part: &str) -> String {
        let is_free = |name: &String| self.parts.iter().all(|(taken, _)| taken != name);
        let others = (2..).map(|number| format!("{part}.{number}"));
        let mut names = std::iter::once(part.to_owned()).chain(others);
        names.find(is_free).unwrap_or_else(|| part.to_owned())
    }

    pub fn taken(&self) -> Vec<Taken> {
        let taken = |(part, bytes): &(String, Vec<u8>)| Taken {
            part: part.clone(),
            bytes: bytes.len() as u64,
        };
        self.parts.iter().map(taken).collect()
    }

    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    /// For its owner's eyes, also once it is unpacked.
    pub fn write(&self, to: impl Write, made_s: u64) -> io::Result<()> {
        let mut archive = tar::Builder::new(GzEncoder::new(to, Compression::default()));
        for (part, bytes) in &self.parts {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o600);
            header.set_mtime(made_s);
            archive.append_data(&mut header, format!("{ROOT}/{part}"), bytes.as_slice())?;
        }
        archive.into_inner()?.finish()?.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::GzDecoder;
    use std::collections::BTreeMap;
    use std::io::Read;

    // proves: U6
    #[test]
    fn what_is_put_in_comes_out_redacted_under_its_name_for_its_owner_alone() {
        let mut bundle = Bundle::default();
        bundle.json(
            "get/placements.json",
            serde_json::json!([{"config": {"password": "hunter2"}}]),
        );
        bundle.text("logs/s1.log", "it said password=hunter2\n".to_owned());
        bundle.text("logs/s1.log", "of another directory\n".to_owned());
        bundle.leave_out("metrics.txt", "nobody answers for password=hunter2");
        let mut file = Vec::new();
        bundle.write(&mut file, 1_800_000_000).unwrap();
        let mut archive = tar::Archive::new(GzDecoder::new(file.as_slice()));
        let mut found = BTreeMap::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            assert_eq!(entry.header().mode().unwrap(), 0o600);
            let path = entry.path().unwrap().display().to_string();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            found.insert(path, text);
        }
        let names: Vec<&String> = found.keys().collect();
        assert_eq!(
            names,
            [
                "mainstay-bundle/get/placements.json",
                "mainstay-bundle/logs/s1.log",
                "mainstay-bundle/logs/s1.log.2"
            ]
        );
        assert!(
            found.values().all(|text| !text.contains("hunter2")),
            "{found:?}"
        );
        let why = &bundle.left_out()[0].why;
        assert!(
            !why.contains("hunter2") && why.starts_with("nobody answers"),
            "{why}"
        );
        assert_eq!(bundle.taken().len(), 3);
    }

    #[test]
    fn a_part_without_an_end_is_cut_and_that_is_said() {
        let mut bundle = Bundle::default();
        bundle.text("logs/s1.log", "ä".repeat(PART_BYTES_MAX / 2 + 1));
        assert_eq!(bundle.taken()[0].bytes, PART_BYTES_MAX as u64);
        assert_eq!(bundle.left_out().len(), 1);
    }
}
