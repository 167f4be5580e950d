//! Rules switched off and on by name. Whether there is such a rule, and whether it may be, the station knows: the
//! rules are its code. Here it is a setting of the cluster, kept with who and why.

use mainstay_protocol::code;
use mainstay_protocol::request::Refusal;
use mainstay_protocol::{limits, words};
use mainstay_resource_graph::{RuleOff, Txn};

use super::{Result_, founded, put_cluster, recorded};
use crate::env::Env;

pub fn off(txn: &mut Txn<'_>, rule: &str, by: &str, why: &str, env: &Env) -> Result_ {
    let mut cluster = founded(txn)?;
    if let Some(already) = cluster.rules_off.get(rule) {
        let text = format!("the rule {rule} was switched off by {} already", already.by);
        return Ok(recorded(Vec::new(), text));
    }
    if cluster.rules_off.len() >= limits::RULES_OFF_MAX {
        let text = format!(
            "{} rules are switched off; no more are",
            limits::RULES_OFF_MAX
        );
        return Err(Refusal::new(code::REFUSED_BY_SAFETY, text));
    }
    let cut = |text: &str| {
        let mut text = text.to_owned();
        words::cut(&mut text, limits::RULE_OFF_BYTES_MAX);
        text
    };
    let off = RuleOff {
        by: cut(by),
        why: cut(why),
        at: env.now,
    };
    cluster.rules_off.insert(cut(rule), off);
    put_cluster(txn, cluster);
    Ok(recorded(
        Vec::new(),
        format!("the rule {rule} is switched off"),
    ))
}

pub fn on(txn: &mut Txn<'_>, rule: &str) -> Result_ {
    let mut cluster = founded(txn)?;
    if cluster.rules_off.remove(rule).is_none() {
        return Ok(recorded(
            Vec::new(),
            format!("the rule {rule} is not switched off"),
        ));
    }
    put_cluster(txn, cluster);
    let text = format!("the rule {rule} is switched on; what it watches is judged again");
    Ok(recorded(Vec::new(), text))
}
