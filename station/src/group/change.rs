//! Changes of the group, by whoever leads. Each is safe to be asked again.

use std::io;
use std::time::{Duration, Instant};

use mainstay_api::Problem;
use mainstay_api::types::Accepted;
use mainstay_coordinator::outcome_unknown;
use mainstay_protocol::{Address, StationId, code, limits};
use mainstay_resource_graph::{StationState, ViewExt};
use mainstay_store::{LogStatus, MemberChange, NotChanged};

use super::{SILENCE, judge, majority};
use crate::shared::Shared;

/// How long a change may take to be seen in the graph once the log has it.
const SHOWN_WITHIN: Duration = Duration::from_secs(10);

/// How often it is looked whether somebody was heard, or leads.
const LOOK: Duration = Duration::from_millis(20);

/// How long an orderly end waits for the next leader.
const HAND_OVER_WITHIN: Duration = Duration::from_millis(1_500);

/// Takes a station in: it is sent the log, and votes once it has caught up.
pub async fn add(shared: &Shared, station: StationId, address: &str) -> Result<Accepted, Problem> {
    let what = format!("add {station}");
    let refuse = |why: String| Problem::new(code::BAD_REQUEST, &what, why);
    address
        .parse::<Address>()
        .map_err(|error| refuse(error.to_string()))?;
    must_lead(shared, &what)?;
    let status = shared.store.status();
    if state(shared, station) == Some(StationState::Removed) {
        let why = format!("{station} was removed, and a number is never used again");
        return Err(
            Problem::new(code::REFUSED_BY_SAFETY, &what, why).to_do("mainstay get stations")
        );
    }
    let known = status.addresses.get(&station);
    if known.is_some_and(|known| known == address)
        && judge::votes(&status, station, state(shared, station))
    {
        return Ok(accepted(shared, format!("{station} votes already"), false));
    }
    if known.is_none() && status.addresses.len() >= limits::STATIONS_MAX {
        let why = format!("a cluster has at most {} stations", limits::STATIONS_MAX);
        return Err(Problem::new(code::REFUSED_BY_SAFETY, &what, why));
    }
    // Who cannot be reached would stand in the group and hold everything up.
    shared
        .ways
        .to_api(station, address)
        .await
        .map_err(|error| unreached(&what, station, address, &error))?;
    let address = address.to_owned();
    let change = match known {
        Some(known) if *known != address => MemberChange::Move { station, address },
        _ => MemberChange::Learn { station, address },
    };
    carried_out(shared, &what, change).await?;
    carried_out(shared, &what, MemberChange::Promote(station)).await?;
    until_shown(shared, &what, station, StationState::Running).await?;
    let voters = shared.store.status().voters.len();
    let bears = voters - majority(voters);
    let text = match voters % 2 {
        1 => format!("{station} votes; the group of {voters} bears the loss of {bears}"),
        _ => format!(
            "{station} votes; the group of {voters} bears the loss of {bears}, no more than {} would: add one more",
            voters - 1
        ),
    };
    Ok(accepted(shared, text, true))
}

/// Takes a station out for ever. Refused where those that are left could decide nothing.
pub async fn remove(shared: &Shared, station: StationId) -> Result<Accepted, Problem> {
    let what = format!("remove {station}");
    must_lead(shared, &what)?;
    let status = shared.store.status();
    if !status.addresses.contains_key(&station) {
        return match state(shared, station) {
            None => Err(unknown(&what, station)),
            Some(StationState::Removed) => {
                let text = format!("{station} is no part of the group");
                Ok(accepted(shared, text, false))
            }
            // The log has it already.
            Some(_) => gone(shared, &what, station).await,
        };
    }
    if station == shared.about.station {
        let heir = judge::heir(&status, station);
        let why = format!("{station} leads; another must lead before it can go");
        let problem = Problem::new(code::REFUSED_BY_SAFETY, &what, why);
        return Err(match heir {
            Some(heir) => problem.to_do(format!("mainstay station lead {heir}")),
            None => problem.to_do("mainstay get stations"),
        });
    }
    let status = heard_anew(shared, station).await;
    if let Some(why) = judge::would_stop(&status, shared.about.station, station) {
        let problem = Problem::new(code::REFUSED_BY_SAFETY, &what, why);
        return Err(problem.to_do("mainstay get stations"));
    }
    carried_out(shared, &what, MemberChange::Remove(station)).await?;
    gone(shared, &what, station).await
}

async fn gone(shared: &Shared, what: &str, station: StationId) -> Result<Accepted, Problem> {
    until_shown(shared, what, station, StationState::Removed).await?;
    let text = format!("{station} is no part of the group any more; its data can be deleted");
    Ok(accepted(shared, text, true))
}

/// Hands leadership over.
pub async fn lead(shared: &Shared, station: StationId) -> Result<Accepted, Problem> {
    let what = format!("let {station} lead");
    must_lead(shared, &what)?;
    let status = shared.store.status();
    if station == shared.about.station {
        return Ok(accepted(shared, format!("{station} leads already"), false));
    }
    if !status.voters.contains(&station) {
        return Err(unknown(&what, station));
    }
    if !judge::is_heard(&status, station) {
        let why = format!("{station} is not heard, so it cannot lead");
        let problem = Problem::new(code::REFUSED_BY_SAFETY, &what, why);
        return Err(problem.to_do(format!("mainstay why station/{station}")));
    }
    carried_out(shared, &what, MemberChange::Lead(station)).await?;
    Ok(accepted(shared, format!("{station} is to lead"), true))
}

/// As long as this station leads: a change that is in the log then may yet be made.
async fn carried_out(shared: &Shared, what: &str, change: MemberChange) -> Result<(), Problem> {
    let hands_over = matches!(change, MemberChange::Lead(_));
    let mut standing = shared.standing.subscribe();
    let changing = shared.store.change_members(change);
    tokio::select! {
        biased;
        changed = changing => changed.map_err(|error| not_changed(what, error)),
        _ = standing.wait_for(|standing| standing.leadership.is_none()) => match hands_over {
            true => Ok(()),
            false => {
                let unknown = outcome_unknown();
                Err(Problem::new(unknown.code, what, unknown.text).to_do("mainstay get stations"))
            }
        },
    }
}

/// A leader that ends in order lets another lead first, where there is one: nobody waits for an election.
pub async fn hand_over(shared: &Shared) {
    let status = shared.store.status();
    let Some(heir) = judge::heir(&status, shared.about.station).filter(|_| shared.leads()) else {
        return;
    };
    let handed = shared.store.change_members(MemberChange::Lead(heir)).await;
    if let Err(error) = handed {
        tracing::warn!(%heir, %error, "leadership was not handed over");
        return;
    }
    let over = async {
        while shared.leading() != Some(heir) {
            // tidy: waits because who leads is heard, not told
            tokio::time::sleep(LOOK).await;
        }
    };
    if tokio::time::timeout(HAND_OVER_WITHIN, over).await.is_err() {
        tracing::warn!(%heir, "it does not lead yet; the others elect whom they will");
    }
}

/// Once enough of those that are left have been heard after this was asked, or have been silent for too long: one that fell
/// silent a moment ago would be missed only when it is too late.
async fn heard_anew(shared: &Shared, leaving: StationId) -> LogStatus {
    let asked = Instant::now();
    loop {
        let status = shared.store.status();
        let since = asked.elapsed();
        let heard = |id: &StationId| {
            let ago = status.heard.get(id);
            *id == shared.about.station || ago.is_some_and(|ago| *ago < since)
        };
        let left = || status.voters.iter().filter(|id| **id != leaving);
        let enough = left().filter(|id| heard(id)).count() >= majority(left().count());
        if enough || since > SILENCE {
            return status;
        }
        // tidy: waits because silence is no event
        tokio::time::sleep(LOOK).await;
    }
}

pub(super) fn state(shared: &Shared, station: StationId) -> Option<StationState> {
    Some(shared.store.view().station(station)?.state)
}

/// The log has it; now those who look are to see it.
async fn until_shown(
    shared: &Shared,
    what: &str,
    station: StationId,
    wanted: StationState,
) -> Result<(), Problem> {
    let mut standing = shared.standing.subscribe();
    let shown = standing.wait_for(|_| state(shared, station) == Some(wanted));
    match tokio::time::timeout(SHOWN_WITHIN, shown).await {
        Ok(_) => Ok(()),
        Err(_elapsed) => {
            let why = format!(
                "it is so in the log, but {station} is not yet shown as {}",
                wanted.as_str()
            );
            Err(Problem::new(code::TIMEOUT, what, why)
                .to_do(format!("mainstay why station/{station}")))
        }
    }
}

/// A leader that hears no majority would hold a change for ever, and carry it out when nobody waits for it any more.
fn must_lead(shared: &Shared, what: &str) -> Result<(), Problem> {
    match shared.leads() {
        true => Ok(()),
        false => Err(Problem::new(code::NO_QUORUM, what, shared.no_leader())),
    }
}

fn accepted(shared: &Shared, text: String, changed: bool) -> Accepted {
    Accepted {
        revision: shared.standing().revision.0,
        instances: Vec::new(),
        text,
        changed,
    }
}

fn unknown(what: &str, station: StationId) -> Problem {
    let why = format!("there is no station {station} in the group");
    Problem::new(code::NOT_FOUND, what, why).to_do("mainstay get stations")
}

fn unreached(what: &str, station: StationId, address: &str, error: &io::Error) -> Problem {
    let why = format!("{station} cannot be reached at {address}: {error}");
    Problem::new(code::BAD_REQUEST, what, why).to_do("mainstay station run --help")
}

fn not_changed(what: &str, error: NotChanged) -> Problem {
    match error {
        NotChanged::NotLeading { leader } => {
            let why = match leader {
                Some(leader) => format!("{leader} leads now; try again"),
                None => "nobody leads now; try again".to_owned(),
            };
            Problem::new(code::NO_QUORUM, what, why)
        }
        NotChanged::Refused(why) => Problem::new(code::REFUSED_BY_SAFETY, what, why),
        NotChanged::Failed(why) => Problem::new(code::NO_QUORUM, what, why),
    }
}
