//! Events and decisions: pages of what is kept.

use std::collections::BTreeMap;
use std::io;

use axum::extract::Query;
use axum::http::HeaderMap;
use axum::http::header::ACCEPT;
use mainstay_api::Problem;
use mainstay_api::present::{self, Live, find};
use mainstay_api::routes::NEXT_CURSOR_HEADER;
use mainstay_api::time::Time;
use mainstay_api::types;
use mainstay_protocol::{Revision, code, limits};
use mainstay_resource_graph::Key;
use mainstay_store::{DecisionFilter, DecisionRow, EventRow, Reading, StoreView};

use super::Api;
use super::reply::{Failure, Reply, paged, query};
use super::stream;
use crate::shared::Shared;

type Pairs = Query<BTreeMap<String, String>>;

/// Which events are wanted.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub way: Way,
    pub subject: Option<Key>,
    pub limit: usize,
}

/// From where, and in which direction. As a cursor: `after-17`, `before-17`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// What follows this one.
    After(u64),
    /// The newest; before this one.
    Before(Option<u64>),
}

impl Way {
    fn cursor(self) -> Option<String> {
        match self {
            Self::After(seq) => Some(format!("after-{seq}")),
            Self::Before(seq) => seq.map(|seq| format!("before-{seq}")),
        }
    }

    fn parse(cursor: &str) -> Result<Self, Problem> {
        let way = cursor.split_once('-').and_then(|(way, seq)| {
            let seq = seq.parse().ok()?;
            match way {
                "after" => Some(Self::After(seq)),
                "before" => Some(Self::Before(Some(seq))),
                _ => None,
            }
        });
        way.ok_or_else(|| {
            let why = format!(
                "cursor={cursor} is none; it is what an answer's {NEXT_CURSOR_HEADER} says"
            );
            Problem::new(code::BAD_REQUEST, "list events", why)
        })
    }
}

pub async fn events(api: Api, headers: HeaderMap, pairs: Pairs) -> Reply {
    let pairs = query("list events", pairs, &["after", "limit", "ref", "cursor"])?;
    let subject = pairs.text("ref").as_deref().map(find::parse).transpose()?;
    let way = match (pairs.text("cursor"), pairs.number("after")?) {
        (Some(cursor), _) => Way::parse(&cursor)?,
        (None, Some(after)) => Way::After(after),
        (None, None) => Way::Before(None),
    };
    let wanted = Wanted {
        way,
        subject,
        limit: pairs.limit(limits::HISTORY_ROWS_DEFAULT)?,
    };
    let streams = headers
        .get(ACCEPT)
        .is_some_and(|accept| accept.as_bytes().starts_with(b"text/event-stream"));
    if streams {
        return stream::stream(api, wanted).await;
    }
    let (events, next) = read(&api, move |view, shared| page(view, shared, &wanted)).await?;
    paged(&events, next.and_then(Way::cursor))
}

/// One page, oldest first, and where the next one goes on.
pub fn page(
    view: &StoreView<'_>,
    live: &dyn Live,
    wanted: &Wanted,
) -> io::Result<(Vec<types::Event>, Option<Way>)> {
    let reading = Reading {
        rows: wanted.limit,
        scanned: limits::HISTORY_SCAN_ROWS_MAX,
    };
    let takes = |row: &EventRow| concerns(&row.event.subject, wanted.subject.as_ref());
    let found = match wanted.way {
        Way::After(after) => view.events_after(Some(present::place_of(after)), reading, takes)?,
        Way::Before(before) => {
            let mut found = view.events_before(before.map(present::place_of), reading, takes)?;
            found.rows.reverse();
            found
        }
    };
    let next = found.next.map(|(revision, number)| {
        let seq = present::seq(revision, number);
        match wanted.way {
            Way::After(_) => Way::After(seq),
            Way::Before(_) => Way::Before(Some(seq)),
        }
    });
    Ok((
        found.rows.iter().map(|row| shown(row, live)).collect(),
        next,
    ))
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

pub async fn decisions(api: Api, pairs: Pairs) -> Reply {
    let known = ["ref", "rule", "limit", "cursor"];
    let pairs = query("list decisions", pairs, &known)?;
    let reference = pairs.text("ref");
    let filter = DecisionFilter {
        subject: reference.as_deref().map(find::parse).transpose()?,
        rule: pairs.text("rule"),
        since: None,
    };
    let reading = Reading {
        rows: pairs.limit(limits::HISTORY_ROWS_DEFAULT)?,
        scanned: limits::HISTORY_SCAN_ROWS_MAX,
    };
    let before = pairs
        .text("cursor")
        .map(|id| decision_id(&id))
        .transpose()?;
    let (decisions, next) = read(&api, move |view, _| {
        let found = view.decisions(&filter, reading, before)?;
        let shown: io::Result<Vec<_>> = found.rows.iter().map(|row| decision(view, row)).collect();
        Ok((shown?, found.next))
    })
    .await?;
    // Something that is gone may still have decisions; what never was has not.
    if let Some(reference) = reference
        && decisions.is_empty()
        && next.is_none()
        && before.is_none()
    {
        api.read(move |present| present.find(&reference)).await?;
    }
    paged(
        &decisions,
        next.map(|(revision, number)| format!("{revision}.{number}")),
    )
}

/// With the events of its entry that are about its subject.
fn decision(view: &StoreView<'_>, row: &DecisionRow) -> io::Result<types::Decision> {
    let events = view
        .events_of(row.revision)?
        .iter()
        .filter(|event| event.event.subject == row.decision.subject)
        .map(|event| present::seq(event.revision, event.number))
        .collect();
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
        let why = format!("{text} is no decision's id, such as 42.0");
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
