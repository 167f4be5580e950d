//! Judging the cluster, as far as it can be asked from here.

use std::collections::BTreeSet;

use mainstay_api::time::span;
use mainstay_api::types::Verdict;
use mainstay_protocol::limits;

use super::{Check, Cluster, Facts, Known, Reached, State, bad, ok};

/// What is less is drift that the machines' own time service evens out; times in logs are off by it.
const AHEAD_GOOD_MS: u64 = 5_000;

pub fn judge(facts: &Facts) -> Vec<Check> {
    let cluster = match &facts.cluster {
        Known::None => {
            let detail = "no cluster was made or joined here yet; `mainstay init` makes one";
            return vec![ok("cluster", None, detail)];
        }
        Known::Unusable(why, to_do) => {
            return vec![bad(State::Fail, ("cluster", None), why, to_do)];
        }
        Known::Of(cluster) => cluster,
    };
    let reached = cluster.stations.iter().any(|one| one.answer.is_ok());
    let mut checks: Vec<Check> = Vec::new();
    for station in &cluster.stations {
        checks.push(reach_of(station, reached, &cluster.start));
        checks.extend(clock_of(station));
    }
    checks.extend(group_of(cluster));
    checks.extend(status_of(cluster));
    checks.extend(versions_of(cluster, &facts.build));
    checks.extend(certificates_of(cluster));
    checks
}

fn reach_of(station: &Reached, others: bool, start: &str) -> Check {
    let of = ("station", Some(station.name.clone()));
    match (&station.answer, others) {
        (Ok(answered), _) => ok(
            of.0,
            of.1,
            format!("it answers within {}", span(answered.took)),
        ),
        (Err(why), true) => {
            let detail = format!("it does not answer from here, and others do: {why}");
            bad(State::Warn, of, detail, "mainstay station list")
        }
        (Err(why), false) => {
            let detail = format!("nobody answers: {why}");
            bad(State::Fail, of, detail, start)
        }
    }
}

fn clock_of(station: &Reached) -> Option<Check> {
    let ahead_ms = station.answer.as_ref().ok()?.ahead_ms?;
    let of = ("clock", Some(station.name.clone()));
    let off = span(std::time::Duration::from_millis(ahead_ms.unsigned_abs()));
    let way = if ahead_ms > 0 { "ahead of" } else { "behind" };
    let detail = format!("its clock is {off} {way} this machine's");
    Some(match ahead_ms.unsigned_abs() {
        off if off > limits::CLOCK_SKEW_MS_MAX => {
            let detail = format!(
                "{detail}: certificates do not stand (MS-CLOCK); let a time service set both"
            );
            bad(State::Fail, of, detail, "date -u")
        }
        off if off > AHEAD_GOOD_MS => {
            let detail = format!(
                "{detail}: times in logs and events do not agree; let a time service set both"
            );
            bad(State::Warn, of, detail, "date -u")
        }
        _ => ok(of.0, of.1, detail),
    })
}

/// How many there are, and whether more than half of them is there.
fn group_of(cluster: &Cluster) -> Vec<Check> {
    let Some(status) = &cluster.status else {
        return Vec::new();
    };
    let quorum = match (status.quorum, &status.leader) {
        (true, Some(leader)) => ok("quorum", None, format!("{leader} leads")),
        (true, None) => ok("quorum", None, "a station leads"),
        (false, _) => bad(
            State::Fail,
            ("quorum", None),
            "no station leads: nothing is decided or changed until more than half of them run and reach each other",
            "mainstay station list",
        ),
    };
    let votes = cluster.group.iter();
    let votes = votes.filter(|one| ["leader", "follower"].contains(&one.role.as_str()));
    let away: Vec<&str> = cluster
        .group
        .iter()
        .filter(|one| ["Away", "Stopped"].contains(&one.state.as_str()))
        .map(|one| one.id.as_str())
        .collect();
    let count = match votes.count() {
        0 => Vec::new(),
        1 => vec![ok(
            "stations",
            None,
            "there is one: without it nothing is decided",
        )],
        count if count % 2 == 0 => {
            let detail = format!(
                "there are {count}, which bear the loss of {}, as {} would: have an odd number",
                (count - 1) / 2,
                count - 1
            );
            let to_do = "mainstay token create --role station";
            vec![bad(State::Warn, ("stations", None), detail, to_do)]
        }
        count => {
            let detail = format!(
                "there are {count}, which bear the loss of {}",
                (count - 1) / 2
            );
            vec![ok("stations", None, detail)]
        }
    };
    let away = (!away.is_empty()).then(|| {
        let detail = format!("not there: {}", away.join(", "));
        bad(
            State::Warn,
            ("members", None),
            detail,
            "mainstay station list",
        )
    });
    [quorum].into_iter().chain(count).chain(away).collect()
}

fn status_of(cluster: &Cluster) -> Option<Check> {
    let status = cluster.status.as_ref()?;
    let of = ("cluster", Some(cluster.context.clone()));
    let counts = format!(
        "{}/{} nodes, {}/{} instances as wanted",
        status.nodes.ok, status.nodes.total, status.instances.ok, status.instances.total
    );
    Some(match status.verdict {
        Verdict::Healthy => ok(of.0, of.1, format!("HEALTHY: {counts}")),
        Verdict::Degraded => bad(
            State::Warn,
            of,
            format!("DEGRADED: {counts}"),
            "mainstay why",
        ),
        Verdict::Unknown => bad(
            State::Warn,
            of,
            format!("UNKNOWN: {counts}"),
            "mainstay status",
        ),
        Verdict::Down => bad(State::Fail, of, format!("DOWN: {counts}"), "mainstay why"),
    })
}

/// An agent says `mainstay 0.1.0`, a station `0.1.0`.
fn versions_of(cluster: &Cluster, own: &str) -> Option<Check> {
    let bare = |build: &str| build.trim_start_matches("mainstay ").to_owned();
    let asked = cluster.stations.iter().filter_map(|one| {
        let build = one.answer.as_ref().ok()?.build.as_ref()?;
        Some((format!("station {}", one.name), bare(build)))
    });
    let nodes = cluster.nodes.iter();
    let nodes = nodes.map(|node| (format!("agent {}", node.name), bare(&node.build)));
    let all: Vec<(String, String)> = asked.chain(nodes).collect();
    if all.is_empty() {
        return None;
    }
    let other: BTreeSet<String> = all
        .iter()
        .filter(|(_, build)| !build.is_empty() && *build != bare(own))
        .map(|(name, build)| format!("{name} {build}"))
        .collect();
    Some(match other.is_empty() {
        true => ok("versions", None, format!("all of {own}")),
        false => {
            let other: Vec<String> = other.into_iter().collect();
            let detail = format!("this program is {own}; others: {}", other.join(", "));
            bad(
                State::Warn,
                ("versions", None),
                detail,
                "mainstay get nodes -o wide",
            )
        }
    })
}

/// Of daemons on other machines as well.
fn certificates_of(cluster: &Cluster) -> Option<Check> {
    if cluster.certificates.is_empty() {
        return None;
    }
    let daemons = cluster.certificates.iter();
    let late: Vec<String> = daemons
        .filter(|one| ["due", "expired"].contains(&one.state.as_str()))
        .map(|one| format!("{} ({})", one.name, one.state))
        .collect();
    Some(match late.is_empty() {
        true => ok(
            "certificates",
            None,
            "none that was shown is due or has run out",
        ),
        false => {
            let detail = format!("to be renewed: {}", late.join(", "));
            bad(
                State::Warn,
                ("certificates", None),
                detail,
                "mainstay cert list",
            )
        }
    })
}

#[cfg(test)]
mod tests;
