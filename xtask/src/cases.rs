//! `docs/cases.md` against the tests: one row per number of its list, every test a row names in the file it names, every
//! cited number in the list.

use std::collections::{BTreeMap, BTreeSet};

use crate::problem::Problem;
use crate::tree::TextFile;

const PAGE: &str = "docs/cases.md";
const NUMBERS: &str = "Numbers:";
const CITATION: &str = "// case:";
const NOT_SHOWN: &str = "not shown: ";

pub fn check(texts: &[TextFile]) -> Vec<Problem> {
    let Some(page) = texts.iter().find(|file| file.path == PAGE) else {
        return vec![Problem::new(PAGE, "is missing: one row per case")];
    };
    let known = numbers(page);
    let mut problems = Vec::new();
    if known.is_empty() {
        problems.push(Problem::new(
            PAGE,
            format!("has no line `{NUMBERS} 1-27, 29`"),
        ));
    }
    rows_complete(page, &known, &mut problems);
    tests_exist(page, texts, &mut problems);
    citations_known(texts, &known, &mut problems);
    problems
}

/// "1-27, 29" in the line that lists them.
fn numbers(page: &TextFile) -> BTreeSet<u32> {
    let list = page
        .text
        .lines()
        .find_map(|line| line.strip_prefix(NUMBERS));
    let parts = list.unwrap_or_default().trim().trim_end_matches('.');
    let ranges = parts.split(',').filter_map(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.trim().parse::<u32>().ok()?..=last.trim().parse().ok()?)
    });
    ranges.flatten().collect()
}

/// Number and tests, with their line.
fn rows(page: &TextFile) -> impl Iterator<Item = (usize, u32, &str)> {
    page.text.lines().enumerate().filter_map(|(index, line)| {
        let mut cells = line.strip_prefix('|')?.split('|').map(str::trim);
        let number = cells.next()?.parse().ok()?;
        Some((index + 1, number, cells.nth(1).unwrap_or_default()))
    })
}

fn rows_complete(page: &TextFile, known: &BTreeSet<u32>, problems: &mut Vec<Problem>) {
    let mut seen: BTreeMap<u32, usize> = BTreeMap::new();
    for (line, number, tests) in rows(page) {
        if !known.contains(&number) {
            problems.push(Problem::at(
                PAGE,
                line,
                format!("{number} is not in the list"),
            ));
        }
        if let Some(before) = seen.insert(number, line) {
            let text = format!("{number} has a row already, line {before}");
            problems.push(Problem::at(PAGE, line, text));
        }
        if !tests.starts_with('`') && !tests.starts_with(NOT_SHOWN) {
            let text = format!("{number} names no test, and does not say why: `{NOT_SHOWN}..`");
            problems.push(Problem::at(PAGE, line, text));
        }
    }
    for number in known.iter().filter(|number| !seen.contains_key(number)) {
        problems.push(Problem::new(PAGE, format!("{number} has no row")));
    }
}

/// A test is `file:function`; a script's function is made by a macro from `name = "script"`.
fn tests_exist(page: &TextFile, texts: &[TextFile], problems: &mut Vec<Problem>) {
    for (line, number, tests) in rows(page) {
        for test in tests.split('`').skip(1).step_by(2) {
            let (file, name) = test.split_once(':').unwrap_or((test, ""));
            let file = texts.iter().find(|text| text.path == file);
            let is_there = file.is_some_and(|file| {
                let made = [format!("fn {name}("), format!(" {name} = \"")];
                made.iter().any(|made| file.text.contains(made))
            });
            if !is_there {
                let text = format!("{number} names the test `{test}`, which is not there");
                problems.push(Problem::at(PAGE, line, text));
            }
        }
    }
}

fn citations_known(texts: &[TextFile], known: &BTreeSet<u32>, problems: &mut Vec<Problem>) {
    let tests = texts
        .iter()
        .filter(|file| file.is_rust() && !file.path.starts_with("xtask/"));
    for file in tests {
        for (index, line) in file.text.lines().enumerate() {
            let Some((_, cited)) = line.split_once(CITATION) else {
                continue;
            };
            // "services 26, services 29, 51": a word is of whom the numbers behind it are.
            let mut family = "";
            for word in cited.split([' ', ',']).filter(|word| !word.is_empty()) {
                match word.parse::<u32>() {
                    Ok(number) if family == "services" && !known.contains(&number) => {
                        let text = format!("shows case {number} of services, which is in no list");
                        problems.push(Problem::at(&file.path, index + 1, text));
                    }
                    Ok(_) => {}
                    Err(_) => family = word,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(rows: &str) -> TextFile {
        let head = "Numbers: 1-2, 4.\n\n| number | in the end | tests |\n|---|---|---|\n";
        TextFile::new(PAGE, &format!("{head}{rows}"))
    }

    const ROWS: &str = "| 1 | a | `a/tests/b.rs:it_is` |\n| 2 | b | not shown: it is not built |\n| 4 | c | `a/tests/b.rs:told` |\n";
    const TESTS: &str =
        "// case: services 1, 2\nfn it_is() {}\nscripts! {\n    told = \"told\";\n}\n";

    fn texts_of(rows: &str, tests: &str) -> Vec<String> {
        let texts = [page(rows), TextFile::new("a/tests/b.rs", tests)];
        check(&texts)
            .into_iter()
            .map(|problem| problem.text)
            .collect()
    }

    #[test]
    fn a_row_for_each_number_with_tests_that_are_there_is_right() {
        assert!(texts_of(ROWS, TESTS).is_empty());
    }

    #[test]
    fn a_missing_a_double_and_an_unlisted_row_are_refused() {
        let without = ROWS.replace("| 1 |", "| 4 |");
        let told = texts_of(&without, TESTS);
        assert!(told.iter().any(|text| text == "1 has no row"), "{told:?}");
        assert!(told.iter().any(|text| text.contains("4 has a row already")));
        assert_eq!(texts_of(&ROWS.replace("| 2 |", "| 3 |"), TESTS).len(), 2);
    }

    #[test]
    fn a_test_that_is_not_in_its_file_or_is_not_named_is_refused() {
        assert!(texts_of(&ROWS.replace("it_is", "it_was"), TESTS)[0].contains("not there"));
        assert!(texts_of(&ROWS.replace("b.rs:told", "c.rs:told"), TESTS)[0].contains("not there"));
        assert!(texts_of(&ROWS.replace("not shown: ", ""), TESTS)[0].contains("names no test"));
    }

    #[test]
    fn a_citation_of_an_unlisted_number_is_refused() {
        let cites = |what: &str| texts_of(ROWS, &TESTS.replace("services 1, 2", what));
        assert!(cites("usability 3, services 4").is_empty());
        assert!(cites("services 1, services 3")[0].contains("case 3"));
    }
}
