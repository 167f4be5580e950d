//! Who may come: tokens, identities, secrets, and what you may do yourself.

mod init;
mod join;
mod verbs;

use std::io::Read;

use mainstay_api::routes::Route;
use mainstay_api::types::{
    Accepted, Group, GroupRequest, Identity, Secret, Token, TokenMade, TokenRequest,
};
use mainstay_api::{Exit, Problem};
use mainstay_protocol::words::nearest;
use mainstay_protocol::{code, limits};
use serde::Serialize;

use verbs::VERBS;

use super::confirm;
use crate::app::App;
use crate::arguments::{
    CanIArguments, GroupCommand, IdentityArguments, IdentityCommand, SecretArguments,
    SecretCommand, TokenArguments, TokenCommand, TokenCreateArguments,
};
use crate::outcome::{Outcome, machine, usage};
use crate::table::{Cell, Table};
use crate::text::age_of;

pub use init::run as init;
pub use join::run as join;
pub use join::{Joining, enter};

pub async fn token(app: &mut App<'_>, arguments: TokenArguments) -> Outcome {
    match arguments.command {
        TokenCommand::Create(create) => create_token(app, &create).await,
        TokenCommand::List => tokens(app).await,
        TokenCommand::Revoke { id } => {
            let id = id.strip_prefix("token/").unwrap_or(&id).to_owned();
            let accepted = app.client().await?.revoke_token(&id).await?;
            done(app, &accepted, &format!("token/{id}"))
        }
    }
}

async fn create_token(app: &mut App<'_>, arguments: &TokenCreateArguments) -> Outcome {
    let node = arguments.node.as_ref().map(ToString::to_string);
    if node.is_some() && arguments.role != "agent" {
        let why =
            "--node is for --role agent; a person has a --name, a station is given its number";
        return Err(usage("create a token", why).to_do("mainstay token create --help"));
    }
    if arguments.name.is_some() && ["agent", "station"].contains(&arguments.role.as_str()) {
        let why = "--name is a person's; of an agent say --node, a station is given its number";
        return Err(usage("create a token", why).to_do("mainstay token create --help"));
    }
    let request = TokenRequest {
        role: arguments.role.clone(),
        name: node.or(arguments.name.clone()),
        valid_ms: u64::try_from(arguments.valid.as_millis()).unwrap_or(u64::MAX),
    };
    let made = app.client().await?.create_token(&request).await?;
    app.console.say(&format!(
        "token {} lets in {} once, within {}; run this there:",
        made.id,
        made.admits,
        humantime::format_duration(arguments.valid)
    ));
    app.console
        .answer(&made, &[format!("token/{}", made.id)], |_| line(&made))?;
    Ok(Exit::Ok)
}

/// To be pasted elsewhere.
fn line(made: &TokenMade) -> String {
    let network = made.addresses.iter().find(|at| !at.starts_with("unix:"));
    let at = network.map_or("HOST:PORT", String::as_str);
    let listen = match made.admits.as_str() {
        "station" => " --listen HOST:PORT",
        _ => "",
    };
    format!("mainstay join {at} --token {}{listen}\n", made.token.0)
}

async fn tokens(app: &mut App<'_>) -> Outcome {
    let tokens = app.client().await?.tokens().await?;
    let mut table = Table::new(&["ID", "LETS IN", "STATE", "USED BY", "MADE BY", "UNTIL"]);
    for one in &tokens {
        table.row(vec![
            Cell::new(&one.id),
            Cell::new(&one.admits),
            Cell::state(&one.state),
            Cell::new(one.used_by.as_deref().unwrap_or_default()),
            Cell::new(&one.by),
            Cell::new(one.until.to_string()),
        ]);
    }
    let reference = |one: &Token| format!("token/{}", one.id);
    app.console
        .list(&tokens, reference, &table, "there are no tokens")?;
    Ok(Exit::Ok)
}

pub async fn identity(app: &mut App<'_>, arguments: IdentityArguments) -> Outcome {
    match arguments.command {
        IdentityCommand::List => identities(app).await,
        IdentityCommand::Group(arguments) => group(app, arguments.command).await,
        IdentityCommand::Whoami => {
            let who = app.client().await?.whoami().await?;
            let references = [format!("identity/{}", who.name)];
            app.console
                .answer(&who, &references, |_| match &who.group {
                    None => format!("{} ({})\n", who.name, who.role),
                    Some(group) => format!("{} ({} by group {group})\n", who.name, who.role),
                })?;
            Ok(Exit::Ok)
        }
        IdentityCommand::Revoke {
            identity,
            reason,
            yes,
        } => {
            let client = app.client().await?;
            let question = format!(
                "{identity} is let in no more until it joins with another token; revoke it?"
            );
            if !yes && !confirm::confirmed(app, &question) {
                app.console.say("nothing was revoked");
                return Ok(Exit::Ok);
            }
            let name = identity.to_string();
            let accepted = client.revoke_identity(&name, &reason).await?;
            done(app, &accepted, &format!("identity/{name}"))
        }
    }
}

async fn group(app: &mut App<'_>, command: GroupCommand) -> Outcome {
    let client = app.client().await?;
    match command {
        GroupCommand::Set {
            name,
            role,
            members,
        } => {
            let members = members.iter().map(ToString::to_string).collect();
            let group = GroupRequest { role, members };
            let accepted = client.set_group(name.as_str(), &group).await?;
            done(app, &accepted, &format!("group/{name}"))
        }
        GroupCommand::Remove { name } => {
            let accepted = client.remove_group(name.as_str()).await?;
            done(app, &accepted, &format!("group/{name}"))
        }
        GroupCommand::List => {
            let groups = client.groups().await?;
            let mut table = Table::new(&["NAME", "ROLE", "MEMBERS", "SET BY"]);
            for one in &groups {
                table.row(vec![
                    Cell::new(&one.name),
                    Cell::new(&one.role),
                    Cell::new(one.members.join(" ")),
                    Cell::new(&one.by),
                ]);
            }
            let reference = |one: &Group| format!("group/{}", one.name);
            app.console
                .list(&groups, reference, &table, "there are no groups")?;
            Ok(Exit::Ok)
        }
    }
}

async fn identities(app: &mut App<'_>) -> Outcome {
    let identities = app.client().await?.identities().await?;
    let mut table = Table::new(&["NAME", "STATE", "FOR", "WHY", "KEY"]).wide_only(&["KEY"]);
    for one in &identities {
        let why = one.revoked.as_ref();
        table.row(vec![
            Cell::new(&one.name),
            Cell::state(&one.state),
            Cell::new(age_of(one.since)),
            Cell::new(
                why.map(|why| format!("{}: {}", why.by, why.why))
                    .unwrap_or_default(),
            ),
            Cell::new(&one.key),
        ]);
    }
    let reference = |one: &Identity| format!("identity/{}", one.name);
    app.console
        .list(&identities, reference, &table, "nobody was let in")?;
    Ok(Exit::Ok)
}

pub async fn secret(app: &mut App<'_>, arguments: SecretArguments) -> Outcome {
    match arguments.command {
        SecretCommand::Set { name } => {
            let value = value(name.as_str())?;
            let name = name.to_string();
            let accepted = app.client().await?.set_secret(&name, value).await?;
            done(app, &accepted, &format!("secret/{name}"))
        }
        SecretCommand::List => {
            let secrets = app.client().await?.secrets().await?;
            let mut table = Table::new(&["NAME", "SET BY", "FOR", "USED BY", "OUTDATED"]);
            for one in &secrets {
                table.row(vec![
                    Cell::new(&one.name),
                    Cell::new(&one.by),
                    Cell::new(age_of(one.since)),
                    Cell::new(one.used_by.join(" ")),
                    Cell::new(one.outdated.join(" ")),
                ]);
            }
            let reference = |one: &Secret| format!("secret/{}", one.name);
            app.console
                .list(&secrets, reference, &table, "there are no secrets")?;
            Ok(Exit::Ok)
        }
    }
}

/// Never an argument: the list of processes shows those.
fn value(name: &str) -> Result<String, Problem> {
    let mut bytes = Vec::new();
    let most = limits::SECRET_BYTES_MAX as u64;
    let read = std::io::stdin()
        .lock()
        .take(most + 1)
        .read_to_end(&mut bytes);
    read.map_err(|error| machine("read the secret", error))?;
    let what = || format!("set secret {name}");
    if bytes.len() as u64 > most {
        return Err(usage(what(), format!("a secret has at most {most} bytes")));
    }
    let text = String::from_utf8(bytes);
    let text = text.map_err(|_| usage(what(), "a secret is text, in UTF-8"))?;
    let text = text.strip_suffix('\n').unwrap_or(&text).to_owned();
    match text.is_empty() {
        true => Err(usage(what(), "there is nothing on the standard input")
            .to_do("mainstay secret set --help")),
        false => Ok(text),
    }
}

fn done(app: &mut App<'_>, accepted: &Accepted, reference: &str) -> Outcome {
    app.console
        .done(accepted, &[reference.to_owned()], &accepted.text)?;
    Ok(Exit::Ok)
}

#[derive(Serialize)]
struct CanI {
    verb: String,
    who: String,
    role: String,
    group: Option<String>,
    may: bool,
}

pub async fn can_i(app: &mut App<'_>, arguments: &CanIArguments) -> Outcome {
    let said = arguments.words.join(" ");
    let named = |(verb, _): &&(&str, Route)| {
        said == *verb
            || said
                .strip_prefix(verb)
                .is_some_and(|rest| rest.starts_with(' '))
    };
    let Some((verb, route)) = VERBS.iter().find(named) else {
        let words = arguments.words[0].as_str();
        let near = nearest(words, VERBS.iter().map(|(verb, _)| *verb));
        let why = format!("\"{words}\" is no command that asks a station for something");
        return Err(usage(format!("can-i {said}"), why)
            .near(near)
            .to_do("mainstay can-i restart greeter@n1"));
    };
    let who = app.client().await?.whoami().await?;
    let answer = CanI {
        verb: (*verb).to_owned(),
        may: who.may.contains(&route.to_string()),
        who: who.name,
        role: who.role,
        group: who.group,
    };
    let word = if answer.may { "yes" } else { "no" };
    app.console.answer(&answer, &[], |_| {
        let CanI { who, role, .. } = &answer;
        match &answer.group {
            None => format!("{word}: {who} is {role}\n"),
            Some(group) => format!("{word}: {who} is {role} by group {group}\n"),
        }
    })?;
    match answer.may {
        true => Ok(Exit::Ok),
        false => Ok(Exit::NotAllowed),
    }
}

/// Another cluster has what is wanted for this one.
fn taken(what: impl Into<String>, why: impl Into<String>) -> Problem {
    let mut problem = Problem::new(code::DATA_DIRECTORY, what, why);
    problem.exit = Exit::Conflict;
    problem.to_do("mainstay status")
}
