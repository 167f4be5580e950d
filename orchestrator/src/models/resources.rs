//! What a task may take of its machine, as Kubernetes writes it: `500m` of a core, `64Mi` of memory.

use mainstay_protocol::json::{Json, Shape};

use crate::fault::{Found, Pointer};
use crate::reader::Reader;

pub(super) const RESOURCES: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];

/// Suffixes, and how many thousandths of one each is.
const UNITS: [(&str, u128); 12] = [
    ("m", 1),
    ("", 1_000),
    ("k", 1_000_000),
    ("M", 1_000_000_000),
    ("G", 1_000_000_000_000),
    ("T", 1_000_000_000_000_000),
    ("P", 1_000_000_000_000_000_000),
    ("Ki", 1_000 << 10),
    ("Mi", 1_000 << 20),
    ("Gi", 1_000 << 30),
    ("Ti", 1_000 << 40),
    ("Pi", 1_000 << 50),
];
/// Digits in front of the point, and behind it.
const DIGITS_MAX: usize = 12;

/// `{cpu: {request?, limit?}, ..}`.
pub(super) fn check(at: &Pointer, resources: &Json, found: &mut Found) {
    let Some(mut reader) = Reader::new(at.clone(), resources, found) else {
        return;
    };
    let all = RESOURCES.map(|key| reader.object(key).map(|amounts| (key, amounts)));
    reader.others();
    for (key, amounts) in all.into_iter().flatten() {
        amount(&at.key(key), &amounts, found);
    }
}

/// `{request?, limit?}`. Nothing said is what the platform has for it.
pub(super) fn amount(at: &Pointer, amounts: &Json, found: &mut Found) {
    let Some(mut reader) = Reader::new(at.clone(), amounts, found) else {
        return;
    };
    let read = ["request", "limit"].map(|key| reader.take(key));
    reader.others();
    let read = read.map(|said| {
        let (at, value) = said?;
        let thousandths = thousandths(&value);
        if thousandths.is_none() {
            let text = format!("{value} is no amount; write a number, as in 2, 500m or 64Mi");
            found.fault(&at, text);
        }
        thousandths
    });
    if let [Some(request), Some(limit)] = read
        && request > limit
    {
        found.fault(&at.key("request"), "is more than the limit");
    }
}

fn thousandths(value: &Json) -> Option<u128> {
    let text = match value.shape() {
        Shape::Text => value.as_text()?,
        Shape::Number => value.as_str().to_owned(),
        _ => return None,
    };
    let number_ends = text.find(|c: char| !c.is_ascii_digit() && c != '.');
    let (number, unit) = text.split_at(number_ends.unwrap_or(text.len()));
    let (_, factor) = UNITS.iter().find(|(suffix, _)| *suffix == unit)?;
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| {
        let fits = (1..=DIGITS_MAX).contains(&text.len());
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        (fits && is_number).then(|| text.parse::<u128>().ok())?
    };
    let behind = 10_u128.checked_pow(u32::try_from(part.len()).ok()?)?;
    let part = digits(part)?.checked_mul(*factor)? / behind;
    digits(whole)?.checked_mul(*factor)?.checked_add(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        let mut found = Found::default();
        let json = Json::parse(text).unwrap();
        check(&Pointer::root(), &json, &mut found);
        found.faults.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn amounts_are_read_as_they_are_written() {
        let of = |text: &str| thousandths(&Json::parse(text).unwrap());
        assert_eq!(of("2"), Some(2_000));
        assert_eq!(of("\"500m\""), Some(500));
        assert_eq!(of("0.5"), Some(500));
        assert_eq!(of("\"64Mi\""), Some(1_000 * 64 * 1024 * 1024));
        assert_eq!(of("\"1.5G\""), Some(1_500_000_000_000));
        for bad in [
            "\"64MB\"",
            "\"\"",
            "\"m\"",
            "-1",
            "\"1.2.3\"",
            "null",
            "\"1e3\"",
            "\".\"",
        ] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_cannot_be_kept_is_a_fault_at_its_place() {
        assert_eq!(
            faults(r#"{"cpu":{},"memory":{"request":"64Mi","limit":"64Mi"}}"#),
            [""; 0]
        );
        assert_eq!(
            faults(r#"{"cpu":{"limit":"many"},"memory":{"request":"2Gi","limit":"1G"}}"#),
            [
                "/cpu/limit: \"many\" is no amount; write a number, as in 2, 500m or 64Mi",
                "/memory/request: is more than the limit",
            ]
        );
    }
}
