//! Tables for people: aligned columns, two spaces apart, nothing else.

use crate::text::one_line;

/// How a cell wants to be seen. Colour only repeats what the word already says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Plain,
    Good,
    /// Not as it should be, or on its way.
    Uneasy,
    Bad,
    Faint,
}

impl Tone {
    /// By the words of states, health and verdicts.
    pub fn of(word: &str) -> Self {
        match word {
            "Running" | "Online" | "ok" | "good" | "HEALTHY" | "Leader" | "leader" => Self::Good,
            "Degraded" | "degraded" | "Starting" | "Stopping" | "Pending" | "Backoff"
            | "Blocked" | "Suspect" | "DEGRADED" | "due" | "warn" | "Unresponsive"
            | "unresponsive" => Self::Uneasy,
            "Failed" | "failed" | "Quarantined" | "AgentDown" | "Isolated" | "Lost" | "DOWN"
            | "expired" | "fail" => Self::Bad,
            "Unknown" | "unknown" | "UNKNOWN" | "-" => Self::Faint,
            _ => Self::Plain,
        }
    }

    pub fn paint(self, text: &str, colour: bool) -> String {
        let number = match self {
            Self::Plain => return text.to_owned(),
            Self::Good => "32",
            Self::Uneasy => "33",
            Self::Bad => "31",
            Self::Faint => "2",
        };
        if colour {
            format!("\u{1b}[{number}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

#[derive(Debug, Clone)]
pub struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// Absence is a dash, so that columns can be counted.
    pub fn new(text: impl AsRef<str>) -> Self {
        let text = one_line(text.as_ref());
        let text = if text.is_empty() {
            "-".to_owned()
        } else {
            text
        };
        Self {
            text,
            tone: Tone::Plain,
        }
    }

    /// Coloured by what the word means.
    pub fn state(text: impl AsRef<str>) -> Self {
        let cell = Self::new(text);
        Self {
            tone: Tone::of(&cell.text),
            ..cell
        }
    }
}

#[derive(Debug)]
pub struct Table {
    headings: Vec<&'static str>,
    /// Columns that are shown only where all are wanted.
    wide_only: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

/// How much of a table is wanted, and how it may look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Look {
    pub wide: bool,
    pub colour: bool,
}

impl Table {
    pub fn new(headings: &[&'static str]) -> Self {
        Self {
            headings: headings.to_vec(),
            wide_only: Vec::new(),
            rows: Vec::new(),
        }
    }

    /// Leaves these columns to `-o wide`.
    #[must_use]
    pub fn wide_only(mut self, headings: &[&'static str]) -> Self {
        debug_assert!(headings.iter().all(|one| self.headings.contains(one)));
        self.wide_only = headings.to_vec();
        self
    }

    pub fn row(&mut self, cells: Vec<Cell>) {
        assert_eq!(
            cells.len(),
            self.headings.len(),
            "a row has a cell for each heading"
        );
        self.rows.push(cells);
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Every line ends with a newline; no line ends with a space.
    pub fn render(&self, look: Look) -> String {
        self.lines(look).concat()
    }

    /// With its reason cut where that is longer than a few lines.
    fn cut(&self, row: &[Cell]) -> Vec<Cell> {
        let cut = |(heading, cell): (&&str, &Cell)| {
            let end = cell.text.char_indices().nth(REASON_CHARS_MAX);
            let text = match end.filter(|_| *heading == REASON) {
                Some((end, _)) => format!("{} ..", &cell.text[..end]),
                None => cell.text.clone(),
            };
            Cell { text, ..*cell }
        };
        self.headings.iter().zip(row).map(cut).collect()
    }

    /// The headings and the rows, a line each.
    pub fn lines(&self, look: Look) -> Vec<String> {
        let rows: Vec<Vec<Cell>> = match look.wide {
            true => self.rows.clone(),
            false => self.rows.iter().map(|row| self.cut(row)).collect(),
        };
        let shown: Vec<usize> = (0..self.headings.len())
            .filter(|at| look.wide || !self.wide_only.contains(&self.headings[*at]))
            .collect();
        let headings: Vec<Cell> = self.headings.iter().map(Cell::new).collect();
        let width = |at: &usize| {
            let cells = rows.iter().chain([&headings]);
            let widths = cells.map(|row| row[*at].text.chars().count());
            widths.max().unwrap_or_default()
        };
        let widths: Vec<usize> = shown.iter().map(width).collect();
        let line = |row: &Vec<Cell>, colour| {
            let cells: Vec<&Cell> = shown.iter().map(|at| &row[*at]).collect();
            line(&cells, &widths, colour)
        };
        let mut lines = vec![line(&headings, false)];
        lines.extend(rows.iter().map(|row| line(row, look.colour)));
        lines
    }
}

/// Of a reason so much; `-o wide` and `why` have all of it.
const REASON_CHARS_MAX: usize = 200;
const REASON: &str = "REASON";

fn line(cells: &[&Cell], widths: &[usize], colour: bool) -> String {
    let mut out = String::new();
    let last = cells.len().saturating_sub(1);
    for (at, (cell, width)) in cells.iter().zip(widths).enumerate() {
        out.push_str(&cell.tone.paint(&cell.text, colour));
        if at < last {
            let gap = width - cell.text.chars().count() + 2;
            out.extend(std::iter::repeat_n(' ', gap));
        }
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Look = Look {
        wide: false,
        colour: false,
    };
    const COLOURED: Look = Look {
        wide: false,
        colour: true,
    };

    fn sample() -> Table {
        let mut table = Table::new(&["REF", "STATE", "REASON"]);
        table.row(vec![
            Cell::new("greeter@n1"),
            Cell::state("Running"),
            Cell::new(""),
        ]);
        table.row(vec![
            Cell::new("f@n2"),
            Cell::state("Failed"),
            Cell::new("panic \"ä\"\nat x"),
        ]);
        table
    }

    #[test]
    fn columns_are_aligned_and_absence_is_a_dash() {
        assert_eq!(
            sample().render(PLAIN),
            "REF         STATE    REASON\n\
             greeter@n1  Running  -\n\
             f@n2        Failed   panic \"ä\" / at x\n"
        );
    }

    #[test]
    fn a_very_long_reason_is_cut_in_the_narrow_table_alone() {
        let mut table = Table::new(&["REF", "REASON"]);
        table.row(vec![Cell::new("web"), Cell::new("ä".repeat(999))]);
        let cut = format!("REF  REASON\nweb  {} ..\n", "ä".repeat(REASON_CHARS_MAX));
        assert_eq!(table.render(PLAIN), cut);
        let wide = Look {
            wide: true,
            ..PLAIN
        };
        assert!(table.render(wide).contains(&"ä".repeat(999)));
    }

    #[test]
    fn colour_does_not_move_a_column() {
        let plain: String = sample().render(COLOURED);
        let mut stripped = plain.replace("\u{1b}[0m", "");
        for number in ["32", "33", "31", "2"] {
            stripped = stripped.replace(&format!("\u{1b}[{number}m"), "");
        }
        assert_eq!(stripped, sample().render(PLAIN));
        assert_ne!(plain, stripped);
    }

    #[test]
    fn columns_of_the_wide_table_are_left_out_of_the_narrow_one() {
        let table = sample().wide_only(&["STATE"]);
        assert_eq!(
            table.render(PLAIN),
            "REF         REASON\ngreeter@n1  -\nf@n2        panic \"ä\" / at x\n"
        );
        let wide = Look {
            wide: true,
            ..PLAIN
        };
        assert_eq!(table.render(wide), sample().render(PLAIN));
    }
}
