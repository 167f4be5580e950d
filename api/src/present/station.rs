//! Stations.

use mainstay_coordinator::why::station_reason;
use mainstay_protocol::StationId;
use mainstay_resource_graph::{Key, Vertex};

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
            node: self.live.node_of(id).map(|node| node.to_string()),
            role: if leads { "leader" } else { "follower" }.to_owned(),
            state: station.state.as_str().to_owned(),
            reason: station_reason(station),
            address: station.address.clone(),
            build: station.build.clone(),
            since: self.live.time(record.since),
        })
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
