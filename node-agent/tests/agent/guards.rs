//! An agent guards others, and is guarded: it is told whom, looks at them, and reports what looks otherwise than before.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use mainstay_protocol::frame::{Channel, FrameDecoder, encode_frame};
use mainstay_protocol::handshake::{Handshake, Role};
use mainstay_protocol::report::Report;
use mainstay_protocol::request::{Answer, Ask, Called, ChaosAct, ChaosTarget, Request};
use mainstay_protocol::session::{AgentMessage, Received, StationMessage};
use mainstay_protocol::sight::{Guards, Sight};
use mainstay_protocol::{Incarnation, code};

use crate::station::{Cluster, listen};

/// Both are called n1: what one is to guard is the other.
fn guards(guard: &Cluster, whom: &[(&str, &Path)]) {
    let address = |path: &Path| format!("unix:{}", path.display());
    let nodes = whom
        .iter()
        .map(|(node, path)| (node.parse().unwrap(), address(path)));
    guard.say(&StationMessage::Guards(Guards {
        nodes: nodes.collect(),
    }));
}

fn saw(guard: &Cluster, node: &str, wanted: Sight) {
    guard.report(&format!("{wanted:?} of {node}"), |report| {
        matches!(report, Report::GuardSaw { guarded, sight } if guarded.as_str() == node && *sight == wanted)
    });
}

fn looked_at(guard: &Cluster, node: &str, path: &Path) -> Sight {
    let answer = guard.ask(Ask::LookAt {
        node: node.parse().unwrap(),
        address: format!("unix:{}", path.display()),
    });
    match answer {
        Answer::Sight(sight) => sight,
        other => panic!("{other:?} is no sight"),
    }
}

#[test]
fn a_supervisor_that_is_killed_is_seen_from_another_node_and_so_is_the_end_of_its_agent() {
    // proves: S11
    // acceptance: issue 5, line 5
    let (guard, mut other) = (Cluster::new(), Cluster::new());
    let socket = other.path("agent").join("agent.sock");
    let told = other.wait("its introduction", |heard| {
        heard.node_ups.last().map(|up| up.address.clone())
    });
    assert_eq!(told, format!("unix:{}", socket.display()));
    guards(&guard, &[("n1", &socket)]);
    saw(&guard, "n1", Sight::Watching { supervisor: 1 });
    assert_eq!(
        looked_at(&guard, "n1", &socket),
        Sight::Watching { supervisor: 1 }
    );

    other.chaos(ChaosTarget::Supervisor, ChaosAct::Kill);
    saw(&guard, "n1", Sight::Watching { supervisor: 2 });

    other.end_agent();
    saw(&guard, "n1", Sight::Machine);
    assert_eq!(looked_at(&guard, "n1", &socket), Sight::Machine);
}

#[test]
fn what_takes_a_connection_and_says_nothing_is_a_machine_and_another_agent_is_not_the_one() {
    // proves: S23
    let guard = Cluster::new();
    let mute = guard.path("mute.sock");
    listen(&mute, |mut stream| {
        let mut all = Vec::new();
        // It is closed by whoever came.
        let _ = stream.read_to_end(&mut all);
    });
    assert_eq!(looked_at(&guard, "n2", &mute), Sight::Machine);
    let own = guard.path("agent").join("agent.sock");
    assert_eq!(looked_at(&guard, "n2", &own), Sight::Machine);
    assert_eq!(
        looked_at(&guard, "n2", Path::new("/nowhere/agent.sock")),
        Sight::Machine
    );
    guards(&guard, &[("n2", &mute), ("n3", &own)]);
    saw(&guard, "n2", Sight::Machine);
    saw(&guard, "n3", Sight::Machine);
}

/// Somebody who comes to an agent's socket as another agent does.
pub struct Peer {
    stream: UnixStream,
    decoder: FrameDecoder,
}

impl Peer {
    pub fn of(socket: &Path) -> Self {
        let mut stream = UnixStream::connect(socket).unwrap();
        let mine = Handshake {
            node: Some("n7".parse().unwrap()),
            ..Handshake::new(Role::Agent, Channel::Control, "test".to_owned())
        };
        stream.write_all(&mine.encode().unwrap()).unwrap();
        let mut theirs = Vec::new();
        while Handshake::needed(&theirs).unwrap() > 0 {
            let at = theirs.len();
            theirs.resize(at + Handshake::needed(&theirs).unwrap(), 0);
            stream.read_exact(&mut theirs[at..]).unwrap();
        }
        let decoder = FrameDecoder::new(Channel::Control);
        Self { stream, decoder }
    }

    pub fn ask(&mut self, ask: Ask) -> Answer {
        self.put(ask, 2_000);
        self.hear()
    }

    pub fn put(&mut self, ask: Ask, deadline_ms: u64) {
        let question = StationMessage::Request {
            request_id: 7,
            request: Request { deadline_ms, ask },
        };
        let mut bytes = Vec::new();
        encode_frame(&question.to_frame(), Channel::Control, &mut bytes).unwrap();
        self.stream.write_all(&bytes).unwrap();
    }

    /// The next answer, to whatever was asked.
    pub fn hear(&mut self) -> Answer {
        loop {
            if let Some(frame) = self.decoder.next() {
                match AgentMessage::from_frame(&frame.unwrap()).unwrap() {
                    Received::Message(AgentMessage::Answer { answer, .. }) => return answer,
                    other => panic!("{other:?} is no answer"),
                }
            }
            let mut buffer = [0; 1024];
            let count = self.stream.read(&mut buffer).unwrap();
            assert!(count > 0, "it closed");
            self.decoder.push(&buffer[..count]);
        }
    }
}

#[test]
fn whoever_comes_to_an_agent_may_look_and_call_and_nothing_else() {
    // proves: U1
    let agent = Cluster::new();
    agent.wait("an agent that runs", |heard| {
        heard.node_ups.last().map(|_| ())
    });
    let mut peer = Peer::of(&agent.path("agent").join("agent.sock"));
    assert_eq!(
        peer.ask(Ask::Look),
        Answer::Sight(Sight::Watching { supervisor: 1 })
    );
    let call = Ask::Call {
        instance: agent.instance("nobody"),
        incarnation: None,
        what: Called::Status,
    };
    let message = Ask::Message {
        instance: agent.instance("nobody"),
        message: "greet".to_owned(),
        body: String::new(),
    };
    let (target, act) = (ChaosTarget::Agent, ChaosAct::Kill);
    let watched = Ask::WatcherCheck {
        instance: agent.instance("nobody"),
        incarnation: Incarnation::default(),
    };
    for (ask, code) in [
        (call, code::NOT_RUNNING),
        (watched, code::NOT_RUNNING),
        (message, code::NOT_ALLOWED),
        (Ask::Chaos { target, act }, code::NOT_ALLOWED),
        (Ask::SupervisorStatus, code::NOT_ALLOWED),
    ] {
        let Answer::Refused(refusal) = peer.ask(ask) else {
            panic!("it is not refused");
        };
        assert_eq!(refusal.code, code);
    }
}
