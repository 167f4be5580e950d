//! Events as they come: server-sent events that can be resumed, and say so when what came between is trimmed.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::response::IntoResponse;
use axum::response::sse::{self, KeepAlive, Sse};
use futures::stream;
use mainstay_api::present::{self, Live};
use mainstay_api::time::Time;
use mainstay_api::types;
use serde_json::Value;
use tokio::sync::watch;

use super::Api;
use super::history::{self, Wanted};
use super::reply::{Failure, Reply};
use crate::clock::wall_ms;
use crate::shared::Standing;

/// So often something is sent, so that a reader knows that the station lives.
const ALIVE_EVERY: Duration = Duration::from_secs(10);

/// Where a reader is.
struct Follower {
    api: Api,
    wanted: Wanted,
    after: u64,
    ready: VecDeque<types::Event>,
    changes: watch::Receiver<Standing>,
    stop: watch::Receiver<bool>,
}

pub async fn stream(api: Api, wanted: Wanted) -> Reply {
    let changes = api.shared.standing.subscribe();
    let mut ready = VecDeque::new();
    let after = match wanted.after {
        Some(after) => {
            ready.extend(gap(&api, after).await?);
            after
        }
        // The newest page first, then what follows it.
        None => {
            let newest = history::read(&api, |view, _| view.last_event()).await?;
            ready.extend(history::page(&api, wanted.clone()).await?);
            newest.map_or(0, |(revision, number)| present::seq(revision, number))
        }
    };
    let stop = api.stop.clone();
    let follower = Follower {
        api,
        wanted,
        after,
        ready,
        changes,
        stop,
    };
    let events = stream::unfold(follower, |mut follower| async move {
        let event = follower.next().await?;
        Some((Ok::<_, Infallible>(frame(&event)), follower))
    });
    let alive = KeepAlive::new().interval(ALIVE_EVERY).text("alive");
    Ok(Sse::new(events).keep_alive(alive).into_response())
}

fn frame(event: &types::Event) -> sse::Event {
    let data = serde_json::to_string(event).expect("an event's texts and numbers serialise");
    sse::Event::default()
        .id(event.seq.to_string())
        .event(&event.kind)
        .data(data)
}

/// What is said when events behind `after` are no longer kept.
async fn gap(api: &Api, after: u64) -> Result<Option<types::Event>, Failure> {
    let first = history::read(api, |view, _| history::first_kept(view)).await?;
    // Right behind `after` comes the next entry at the latest; a first event far behind it means a gap.
    let next_entry = present::seq(
        mainstay_protocol::Revision(present::place_of(after).0.0 + 1),
        u32::MAX,
    );
    let Some(first) = first.filter(|first| after > 0 && *first > next_entry) else {
        return Ok(None);
    };
    Ok(Some(types::Event {
        seq: first.saturating_sub(1),
        time: Time::from_wall_ms(wall_ms()),
        subject: "cluster".to_owned(),
        kind: "events.trimmed".to_owned(),
        cause: "retention".to_owned(),
        rule: None,
        message: format!("events behind {after} and before {first} are no longer kept"),
        data: Value::Object(serde_json::Map::new()),
    }))
}

impl Follower {
    /// None when the station stops or cannot read.
    async fn next(&mut self) -> Option<types::Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            // Marked as seen before reading: what is committed meanwhile wakes us again.
            self.changes.borrow_and_update();
            self.read().await?;
            if !self.ready.is_empty() {
                continue;
            }
            tokio::select! {
                changed = self.changes.changed() => changed.ok()?,
                _ = self.stop.wait_for(|stop| *stop) => return None,
            }
        }
    }

    async fn read(&mut self) -> Option<()> {
        let (after, wanted) = (self.after, self.wanted.clone());
        let (events, last) = history::read(&self.api, move |view, shared| {
            let live: &dyn Live = shared;
            let last = view.last_event()?;
            Ok((history::events_after(view, live, after, &wanted)?, last))
        })
        .await
        .ok()?;
        let full = events.len() >= self.wanted.limit;
        let last = last.map_or(after, |(revision, number)| present::seq(revision, number));
        // Of a page that is full there may be more; otherwise everything up to the newest was looked at.
        self.after = match events.last() {
            Some(event) if full => event.seq,
            Some(_) | None => last.max(after),
        };
        self.ready.extend(events);
        Some(())
    }
}
