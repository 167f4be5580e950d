//! Text of others made safe for a terminal; ages as people read them.

use std::time::{Duration, SystemTime};

use mainstay_api::Time;
pub use mainstay_api::time::span;
use mainstay_protocol::Json;
use mainstay_protocol::json::Shape;

/// On one line, without control characters: evidence and replies must not steer the terminal.
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for part in text.split(['\n', '\r']) {
        let part = part.trim();
        if part.is_empty() {
            continue;
        }
        if !line.is_empty() {
            line.push_str(" / ");
        }
        line.extend(part.chars().filter(|c| !c.is_control()));
    }
    line
}

/// Several lines kept as they are, other control characters dropped.
pub fn printable(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control() || matches!(c, '\n' | '\t'))
        .collect()
}

/// How long ago, in the two largest units: `4m10s`.
pub fn age(since: Duration) -> String {
    let seconds = since.as_secs();
    match seconds {
        0 => format!("{}ms", since.as_millis()),
        1..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// From a moment until now, or from now until a moment to come.
pub fn age_of(time: Time) -> String {
    let now = SystemTime::now();
    match now.duration_since(time.system()) {
        Ok(ago) => age(ago),
        Err(ahead) => format!("in {}", age(ahead.duration())),
    }
}

/// Bytes in the unit that reads best: `3.4 MiB`.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut tenths = u128::from(count) * 10 / 1024;
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// JSON with a member on each line, its numbers as they were written.
pub fn laid_out(json: &Json) -> String {
    fn below(json: &Json, indent: &str) -> String {
        let deeper = format!("{indent}  ");
        let (open, parts, close) = match json.shape() {
            Shape::Object => {
                let members = json.members().into_iter();
                let part = |(key, value): (String, Json)| {
                    format!("{}: {}", Json::text(&key), below(&value, &deeper))
                };
                ('{', members.map(part).collect::<Vec<_>>(), '}')
            }
            Shape::Array => {
                let items = json.items().into_iter();
                ('[', items.map(|item| below(&item, &deeper)).collect(), ']')
            }
            Shape::Null | Shape::Bool | Shape::Number | Shape::Text => return json.to_string(),
        };
        if parts.is_empty() {
            return json.to_string();
        }
        let parts = parts.join(&format!(",\n{deeper}"));
        format!("{open}\n{deeper}{parts}\n{indent}{close}")
    }
    below(json, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_becomes_one_line_without_control_characters() {
        assert_eq!(one_line("a\n\n  b\r\n\u{1b}[2Jc\u{7}"), "a / b / [2Jc");
        assert_eq!(printable("a\n\u{1b}b\tc"), "a\nb\tc");
    }

    #[test]
    fn bytes_read_in_the_unit_that_fits() {
        let texts = [1000, 1024, 3_565_158, 5 << 30, 2000 << 40].map(bytes);
        assert_eq!(
            texts,
            ["1000 B", "1.0 KiB", "3.3 MiB", "5.0 GiB", "2000.0 TiB"]
        );
    }

    #[test]
    fn ages_show_their_two_largest_units() {
        let shown = |seconds| age(Duration::from_secs(seconds));
        assert_eq!(age(Duration::from_millis(12)), "12ms");
        assert_eq!(
            [shown(59), shown(250), shown(7260), shown(90_000)],
            ["59s", "4m10s", "2h01m", "1d01h"]
        );
    }

    #[test]
    fn what_is_laid_out_is_the_same_json() {
        for text in [
            "{}",
            "[]",
            r#"{"a":[1,{"b":"x{,\"}:["},[]],"big":123456789012345678901234567890}"#,
        ] {
            let json = Json::parse(text).unwrap();
            assert_eq!(Json::parse(&laid_out(&json)), Ok(json));
        }
        let json = Json::parse(r#"{"a":[1,{}]}"#).unwrap();
        assert_eq!(laid_out(&json), "{\n  \"a\": [\n    1,\n    {}\n  ]\n}");
    }
}
