//! Text of others made safe for a terminal; ages as people read them.

use std::time::{Duration, SystemTime};

use mainstay_api::Time;
pub use mainstay_api::time::span;

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
}
