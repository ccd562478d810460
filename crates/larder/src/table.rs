//! Tables for people: aligned columns, fitted to the terminal.

use std::io::{self, IsTerminal};

use larder_runs::sanitise;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

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
    /// A cell with a tone. The text is made fit to show: data from builds may hold anything.
    pub fn new(text: impl AsRef<str>, tone: Tone) -> Cell {
        Cell { text: sanitise::line(text.as_ref()), tone }
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
    /// The columns that may go where there is no room, the first to go first.
    spare: Vec<usize>,
}

/// The space between columns.
const GAP: usize = 2;

/// How narrow a long column may become before another one is left out.
const NARROW: usize = 12;

impl<const COLUMNS: usize> Table<COLUMNS> {
    /// A table with these column headings. Its first column is the most important one: it is never left out.
    pub fn new(heading: [&'static str; COLUMNS]) -> Self {
        Table { heading, rows: Vec::new(), spare: Vec::new() }
    }

    /// Names the columns that are left out where there is no room, the first to go first.
    pub fn spare(mut self, headings: &[&str]) -> Self {
        let column = |name: &&str| self.heading.iter().position(|heading| heading == name);
        self.spare = headings.iter().filter_map(column).collect();
        self
    }

    /// Adds a row.
    pub fn row(&mut self, cells: [Cell; COLUMNS]) {
        self.rows.push(cells);
    }

    /// Whether it has no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Prints it on standard output, or nothing when it has no rows. On a terminal, or where `COLUMNS` says
    /// how wide it is, long texts are cut and columns left out so that lines fit.
    pub fn print(&self, ui: &Ui) {
        if self.rows.is_empty() {
            return;
        }
        let color = ui.color_of(io::stdout().is_terminal());
        for line in self.lines(color, width(ui)) {
            ui.result(&line);
        }
    }

    fn lines(&self, color: bool, width: Option<usize>) -> Vec<String> {
        let widths = self.fitted(width.unwrap_or(usize::MAX));
        let heading = self.heading.map(|heading| Cell::new(heading, Tone::Faint));
        // Columns without names need no line for them.
        let heading = Some(&heading).filter(|_| self.heading.iter().any(|name| !name.is_empty()));
        let rows = heading.into_iter().chain(&self.rows);
        rows.map(|row| line(row, &widths, color)).collect()
    }

    /// How wide each column is shown; `None` for those that are left out.
    fn fitted(&self, room: usize) -> [Option<usize>; COLUMNS] {
        let mut widths = self.heading.map(|heading| Some(heading.width()));
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(Some(cell.text.width()));
            }
        }
        let total = |widths: &[Option<usize>; COLUMNS]| {
            let shown = widths.iter().flatten().filter(|width| **width > 0);
            shown.map(|width| width + GAP).sum::<usize>().saturating_sub(GAP)
        };
        // Columns go until the rest fits, the last one cut.
        for spare in &self.spare {
            let others = widths.last().copied().flatten().unwrap_or(0);
            if total(&widths) - others + others.min(NARROW) <= room {
                break;
            }
            if let Some(width) = widths.get_mut(*spare) {
                *width = None;
            }
        }
        // Then long columns are cut: the last first, the first one only where nothing else helps.
        let last = COLUMNS.saturating_sub(1);
        let others = || (1..COLUMNS).rev();
        let narrower = others().map(|column| (column, NARROW)).chain([(last, 1), (0, NARROW)]);
        for (column, least) in narrower.chain(others().map(|column| (column, 1))).chain([(0, 1)]) {
            let over = total(&widths).saturating_sub(room);
            if let Some(Some(width)) = widths.get_mut(column) {
                *width = width.saturating_sub(over).max((*width).min(least));
            }
        }
        widths
    }
}

fn line(row: &[Cell], widths: &[Option<usize>], color: bool) -> String {
    let shown: Vec<(&Cell, usize)> = row
        .iter()
        .zip(widths)
        .filter_map(|(cell, width)| Some((cell, (*width)?)))
        .filter(|(_, width)| *width > 0)
        .collect();
    let mut line = String::new();
    for (column, (cell, width)) in shown.iter().enumerate() {
        let text = cut(&cell.text, *width);
        let taken = text.width();
        line += &match cell.tone {
            _ if !color || text.is_empty() => text,
            Tone::Good => format!("\x1b[32m{text}\x1b[0m"),
            Tone::Bad => format!("\x1b[31m{text}\x1b[0m"),
            Tone::Faint => format!("\x1b[2m{text}\x1b[0m"),
            Tone::Plain => text,
        };
        if column + 1 < shown.len() {
            line += &" ".repeat(width - taken + GAP);
        }
    }
    line.trim_end().to_owned()
}

/// A text in no more than `width` columns of a terminal.
fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut cut = String::new();
    let mut room = width.saturating_sub(1);
    for c in text.chars() {
        let taken = c.width().unwrap_or(0);
        if taken > room {
            break;
        }
        room -= taken;
        cut.push(c);
    }
    cut.push('…');
    cut
}

/// How wide lines may be: as the terminal is, or as `COLUMNS` says; `None` where nobody cares.
fn width(ui: &Ui) -> Option<usize> {
    let terminal = || {
        let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
        Some(usize::from(size.ws_col))
    };
    terminal().filter(|width| *width > 0).or(ui.columns).filter(|width| *width > 0)
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

    fn table() -> Table<4> {
        let mut table = Table::new(["PACKAGE", "STATUS", "FOR", "ERROR"]).spare(&["FOR"]);
        table.row(["a.1".into(), Cell::outcome("success", true), "".into(), "".into()]);
        let error = "Error: \u{1b}[2Junbound\nmodule";
        let name = "a-longer-name.2";
        table.row([name.into(), Cell::outcome("failure", false), "12 d".into(), error.into()]);
        table.row(["日本語.1".into(), "é".into(), "1 s".into(), "幅の広い文字の並び".into()]);
        table
    }

    #[test]
    fn columns_are_aligned_whatever_their_width() {
        insta::assert_snapshot!(table().lines(false, None).join("\n"), @r"
        PACKAGE          STATUS   FOR   ERROR
        a.1              success
        a-longer-name.2  failure  12 d  Error: unbound module
        日本語.1         é        1 s   幅の広い文字の並び
        ");
        let colored = table().lines(true, None);
        assert!(colored[1].contains("\x1b[32msuccess\x1b[0m"));
    }

    #[test]
    fn lines_fit_and_keep_the_first_column() {
        insta::assert_snapshot!(table().lines(false, Some(40)).join("\n"), @r"
        PACKAGE          STATUS   ERROR
        a.1              success
        a-longer-name.2  failure  Error: unboun…
        日本語.1         é        幅の広い文字…
        ");
        for width in 1..80 {
            for line in table().lines(false, Some(width)) {
                // One character of each of three columns, and what is between them.
                assert!(line.width() <= width.max(7), "{width}: {line}");
            }
            let first = table().lines(false, Some(width)).swap_remove(2);
            assert!(width < 32 || first.starts_with("a-longer-nam"), "{width}: {first}");
        }
    }

    #[test]
    fn amounts_for_people() {
        assert_eq!([age(0), age(119), age(120), age(90_000)], ["0 s", "119 s", "2 min", "25 h"]);
        assert_eq!([size(17), size(1536), size(20 << 30)], ["17 B", "1.5 KiB", "20.0 GiB"]);
        assert_eq!(sparkline("+-+"), "█▁█");
    }
}
