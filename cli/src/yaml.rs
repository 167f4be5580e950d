//! YAML as `-o yaml` prints it. Written for machines of every kind: what a reader of YAML 1.1 or 1.2 could take for
//! something else than the text it is (`no`, `1e3`, `2026-01-31`) stands in quotes; keys keep their order.

use serde::Serialize;

/// A document, ending with a newline.
pub fn text<T: Serialize + ?Sized>(value: &T) -> Result<String, serde_json::Error> {
    serde_json::to_string(value).map(|json| of_json(&json))
}

/// Of JSON as `serde_json` writes it.
pub fn of_json(json: &str) -> String {
    let tree = Reader { left: json }.tree();
    let tree = tree.expect("serde_json writes JSON, and without white space");
    let mut out = String::new();
    push(&mut out, &tree, Place::Start, 0);
    out
}

enum Tree {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
}

/// What stands before a value on its line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    Key,
    Dash,
}

fn push(out: &mut String, tree: &Tree, place: Place, indent: usize) {
    match tree {
        Tree::Object(fields) if !fields.is_empty() => {
            for (at, (key, value)) in fields.iter().enumerate() {
                begin(out, place, at, indent);
                out.push_str(&scalar(key));
                out.push(':');
                push(out, value, Place::Key, indent + 2);
            }
        }
        Tree::List(values) if !values.is_empty() => {
            for (at, value) in values.iter().enumerate() {
                begin(out, place, at, indent);
                out.push('-');
                push(out, value, Place::Dash, indent + 2);
            }
        }
        leaf => {
            if place != Place::Start {
                out.push(' ');
            }
            match leaf {
                Tree::Text(text) if is_literal(text) => literal(out, text, indent.max(2)),
                leaf => {
                    out.push_str(&one_line(leaf));
                    out.push('\n');
                }
            }
        }
    }
}

/// The start of one line of several that belong together: the first goes on behind a dash.
fn begin(out: &mut String, place: Place, at: usize, indent: usize) {
    match (place, at) {
        (Place::Dash, 0) => out.push(' '),
        (Place::Key, 0) => {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent));
        }
        (Place::Start | Place::Key | Place::Dash, _) => {
            out.extend(std::iter::repeat_n(' ', indent));
        }
    }
}

fn one_line(leaf: &Tree) -> String {
    match leaf {
        Tree::Null => "null".to_owned(),
        Tree::Bool(yes) => yes.to_string(),
        Tree::Number(number) => number_text(number),
        Tree::Text(text) => scalar(text),
        Tree::List(_) => "[]".to_owned(),
        Tree::Object(_) => "{}".to_owned(),
    }
}

/// With a point and a signed exponent, where there is one: without them YAML 1.1 reads a text.
fn number_text(number: &str) -> String {
    let Some((digits, exponent)) = number.split_once('e') else {
        return number.to_owned();
    };
    let point = if digits.contains('.') { "" } else { ".0" };
    let sign = if exponent.starts_with(['-', '+']) {
        ""
    } else {
        "+"
    };
    format!("{digits}{point}e{sign}{exponent}")
}

fn scalar(text: &str) -> String {
    if is_plain(text) {
        text.to_owned()
    } else {
        quoted(text)
    }
}

/// Words that some reader takes for no text.
const TAKEN: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];

/// Nothing any reader could take for anything else: begins with a letter, and holds no sign of the grammar.
fn is_plain(text: &str) -> bool {
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic());
    let ends = !text.ends_with([' ', ':']);
    let signs = text.chars().all(|c| {
        c.is_ascii_alphanumeric()
            || matches!(
                c,
                '_' | '.' | '/' | '@' | '+' | '-' | ',' | '(' | ')' | '=' | ' ' | ':'
            )
    });
    let taken = TAKEN.iter().any(|word| text.eq_ignore_ascii_case(word));
    begins && ends && signs && !taken && !text.contains(": ")
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_printable(c) => out.push(c),
            c => out.push_str(&match u32::from(c) {
                code @ 0..=0xff => format!("\\x{code:02X}"),
                code @ 0x100..=0xffff => format!("\\u{code:04X}"),
                code => format!("\\U{code:08X}"),
            }),
        }
    }
    out.push('"');
    out
}

/// As YAML has it, without what readers take for the end of a line.
fn is_printable(c: char) -> bool {
    let low = matches!(c, ' '..='~' | '\u{a0}'..='\u{2027}' | '\u{202a}'..='\u{d7ff}');
    let high = matches!(c, '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}' | '\u{10000}'..);
    low || high
}

/// Several lines that can stand as they are.
fn is_literal(text: &str) -> bool {
    let body = text.strip_suffix('\n').unwrap_or(text);
    text.contains('\n')
        && !body.is_empty()
        && !body.starts_with([' ', '\n'])
        && !body.ends_with('\n')
        && body
            .split('\n')
            .all(|line| !line.ends_with(' ') && line.chars().all(is_printable))
}

fn literal(out: &mut String, text: &str, indent: usize) {
    let (mark, body) = match text.strip_suffix('\n') {
        Some(body) => ("|", body),
        None => ("|-", text),
    };
    out.push_str(mark);
    out.push('\n');
    for line in body.split('\n') {
        if !line.is_empty() {
            out.extend(std::iter::repeat_n(' ', indent));
        }
        out.push_str(line);
        out.push('\n');
    }
}

/// Reads what `serde_json` wrote without white space, and keeps what a `Value` would lose: the order of keys, and
/// each number as it is written. None where it is something else.
struct Reader<'a> {
    left: &'a str,
}

impl Reader<'_> {
    fn tree(&mut self) -> Option<Tree> {
        match self.left.chars().next()? {
            '{' => self.object(),
            '[' => self.list(),
            '"' => self.text().map(Tree::Text),
            _ => {
                let end = self.left.find([',', ']', '}']).unwrap_or(self.left.len());
                let (word, left) = self.left.split_at(end);
                self.left = left;
                Some(match word {
                    "null" => Tree::Null,
                    "true" => Tree::Bool(true),
                    "false" => Tree::Bool(false),
                    number => Tree::Number(number.to_owned()),
                })
            }
        }
    }

    fn takes(&mut self, sign: char) -> bool {
        let left = self.left.strip_prefix(sign);
        self.left = left.unwrap_or(self.left);
        left.is_some()
    }

    fn object(&mut self) -> Option<Tree> {
        self.takes('{');
        let mut fields = Vec::new();
        while !self.takes('}') {
            self.takes(',');
            let key = self.text()?;
            self.takes(':').then_some(())?;
            fields.push((key, self.tree()?));
        }
        Some(Tree::Object(fields))
    }

    fn list(&mut self) -> Option<Tree> {
        self.takes('[');
        let mut values = Vec::new();
        while !self.takes(']') {
            self.takes(',');
            values.push(self.tree()?);
        }
        Some(Tree::List(values))
    }

    fn text(&mut self) -> Option<String> {
        // So that the first quote ends nothing.
        let mut escaped = true;
        let end = self.left.char_indices().find(|(_, c)| {
            let ends = *c == '"' && !escaped;
            escaped = *c == '\\' && !escaped;
            ends
        });
        let (text, left) = self.left.split_at(end?.0 + 1);
        self.left = left;
        serde_json::from_str(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use saphyr::{LoadableYamlNode, Scalar, Yaml};
    use serde::Serialize;
    use serde_json::{Map, Value, json};

    use super::*;

    /// What a reader that knows nothing of this writer makes of it.
    fn read(node: &Yaml<'_>) -> Value {
        match node {
            Yaml::Value(Scalar::Null) => Value::Null,
            Yaml::Value(Scalar::Boolean(yes)) => Value::Bool(*yes),
            Yaml::Value(Scalar::Integer(number)) => Value::from(*number),
            Yaml::Value(Scalar::FloatingPoint(number)) => Value::from(number.into_inner()),
            Yaml::Value(Scalar::String(text)) => Value::from(text.as_ref()),
            Yaml::Sequence(values) => values.iter().map(read).collect(),
            Yaml::Mapping(fields) => {
                let field = |(key, value)| match read(key) {
                    Value::String(key) => (key, read(value)),
                    other => panic!("a key that is no text: {other}"),
                };
                Value::Object(fields.iter().map(field).collect::<Map<_, _>>())
            }
            other => panic!("not of JSON: {other:?}"),
        }
    }

    fn back(value: &Value) -> Value {
        let written = text(value).unwrap();
        let documents =
            Yaml::load_from_str(&written).unwrap_or_else(|error| panic!("{error} in:\n{written}"));
        assert_eq!(documents.len(), 1, "{written}");
        read(&documents[0])
    }

    fn tricky() -> impl Strategy<Value = String> {
        prop_oneof![
            prop::sample::select(vec![
                "no",
                "No",
                "on",
                "y",
                "~",
                "null",
                "true",
                "1",
                "0x1",
                "0o7",
                "1_0",
                "1e3",
                ".5",
                ".inf",
                "-",
                "- a",
                "a: b",
                "a #b",
                "#",
                "a:",
                "[a]",
                "{}",
                "*a",
                "&a",
                "!a",
                "%a",
                "@a",
                "`a",
                "|",
                ">",
                "'",
                "\"",
                "2026-01-31",
                "12:30",
                "",
                " ",
                " a",
                "a ",
                "a\nb",
                "a\n",
                "a\n\n",
                "\na",
                " a\nb",
                "a\n  b\n\nc\n",
                "a \nb",
                "a\tb\nc",
                "a\r\nb",
                "---",
                "---\na",
                "...",
                "? a",
                "=",
                "<<",
                "ä",
                "\u{85}",
                "\u{2028}",
                "\u{feff}",
                "\u{0}",
                "\u{1f600}",
                "a\n#b",
                "a\n- b\nc: d",
            ])
            .prop_map(str::to_owned),
            any::<String>(),
            "[a-z \\n:#-]{0,12}",
        ]
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>()
                .prop_filter("JSON has it", |n| n.is_finite())
                .prop_map(Value::from),
            tricky().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((tricky(), inner), 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whatever_is_written_reads_back_as_the_same_json(value in any_json()) {
            prop_assert_eq!(back(&value), value);
        }
    }

    #[derive(Serialize)]
    struct Sample {
        name: &'static str,
        answer: &'static str,
        evidence: &'static str,
        numbers: Vec<f64>,
        nothing: Vec<u8>,
        nested: serde_json::Value,
    }

    #[test]
    fn a_document_keeps_its_order_and_quotes_what_could_be_something_else() {
        let sample = Sample {
            name: "greeter@n1",
            answer: "no",
            evidence: "boom: it\n  broke\n\nhere",
            numbers: vec![1.0, -2.5],
            nothing: Vec::new(),
            nested: json!([{"a": null, "b": "1"}, [true], {}, "a: b"]),
        };
        assert_eq!(
            text(&sample).unwrap(),
            "\
name: greeter@n1
answer: \"no\"
evidence: |-
  boom: it
    broke

  here
numbers:
  - 1.0
  - -2.5
nothing: []
nested:
  - a: null
    b: \"1\"
  - - true
  - {}
  - \"a: b\"
"
        );
    }
}
