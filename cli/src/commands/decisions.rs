//! `decisions`: which rule did or declined what, for whom, and what it saw.

use mainstay_api::client::DecisionFilter;
use mainstay_api::types::{Decision, Reason};
use mainstay_api::{Exit, Problem};

use crate::app::App;
use crate::arguments::DecisionsArguments;
use crate::commands::watch;
use crate::console::Style;
use crate::outcome::Outcome;
use crate::shown::{Row, Shown};
use crate::text::one_line;

/// As many as somebody reads at once. JSON has no other bound than the station's.
const SHOWN: usize = 20;

pub async fn run(app: &mut App<'_>, arguments: &DecisionsArguments) -> Outcome {
    let is_text = app.console.style.is_text();
    let limit = arguments
        .limit
        .map(usize::from)
        .or(is_text.then_some(SHOWN));
    let filter = DecisionFilter {
        reference: arguments.reference.as_ref().map(ToString::to_string),
        // One more tells whether there are more.
        limit: limit.map(|limit| limit + usize::from(is_text)),
        ..DecisionFilter::default()
    };
    let client = app.client().await?;
    let style = app.console.style;
    if arguments.watching.watch {
        let told = match &filter.reference {
            Some(reference) => format!("decisions {reference}"),
            None => "decisions".to_owned(),
        };
        return watch::run(app, &client, &told, async || {
            let mut decisions = client.decisions(&filter).await?;
            decisions.truncate(limit.unwrap_or(usize::MAX));
            shown(style, &decisions)
        })
        .await;
    }
    let mut decisions = client.decisions(&filter).await?;
    let more = limit.filter(|limit| decisions.len() > *limit);
    decisions.truncate(limit.unwrap_or(usize::MAX));
    let shown = shown(style, &decisions)?;
    app.console.shown(&shown)?;
    if let Some(limit) = more {
        app.console.say(&format!(
            "the newest {limit}; --limit {} shows more",
            limit.saturating_mul(5)
        ));
    }
    Ok(Exit::Ok)
}

fn shown(style: Style, decisions: &[Decision]) -> Result<Shown, Problem> {
    let references = each_once(decisions.iter().map(|one| one.subject.as_str()));
    let rows = decisions
        .iter()
        .map(|one| Row::new(one, one.id.clone(), in_short(one)))
        .collect::<Result<_, _>>()?;
    Ok(Shown {
        whole: style.render(decisions, &references, |_| text(decisions))?,
        nothing: decisions.is_empty().then_some("no decision is recorded"),
        rows,
        is_history: true,
    })
}

/// In the order in which they first come.
pub fn each_once<'a>(references: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut seen = Vec::new();
    for reference in references {
        if !seen.iter().any(|known| known == reference) {
            seen.push(reference.to_owned());
        }
    }
    seen
}

fn in_short(decision: &Decision) -> String {
    let (word, reason) = match (&decision.did, &decision.declined) {
        (Some(did), _) => ("did", Some(did)),
        (None, declined) => ("declined", declined.as_ref()),
    };
    one_line(&format!(
        "{}  {}  {}  {word} {}",
        decision.time,
        decision.rule,
        decision.subject,
        told(reason)
    ))
}

/// A line for each decision; below it what was done or declined, and a line for everything the rule saw: what it
/// saw is long, and no terminal is wide enough for it beside the rest.
pub fn text(decisions: &[Decision]) -> String {
    let mut out = String::new();
    for decision in decisions {
        out.push_str(&format!(
            "{}  {}  {}\n",
            decision.time,
            one_line(&decision.rule),
            one_line(&decision.subject)
        ));
        for (word, reason) in [("did", &decision.did), ("declined", &decision.declined)] {
            if let Some(reason) = reason {
                push_line(&mut out, word, &told(Some(reason)));
            }
        }
        for (at, saw) in decision.saw.iter().enumerate() {
            let word = if at == 0 { "saw" } else { "" };
            push_line(&mut out, word, &format!("{} {}", saw.reference, saw.text));
        }
    }
    out
}

fn push_line(out: &mut String, word: &str, text: &str) {
    out.push_str(&format!("    {word:<10}{}\n", one_line(text)));
}

pub fn told(reason: Option<&Reason>) -> String {
    match reason {
        None => String::new(),
        Some(reason) if reason.text.is_empty() => reason.code.to_string(),
        Some(reason) => format!("{}: {}", reason.code, reason.text),
    }
}

#[cfg(test)]
mod tests {
    use mainstay_api::Time;
    use mainstay_api::types::Saw;
    use mainstay_protocol::code;

    use super::*;

    fn saw(reference: &str, text: &str) -> Saw {
        Saw {
            reference: reference.to_owned(),
            rev: 1,
            text: text.to_owned(),
        }
    }

    fn decision(did: Option<Reason>, declined: Option<Reason>) -> Decision {
        Decision {
            id: "1.0".to_owned(),
            time: Time::from_wall_ms(0),
            rule: "restart".to_owned(),
            subject: "a@n1".to_owned(),
            saw: vec![
                saw("a@n1", "Failed: panicked: two\nlines"),
                saw("node/n1", "Online"),
            ],
            did,
            declined,
            events: Vec::new(),
        }
    }

    #[test]
    fn a_decision_shows_what_was_done_and_everything_that_was_seen() {
        let done = decision(Some(Reason::new(code::BACKOFF, "in 1.0 s")), None);
        let declined = decision(None, Some(Reason::new(code::CONFIG_REFUSED, "change it")));
        assert_eq!(
            text(&[done, declined]),
            "\
1970-01-01T00:00:00.000Z  restart  a@n1
    did       MS-BACKOFF: in 1.0 s
    saw       a@n1 Failed: panicked: two / lines
              node/n1 Online
1970-01-01T00:00:00.000Z  restart  a@n1
    declined  MS-CONFIG-REFUSED: change it
    saw       a@n1 Failed: panicked: two / lines
              node/n1 Online
"
        );
    }
}
