//! Tables for people: aligned columns, cut to the terminal.

use std::io::{self, IsTerminal};

use crate::ui::Ui;

/// The meaning of a cell, shown by its colour.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Nothing.
    Plain,
    /// It works.
    Good,
    /// It does not.
    Bad,
    /// It matters less.
    Faint,
}

/// One cell.
pub struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// A cell with a tone. Control characters, which data from builds may hold, become spaces.
    pub fn new(text: impl AsRef<str>, tone: Tone) -> Cell {
        let printable = |c: char| if c.is_control() { ' ' } else { c };
        Cell { text: text.as_ref().chars().map(printable).collect(), tone }
    }

    /// A cell about whether something works.
    pub fn outcome(text: impl AsRef<str>, good: bool) -> Cell {
        Cell::new(text, if good { Tone::Good } else { Tone::Bad })
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Cell {
        Cell::new(text, Tone::Plain)
    }
}

/// A table under construction.
pub struct Table<const COLUMNS: usize> {
    heading: [&'static str; COLUMNS],
    rows: Vec<[Cell; COLUMNS]>,
}

impl<const COLUMNS: usize> Table<COLUMNS> {
    /// A table with these column headings.
    pub fn new(heading: [&'static str; COLUMNS]) -> Self {
        Table { heading, rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: [Cell; COLUMNS]) {
        self.rows.push(cells);
    }

    /// Prints it on standard output, or nothing when it has no rows. Lines are cut to the width of
    /// a terminal, so only the last column should be long.
    pub fn print(&self, ui: &Ui) {
        if self.rows.is_empty() {
            return;
        }
        let color = ui.color_of(io::stdout().is_terminal());
        for line in self.lines(color, terminal_width()) {
            ui.result(&line);
        }
    }

    fn lines(&self, color: bool, width: Option<usize>) -> Vec<String> {
        let mut widths = self.heading.map(|heading| heading.chars().count());
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.text.chars().count());
            }
        }
        let heading = self.heading.map(|heading| Cell::new(heading, Tone::Faint));
        // Columns without names need no line for them.
        let heading = Some(&heading).filter(|_| self.heading.iter().any(|name| !name.is_empty()));
        let rows = heading.into_iter().chain(&self.rows);
        rows.map(|row| line(row, &widths, color, width.unwrap_or(usize::MAX))).collect()
    }
}

fn line(row: &[Cell], widths: &[usize], color: bool, mut room: usize) -> String {
    let mut line = String::new();
    for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
        let text: String = cell.text.chars().take(room).collect();
        let taken = text.chars().count();
        room -= taken;
        line += &match cell.tone {
            Tone::Good if color => format!("\x1b[32m{text}\x1b[0m"),
            Tone::Bad if color => format!("\x1b[31m{text}\x1b[0m"),
            Tone::Faint if color => format!("\x1b[2m{text}\x1b[0m"),
            _ => text,
        };
        let gap = (width - taken.min(*width) + 2).min(room);
        if column + 1 < row.len() {
            line += &" ".repeat(gap);
            room -= gap;
        }
    }
    line.trim_end().to_owned()
}

fn terminal_width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    Some(usize::from(size.ws_col)).filter(|width| *width > 0)
}

/// Results as blocks, oldest first, of `+` for one that worked and `-` for one that did not.
pub fn sparkline(results: &str) -> String {
    results.chars().map(|result| if result == '+' { '█' } else { '▁' }).collect()
}

/// A number of seconds for people: `40 s`, `12 min`, `5 h`, `3 d`.
pub fn age(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// A number of bytes for people: `17 B`, `1.5 KiB`, `20.0 GiB`.
pub fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return if unit == "B" { format!("{bytes} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1024.0;
    }
    format!("{value:.1} TiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_cut() {
        let mut table = Table::new(["PACKAGE", "STATUS", "ERROR"]);
        table.row(["a.1".into(), Cell::outcome("success", true), "".into()]);
        let error = "Error: \u{1b}[2Junbound\nmodule";
        table.row(["a-longer-name.2".into(), Cell::outcome("failure", false), error.into()]);
        insta::assert_snapshot!(table.lines(false, Some(40)).join("\n"), @r"
        PACKAGE          STATUS   ERROR
        a.1              success
        a-longer-name.2  failure  Error:  [2Junb
        ");
        let colored = table.lines(true, None);
        assert!(colored[1].contains("\x1b[32msuccess\x1b[0m"));
    }

    #[test]
    fn amounts_for_people() {
        assert_eq!([age(0), age(119), age(120), age(90_000)], ["0 s", "119 s", "2 min", "25 h"]);
        assert_eq!([size(17), size(1536), size(20 << 30)], ["17 B", "1.5 KiB", "20.0 GiB"]);
        assert_eq!(sparkline("+-+"), "█▁█");
    }
}
