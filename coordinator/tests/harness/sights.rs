//! What there is to be seen of nodes and of instances, in the words of scripts.

use mainstay_protocol::health::Health;
use mainstay_protocol::report::Report;
use mainstay_protocol::sight::{InstanceSight, Sight};
use mainstay_resource_graph::Sightings;

use super::script::Words;
use super::types::{at, node_name};
use super::world::World;

/// Of the incarnation of today, or of another one.
pub fn watcher_saw(world: &mut World, words: &Words<'_>) {
    let mut incarnation = world.incarnation(words.get(2));
    if let Some(count) = words.find("of") {
        incarnation.count = count.parse().expect("a number");
    }
    let report = Report::WatcherSaw {
        instance: at(words.get(2)),
        incarnation,
        sight: instance_sight(words.get(3)),
    };
    world.report(report, words.get(1));
}

pub fn sees(world: &mut World, words: &Words<'_>) {
    let mut said = words.words[2..]
        .chunks(2)
        .map(|pair| (pair[0], sight(pair[1], None)));
    let (station, knock) = said.next().expect("what the station sees comes first");
    assert_eq!(station, "station", "{}", words.line);
    let seen = Sightings {
        knock: knock.expect("the station sees something, or nothing"),
        guards: said
            .map(|(guard, sight)| (node_name(guard), sight))
            .collect(),
    };
    world.sights.insert(node_name(words.get(1)), seen);
}

fn instance_sight(word: &str) -> InstanceSight {
    match word {
        "ok" => InstanceSight::Answers { health: Health::Ok },
        "no-answer" => InstanceSight::NoAnswer,
        "not-reached" => InstanceSight::NotReached,
        "not-there" => InstanceSight::NotThere,
        word => panic!("nobody sees {word}"),
    }
}

pub fn sight(word: &str, supervisor: Option<&&str>) -> Option<Sight> {
    let supervisor = supervisor.map_or(1, |number| number.parse().expect("a number"));
    match word {
        "agent" => Some(Sight::Watching { supervisor }),
        "unwatched" => Some(Sight::Unwatched { supervisor }),
        "machine" => Some(Sight::Machine),
        "nothing" => Some(Sight::Nothing),
        "silent" => None,
        _ => panic!("no such sight: {word}"),
    }
}
