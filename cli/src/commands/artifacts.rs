//! `artifact`: content that the cluster keeps.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use mainstay_api::client::ArtifactSaid;
use mainstay_api::types::Artifact;
use mainstay_api::{Exit, Problem};
use mainstay_protocol::{ArtifactId, Sha256, code, limits};
use serde::Serialize;
use sha2::Digest;

use super::aside::{Aside, failed, refuse_existing};
use crate::app::App;
use crate::arguments::{ArtifactCommand, ArtifactGetArguments, ArtifactPutArguments};
use crate::outcome::{Outcome, machine};
use crate::table::{Cell, Look, Table};
use crate::text::{age_of, bytes as amount, one_line};

pub async fn run(app: &mut App<'_>, command: ArtifactCommand) -> Outcome {
    match command {
        ArtifactCommand::Put(arguments) => put(app, arguments).await,
        ArtifactCommand::Get(arguments) => get(app, &arguments).await,
        ArtifactCommand::List => {
            let all = app.client().await?.artifacts().await?;
            let reference = |one: &Artifact| format!("artifact/{}", one.id);
            app.console
                .list(&all, reference, &artifacts(&all), "there is no artifact")?;
            Ok(Exit::Ok)
        }
        ArtifactCommand::Show(one) => {
            let shown = app.client().await?.artifact(one.id.as_str()).await?;
            app.console
                .answer(&shown, &[format!("artifact/{}", one.id)], |look| {
                    described(&shown, look)
                })?;
            Ok(Exit::Ok)
        }
        ArtifactCommand::Delete(one) => {
            let client = app.client().await?;
            let accepted = client.delete_artifact(one.id.as_str()).await?;
            let references = [format!("artifact/{}", one.id)];
            app.console.done(&accepted, &references, &accepted.text)?;
            Ok(Exit::Ok)
        }
    }
}

async fn put(app: &mut App<'_>, arguments: ArtifactPutArguments) -> Outcome {
    let file = &arguments.file;
    let what = format!("put artifact {}", file.display());
    let bytes = contents(&what, file)?;
    let digest = digest_of(&bytes);
    let id = arguments
        .id
        .unwrap_or_else(|| ArtifactId::of_digest(&digest));
    let name = file
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let said = ArtifactSaid {
        sha256: digest.to_string(),
        media_type: arguments
            .media_type
            .or_else(|| Some(media_type(name.as_deref()?)?.to_owned())),
        name: arguments.words.or(name),
    };
    let client = app.client().await?;
    let accepted = client.put_artifact(id.as_str(), &said, bytes).await?;
    app.console.say(&accepted.text);
    let shown = client.artifact(id.as_str()).await?;
    app.console
        .answer(&shown, &[format!("artifact/{id}")], |_| format!("{id}\n"))?;
    Ok(Exit::Ok)
}

fn contents(what: &str, file: &Path) -> Result<Vec<u8>, Problem> {
    let most = limits::ARTIFACT_BYTES_MAX;
    let unread =
        |error: &std::io::Error| machine(what, error).to_do(format!("ls -l {}", file.display()));
    let opened = File::open(file).map_err(|error| unread(&error))?;
    let is_file = opened.metadata().map(|metadata| metadata.is_file());
    let refused = |why: String| {
        let problem = Problem::new(code::BAD_REQUEST, what, why);
        Err(problem.to_do("mainstay artifact put --help"))
    };
    if !is_file.map_err(|error| unread(&error))? {
        let pack = "pack a directory: tar -czf site.tar.gz -C DIRECTORY .";
        return refused(format!("{} is no file; {pack}", file.display()));
    }
    let mut bytes = Vec::new();
    let read = opened.take(most + 1).read_to_end(&mut bytes);
    read.map_err(|error| unread(&error))?;
    if bytes.len() as u64 > most {
        let most = amount(most);
        return refused(format!("{} is longer than {most}", file.display()));
    }
    Ok(bytes)
}

fn digest_of(bytes: &[u8]) -> Sha256 {
    Sha256::of_sha256(sha2::Sha256::digest(bytes).into())
}

/// Of what people put most.
fn media_type(name: &str) -> Option<&'static str> {
    const BY_END: [(&str, &str); 9] = [
        (".tar.gz", "application/gzip"),
        (".tgz", "application/gzip"),
        (".gz", "application/gzip"),
        (".tar", "application/x-tar"),
        (".zip", "application/zip"),
        (".json", "application/json"),
        (".csv", "text/csv"),
        (".txt", "text/plain"),
        (".html", "text/html"),
    ];
    let name = name.to_ascii_lowercase();
    let found = BY_END.iter().find(|(end, _)| name.ends_with(end));
    found.map(|(_, of)| *of)
}

/// What was written.
#[derive(Debug, Serialize)]
struct Got {
    id: String,
    file: String,
    bytes: u64,
    sha256: String,
}

async fn get(app: &mut App<'_>, arguments: &ArtifactGetArguments) -> Outcome {
    let (id, file) = (&arguments.id, &arguments.file);
    let what = format!("get {id}");
    refuse_existing(&what, file)?;
    let client = app.client().await?;
    let wanted = client.artifact(id.as_str()).await?;
    let mut pieces = client.artifact_content(id.as_str()).await?;
    let aside = Aside::create(file).map_err(|error| failed(&what, file, &error))?;
    let (mut hash, mut bytes) = (sha2::Sha256::new(), 0);
    while let Some(piece) = pieces.next().await? {
        let written = (&aside.file).write_all(&piece);
        written.map_err(|error| failed(&what, file, &error))?;
        hash.update(&piece);
        bytes += piece.len() as u64;
    }
    let synced = aside.file.sync_all();
    synced.map_err(|error| failed(&what, file, &error))?;
    let digest = Sha256::of_sha256(hash.finalize().into());
    if digest.as_str() != wanted.sha256 {
        let why = format!(
            "what came has the sha256 {digest}, and was to have {}; nothing was written",
            wanted.sha256
        );
        return Err(Problem::new(code::ANSWER_LOST, what, why)
            .to_do(format!("mainstay artifact get {id} {}", file.display())));
    }
    aside
        .rename(file)
        .map_err(|error| failed(&what, file, &error))?;
    let got = Got {
        id: id.to_string(),
        file: file.display().to_string(),
        bytes,
        sha256: digest.to_string(),
    };
    let text = format!("{}: {}, sha256 {digest}", file.display(), amount(bytes));
    app.console.done(&got, &[format!("artifact/{id}")], &text)?;
    Ok(Exit::Ok)
}

fn artifacts(all: &[Artifact]) -> Table {
    let headings = [
        "ARTIFACT", "NAME", "TYPE", "SIZE", "SITE", "BY", "SINCE", "SHA256",
    ];
    let mut table = Table::new(&headings).wide_only(&["BY", "SHA256"]);
    for one in all {
        table.row(vec![
            Cell::new(&one.id),
            Cell::new(one_line(one.name.as_deref().unwrap_or_default())),
            Cell::new(one_line(&one.media_type)),
            Cell::new(amount(one.bytes)),
            Cell::new(if one.archive { "yes" } else { "no" }),
            Cell::new(&one.by),
            Cell::new(age_of(one.since)),
            Cell::new(&one.sha256),
        ]);
    }
    table
}

/// The row, and the files of an archive, or why a site cannot be served from it.
fn described(one: &Artifact, look: Look) -> String {
    let text = artifacts(std::slice::from_ref(one)).render(look);
    let why = one.no_archive.iter();
    let why = why.map(|why| format!("no site is served from it: {}\n", one_line(why)));
    let files = one.files.iter().flatten();
    let files = files.map(|file| format!("  {}\n", one_line(file)));
    format!("{text}\n{}", why.chain(files).collect::<String>())
}
