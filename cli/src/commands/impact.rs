//! `impact`: what would be affected if something failed now.

use mainstay_api::Exit;
use mainstay_api::types::Impact;

use crate::app::App;
use crate::arguments::ImpactArguments;
use crate::outcome::Outcome;
use crate::table::Tone;
use crate::text::one_line;

pub async fn run(app: &mut App<'_>, arguments: &ImpactArguments) -> Outcome {
    let reference = arguments.reference.to_string();
    let impact = app.client().await?.impact(&reference).await?;
    let references = references(&impact);
    app.console
        .answer(&impact, &references, |look| text(&impact, look.colour))?;
    Ok(Exit::Ok)
}

/// Everything that is affected, each once.
fn references(impact: &Impact) -> Vec<String> {
    let placements = impact.placements.iter().map(|loss| &loss.reference);
    let lists = impact
        .instances
        .iter()
        .chain(placements)
        .chain(&impact.names)
        .chain(&impact.waiting)
        .chain(&impact.unwatched)
        .chain(&impact.depending);
    super::decisions::each_once(lists.map(String::as_str))
}

fn text(impact: &Impact, colour: bool) -> String {
    let state = impact.state.as_deref().map_or(String::new(), |state| {
        format!(" ({} now)", Tone::of(state).paint(&one_line(state), colour))
    });
    let mut out = format!("if {}{state} failed: {}\n", impact.reference, impact.text);
    let losses: Vec<String> = impact
        .placements
        .iter()
        .map(|loss| format!("{} ({} of {} left)", loss.reference, loss.left, loss.have))
        .collect();
    for (label, values) in [
        ("ends:", &impact.instances),
        ("placements:", &losses),
        ("nobody answers:", &impact.names),
        ("next in line:", &impact.waiting),
        ("unwatched:", &impact.unwatched),
        ("depending:", &impact.depending),
    ] {
        if !values.is_empty() {
            out.push_str(&format!("{label:<18}{}\n", one_line(&values.join(", "))));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use mainstay_api::types::Loss;

    use super::*;

    #[test]
    fn an_impact_is_a_sentence_and_a_line_for_each_way_of_being_affected() {
        let impact = Impact {
            reference: "node/n1".to_owned(),
            state: Some("Online".to_owned()),
            text: "1 live instances would end".to_owned(),
            instances: vec!["web@n1".to_owned()],
            placements: vec![Loss {
                reference: "web".to_owned(),
                want: 3,
                have: 2,
                left: 1,
            }],
            names: vec!["name/n1/web".to_owned()],
            waiting: Vec::new(),
            unwatched: Vec::new(),
            depending: Vec::new(),
        };
        assert_eq!(
            text(&impact, false),
            "\
if node/n1 (Online now) failed: 1 live instances would end
ends:             web@n1
placements:       web (1 of 2 left)
nobody answers:   name/n1/web
"
        );
        assert_eq!(references(&impact), ["web@n1", "web", "name/n1/web"]);
    }
}
