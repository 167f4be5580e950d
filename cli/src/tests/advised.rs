//! What is advised anywhere can be typed.

use std::path::{Path, PathBuf};

use mainstay_api::Problem;
use mainstay_protocol::code;

use super::runs_as_written;

// case: usability 13
#[test]
fn what_every_code_advises_is_a_command_that_parses() {
    for (code, _) in code::ALL {
        let problem = Problem::new(code.clone(), "what", "why");
        assert!(runs_as_written(&problem.to_do), "{code}: {}", problem.to_do);
    }
}

/// The commands written in a file of code, with one word in place of everything that is filled in later.
fn commands_written_in(code: &str, word: &str) -> Vec<String> {
    code.split('"')
        .filter(|text| text.starts_with("mainstay "))
        .map(|text| {
            let mut parts = text.split('{');
            let first = parts.next().unwrap_or_default().to_owned();
            parts.fold(first, |done, part| {
                let (_, rest) = part.split_once('}').unwrap_or_default();
                format!("{done}{word}{rest}")
            })
        })
        .collect()
}

fn rust_files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

// case: usability 13
#[test]
fn every_command_that_other_crates_advise_parses() {
    let words = [
        "greeter@n1",
        "n1",
        "greeter",
        "s2",
        "node/n1",
        "3fa9c2",
        "1048576",
        "3",
        "running",
        "status",
    ];
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut seen = 0;
    for part in ["api", "coordinator", "node-agent", "station", "store"] {
        for file in rust_files(&workspace.join(part).join("src")) {
            let code = std::fs::read_to_string(&file).unwrap();
            let variants: Vec<Vec<String>> =
                words.map(|word| commands_written_in(&code, word)).to_vec();
            for at in 0..variants[0].len() {
                let parses = variants
                    .iter()
                    .any(|commands| runs_as_written(&commands[at]));
                assert!(parses, "{}: {}", file.display(), variants[0][at]);
                seen += 1;
            }
        }
    }
    assert!(
        seen > 20,
        "only {seen} commands were found: the search is broken"
    );
}
