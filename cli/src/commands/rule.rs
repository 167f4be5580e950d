//! `rule`: what the station's rules are and did; and switching one off by name, for the whole cluster.

use mainstay_api::types::{Rule, RuleSwitch};
use mainstay_api::{Exit, Problem};

use crate::app::App;
use crate::arguments::{RuleArguments, RuleCommand, RuleDisableArguments};
use crate::outcome::Outcome;
use crate::table::{Cell, Table};
use crate::text::{age_of, one_line};

pub async fn run(app: &mut App<'_>, arguments: RuleArguments) -> Outcome {
    match arguments.command {
        RuleCommand::List => list(app).await,
        RuleCommand::Show(one) => {
            let rule = app.client().await?.rule(&one.name).await?;
            app.console
                .answer(&rule, &[reference(&rule)], |_| text(&rule))?;
            Ok(Exit::Ok)
        }
        RuleCommand::Disable(disable) => switch_off(app, &disable).await,
        RuleCommand::Enable(one) => {
            let accepted = app.client().await?.rule_enable(&one.name).await?;
            let references = [format!("rule/{}", one.name)];
            app.console.done(&accepted, &references, &accepted.text)?;
            Ok(Exit::Ok)
        }
    }
}

fn reference(rule: &Rule) -> String {
    format!("rule/{}", rule.name)
}

async fn list(app: &mut App<'_>) -> Outcome {
    let rules = app.client().await?.rules().await?;
    app.console
        .list(&rules, reference, &table(&rules), "there is no rule")?;
    Ok(Exit::Ok)
}

fn table(rules: &[Rule]) -> Table {
    let mut table = Table::new(&[
        "RULE", "WATCHES", "ENABLED", "DID", "DECLINED", "COUNTED", "SAFETY", "ABOUT",
    ])
    .wide_only(&["COUNTED", "SAFETY"]);
    for rule in rules {
        let enabled = match &rule.off {
            None if rule.suspended.is_some() => "no, suspended".to_owned(),
            None => "yes".to_owned(),
            Some(off) => format!("no, by {}", off.by),
        };
        table.row(vec![
            Cell::new(&rule.name),
            Cell::new(rule.watches.as_deref().unwrap_or_default()),
            Cell::new(enabled),
            Cell::new(rule.did.to_string()),
            Cell::new(rule.declined.to_string()),
            Cell::new(format!("for {}", age_of(rule.counted_since))),
            Cell::new(rule.safety.as_deref().unwrap_or_default()),
            Cell::new(
                rule.about
                    .as_deref()
                    .unwrap_or("(not part of this station)"),
            ),
        ]);
    }
    table
}

fn text(rule: &Rule) -> String {
    let or_dash = |text: &Option<String>| one_line(text.as_deref().unwrap_or("-"));
    let enabled = match &rule.off {
        None => match &rule.suspended {
            None => "yes".to_owned(),
            Some(why) => format!("no, suspended: {why}"),
        },
        Some(off) => {
            let why = off.why.as_ref().map(|why| format!(": {why}"));
            format!(
                "no, switched off by {} {} ago{}",
                off.by,
                age_of(off.since),
                why.unwrap_or_default()
            )
        }
    };
    format!(
        "rule:      {}\nabout:     {}\nwatches:   {}\nenabled:   {}\nsafety:    {}\ndid:       {} times for {}\ndeclined:  {} times\n",
        one_line(&rule.name),
        or_dash(&rule.about),
        or_dash(&rule.watches),
        one_line(&enabled),
        or_dash(&rule.safety),
        rule.did,
        age_of(rule.counted_since),
        rule.declined,
    )
}

async fn switch_off(app: &mut App<'_>, arguments: &RuleDisableArguments) -> Outcome {
    let switch = RuleSwitch {
        by: who(),
        why: arguments.reason.clone().unwrap_or_default(),
        i_mean_it: arguments.i_mean_it,
    };
    let name = &arguments.name;
    let accepted: Result<_, Problem> = app.client().await?.rule_disable(name, &switch).await;
    let accepted = accepted?;
    let references = [format!("rule/{name}")];
    app.console.done(&accepted, &references, &accepted.text)?;
    Ok(Exit::Ok)
}

/// The user of this machine, as it knows itself: the socket is only for one user anyway.
fn who() -> String {
    let named = ["USER", "LOGNAME"]
        .into_iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|name| !name.is_empty());
    named.unwrap_or_else(|| format!("user {}", rustix::process::getuid().as_raw()))
}
