//! `version`: this program's build, and the station's where one answers.

use mainstay_api::Exit;
use mainstay_api::types::Version;
use serde::Serialize;

use crate::app::App;
use crate::outcome::Outcome;

/// Both halves; `station` is null where none answers.
#[derive(Serialize)]
struct Both {
    program: String,
    station: Option<Version>,
}

pub async fn run(app: &mut App<'_>) -> Outcome {
    let station = match app.client().await {
        Ok(client) => client.version().await,
        Err(problem) => Err(problem),
    };
    if let Err(problem) = &station {
        app.console.detail(&format!("no station: {}", problem.why));
    }
    let both = Both {
        program: env!("CARGO_PKG_VERSION").to_owned(),
        station: station.ok(),
    };
    app.console.answer(&both, &[], |_| text(&both))?;
    Ok(Exit::Ok)
}

fn text(both: &Both) -> String {
    let mut text = format!("mainstay {}\n", both.program);
    match &both.station {
        None => text.push_str("station  none reachable\n"),
        Some(version) => {
            let cluster = version.cluster.as_deref().unwrap_or("-");
            let id = version.station.as_deref().unwrap_or("-");
            text.push_str(&format!(
                "station  {} ({id} of cluster {cluster}, wire revision {}, {} rules)\n",
                version.build,
                version.revision,
                version.rules.len()
            ));
        }
    }
    text
}
