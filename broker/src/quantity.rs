//! Amounts as people write them: `2`, `0.5`, `500m` of cores; `256MiB`, `4GB` of memory and disk.

use mainstay_protocol::limits;
use mainstay_protocol::room::BYTE_UNITS;
use thiserror::Error;

/// Why a text is no amount.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadQuantity {
    #[error("\"{0}\" is no number of cores: write 2, 0.5 or 500m")]
    Cores(String),
    #[error("\"{0}\" is finer than a thousandth of a core: write 0.5 or 500m")]
    TooFine(String),
    #[error(
        "\"{0}\" is no number of bytes: write a whole number with its unit, as in 512MiB, 4GiB or 20GB"
    )]
    Bytes(String),
    #[error("\"{text}\" is more than {max}")]
    TooMuch { text: String, max: String },
}

const DECIMAL_UNITS: [(&str, u64); 5] = [
    ("PB", 1_000_000_000_000_000),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
];

/// Thousandths of cores.
pub fn millicores(text: &str) -> Result<u64, BadQuantity> {
    let bad = || BadQuantity::Cores(text.to_owned());
    let amount = match text.strip_suffix('m') {
        Some(thousandths) => digits(thousandths),
        None => match text.split_once('.') {
            None => digits(text).and_then(|cores| cores.checked_mul(1000)),
            Some((whole, part)) => {
                let (whole, part_digits) = (digits(whole), digits(part));
                let (Some(whole), Some(_)) = (whole, part_digits) else {
                    return Err(bad());
                };
                let part = part.trim_end_matches('0');
                if part.len() > 3 {
                    return Err(BadQuantity::TooFine(text.to_owned()));
                }
                let part = digits(&format!("{part:0<3}"));
                let whole = whole.checked_mul(1000);
                whole
                    .zip(part)
                    .and_then(|(whole, part)| whole.checked_add(part))
            }
        },
    };
    let max = limits::MILLICORES_MAX;
    within(
        text,
        amount.ok_or_else(bad)?,
        max,
        &(max / 1000).to_string(),
    )
}

/// Bytes. Without a unit it is a slip of the pen more often than a number of bytes.
pub fn bytes(text: &str) -> Result<u64, BadQuantity> {
    let bad = || BadQuantity::Bytes(text.to_owned());
    let binary = BYTE_UNITS
        .iter()
        .map(|(unit, shift)| (*unit, 1u64 << shift));
    let units = binary.chain(DECIMAL_UNITS).chain([("B", 1)]);
    let mut read = units.filter_map(|(unit, factor)| {
        let number = text.strip_suffix(unit)?.trim_end();
        Some((digits(number)?, factor))
    });
    let (number, factor) = match (read.next(), text) {
        (Some(found), _) => found,
        (None, "0") => (0, 1),
        (None, _) => return Err(bad()),
    };
    let amount = number.saturating_mul(factor);
    within(text, amount, limits::ROOM_BYTES_MAX, "1PiB")
}

fn within(text: &str, amount: u64, most: u64, max: &str) -> Result<u64, BadQuantity> {
    match amount <= most {
        true => Ok(amount),
        false => Err(BadQuantity::TooMuch {
            text: text.to_owned(),
            max: max.to_owned(),
        }),
    }
}

/// Digits and nothing else: no sign, no space.
fn digits(text: &str) -> Option<u64> {
    let all = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    all.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use mainstay_protocol::room::{Bytes, Millicores};

    use super::*;

    #[test]
    fn amounts_are_read_as_they_are_written() {
        for (text, amount) in [
            ("2", 2000),
            ("0.5", 500),
            ("500m", 500),
            ("1.25", 1250),
            ("0", 0),
            ("1.500", 1500),
        ] {
            assert_eq!(millicores(text), Ok(amount), "{text}");
            assert_eq!(millicores(&Millicores(amount).to_string()), Ok(amount));
        }
        for (text, amount) in [
            ("256MiB", 256 << 20),
            ("4 GiB", 4 << 30),
            ("20GB", 20_000_000_000),
            ("1500B", 1500),
            ("0", 0),
            ("1PiB", 1 << 50),
        ] {
            assert_eq!(bytes(text), Ok(amount), "{text}");
            assert_eq!(bytes(&Bytes(amount).to_string()), Ok(amount));
        }
    }

    #[test]
    fn what_is_no_amount_says_what_was_written_and_how_to_write_one() {
        for text in [
            "",
            "m",
            "-1",
            "two",
            "1.",
            ".5",
            "1.x",
            "1e3",
            "2 cores",
            "999999999999999999999",
        ] {
            let why = millicores(text).unwrap_err().to_string();
            assert!(why.contains("500m") && why.contains(text), "{why}");
        }
        for text in [
            "", "512", "1.5GiB", "4gib", "GiB", "-1GiB", "+1GiB", "four GiB",
        ] {
            let why = bytes(text).unwrap_err().to_string();
            assert!(why.contains("4GiB") && why.contains(text), "{why}");
        }
        let fine = millicores("0.0005").unwrap_err().to_string();
        assert!(
            fine.contains("0.0005") && fine.contains("thousandth"),
            "{fine}"
        );
        let much = bytes("99999999999PiB").unwrap_err().to_string();
        assert!(much.contains("1PiB"), "{much}");
        assert!(millicores("100001").is_err() && millicores("100000").is_ok());
    }
}
