//! `why`: the tree of causes down to its roots, what it affects, what the system will do, what you can do.

use mainstay_api::types::{Why, WhyNode};
use mainstay_api::{Client, Exit, Problem};

use crate::app::App;
use crate::arguments::WhyArguments;
use crate::commands::watch;
use crate::console::Style;
use crate::outcome::Outcome;
use crate::shown::{Row, Shown};
use crate::table::Tone;
use crate::text::{age_of, one_line, printable};

pub async fn run(app: &mut App<'_>, arguments: &WhyArguments) -> Outcome {
    let client = app.client().await?;
    let reference = arguments.reference.as_ref().map(ToString::to_string);
    let style = app.console.style;
    if arguments.watching.watch {
        let told = format!("why {}", reference.as_deref().unwrap_or_default());
        return watch::run(app, &client, told.trim_end(), async || {
            look(&client, style, reference.as_deref()).await
        })
        .await;
    }
    let shown = look(&client, style, reference.as_deref()).await?;
    app.console.shown(&shown)?;
    Ok(Exit::Ok)
}

async fn look(client: &Client, style: Style, reference: Option<&str>) -> Result<Shown, Problem> {
    if let Some(reference) = reference {
        let why = client.why(reference).await?;
        let subject = (why.tree.reference.clone(), in_short(&why));
        return Shown::one(style, &why, &roots(&why.tree), subject, |look| {
            text(&why, look.colour)
        });
    }
    let trees = client.why_all().await?;
    let roots: Vec<String> = trees.iter().flat_map(|why| roots(&why.tree)).collect();
    let whole = style.render(&trees, &roots, |look| {
        let texts: Vec<String> = trees.iter().map(|why| text(why, look.colour)).collect();
        texts.join("\n")
    })?;
    let rows = trees
        .iter()
        .map(|why| Row::new(why, why.tree.reference.clone(), in_short(why)))
        .collect::<Result<_, _>>()?;
    Ok(Shown {
        whole,
        nothing: trees.is_empty().then_some("nothing is wrong"),
        rows,
        is_history: false,
    })
}

/// What the tree ends in, each once.
fn roots(node: &WhyNode) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![node];
    while let Some(node) = open.pop() {
        if node.because.is_empty() && !found.contains(&node.reference) {
            found.push(node.reference.clone());
        }
        open.extend(node.because.iter().rev());
    }
    found
}

/// On one line: what it is, and the reason at the bottom of it.
fn in_short(why: &Why) -> String {
    let mut root = &why.tree;
    while let Some(behind) = root.because.first() {
        root = behind;
    }
    let behind = match root.reference == why.tree.reference {
        true => String::new(),
        false => format!("  because {} is {}", root.reference, root.state),
    };
    let reason = root.reason.as_ref().or(why.tree.reason.as_ref());
    let reason = reason.map(|reason| format!("  {}: {}", reason.code, reason.text));
    one_line(&format!(
        "{} is {}{behind}{}",
        why.tree.reference,
        why.tree.state,
        reason.unwrap_or_default()
    ))
}

/// The tree as talk, beside an error; nothing (and false) where it cannot be had.
pub async fn talk(app: &mut App<'_>, client: &Client, reference: &str) -> bool {
    let Ok(why) = client.why(reference).await else {
        return false;
    };
    let text = text(&why, false);
    app.console.say(text.trim_end());
    true
}

fn text(why: &Why, colour: bool) -> String {
    let mut out = String::new();
    branch(&mut out, &why.tree, "", "", colour);
    if !why.affects.is_empty() {
        out.push_str(&format!(
            "affects:          {}\n",
            one_line(&why.affects.join(", "))
        ));
    }
    if let Some(will) = &why.system_will {
        let at = will
            .at
            .map(|at| format!(", {}", age_of(at)))
            .unwrap_or_default();
        let rule = will
            .rule
            .as_ref()
            .map(|rule| format!(" (rule {rule})"))
            .unwrap_or_default();
        out.push_str(&format!(
            "the system will:  {}\n",
            one_line(&format!("{}{at}{rule}", will.action))
        ));
    }
    for (at, command) in why.you_can.iter().enumerate() {
        let label = if at == 0 { "you can:" } else { "" };
        out.push_str(&format!("{label:<18}{}\n", one_line(command)));
    }
    out
}

/// `first` leads the node's own line, `rest` every line below it.
fn branch(out: &mut String, node: &WhyNode, first: &str, rest: &str, colour: bool) {
    let since = node
        .since
        .map(|since| format!(" for {}", age_of(since)))
        .unwrap_or_default();
    let reference = one_line(&node.reference);
    let tone = Tone::of(&node.state);
    let failed = node
        .state
        .strip_prefix("incarnation ")
        .and_then(|rest| rest.strip_suffix(" failed"));
    out.push_str(&match failed {
        Some(incarnation) => {
            // A failure is a moment, not something that lasts.
            let ago = node
                .since
                .map(|since| format!(" {} ago", age_of(since)))
                .unwrap_or_default();
            format!("{first}incarnation {incarnation} of {reference} failed{ago}\n")
        }
        None => format!(
            "{first}{reference} is {}{since}\n",
            tone.paint(&one_line(&node.state), colour)
        ),
    });
    let below = if node.because.is_empty() {
        "   "
    } else {
        "│  "
    };
    if let Some(reason) = &node.reason {
        out.push_str(&format!(
            "{rest}{below}{}: {}\n",
            reason.code,
            one_line(&reason.text)
        ));
    }
    if let Some(evidence) = &node.evidence {
        for line in printable(evidence).lines() {
            out.push_str(&format!("{rest}{below}| {line}\n"));
        }
    }
    let wrong = match tone {
        Tone::Good => false,
        Tone::Plain => node.reason.is_some() || node.evidence.is_some() || failed.is_some(),
        Tone::Uneasy | Tone::Bad | Tone::Faint => true,
    };
    if node.root && node.because.is_empty() && wrong {
        out.push_str(&format!(
            "{rest}{below}(a root: nothing known is behind it)\n"
        ));
    }
    let last = node.because.len().saturating_sub(1);
    for (at, cause) in node.because.iter().enumerate() {
        let (lead, under) = if at == last {
            ("└─ ", "   ")
        } else {
            ("├─ ", "│  ")
        };
        branch(
            out,
            cause,
            &format!("{rest}{lead}because "),
            &format!("{rest}{under}"),
            colour,
        );
    }
}

#[cfg(test)]
mod tests {
    use mainstay_api::Time;
    use mainstay_api::types::{Reason, SystemWill};
    use mainstay_protocol::code;

    use super::*;

    fn node(reference: &str, state: &str, because: Vec<WhyNode>) -> WhyNode {
        WhyNode {
            reference: reference.to_owned(),
            state: state.to_owned(),
            reason: None,
            since: None,
            root: because.is_empty(),
            because,
            evidence: None,
        }
    }

    #[test]
    fn nothing_is_behind_what_is_well() {
        let why = |tree| Why {
            tree,
            affects: Vec::new(),
            system_will: None,
            you_can: Vec::new(),
        };
        let well = why(node("a@n1", "Running", Vec::new()));
        assert_eq!(text(&well, false), "a@n1 is Running\n");
        let mut failed = why(node("a@n1", "incarnation 1 failed", Vec::new()));
        assert!(text(&failed, false).starts_with("incarnation 1 of a@n1 failed\n"));
        failed.tree.since = Some(Time::from_wall_ms(0));
        let told = text(&failed, false);
        let first = told.lines().next().unwrap();
        assert!(
            first.starts_with("incarnation 1 of a@n1 failed ") && first.ends_with(" ago"),
            "{told}"
        );
    }

    #[test]
    fn a_tree_shows_evidence_at_its_root_and_what_can_be_done() {
        let mut root = node("a@n1", "Failed", Vec::new());
        root.reason = Some(Reason::new(code::PANICKED, "panicked"));
        root.evidence = Some("boom\n\u{1b}[2Jline two".to_owned());
        let why = Why {
            tree: node(
                "b@n1",
                "Blocked",
                vec![node("x", "Stopped", Vec::new()), root],
            ),
            affects: vec!["c@n1".to_owned()],
            system_will: Some(SystemWill {
                action: "start a@n1".to_owned(),
                at: None,
                rule: Some("restart".to_owned()),
            }),
            you_can: vec![
                "mainstay clear a@n1".to_owned(),
                "mainstay describe a@n1".to_owned(),
            ],
        };
        let expected = "\
b@n1 is Blocked
├─ because x is Stopped
└─ because a@n1 is Failed
      MS-PANICKED: panicked
      | boom
      | [2Jline two
      (a root: nothing known is behind it)
affects:          c@n1
the system will:  start a@n1 (rule restart)
you can:          mainstay clear a@n1
                  mainstay describe a@n1
";
        assert_eq!(text(&why, false), expected);
    }
}
