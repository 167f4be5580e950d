//! Plans and settings: what wishes would change, by a pure function over a snapshot; settings read and changed.

use axum::body::Bytes;
use mainstay_api::present::Present;
use mainstay_api::shapes::Flaw;
use mainstay_api::shapes::settings::{changed, shown};
use mainstay_api::types::{PlanRequest, Settings, SettingsRequest, WishFlaw};
use mainstay_api::{Problem, plan};
use mainstay_coordinator::{Apply, Operation, SettingsChange};
use mainstay_protocol::{Revision, code};
use mainstay_resource_graph::{Key, ViewExt};

use super::Api;
use super::changes::operate;
use super::reply::{Failure, Reply, body, json};

pub async fn plan(api: Api, bytes: Bytes) -> Reply {
    let request: PlanRequest = body("plan", &bytes)?;
    let plan = api
        .read(move |present| {
            plan::plan(present.view, &request).map_err(|flaws| flawed("plan", flaws))
        })
        .await?;
    json(&plan)
}

/// Everything that is wrong, in words and as data.
pub fn flawed(what: &str, flaws: Vec<WishFlaw>) -> Problem {
    let texts: Vec<String> = flaws.iter().map(|flaw| flaw.flaw.to_string()).collect();
    let mut problem = Problem::new(code::BAD_SPEC, what, texts.join("; "));
    problem.flaws = flaws;
    problem
}

pub async fn settings(api: Api) -> Reply {
    json(&api.read(current).await?)
}

fn current(present: &Present<'_>) -> Result<Settings, Problem> {
    let (Some(cluster), Some(record)) =
        (present.view.cluster(), present.view.record(&Key::Cluster))
    else {
        return Err(Problem::new(
            code::NOT_FOUND,
            "get settings",
            "there is no cluster yet",
        ));
    };
    Ok(Settings {
        settings: shown(&cluster.settings),
        revision: record.rev.0,
    })
}

pub async fn set_settings(api: Api, bytes: Bytes) -> Reply {
    let request: SettingsRequest = body("set settings", &bytes)?;
    let settings = change(&api, "set settings", request).await?;
    let apply = Apply {
        changes: Vec::new(),
        settings: Some(settings),
    };
    operate(&api, "set settings".to_owned(), Operation::Apply(apply)).await
}

/// Settings as they shall be, based on those seen here unless the asker says on which: two changes of one do not both
/// take effect.
pub async fn change(
    api: &Api,
    what: &'static str,
    request: SettingsRequest,
) -> Result<SettingsChange, Failure> {
    api.read(move |present| {
        let seen = current(present)?;
        let cluster = present.view.cluster().map(|cluster| cluster.settings);
        let settings = cluster.map(|settings| changed(&settings, &request.settings));
        match settings {
            Some(Ok(settings)) => Ok(SettingsChange {
                settings,
                based_on: Revision(request.based_on.unwrap_or(seen.revision)),
            }),
            Some(Err(flaws)) => Err(flawed(what, of_one(flaws))),
            None => Err(Problem::new(
                code::NOT_FOUND,
                what,
                "there is no cluster yet",
            )),
        }
    })
    .await
}

fn of_one(flaws: Vec<Flaw>) -> Vec<WishFlaw> {
    let flaws = flaws.into_iter();
    flaws.map(|flaw| WishFlaw { wish: 0, flaw }).collect()
}
