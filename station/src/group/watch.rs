//! While this station leads, it alone knows whom it hears. What changed goes to the coordinator as one event, which is the
//! whole group; agents are told where the stations are.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_coordinator::{Event, StationSeen};
use mainstay_protocol::session::Stations;
use mainstay_protocol::{Leadership, StationId};
use mainstay_resource_graph::{Key, Kind, StationState, View};
use tokio::sync::watch;

use super::SILENCE;
use super::change::state;
use crate::shared::{Shared, Submitted};

/// Silence is no event: it has to be looked for.
const LOOK: Duration = Duration::from_millis(500);

/// Until the station stops.
pub async fn watch(shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let mut watching = Watching::default();
    let mut look = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            _ = look.tick() => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        watching.look(&shared).await;
    }
}

#[derive(Default)]
struct Watching {
    /// Under which leadership it was told what, and since when that is.
    leads: Option<(Leadership, Instant)>,
    told: BTreeMap<StationId, StationSeen>,
    agents_told: Option<Stations>,
}

impl Watching {
    async fn look(&mut self, shared: &Shared) {
        let stations = shared.stations();
        if stations != self.agents_told {
            if let Some(stations) = &stations {
                shared.sessions.tell_stations(stations);
            }
            self.agents_told = stations;
        }
        let Some(leadership) = shared.standing().leadership else {
            self.leads = None;
            return;
        };
        let since = match self.leads {
            Some((same, since)) if same == leadership => since,
            _ => {
                self.told.clear();
                let now = Instant::now();
                self.leads = Some((leadership, now));
                now
            }
        };
        let group = group(shared, since.elapsed() < SILENCE);
        // A station that is, and was, alone has told of itself at its start.
        let alone = self.told.is_empty() && group.len() <= 1 && !knows_others(shared);
        if group == self.told || alone {
            return;
        }
        let submitted = Submitted {
            event: Event::Stations(group.clone()),
            answer: None,
        };
        if shared.inbox.send(submitted).await.is_ok() {
            self.told = group;
        }
    }
}

/// Whether the graph has a station that is not this one and not removed.
fn knows_others(shared: &Shared) -> bool {
    let keys = shared.store.view().keys(Kind::Station);
    keys.iter().any(|key| match key {
        Key::Station(id) if *id != shared.about.station => {
            state(shared, *id).is_some_and(|state| state != StationState::Removed)
        }
        _ => false,
    })
}

/// Who is in it. Right after an election nobody was silent for long.
fn group(shared: &Shared, early: bool) -> BTreeMap<StationId, StationSeen> {
    let status = shared.store.status();
    let seen = |(id, address): (&StationId, &String)| {
        let own = *id == shared.about.station;
        let heard = match status.heard.get(id) {
            _ if own => Some(true),
            Some(ago) if *ago < SILENCE => Some(true),
            Some(_) | None if early => None,
            Some(_) | None => Some(false),
        };
        let life = match own {
            true => Some(shared.about.life.clone()),
            false => shared.ways.life(*id),
        };
        let seen = StationSeen {
            address: address.clone(),
            votes: status.voters.contains(id),
            heard,
            life,
        };
        (*id, seen)
    };
    status.addresses.iter().map(seen).collect()
}
