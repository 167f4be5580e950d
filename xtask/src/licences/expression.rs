//! SPDX licence expressions: can this one be met with the licences we allow?
//!
//! `expression := all (OR all)*`, `all := term (AND term)*`, `term := ( expression ) | id [WITH exception]`;
//! the old `MIT/Apache-2.0` means OR.

/// `Err` only for text that is no expression.
pub fn satisfiable(expression: &str, allowed: &[&str]) -> Result<bool, String> {
    let spaced = expression
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace('/', " OR ");
    let mut reader = Reader {
        words: spaced.split_whitespace().collect(),
        at: 0,
        allowed,
    };
    let verdict = reader.any()?;
    match reader.peek() {
        None => Ok(verdict),
        Some(word) => Err(format!("`{word}` is unexpected")),
    }
}

struct Reader<'a> {
    words: Vec<&'a str>,
    at: usize,
    allowed: &'a [&'a str],
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.words.get(self.at).copied()
    }

    fn take(&mut self, word: &str) -> bool {
        let there = self.peek() == Some(word);
        self.at += usize::from(there);
        there
    }

    fn any(&mut self) -> Result<bool, String> {
        let mut met = self.all()?;
        while self.take("OR") {
            met |= self.all()?;
        }
        Ok(met)
    }

    fn all(&mut self) -> Result<bool, String> {
        let mut met = self.term()?;
        while self.take("AND") {
            met &= self.term()?;
        }
        Ok(met)
    }

    fn term(&mut self) -> Result<bool, String> {
        if self.take("(") {
            let met = self.any()?;
            return if self.take(")") {
                Ok(met)
            } else {
                Err("a bracket is not closed".into())
            };
        }
        let id = self.identifier()?;
        if self.take("WITH") {
            let exception = self.identifier()?;
            return Ok(self
                .allowed
                .contains(&format!("{id} WITH {exception}").as_str()));
        }
        Ok(self.allowed.contains(&id))
    }

    fn identifier(&mut self) -> Result<&'a str, String> {
        match self.peek() {
            None => Err("it ends too early".into()),
            Some(word @ ("OR" | "AND" | "WITH" | "(" | ")")) => {
                Err(format!("`{word}` is unexpected"))
            }
            Some(word) => {
                self.at += 1;
                Ok(word)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOWED: [&str; 3] = ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"];

    #[test]
    fn one_allowed_side_of_or_is_enough_and_and_needs_both() {
        let met = |text: &str| satisfiable(text, &ALLOWED).expect(text);
        assert!(met("MIT"));
        assert!(met("GPL-2.0-only OR MIT"));
        assert!(met("MIT/GPL-2.0-only"));
        assert!(!met("MIT AND GPL-2.0-only"));
        assert!(met("(MIT OR GPL-2.0-only) AND Apache-2.0"));
        assert!(!met("MIT AND (GPL-2.0-only OR GPL-3.0-only)"));
    }

    #[test]
    fn an_exception_is_allowed_with_its_licence_only() {
        assert_eq!(
            satisfiable("Apache-2.0 WITH LLVM-exception", &ALLOWED),
            Ok(true)
        );
        assert_eq!(satisfiable("MIT WITH LLVM-exception", &ALLOWED), Ok(false));
    }

    #[test]
    fn text_that_is_no_expression_is_an_error() {
        for text in ["", "MIT OR", "(MIT", "MIT Apache-2.0", "AND MIT", "MIT)"] {
            assert!(satisfiable(text, &ALLOWED).is_err(), "{text}");
        }
    }
}
