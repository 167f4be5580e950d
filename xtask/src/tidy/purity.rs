//! Pure code stays pure: the crates that judge know no clock, randomness, thread, file, socket or
//! executor, and of `supervisor/` only its actor does.

use crate::layers::PURE_FOLDERS;
use crate::problem::Problem;
use crate::rust_source::{code_only, imports, line_of, positions, test_regions};
use crate::tree::TextFile;

const EXECUTORS: [&str; 6] = [
    "tokio",
    "ractor",
    "futures",
    "async_std",
    "smol",
    "openraft",
];

/// Parts of the standard library that reach outside; `std::time::Duration` and `std::io` errors do not.
const OUTSIDE: [&str; 6] = [
    "std::thread",
    "std::fs",
    "std::net",
    "std::process",
    "std::time::Instant",
    "std::time::SystemTime",
];

/// `uuid` as a type is a number; making one is randomness.
const CALLS: [&str; 5] = [
    "Instant::now",
    "SystemTime::now",
    ".await",
    "Uuid::new_v4",
    "Uuid::now_v7",
];

pub fn check(texts: &[TextFile]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in texts.iter().filter(|file| file.is_rust()) {
        if in_pure_crate(&file.path) {
            let forbidden: Vec<&str> = EXECUTORS.iter().chain(&OUTSIDE).copied().collect();
            reach_outside(file, &forbidden, &mut problems);
        } else if in_pure_module_of_supervisor(&file.path) {
            reach_outside(file, &EXECUTORS, &mut problems);
        }
    }
    problems
}

fn in_pure_crate(path: &str) -> bool {
    PURE_FOLDERS.iter().any(|folder| {
        path.strip_prefix(folder)
            .is_some_and(|rest| rest.starts_with("/src/"))
    })
}

fn in_pure_module_of_supervisor(path: &str) -> bool {
    path.strip_prefix("supervisor/src/")
        .is_some_and(|rest| !rest.starts_with("actor"))
}

fn reach_outside(file: &TextFile, forbidden: &[&str], problems: &mut Vec<Problem>) {
    let code = code_only(&file.text);
    let regions = test_regions(&code);
    let mut hits: Vec<(usize, String)> = Vec::new();
    for (line, path) in imports(&code) {
        let within = |root: &&&str| path == **root || path.starts_with(&format!("{root}::"));
        hits.extend(forbidden.iter().find(within).map(|_| (line, path.clone())));
    }
    let in_place = forbidden
        .iter()
        .map(|root| format!("{root}::"))
        .chain(CALLS.map(String::from));
    for words in in_place {
        hits.extend(positions(&code, &words).map(|at| (line_of(&code, at), words.clone())));
    }
    hits.sort();
    hits.dedup_by_key(|(line, _)| *line);
    for (line, words) in hits {
        let in_test = file.is_test_path()
            || regions
                .iter()
                .any(|(from, to)| (*from..=*to).contains(&line));
        if !in_test {
            let text =
                format!("pure code reaches for `{words}`; take it as a value from the driver");
            problems.push(Problem::at(&file.path, line, text));
        }
    }
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
    fn clocks_threads_files_and_executors_are_refused_in_pure_crates() {
        let text = "//! Doc.\nuse std::{fs, sync::Arc};\nfn f() { std::thread::spawn(g); }\nuse std::time::Instant;\n\
                    fn h() { Instant::now(); }\nfn i() { Uuid::new_v4(); }\nuse tokio::sync::mpsc;\n";
        let expected =
            ["2", "3", "4", "5", "6", "7"].map(|line| format!("coordinator/src/a.rs:{line}"));
        assert_eq!(places("coordinator/src/a.rs", text), expected);
    }

    #[test]
    fn what_stays_inside_the_process_is_free_and_tests_are_too() {
        let text =
            "//! Doc.\nuse std::time::Duration;\n#[cfg(test)]\nmod tests {\n  use std::fs;\n}\n";
        assert!(places("coordinator/src/a.rs", text).is_empty());
        assert!(places("coordinator/tests/a.rs", "//! Doc.\nuse std::fs;\n").is_empty());
    }

    #[test]
    fn only_the_actor_of_the_supervisor_knows_an_executor() {
        let text = "//! Doc.\nuse ractor::Actor;\n";
        assert_eq!(
            places("supervisor/src/ledger.rs", text),
            ["supervisor/src/ledger.rs:2"]
        );
        assert!(places("supervisor/src/actor.rs", text).is_empty());
        assert!(places("supervisor/src/actor/watch.rs", text).is_empty());
    }
}
