//! Rules: what there are, what they did, and switching them off and on. Which rules there are is the station's code;
//! which are switched off is in the graph.

use axum::body::Bytes;
use axum::extract::Path;
use mainstay_api::Problem;
use mainstay_api::present::Live;
use mainstay_api::types::{Rule, RuleOff, RuleSwitch};
use mainstay_coordinator::Operation;
use mainstay_coordinator::rule::RuleEntry;
use mainstay_protocol::code;
use mainstay_protocol::words::nearest;
use mainstay_resource_graph::{RuleOff as Off, ViewExt};

use super::Api;
use super::changes::operate;
use super::reply::{Failure, Reply, body, json};
use crate::shared::Shared;

pub async fn list(api: Api) -> Reply {
    json(&all(&api).await?)
}

pub async fn one(api: Api, Path(name): Path<String>) -> Reply {
    json(&find(&api, "show", &name).await?)
}

/// In the order in which they run; behind them what is switched off and not part of this station.
async fn all(api: &Api) -> Result<Vec<Rule>, Failure> {
    let mut off = api
        .read(|present| Ok(present.view.cluster()))
        .await?
        .map(|cluster| cluster.rules_off)
        .unwrap_or_default();
    let shared = &api.shared;
    let mut rules: Vec<Rule> = shared
        .about
        .rules
        .entries()
        .iter()
        .map(|entry| rule(shared, entry.name, Some(entry), off.remove(entry.name)))
        .collect();
    let strangers = off.into_iter();
    rules.extend(strangers.map(|(name, off)| rule(shared, &name, None, Some(off))));
    Ok(rules)
}

fn rule(shared: &Shared, name: &str, entry: Option<&RuleEntry>, off: Option<Off>) -> Rule {
    let (did, declined) = shared.metrics.decisions_of(name);
    let about = entry.map(|entry| entry.about).unwrap_or_default();
    let rules = &shared.about.rules;
    let suspended = rules
        .suspended()
        .filter(|_| entry.is_some_and(|entry| rules.is_suspended(entry)));
    Rule {
        name: name.to_owned(),
        about: mainstay_api::present::known(about),
        watches: entry.map(|entry| (entry.watch)().kind.as_str().to_owned()),
        enabled: off.is_none() && suspended.is_none(),
        suspended: suspended.map(str::to_owned),
        off: off.map(|off| RuleOff {
            by: off.by,
            why: mainstay_api::present::known(&off.why),
            since: shared.time(off.at),
        }),
        safety: entry
            .and_then(|entry| entry.safety)
            .map(|without| format!("without it {without}")),
        did,
        declined,
        counted_since: shared.about.started,
    }
}

async fn find(api: &Api, verb: &str, name: &str) -> Result<Rule, Failure> {
    let rules = all(api).await?;
    if let Some(rule) = rules.iter().find(|rule| rule.name == name) {
        return Ok(rule.clone());
    }
    let near = nearest(name, rules.iter().map(|rule| rule.name.as_str()));
    let what = format!("{verb} rule {name}");
    let problem = Problem::new(code::NOT_FOUND, what, format!("there is no rule {name}"));
    Err(problem.near(near).to_do("mainstay rule list").into())
}

pub async fn disable(api: Api, Path(name): Path<String>, bytes: Bytes) -> Reply {
    let what = format!("disable rule {name}");
    let switch: RuleSwitch = body(&what, &bytes)?;
    let rule = find(&api, "disable", &name).await?;
    if let Some(without) = rule.safety.filter(|_| !switch.i_mean_it) {
        let why = format!("safety needs it: {without}");
        let to_do = format!("mainstay rule disable {name} --i-mean-it");
        let problem = Problem::new(code::REFUSED_BY_SAFETY, what, why);
        return Err(problem.to_do(to_do).into());
    }
    let operation = Operation::DisableRule {
        rule: name,
        by: api.by(switch.by),
        why: switch.why,
    };
    operate(&api, what, operation).await
}

pub async fn enable(api: Api, Path(name): Path<String>) -> Reply {
    let what = format!("enable rule {name}");
    find(&api, "enable", &name).await?;
    operate(&api, what, Operation::EnableRule { rule: name }).await
}
