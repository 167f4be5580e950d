//! Asking the cluster: whoever answers for what all stations know, then each station by itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mainstay_api::types::Station;
use mainstay_api::{Client, Problem, Time};
use mainstay_identity::{Credentials, Keep, tls};
use mainstay_protocol::{Address, code};

use super::{Answered, Cluster, Known, Reached};
use crate::directories::{DataDirectory, Whose};
use crate::home::Context;

/// A station that says nothing for so long does not answer. Who leads takes 3 s itself to find that of another.
const ANSWER_WITHIN: Duration = Duration::from_secs(8);

/// `context` is what was chosen; without one, what the daemons of this machine were told when they joined.
pub async fn cluster(context: Result<Context, Problem>, known: &[DataDirectory]) -> Known {
    let (context, unknown) = match context {
        Ok(context) => (Some(context), None),
        Err(problem) => (None, Some(problem)),
    };
    let joined = known.iter().find_map(|one| one.membership.as_ref());
    let name = match (&context, joined, unknown) {
        (Some(context), _, _) => context.name.clone(),
        (None, Some(joined), _) => joined.cluster_name.to_string(),
        (None, None, Some(problem)) if problem.code != code::NO_CONTEXT => {
            return Known::Unusable(problem.why, problem.to_do);
        }
        (None, None, _) => return Known::None,
    };
    let mut found = match &context {
        Some(context) => match context.client() {
            Ok(client) => asked(name, &client.with_timeout(ANSWER_WITHIN)).await,
            Err(problem) => return Known::Unusable(problem.why, problem.to_do),
        },
        None => nothing(name),
    };
    if context
        .as_ref()
        .is_some_and(|context| context.dev.is_some())
    {
        "mainstay dev".clone_into(&mut found.start);
    }
    found.stations = each(context.as_ref(), known, &found.group).await;
    Known::Of(Box::new(found))
}

fn nothing(context: String) -> Cluster {
    Cluster {
        context,
        start: "mainstay station run --help".to_owned(),
        stations: Vec::new(),
        status: None,
        group: Vec::new(),
        nodes: Vec::new(),
        certificates: Vec::new(),
    }
}

/// What cannot be had is left out: that a station does not answer is told by itself.
async fn asked(context: String, client: &Client) -> Cluster {
    let Ok(status) = client.status().await else {
        return nothing(context);
    };
    Cluster {
        status: Some(status),
        group: client.stations().await.unwrap_or_default(),
        nodes: client.nodes().await.unwrap_or_default(),
        certificates: client.certificates().await.unwrap_or_default(),
        ..nothing(context)
    }
}

async fn each(
    context: Option<&Context>,
    known: &[DataDirectory],
    group: &[Station],
) -> Vec<Reached> {
    let shown = credentials(context, known);
    let mut reached: BTreeMap<String, Reached> = BTreeMap::new();
    for address in addresses(context, known, group) {
        if matches!(address, Address::Tls { .. }) && shown.is_none() {
            continue;
        }
        let one = reach(&address, shown.as_ref()).await;
        let better = reached
            .get(&one.name)
            .is_none_or(|known| known.answer.is_err());
        if better {
            reached.insert(one.name.clone(), one);
        }
    }
    // By its number, one that was reached in another way.
    let of_group = |address: &str| group.iter().find(|one| one.address == address);
    let names: Vec<String> = reached.keys().cloned().collect();
    for name in names {
        let again = of_group(&name).is_some_and(|one| reached.contains_key(&one.id));
        if again {
            reached.remove(&name);
        }
    }
    reached.into_values().collect()
}

/// A person's go before those of daemons, which may ask for less: an agent for nothing at all.
fn credentials(context: Option<&Context>, known: &[DataDirectory]) -> Option<Credentials> {
    let person = context.and_then(|context| context.identity.as_ref());
    let keeps = person.map(Keep::at).into_iter();
    let of = |whose| known.iter().filter(move |one| one.whose == whose);
    let daemons = of(Whose::Station).chain(of(Whose::Agent));
    let mut keeps = keeps.chain(daemons.map(DataDirectory::keep));
    keeps.find_map(|keep| keep.credentials().ok())
}

/// Each once. Sockets that stations have for one another are no API, and are left out.
fn addresses(
    context: Option<&Context>,
    known: &[DataDirectory],
    group: &[Station],
) -> Vec<Address> {
    let mut all: Vec<Address> = Vec::new();
    if let Some(context) = context {
        all.extend(context.sockets.iter().cloned().map(Address::Unix));
        all.extend(context.stations.iter().cloned());
    }
    let memberships = known.iter().filter_map(|one| one.membership.as_ref());
    let told = memberships.flat_map(|joined| joined.stations.values().cloned());
    let theirs = group.iter().filter_map(|one| one.address.parse().ok());
    all.extend(
        told.chain(theirs)
            .filter(|one| matches!(one, Address::Tls { .. })),
    );
    let mut seen = Vec::new();
    all.retain(|address| {
        let text = address.to_string();
        let first = !seen.contains(&text);
        seen.push(text);
        first
    });
    all
}

async fn reach(address: &Address, shown: Option<&Credentials>) -> Reached {
    let config = shown.and_then(|shown| tls::client(shown, tls::ALPN_API).ok());
    let client = Client::at(vec![address.clone()], config.map(Arc::new));
    let client = client.with_timeout(ANSWER_WITHIN);
    let (began, before) = (Instant::now(), wall_ms());
    let asked = client.version().await;
    let took = began.elapsed();
    let (name, answer) = match asked {
        Ok(version) => {
            let now = version.now.map(|now| ahead(now, before, took));
            let answered = Answered {
                build: Some(version.build),
                ahead_ms: now,
                took,
            };
            (version.station, Ok(answered))
        }
        // It was there to say so.
        Err(problem) if problem.code == code::NOT_ALLOWED => {
            let answered = Answered {
                took,
                ..Answered::default()
            };
            (None, Ok(answered))
        }
        Err(problem) => (None, Err(problem.why)),
    };
    Reached {
        name: name.unwrap_or_else(|| address.to_string()),
        answer,
    }
}

/// Its clock was read in between.
fn ahead(theirs: Time, before_ms: u64, took: Duration) -> i64 {
    let ours = before_ms + u64::try_from(took.as_millis() / 2).unwrap_or_default();
    theirs.wall_ms as i64 - ours as i64
}

fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_compared_with_the_middle_of_the_question() {
        let took = Duration::from_millis(200);
        assert_eq!(ahead(Time::from_wall_ms(1100), 1000, took), 0);
        assert_eq!(ahead(Time::from_wall_ms(4100), 1000, took), 3000);
        assert_eq!(ahead(Time::from_wall_ms(100), 1000, took), -1000);
    }

    #[test]
    fn every_address_is_asked_once_and_no_socket_of_stations() {
        let context = Context {
            name: "prod".to_owned(),
            sockets: vec!["/run/s1/api.sock".into()],
            stations: vec!["10.0.0.1:7600".parse().unwrap()],
            identity: None,
            dev: None,
        };
        let station = |id: &str, address: &str| Station {
            id: id.to_owned(),
            node: None,
            role: "follower".to_owned(),
            state: "Running".to_owned(),
            reason: None,
            address: address.to_owned(),
            build: "0.1.0".to_owned(),
            since: Time::from_wall_ms(0),
        };
        let group = [
            station("s1", "10.0.0.1:7600"),
            station("s2", "10.0.0.2:7600"),
            station("s3", "unix:/run/s3/sessions.sock"),
        ];
        let all: Vec<String> = addresses(Some(&context), &[], &group)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            all,
            ["unix:/run/s1/api.sock", "10.0.0.1:7600", "10.0.0.2:7600"]
        );
    }
}
