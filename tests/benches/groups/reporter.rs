//! A node that reports: one instance runs on it, whose health changes with every report, so that each of them changes the
//! graph and is an event. It comes back as agents do when its station has gone.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mainstay_protocol::codec;
use mainstay_protocol::command::{Command, Order};
use mainstay_protocol::health::Health;
use mainstay_protocol::report::{
    CommandOutcome, DigestEntry, LiveInstance, LiveState, NodeUp, Numbered, Report, RestartWhen,
    SysInfo, TypeDeclaration,
};
use mainstay_protocol::session::{AgentMessage, Heartbeat, StationMessage, Welcome, batch};
use mainstay_protocol::{
    AgentRunId, BootId, Incarnation, InstanceKey, NodeName, PlacementName, Sequence, SlotName,
    TypeName,
};
use mainstay_tests::Random;
use tokio::sync::watch;
use tokio::time::{interval, sleep, timeout};
use uuid::Uuid;

use super::Acks;
use super::session::{Over, Session};

/// The placement, its type and the name it holds.
pub const WRITER: &str = "writer";
const BENCH: &str = "bench";

/// As agents have them.
const HEARTBEAT: Duration = Duration::from_secs(1);
const OPENING_MAX: Duration = Duration::from_secs(5);
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);

pub struct Reporter {
    number: usize,
    instance: InstanceKey,
    agent_run: AgentRunId,
    /// Their sockets.
    stations: Vec<PathBuf>,
    acks: Arc<Acks>,
    /// So many reports may be under way.
    window: watch::Receiver<usize>,
    /// What was said last.
    welcome: Option<Welcome>,
    /// Of what was started here.
    incarnation: Option<Incarnation>,
    sequence: Sequence,
    /// Not acknowledged yet; the first so many of them were sent in this session.
    waiting: VecDeque<Numbered>,
    sent: usize,
}

/// What one report has as it travels within its frame.
pub fn report_bytes() -> usize {
    let (instance, incarnation) = (instance(0), Incarnation::default().next());
    codec::encode(&Numbered {
        sequence: Sequence(1000),
        report: health_changed(instance, incarnation, Sequence(1000)),
    })
    .len()
}

impl Reporter {
    pub fn new(
        number: usize,
        stations: Vec<PathBuf>,
        window: watch::Receiver<usize>,
        acks: Arc<Acks>,
    ) -> Self {
        Self {
            number,
            instance: instance(number),
            agent_run: AgentRunId(Uuid::new_v4()),
            stations,
            acks,
            window,
            welcome: None,
            incarnation: None,
            sequence: Sequence::default(),
            waiting: VecDeque::new(),
            sent: 0,
        }
    }

    /// For ever. There is a pause before every station, longer once all had their turn, but for one that was said to lead;
    /// and behind one without a pause there is one with.
    pub async fn live(mut self) {
        let mut random = Random::new(self.number as u64);
        let (mut station, mut pauses, mut jumped) = (0, 0, false);
        loop {
            match self.session(station).await {
                None => pauses = 0,
                Some(Over::Leads(leader)) if !jumped => {
                    (station, jumped) = (leader, true);
                    continue;
                }
                Some(Over::Leads(_) | Over::Broken) => {
                    station = (station + 1) % self.stations.len();
                }
            }
            jumped = false;
            let longer = 2u32.pow(pauses / self.stations.len() as u32);
            let pause = PAUSE_MIN.saturating_mul(longer).min(PAUSE_MAX);
            pauses += 1;
            // tidy: waits because agents pause before they come again, jittered
            sleep(pause / 2 + pause.mul_f64(random.below(512) as f64 / 1024.0)).await;
        }
    }

    /// From its beginning to its end; why there was none.
    async fn session(&mut self, station: usize) -> Option<Over> {
        let opening = Session::open(&self.stations[station], self.node_up());
        let (session, welcome) = match timeout(OPENING_MAX, opening).await {
            Ok(Ok(opened)) => opened,
            Ok(Err(over)) => return Some(over),
            Err(_elapsed) => return Some(Over::Broken),
        };
        self.acknowledged(welcome.watermark);
        self.sequence = self.sequence.max(welcome.watermark);
        self.welcome = Some(welcome);
        self.sent = 0;
        // However it ends, the same station is asked first.
        drop(self.carry(session).await);
        None
    }

    async fn carry(&mut self, mut session: Session) -> Result<(), Over> {
        let mut heartbeat = interval(HEARTBEAT);
        loop {
            self.report(&mut session).await?;
            tokio::select! {
                word = session.word() => self.hear(word?),
                _ = heartbeat.tick() => session.say(&self.heartbeat()).await?,
                changed = self.window.changed() => changed.map_err(|_closed| Over::Broken)?,
            }
        }
    }

    fn hear(&mut self, word: StationMessage) {
        match word {
            StationMessage::Acknowledged(done) => self.acknowledged(done.up_to),
            StationMessage::Command(command) => self.carry_out(*command),
            StationMessage::HeartbeatSeen(_)
            | StationMessage::Stations(_)
            | StationMessage::Guards(_)
            | StationMessage::Watches(_)
            | StationMessage::Found(_)
            | StationMessage::Request { .. }
            | StationMessage::BulkReady(_)
            | StationMessage::Certificate(_)
            | StationMessage::Secret { .. }
            | StationMessage::Artifact { .. }
            | StationMessage::Unsupported { .. }
            | StationMessage::Welcome(_)
            | StationMessage::Denied(_) => {}
        }
    }

    fn acknowledged(&mut self, up_to: Sequence) {
        let before = self.waiting.len();
        while let Some(first) = self.waiting.front()
            && first.sequence <= up_to
        {
            self.waiting.pop_front();
        }
        let done = before - self.waiting.len();
        self.sent = self.sent.saturating_sub(done);
        if done > 0 {
            self.acks.note(self.number, done);
        }
    }

    /// A start is done at once, and again if it is asked again.
    fn carry_out(&mut self, command: Command) {
        if let Order::Start(start) = command.order {
            self.incarnation = Some(start.incarnation);
            self.queue(Report::Started {
                instance: start.instance,
                incarnation: start.incarnation,
                version: "1.0.0".to_owned(),
                config: start.config,
                process: Vec::new(),
                ports: Default::default(),
            });
        }
        self.queue(Report::CommandDone {
            command: command.id,
            outcome: CommandOutcome::Done,
        });
    }

    fn queue(&mut self, report: Report) {
        self.sequence = self.sequence.next();
        self.waiting.push_back(Numbered {
            sequence: self.sequence,
            report,
        });
    }

    /// Fills the window, and sends what this session has not sent.
    async fn report(&mut self, session: &mut Session) -> Result<(), Over> {
        let window = *self.window.borrow_and_update();
        while let Some(incarnation) = self.incarnation
            && self.waiting.len() < window
        {
            let next = self.sequence.next();
            self.queue(health_changed(self.instance.clone(), incarnation, next));
        }
        while self.sent < self.waiting.len() {
            let welcome = self.welcome.as_ref().expect("there is a session");
            let (epoch, node_epoch) = (welcome.leadership.epoch, welcome.node_epoch);
            let reports = batch(epoch, node_epoch, self.waiting.range(self.sent..));
            self.sent += reports.reports.len();
            session.say(&AgentMessage::Reports(reports)).await?;
        }
        Ok(())
    }

    fn heartbeat(&self) -> AgentMessage {
        AgentMessage::Heartbeat(Heartbeat {
            checked_ms_ago: [(self.instance.clone(), 1)].into(),
            outbox_depth: self.waiting.len() as u64,
            renews: None,
        })
    }

    fn node_up(&self) -> NodeUp {
        let live = self.incarnation.map(|incarnation| DigestEntry {
            floor: incarnation,
            live: Some(LiveInstance {
                incarnation,
                state: LiveState::Running,
                health: Health::Ok,
                service_type: Some(declaration().name),
            }),
        });
        let welcome = self.welcome.as_ref();
        NodeUp {
            node: self.instance.node.clone(),
            node_id: welcome.map(|welcome| welcome.node_id),
            boot_id: BootId(BENCH.to_owned()),
            agent_run: self.agent_run,
            node_epoch: welcome.map(|welcome| welcome.node_epoch),
            build: BENCH.to_owned(),
            address: format!("unix:/{BENCH}"),
            sysinfo: SysInfo::default(),
            provides: vec![declaration()],
            digest: live
                .map(|live| (self.instance.clone(), live))
                .into_iter()
                .collect(),
            supervisor: 1,
        }
    }
}

fn instance(number: usize) -> InstanceKey {
    let node = NodeName::new(format!("c{number:02}")).expect("a name");
    InstanceKey::new(node, PlacementName::new(WRITER).expect("a name"))
}

/// Degraded, well again, degraded: never what it was.
fn health_changed(instance: InstanceKey, incarnation: Incarnation, sequence: Sequence) -> Report {
    let health = match sequence.0 % 2 {
        0 => Health::Ok,
        _ => Health::Degraded,
    };
    Report::HealthChanged {
        instance,
        incarnation,
        health,
        detail: format!(
            "the queue behind it holds {:06} jobs",
            sequence.0 % 1_000_000
        ),
    }
}

fn declaration() -> TypeDeclaration {
    TypeDeclaration {
        name: TypeName::new(WRITER).expect("a name"),
        version: "1.0.0".to_owned(),
        holds: Some(SlotName::new(WRITER).expect("a name")),
        schema: r#"{"type":"object"}"#.to_owned(),
        messages: Vec::new(),
        restart: RestartWhen::OnFailure,
        start_deadline_ms: 5000,
        stop_deadline_ms: 2000,
        may_use: Vec::new(),
        in_place: false,
        keeps_lease: true,
        serves: Default::default(),
    }
}
