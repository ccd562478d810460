//! Reports in Markdown, as GitHub shows it.
//!
//! Errors and logs are written by others. They come as text of HTML with nothing in it that means something to either
//! Markdown or HTML: no link, no mention, no image.

use std::fmt::Write;

use larder_runs::sanitise;

use super::{Report, Section};

/// How many rows a table has at most: GitHub takes no more than 1 MiB.
const ROWS: usize = 200;

/// How many texts a section has at most.
const TEXTS: usize = 20;

/// Renders a report.
pub fn render(report: &Report) -> String {
    let mut page = String::new();
    // Writing to a text does not fail.
    _ = writeln!(page, "# {}\n\n{}\n", plain(&report.title), plain(&report.outcome));
    let facts = report.facts.iter().map(|(name, fact)| vec![name.clone(), fact.clone()]);
    table(&mut page, &["", ""], &facts.collect::<Vec<_>>());
    for section in &report.sections {
        render_section(&mut page, section);
    }
    page
}

fn render_section(page: &mut String, section: &Section) {
    _ = writeln!(page, "## {}\n", plain(&section.heading));
    table(page, &section.columns, &section.rows);
    for (name, text) in section.texts.iter().take(TEXTS) {
        _ = writeln!(
            page,
            "<details><summary>{}</summary>\n\n<pre>{}</pre>\n\n</details>\n",
            plain(name),
            preformatted(text)
        );
    }
}

fn table(page: &mut String, columns: &[&str], rows: &[Vec<String>]) {
    if rows.is_empty() {
        return;
    }
    _ = writeln!(page, "| {} |\n|{}", columns.join(" | "), "---|".repeat(columns.len()));
    for row in rows.iter().take(ROWS) {
        let cells: Vec<String> = row.iter().map(|cell| plain(cell)).collect();
        _ = writeln!(page, "| {} |", cells.join(" | "));
    }
    if rows.len() > ROWS {
        _ = writeln!(page, "\n… and {} more", rows.len() - ROWS);
    }
    page.push('\n');
}

/// A text as one line that says nothing else.
fn plain(text: &str) -> String {
    escaped(&sanitise::line(text))
}

/// A text whose lines stay.
fn preformatted(text: &str) -> String {
    escaped(sanitise::text(text).trim_end())
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' | '<' | '>' | '|' | '*' | '`' | '[' | ']' | '\\' | '~' | '@' | '#' | '!' | '"'
            | '$' => _ = write!(safe, "&#{};", u32::from(c)),
            c => safe.push(c),
        }
    }
    // Addresses would become links.
    safe.replace("://", "&#58;//").replace("www.", "www&#46;")
}
