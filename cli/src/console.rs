//! Where output goes: data to stdout, talk to stderr. A reader that went away is not an error.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use crate::arguments::{Format, Global};
use crate::outcome::bug;
use crate::table::Table;
use mainstay_api::Problem;

/// The two streams of a command, with what the global flags say about them.
pub struct Console<'a> {
    data: &'a mut dyn Write,
    talk: &'a mut dyn Write,
    pub style: Style,
}

/// How a command speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    pub json: bool,
    pub colour: bool,
    pub volume: Volume,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Volume {
    /// Data and errors only.
    Quiet,
    Normal,
    Verbose,
}

impl Style {
    pub const PLAIN: Self = Self {
        json: false,
        colour: false,
        volume: Volume::Normal,
    };

    /// Colour only where a person looks: a terminal, and nobody said no.
    pub fn of(global: &Global) -> Self {
        let refused =
            global.no_color || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let volume = match (global.quiet, global.verbose) {
            (true, _) => Volume::Quiet,
            (false, true) => Volume::Verbose,
            (false, false) => Volume::Normal,
        };
        Self {
            json: global.output == Format::Json,
            colour: !refused && io::stdout().is_terminal(),
            volume,
        }
    }
}

impl<'a> Console<'a> {
    pub fn new(data: &'a mut dyn Write, talk: &'a mut dyn Write, style: Style) -> Self {
        Self { data, talk, style }
    }

    /// Text for stdout, as it is.
    pub fn data(&mut self, text: &str) -> Result<(), Problem> {
        written(
            self.data
                .write_all(text.as_bytes())
                .and_then(|()| self.data.flush()),
        )
    }

    /// One line of talk, unless quiet.
    pub fn say(&mut self, text: &str) {
        if self.style.volume >= Volume::Normal {
            self.complain(text);
        }
    }

    /// One line of talk for those who want to know more.
    pub fn detail(&mut self, text: &str) {
        if self.style.volume >= Volume::Verbose {
            self.complain(text);
        }
    }

    /// One line on stderr whatever the volume: errors.
    pub fn complain(&mut self, text: &str) {
        // Where stderr is gone there is nobody left to tell.
        let _ = writeln!(self.talk, "{text}").and_then(|()| self.talk.flush());
    }

    pub fn json<T: Serialize>(&mut self, value: &T) -> Result<(), Problem> {
        let mut text = serde_json::to_string_pretty(value)
            .map_err(|why| bug("write the answer as JSON", why))?;
        text.push('\n');
        self.data(&text)
    }

    /// One value on one line: for streams.
    pub fn json_line<T: Serialize>(&mut self, value: &T) -> Result<(), Problem> {
        let mut text =
            serde_json::to_string(value).map_err(|why| bug("write the answer as JSON", why))?;
        text.push('\n');
        self.data(&text)
    }

    /// A list: as JSON an array, as a table its rows; of no rows people are told so.
    pub fn list<T: Serialize>(
        &mut self,
        values: &[T],
        table: &Table,
        nothing: &str,
    ) -> Result<(), Problem> {
        if self.style.json {
            return self.json(&values);
        }
        if table.is_empty() {
            self.say(nothing);
            return Ok(());
        }
        let text = table.render(self.style.colour);
        self.data(&text)
    }
}

/// A pipe whose reader has seen enough (`| head`) ends the output, not the command's success.
fn written(result: io::Result<()>) -> Result<(), Problem> {
    match result {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(bug("write to standard output", error)),
    }
}
