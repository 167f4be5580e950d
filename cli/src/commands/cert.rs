//! `cert list` and `cert rotate`: what daemons and people show, until when; and a daemon's renewed now. What this machine keeps
//! is told also where no station answers.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use mainstay_api::present::certificate;
use mainstay_api::types::Certificate;
use mainstay_api::{Exit, Problem};
use mainstay_identity::{Keep, KeepError, tls};
use mainstay_protocol::{Bearer, ClusterId, code};
use serde::Serialize;

use crate::app::App;
use crate::arguments::{CertArguments, CertCommand, HereArguments};
use crate::directories::{self, DataDirectory};
use crate::outcome::Outcome;
use crate::table::{Cell, Table};
use crate::text::{age, age_of};

/// What this machine keeps, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub bearer: Bearer,
    pub cluster: ClusterId,
    pub ends: SystemTime,
    /// Where its files are.
    pub dir: PathBuf,
}

/// A certificate, with where it is kept on this machine.
#[derive(Debug, Serialize)]
struct Listed {
    #[serde(flatten)]
    certificate: Certificate,
    /// Null where it is elsewhere.
    dir: Option<PathBuf>,
}

pub async fn run(app: &mut App<'_>, arguments: CertArguments) -> Outcome {
    match arguments.command {
        CertCommand::List { here } => list(app, &here).await,
        CertCommand::Rotate { identity, here } => rotate(app, identity, &here).await,
    }
}

/// What is kept in a directory of `identity`.
pub fn read(dir: &Path) -> Result<Kept, KeepError> {
    let shown = Keep::at(dir).credentials()?;
    let (cluster, bearer) = tls::bearer(&shown.certificate)?;
    Ok(Kept {
        bearer,
        cluster,
        ends: tls::not_after(&shown.authority, &shown.certificate)?,
        dir: dir.to_owned(),
    })
}

async fn list(app: &mut App<'_>, here: &HereArguments) -> Outcome {
    let kept = kept(app, here)?;
    let now = SystemTime::now();
    let (known, of) = match known(app).await {
        Ok(known) => known,
        // Nothing at all can be told.
        Err(problem) if kept.is_empty() => return Err(problem),
        Err(problem) => {
            app.console.say(&format!(
                "those of this machine alone: no station could be asked ({})",
                problem.why
            ));
            (Vec::new(), None)
        }
    };
    let all = joined(known, kept, of, now);
    let mut table = Table::new(&[
        "NAME", "STATE", "LEFT", "RENEWED", "ENDS", "KEPT IN", "NOTE",
    ])
    .wide_only(&["ENDS", "KEPT IN"]);
    for Listed { certificate, dir } in &all {
        table.row(vec![
            Cell::new(&certificate.name),
            Cell::state(&certificate.state),
            Cell::new(left(certificate)),
            Cell::new(certificate.renews.map(age_of).unwrap_or_default()),
            Cell::new(
                certificate
                    .ends
                    .map(|ends| ends.to_string())
                    .unwrap_or_default(),
            ),
            Cell::new(
                dir.as_deref()
                    .map(|dir| dir.display().to_string())
                    .unwrap_or_default(),
            ),
            Cell::new(certificate.note.as_deref().unwrap_or_default()),
        ]);
    }
    let reference = |one: &Listed| format!("identity/{}", one.certificate.name);
    let nothing = "nobody shows a certificate: this cluster is on one machine only";
    app.console.list(&all, reference, &table, nothing)?;
    Ok(Exit::Ok)
}

fn left(certificate: &Certificate) -> String {
    match certificate.left_ms {
        Some(0) | None => String::new(),
        Some(ms) => age(Duration::from_millis(ms)),
    }
}

/// What the cluster knows, and which one it is.
async fn known(app: &mut App<'_>) -> Result<(Vec<Certificate>, Option<String>), Problem> {
    let client = app.client().await?;
    let known = client.certificates().await?;
    Ok((known, client.version().await?.cluster_id))
}

/// What was said is to be there; what was not need not be.
fn kept(app: &App<'_>, here: &HereArguments) -> Result<Vec<Kept>, Problem> {
    let context = app.context().ok();
    let mut places: Vec<PathBuf> = directories::of_machine(context.as_ref(), &here.dir)
        .iter()
        .map(DataDirectory::keep)
        .filter(Keep::is_there)
        .map(|keep| keep.directory().to_owned())
        .collect();
    for dir in &here.dir {
        if !places.iter().any(|place| place.starts_with(dir)) {
            let what = format!("read the certificate in {}", dir.display());
            let why = "no daemon that was initialised or joined has its data there";
            return Err(
                Problem::new(code::NOT_FOUND, what, why).to_do(format!("ls -la {}", dir.display()))
            );
        }
    }
    if here.dir.is_empty() {
        places.extend(context.and_then(|context| context.identity));
    }
    let read = |dir: PathBuf| {
        read(&dir).map_err(|error| {
            let what = format!("read the certificate in {}", dir.display());
            Problem::new(code::DATA_DIRECTORY, what, error.to_string())
                .to_do(format!("ls -la {}", dir.display()))
        })
    };
    places.into_iter().map(read).collect()
}

/// Each once, by name. Who keeps one knows best when it ends; of another cluster, it is another.
fn joined(
    known: Vec<Certificate>,
    kept: Vec<Kept>,
    of: Option<String>,
    now: SystemTime,
) -> Vec<Listed> {
    let mut all: Vec<Listed> = known
        .into_iter()
        .map(|certificate| Listed {
            certificate,
            dir: None,
        })
        .collect();
    for one in kept {
        let mut shown = certificate(&one.bearer, Some(one.ends), None, now);
        let ours = of.as_ref().is_none_or(|of| *of == one.cluster.to_string());
        let at = all
            .iter()
            .position(|known| ours && known.dir.is_none() && known.certificate.name == shown.name);
        let dir = Some(one.dir);
        match at {
            Some(at) if all[at].certificate.state == "revoked" => all[at].dir = dir,
            Some(at) => {
                all[at] = Listed {
                    certificate: shown,
                    dir,
                }
            }
            None => {
                if !ours {
                    shown.note = Some(format!("of another cluster, {}", one.cluster));
                }
                all.push(Listed {
                    certificate: shown,
                    dir,
                });
            }
        }
    }
    all.sort_by(|a, b| a.certificate.name.cmp(&b.certificate.name));
    all
}

async fn rotate(app: &mut App<'_>, identity: Option<Bearer>, here: &HereArguments) -> Outcome {
    let bearers = match identity {
        Some(bearer) => vec![bearer],
        None => daemons(app, here)?,
    };
    let client = app.client().await?;
    let mut done = Vec::new();
    let mut failed = None;
    for bearer in &bearers {
        match client.rotate_certificate(bearer).await {
            Ok(certificate) => done.push(certificate),
            Err(mut problem) => {
                problem.what = format!("rotate the certificate of {bearer}");
                failed.get_or_insert(problem);
            }
        }
    }
    let references: Vec<String> = done
        .iter()
        .map(|one| format!("identity/{}", one.name))
        .collect();
    let told: Vec<String> = done.iter().map(told).collect();
    if !done.is_empty() {
        app.console.done(&done, &references, &told.join("\n"))?;
    }
    failed.map_or(Ok(Exit::Ok), Err)
}

fn told(renewed: &Certificate) -> String {
    let until = renewed.ends.map_or_else(String::new, |ends| {
        format!(" and stands until {ends}, for {}", left(renewed))
    });
    format!("the certificate of {} is renewed{until}", renewed.name)
}

/// A person's is renewed by nobody.
fn daemons(app: &App<'_>, here: &HereArguments) -> Result<Vec<Bearer>, Problem> {
    let kept = kept(app, here)?.into_iter().map(|one| one.bearer);
    let daemons: Vec<Bearer> = kept
        .filter(|bearer| !matches!(bearer, Bearer::Person { .. }))
        .collect();
    match daemons.is_empty() {
        false => Ok(daemons),
        true => {
            let why =
                "no daemon of this machine was initialised or joined; say whose, as in agent/n1";
            let what = "rotate the certificates of this machine";
            Err(Problem::new(code::NOT_FOUND, what, why).to_do("mainstay cert rotate --help"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(name: &str) -> Bearer {
        Bearer::Agent(name.parse().unwrap())
    }

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
    }

    fn kept(name: &str, cluster: u128, hours: u64) -> Kept {
        Kept {
            bearer: agent(name),
            cluster: ClusterId(uuid::Uuid::from_u128(cluster)),
            ends: now() + Duration::from_secs(hours * 3600),
            dir: PathBuf::from("/nowhere").join(name),
        }
    }

    #[test]
    fn what_is_kept_here_is_the_same_as_what_the_cluster_knows_of_it_and_newer() {
        let known = vec![
            certificate(&agent("n2"), None, None, now()),
            certificate(&agent("n1"), Some(now()), None, now()),
        ];
        let of = Some(kept("n1", 1, 0).cluster.to_string());
        let here = vec![kept("n1", 1, 60), kept("n1", 2, 60)];
        let all = joined(known, here, of, now());
        let short: Vec<_> = all
            .iter()
            .map(|one| {
                let certificate = &one.certificate;
                let elsewhere = certificate
                    .note
                    .as_deref()
                    .is_some_and(|note| note.contains("another"));
                (
                    certificate.name.as_str(),
                    certificate.state.as_str(),
                    one.dir.is_some(),
                    elsewhere,
                )
            })
            .collect();
        assert_eq!(
            short,
            [
                ("agent/n1", "good", true, false),
                ("agent/n1", "good", true, true),
                ("agent/n2", "unknown", false, false),
            ]
        );
    }

    #[test]
    fn what_is_revoked_stays_so_whatever_is_kept() {
        let revoked = mainstay_api::types::Revoked {
            by: "ada".to_owned(),
            why: "sold".to_owned(),
        };
        let known = vec![certificate(&agent("n1"), None, Some(&revoked), now())];
        let all = joined(known, vec![kept("n1", 1, 60)], None, now());
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].certificate.state, "revoked");
        assert!(all[0].dir.is_some());
    }
}
