//! Says when to look again: whenever something was committed, or leadership changed. Who reads slowly misses what lay
//! between and nothing else, since each says how things stand.

use std::convert::Infallible;

use axum::response::IntoResponse;
use axum::response::sse::{self, KeepAlive, Sse};
use futures::stream;
use mainstay_api::types::Changed;

use super::Api;
use super::reply::{Reply, place};
use super::stream::ALIVE_EVERY;
use crate::shared::Standing;

pub async fn changes(api: Api) -> Reply {
    let why = "too many follow what happens already";
    let place = place(&api.followers, "follow changes".to_owned(), why)?;
    let mut standing = api.shared.standing.subscribe();
    // The first look is due at once: something may have changed before this was asked.
    standing.mark_changed();
    let follower = (standing, api.stop.clone(), place);
    let frames = stream::unfold(follower, |(mut standing, mut stop, place)| async move {
        tokio::select! {
            changed = standing.changed() => changed.ok()?,
            _ = stop.wait_for(|stop| *stop) => return None,
        }
        let now = *standing.borrow_and_update();
        Some((Ok::<_, Infallible>(frame(now)), (standing, stop, place)))
    });
    let alive = KeepAlive::new().interval(ALIVE_EVERY).text("alive");
    Ok(Sse::new(frames).keep_alive(alive).into_response())
}

fn frame(standing: Standing) -> sse::Event {
    let changed = Changed {
        revision: standing.revision.0,
        leads: standing.leadership.is_some(),
    };
    let data = serde_json::to_string(&changed).expect("numbers serialise");
    sse::Event::default().event("changed").data(data)
}
