//! Events and decisions: pages of what is kept.

use std::collections::BTreeMap;
use std::io;

use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::http::header::ACCEPT;
use mainstay_api::Problem;
use mainstay_api::present::{self, Live, find};
use mainstay_api::time::Time;
use mainstay_api::types;
use mainstay_protocol::{Revision, code, limits};
use mainstay_resource_graph::Key;
use mainstay_store::{DecisionFilter, DecisionRow, EventRow, StoreView};

use super::Api;
use super::reply::{Failure, Reply, json, query};
use super::stream;
use crate::shared::Shared;

type Pairs = Query<BTreeMap<String, String>>;
/// Rows read at a time while looking for those of one subject.
const SCAN_ROWS: usize = 512;

/// Which events are wanted.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub after: Option<u64>,
    pub subject: Option<Key>,
    pub limit: usize,
}

pub async fn events(State(api): State<Api>, headers: HeaderMap, pairs: Pairs) -> Reply {
    let pairs = query("list events", pairs, &["after", "limit", "ref"])?;
    let subject = pairs.text("ref").as_deref().map(find::parse).transpose()?;
    let wanted = Wanted {
        after: pairs.number("after")?,
        subject,
        limit: pairs.limit(limits::HISTORY_ROWS_DEFAULT)?,
    };
    let streams = headers
        .get(ACCEPT)
        .is_some_and(|accept| accept.as_bytes().starts_with(b"text/event-stream"));
    if streams {
        return stream::stream(api, wanted).await;
    }
    json(&page(&api, wanted).await?)
}

/// One page, oldest first; without `after`, the newest.
pub async fn page(api: &Api, wanted: Wanted) -> Result<Vec<types::Event>, Failure> {
    read(api, move |view, shared| match wanted.after {
        Some(after) => events_after(view, shared, after, &wanted),
        None => newest_events(view, shared, &wanted),
    })
    .await
}

pub fn events_after(
    view: &StoreView<'_>,
    live: &dyn Live,
    after: u64,
    wanted: &Wanted,
) -> io::Result<Vec<types::Event>> {
    let mut place = present::place_of(after);
    let mut found = Vec::new();
    loop {
        let rows = view.events(
            Some(place),
            SCAN_ROWS.max(wanted.limit.min(limits::PAGE_ROWS_MAX)),
        )?;
        let Some(last) = rows.last() else { break };
        place = (last.revision, last.number);
        for row in &rows {
            if found.len() == wanted.limit {
                return Ok(found);
            }
            if concerns(&row.event.subject, wanted.subject.as_ref()) {
                found.push(shown(row, live));
            }
        }
        // A subject nothing ever happened to must not read a week of events for each page.
        if rows.len() < SCAN_ROWS {
            break;
        }
    }
    Ok(found)
}

/// Goes back until there are enough, or nothing older is kept.
fn newest_events(
    view: &StoreView<'_>,
    live: &dyn Live,
    wanted: &Wanted,
) -> io::Result<Vec<types::Event>> {
    let (Some(first), Some(last)) = (view.first_event()?, view.last_event()?) else {
        return Ok(Vec::new());
    };
    let mut back = (wanted.limit as u64).max(1);
    loop {
        let from = Revision(
            last.0
                .0
                .saturating_sub(back)
                .max(first.0.0.saturating_sub(1)),
        );
        let all = Wanted {
            limit: usize::MAX,
            ..wanted.clone()
        };
        let mut found = events_after(view, live, present::seq(from, u32::MAX), &all)?;
        if found.len() >= wanted.limit || from < first.0 {
            let surplus = found.len().saturating_sub(wanted.limit);
            return Ok(found.split_off(surplus));
        }
        back = back.saturating_mul(4);
    }
}

/// Events of an instance are also those of its placement.
fn concerns(subject: &Key, wanted: Option<&Key>) -> bool {
    let Some(wanted) = wanted else { return true };
    if subject == wanted {
        return true;
    }
    match (subject, wanted) {
        (Key::Instance(instance), Key::Placement(placement)) => instance.placement == *placement,
        (Key::Instance(instance), Key::Node(node)) => instance.node == *node,
        _ => false,
    }
}

fn shown(row: &EventRow, live: &dyn Live) -> types::Event {
    let seq = present::seq(row.revision, row.number);
    present::event(seq, Time::from_wall_ms(row.wall_ms), &row.event, live)
}

pub async fn decisions(State(api): State<Api>, pairs: Pairs) -> Reply {
    let pairs = query("list decisions", pairs, &["ref", "rule", "limit", "before"])?;
    let reference = pairs.text("ref");
    let filter = DecisionFilter {
        subject: reference.as_deref().map(find::parse).transpose()?,
        rule: pairs.text("rule"),
        since: None,
    };
    let limit = pairs.limit(limits::HISTORY_ROWS_DEFAULT)?;
    let before = pairs
        .text("before")
        .map(|id| decision_id(&id))
        .transpose()?;
    if let Some(reference) = reference {
        // Something that is gone may still have decisions; what never was has not.
        let asked = filter.clone();
        let any = read(&api, move |view, _| view.decisions(&asked, 1, None)).await?;
        if any.is_empty() {
            api.read(move |present| present.find(&reference)).await?;
        }
    }
    let decisions = read(&api, move |view, _| {
        let rows = view.decisions(&filter, limit, before)?;
        rows.iter()
            .map(|row| decision(view, row))
            .collect::<io::Result<Vec<_>>>()
    })
    .await?;
    json(&decisions)
}

/// With the events of its entry that are about its subject.
fn decision(view: &StoreView<'_>, row: &DecisionRow) -> io::Result<types::Decision> {
    let mut events = Vec::new();
    let mut after = (Revision(row.revision.0.saturating_sub(1)), u32::MAX);
    'entry: loop {
        let rows = view.events(Some(after), SCAN_ROWS)?;
        for event in &rows {
            if event.revision != row.revision {
                break 'entry;
            }
            if event.event.subject == row.decision.subject {
                events.push(present::seq(event.revision, event.number));
            }
        }
        let Some(last) = rows.last() else { break };
        after = (last.revision, last.number);
    }
    let id = format!("{}.{}", row.revision, row.number);
    Ok(present::decision(
        id,
        Time::from_wall_ms(row.wall_ms),
        &row.decision,
        events,
    ))
}

fn decision_id(text: &str) -> Result<(Revision, u32), Problem> {
    let parsed = text.split_once('.').and_then(|(revision, number)| {
        Some((Revision(revision.parse().ok()?), number.parse().ok()?))
    });
    parsed.ok_or_else(|| {
        let why = format!("before={text} is no decision's id, such as 42.0");
        Problem::new(code::BAD_REQUEST, "list decisions", why)
    })
}

/// Reads the store itself: what is kept beside the graph.
pub async fn read<T: Send + 'static>(
    api: &Api,
    read: impl FnOnce(&StoreView<'_>, &Shared) -> io::Result<T> + Send + 'static,
) -> Result<T, Failure> {
    let shared = std::sync::Arc::clone(&api.shared);
    let reading = tokio::task::spawn_blocking(move || {
        let view = shared.store.view();
        read(&view, &shared)
    });
    let outcome = reading
        .await
        .map_err(|_panic| super::reply::internal("read the history"))?;
    outcome
        .map_err(|error| Problem::new(code::INTERNAL, "read the history", error.to_string()).into())
}

/// The place of the oldest event that is kept.
pub fn first_kept(present: &StoreView<'_>) -> io::Result<Option<u64>> {
    Ok(present
        .first_event()?
        .map(|(revision, number)| present::seq(revision, number)))
}
