//! From words to arguments; and what to say when the words make no sense: what, why, the nearest, what to do.

use std::ffi::{OsStr, OsString};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, Parser};
use mainstay_api::Problem;
use mainstay_protocol::words::nearest;

use crate::arguments::Arguments;
use crate::outcome::usage;

/// What the words came to.
#[derive(Debug)]
pub enum Parsed {
    Run(Box<Arguments>),
    /// Help or the version was asked for; it is data.
    Show(String),
    Wrong(Problem),
}

/// `words` begin with the program's name.
pub fn parse(words: &[OsString]) -> Parsed {
    let asked = as_flag(words);
    let words = asked.as_deref().unwrap_or(words);
    match Arguments::try_parse_from(words) {
        Ok(mut arguments) => {
            arguments.global.help = help(&command_meant(words).0);
            Parsed::Run(Box::new(arguments))
        }
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
            ) =>
        {
            Parsed::Show(error.to_string())
        }
        Err(error) => Parsed::Wrong(problem(&error, words)),
    }
}

/// `mainstay help start` is `mainstay start --help`.
fn as_flag(words: &[OsString]) -> Option<Vec<OsString>> {
    let [program, help, command @ ..] = words else {
        return None;
    };
    (help == "help").then(|| {
        let mut words = vec![program.clone()];
        words.extend_from_slice(command);
        words.push("--help".into());
        words
    })
}

fn problem(error: &clap::Error, words: &[OsString]) -> Problem {
    let (path, command) = command_meant(words);
    let what = format!("run {}", path.join(" "));
    let (why, near) = cause(error, &command);
    usage(what, why).near(near).to_do(help(&path))
}

fn help(path: &[String]) -> String {
    format!("{} --help", path.join(" "))
}

/// What is wrong with the words, and what is nearest to the wrong one.
fn cause(error: &clap::Error, command: &clap::Command) -> (String, Vec<String>) {
    let said = |kind| error.get(kind).map(text_of).unwrap_or_default();
    let argument = said(ContextKind::InvalidArg);
    let alone = |why: String| (why, Vec::new());
    match error.kind() {
        ErrorKind::InvalidSubcommand => unknown(
            "command",
            &said(ContextKind::InvalidSubcommand),
            visible_commands(command),
        ),
        ErrorKind::UnknownArgument if argument.starts_with('-') => {
            unknown("flag", &argument, flags(command))
        }
        ErrorKind::UnknownArgument if command.has_subcommands() => {
            unknown("command", &argument, visible_commands(command))
        }
        ErrorKind::UnknownArgument if argument.contains('=') => alone(format!(
            "\"{argument}\" stands behind no flag; a configuration stands behind --config"
        )),
        ErrorKind::UnknownArgument => alone(format!("\"{argument}\" is one word too many")),
        ErrorKind::InvalidValue if !said(ContextKind::InvalidValue).is_empty() => {
            let valid = list_of(error.get(ContextKind::ValidValue));
            let wrong = said(ContextKind::InvalidValue);
            match argument.strip_prefix('<') {
                Some(name) => unknown(name.trim_end_matches('>'), &wrong, valid),
                None => {
                    let (why, near) = unknown("value", &wrong, valid);
                    (format!("{}: {why}", flag_of(&argument)), near)
                }
            }
        }
        ErrorKind::InvalidValue => alone(format!("{argument} wants a value")),
        ErrorKind::ValueValidation => {
            let cause = std::error::Error::source(error)
                .map(ToString::to_string)
                .unwrap_or_default();
            alone(format!("{}: {cause}", flag_of(&argument)))
        }
        ErrorKind::MissingRequiredArgument => alone(match argument.starts_with("--on ") {
            // clap does not name what may stand instead.
            true => format!("where to run it is missing: {argument}, or --all"),
            false => format!("{argument} is missing"),
        }),
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            alone(format!(
                "a command is missing: {}",
                visible_commands(command).join(", ")
            ))
        }
        ErrorKind::ArgumentConflict => alone(format!(
            "{argument} and {} do not go together",
            said(ContextKind::PriorArg)
        )),
        // clap's own kinds are open-ended; its first line says what it is.
        _ => {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default();
            alone(first.trim_start_matches("error: ").to_owned())
        }
    }
}

/// `--timeout <TIME>` is `--timeout`, `<REF>` is `REF`.
fn flag_of(argument: &str) -> &str {
    match argument.split_once(' ') {
        Some((flag, _)) => flag,
        None => argument.trim_matches(['<', '>', '[', ']', '.']),
    }
}

/// Of something that does not exist: what there is, or what is nearest.
fn unknown(kind: &str, wrong: &str, valid: Vec<String>) -> (String, Vec<String>) {
    let near = nearest(wrong, valid.iter().map(String::as_str));
    let why = if near.is_empty() && !valid.is_empty() {
        format!(
            "there is no {kind} \"{wrong}\"; there are: {}",
            valid.join(", ")
        )
    } else {
        format!("there is no {kind} \"{wrong}\"")
    };
    (why, near)
}

/// The command that the words lead to, as far as they lead anywhere.
fn command_meant(words: &[OsString]) -> (Vec<String>, clap::Command) {
    let mut command = Arguments::command();
    command.build();
    let mut path = vec![command.get_name().to_owned()];
    let mut words = words.iter().skip(1).filter_map(|word| word.to_str());
    while let Some(word) = words.next() {
        if ["-o", "--output", "--context", "--timeout"].contains(&word) {
            words.next();
            continue;
        }
        let Some(child) = command
            .find_subcommand(OsStr::new(word))
            .filter(|child| !child.is_hide_set())
        else {
            continue;
        };
        path.push(child.get_name().to_owned());
        command = child.clone();
        if !command.has_subcommands() {
            break;
        }
    }
    (path, command)
}

fn visible_commands(command: &clap::Command) -> Vec<String> {
    command
        .get_subcommands()
        .filter(|child| !child.is_hide_set())
        .map(|child| child.get_name().to_owned())
        .collect()
}

fn flags(command: &clap::Command) -> Vec<String> {
    command
        .get_arguments()
        .filter(|argument| !argument.is_hide_set())
        .filter_map(|argument| argument.get_long())
        .map(|long| format!("--{long}"))
        .collect()
}

fn text_of(value: &ContextValue) -> String {
    match value {
        ContextValue::String(text) => text.clone(),
        ContextValue::Strings(texts) => texts.join(", "),
        other => other.to_string(),
    }
}

fn list_of(value: Option<&ContextValue>) -> Vec<String> {
    match value {
        Some(ContextValue::Strings(texts)) => texts.clone(),
        _ => Vec::new(),
    }
}
