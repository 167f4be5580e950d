//! One welcomed session: frames in, to whom they concern; a slow coordinator slows the peer's reports down and
//! nothing else.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_coordinator::{Answer as Outcome, Event};
use mainstay_identity::way::BoxedStream;
use mainstay_protocol::bad_frames::BadFrames;
use mainstay_protocol::code;
use mainstay_protocol::frame::{Channel, FrameDecoder};
use mainstay_protocol::report::Reports;
use mainstay_protocol::request::{Answer, Refusal};
use mainstay_protocol::session::{
    AgentMessage, Heartbeat, HeartbeatSeen, Received, StationMessage,
};
use mainstay_protocol::{NodeId, limits};
use tokio::io::AsyncReadExt;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use uuid::Uuid;

use super::introduce::{First, FromAgent};
use super::link::Link;
use super::writer::Way;
use super::{artifacts, bulk, denied, secrets, writer};
use crate::shared::{Shared, Submitted};
use crate::space;

/// A session whose way is cut on purpose is not kept for longer.
const CUT_FOR_MAX: Duration = Duration::from_secs(10);

pub async fn serve(
    stream: BoxedStream,
    introduced: FromAgent,
    pid: Option<i32>,
    shared: &Arc<Shared>,
) {
    let FromAgent {
        first,
        decoder,
        bad,
    } = introduced;
    let up = match first {
        First::Node(up) => up,
        First::Bulk(node, agent_run) => {
            return bulk::serve(stream, (node, agent_run), (decoder, bad), shared).await;
        }
    };
    let way = Way {
        faults: Arc::clone(&shared.faults),
        node: up.node.clone(),
    };
    // One that gives up meanwhile comes again.
    if timeout(CUT_FOR_MAX, way.pass()).await.is_err() {
        return;
    }
    let (reader, half) = tokio::io::split(stream);
    let (queue, queued) = mpsc::channel(limits::SESSION_QUEUE_MAX);
    let writing = tokio::spawn(writer::write(half, queued, Channel::Control, way.clone()));
    let link = Arc::new(Link::new(up.node.clone(), up.agent_run, pid, queue.clone()));
    if let Err(refusal) = shared.sessions.open(&link) {
        tracing::warn!(node = %link.node, why = %refusal.text, "a session was refused");
        drop(queue.try_send(denied(&refusal)));
        drop((queue, link));
        drop(writing.await);
        return;
    }
    drop(queue);
    let (answer, refused) = oneshot::channel();
    let introduction = Submitted {
        event: Event::NodeUp {
            up,
            minted: NodeId(Uuid::new_v4()),
        },
        answer: Some(answer),
    };
    let mut session = Session {
        link: Arc::clone(&link),
        shared: Arc::clone(shared),
        reader,
        way,
        decoder,
        bad,
        pending: VecDeque::new(),
        pending_reports: 0,
    };
    let why = match session.submit(introduction).await {
        Ok(()) => session.run(refused).await,
        Err(why) => why,
    };
    tracing::info!(node = %link.node, %why, "a session ended");
    shared.sessions.closed(&link, &shared.inbox).await;
    shared.sessions.keep_bad(session.bad);
    // With the last link gone the queue closes; the writer ends once it is empty.
    drop(session.link);
    drop(link);
    if let Ok(Err(why)) = writing.await {
        tracing::debug!(%why, "the rest of a session's queue was not written");
    }
}

struct Session {
    link: Arc<Link>,
    shared: Arc<Shared>,
    reader: tokio::io::ReadHalf<BoxedStream>,
    way: Way,
    decoder: FrameDecoder,
    bad: BadFrames,
    /// Reports that the inbox had no room for; bounded by the peer's credit.
    pending: VecDeque<Reports>,
    pending_reports: usize,
}

impl Session {
    async fn submit(&self, submitted: Submitted) -> Result<(), String> {
        if !self.shared.leads() {
            if let Some(stations) = self.shared.stations() {
                self.link.send(StationMessage::Stations(stations));
            }
            let refusal = match self.shared.leading() {
                Some(leader) => Refusal::new(code::ANOTHER_LEADS, format!("{leader} leads")),
                None => Refusal::new(code::NO_QUORUM, self.shared.no_leader()),
            };
            self.link.deny(&refusal);
            return Err(refusal.text);
        }
        // Nothing is taken out of the inbox then, and whoever comes again and again would fill it.
        if let Some(shortage) = self.shared.store.short_of_space() {
            let refusal = space::refusal(&shortage);
            self.link.deny(&refusal);
            return Err(refusal.text);
        }
        let mut closing = self.link.closing();
        tokio::select! {
            sent = self.shared.inbox.send(submitted) => {
                sent.map_err(|_closed| "the station stops".to_owned())
            }
            why = closing.wait_for(Option::is_some) => {
                Err(why.ok().and_then(|why| *why).unwrap_or("closed").to_owned())
            }
        }
    }

    /// Until it ends; says why it did.
    async fn run(&mut self, mut refused: oneshot::Receiver<Outcome>) -> String {
        let mut closing = self.link.closing();
        let mut buffer = vec![0; limits::SESSION_READ_BYTES];
        let mut undecided = true;
        let mut arrived = false;
        let mut told = tokio::time::Instant::now();
        let inbox = self.shared.inbox.clone();
        loop {
            if std::mem::take(&mut arrived)
                && let Some(why) = self.held_up().await
            {
                return why;
            }
            if let Err(why) = self.take_frames() {
                let refusal = Refusal::new(code::BAD_REQUEST, &why);
                self.link.deny(&refusal);
                return why;
            }
            tokio::select! {
                // What the coordinator says to close is closed before more is read.
                biased;
                changed = closing.wait_for(Option::is_some) => {
                    return changed.ok().and_then(|why| *why).unwrap_or("closed").to_owned();
                }
                outcome = &mut refused, if undecided => {
                    undecided = false;
                    // No word is good: the sender is dropped once the NodeUp is in line.
                    if let Ok(Err(refusal)) = outcome {
                        self.link.deny(&refusal);
                        return refusal.text;
                    }
                }
                permit = inbox.reserve(), if !self.pending.is_empty() => match permit {
                    Ok(permit) => {
                        if let Some(reports) = self.next_pending() {
                            permit.send(self.submitted(reports));
                        }
                    }
                    Err(_closed) => return "the station stops".to_owned(),
                },
                () = self.link.following.due(told), if self.link.is_welcome() => {
                    self.link.following.tell(&self.shared, &self.link);
                    told = tokio::time::Instant::now();
                }
                read = self.reader.read(&mut buffer) => match read {
                    Ok(0) => return "the agent closed it".to_owned(),
                    Ok(read) => {
                        self.decoder.push(&buffer[..read]);
                        arrived = true;
                    }
                    Err(error) => return error.to_string(),
                },
            }
        }
    }

    /// By a way that is broken on purpose. Says why, where the session is closed meanwhile.
    async fn held_up(&self) -> Option<String> {
        let mut closing = self.link.closing();
        tokio::select! {
            () = self.way.pass() => None,
            changed = closing.wait_for(Option::is_some) => {
                Some(changed.ok().and_then(|why| *why).unwrap_or("closed").to_owned())
            }
        }
    }

    fn submitted(&self, reports: Reports) -> Submitted {
        Submitted {
            event: Event::Reports {
                node: self.link.node.clone(),
                reports,
            },
            answer: None,
        }
    }

    fn next_pending(&mut self) -> Option<Reports> {
        let reports = self.pending.pop_front()?;
        self.pending_reports -= reports.reports.len().max(1);
        Some(reports)
    }

    /// Everything that is whole. An error ends the session.
    fn take_frames(&mut self) -> Result<(), String> {
        while let Some(frame) = self.decoder.next() {
            let frame = frame.map_err(|error| {
                self.shared.metrics.bad_frame();
                self.bad.broken(&error);
                error.to_string()
            })?;
            match AgentMessage::from_frame(&frame) {
                Ok(Received::Message(message)) => self.take(message)?,
                Ok(Received::Unsupported { request_id, answer }) => {
                    if let Some(what) = answer {
                        self.link
                            .send(StationMessage::Unsupported { request_id, what });
                    }
                }
                Err(body) => {
                    self.shared.metrics.bad_frame();
                    tracing::warn!(node = %self.link.node, %body, "a frame could not be read");
                    self.bad.undecodable(&frame, &body);
                    if self.bad.total() > limits::BAD_FRAMES_PER_SESSION_MAX {
                        return Err("too many frames could not be read".to_owned());
                    }
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, message: AgentMessage) -> Result<(), String> {
        if self.link.is_welcome() {
            self.shared.heard(&self.link.node, Instant::now());
        }
        match message {
            AgentMessage::Heartbeat(heartbeat) => self.heartbeat(heartbeat),
            AgentMessage::Reports(reports) => self.reports(reports)?,
            AgentMessage::Answer { request_id, answer } => self.link.answered(request_id, answer),
            AgentMessage::Unsupported { request_id, what } => {
                let text = format!(
                    "{} does not know frames of kind {}",
                    self.link.node, what.kind
                );
                let refusal = Refusal::new(code::VERSION_MISMATCH, text);
                self.link.answered(request_id, Answer::Refused(refusal));
            }
            AgentMessage::SecretWanted { request_id, wanted } => {
                if !self.link.is_welcome() {
                    return Err("a secret is asked for before the welcome".to_owned());
                }
                let answer = secrets::answer(&self.shared, &self.link.node, &wanted);
                self.link
                    .send(StationMessage::Secret { request_id, answer });
            }
            AgentMessage::ArtifactWanted { request_id, wanted } => {
                if !self.link.is_welcome() {
                    return Err("an artifact is asked for before the welcome".to_owned());
                }
                let answer = artifacts::answer(&self.shared, &self.link.node, &wanted);
                self.link
                    .send(StationMessage::Artifact { request_id, answer });
            }
            AgentMessage::Follows(follows) => {
                if !self.link.is_welcome() {
                    return Err("something is followed before the welcome".to_owned());
                }
                self.link.following.follow(follows)?;
            }
            AgentMessage::NodeUp(_) => return Err("a session has one NodeUp".to_owned()),
            AgentMessage::BulkUp(_) => {
                return Err("a bulk connection is one of its own".to_owned());
            }
            AgentMessage::Renew(_) => {
                return Err("a certificate is asked for on a connection of its own".to_owned());
            }
        }
        Ok(())
    }

    fn heartbeat(&self, heartbeat: Heartbeat) {
        let now = Instant::now();
        let checked = heartbeat
            .checked_ms_ago
            .into_iter()
            .filter_map(|(instance, ms)| {
                let at = now.checked_sub(Duration::from_millis(ms))?;
                Some((instance, at))
            });
        self.shared.checked(&self.link.node, checked);
        // That its leases are renewed is the coordinator's to say: it knows for how long it waits for this node.
        if let Some(from) = heartbeat.renews.filter(|_| self.link.is_welcome()) {
            self.shared.wants_renewal(&self.link, from);
        }
        let leadership = self.shared.standing().leadership.unwrap_or_default();
        self.link.send(StationMessage::HeartbeatSeen(HeartbeatSeen {
            leadership,
            renewed: None,
        }));
    }

    fn reports(&mut self, reports: Reports) -> Result<(), String> {
        if !self.link.is_welcome() {
            return Err("reports before the welcome".to_owned());
        }
        let foreign = reports.reports.iter().find_map(|numbered| {
            let (instance, _) = numbered.report.about()?;
            (instance.node != self.link.node).then(|| instance.to_string())
        });
        if let Some(instance) = foreign {
            return Err(format!(
                "a report about {instance}, which is not on this node"
            ));
        }
        if self.pending.is_empty() {
            match self.shared.inbox.try_send(self.submitted(reports)) {
                Ok(()) => return Ok(()),
                Err(mpsc::error::TrySendError::Closed(_)) => {
                    return Err("the station stops".to_owned());
                }
                Err(mpsc::error::TrySendError::Full(submitted)) => match submitted.event {
                    Event::Reports { reports, .. } => self.wait(reports),
                    Event::Found(_)
                    | Event::NodeUp { .. }
                    | Event::AgentGone { .. }
                    | Event::Sighted { .. }
                    | Event::HostCommandRan { .. }
                    | Event::Stations(_)
                    | Event::StationStops { .. }
                    | Event::Operator { .. } => {
                        unreachable!("what came back is what was sent")
                    }
                },
            }
        } else {
            self.wait(reports);
        }
        if self.pending_reports > limits::REPORT_CREDITS + limits::REPORTS_PER_FRAME_MAX {
            return Err("more reports than its credit allows".to_owned());
        }
        Ok(())
    }

    fn wait(&mut self, reports: Reports) {
        self.pending_reports += reports.reports.len().max(1);
        self.pending.push_back(reports);
    }
}
