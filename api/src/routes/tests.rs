//! The table as a whole: each route is found, and who may what.

use super::*;

#[test]
fn routes_are_distinct() {
    for (index, route) in ALL.iter().enumerate() {
        let same = |other: &&Route| other.path == route.path && other.method == route.method;
        assert!(
            !ALL[..index].iter().any(|other| same(&other)),
            "{}",
            route.path
        );
    }
}

/// A path of the route, with names in its parameters.
fn path_of(route: &Route) -> String {
    route.fill(&["n1", "web", "x"])
}

#[test]
fn every_route_is_found_by_its_path_and_what_is_none_is_not() {
    for route in ALL {
        assert_eq!(find(route.method, &path_of(route)), Some(route), "{route}");
    }
    for path in ["/v1", "/v1/status/", "/v1/status/x", "/v1//status", "/", ""] {
        assert_eq!(find(Method::Get, path), None, "{path}");
    }
    assert_eq!(find(Method::Delete, STATUS.path), None);
}

fn person(role: Role) -> Asker {
    Asker::Person {
        name: "ada".to_owned(),
        role,
        group: None,
    }
}

// proves: U1
#[test]
fn who_may_more_may_all_that_who_may_less_may_and_strangers_may_join_alone() {
    for route in ALL {
        let may = |asker: &Asker| asker.may(route);
        let [reader, operator, admin] = Role::ALL.map(|role| may(&person(role)));
        assert!(reader <= operator && operator <= admin, "{route}");
        assert_eq!(admin, route.needs != Needs::Station, "{route}");
        let looks = route.method == Method::Get;
        assert!(
            !reader || looks || [PLAN, WAIT, JOIN].contains(route),
            "{route}"
        );
        let everybody = [HEALTHZ, READYZ, JOIN].contains(route);
        let nobodies = [
            Asker::Stranger,
            Asker::Agent("n1".parse().unwrap()),
            Asker::Expired(Bearer::Agent("n1".parse().unwrap())),
            Asker::Refused(mainstay_protocol::code::IDENTITY_REVOKED, String::new()),
        ];
        for nobody in nobodies {
            assert_eq!(may(&nobody), everybody, "{route} {nobody:?}");
        }
        let station = may(&Asker::Station(StationId(1)));
        let stations = [STATION_STOPS, STATION_ADD, VERSION].contains(route);
        assert_eq!(station, stations || everybody, "{route}");
    }
}

// proves: U1
#[test]
fn a_group_lets_its_members_do_more_and_never_less() {
    for own in Role::ALL {
        for of_group in Role::ALL {
            let member = Asker::Person {
                name: "ada".to_owned(),
                role: own,
                group: Some(InGroup {
                    name: "ops".to_owned(),
                    role: of_group,
                }),
            };
            for route in ALL {
                assert_eq!(member.may(route), person(own.max(of_group)).may(route));
            }
            // Another station looks for itself what groups there are.
            assert_eq!(member.to_header(), person(own).to_header());
        }
    }
}

#[test]
fn who_asks_reads_back_from_what_one_station_tells_another() {
    let askers = Role::ALL.map(person).into_iter();
    for asker in askers.chain([Asker::Stranger, Asker::Station(StationId(2))]) {
        let text = asker.to_header().unwrap();
        assert_eq!(Asker::of_header(&text), Some(asker), "{text}");
    }
    assert_eq!(Asker::of_header("person/ada/god"), None);
}

#[test]
fn hostile_parameters_stay_one_segment() {
    assert_eq!(INSTANCE.fill(&["n1", "web"]), "/v1/instances/n1/web");
    assert_eq!(
        NODE.fill(&["../x?y#z ä"]),
        "/v1/nodes/..%2Fx%3Fy%23z%20%C3%A4"
    );
    assert_eq!(NODE.fill(&[".."]), "/v1/nodes/%2E%2E");
    assert_eq!(
        query(&[("ref", "web@n1"), ("limit", "5")]),
        "?ref=web%40n1&limit=5"
    );
}
