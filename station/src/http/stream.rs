//! Events as they come: server-sent events that can be resumed, and say so when what came between is trimmed.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::time::Duration;

use axum::response::IntoResponse;
use axum::response::sse::{self, KeepAlive, Sse};
use futures::stream;
use mainstay_api::present;
use mainstay_api::time::Time;
use mainstay_api::types;
use mainstay_protocol::limits;
use mainstay_resource_graph::Key;
use mainstay_store::StoreView;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::Api;
use super::history::{self, Wanted, Way};
use super::reply::{Failure, Reply, place};
use crate::clock::wall_ms;
use crate::shared::Standing;

/// So often something is sent, so that a reader knows that the station lives.
pub const ALIVE_EVERY: Duration = Duration::from_secs(10);

/// Where a reader is. It reads on only when what it has is taken, so that a slow one holds `FOLLOWER_EVENTS_MAX`
/// events and its place; the rest waits on disk, and what is let go of there meanwhile is told.
struct Follower {
    api: Api,
    subject: Option<Key>,
    after: u64,
    ready: VecDeque<types::Event>,
    changes: watch::Receiver<Standing>,
    stop: watch::Receiver<bool>,
    _place: OwnedSemaphorePermit,
}

pub async fn stream(api: Api, wanted: Wanted) -> Reply {
    let why = "too many follow the events already";
    let place = place(&api.followers, "follow events".to_owned(), why)?;
    let changes = api.shared.standing.subscribe();
    let subject = wanted.subject.clone();
    let follower = Follower {
        after: begin(&api, wanted).await?,
        subject,
        ready: VecDeque::new(),
        changes,
        stop: api.stop.clone(),
        api,
        _place: place,
    };
    let events = stream::unfold(follower, |mut follower| async move {
        let event = follower.next().await?;
        Some((Ok::<_, Infallible>(frame(&event)), follower))
    });
    let alive = KeepAlive::new().interval(ALIVE_EVERY).text("alive");
    Ok(Sse::new(events).keep_alive(alive).into_response())
}

/// Behind which event it begins: the one that was named, or so that the newest page comes first.
async fn begin(api: &Api, wanted: Wanted) -> Result<u64, Failure> {
    if let Way::After(after) = wanted.way {
        return Ok(after);
    }
    history::read(api, move |view, shared| {
        let (events, _) = history::page(view, shared, &wanted)?;
        let first = events.first().map(|event| event.seq.saturating_sub(1));
        Ok(match first {
            Some(before_first) => before_first,
            None => newest(view)?,
        })
    })
    .await
}

fn newest(view: &StoreView<'_>) -> io::Result<u64> {
    let newest = view.last_event()?;
    Ok(newest.map_or(0, |(revision, number)| present::seq(revision, number)))
}

fn frame(event: &types::Event) -> sse::Event {
    let data = serde_json::to_string(event).expect("an event's texts and numbers serialise");
    sse::Event::default()
        .id(event.seq.to_string())
        .event(&event.kind)
        .data(data)
}

/// What is said when events behind `after` were let go of unseen. Its own number is where it goes on.
fn trimmed(after: u64, trimmed: u64) -> types::Event {
    types::Event {
        seq: trimmed,
        time: Time::from_wall_ms(wall_ms()),
        subject: "cluster".to_owned(),
        kind: "events.trimmed".to_owned(),
        cause: "retention".to_owned(),
        rule: None,
        message: format!(
            "events behind {after} up to {trimmed} are no longer kept and are left out; what follows begins behind \
             {trimmed}"
        ),
        data: json!({ "after": after, "continue_after": trimmed }),
    }
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
            let more = self.read().await?;
            if more || !self.ready.is_empty() {
                continue;
            }
            tokio::select! {
                changed = self.changes.changed() => changed.ok()?,
                _ = self.stop.wait_for(|stop| *stop) => return None,
            }
        }
    }

    /// The next few; whether there is more to look at.
    async fn read(&mut self) -> Option<bool> {
        let (mut after, subject) = (self.after, self.subject.clone());
        let (lost, events, next, newest) = history::read(&self.api, move |view, shared| {
            let let_go = view
                .trimmed_event()?
                .map_or(0, |(revision, number)| present::seq(revision, number));
            // Who begins at the beginning has not lost what went before.
            let lost = (after > 0 && let_go > after).then(|| trimmed(after, let_go));
            after = after.max(let_go);
            let wanted = Wanted {
                way: Way::After(after),
                subject,
                limit: limits::FOLLOWER_EVENTS_MAX,
            };
            let (events, next) = history::page(view, shared, &wanted)?;
            Ok((lost, events, next, newest(view)?.max(after)))
        })
        .await
        .ok()?;
        self.ready.extend(lost);
        self.ready.extend(events);
        self.after = match next {
            Some(Way::After(after)) => after,
            // Everything up to the newest was looked at.
            Some(Way::Before(_)) | None => newest,
        };
        Some(next.is_some())
    }
}
