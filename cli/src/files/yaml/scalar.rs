//! What a scalar means: the core schema of YAML 1.2. What earlier versions or other programs read differently, and what
//! could be meant two ways, is refused with how to write it.

use saphyr_parser::{ScalarStyle, Tag};
use serde_json::Number;

use crate::files::tree::Value;

pub fn value(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Value, String> {
    let plain = style == ScalarStyle::Plain;
    match tag {
        None if plain => of_plain(text),
        None => Ok(Value::Text(text.to_owned())),
        // A lone `!` makes a text of whatever follows.
        Some(tag) if tag.suffix.is_empty() || is_core(tag, "str") => {
            Ok(Value::Text(text.to_owned()))
        }
        Some(tag) => {
            let value = of_plain(text)?;
            let fits = match &value {
                Value::Null => is_core(tag, "null"),
                Value::Bool(_) => is_core(tag, "bool"),
                Value::Number(number) => {
                    is_core(tag, "float") || (is_core(tag, "int") && !number.is_f64())
                }
                Value::Text(_) | Value::List(_) | Value::Fields(_) | Value::Bad => false,
            };
            match fits {
                true => Ok(value),
                false => Err(no_such_tag(tag)),
            }
        }
    }
}

fn is_core(tag: &Tag, suffix: &str) -> bool {
    tag.is_yaml_core_schema() && tag.suffix == suffix
}

pub fn no_such_tag(tag: &Tag) -> String {
    match tag.is_yaml_core_schema() {
        true => format!("the tag !!{} does not fit this value", tag.suffix),
        false => format!("tags such as {tag} are not taken"),
    }
}

fn of_plain(text: &str) -> Result<Value, String> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Value::Null),
        "true" | "True" | "TRUE" => return Ok(Value::Bool(true)),
        "false" | "False" | "FALSE" => return Ok(Value::Bool(false)),
        _ => {}
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if let Some(digits) = text.strip_prefix("0x") {
        return radix(text, digits, 16);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return radix(text, digits, 8);
    }
    if is_digits(unsigned) {
        return whole(text, unsigned);
    }
    if is_float(unsigned) {
        return real(text);
    }
    if [".inf", ".Inf", ".INF", ".nan", ".NaN", ".NAN"].contains(&unsigned) {
        return Err(format!("{text} is no number that can be kept"));
    }
    Ok(Value::Text(text.to_owned()))
}

fn radix(text: &str, digits: &str, radix: u32) -> Result<Value, String> {
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return Ok(Value::Text(text.to_owned()));
    }
    u64::from_str_radix(digits, radix)
        .map(|number| Value::Number(number.into()))
        .map_err(|_| too_large(text))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn whole(text: &str, unsigned: &str) -> Result<Value, String> {
    if unsigned.len() > 1 && unsigned.starts_with('0') {
        let digits = unsigned.trim_start_matches('0');
        let decimal = if digits.is_empty() { "0" } else { digits };
        return Err(format!(
            "{text} is octal to some programs and decimal to others: write {decimal}, 0o{decimal}, or \"{text}\" if it is a text"
        ));
    }
    let text = text.strip_prefix('+').unwrap_or(text);
    text.parse::<u64>()
        .map(Number::from)
        .or_else(|_| text.parse::<i64>().map(Number::from))
        .map(Value::Number)
        .map_err(|_| too_large(text))
}

/// Digits with a point or an exponent, in the form of the core schema.
fn is_float(unsigned: &str) -> bool {
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let mantissa_fits = match mantissa.split_once('.') {
        Some((whole, part)) => {
            let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
            digits(whole) && digits(part) && !(whole.is_empty() && part.is_empty())
        }
        None => is_digits(mantissa),
    };
    let exponent_fits =
        exponent.is_none_or(|digits| is_digits(digits.strip_prefix(['-', '+']).unwrap_or(digits)));
    mantissa_fits && exponent_fits
}

fn real(text: &str) -> Result<Value, String> {
    text.parse::<f64>()
        .ok()
        .and_then(Number::from_f64)
        .map(Value::Number)
        .ok_or_else(|| too_large(text))
}

fn too_large(text: &str) -> String {
    format!("the number {text} is too large")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn plain_scalars_are_read_by_the_core_schema_of_1_2() {
        for (text, expected) in [
            ("", json!(null)),
            ("~", json!(null)),
            ("no", json!("no")),
            ("on", json!("on")),
            ("y", json!("y")),
            ("1:30", json!("1:30")),
            ("1_000", json!("1_000")),
            ("TRUE", json!(true)),
            ("-7", json!(-7)),
            ("+7", json!(7)),
            ("18446744073709551615", json!(u64::MAX)),
            ("0x1F", json!(31)),
            ("0o17", json!(15)),
            ("0xyz", json!("0xyz")),
            ("1.5", json!(1.5)),
            (".5", json!(0.5)),
            ("1e3", json!(1000.0)),
            (".", json!(".")),
            ("1.2.3", json!("1.2.3")),
            ("10m", json!("10m")),
            ("0", json!(0)),
        ] {
            let value = value(text, ScalarStyle::Plain, None).unwrap();
            let node = crate::files::tree::Node::new(crate::files::tree::Place::START, value);
            assert_eq!(node.json(), expected, "{text}");
        }
    }

    #[test]
    fn what_could_be_meant_two_ways_or_kept_in_none_is_refused() {
        for (text, said) in [
            ("0777", "write 777, 0o777, or \"0777\""),
            ("00", "write 0, 0o0"),
            (".inf", "no number"),
            ("-.NaN", "no number"),
            ("1e999", "too large"),
            ("99999999999999999999", "too large"),
            ("0xfffffffffffffffff", "too large"),
        ] {
            let why = value(text, ScalarStyle::Plain, None).unwrap_err();
            assert!(why.contains(said), "{text}: {why}");
        }
        let quoted = value("0777", ScalarStyle::DoubleQuoted, None).unwrap();
        assert_eq!(quoted, Value::Text("0777".to_owned()));
    }
}
