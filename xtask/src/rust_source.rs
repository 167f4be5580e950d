//! Just enough reading of Rust to check style: code with comments and literals blanked out, function
//! bodies, test regions, imports. A real parser was rejected: it would be xtask's heaviest dependency.

/// A function with a body; `lines` counts from the `fn` keyword to the closing brace.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    pub name: String,
    pub line: usize,
    pub lines: usize,
}

/// The text with every comment and literal replaced by spaces; lines stay where they are.
pub fn code_only(text: &str) -> String {
    Blanker {
        chars: text.chars().collect(),
        at: 0,
        out: String::with_capacity(text.len()),
    }
    .run()
}

struct Blanker {
    chars: Vec<char>,
    at: usize,
    out: String,
}

impl Blanker {
    fn run(mut self) -> String {
        while let Some(c) = self.peek(0) {
            match c {
                '/' if self.peek(1) == Some('/') => self.blank_line_comment(),
                '/' if self.peek(1) == Some('*') => self.blank_block_comment(),
                '"' => self.blank_string(),
                'r' if self.raw_hashes().is_some() => self.blank_raw_string(),
                '\'' if self.peek(1) == Some('\\') || self.peek(2) == Some('\'') => {
                    self.blank_char()
                }
                _ => self.keep(),
            }
        }
        self.out
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn keep(&mut self) {
        self.out.extend(self.peek(0));
        self.at += 1;
    }

    fn blank(&mut self, count: usize) {
        for _ in 0..count {
            match self.peek(0) {
                Some('\n') => self.out.push('\n'),
                Some(_) => self.out.push(' '),
                None => return,
            }
            self.at += 1;
        }
    }

    fn blank_line_comment(&mut self) {
        while self.peek(0).is_some_and(|c| c != '\n') {
            self.blank(1);
        }
    }

    fn blank_block_comment(&mut self) {
        let mut depth = 0;
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some('/'), Some('*')) => {
                    depth += 1;
                    self.blank(2);
                }
                (Some('*'), Some('/')) => {
                    depth -= 1;
                    self.blank(2);
                }
                (Some(_), _) => self.blank(1),
                (None, _) => return,
            }
            if depth == 0 {
                return;
            }
        }
    }

    fn blank_string(&mut self) {
        self.blank(1);
        while let Some(c) = self.peek(0) {
            self.blank(if c == '\\' { 2 } else { 1 });
            if c == '"' {
                return;
            }
        }
    }

    /// Number of hashes when a raw string (`r"`, `br#"`, ..) starts here; `r#name` and `her"` are not one.
    fn raw_hashes(&self) -> Option<usize> {
        let before = self.at.checked_sub(1).and_then(|at| self.chars.get(at));
        let before_that = self.at.checked_sub(2).and_then(|at| self.chars.get(at));
        let word = |c: Option<&char>| c.is_some_and(|c| c.is_alphanumeric() || *c == '_');
        let prefixed = matches!(before, Some('b' | 'c')) && !word(before_that);
        if word(before) && !prefixed {
            return None;
        }
        let hashes = self.chars[self.at + 1..]
            .iter()
            .take_while(|c| **c == '#')
            .count();
        (self.peek(1 + hashes) == Some('"')).then_some(hashes)
    }

    fn blank_raw_string(&mut self) {
        let hashes = self
            .raw_hashes()
            .expect("called only where a raw string starts");
        self.blank(2 + hashes);
        while let Some(c) = self.peek(0) {
            let closes = c == '"' && (1..=hashes).all(|ahead| self.peek(ahead) == Some('#'));
            self.blank(if closes { 1 + hashes } else { 1 });
            if closes {
                return;
            }
        }
    }

    fn blank_char(&mut self) {
        self.blank(if self.peek(1) == Some('\\') { 3 } else { 2 });
        while self.peek(0).is_some_and(|c| c != '\'' && c != '\n') {
            self.blank(1);
        }
        self.blank(1);
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Byte positions of `needle` in `code` where it is not the tail of a longer identifier.
pub fn positions<'a>(code: &'a str, needle: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(needle)
        .map(|(at, _)| at)
        .filter(move |at| {
            let joined = needle.starts_with(is_word) && code[..*at].ends_with(is_word);
            let runs_on =
                needle.ends_with(is_word) && code[at + needle.len()..].starts_with(is_word);
            !joined && !runs_on
        })
}

/// The 1-based line of a byte position.
pub fn line_of(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}

/// Where the item that starts at `from` opens its block and where that block ends; `None` for items without one.
fn block_after(code: &str, from: usize) -> Option<(usize, usize)> {
    let mut nesting = 0_i32;
    for (offset, c) in code[from..].char_indices() {
        match c {
            '(' | '[' => nesting += 1,
            ')' | ']' => nesting -= 1,
            ';' if nesting == 0 => return None,
            '{' if nesting == 0 => return Some((from + offset, block_end(code, from + offset)?)),
            _ => {}
        }
    }
    None
}

fn block_end(code: &str, open: usize) -> Option<usize> {
    let mut depth = 0_i32;
    for (offset, c) in code[open..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(open + offset);
        }
    }
    None
}

/// Every function with a body in blanked code.
pub fn functions(code: &str) -> Vec<Function> {
    let mut found = Vec::new();
    for at in positions(code, "fn") {
        let rest = code[at + 2..].trim_start();
        let name: String = rest.chars().take_while(|c| is_word(*c)).collect();
        if name.is_empty() {
            continue;
        }
        if let Some((_, end)) = block_after(code, at + 2) {
            let line = line_of(code, at);
            found.push(Function {
                name,
                line,
                lines: line_of(code, end) - line + 1,
            });
        }
    }
    found
}

/// Inclusive line ranges of the items marked `#[cfg(test)]` in blanked code.
pub fn test_regions(code: &str) -> Vec<(usize, usize)> {
    let marker = "#[cfg(test)]";
    let mut regions = Vec::new();
    for (at, _) in code.match_indices(marker) {
        let start = line_of(code, at);
        let end =
            block_after(code, at + marker.len()).map_or(start + 1, |(_, end)| line_of(code, end));
        regions.push((start, end));
    }
    regions
}

/// Every path a `use` brings in, with its line; groups are spelled out: `std::{fs, thread}` gives two.
pub fn imports(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for at in positions(code, "use") {
        let Some(end) = code[at..].find(';') else {
            continue;
        };
        let tree: String = code[at + 3..at + end]
            .replace(" as ", "@")
            .split_whitespace()
            .collect();
        let mut paths = Vec::new();
        expand(&tree, "", &mut paths);
        let line = line_of(code, at);
        found.extend(paths.into_iter().map(|path| (line, path)));
    }
    found
}

fn expand(tree: &str, prefix: &str, paths: &mut Vec<String>) {
    let Some(open) = tree.find('{') else {
        paths.push(format!(
            "{prefix}{}",
            tree.split('@').next().unwrap_or(tree)
        ));
        return;
    };
    let inner = tree[open + 1..]
        .strip_suffix('}')
        .unwrap_or(&tree[open + 1..]);
    let prefix = format!("{prefix}{}", &tree[..open]);
    let (mut depth, mut start) = (0_i32, 0);
    for (at, c) in inner.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                expand(&inner[start..at], &prefix, paths);
                start = at + 1;
            }
            _ => {}
        }
    }
    if start < inner.len() {
        expand(&inner[start..], &prefix, paths);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked_and_lines_kept() {
        let text =
            "a /* x /* y */ z\n */ b // c\n\"s\\\"{\" 'q' '\\'' 'life r#\"raw\" {\"# r#type end";
        let code = code_only(text);
        assert_eq!(code.lines().count(), text.lines().count());
        let words: Vec<&str> = code.split_whitespace().collect();
        assert_eq!(words, ["a", "b", "'life", "r#type", "end"]);
    }

    #[test]
    fn functions_are_measured_from_keyword_to_brace() {
        let code = code_only(
            "trait T { fn none(&self) -> [u8; 4]; }\nfn two(a: fn(u8)) {\n  let s = \"}\";\n}\n",
        );
        assert_eq!(
            functions(&code),
            [Function {
                name: "two".into(),
                line: 2,
                lines: 3
            }]
        );
    }

    #[test]
    fn a_test_module_is_a_region_and_the_code_around_it_is_not() {
        let code = code_only("fn a() {}\n#[cfg(test)]\nmod tests {\n  fn b() {}\n}\nfn c() {}\n");
        assert_eq!(test_regions(&code), [(2, 5)]);
    }

    #[test]
    fn grouped_imports_are_spelled_out() {
        let code = code_only("use std::{fs, time::{Duration, Instant as Now}};\nuse a::b;\n");
        let paths: Vec<String> = imports(&code).into_iter().map(|(_, path)| path).collect();
        assert_eq!(
            paths,
            [
                "std::fs",
                "std::time::Duration",
                "std::time::Instant",
                "a::b"
            ]
        );
    }

    #[test]
    fn a_longer_identifier_is_not_a_hit() {
        let code = "my_channel(); channel();";
        assert_eq!(positions(code, "channel(").collect::<Vec<_>>(), [14]);
    }
}
