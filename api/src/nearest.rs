//! The nearest valid names to a wrong one.

use mainstay_protocol::limits;

/// How like two texts must be for one to be offered for the other.
const LIKENESS_MIN: f64 = 0.5;

/// At most `NEAREST_MAX`, the likest first.
pub fn nearest<'a>(wrong: &str, valid: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut scored: Vec<(f64, &str)> = valid
        .into_iter()
        .map(|name| (likeness(wrong, name), name))
        .filter(|(score, _)| *score >= LIKENESS_MIN)
        .collect();
    scored.sort_by(|(a, left), (b, right)| b.total_cmp(a).then(left.cmp(right)));
    scored.dedup();
    scored
        .into_iter()
        .take(limits::NEAREST_MAX)
        .map(|(_, name)| name.to_owned())
        .collect()
}

/// Typing errors count by edits, short names by their beginnings.
fn likeness(wrong: &str, name: &str) -> f64 {
    strsim::normalized_damerau_levenshtein(wrong, name)
        .max(strsim::jaro_winkler(wrong, name) - 0.15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_likest_name_comes_first_and_strangers_are_not_offered() {
        let valid = ["greeter", "great", "flaky", "noisy"];
        assert_eq!(
            nearest("greter", valid).first().map(String::as_str),
            Some("greeter")
        );
        assert!(nearest("xyz", valid).is_empty());
        assert_eq!(
            nearest("n4", ["n1", "n2", "n3", "n5"]).len(),
            limits::NEAREST_MAX
        );
    }
}
