//! Words for people: a text cut to its bound, what a panic said, the first of many, the nearest valid names to a wrong one.

use std::any::Any;
use std::fmt::Display;

use crate::limits;

/// How like two texts must be for one to be offered for the other.
const LIKENESS_MIN: f64 = 0.5;

/// Cuts a text to so many bytes, where a character begins.
pub fn cut(text: &mut String, bytes_max: usize) {
    text.truncate(text.floor_char_boundary(bytes_max));
}

/// What a reader of JSON said, without its line and column: of a text that nobody wrote they mean nothing to anybody.
pub fn without_place(error: &impl Display, line: usize, column: usize) -> String {
    let text = error.to_string();
    let place = format!(" at line {line} column {column}");
    text.strip_suffix(&place).unwrap_or(&text).to_owned()
}

/// What a panic left to read, from its payload.
pub fn of_panic(payload: &(dyn Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without words".to_owned())
}

/// The first ones, and how many more there are.
pub fn several<T: Display>(all: impl ExactSizeIterator<Item = T>, named: usize) -> String {
    let more = all.len().saturating_sub(named);
    let mut names: Vec<String> = all.take(named).map(|one| one.to_string()).collect();
    if more > 0 {
        names.push(format!("{more} more"));
    }
    names.join(", ")
}

/// The valid names that a wrong one may have meant: at most `NEAREST_MAX`, the likest first.
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
    fn the_first_of_many_are_named_and_the_others_counted() {
        for (all, told) in [(0, ""), (1, "0"), (2, "0, 1"), (3, "0, 1, 1 more")] {
            assert_eq!(several(0..all, 2), told);
        }
    }

    #[test]
    fn a_text_is_cut_at_a_whole_character() {
        for (bytes_max, expected) in [(0, ""), (1, "a"), (2, "a"), (3, "aß"), (9, "aßc")] {
            let mut text = "aßc".to_owned();
            cut(&mut text, bytes_max);
            assert_eq!(text, expected);
        }
    }

    #[test]
    fn a_panic_speaks_in_either_kind_of_text_or_not_at_all() {
        assert_eq!(of_panic(&"no luck"), "no luck");
        assert_eq!(of_panic(&"no luck".to_owned()), "no luck");
        assert_eq!(of_panic(&7_u8), "a panic without words");
    }

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
