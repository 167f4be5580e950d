//! Whether a kept plan still is what would be done: everything it touches is as it was seen.

use mainstay_api::types::{Plan, PlanChange, PlanRequest, WishBody};
use mainstay_api::{Client, Problem};
use mainstay_protocol::code;

/// Refuses a plan of another cluster, and one whose subjects changed since; says what changed.
pub async fn refuse(client: &Client, kept: &Plan) -> Result<(), Problem> {
    let wishes: Vec<WishBody> = kept
        .changes
        .iter()
        .filter_map(|change| change.wish.clone())
        .collect();
    let request = PlanRequest {
        wishes,
        mode: kept.mode,
    };
    let now = client.plan(&request).await?;
    if now.cluster != kept.cluster {
        let why = format!(
            "the plan was made for the cluster {}, and this is {}",
            kept.cluster, now.cluster
        );
        return Err(Problem::new(code::WRONG_CLUSTER, "apply the plan", why));
    }
    let changed = differences(kept, &now);
    if changed.is_empty() {
        return Ok(());
    }
    let why = format!(
        "since it was made, {}; nothing was changed",
        changed.join("; ")
    );
    Err(Problem::new(code::STALE_PLAN, "apply the plan", why)
        .to_do("mainstay plan -f PATH --out FILE"))
}

fn differences(kept: &Plan, now: &Plan) -> Vec<String> {
    let find = |plan: &'_ Plan, reference: &str| -> Option<PlanChange> {
        plan.changes
            .iter()
            .find(|change| change.reference == reference)
            .cloned()
    };
    let mut changed = Vec::new();
    for was in &kept.changes {
        match find(now, &was.reference) {
            None => changed.push(format!("{} went away", was.reference)),
            Some(is) if is.based_on != was.based_on => changed.push(moved(was, &is)),
            Some(_) => {}
        }
    }
    for is in &now.changes {
        if find(kept, &is.reference).is_none() {
            changed.push(format!("{} came", is.reference));
        }
    }
    changed
}

/// Where a subject was and is, with the fields whose old value is another than the plan saw.
fn moved(was: &PlanChange, is: &PlanChange) -> String {
    let at = |based_on: u64| match based_on {
        0 => "not there".to_owned(),
        generation => format!("at {generation}"),
    };
    let fields: Vec<String> = is
        .fields
        .iter()
        .filter(|field| {
            let seen = was.fields.iter().find(|seen| seen.path == field.path);
            seen.is_none_or(|seen| seen.old != field.old)
        })
        .map(|field| format!("{} became {}", field.path, field.old))
        .collect();
    let fields = match fields.is_empty() || was.based_on == 0 || is.based_on == 0 {
        true => String::new(),
        false => format!(" ({})", fields.join(", ")),
    };
    format!(
        "{} was {} and is {}{fields}",
        was.reference,
        at(was.based_on),
        at(is.based_on)
    )
}

#[cfg(test)]
mod tests {
    use mainstay_api::types::{Act, FieldChange, PlanMode};
    use serde_json::json;

    use super::*;

    fn change(reference: &str, based_on: u64, old: &str) -> PlanChange {
        PlanChange {
            reference: reference.to_owned(),
            act: Act::Change,
            based_on,
            fields: vec![FieldChange {
                path: "config.greeting".to_owned(),
                old: json!(old),
                new: json!("new"),
            }],
            instances: Vec::new(),
            unplaced: None,
            after: Vec::new(),
            steps: None,
            wish: None,
        }
    }

    fn plan(changes: Vec<PlanChange>) -> Plan {
        Plan {
            format: 1,
            cluster: "c".to_owned(),
            revision: 9,
            mode: PlanMode::Apply,
            changes,
        }
    }

    #[test]
    fn a_plan_whose_subjects_are_as_they_were_is_not_stale() {
        let kept = plan(vec![change("placement/web", 3, "a")]);
        let mut now = kept.clone();
        now.revision = 99;
        assert_eq!(differences(&kept, &now), [] as [&str; 0]);
    }

    // proves: S19
    #[test]
    fn a_stale_plan_says_what_changed_since() {
        let kept = plan(vec![
            change("placement/db", 0, "a"),
            change("placement/gone", 2, "a"),
            change("placement/web", 3, "a"),
        ]);
        let now = plan(vec![
            change("placement/db", 1, "x"),
            change("placement/new", 1, "a"),
            change("placement/web", 4, "b"),
        ]);
        assert_eq!(
            differences(&kept, &now),
            [
                "placement/db was not there and is at 1",
                "placement/gone went away",
                "placement/web was at 3 and is at 4 (config.greeting became \"b\")",
                "placement/new came"
            ]
        );
    }
}
