//! Arguments of the commands that need no station.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use clap_complete::Shell;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  mainstay explain MS-NAME-HELD\n  mainstay explain instance\n  mainstay explain \
                  instance.reason"
)]
pub struct ExplainArguments {
    /// A code as reasons and errors end with it; a kind such as instance; a key of one, as in instance.state
    #[arg(value_name = "TOPIC")]
    pub subject: String,
}

#[derive(Debug, Args)]
#[command(
    after_help = "It prints a script, which `source <(mainstay completion bash)` loads; in a file of your\n\
                  shell's completion folder it is there for good.\n\nExample:\n  mainstay completion bash"
)]
pub struct CompletionArguments {
    /// bash, zsh, fish, elvish or powershell
    #[arg(value_enum, value_name = "SHELL", hide_possible_values = true)]
    pub shell: Shell,
}

/// What a completion script asks: which names may follow these words.
#[derive(Debug, Args)]
pub struct CompleteWordsArguments {
    #[arg(last = true)]
    pub words: Vec<String>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  mainstay new service billing",
    subcommand_required = true,
    disable_help_subcommand = true
)]
pub struct NewArguments {
    #[command(subcommand)]
    pub command: NewCommand,
}

#[derive(Debug, Subcommand)]
pub enum NewCommand {
    /// A crate with a service type of your own, an agent that runs it, and its test
    Service(NewServiceArguments),
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  mainstay new service billing")]
pub struct NewServiceArguments {
    /// The type's name: small letters, digits and hyphens, a letter first
    #[arg(value_name = "NAME", value_parser = package_name)]
    pub name: String,
    /// Where it is written; else NAME-agent
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// The source of Mainstay that it is built against; else the one around you, or that of this program
    #[arg(long, value_name = "PATH")]
    pub mainstay: Option<PathBuf>,
}

/// A name that is one of a service type, of a crate and, in camel case, of a Rust type.
fn package_name(text: &str) -> Result<String, String> {
    let well_formed = text.starts_with(|first: char| first.is_ascii_lowercase())
        && !text.ends_with('-')
        && !text.contains("--")
        && text.len() <= 40
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    match well_formed {
        true => Ok(text.to_owned()),
        false => Err(
            "a name is small letters, digits and single hyphens, begins with a letter, and has at most 40 of them"
                .to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_no_crates_are_refused() {
        for good in ["billing", "rate-limiter", "x2"] {
            assert!(package_name(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "2x",
            "Billing",
            "a.b",
            "a--b",
            "a-",
            "-a",
            "ä",
            &"a".repeat(41),
        ] {
            assert!(package_name(bad).is_err(), "{bad}");
        }
    }
}
