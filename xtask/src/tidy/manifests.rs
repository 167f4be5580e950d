//! Dependencies stand once, in the root manifest, with their reason; members only point there and take
//! the workspace's lints. `examples/` are free: a user copies them out of the workspace.

use crate::problem::Problem;
use crate::tree::TextFile;

pub fn check(texts: &[TextFile]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in texts.iter().filter(|file| file.file_name() == "Cargo.toml") {
        match file.path.as_str() {
            "Cargo.toml" => reasons(file, &mut problems),
            path if path.starts_with("examples/") => {}
            _ => inherits(file, &mut problems),
        }
    }
    problems
}

/// One `name = value` of a dependency section; a value may run over several lines.
struct Entry<'a> {
    section: &'a str,
    line: usize,
    above: &'a str,
    text: String,
}

fn entries(text: &str) -> Vec<Entry<'_>> {
    let (mut found, mut section, mut above) = (Vec::<Entry>::new(), "", "");
    let mut open = false;
    for (index, line) in text.lines().enumerate() {
        let trimmed = line.trim();
        if open {
            let last = found.last_mut().expect("an entry is open");
            last.text.push_str(trimmed);
            open = !balanced(&last.text);
        } else if trimmed.starts_with('[') {
            section = trimmed
                .split('#')
                .next()
                .unwrap_or_default()
                .trim()
                .trim_matches(['[', ']']);
        } else if trimmed.contains('=') && !trimmed.starts_with('#') {
            found.push(Entry {
                section,
                line: index + 1,
                above,
                text: trimmed.to_owned(),
            });
            open = !balanced(trimmed);
        }
        above = trimmed;
    }
    found
}

fn balanced(text: &str) -> bool {
    let count = |c: char| text.matches(c).count();
    count('{') == count('}') && count('[') == count(']')
}

fn lists_dependencies(section: &str) -> bool {
    let last = section.rsplit('.').next().unwrap_or(section);
    last.ends_with("dependencies")
}

fn reasons(file: &TextFile, problems: &mut Vec<Problem>) {
    for entry in entries(&file.text) {
        let ours = entry.text.contains("path =") || entry.text.contains("path=");
        let reasoned = entry.above.starts_with('#') || entry.text.contains(" #");
        if entry.section == "workspace.dependencies" && !ours && !reasoned {
            let name = entry.text.split(['=', '.', ' ']).next().unwrap_or_default();
            let text = format!(
                "dependency `{name}` has no reason: add a comment on its line or the one above"
            );
            problems.push(Problem::at(&file.path, entry.line, text));
        }
    }
}

fn inherits(file: &TextFile, problems: &mut Vec<Problem>) {
    let mut takes_lints = false;
    for entry in entries(&file.text) {
        let dense: String = entry.text.split_whitespace().collect();
        takes_lints |= entry.section == "lints" && dense.starts_with("workspace=true");
        takes_lints |= dense.starts_with("lints.workspace=true");
        if entry.section.contains("dependencies.") {
            let text = format!(
                "[{}]: write it as one line with `workspace = true`",
                entry.section
            );
            problems.push(Problem::at(&file.path, entry.line, text));
        } else if lists_dependencies(entry.section) && !dense.contains("workspace=true") {
            let text = format!(
                "`{}`: list it in the root manifest and use `workspace = true`",
                entry.text
            );
            problems.push(Problem::at(&file.path, entry.line, text));
        }
    }
    if !takes_lints {
        problems.push(Problem::new(
            &file.path,
            "does not take the workspace's lints: add `[lints] workspace = true`",
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINTS: &str = "[lints]\nworkspace = true\n";

    fn places(path: &str, text: &str) -> Vec<String> {
        check(&[TextFile::new(path, text)])
            .into_iter()
            .map(|problem| problem.place)
            .collect()
    }

    #[test]
    fn a_reason_stands_on_the_line_or_above_it() {
        let head = "[workspace.dependencies]\n";
        assert!(
            places(
                "Cargo.toml",
                &format!(
                    "{head}a = \"1\" # why\n# why\nb = {{ version = \"1\",\n  features = [] }}\n"
                )
            )
            .is_empty()
        );
        assert!(
            places(
                "Cargo.toml",
                &format!("{head}mainstay-x = {{ path = \"x\" }}\n")
            )
            .is_empty()
        );
        assert_eq!(
            places("Cargo.toml", &format!("{head}a = \"1\" # why\nb = \"1\"\n")),
            ["Cargo.toml:3"]
        );
    }

    #[test]
    fn a_member_that_names_its_own_version_is_refused() {
        let good = format!(
            "[dependencies]\na.workspace = true\nb = {{ workspace = true, features = [\"x\"] }}\n{LINTS}"
        );
        assert!(places("a/Cargo.toml", &good).is_empty());
        assert_eq!(
            places(
                "a/Cargo.toml",
                &format!("[dev-dependencies]\na = \"1\"\n{LINTS}")
            ),
            ["a/Cargo.toml:2"]
        );
        assert_eq!(
            places(
                "a/Cargo.toml",
                &format!("[dependencies.a]\nversion = \"1\"\n{LINTS}")
            ),
            ["a/Cargo.toml:2"]
        );
        let target = format!("[target.'cfg(unix)'.dependencies]\na = \"1\"\n{LINTS}");
        assert_eq!(places("a/Cargo.toml", &target), ["a/Cargo.toml:2"]);
    }

    #[test]
    fn a_member_without_the_workspace_lints_is_refused_and_an_example_is_free() {
        assert_eq!(
            places("a/Cargo.toml", "[package]\nname = \"a\"\n"),
            ["a/Cargo.toml"]
        );
        assert!(places("examples/a/Cargo.toml", "[dependencies]\na = \"1\"\n").is_empty());
    }
}
