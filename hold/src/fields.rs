//! The one text form of everything here: `key=value`, a field per line in files, a field per word on the socket.
//!
//! Values are percent-escaped, so that a field holds any text and a line is always one line. Keys may repeat.

use std::fmt::{self, Display, Write};
use std::str::FromStr;

/// Why a text is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadFields(pub String);

impl Display for BadFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadFields {}

/// Fields in the order in which they were written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    pub fn new() -> Self {
        Self::default()
    }

    #[must_use]
    pub fn with(mut self, key: &str, value: impl Display) -> Self {
        self.push(key, value);
        self
    }

    pub fn push(&mut self, key: &str, value: impl Display) {
        self.0.push((key.to_owned(), value.to_string()));
    }

    pub fn push_some(&mut self, key: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.push(key, value);
        }
    }

    pub fn get(&self, key: &str) -> Option<&str> {
        let mut values = self.0.iter().filter(|(name, _)| name == key);
        values.next().map(|(_, value)| value.as_str())
    }

    pub fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }

    pub fn text(&self, key: &str) -> Result<String, BadFields> {
        self.get(key)
            .map(str::to_owned)
            .ok_or_else(|| BadFields(format!("the field {key} is missing")))
    }

    pub fn number<T: FromStr>(&self, key: &str) -> Result<T, BadFields> {
        self.number_if_any(key)?
            .ok_or_else(|| BadFields(format!("the field {key} is missing")))
    }

    pub fn number_if_any<T: FromStr>(&self, key: &str) -> Result<Option<T>, BadFields> {
        let parse = |text: &str| {
            text.parse()
                .map_err(|_| BadFields(format!("{key} is \"{text}\", which is no such number")))
        };
        self.get(key).map(parse).transpose()
    }

    /// A field per line.
    pub fn to_file(&self) -> String {
        let mut text = String::new();
        for (key, value) in &self.0 {
            text.push_str(key);
            text.push('=');
            escape(value, &mut text);
            text.push('\n');
        }
        text
    }

    pub fn from_file(text: &str) -> Result<Self, BadFields> {
        text.lines()
            .filter(|line| !line.is_empty())
            .map(field)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// A word, then a field per word; without the line's end.
    pub fn to_line(&self, word: &str) -> String {
        let mut text = word.to_owned();
        for (key, value) in &self.0 {
            text.push(' ');
            text.push_str(key);
            text.push('=');
            escape(value, &mut text);
        }
        text
    }

    pub fn from_line(line: &str) -> Result<(&str, Self), BadFields> {
        let mut words = line.split_ascii_whitespace();
        let word = words
            .next()
            .ok_or_else(|| BadFields("an empty line".to_owned()))?;
        let fields = words.map(field).collect::<Result<_, _>>()?;
        Ok((word, Self(fields)))
    }
}

fn field(text: &str) -> Result<(String, String), BadFields> {
    let (key, value) = text
        .split_once('=')
        .ok_or_else(|| BadFields(format!("\"{text}\" is no field: key=value is one")))?;
    Ok((key.to_owned(), unescape(value)?))
}

fn escape(value: &str, text: &mut String) {
    for c in value.chars() {
        if c.is_control() || c.is_whitespace() || c == '%' {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                write!(text, "%{byte:02x}").expect("a String takes everything");
            }
        } else {
            text.push(c);
        }
    }
}

fn unescape(value: &str) -> Result<String, BadFields> {
    let bad = || BadFields(format!("\"{value}\" is not escaped as it should be"));
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || {
                let digit = rest.next().map(char::from)?.to_digit(16)?;
                u8::try_from(digit).ok()
            };
            let (high, low) = (digit().ok_or_else(bad)?, digit().ok_or_else(bad)?);
            bytes.push(high * 16 + low);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_comes_back_from_a_file_and_from_a_line() {
        let values = [
            "",
            "a b",
            "x=y",
            "50 %\n\ttail\0",
            "ä\u{85}\u{2028}ö",
            "%41",
        ];
        let mut fields = Fields::new().with("n", 7);
        for value in values {
            fields.push("v", value);
        }
        let file = fields.to_file();
        assert_eq!(file.lines().count(), 1 + values.len());
        assert_eq!(Fields::from_file(&file).unwrap(), fields);
        let line = fields.to_line("exit");
        assert_eq!(line.lines().count(), 1);
        let (word, read) = Fields::from_line(&line).unwrap();
        assert_eq!((word, &read), ("exit", &fields));
        assert_eq!(read.all("v").collect::<Vec<_>>(), values);
        assert_eq!(read.number::<u8>("n"), Ok(7));
    }

    #[test]
    fn what_is_no_field_is_named() {
        for (line, word) in [
            ("", "empty"),
            ("stop now", "\"now\""),
            ("stop a=%4", "escaped"),
            ("stop a=%ff", "escaped"),
        ] {
            let error = Fields::from_line(line).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
        let fields = Fields::new().with("pid", "x");
        assert!(fields.number::<u32>("pid").unwrap_err().0.contains("\"x\""));
        assert!(fields.text("gone").unwrap_err().0.contains("gone"));
    }
}
