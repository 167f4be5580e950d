//! The other end of an agent's session, for tests: the real protocol on a real socket, with a script instead of a
//! coordinator. It keeps what it hears, and acknowledges reports as they come.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mainstay_agent::{Agent, AgentOptions};
use mainstay_protocol::Address;
use mainstay_protocol::command::{
    CheckSchedule, Command, Lease, Order, Start, Stop, StopManner, StopWhy,
};
use mainstay_protocol::frame::{Channel, FrameDecoder, encode_frame};
use mainstay_protocol::handshake::{Handshake, Role, agree};
use mainstay_protocol::lookup::Follows;
use mainstay_protocol::report::{CommandOutcome, NodeUp, Report};
use mainstay_protocol::request::{Answer, Ask, ChaosAct, ChaosTarget, Refusal, Request};
use mainstay_protocol::session::{
    Acknowledged, AgentMessage, BulkReady, HeartbeatSeen, Received, StationMessage, Welcome,
};
use mainstay_protocol::{
    CommandId, Epoch, Incarnation, InstanceKey, Leadership, NodeEpoch, NodeId, NodeName,
    PlacementName, Revision, Sequence, SlotName, Term, TypeName,
};
use tempfile::TempDir;

/// Longer than anything here takes, on a machine that does much else.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// What was heard, in order.
#[derive(Debug, Default)]
pub struct Heard {
    pub node_ups: Vec<NodeUp>,
    pub reports: Vec<(Sequence, Report)>,
    pub answers: Vec<(u64, Answer)>,
    pub heartbeats: Vec<Instant>,
    /// What the agent wants to be told of, the newest last.
    pub follows: Vec<Follows>,
    /// The requests whose answers came over the bulk connection.
    pub in_bulk: Vec<u64>,
    /// There is a bulk connection.
    pub bulk: bool,
    /// Nothing more is read from it.
    bulk_stalls: bool,
    acknowledges: bool,
    /// Leases are renewed no more.
    renews_nothing: bool,
    /// The next introduction is answered by a station that was deposed, which goes on with these words.
    deposed: Option<Vec<StationMessage>>,
    watermark: Sequence,
    write: Option<UnixStream>,
}

/// One agent and the station that it talks to.
pub struct Cluster {
    node: &'static str,
    dir: TempDir,
    heard: Arc<(Mutex<Heard>, Condvar)>,
    agent: Option<JoinHandle<ExitCode>>,
    /// What the agent is started with: sockets in the directory.
    stations: Vec<&'static str>,
    next: Mutex<u64>,
    pub stop_deadline_ms: u64,
}

pub fn leadership() -> Leadership {
    Leadership {
        epoch: Epoch(1),
        term: Term(1),
    }
}

pub fn instance(placement: &str) -> InstanceKey {
    InstanceKey::new(
        NodeName::new("n1").unwrap(),
        PlacementName::new(placement).unwrap(),
    )
}

pub fn incarnation(count: u64) -> Incarnation {
    Incarnation {
        epoch: Epoch(1),
        created: Revision(1),
        count,
    }
}

/// The schedule of impatient tests.
pub fn checks() -> CheckSchedule {
    CheckSchedule {
        first_ms: 100,
        interval_ms: 400,
        deadline_ms: 300,
        misses_max: 3,
    }
}

/// Beside what is built with this test.
fn hold() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let built = test.ancestors().find(|path| path.join("deps").is_dir());
    let hold = built.unwrap().join("mainstay-hold");
    assert!(
        hold.exists(),
        "{} is not built: run `cargo build --workspace --bins` first",
        hold.display()
    );
    hold
}

impl Cluster {
    pub fn new() -> Self {
        let cluster = Self::agent_alone(true);
        cluster.with_station()
    }

    /// On another node than n1.
    pub fn on(node: &'static str) -> Self {
        let mut cluster = Self::without_agent(&["station.sock"]);
        cluster.node = node;
        cluster.run_agent(true);
        cluster.with_station()
    }

    /// An agent with nobody to talk to yet.
    pub fn agent_alone(chaos: bool) -> Self {
        let mut cluster = Self::without_agent(&["station.sock"]);
        cluster.run_agent(chaos);
        cluster
    }

    /// For an agent that is started with these stations, later.
    pub fn without_agent(stations: &[&'static str]) -> Self {
        let cluster = Self {
            node: "n1",
            dir: tempfile::tempdir().unwrap(),
            heard: Arc::default(),
            agent: None,
            stations: stations.to_vec(),
            next: Mutex::new(0),
            stop_deadline_ms: 10_000,
        };
        cluster.heard.0.lock().unwrap().acknowledges = true;
        cluster
    }

    pub fn run_agent(&mut self, chaos: bool) {
        let stations = self.stations.iter();
        let options = AgentOptions {
            node: NodeName::new(self.node).unwrap(),
            dir: self.path("agent"),
            listen: None,
            stations: stations
                .map(|name| Address::Unix(self.path(name)))
                .collect(),
            cluster: None,
            chaos,
            labels: [("role".to_owned(), "web".to_owned())].into(),
            offer: Default::default(),
            log: Some("off".to_owned()),
            parent: None,
            hold: Some(hold()),
            memory_groups: None,
        };
        self.agent = Some(thread::spawn(move || {
            Agent::new()
                .service::<crate::working::Worker>()
                .run_with(options)
        }));
    }

    pub fn with_station(self) -> Self {
        self.lead_at("station.sock");
        self.wait("the agent's session", |heard| {
            heard.write.is_some().then_some(())
        });
        self
    }

    /// The station that leads is at this socket too.
    pub fn lead_at(&self, name: &str) {
        let heard = Arc::clone(&self.heard);
        listen(&self.path(name), move |stream| serve(stream, &heard));
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn acknowledge(&self, yes: bool) {
        self.heard.0.lock().unwrap().acknowledges = yes;
    }

    /// At the next introduction the station leads by an older term, and asks this in the same breath.
    pub fn depose_once(&self, ask: Ask, deadline_ms: u64) -> u64 {
        let request_id = self.number();
        let request = Request { deadline_ms, ask };
        self.heard.0.lock().unwrap().deposed = Some(vec![StationMessage::Request {
            request_id,
            request,
        }]);
        request_id
    }

    /// The other end of the bulk connection reads no more, until it is let go on.
    pub fn stall_bulk(&self, yes: bool) {
        self.heard.0.lock().unwrap().bulk_stalls = yes;
        self.heard.1.notify_all();
    }

    /// Breaks the connection; the agent comes back by itself.
    pub fn hang_up(&self) {
        let stream = self.heard.0.lock().unwrap().write.take().unwrap();
        stream.shutdown(std::net::Shutdown::Both).unwrap();
    }

    pub fn wait<T>(&self, what: &str, mut seen: impl FnMut(&Heard) -> Option<T>) -> T {
        let (lock, changed) = &*self.heard;
        let deadline = Instant::now() + PATIENCE;
        let mut heard = lock.lock().unwrap();
        loop {
            if let Some(found) = seen(&heard) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited for {what}; heard {heard:#?}");
            heard = changed.wait_timeout(heard, left).unwrap().0;
        }
    }

    /// The first report that fits.
    pub fn report(&self, what: &str, fits: impl Fn(&Report) -> bool) -> Report {
        self.wait(what, |heard| {
            heard
                .reports
                .iter()
                .map(|(_, report)| report)
                .find(|report| fits(report))
                .cloned()
        })
    }

    pub fn outcome(&self, command: CommandId) -> CommandOutcome {
        self.wait(&format!("the answer to command {command}"), |heard| {
            heard.reports.iter().find_map(|(_, report)| match report {
                Report::CommandDone {
                    command: done,
                    outcome,
                } if *done == command => Some(outcome.clone()),
                _ => None,
            })
        })
    }

    /// On this agent's node.
    pub fn instance(&self, placement: &str) -> InstanceKey {
        InstanceKey::new(self.node.parse().unwrap(), placement.parse().unwrap())
    }

    pub fn started(&self, placement: &str, count: u64) -> Report {
        self.report(&format!("the start of {placement}"), |report| {
            matches!(report, Report::Started { .. })
                && report.about() == Some((&self.instance(placement), incarnation(count)))
        })
    }

    pub fn start(
        &self,
        service_type: &str,
        placement: &str,
        count: u64,
        config: &str,
    ) -> CommandId {
        self.start_as(service_type, placement, count, config, placement, 2_000)
    }

    /// Renewed for so long, at most.
    pub fn start_leased(
        &self,
        service_type: &str,
        placement: &str,
        config: &str,
        lease_ms: u64,
    ) -> CommandId {
        let order = self.start_order(service_type, placement, 1, config, placement, 20_000);
        self.command(Order::Start(Start {
            lease: Some(Lease {
                ms: lease_ms,
                stop_ms: 500,
                epoch: Epoch(1),
                revision: Revision(7),
            }),
            ..order
        }))
    }

    pub fn heartbeats(&self) -> usize {
        self.heard.0.lock().unwrap().heartbeats.len()
    }

    pub fn renew_nothing(&self) {
        self.heard.0.lock().unwrap().renews_nothing = true;
    }

    pub fn start_as(
        &self,
        service_type: &str,
        placement: &str,
        count: u64,
        config: &str,
        name: &str,
        start_deadline_ms: u64,
    ) -> CommandId {
        self.command(Order::Start(self.start_order(
            service_type,
            placement,
            count,
            config,
            name,
            start_deadline_ms,
        )))
    }

    pub fn start_order(
        &self,
        service_type: &str,
        placement: &str,
        count: u64,
        config: &str,
        name: &str,
        start_deadline_ms: u64,
    ) -> Start {
        Start {
            instance: self.instance(placement),
            incarnation: incarnation(count),
            service_type: TypeName::new(service_type).unwrap(),
            name: SlotName::new(name).unwrap(),
            config: config.to_owned(),
            start_deadline_ms,
            stop_deadline_ms: self.stop_deadline_ms,
            checks: checks(),
            lease: None,
            needs: Default::default(),
            addresses: Default::default(),
        }
    }

    pub fn stop(&self, placement: &str, count: u64, deadline_ms: u64) -> CommandId {
        self.command(Order::Stop(Stop {
            instance: self.instance(placement),
            incarnation: incarnation(count),
            deadline_ms,
            why: StopWhy::NotWanted,
            manner: StopManner::AskThenKill,
        }))
    }

    pub fn command(&self, order: Order) -> CommandId {
        let id = CommandId(self.number());
        let command = Command {
            id,
            leadership: leadership(),
            order,
        };
        self.say(&StationMessage::Command(Box::new(command)));
        id
    }

    /// Does not wait for the answer.
    pub fn put(&self, ask: Ask, deadline_ms: u64) -> u64 {
        let request_id = self.number();
        let request = Request { deadline_ms, ask };
        self.say(&StationMessage::Request {
            request_id,
            request,
        });
        request_id
    }

    pub fn ask(&self, ask: Ask) -> Answer {
        let what = format!("the answer to {ask:?}");
        let request_id = self.put(ask, 2_000);
        self.wait(&what, |heard| {
            let mut answers = heard.answers.iter();
            answers
                .find(|(id, _)| *id == request_id)
                .map(|(_, answer)| answer.clone())
        })
    }

    pub fn call(&self, placement: &str, message: &str, body: &str) -> Answer {
        self.ask(message_to(placement, message, body))
    }

    /// For messages that are never answered.
    pub fn send(&self, placement: &str, message: &str, body: &str) {
        self.put(message_to(placement, message, body), 2_000);
    }

    pub fn refusal(&self, ask: Ask) -> Refusal {
        match self.ask(ask) {
            Answer::Refused(refusal) => refusal,
            other => panic!("{other:?} is no refusal"),
        }
    }

    pub fn chaos(&self, target: ChaosTarget, act: ChaosAct) -> Answer {
        self.ask(Ask::Chaos { target, act })
    }

    /// Ends the agent in order; the exit code as people see it.
    pub fn end_agent(&mut self) -> String {
        self.put(
            Ask::Chaos {
                target: ChaosTarget::Agent,
                act: ChaosAct::Stop,
            },
            2_000,
        );
        let code = self.agent.take().unwrap().join().unwrap();
        format!("{code:?}")
    }

    fn number(&self) -> u64 {
        let mut next = self.next.lock().unwrap();
        *next += 1;
        *next
    }

    pub fn say(&self, message: &StationMessage) {
        let mut stream = self.wait("a session", |heard| {
            heard
                .write
                .as_ref()
                .map(|stream| stream.try_clone().unwrap())
        });
        send(&mut stream, message);
    }
}

pub fn message_to(placement: &str, message: &str, body: &str) -> Ask {
    Ask::Message {
        instance: instance(placement),
        message: message.to_owned(),
        body: body.to_owned(),
    }
}

pub fn lines(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// Each connection on a thread of its own.
pub fn listen(path: &Path, serve: impl Fn(UnixStream) + Clone + Send + 'static) {
    let listener = UnixListener::bind(path).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (serve, stream) = (serve.clone(), stream.unwrap());
            thread::spawn(move || serve(stream));
        }
    });
}

pub fn send(stream: &mut UnixStream, message: &StationMessage) {
    send_all(stream, [message]);
}

fn send_all<'a>(stream: &mut UnixStream, messages: impl IntoIterator<Item = &'a StationMessage>) {
    let mut bytes = Vec::new();
    for message in messages {
        encode_frame(&message.to_frame(), Channel::Control, &mut bytes).unwrap();
    }
    // An agent that has hung up comes back.
    let _ = stream.write_all(&bytes);
}

/// Which of an agent's connections it is.
pub fn shake_hands(stream: &mut UnixStream) -> Channel {
    let mut theirs = Vec::new();
    loop {
        let needed = Handshake::needed(&theirs).unwrap();
        if needed == 0 {
            break;
        }
        let at = theirs.len();
        theirs.resize(at + needed, 0);
        stream.read_exact(&mut theirs[at..]).unwrap();
    }
    let theirs = Handshake::decode(&theirs).unwrap();
    assert_eq!(theirs.role, Role::Agent);
    let channel = theirs.channel;
    let mine = Handshake::new(Role::Station, channel, "test");
    agree(&mine, &theirs).unwrap();
    stream.write_all(&mine.encode().unwrap()).unwrap();
    channel
}

fn serve(mut stream: UnixStream, heard: &(Mutex<Heard>, Condvar)) {
    let channel = shake_hands(&mut stream);
    let mut decoder = FrameDecoder::new(channel);
    let mut bytes = [0; 4096];
    loop {
        while let Some(frame) = decoder.next() {
            let Ok(Received::Message(message)) = AgentMessage::from_frame(&frame.unwrap()) else {
                panic!("the agent said something unknown");
            };
            if channel == Channel::Bulk {
                hear_bulk(message, &mut stream, heard);
                continue;
            }
            hear(message, &mut stream, &mut heard.0.lock().unwrap());
            heard.1.notify_all();
        }
        match stream.read(&mut bytes) {
            Ok(0) | Err(_) => return,
            Ok(count) => decoder.push(&bytes[..count]),
        }
    }
}

fn hear(message: AgentMessage, stream: &mut UnixStream, heard: &mut Heard) {
    match message {
        AgentMessage::NodeUp(node_up) => {
            heard.node_ups.push(*node_up);
            let deposed = heard.deposed.take();
            let mut leadership = leadership();
            if deposed.is_some() {
                leadership.term = Term(leadership.term.0 - 1);
            }
            let welcome = Welcome {
                node_id: NodeId(uuid::Uuid::from_u128(1)),
                node_epoch: NodeEpoch(1),
                watermark: heard.watermark,
                leadership,
                credits: 256,
            };
            let welcome = [StationMessage::Welcome(welcome)];
            // One write, so that the agent has read all of it before it can hang up.
            send_all(stream, welcome.iter().chain(deposed.iter().flatten()));
            heard.write = Some(stream.try_clone().unwrap());
        }
        AgentMessage::Heartbeat(beat) => {
            heard.heartbeats.push(Instant::now());
            let seen = HeartbeatSeen {
                leadership: leadership(),
                renewed: beat.renews.filter(|_| !heard.renews_nothing),
            };
            send(stream, &StationMessage::HeartbeatSeen(seen));
        }
        AgentMessage::Reports(reports) => {
            for numbered in reports.reports {
                if heard.acknowledges {
                    heard.watermark = heard.watermark.max(numbered.sequence);
                }
                heard.reports.push((numbered.sequence, numbered.report));
            }
            let up_to = heard.watermark;
            let acknowledged = Acknowledged {
                node_epoch: NodeEpoch(1),
                up_to,
            };
            send(stream, &StationMessage::Acknowledged(acknowledged));
        }
        AgentMessage::Answer { request_id, answer } => heard.answers.push((request_id, answer)),
        AgentMessage::Unsupported { what, .. } => panic!("the agent cannot read {what:?}"),
        AgentMessage::Follows(follows) => heard.follows.push(follows),
        AgentMessage::BulkUp(_)
        | AgentMessage::Renew(_)
        | AgentMessage::SecretWanted { .. }
        | AgentMessage::ArtifactWanted { .. } => {
            panic!("a bulk connection is one of its own")
        }
    }
}

fn hear_bulk(message: AgentMessage, stream: &mut UnixStream, heard: &(Mutex<Heard>, Condvar)) {
    let (lock, changed) = heard;
    let mut heard = lock.lock().unwrap();
    match message {
        AgentMessage::BulkUp(up) => {
            assert_eq!(up.agent_run, heard.node_ups.last().unwrap().agent_run);
            send(stream, &StationMessage::BulkReady(BulkReady {}));
            heard.bulk = true;
        }
        AgentMessage::Answer { request_id, answer } => {
            heard.in_bulk.push(request_id);
            heard.answers.push((request_id, answer));
        }
        other => panic!("{other:?} is nothing for a bulk connection"),
    }
    changed.notify_all();
    let (stalls, patience) = (|heard: &mut Heard| heard.bulk_stalls, 3 * PATIENCE);
    drop(changed.wait_timeout_while(heard, patience, stalls).unwrap());
}
