//! Rules for every text: no path of the machine it was written on, and no setting that turns a panic
//! into the end of the process (a rule's panic is caught and parked).

use crate::problem::Problem;
use crate::tree::TextFile;

/// Spelled in two halves so that the checker does not find itself.
const FOREIGN_PATHS: [&str; 3] = [
    concat!("/wo", "rk/"),
    concat!("/fa", "rm"),
    concat!(".lib", "rary"),
];

pub fn check(texts: &[TextFile]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in texts {
        for (index, line) in file.text.lines().enumerate() {
            for words in FOREIGN_PATHS.iter().filter(|words| names_path(line, words)) {
                let text = format!("`{words}` is a path of one machine, not of the project");
                problems.push(Problem::at(&file.path, index + 1, text));
            }
            if configures_cargo(file) && aborts_on_panic(line) {
                let text = "panic must unwind: a rule that panics is caught, set aside and shown";
                problems.push(Problem::at(&file.path, index + 1, text));
            }
        }
    }
    problems
}

/// A path from the root: `net/work/` and `/farmer` are other words.
fn names_path(line: &str, words: &str) -> bool {
    line.match_indices(words).any(|(at, _)| {
        let absolute = !line[..at].ends_with(|c: char| c.is_alphanumeric() || "_-}$.".contains(c));
        let ends = !line[at + words.len()..].starts_with(|c: char| c.is_alphanumeric());
        absolute && (ends || words.ends_with('/'))
    })
}

fn configures_cargo(file: &TextFile) -> bool {
    file.file_name() == "Cargo.toml" || file.path.starts_with(".cargo/")
}

fn aborts_on_panic(line: &str) -> bool {
    let dense: String = line
        .split('#')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    dense.contains("panic=\"abort\"")
        || dense.contains("panic=abort")
        || dense.contains("panic='abort'")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(path: &str, text: &str) -> Vec<String> {
        check(&[TextFile::new(path, text)])
            .into_iter()
            .map(|problem| problem.place)
            .collect()
    }

    #[test]
    fn paths_of_one_machine_are_refused_everywhere() {
        for words in FOREIGN_PATHS {
            assert_eq!(
                places("docs/a.md", &format!("fine\nsee `{words}` there\n")),
                ["docs/a.md:2"],
                "{words}"
            );
        }
        assert!(places("docs/a.md", "a network/working path and a /farmer\n").is_empty());
    }

    #[test]
    fn aborting_on_panic_is_refused_in_cargo_files_only() {
        let line = "panic = \"abort\"\n";
        assert_eq!(places("Cargo.toml", line), ["Cargo.toml:1"]);
        assert_eq!(
            places(".cargo/config.toml", "rustflags = [\"-Cpanic=abort\"]\n"),
            [".cargo/config.toml:1"]
        );
        assert!(places("docs/a.md", line).is_empty());
        assert!(places("Cargo.toml", "panic = \"unwind\"\n").is_empty());
    }
}
