//! Several stations as one: each answers, one decides, and what is asked of the others is passed on to it.

use std::time::Duration;

use mainstay_api::Client;
use mainstay_api::types::{Until, WaitRequest};
use mainstay_protocol::{ClusterId, ClusterName, StationId};
use mainstay_station::{Profile, Running, Station, StationOptions};
use serde_json::Value;
use tempfile::TempDir;
use uuid::Uuid;

use crate::agent::{Agent, AgentConfig};
use crate::cluster::{request, until};

pub struct Group {
    members: Vec<Member>,
    cluster: ClusterId,
    _dir: TempDir,
}

pub struct Member {
    pub options: StationOptions,
    pub client: Client,
    running: Option<Running>,
}

impl Group {
    /// s1 founds, the others are added.
    pub async fn of(count: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut group = Self {
            members: Vec::new(),
            cluster: ClusterId(Uuid::nil()),
            _dir: dir,
        };
        group.member(1, None);
        group.start(1).await;
        group.until_ready(1).await;
        let version = group.at(1).client.version().await.unwrap();
        group.cluster = ClusterId(version.cluster_id.unwrap().parse().unwrap());
        for number in 2..=count {
            group.member(number, Some(group.cluster));
            group.start(number).await;
            let added = group.add(1, number).await;
            assert_eq!(added["changed"], true, "{added:#}");
        }
        group
    }

    pub fn member(&mut self, number: u64, joins: Option<ClusterId>) {
        let dir = self._dir.path().join(format!("s{number}"));
        let mut options = StationOptions::new(dir, ClusterName::new("test").unwrap());
        options.profile = Profile::Dev;
        options.station = StationId(number);
        options.joins = joins;
        let client = Client::new(&options.api_socket).with_timeout(Duration::from_secs(20));
        self.members.push(Member {
            options,
            client,
            running: None,
        });
    }

    pub fn cluster(&self) -> ClusterId {
        self.cluster
    }

    /// The one that was made last, whatever its number.
    pub fn members_last(&self) -> &Member {
        self.members.last().unwrap()
    }

    pub fn at(&self, number: u64) -> &Member {
        let index = usize::try_from(number - 1).unwrap();
        &self.members[index]
    }

    pub async fn start(&mut self, number: u64) {
        let options = self.at(number).options.clone();
        let running = Station::new().start(options).await.unwrap();
        let index = usize::try_from(number - 1).unwrap();
        self.members[index].running = Some(running);
    }

    pub async fn stop(&mut self, number: u64) {
        let index = usize::try_from(number - 1).unwrap();
        self.members[index].running.take().unwrap().stop().await;
    }

    pub fn address(&self, number: u64) -> String {
        format!("unix:{}", self.at(number).options.sessions_socket.display())
    }

    pub async fn add(&self, asked: u64, number: u64) -> Value {
        let name = format!("s{number}");
        let address = self.address(number);
        let added = self.at(asked).client.add_station(&name, &address).await;
        serde_json::to_value(added.unwrap()).unwrap()
    }

    pub async fn until_ready(&self, number: u64) {
        let client = &self.at(number).client;
        until("it has a leader", || async { client.ready().await.is_ok() }).await;
    }

    pub async fn stations(&self, asked: u64) -> Vec<Value> {
        self.at(asked).client.list("/v1/stations").await.unwrap()
    }

    /// Who leads, once this station knows somebody who does.
    pub async fn leader(&self, asked: u64) -> u64 {
        let leading = || async {
            let stations = self.stations(asked).await;
            let leader = stations.iter().find(|one| one["role"] == "leader")?;
            let id = leader["id"].as_str()?.parse::<StationId>().ok()?;
            Some(id.0)
        };
        until("somebody leads", || async { leading().await.is_some() }).await;
        // It may have gone again meanwhile; whoever cares asks until it is whom they want.
        leading().await.unwrap_or(0)
    }

    pub async fn agent(&self, at: u64, node: &str) -> Agent {
        let sessions = &self.at(at).options.sessions_socket;
        Agent::connect(sessions, AgentConfig::named(node))
            .await
            .unwrap()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let running: Vec<Running> = self
            .members
            .iter_mut()
            .filter_map(|member| member.running.take())
            .collect();
        let stop = async move {
            for one in running {
                one.stop().await;
            }
        };
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(stop));
    }
}

// proves: S17
#[tokio::test(flavor = "multi_thread")]
async fn each_of_three_stations_answers_and_passes_on_what_only_the_leader_can_do() {
    let group = Group::of(3).await;
    for asked in 1..=3 {
        let client = &group.at(asked).client;
        until("all three are shown, and run", || async {
            let stations = group.stations(asked).await;
            stations.len() == 3 && stations.iter().all(|one| one["state"] == "Running")
        })
        .await;
        until("s1 leads, as each knows", || async {
            group.leader(asked).await == 1
        })
        .await;
        let status: Value = client.get("/v1/status").await.unwrap();
        assert_eq!(
            (&status["quorum"], &status["leader"]),
            (&true.into(), &"s1".into()),
            "{status:#}"
        );
    }
    let _agent = group.agent(1, "n1").await;
    let client = &group.at(3).client;
    client.start(&request("greeter", &["n1"])).await.unwrap();
    let running = WaitRequest {
        reference: "greeter".to_owned(),
        until: Until::Running,
        timeout_ms: 20_000,
        unless_blocked: false,
        after_revision: 0,
    };
    client.wait(&running).await.unwrap();
    until("s2 shows it too", || async {
        let shown: Result<Value, _> = group.at(2).client.get("/v1/instances/n1/greeter").await;
        shown.is_ok_and(|shown| shown["state"] == "Running")
    })
    .await;
    let again = group.add(2, 3).await;
    assert_eq!(again["changed"], false, "{again:#}");
}

// proves: S17
#[tokio::test(flavor = "multi_thread")]
async fn when_the_leader_ends_another_decides_and_an_agent_is_told_where() {
    let mut group = Group::of(3).await;
    group.stop(1).await;
    until("another leads, and both know it", || async {
        let (one, other) = (group.leader(2).await, group.leader(3).await);
        one == other && [2, 3].contains(&one)
    })
    .await;
    let leader = group.leader(2).await;
    let follower = 5 - leader;
    let agent = group.agent(leader, "n1").await;
    assert!(agent.welcome.leadership.term.0 > 0);
    let sessions = &group.at(follower).options.sessions_socket;
    let refused = Agent::connect(sessions, AgentConfig::named("n2")).await;
    let denied = refused.err().expect("a follower has no sessions");
    assert_eq!(denied.code.as_str(), "MS-ANOTHER-LEADS", "{}", denied.text);
    let client = &group.at(follower).client;
    client.start(&request("greeter", &["n1"])).await.unwrap();
    until("s1 is missed", || async {
        let stations = group.stations(follower).await;
        let first = stations.iter().find(|one| one["id"] == "s1").unwrap();
        first["state"] == "Away" || first["state"] == "Stopped"
    })
    .await;

    group.start(1).await;
    until("s1 is back and has what was decided without it", || async {
        let shown: Result<Value, _> = group.at(1).client.get("/v1/placements/greeter").await;
        let stations = group.stations(1).await;
        shown.is_ok() && stations.iter().all(|one| one["state"] == "Running")
    })
    .await;
}

// proves: S17
#[tokio::test(flavor = "multi_thread")]
async fn a_minority_refuses_changes_says_what_is_missing_and_shows_how_old_its_picture_is() {
    let mut group = Group::of(3).await;
    let _agent = group.agent(1, "n1").await;
    group.stop(2).await;
    group.stop(3).await;
    let client = group
        .at(1)
        .client
        .clone()
        .with_timeout(Duration::from_secs(4));
    until("s1 knows that it is alone", || async {
        client.ready().await.is_err()
    })
    .await;
    let refused = client
        .start(&request("greeter", &["n1"]))
        .await
        .unwrap_err();
    assert_eq!(refused.code.as_str(), "MS-NO-QUORUM", "{refused}");
    assert!(
        refused.why.contains("2 of the 3") && refused.why.contains("s2 ("),
        "{refused}"
    );
    let status: Value = client.get("/v1/status").await.unwrap();
    assert_eq!(
        (&status["quorum"], &status["verdict"]),
        (&false.into(), &"UNKNOWN".into()),
        "{status:#}"
    );
    assert!(status["data_age_ms"].as_u64() > Some(0), "{status:#}");

    group.start(2).await;
    group.until_ready(1).await;
    client.start(&request("greeter", &["n1"])).await.unwrap();
}

// proves: S17
#[tokio::test(flavor = "multi_thread")]
async fn whoever_hears_a_leader_without_a_majority_knows_that_nobody_decides() {
    let mut group = Group::of(5).await;
    for number in 3..=5 {
        group.stop(number).await;
    }
    for left in 1..=2 {
        let client = &group.at(left).client;
        until("nobody decides", || async { client.ready().await.is_err() }).await;
        let status: Value = client.get("/v1/status").await.unwrap();
        assert_eq!(status["quorum"], false, "s{left}: {status:#}");
    }
    group.start(3).await;
    group.until_ready(2).await;
}

// proves: S17
#[tokio::test(flavor = "multi_thread")]
async fn a_station_is_handed_the_lead_and_one_is_removed_for_ever() {
    let mut group = Group::of(3).await;
    let client = group.at(1).client.clone();
    let own = client.remove_station("s1").await.unwrap_err();
    assert_eq!(own.code.as_str(), "MS-REFUSED-BY-SAFETY", "{own}");
    assert!(own.why.contains("another must lead"), "{own}");
    client.lead_station("s2").await.unwrap();
    until("s2 leads", || async { group.leader(3).await == 2 }).await;

    let removed = group.at(3).client.remove_station("s1").await.unwrap();
    assert!(removed.changed, "{removed:?}");
    let left = group.stations(2).await;
    assert_eq!(left.len(), 2, "{left:?}");
    group.stop(1).await;
    let address = group.address(1);
    let again = group.at(2).client.add_station("s1", &address).await;
    let again = again.unwrap_err();
    assert!(again.why.contains("never used again"), "{again}");
    // One of two cannot go either.
    group.stop(3).await;
    until("s2 is alone", || async {
        group.at(2).client.ready().await.is_err()
    })
    .await;
    let refused = group
        .at(2)
        .client
        .clone()
        .with_timeout(Duration::from_secs(2));
    let refused = refused.remove_station("s3").await.unwrap_err();
    assert!(
        ["MS-NO-QUORUM", "MS-REFUSED-BY-SAFETY"].contains(&refused.code.as_str()),
        "{refused}"
    );
}

// proves: S17
#[tokio::test(flavor = "multi_thread")]
async fn a_station_that_cannot_be_reached_or_is_another_is_not_added() {
    let mut group = Group::of(1).await;
    let client = group.at(1).client.clone();
    let nobody = client.add_station("s2", "unix:/nowhere/s2.sock").await;
    let nobody = nobody.unwrap_err();
    assert!(nobody.why.contains("cannot be reached"), "{nobody}");
    group.member(2, Some(group.cluster));
    group.start(2).await;
    let other = client
        .add_station("s3", &group.address(2))
        .await
        .unwrap_err();
    assert!(other.why.contains("is s2, not s3"), "{other}");
    let bad = client.add_station("s3", "10.0.0.1").await.unwrap_err();
    assert!(bad.why.contains("unix:/path"), "{bad}");
    // It waits, and founds nothing of its own.
    let waiting = group.at(2).client.clone();
    assert!(waiting.ready().await.is_err());
    let status: Value = waiting.get("/v1/status").await.unwrap();
    assert_eq!(status["quorum"], false, "{status:#}");

    group.member(3, Some(ClusterId(Uuid::from_u128(7))));
    group.start(3).await;
    let foreign = client
        .add_station("s3", &group.address(3))
        .await
        .unwrap_err();
    assert!(foreign.why.contains("belongs to cluster"), "{foreign}");
    assert_eq!(group.stations(1).await.len(), 1);
}
