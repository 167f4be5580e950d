//! Where output goes: data to stdout, talk to stderr. A reader that went away is not an error.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use crate::arguments::{Format, Global};
use crate::outcome::{bug, machine};
use crate::shown::Shown;
use crate::table::{Look, Table};
use crate::yaml;
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
    pub format: Format,
    pub colour: bool,
    /// Somebody looks on: what is shown may be drawn over.
    pub terminal: bool,
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
        format: Format::Table,
        colour: false,
        terminal: false,
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
        let terminal = io::stdout().is_terminal();
        Self {
            format: global.output,
            colour: !refused && terminal,
            terminal,
            volume,
        }
    }

    /// It is for people, not for programs.
    pub fn is_text(self) -> bool {
        match self.format {
            Format::Table | Format::Wide => true,
            Format::Json | Format::Yaml | Format::Name => false,
        }
    }

    pub fn look(self) -> Look {
        Look {
            wide: self.format == Format::Wide,
            colour: self.colour,
        }
    }

    /// One answer as it is wanted: the value as data, the references in it, or text for people.
    pub fn render<T: Serialize + ?Sized>(
        self,
        value: &T,
        references: &[String],
        text: impl FnOnce(Look) -> String,
    ) -> Result<String, Problem> {
        match self.format {
            Format::Table | Format::Wide => Ok(text(self.look())),
            Format::Name => Ok(references.iter().map(|one| format!("{one}\n")).collect()),
            Format::Json => serde_json::to_string_pretty(value).map(|text| text + "\n"),
            Format::Yaml => yaml::text(value),
        }
        .map_err(|why| bug("write the answer", why))
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

    pub fn answer<T: Serialize + ?Sized>(
        &mut self,
        value: &T,
        references: &[String],
        text: impl FnOnce(Look) -> String,
    ) -> Result<(), Problem> {
        let text = self.style.render(value, references, text)?;
        self.data(&text)
    }

    /// What was done: as data for programs, as talk for people.
    pub fn done<T: Serialize>(
        &mut self,
        value: &T,
        references: &[String],
        text: &str,
    ) -> Result<(), Problem> {
        if self.style.is_text() {
            self.say(text);
            return Ok(());
        }
        self.answer(value, references, |_| String::new())
    }

    /// One of a stream of values: on one line, but for YAML, where each is a document.
    pub fn one_of_many<T: Serialize>(
        &mut self,
        value: &T,
        reference: &str,
        line: impl FnOnce() -> String,
    ) -> Result<(), Problem> {
        let text = match self.style.format {
            Format::Table | Format::Wide => Ok(line()),
            Format::Name => Ok(reference.to_owned()),
            Format::Json => serde_json::to_string(value),
            Format::Yaml => yaml::text(value).map(|text| format!("---\n{}", text.trim_end())),
        };
        let text = text.map_err(|why| bug("write the answer", why))?;
        self.data(&format!("{text}\n"))
    }

    /// The whole of an answer; of no rows people are told so.
    pub fn shown(&mut self, shown: &Shown) -> Result<(), Problem> {
        match shown.nothing.filter(|_| self.style.is_text()) {
            Some(nothing) => {
                self.say(nothing);
                Ok(())
            }
            None => self.data(&shown.whole),
        }
    }

    /// A list: an array, or a table's rows; of no rows people are told so.
    pub fn list<T: Serialize>(
        &mut self,
        values: &[T],
        reference: impl Fn(&T) -> String,
        table: &Table,
        nothing: &str,
    ) -> Result<(), Problem> {
        if self.style.is_text() && table.is_empty() {
            self.say(nothing);
            return Ok(());
        }
        let references: Vec<String> = values.iter().map(reference).collect();
        self.answer(values, &references, |look| table.render(look))
    }
}

/// A pipe whose reader has seen enough (`| head`) ends the output, not the command's success.
fn written(result: io::Result<()>) -> Result<(), Problem> {
    match result {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        // A disk that is full, a file that may not grow: whoever chose the output can mend it.
        Err(error) => Err(machine("write to standard output", error).to_do("df -h")),
    }
}
