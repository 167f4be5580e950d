//! What peers sent that could not be read, bounded in peers as `BadFrames` is in frames.

use std::collections::VecDeque;

use mainstay_protocol::bad_frames::BadFrames;
use mainstay_protocol::limits;

#[derive(Debug, Default)]
pub struct BadPeers {
    kept: VecDeque<BadFrames>,
}

impl BadPeers {
    /// The latest of each peer; a session that read everything leaves nothing.
    pub fn keep(&mut self, bad: BadFrames) {
        if bad.total() == 0 {
            return;
        }
        self.kept.retain(|known| known.peer() != bad.peer());
        if self.kept.len() == limits::BAD_PEERS_MAX {
            self.kept.pop_front();
        }
        self.kept.push_back(bad);
    }

    pub fn all(&self) -> Vec<BadFrames> {
        self.kept.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_so_many_peers_are_remembered() {
        let mut peers = BadPeers::default();
        for number in 0..limits::BAD_PEERS_MAX + 5 {
            let mut bad = BadFrames::of(format!("n{number}"));
            bad.broken("noise");
            peers.keep(bad);
        }
        peers.keep(BadFrames::of("good"));
        assert_eq!(peers.all().len(), limits::BAD_PEERS_MAX);
        assert_eq!(peers.all()[0].peer(), "n5");
    }
}
