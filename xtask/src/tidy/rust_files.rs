//! Rules for one Rust file: a module doc, a bounded length, honest names, no stubs, no unbounded queues,
//! no sleeping in tests.

use crate::problem::Problem;
use crate::rust_source::{code_only, line_of, positions, test_regions};
use crate::tree::TextFile;

/// Style rule 5: a file this long tires every reader.
const FILE_LINES_MAX: usize = 600;

/// Style rule 5: the length 90 % of the files stay below; reported, so that a drift is seen.
const FILE_LINES_P90_AIM: usize = 400;

/// Names that say nothing about what is inside (style rule 7).
const NAMELESS: [&str; 9] = [
    "util",
    "utils",
    "common",
    "helper",
    "helpers",
    "misc",
    "manager",
    "managers",
    "utilities",
];

/// What a sleep in a test must carry, on its line or the one above, to be let through.
const SLEEP_EXCUSE: &str = "// tidy: waits because ";

/// Spelled in two halves: a plain text search over the sources must not stumble over the checker.
const FORBIDDEN: [(&str, &str); 5] = [
    (
        concat!("unbounded", "("),
        "unbounded channel; give it a bound from limits",
    ),
    (
        concat!("unbounded", "_channel("),
        "unbounded channel; give it a bound from limits",
    ),
    (concat!("todo", "!("), "stub; build it or leave it out"),
    (
        concat!("unimplemented", "!("),
        "stub; build it or leave it out",
    ),
    (
        concat!("#[", "ignore"),
        "ignored test; mend it or remove it",
    ),
];

const SLEEPS: [&str; 2] = [concat!("thread::", "sleep"), concat!("time::", "sleep")];

pub fn check(texts: &[TextFile]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in texts.iter().filter(|file| file.is_rust()) {
        let code = code_only(&file.text);
        shape(file, &mut problems);
        names(file, &code, &mut problems);
        forbidden(file, &code, &mut problems);
        sleeps(file, &code, &mut problems);
    }
    problems
}

/// One line for the reader of the run: how many files, and how long the long ones are.
pub fn sizes(texts: &[TextFile]) -> String {
    let mut lines: Vec<usize> = texts
        .iter()
        .filter(|file| file.is_rust())
        .map(|file| file.text.lines().count())
        .collect();
    lines.sort_unstable();
    let Some(longest) = lines.last() else {
        return "no Rust files".into();
    };
    let p90 = lines[(lines.len() * 9 / 10).min(lines.len() - 1)];
    let drift = if p90 > FILE_LINES_P90_AIM {
        format!(" (ABOVE the aim of {FILE_LINES_P90_AIM})")
    } else {
        String::new()
    };
    format!(
        "{} Rust files, {} lines, p90 {p90}{drift}, longest {longest}",
        lines.len(),
        lines.iter().sum::<usize>()
    )
}

fn shape(file: &TextFile, problems: &mut Vec<Problem>) {
    if !file.text.starts_with("//!") {
        problems.push(Problem::at(
            &file.path,
            1,
            "does not begin with a `//!` module doc",
        ));
    }
    let lines = file.text.lines().count();
    if lines > FILE_LINES_MAX {
        let text = format!("{lines} lines, more than {FILE_LINES_MAX}: split it by purpose");
        problems.push(Problem::new(&file.path, text));
    }
}

fn names(file: &TextFile, code: &str, problems: &mut Vec<Problem>) {
    for part in file.path.split('/') {
        let stem = part.strip_suffix(".rs").unwrap_or(part);
        if NAMELESS.contains(&stem) {
            problems.push(Problem::new(
                &file.path,
                format!("`{stem}` names no idea; name what is inside"),
            ));
        }
    }
    for at in positions(code, "mod") {
        let name = code[at + 3..].split_whitespace().next().unwrap_or_default();
        let name = name.trim_end_matches(['{', ';']);
        if NAMELESS.contains(&name) {
            let text = format!("module `{name}` names no idea; name what is inside");
            problems.push(Problem::at(&file.path, line_of(code, at), text));
        }
    }
}

fn forbidden(file: &TextFile, code: &str, problems: &mut Vec<Problem>) {
    for (words, why) in FORBIDDEN {
        for at in positions(code, words) {
            problems.push(Problem::at(
                &file.path,
                line_of(code, at),
                format!("`{words}`: {why}"),
            ));
        }
    }
}

fn sleeps(file: &TextFile, code: &str, problems: &mut Vec<Problem>) {
    let regions = test_regions(code);
    let lines: Vec<&str> = file.text.lines().collect();
    for words in SLEEPS {
        for at in positions(code, words) {
            let line = line_of(code, at);
            let in_test = file.is_test_path()
                || regions
                    .iter()
                    .any(|(from, to)| (*from..=*to).contains(&line));
            let above = line
                .checked_sub(2)
                .and_then(|index| lines.get(index))
                .copied()
                .unwrap_or_default();
            let excused = lines[line - 1].contains(SLEEP_EXCUSE) || above.contains(SLEEP_EXCUSE);
            let imported = lines[line - 1].trim_start().starts_with("use ");
            if in_test && !excused && !imported {
                let text = format!(
                    "`{words}` in a test: wait for the condition, or say `{SLEEP_EXCUSE}...`"
                );
                problems.push(Problem::at(&file.path, line, text));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems_of(path: &str, text: &str) -> Vec<String> {
        let found = check(&[TextFile::new(path, text)]);
        found
            .into_iter()
            .map(|problem| format!("{}: {}", problem.place, problem.text))
            .collect()
    }

    #[test]
    fn a_good_file_has_no_problem() {
        let text =
            "//! Doc.\nfn f() { bounded(4); }\n// todo comments and \"strings\" are no code\n";
        assert_eq!(problems_of("a/src/offer.rs", text), Vec::<String>::new());
    }

    #[test]
    fn a_file_without_module_doc_is_refused() {
        assert!(problems_of("a/src/offer.rs", "fn f() {}\n")[0].contains("module doc"));
    }

    #[test]
    fn a_file_one_line_too_long_is_refused_and_one_at_the_limit_is_not() {
        let at_limit = format!("//! Doc.\n{}", "\n".repeat(FILE_LINES_MAX - 1));
        assert!(problems_of("a/src/offer.rs", &at_limit).is_empty());
        assert!(problems_of("a/src/offer.rs", &format!("{at_limit}\n"))[0].contains("601 lines"));
    }

    #[test]
    fn nameless_files_folders_and_modules_are_refused() {
        assert_eq!(problems_of("a/src/util.rs", "//! Doc.\n").len(), 1);
        assert_eq!(problems_of("a/tests/common/mod.rs", "//! Doc.\n").len(), 1);
        assert_eq!(
            problems_of("a/src/b.rs", "//! Doc.\nmod helpers;\npub mod misc {}\n").len(),
            2
        );
    }

    #[test]
    fn every_forbidden_construct_is_found_in_code_and_not_in_prose() {
        for (words, _) in FORBIDDEN {
            let bad = format!("//! Doc.\nfn f() {{\n    {words} }}\n");
            assert!(
                problems_of("a/src/b.rs", &bad)[0].starts_with("a/src/b.rs:3:"),
                "{words}"
            );
            assert!(
                problems_of("a/src/b.rs", &format!("//! Doc.\n// {words}\n")).is_empty(),
                "{words}"
            );
        }
    }

    #[test]
    fn sleeping_is_refused_in_tests_without_a_reason_and_free_elsewhere() {
        let call = format!("std::{}(d);", SLEEPS[0]);
        let body = format!("//! Doc.\nfn f() {{\n    {call}\n}}\n");
        assert!(problems_of("a/src/b.rs", &body).is_empty());
        assert_eq!(problems_of("a/tests/b.rs", &body).len(), 1);
        let module = format!("//! Doc.\n#[cfg(test)]\nmod tests {{\n    fn f() {{ {call} }}\n}}\n");
        assert_eq!(problems_of("a/src/b.rs", &module).len(), 1);
        let excused = body.replace(
            &call,
            &format!("{call} {SLEEP_EXCUSE}the disk has no event"),
        );
        assert!(problems_of("a/tests/b.rs", &excused).is_empty());
    }
}
