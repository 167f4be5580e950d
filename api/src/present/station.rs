//! Stations.

use mainstay_coordinator::why::station_reason;
use mainstay_protocol::StationId;
use mainstay_resource_graph::{Key, StationState, Vertex};

use super::Present;
use crate::types;

impl Present<'_> {
    pub fn station(&self, id: StationId) -> Option<types::Station> {
        let record = self.record(&Key::Station(id))?;
        let Vertex::Station(station) = &record.vertex else {
            return None;
        };
        let leads = self.live.leader() == Some(id);
        Some(types::Station {
            id: id.to_string(),
            node: station.node.as_ref().map(ToString::to_string),
            role: role(station.state, leads).to_owned(),
            state: station.state.as_str().to_owned(),
            reason: station_reason(station),
            address: station.address.clone(),
            build: station.build.clone(),
            since: self.live.time(record.since),
        })
    }
}

fn role(state: StationState, leads: bool) -> &'static str {
    match state {
        _ if leads => "leader",
        StationState::Joining => "learner",
        StationState::Removed => "none",
        StationState::Running | StationState::Stopped | StationState::Away => "follower",
    }
}

#[cfg(test)]
mod tests {
    use mainstay_protocol::StationId;

    use crate::present::sample::Sample;

    #[test]
    fn the_leading_station_says_so() {
        let sample = Sample::new();
        let station = sample.present().station(StationId(1)).unwrap();
        assert_eq!(
            (station.id.as_str(), station.role.as_str()),
            ("s1", "leader")
        );
        assert_eq!(station.node.as_deref(), Some("n1"));
    }
}
