//! Who is asked when, without sockets and clocks.

use super::*;

fn at(path: &str) -> Address {
    Address::Unix(path.into())
}

fn configured(paths: &[&str]) -> Known {
    Known::new(paths.iter().map(|path| at(path)).collect())
}

fn stations(leader: Option<u64>, addresses: &[(u64, &str)]) -> Stations {
    Stations {
        leader: leader.map(StationId),
        addresses: addresses
            .iter()
            .map(|(station, address)| (StationId(*station), (*address).to_owned()))
            .collect(),
    }
}

const TWO: [(u64, &str); 2] = [(1, "unix:/a"), (2, "unix:/b")];
const THREE: [(u64, &str); 3] = [(1, "unix:/a"), (2, "unix:/b"), (3, "unix:/c")];

fn after(ms: u64) -> Next {
    Next::After(Duration::from_millis(ms))
}

/// Fails so often; who was asked next, and when.
fn fail(known: &mut Known, times: usize) -> Vec<(Next, String)> {
    let fail = |_| (known.failed(), known.current().to_string());
    (0..times).map(fail).collect()
}

fn steps(steps: &[(Next, &str)]) -> Vec<(Next, String)> {
    let step = |(next, path): &(Next, &str)| (*next, format!("unix:{path}"));
    steps.iter().map(step).collect()
}

#[test]
fn a_single_station_is_asked_with_a_growing_pause() {
    let mut known = configured(&["/a"]);
    let pauses: Vec<_> = fail(&mut known, 7)
        .into_iter()
        .map(|(next, _)| next)
        .collect();
    let expected = [50, 100, 200, 400, 800, 1000, 1000].map(after);
    assert_eq!(pauses, expected);
    assert_eq!(known.lost(false), after(50), "a session begins it anew");
    assert_eq!(known.failed(), after(100));
}

#[test]
fn the_pause_grows_only_once_all_had_their_turn() {
    let mut known = configured(&["/a", "/b", "/a"]);
    known.told(stations(None, &[(1, "unix:/b"), (2, "unix:/c")]));
    let expected = [
        (after(50), "/b"),
        (after(50), "/c"),
        (after(50), "/a"),
        (after(100), "/b"),
    ];
    assert_eq!(fail(&mut known, 4), steps(&expected));
}

#[test]
fn the_leader_that_was_told_is_asked_at_once_and_only_once() {
    // proves: S17
    let mut known = configured(&["/a"]);
    let news = known.told(stations(Some(3), &THREE));
    assert!(news.changed);
    assert_eq!(known.current(), &at("/a"), "who is asked stays it");
    let expected = [
        (Next::AtOnce, "/c"),
        (after(50), "/b"),
        (after(50), "/c"),
        (after(50), "/a"),
    ];
    assert_eq!(fail(&mut known, 4), steps(&expected));
}

#[test]
fn two_that_name_each_other_are_asked_with_pauses_and_the_third_has_its_turn() {
    // proves: S17
    let mut known = configured(&["/a", "/b", "/c"]);
    let mut asked = Vec::new();
    let mut at_once = false;
    for _ in 0..12 {
        let leader = match known.current().to_string().as_str() {
            "unix:/a" => Some(2),
            "unix:/b" => Some(1),
            _ => None,
        };
        known.told(stations(leader, &THREE));
        let next = known.failed();
        assert!(!(at_once && next == Next::AtOnce), "{asked:?}");
        at_once = next == Next::AtOnce;
        asked.push(known.current().to_string());
    }
    assert!(asked.contains(&"unix:/c".to_owned()), "{asked:?}");
}

#[test]
fn a_lost_session_is_sought_at_its_station_first_then_at_the_others() {
    // proves: S17
    let mut known = configured(&["/a"]);
    known.told(stations(Some(2), &THREE));
    known.failed();
    assert_eq!(known.current(), &at("/b"));
    known.told(stations(Some(2), &THREE));
    assert_eq!(known.lost(false), after(50));
    assert_eq!(known.current(), &at("/b"));
    assert_eq!(
        fail(&mut known, 2),
        steps(&[(after(50), "/c"), (after(50), "/a")])
    );
}

#[test]
fn a_station_that_fell_silent_is_not_asked_first() {
    // proves: S17
    let mut known = configured(&["/a"]);
    known.told(stations(Some(1), &THREE));
    assert_eq!(known.lost(true), after(50));
    assert_eq!(known.current(), &at("/b"));
    let mut alone = configured(&["/a"]);
    assert_eq!(alone.lost(true), after(50));
    assert_eq!(alone.current(), &at("/a"), "there is no other");
}

#[test]
fn a_station_that_names_another_leader_in_its_session_is_left_for_it() {
    // proves: S17
    let mut known = configured(&["/a"]);
    known.told(stations(Some(1), &TWO));
    known.told(stations(Some(2), &TWO));
    assert_eq!(
        known.lost(false),
        after(50),
        "a welcome does not make a jump free"
    );
    assert_eq!(known.current(), &at("/b"));
}

#[test]
fn a_list_stands_for_the_one_before_and_none_unsays_nothing() {
    let mut known = configured(&["/x"]);
    known.told(stations(None, &THREE));
    assert!(known.told(stations(Some(1), &TWO)).changed);
    assert!(!known.knows(&at("/c")));
    assert!(!known.told(stations(Some(1), &TWO)).changed);
    known.told(stations(None, &[]));
    assert_eq!(known.as_told(), &stations(None, &TWO));
    assert!(known.knows(&at("/x")) && known.knows(&at("/b")));
}

#[test]
fn what_is_not_understood_is_told_once_and_skipped() {
    let mut known = configured(&["/a"]);
    let long = format!("unix:/{}", "x".repeat(limits::ADDRESS_BYTES_MAX));
    let list = [(1, "gopher:/one"), (2, "unix:/b"), (3, long.as_str())];
    let news = known.told(stations(Some(1), &list));
    let about: Vec<_> = news.not_understood.iter().map(|(id, _)| id.0).collect();
    assert_eq!(about, [1, 3]);
    assert_eq!(
        known.as_told(),
        &stations(Some(1), &list[..2]),
        "what another build may understand is kept"
    );
    assert_eq!(known.told(stations(Some(1), &list)), News::default());
    assert_eq!(known.failed(), after(50), "nobody can be asked there");
    assert_eq!(known.current(), &at("/b"));
    let other = known.told(stations(Some(1), &[(1, "gopher:/two")]));
    assert_eq!(other.not_understood.len(), 1);
}

#[test]
fn more_stations_than_a_cluster_has_are_left_off() {
    let mut known = configured(&["/a"]);
    let many: Vec<_> = (1..=20).map(|id| format!("unix:/{id}")).collect();
    let many: Vec<_> = (1..).zip(many.iter().map(String::as_str)).collect();
    let news = known.told(stations(Some(20), &many));
    assert_eq!(news.left_off, 20 - limits::STATIONS_MAX);
    assert_eq!(known.as_told().addresses.len(), limits::STATIONS_MAX);
    assert_eq!(known.told(stations(Some(20), &many)).left_off, 0);
}
