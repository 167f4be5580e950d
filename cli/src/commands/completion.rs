//! `completion SHELL`: the script a shell completes from, made of the arguments themselves; and what such a script asks
//! while somebody types: the names that may stand at the cursor. That is asked of the station, for a moment at most, and
//! where there is no answer nothing is offered and nothing is said.

use std::ffi::OsStr;
use std::time::Duration;

use clap::{Arg, CommandFactory};
use clap_complete::{Shell, generate};
use mainstay_api::client::{InstanceFilter, RunFilter};
use mainstay_api::types::Resource;
use mainstay_api::{Client, Exit, Problem};

use crate::app::App;
use crate::arguments::Arguments;
use crate::outcome::Outcome;

/// Somebody waits with a finger on the key.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);

/// What asks for names: behind the generated script, so that it can use or replace what that defines.
const BASH: &str = include_str!("../../completion/references.bash");
const ZSH: &str = include_str!("../../completion/references.zsh");
const FISH: &str = include_str!("../../completion/references.fish");

pub fn script(app: &mut App<'_>, shell: Shell) -> Outcome {
    app.console.data(&script_of(shell))?;
    Ok(Exit::Ok)
}

fn script_of(shell: Shell) -> String {
    let mut generated = Vec::new();
    generate(shell, &mut Arguments::command(), "mainstay", &mut generated);
    let generated = String::from_utf8_lossy(&generated).into_owned();
    match shell {
        Shell::Bash => generated + BASH,
        // Before it: the generated script ends with running itself.
        Shell::Zsh => match generated.split_once('\n') {
            Some((compdef, rest)) => {
                let asking = rest.replace(":_default'", ":_mainstay_names'");
                format!("{compdef}\n{ZSH}{asking}")
            }
            None => generated,
        },
        Shell::Fish => generated + FISH,
        _ => generated,
    }
}

/// `complete-words WORDS`: the names that may follow these words, a line each.
pub async fn names(app: &mut App<'_>, words: &[String]) -> Outcome {
    app.global.context = context_in(words).or_else(|| app.global.context.take());
    let Some(wanted) = wanted(words) else {
        return Ok(Exit::Ok);
    };
    let Ok(context) = app.context() else {
        return Ok(Exit::Ok);
    };
    let client = context.client()?.with_timeout(ANSWER_WITHIN);
    let asked = tokio::time::timeout(ANSWER_WITHIN, ask(&client, wanted)).await;
    if let Ok(Ok(names)) = asked {
        let lines: String = names.iter().map(|name| format!("{name}\n")).collect();
        app.console.data(&lines)?;
    }
    Ok(Exit::Ok)
}

/// What may stand somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// Of `get`: what is in this list.
    Names(&'static str),
    Instances,
    InstancesAndPlacements,
    Breakable,
    Anything,
    Nodes,
    Types,
    Rules,
    Parked,
    Asked,
}

/// By the commands and flags themselves: what the next word is, if it is a name of something in the cluster.
fn wanted(words: &[String]) -> Option<Wanted> {
    let mut command = Arguments::command();
    command.build();
    let mut command = &command;
    let mut path: Vec<&str> = Vec::new();
    let mut said: Vec<&str> = Vec::new();
    let mut words = words.iter().map(String::as_str);
    while let Some(word) = words.next() {
        if let Some(flag) = flag(command, word) {
            let takes = flag.get_action().takes_values() && !word.contains('=');
            if takes && words.next().is_none() {
                return named(value_name(flag)?, &path, &said);
            }
        } else if said.is_empty()
            && let Some(child) = command.find_subcommand(OsStr::new(word))
        {
            path.push(child.get_name());
            command = child;
        } else {
            said.push(word);
        }
    }
    let next = command.get_positionals().nth(said.len())?;
    named(value_name(next)?, &path, &said)
}

fn named(value: &str, path: &[&str], said: &[&str]) -> Option<Wanted> {
    match value {
        "REF" => Some(match path {
            ["get"] => Wanted::Names(list_of(said.first()?)?),
            ["logs" | "call"] => Wanted::Instances,
            ["stop" | "restart" | "clear" | "check" | "ask-status"] => {
                Wanted::InstancesAndPlacements
            }
            ["chaos", _] => Wanted::Breakable,
            _ => Wanted::Anything,
        }),
        // One that is not there yet has no name to offer.
        "STATION" if path != ["station", "add"] && path != ["station", "run"] => {
            Some(Wanted::Names("stations"))
        }
        "PLACEMENT" => Some(Wanted::Names("placements")),
        "NODE" => Some(Wanted::Nodes),
        "TYPE" => Some(Wanted::Types),
        "RULE" => Some(Wanted::Rules),
        "ID" => Some(Wanted::Parked),
        "ASKED" => Some(Wanted::Asked),
        "ORCHESTRATION" => Some(Wanted::Names("orchestrations")),
        "NAME" if path.first() == Some(&"orchestration") => Some(Wanted::Names("orchestrations")),
        "NAME" if path.first() == Some(&"activity") => Some(Wanted::Names("activities")),
        "SERVICE" => Some(Wanted::Names("services")),
        "ARTIFACT" => Some(Wanted::Names("artifacts")),
        "RUN" if path == ["order"] => None,
        "RUN" if path != ["run", "start"] => Some(Wanted::Names("runs")),
        _ => None,
    }
}

fn list_of(word: &str) -> Option<&'static str> {
    const LISTS: [&str; 10] = [
        "nodes",
        "stations",
        "types",
        "placements",
        "instances",
        "supervisors",
        "resources",
        "asked",
        "procedures",
        "collected",
    ];
    LISTS
        .into_iter()
        .find(|list| *list == word || list.strip_suffix('s') == Some(word))
}

fn flag<'a>(command: &'a clap::Command, word: &str) -> Option<&'a Arg> {
    let long = word.strip_prefix("--").filter(|long| !long.is_empty());
    let short = word.strip_prefix('-').filter(|_| long.is_none());
    let is_it = |argument: &&Arg| match (long, short) {
        (Some(long), _) => argument.get_long() == long.split('=').next(),
        (None, Some(short)) => argument.get_short() == short.chars().last(),
        (None, None) => false,
    };
    command.get_arguments().find(is_it)
}

fn value_name(argument: &Arg) -> Option<&str> {
    Some(argument.get_value_names()?.first()?.as_str())
}

fn context_in(words: &[String]) -> Option<String> {
    let at = words.iter().position(|word| word == "--context")?;
    words.get(at + 1).cloned()
}

async fn ask(client: &Client, wanted: Wanted) -> Result<Vec<String>, Problem> {
    Ok(match wanted {
        Wanted::Instances | Wanted::Names("instances") => instances(client).await?,
        Wanted::Names("placements") => placements(client).await?,
        Wanted::InstancesAndPlacements => {
            [instances(client).await?, placements(client).await?].concat()
        }
        Wanted::Nodes | Wanted::Names("nodes") => nodes(client).await?,
        Wanted::Types | Wanted::Names("types") => types(client).await?,
        Wanted::Names("stations") => stations(client).await?,
        Wanted::Names("resources") => resources(client).await?,
        Wanted::Names("procedures") => procedures(client).await?,
        Wanted::Names("collected") => collected(client).await?,
        Wanted::Names("orchestrations") => {
            let found = client.orchestrations().await?;
            found.into_iter().map(|one| one.name).collect()
        }
        Wanted::Names("activities") => {
            let found = client.activities().await?;
            found.into_iter().map(|one| one.name).collect()
        }
        Wanted::Names("services") => {
            let found = client.services().await?;
            found.into_iter().map(|one| one.name).collect()
        }
        Wanted::Names("artifacts") => {
            let found = client.artifacts().await?;
            found.into_iter().map(|one| one.id).collect()
        }
        Wanted::Names("runs") => {
            let found = client.runs(&RunFilter::default()).await?;
            found.into_iter().map(|one| one.id).collect()
        }
        Wanted::Asked | Wanted::Names("asked") => asked(client).await?,
        // One on each node, and called like it.
        Wanted::Names(_) => nodes(client).await?,
        Wanted::Breakable => {
            let nodes = nodes(client).await?;
            [
                instances(client).await?,
                behind("node", &nodes),
                behind("supervisor", &nodes),
                behind("station", &stations(client).await?),
            ]
            .concat()
        }
        Wanted::Anything => {
            let nodes = nodes(client).await?;
            [
                instances(client).await?,
                placements(client).await?,
                behind("node", &nodes),
                behind("supervisor", &nodes),
                behind("station", &stations(client).await?),
                behind("type", &types(client).await?),
            ]
            .concat()
        }
        Wanted::Rules => {
            let rules = client.rules().await?;
            rules.into_iter().map(|rule| rule.name).collect()
        }
        Wanted::Parked => {
            let parked = client.parked().await?;
            parked.into_iter().map(|parked| parked.id).collect()
        }
    })
}

fn behind(kind: &str, names: &[String]) -> Vec<String> {
    names.iter().map(|name| format!("{kind}/{name}")).collect()
}

async fn instances(client: &Client) -> Result<Vec<String>, Problem> {
    let found = client.instances(&InstanceFilter::default()).await?;
    Ok(found.into_iter().map(|one| one.reference).collect())
}

async fn placements(client: &Client) -> Result<Vec<String>, Problem> {
    let found = client.placements().await?;
    Ok(found.into_iter().map(|one| one.name).collect())
}

async fn nodes(client: &Client) -> Result<Vec<String>, Problem> {
    let found = client.nodes().await?;
    Ok(found.into_iter().map(|one| one.name).collect())
}

async fn stations(client: &Client) -> Result<Vec<String>, Problem> {
    let found = client.stations().await?;
    Ok(found.into_iter().map(|one| one.id).collect())
}

async fn resources(client: &Client) -> Result<Vec<String>, Problem> {
    let found = client.resources().await?;
    let name = |one: Resource| format!("{}/{}", one.kind, one.name);
    Ok(found.into_iter().map(name).collect())
}

async fn procedures(client: &Client) -> Result<Vec<String>, Problem> {
    let found = client.procedures().await?;
    Ok(found.into_iter().map(|one| one.id).collect())
}

async fn collected(client: &Client) -> Result<Vec<String>, Problem> {
    let found = client.collected().await?;
    Ok(found.into_iter().map(|one| one.id).collect())
}

async fn asked(client: &Client) -> Result<Vec<String>, Problem> {
    let found = client.asked().await?;
    Ok(found.into_iter().map(|one| one.id).collect())
}

async fn types(client: &Client) -> Result<Vec<String>, Problem> {
    let found = client.types().await?;
    Ok(found.into_iter().map(|one| one.name).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(line: &str) -> Option<Wanted> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        wanted(&words)
    }

    #[test]
    fn what_may_follow_is_read_from_the_commands_themselves() {
        for (line, expected) in [
            ("why", Some(Wanted::Anything)),
            ("-o json why", Some(Wanted::Anything)),
            ("why -w", Some(Wanted::Anything)),
            ("why web@n1", None),
            ("stop", Some(Wanted::InstancesAndPlacements)),
            ("logs -f", Some(Wanted::Instances)),
            ("call", Some(Wanted::Instances)),
            ("call web@n1", None),
            ("chaos kill", Some(Wanted::Breakable)),
            ("chaos", None),
            ("get", None),
            ("get nodes", Some(Wanted::Names("nodes"))),
            ("get instance", Some(Wanted::Names("instances"))),
            ("start", Some(Wanted::Types)),
            ("start greeter --on", Some(Wanted::Nodes)),
            ("start greeter --name", None),
            ("--context prod status", None),
            ("--context", None),
            ("rule disable", Some(Wanted::Rules)),
            ("parked show", Some(Wanted::Parked)),
            ("answer", Some(Wanted::Asked)),
            ("placement rollback", Some(Wanted::Names("placements"))),
            ("station remove", Some(Wanted::Names("stations"))),
            ("station lead", Some(Wanted::Names("stations"))),
            ("station add", None),
            ("station run --station", None),
            ("get collected", Some(Wanted::Names("collected"))),
            ("get procedures", Some(Wanted::Names("procedures"))),
            ("get resource", Some(Wanted::Names("resources"))),
            ("nonsense", None),
            ("", None),
        ] {
            assert_eq!(after(line), expected, "mainstay {line} |");
        }
    }

    #[test]
    fn every_shell_with_names_asks_for_them() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = script_of(shell);
            assert!(script.contains("complete-words --"), "{shell}");
        }
        let zsh = script_of(Shell::Zsh);
        assert!(zsh.starts_with("#compdef mainstay\n"), "{zsh}");
        assert!(zsh.matches(":_mainstay_names'").count() > 10, "{zsh}");
    }
}
