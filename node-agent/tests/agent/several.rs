//! Several stations, of which one leads: the agent finds it, and finds it again.

use std::fs;
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use mainstay_protocol::frame::{Channel, FrameDecoder};
use mainstay_protocol::session::{AgentMessage, Denied, Received, StationMessage, Stations};
use mainstay_protocol::{StationId, code};

use crate::station::{Cluster, PATIENCE, listen, send, shake_hands};

fn stations(leader: u64, sockets: &[&Path]) -> Stations {
    let address = |socket: &&Path| format!("unix:{}", socket.display());
    Stations {
        leader: Some(StationId(leader)),
        addresses: (1..)
            .map(StationId)
            .zip(sockets.iter().map(address))
            .collect(),
    }
}

/// A station that does not lead and says who does. What it answers to is told, with when it was heard.
fn follow_at(path: &Path, told: Stations) -> Receiver<Instant> {
    let (asked, asks) = sync_channel(16);
    listen(path, move |mut stream| {
        // Before it is answered: whatever the agent does then comes later.
        let heard = Instant::now();
        assert_eq!(shake_hands(&mut stream), Channel::Control);
        hear_node_up(&mut stream);
        // A test that has seen enough hears no more.
        let _ = asked.try_send(heard);
        send(&mut stream, &StationMessage::Stations(told.clone()));
        let denied = Denied {
            code: code::ANOTHER_LEADS,
            text: "another station leads".to_owned(),
        };
        send(&mut stream, &StationMessage::Denied(denied));
    });
    asks
}

fn hear_node_up(stream: &mut UnixStream) {
    let mut decoder = FrameDecoder::new(Channel::Control);
    let mut bytes = [0; 4096];
    loop {
        if let Some(frame) = decoder.next() {
            let heard = AgentMessage::from_frame(&frame.unwrap());
            let Ok(Received::Message(AgentMessage::NodeUp(_))) = heard else {
                panic!("{heard:?} is no introduction");
            };
            return;
        }
        let count = stream.read(&mut bytes).unwrap();
        assert!(count > 0, "the agent hung up before it said who it is");
        decoder.push(&bytes[..count]);
    }
}

// proves: S17
#[test]
fn an_agent_that_is_told_of_another_leader_has_its_session_there() {
    let mut cluster = Cluster::without_agent(&["first.sock"]);
    let (first, leader) = (cluster.path("first.sock"), cluster.path("station.sock"));
    let asks = follow_at(&first, stations(2, &[&first, &leader]));
    cluster.run_agent(true);
    asks.recv_timeout(PATIENCE).unwrap();
    let cluster = cluster.with_station();
    cluster.start("greeter", "greeter", 1, "{}");
    cluster.started("greeter", 1);
    // The one that does not lead accepts no such connection.
    cluster.wait("the bulk connection", |heard| heard.bulk.then_some(()));
}

// proves: S17
#[test]
fn a_restarted_agent_finds_a_station_that_it_was_told_of_where_the_configured_one_is_gone() {
    let mut cluster = Cluster::without_agent(&["first.sock"]);
    let (first, second) = (cluster.path("first.sock"), cluster.path("second.sock"));
    cluster.lead_at("first.sock");
    cluster.run_agent(true);
    let told = stations(1, &[&first, &second]);
    cluster.say(&StationMessage::Stations(told));
    // Said in the same session: it is heard after it.
    cluster.end_agent();
    fs::remove_file(&first).unwrap();
    cluster.lead_at("second.sock");
    cluster.run_agent(true);
    cluster.wait("the second life's introduction", |heard| {
        (heard.node_ups.len() == 2).then_some(())
    });
}

// proves: S17
#[test]
fn a_lost_session_is_taken_up_at_another_station_where_its_own_is_gone() {
    let mut cluster = Cluster::without_agent(&["first.sock"]);
    let (first, second) = (cluster.path("first.sock"), cluster.path("second.sock"));
    cluster.lead_at("first.sock");
    cluster.run_agent(true);
    let told = stations(1, &[&first, &second]);
    cluster.say(&StationMessage::Stations(told));
    // That it is answered shows that what was said before it was heard.
    cluster.start("greeter", "greeter", 1, "{}");
    cluster.started("greeter", 1);
    fs::remove_file(&first).unwrap();
    cluster.lead_at("second.sock");
    cluster.hang_up();
    cluster.wait("the session at the second", |heard| {
        (heard.node_ups.len() == 2).then_some(())
    });
}

// proves: S17
#[test]
fn two_stations_that_name_each_other_as_leader_are_asked_with_pauses() {
    let mut cluster = Cluster::without_agent(&["first.sock"]);
    let (first, second) = (cluster.path("first.sock"), cluster.path("second.sock"));
    let both = [first.as_path(), second.as_path()];
    let at_first = follow_at(&first, stations(2, &both));
    let at_second = follow_at(&second, stations(1, &both));
    cluster.run_agent(true);
    let asks = |asks: &Receiver<Instant>| -> Vec<Instant> {
        let ask = |_| asks.recv_timeout(PATIENCE).unwrap();
        (0..6).map(ask).collect()
    };
    let mut asked = [asks(&at_first), asks(&at_second)].concat();
    asked.sort();
    // Every other time it pauses, for half of this at the least; a slow machine only makes it longer.
    let pauses_ms = [50, 50, 100, 100, 200];
    let least = Duration::from_millis(pauses_ms.iter().sum::<u64>() / 2);
    let took = *asked.last().unwrap() - asked[0];
    assert!(took >= least, "twelve times within {took:?}");
    // Whoever leads in the end is found all the same.
    fs::remove_file(&second).unwrap();
    cluster.lead_at("second.sock");
    cluster.wait("the session", |heard| {
        (!heard.node_ups.is_empty()).then_some(())
    });
}

#[test]
fn a_damaged_list_of_stations_keeps_no_agent_from_its_session() {
    let mut cluster = Cluster::without_agent(&["station.sock"]);
    let list = cluster.path("agent").join("stations");
    fs::create_dir(list.parent().unwrap()).unwrap();
    fs::write(&list, "unix:/not/what/the/agent/wrote").unwrap();
    cluster.run_agent(true);
    let cluster = cluster.with_station();
    let told = stations(1, &[&cluster.path("station.sock")]);
    cluster.say(&StationMessage::Stations(told));
    cluster.start("greeter", "greeter", 1, "{}");
    cluster.started("greeter", 1);
    let kept = fs::read(&list).unwrap();
    let address = cluster.path("station.sock").display().to_string();
    let found = kept
        .windows(address.len())
        .any(|bytes| bytes == address.as_bytes());
    assert!(found, "the list is written anew");
}
