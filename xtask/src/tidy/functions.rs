//! The ratchet on long functions: none may be longer than the limit unless `xtask/ratchet.txt` lists it
//! with exactly its length, so that a listed one can only get shorter.

use std::collections::BTreeMap;

use crate::problem::Problem;
use crate::rust_source::{code_only, functions};
use crate::tree::TextFile;

/// Style rule 5.
const FUNCTION_LINES_MAX: usize = 70;

const RATCHET: &str = "xtask/ratchet.txt";

pub fn check(texts: &[TextFile]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut listed = read_ratchet(texts, &mut problems);
    for file in texts.iter().filter(|file| file.is_rust()) {
        for function in functions(&code_only(&file.text)) {
            if function.lines <= FUNCTION_LINES_MAX {
                continue;
            }
            let allowed = listed.remove(&(file.path.clone(), function.name.clone()));
            let verdict = match allowed {
                None => format!("more than {FUNCTION_LINES_MAX}: split it"),
                Some(allowed) if function.lines > allowed => {
                    format!("grew from {allowed}: split it")
                }
                Some(allowed) if function.lines < allowed => {
                    format!("shrank from {allowed}: lower it in {RATCHET}")
                }
                Some(_) => continue,
            };
            let text = format!(
                "function `{}` has {} lines, {verdict}",
                function.name, function.lines
            );
            problems.push(Problem::at(&file.path, function.line, text));
        }
    }
    for (path, name) in listed.into_keys() {
        problems.push(Problem::new(
            RATCHET,
            format!("`{path} {name}` is short enough or gone: remove the line"),
        ));
    }
    problems
}

fn read_ratchet(
    texts: &[TextFile],
    problems: &mut Vec<Problem>,
) -> BTreeMap<(String, String), usize> {
    let mut listed = BTreeMap::new();
    let text = texts
        .iter()
        .find(|file| file.path == RATCHET)
        .map_or("", |file| &file.text);
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            [path, name, lines] if lines.parse::<usize>().is_ok() => {
                let lines = lines.parse().expect("the guard parsed it");
                listed.insert((path.to_owned(), name.to_owned()), lines);
            }
            _ => problems.push(Problem::at(
                RATCHET,
                index + 1,
                "expected `path function lines`",
            )),
        }
    }
    listed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems_of(function_lines: usize, ratchet: &str) -> Vec<String> {
        let source = format!(
            "//! Doc.\nfn long() {{{}}}\n",
            "\n".repeat(function_lines - 1)
        );
        let texts = [
            TextFile::new("a/src/b.rs", &source),
            TextFile::new(RATCHET, ratchet),
        ];
        check(&texts)
            .into_iter()
            .map(|problem| problem.text)
            .collect()
    }

    #[test]
    fn a_function_over_the_limit_is_refused_and_one_at_the_limit_is_not() {
        assert!(problems_of(FUNCTION_LINES_MAX, "").is_empty());
        assert!(problems_of(FUNCTION_LINES_MAX + 1, "")[0].contains("71 lines, more than 70"));
    }

    #[test]
    fn a_listed_function_may_stay_but_not_grow_and_a_shorter_one_lowers_the_ratchet() {
        assert!(problems_of(90, "a/src/b.rs long 90\n").is_empty());
        assert!(problems_of(91, "a/src/b.rs long 90\n")[0].contains("grew from 90"));
        assert!(problems_of(89, "a/src/b.rs long 90\n")[0].contains("lower it"));
    }

    #[test]
    fn a_line_that_is_no_longer_needed_or_not_readable_is_refused() {
        assert!(problems_of(10, "a/src/b.rs long 90\n")[0].contains("remove the line"));
        assert!(problems_of(10, "a/src/b.rs long\n")[0].contains("expected"));
    }
}
