//! Logs of instances: pages from their nodes, whether the instance lives or not.

use std::collections::BTreeMap;
use std::time::Instant;

use axum::extract::{Path, Query};
use mainstay_api::Problem;
use mainstay_api::types::LogPage;
use mainstay_protocol::request::{Answer, Ask, LogOf, LogPlace};
use mainstay_protocol::{Epoch, Incarnation, Revision, code};
use mainstay_resource_graph::{ViewExt, slot_of};

use super::Api;
use super::asks::{not_an_answer, put};
use super::changes::existing;
use super::reply::{Failure, Reply, json, query};

/// `after=` goes on behind a page; `previous=1` begins with the incarnation before; else the present one's beginning.
pub async fn logs(
    api: Api,
    at: Path<(String, String)>,
    pairs: Query<BTreeMap<String, String>>,
) -> Reply {
    let started = Instant::now();
    let pairs = query("read a log", pairs, &["after", "previous"])?;
    let instance = existing(&api, "logs", at).await?;
    let what = format!("logs {instance}");
    let key = instance.clone();
    let found = api
        .read(move |present| Ok(present.view.instance(&key)))
        .await?;
    let found = found.ok_or_else(|| Problem::new(code::NOT_FOUND, &what, "it is gone"))?;
    let place = match pairs.text("after") {
        Some(after) => Some(place(&after).ok_or_else(|| bad_place(&what, &after))?),
        None => None,
    };
    let (of, incarnation, from) = match place {
        Some((incarnation, from)) => (LogOf::This, incarnation, Some(from)),
        None if pairs.is_set("previous") => (LogOf::Before, found.incarnation, None),
        None => (LogOf::This, found.incarnation, None),
    };
    let ask = Ask::Logs {
        name: slot_of(&instance, &found).name,
        instance: instance.clone(),
        incarnation,
        of,
        from,
    };
    match put(&api, &instance.node, ask).await {
        Answer::Log(page) => json(&LogPage {
            reference: instance.to_string(),
            incarnation: page.incarnation.count,
            text: page.text,
            next: told(page.incarnation, page.next),
            end: page.end,
            gap: page.gap,
        }),
        other => Err(not_an_answer(what, other, started)),
    }
}

fn bad_place(what: &str, after: &str) -> Failure {
    let why = format!("\"{after}\" is no place in a log; `next` of a page is one");
    Problem::new(code::BAD_REQUEST, what, why).into()
}

/// EPOCH-CREATED-COUNT.FILE.OFFSET
fn told(incarnation: Incarnation, place: LogPlace) -> String {
    let Incarnation {
        epoch,
        created,
        count,
    } = incarnation;
    format!("{epoch}-{created}-{count}.{}.{}", place.file, place.offset)
}

fn place(text: &str) -> Option<(Incarnation, LogPlace)> {
    let mut numbers = text.split(['-', '.']).map(str::parse::<u64>);
    let mut next = || numbers.next()?.ok();
    let incarnation = Incarnation {
        epoch: Epoch(next()?),
        created: Revision(next()?),
        count: next()?,
    };
    let place = LogPlace {
        file: next()?,
        offset: next()?,
    };
    (next().is_none() && told(incarnation, place) == text).then_some((incarnation, place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_comes_back_as_it_was_told_and_nothing_else_is_one() {
        let incarnation = Incarnation {
            epoch: Epoch(1),
            created: Revision(20),
            count: 3,
        };
        let at = LogPlace {
            file: 4,
            offset: 70_000,
        };
        let text = told(incarnation, at);
        assert_eq!(text, "1-20-3.4.70000");
        assert_eq!(place(&text), Some((incarnation, at)));
        for bad in [
            "",
            "1",
            "1-20-3.4",
            "1-20-3.4.5.6",
            "1.20.3.4.5",
            "1-20-3.4.x",
        ] {
            assert_eq!(place(bad), None, "{bad}");
        }
    }
}
