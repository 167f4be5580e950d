//! Subjects and names of streams and consumers.

use mainstay_protocol::StepKey;
use mainstay_protocol::work::Skill;

/// A word of a subject. Letters, digits and `-` stand for themselves, every other byte is `_` and its two hexadecimal
/// digits: `a.b`, `a_b` and `a-b` stay apart.
fn word(text: &str) -> String {
    use std::fmt::Write;
    text.bytes().fold(String::new(), |mut word, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' => word.push(char::from(byte)),
            // Writing to a string does not fail.
            _ => _ = write!(word, "_{byte:02X}"),
        }
        word
    })
}

/// Where what is due of a cluster lies.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    cluster: String,
}

impl Names {
    pub(crate) fn of(cluster: &str) -> Self {
        Self {
            cluster: word(cluster),
        }
    }

    pub(crate) fn stream(&self) -> String {
        format!("mainstay-{}-due", self.cluster)
    }

    pub(crate) fn all(&self) -> String {
        format!("mainstay.{}.due.>", self.cluster)
    }

    pub(crate) fn of_skill(&self, skill: &Skill) -> String {
        format!("{}.>", self.up_to(skill))
    }

    pub(crate) fn of_step(&self, skill: &Skill, step: &StepKey) -> String {
        let (run, activity) = (word(step.run.as_str()), word(step.activity.as_str()));
        format!("{}.{run}.{activity}", self.up_to(skill))
    }

    fn up_to(&self, skill: &Skill) -> String {
        let (provider, activity) = (word(&skill.provider), word(skill.activity.as_str()));
        format!("mainstay.{}.due.{provider}.{activity}", self.cluster)
    }
}

/// No word has two `_` in a row.
pub(crate) fn consumer(skill: &Skill) -> String {
    format!(
        "{}__{}",
        word(&skill.provider),
        word(skill.activity.as_str())
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use mainstay_protocol::{RunId, WorkName};

    use super::*;

    const NEAR: [&str; 7] = ["a.b", "a-b", "a_b", "a_2Eb", "ab", "A.b", "a..b"];

    #[test]
    fn no_two_names_become_one() {
        let names = Names::of("c");
        let (mut subjects, mut consumers) = (BTreeSet::new(), BTreeSet::new());
        for provider in NEAR {
            for activity in NEAR {
                let skill = Skill {
                    provider: provider.to_owned(),
                    activity: WorkName::new(activity).unwrap(),
                };
                assert!(consumers.insert(consumer(&skill)), "{skill}");
                for run in NEAR {
                    let step = StepKey::new(RunId::new(run).unwrap(), skill.activity.clone());
                    let subject = names.of_step(&skill, &step);
                    assert_eq!(subject.split('.').count(), 7, "{subject}");
                    assert!(subject.starts_with(names.of_skill(&skill).trim_end_matches('>')));
                    assert!(subjects.insert(subject), "{skill} {step}");
                }
            }
        }
    }

    /// A provider may be called as somebody likes.
    #[test]
    fn no_name_says_more_than_a_word() {
        for hostile in ["*", ">", "a b", "\r\nPUB x", "ü", ""] {
            let skill = Skill {
                provider: hostile.to_owned(),
                activity: WorkName::new("a").unwrap(),
            };
            let safe = |one: char| one.is_ascii_alphanumeric() || one == '-' || one == '_';
            assert!(consumer(&skill).chars().all(safe), "{hostile:?}");
        }
    }
}
