//! Quantities as Kubernetes writes them: `500m`, `1.5`, `64Mi`, `1G`, `2e3`.

/// More digits than anybody writes; so many fit with every suffix.
const DIGITS_MAX: usize = 18;
const ONE: u128 = 1_000_000_000;
/// What a byte count may be.
const WHOLE_MAX: u128 = i64::MAX as u128;

/// As it was written, and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Quantity {
    pub(super) text: String,
    billionths: u128,
}

impl Quantity {
    /// None: nobody can read it. Less than nothing is no quantity of anything here.
    pub(super) fn read(text: &str) -> Option<Self> {
        let number = text.strip_prefix('+').unwrap_or(text);
        let end = number.find(|c: char| !c.is_ascii_digit() && c != '.');
        let (number, suffix) = number.split_at(end.unwrap_or(number.len()));
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits = format!("{whole}{fraction}");
        if digits.is_empty() || digits.len() > DIGITS_MAX || fraction.contains('.') {
            return None;
        }
        let (times, divided_by) = scale(suffix)?;
        let places = u32::try_from(fraction.len()).ok()?;
        let divided_by = divided_by.checked_mul(10_u128.checked_pow(places)?)?;
        let value: u128 = digits.parse().ok()?;
        // What is left of a billionth is one more, as there.
        let billionths = value.checked_mul(times)?.div_ceil(divided_by);
        (billionths.div_ceil(ONE) <= WHOLE_MAX).then(|| Self {
            text: text.to_owned(),
            billionths,
        })
    }

    pub(super) fn is_zero(&self) -> bool {
        self.billionths == 0
    }

    pub(super) fn is_above(&self, other: &Self) -> bool {
        self.billionths > other.billionths
    }

    /// Bytes, rounded up.
    pub(super) fn whole(&self) -> u64 {
        u64::try_from(self.billionths.div_ceil(ONE)).unwrap_or(u64::MAX)
    }

    /// Of one processor, rounded up.
    pub(super) fn thousandths(&self) -> u64 {
        u64::try_from(self.billionths.div_ceil(ONE / 1_000)).unwrap_or(u64::MAX)
    }
}

/// Of one in billionths: by how much it is multiplied, and divided.
fn scale(suffix: &str) -> Option<(u128, u128)> {
    let powers_of = |base: u128, power: u32| Some((ONE.checked_mul(base.checked_pow(power)?)?, 1));
    match suffix {
        "n" => Some((1, 1)),
        "u" => Some((1_000, 1)),
        "m" => Some((1_000_000, 1)),
        "" => powers_of(1_000, 0),
        "k" => powers_of(1_000, 1),
        "M" => powers_of(1_000, 2),
        "G" => powers_of(1_000, 3),
        "T" => powers_of(1_000, 4),
        "P" => powers_of(1_000, 5),
        "E" => powers_of(1_000, 6),
        "Ki" => powers_of(1_024, 1),
        "Mi" => powers_of(1_024, 2),
        "Gi" => powers_of(1_024, 3),
        "Ti" => powers_of(1_024, 4),
        "Pi" => powers_of(1_024, 5),
        "Ei" => powers_of(1_024, 6),
        other => {
            let exponent = other.strip_prefix(['e', 'E'])?;
            let exponent: i32 = exponent.parse().ok()?;
            let power = 10_u128.checked_pow(exponent.unsigned_abs())?;
            match exponent < 0 {
                true => Some((ONE, power)),
                false => Some((ONE.checked_mul(power)?, 1)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_they_are_meant() {
        for (text, thousandths) in [
            ("0", 0),
            ("1", 1_000),
            ("+1", 1_000),
            ("500m", 500),
            ("0.5", 500),
            (".5", 500),
            ("1.", 1_000),
            ("1.5", 1_500),
            ("100u", 1),
            ("1n", 1),
            ("0.0001", 1),
            ("2e3", 2_000_000),
            ("2E-1", 200),
            ("1k", 1_000_000),
        ] {
            let read = Quantity::read(text).expect(text);
            assert_eq!((read.thousandths(), &*read.text), (thousandths, text));
        }
        for (text, bytes) in [
            ("64Mi", 64 << 20),
            ("1G", 1_000_000_000),
            ("1.5Ki", 1_536),
            ("1Ei", 1 << 60),
            ("1E", 1_000_000_000_000_000_000),
            ("128974848", 128_974_848),
            ("129e6", 129_000_000),
            ("123456789123456m", 123_456_789_124),
            ("1m", 1),
        ] {
            assert_eq!(Quantity::read(text).expect(text).whole(), bytes, "{text}");
        }
    }

    #[test]
    fn what_nobody_can_read_is_none() {
        for text in [
            "",
            "m",
            ".",
            "-1",
            "1 ",
            " 1",
            "1mi",
            "64MB",
            "64mi",
            "1.2.3",
            "1e",
            "1e1.5",
            "0x10",
            "1,5",
            "ten",
            "1Zi",
            "9Ei1",
            "16Ei",
            "1e99",
            "1e-99",
            "1234567890123456789",
            "١",
        ] {
            assert_eq!(Quantity::read(text), None, "{text}");
        }
    }

    #[test]
    fn they_compare_by_what_they_are() {
        let read = |text: &str| Quantity::read(text).expect(text);
        assert!(read("1").is_above(&read("500m")));
        assert!(read("64Mi").is_above(&read("64M")));
        assert!(!read("1000m").is_above(&read("1")));
        assert!(read("0Mi").is_zero() && !read("1n").is_zero());
    }
}
