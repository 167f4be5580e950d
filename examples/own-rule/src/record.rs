//! A rule over what collectors bring: a record `restart` names a placement, whose instance on that node is restarted.
//! (`mainstay start collector --name orders --on n1 --config path=/var/spool/orders --config record=restart`)

use mainstay_station::rule::{
    CollectedId, Env, InstanceKey, PlacementName, Rule, Txn, Verdict, ViewExt, Watch, change, code,
    take,
};
use serde_json::Value;

pub struct RestartOnRecord;

impl Rule for RestartOnRecord {
    const NAME: &'static str = "restart_on_record";
    const ABOUT: &'static str = "Restarts what a record called restart names.";
    type Subject = CollectedId;

    fn watches() -> Watch {
        Watch::collected(|record| record.name == "restart")
    }

    fn judge(subject: CollectedId, txn: &mut Txn<'_>, _: &Env) -> Verdict {
        // Once, also if it is asked again.
        let Some(record) = take(txn, subject, Self::NAME) else {
            return Verdict::Nothing;
        };
        let body: Value = serde_json::from_str(&record.body).unwrap_or_default();
        let named = body["line"].as_str().map(PlacementName::new);
        let Some(Ok(placement)) = named else {
            return Verdict::Nothing;
        };
        let instance = InstanceKey::new(record.instance.node, placement);
        if txn.instance(&instance).is_none() {
            return Verdict::Nothing;
        }
        change(txn, &instance, |instance| instance.restart_asked = true);
        Verdict::did(
            code::RECORD_TAKEN,
            format!("a record asks for {instance} to restart"),
        )
    }
}
