//! What is parked.

use mainstay_resource_graph::{Key, ParkedId, ParkedWhat, Vertex};

use super::Present;
use crate::types;

impl Present<'_> {
    pub fn parked(&self, id: &ParkedId) -> Option<types::Parked> {
        let record = self.record(&Key::Parked(id.clone()))?;
        let Vertex::Parked(parked) = &record.vertex else {
            return None;
        };
        let (rule, subject, event) = match &parked.what {
            ParkedWhat::Rule { rule, subject, .. } => {
                (Some(rule.clone()), Some(subject.to_string()), None)
            }
            ParkedWhat::Event { name, .. } => (None, None, Some(name.clone())),
        };
        Some(types::Parked {
            id: id.0.clone(),
            rule,
            subject,
            event,
            code: parked.why.code.to_string(),
            text: parked.why.text.clone(),
            since: self.live.time(parked.at),
        })
    }
}

#[cfg(test)]
mod tests {
    use mainstay_resource_graph::ParkedId;

    use crate::present::sample::Sample;

    #[test]
    fn a_parked_rule_names_its_subject_and_the_panic() {
        let sample = Sample::new();
        let parked = sample
            .present()
            .parked(&ParkedId("beef".to_owned()))
            .unwrap();
        assert_eq!(parked.rule.as_deref(), Some("restart"));
        assert_eq!(parked.subject.as_deref(), Some("web@n1"));
        assert_eq!(
            (parked.event, parked.code.as_str(), parked.text.as_str()),
            (None, "MS-RULE-PANICKED", "boom")
        );
    }
}
