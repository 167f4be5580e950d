//! Reason codes and their pages are one set: a code without a page leaves an operator alone, a page
//! without a code explains what no longer happens.

use std::collections::BTreeMap;

use crate::problem::Problem;
use crate::rust_source::line_of;
use crate::tree::TextFile;

const CODES: &str = "protocol/src/code.rs";
const PAGES: &str = "docs/codes/";

pub fn check(texts: &[TextFile]) -> Vec<Problem> {
    let Some(source) = texts.iter().find(|file| file.path == CODES) else {
        return vec![Problem::new(
            CODES,
            "is missing: the reason codes live there",
        )];
    };
    let codes = codes_of(&source.text);
    let pages: BTreeMap<&str, &TextFile> = texts
        .iter()
        .filter_map(|file| Some((page_code(&file.path)?, file)))
        .collect();
    let mut problems = Vec::new();
    for (code, line) in &codes {
        match pages.get(code) {
            None => problems.push(Problem::at(
                CODES,
                *line,
                format!("{code} has no page {PAGES}{code}.md"),
            )),
            Some(page) => problems.extend(shape(code, page)),
        }
    }
    for (code, page) in &pages {
        if !codes.contains_key(code) {
            problems.push(Problem::new(
                &page.path,
                format!("no code {code} in {CODES}: remove the page or add the code"),
            ));
        }
    }
    problems
}

/// Every `"MS-..."` literal before the tests of the file, with its line.
fn codes_of(text: &str) -> BTreeMap<&str, usize> {
    let text = text.split("#[cfg(test)]").next().unwrap_or(text);
    let literals = text.match_indices("\"MS-").filter_map(|(at, _)| {
        let code = text[at + 1..].split('"').next()?;
        let is_code = code.len() > 3
            && code
                .chars()
                .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '-');
        is_code.then(|| (code, line_of(text, at)))
    });
    literals.collect()
}

fn page_code(path: &str) -> Option<&str> {
    path.strip_prefix(PAGES)?
        .strip_suffix(".md")
        .filter(|name| name.starts_with("MS-"))
}

/// A page begins with its code as the heading and says something below it.
fn shape(code: &str, page: &TextFile) -> Option<Problem> {
    let mut lines = page.text.lines();
    let heading = lines.next().unwrap_or_default();
    let headed = heading
        .strip_prefix("# ")
        .is_some_and(|rest| rest.split([' ', ':']).next() == Some(code));
    if !headed {
        return Some(Problem::at(
            &page.path,
            1,
            format!("the first line must be `# {code}`"),
        ));
    }
    let told = lines.any(|line| !line.trim().is_empty());
    (!told).then(|| Problem::new(&page.path, "says nothing below its heading"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems_of(code: &str, pages: &[(&str, &str)]) -> Vec<String> {
        let mut texts = vec![TextFile::new(CODES, code)];
        texts.extend(
            pages
                .iter()
                .map(|(name, text)| TextFile::new(&format!("{PAGES}{name}.md"), text)),
        );
        check(&texts)
            .into_iter()
            .map(|problem| problem.text)
            .collect()
    }

    #[test]
    fn equal_sets_have_no_problem() {
        let code = "const A: &str = \"MS-NAME-HELD\";\n#[cfg(test)]\nmod tests { const B: &str = \"MS-UNKNOWN\"; }";
        assert!(
            problems_of(
                code,
                &[
                    ("MS-NAME-HELD", "# MS-NAME-HELD\n\nWhy.\n"),
                    ("README", "about\n")
                ]
            )
            .is_empty()
        );
    }

    #[test]
    fn a_code_without_page_and_a_page_without_code_are_refused() {
        let found = problems_of("\"MS-NAME-HELD\"", &[("MS-GONE", "# MS-GONE\n\nWhy.\n")]);
        assert!(found[0].contains("MS-NAME-HELD has no page"), "{found:?}");
        assert!(found[1].contains("no code MS-GONE"), "{found:?}");
    }

    #[test]
    fn a_page_with_another_heading_or_without_text_is_refused() {
        assert!(
            problems_of("\"MS-A-B\"", &[("MS-A-B", "# MS-A\n\nWhy.\n")])[0].contains("first line")
        );
        assert!(
            problems_of("\"MS-A-B\"", &[("MS-A-B", "# MS-A-B\n\n")])[0].contains("says nothing")
        );
    }

    #[test]
    fn a_checkout_without_codes_is_refused() {
        assert!(check(&[])[0].text.contains("is missing"));
    }
}
