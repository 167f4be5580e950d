//! The session as the outbox sees it: what is committed goes, what is not is sent, within the credits.

use mainstay_protocol::session::{Acknowledged, Welcome, batch};
use mainstay_protocol::{Epoch, NodeEpoch, Sequence, limits};

use super::AgentCore;
use super::input::Action;
use crate::file::FileRecord;

/// One session with a station.
#[derive(Debug, Clone)]
pub(super) struct Session {
    epoch: Epoch,
    node_epoch: NodeEpoch,
    /// Up to here everything was sent in this session.
    sent: Sequence,
    credits: usize,
}

impl AgentCore {
    pub(super) fn session_up(&mut self, welcome: &Welcome) {
        self.session_down();
        if welcome.leadership < self.state.leadership {
            self.output.actions.push(Action::CloseSession {
                why: format!(
                    "the station leads by term {}, but term {} was seen",
                    welcome.leadership.term, self.state.leadership.term
                ),
            });
            return;
        }
        if welcome.leadership > self.state.leadership {
            self.persist(FileRecord::Leads(welcome.leadership));
        }
        let same_life = self.state.node_epoch == Some(welcome.node_epoch)
            && self.state.node_id == Some(welcome.node_id);
        if same_life {
            self.committed(welcome.watermark);
        } else {
            self.persist(FileRecord::Joined {
                node_id: welcome.node_id,
                node_epoch: welcome.node_epoch,
                first: welcome.watermark.next(),
            });
            self.sent = welcome.watermark;
        }
        self.session = Some(Session {
            epoch: welcome.leadership.epoch,
            node_epoch: welcome.node_epoch,
            sent: welcome.watermark,
            credits: (welcome.credits as usize).min(limits::REPORT_CREDITS),
        });
    }

    pub(super) fn session_down(&mut self) {
        self.session = None;
        // They come again in the next one.
        self.unleased.clear();
    }

    pub(super) fn acknowledged(&mut self, acknowledged: &Acknowledged) {
        if self.state.node_epoch == Some(acknowledged.node_epoch) {
            // Nothing can be committed that was not sent; a station that says so is not believed beyond that.
            self.committed(acknowledged.up_to.min(self.sent));
        }
    }

    fn committed(&mut self, up_to: Sequence) {
        let outbox = &self.state.outbox;
        if outbox.up_to(up_to) > 0 || outbox.next() <= up_to {
            self.persist(FileRecord::Acknowledged { up_to });
        }
        self.sent = self.sent.max(up_to);
    }

    pub(super) fn send(&mut self) {
        let Some(session) = &mut self.session else {
            return;
        };
        let outbox = &self.state.outbox;
        let mut room = session.credits.saturating_sub(outbox.up_to(session.sent));
        while room > 0 {
            let waiting = outbox.after(session.sent).take(room);
            let reports = batch(session.epoch, session.node_epoch, waiting);
            let Some(last) = reports.reports.last() else {
                break;
            };
            room -= reports.reports.len();
            session.sent = last.sequence;
            self.sent = self.sent.max(last.sequence);
            self.output.actions.push(Action::Send(reports));
        }
    }
}
