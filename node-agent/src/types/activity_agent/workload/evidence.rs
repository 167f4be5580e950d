//! What a task was held to, and how: part of what it leaves behind.

use std::time::Duration;

use mainstay_protocol::Json;

use super::resources::Bound;

/// Each bound with how its limit held; none: by nothing. What says nothing is left out.
pub(super) fn of(
    bounds: &[(&'static str, &Bound, Option<String>)],
    time: Option<Duration>,
) -> Json {
    let mut all = Vec::new();
    for (name, bound, by) in bounds {
        let mut members = Vec::new();
        if let Some(request) = &bound.request {
            members.push(("request", Json::text(&request.text)));
        }
        if let Some(limit) = &bound.limit {
            let by = by.as_deref().unwrap_or("nothing");
            members.extend([("limit", Json::text(&limit.text)), ("by", Json::text(by))]);
        }
        if !members.is_empty() {
            all.push((*name, Json::of(&members)));
        }
    }
    if let Some(time) = time {
        let ms = format!("{} ms", time.as_millis());
        let by = "ended when it is over";
        let members = [("limit", Json::text(&ms)), ("by", Json::text(by))];
        all.push(("time", Json::of(&members)));
    }
    Json::of(&all)
}
