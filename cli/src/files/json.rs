//! JSON as it is specified, no dialect: one object, or an array of them.

use jsonc_parser::ast::Value as Ast;
use jsonc_parser::common::Ranged;
use jsonc_parser::errors::ParseError;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};
use mainstay_protocol::limits;
use serde_json::Number;

use super::fault::Faults;
use super::tree::{FieldsOf, Lines, Node, Value};

const STRICT: ParseOptions = ParseOptions {
    allow_comments: false,
    allow_loose_object_property_names: false,
    allow_trailing_commas: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

/// The documents of a text.
pub fn read(text: &str, faults: &mut Faults) -> Vec<Node> {
    let lines = Lines::new(text);
    let parsed = parse_to_ast(text, &CollectOptions::default(), &STRICT);
    let value = match parsed {
        Ok(parsed) => parsed.value,
        Err(error) => {
            let at = lines.place(error.range().start);
            faults.add(at, format!("this is not JSON: {}", lowered(&error)));
            return Vec::new();
        }
    };
    let mut reader = Reader { lines, faults };
    match value {
        None => Vec::new(),
        Some(Ast::Array(array)) => array
            .elements
            .iter()
            .map(|element| reader.node(element, 1))
            .collect(),
        Some(value) => vec![reader.node(&value, 0)],
    }
}

fn lowered(error: &ParseError) -> String {
    let text = error.kind().to_string();
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => first.to_lowercase().chain(characters).collect(),
        None => text,
    }
}

struct Reader<'t, 'f> {
    lines: Lines<'t>,
    faults: &'f mut Faults,
}

impl Reader<'_, '_> {
    fn node(&mut self, ast: &Ast<'_>, depth: usize) -> Node {
        let at = self.lines.place(ast.range().start);
        if depth > limits::FILE_DEPTH_MAX {
            self.faults.add(at, super::tree::too_deep());
            return Node::new(at, Value::Bad);
        }
        let value = match ast {
            Ast::NullKeyword(_) => Value::Null,
            Ast::BooleanLit(literal) => Value::Bool(literal.value),
            Ast::StringLit(literal) => Value::Text(literal.value.to_string()),
            Ast::NumberLit(literal) => match literal.value.parse::<Number>() {
                Ok(number) => Value::Number(number),
                Err(_) => {
                    let why = format!("the number {} is too large", literal.value);
                    self.faults.add(at, why);
                    Value::Bad
                }
            },
            Ast::Array(array) => Value::List(
                array
                    .elements
                    .iter()
                    .map(|element| self.node(element, depth + 1))
                    .collect(),
            ),
            Ast::Object(object) => {
                let mut fields = FieldsOf::default();
                for property in &object.properties {
                    let key = property.name.as_str().to_owned();
                    let place = self.lines.place(property.range().start);
                    let node = self.node(&property.value, depth + 1);
                    if let Err((key, first)) = fields.add(key, place, node) {
                        self.faults.add(place, super::tree::twice(&key, first));
                    }
                }
                fields.done()
            }
        };
        Node::new(at, value)
    }
}
