//! `docs/requirements.md` against the tests: one row per requirement number, every cited number known,
//! every test a row names really there.

use std::collections::{BTreeMap, BTreeSet};

use crate::problem::Problem;
use crate::rust_source::{code_only, positions};
use crate::tree::TextFile;

const PAGE: &str = "docs/requirements.md";
const CITATION: &str = "// proves:";

/// How many requirements each letter has.
const FAMILIES: [(char, usize); 6] = [
    ('S', 26),
    ('O', 12),
    ('M', 6),
    ('B', 10),
    ('V', 8),
    ('U', 6),
];

/// Position of the column that names the tests, counted after the first bar.
const TESTS_COLUMN: usize = 3;

pub fn check(texts: &[TextFile]) -> Vec<Problem> {
    let Some(page) = texts.iter().find(|file| file.path == PAGE) else {
        return vec![Problem::new(
            PAGE,
            "is missing: one row per requirement number",
        )];
    };
    let mut problems = Vec::new();
    let known = numbers();
    rows_complete(page, &known, &mut problems);
    tests_exist(page, texts, &mut problems);
    citations_known(texts, &known, &mut problems);
    problems
}

fn numbers() -> BTreeSet<String> {
    FAMILIES
        .iter()
        .flat_map(|(letter, count)| (1..=*count).map(move |n| format!("{letter}{n}")))
        .collect()
}

fn cells(line: &str) -> Vec<&str> {
    let inner = line.trim().trim_start_matches('|').trim_end_matches('|');
    inner.split('|').map(str::trim).collect()
}

fn rows(page: &TextFile) -> impl Iterator<Item = (usize, Vec<&str>)> {
    let lines = page
        .text
        .lines()
        .enumerate()
        .filter(|(_, line)| line.starts_with('|'));
    lines
        .map(|(index, line)| (index + 1, cells(line)))
        .filter(|(_, cells)| {
            let mut first = cells[0].chars();
            first.next().is_some_and(|c| c.is_ascii_uppercase())
                && first.next().is_some_and(|c| c.is_ascii_digit())
        })
}

fn rows_complete(page: &TextFile, known: &BTreeSet<String>, problems: &mut Vec<Problem>) {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for (line, cells) in rows(page) {
        if !known.contains(cells[0]) {
            problems.push(Problem::at(
                PAGE,
                line,
                format!("{} is not a requirement number", cells[0]),
            ));
        }
        if let Some(before) = seen.insert(cells[0], line) {
            problems.push(Problem::at(
                PAGE,
                line,
                format!("{} has a row already, line {before}", cells[0]),
            ));
        }
    }
    for number in known
        .iter()
        .filter(|number| !seen.contains_key(number.as_str()))
    {
        problems.push(Problem::new(PAGE, format!("{number} has no row")));
    }
}

/// The tests column names tests in backticks, with or without the modules before them.
fn tests_exist(page: &TextFile, texts: &[TextFile], problems: &mut Vec<Problem>) {
    let mut functions: BTreeSet<String> = BTreeSet::new();
    for file in texts.iter().filter(|file| file.is_rust()) {
        let code = code_only(&file.text);
        functions.extend(positions(&code, "fn").map(|at| {
            let rest = code[at + 2..].trim_start();
            rest.chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect::<String>()
        }));
    }
    for (line, cells) in rows(page) {
        let tests = cells.get(TESTS_COLUMN).copied().unwrap_or_default();
        for test in tests.split('`').skip(1).step_by(2) {
            let name = test.rsplit("::").next().unwrap_or(test);
            if !functions.contains(name) {
                problems.push(Problem::at(
                    PAGE,
                    line,
                    format!("{} names the test `{test}`, which is nowhere", cells[0]),
                ));
            }
        }
    }
}

fn citations_known(texts: &[TextFile], known: &BTreeSet<String>, problems: &mut Vec<Problem>) {
    for file in texts
        .iter()
        .filter(|file| file.is_rust() && !file.path.starts_with("xtask/"))
    {
        for (index, line) in file.text.lines().enumerate() {
            let Some((_, cited)) = line.split_once(CITATION) else {
                continue;
            };
            let numbers = cited
                .split([',', ' ', '.', ';', '(', ')'])
                .filter(|word| looks_like_number(word));
            for number in numbers.filter(|number| !known.contains(*number)) {
                problems.push(Problem::at(
                    &file.path,
                    index + 1,
                    format!("proves {number}, which is no requirement"),
                ));
            }
        }
    }
}

fn looks_like_number(word: &str) -> bool {
    let mut chars = word.chars();
    chars
        .next()
        .is_some_and(|c| FAMILIES.iter().any(|(letter, _)| *letter == c))
        && word.len() > 1
        && chars.all(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(change: impl Fn(&str) -> String) -> TextFile {
        let rows: String = numbers().iter().map(|number| change(number)).collect();
        TextFile::new(
            PAGE,
            &format!("| number | what | where | tests | status |\n|---|---|---|---|---|\n{rows}"),
        )
    }

    fn row(number: &str) -> String {
        format!("| {number} | a | b | pending | built |\n")
    }

    fn texts_of(texts: &[TextFile]) -> Vec<String> {
        check(texts)
            .into_iter()
            .map(|problem| problem.text)
            .collect()
    }

    #[test]
    fn a_page_with_one_row_per_number_has_no_problem() {
        assert!(texts_of(&[page(row)]).is_empty());
    }

    #[test]
    fn a_missing_a_double_and_an_unknown_row_are_refused() {
        assert_eq!(
            texts_of(&[page(|n| if n == "S4" { String::new() } else { row(n) })]),
            ["S4 has no row"]
        );
        assert!(
            texts_of(&[page(|n| row(n).repeat(if n == "S4" { 2 } else { 1 }))])[0]
                .contains("has a row already")
        );
        assert!(
            texts_of(&[page(|n| row(if n == "S4" { "S40" } else { n }))])[0]
                .contains("not a requirement number")
        );
    }

    #[test]
    fn a_row_that_names_a_test_which_is_nowhere_is_refused() {
        let named = || {
            page(|n| {
                row(n).replace(
                    "pending",
                    if n == "S4" {
                        "`name::is_kept`"
                    } else {
                        "pending"
                    },
                )
            })
        };
        assert!(texts_of(&[named()])[0].contains("which is nowhere"));
        assert!(texts_of(&[named(), TextFile::new("a/src/b.rs", "fn is_kept() {}")]).is_empty());
    }

    #[test]
    fn a_citation_of_an_unknown_number_is_refused() {
        let cites = |what: &str| TextFile::new("a/src/b.rs", &format!("{CITATION} {what}\n"));
        assert!(texts_of(&[page(row), cites("S4, S11")]).is_empty());
        assert!(texts_of(&[page(row), cites("S4, S27")])[0].contains("proves S27"));
    }
}
