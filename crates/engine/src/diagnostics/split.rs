//! Taking apart what a command printed.

use larder_trace::{Diagnostic, Level, LogEntry};

use super::{
    ansi,
    head::{Context, Kind, classify, place_at},
    paths::Naming,
};

/// So many diagnostics of one command are told apart. What comes after them is one text.
const MOST: usize = 2000;

/// Who speaks, which decides what belongs to a diagnostic besides what says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaker {
    /// A compiler, archiver or linker: all that follows a diagnostic is about it.
    Tool,
    /// Any other command, which may say something else next.
    Command,
}

/// Takes apart what a command printed: an entry for each diagnostic, with the lines that belong to it, and one for
/// each text between. Files are named as records name them.
pub fn entries(printed: &str, failed: bool, speaker: Speaker, naming: Naming<'_>) -> Vec<LogEntry> {
    let mut splitter = Splitter {
        naming,
        speaker,
        done: Vec::new(),
        open: None,
        before: Vec::new(),
        context: Context::default(),
        text: String::new(),
    };
    let mut lines = printed.trim_end().lines().peekable();
    // A command may print millions of lines: none is kept beside the text that it becomes a part of.
    while splitter.done.len() + 1 < MOST
        && let Some(line) = lines.next()
    {
        let coloured = ansi::only_colours(line);
        let next = lines.peek().copied().unwrap_or_default();
        splitter.line(&coloured, &ansi::plain(&coloured), next, failed);
    }
    splitter.close();
    let mut done = splitter.done;
    if lines.peek().is_some() {
        let mut rest = String::new();
        let mut warns = false;
        for line in lines {
            warns |= ansi::plain(line).contains("warning: ");
            append(&mut rest, &ansi::only_colours(line));
        }
        let level = if warns { Level::Warning } else { Level::Info };
        done.push(LogEntry::text(level, rest));
    }
    if failed && !done.iter().any(|entry| entry.level == Level::Error) {
        // Whatever it said, it said why it failed.
        done.iter_mut()
            .filter(|entry| entry.diagnostic.is_none())
            .for_each(|entry| entry.level = Level::Error);
    }
    done
}

/// A diagnostic that may go on.
struct Open {
    level: Level,
    diagnostic: Diagnostic,
    lines: Vec<String>,
}

struct Splitter<'n> {
    naming: Naming<'n>,
    speaker: Speaker,
    done: Vec<LogEntry>,
    open: Option<Open>,
    /// Lines that belong to the diagnostic to come: as recorded, and as printed.
    before: Vec<(String, String)>,
    context: Context,
    /// Lines that belong to none.
    text: String,
}

impl Splitter<'_> {
    fn line(&mut self, coloured: &str, plain: &str, next: &str, failed: bool) {
        let recorded = || self.naming.record_line(coloured, plain);
        match classify(plain, failed, &self.context) {
            Kind::Diagnostic(level, diagnostic) => {
                let recorded = recorded();
                self.end_open();
                self.end_text();
                let mut lines = self.take_before();
                lines.push(recorded);
                self.open = Some(Open { level, diagnostic, lines });
            }
            Kind::Context(context) => {
                let recorded = recorded();
                if context != Context::default() {
                    self.context = context;
                }
                self.before.push((recorded, coloured.to_owned()));
            }
            Kind::Note | Kind::Consequence if self.open.is_some() => {
                let recorded = recorded();
                let before = self.take_before();
                self.go_on(before.into_iter().chain([recorded]));
            }
            Kind::Consequence => {
                let message = plain.to_owned();
                let diagnostic = Diagnostic { message, ..Diagnostic::default() };
                self.end_text();
                let mut lines = self.take_before();
                lines.push(coloured.to_owned());
                self.open = Some(Open { level: Level::Error, diagnostic, lines });
            }
            Kind::Other if self.before.is_empty() && self.belongs(plain, next) => {
                let recorded = recorded();
                if let Some(open) = &mut self.open {
                    detail(&mut open.diagnostic, plain);
                }
                self.go_on([recorded]);
            }
            Kind::Summary => {
                // Counted here, too, and each diagnostic once. Whoever wants to see everything sees it.
                self.end_open();
                self.before_is_text();
                self.end_text();
                self.done.push(LogEntry::text(Level::Trace, coloured));
            }
            Kind::Other | Kind::Note => {
                self.end_open();
                self.before_is_text();
                append(&mut self.text, coloured);
            }
        }
    }

    /// Whether a line that says nothing of itself belongs to the open diagnostic.
    fn belongs(&self, plain: &str, next: &str) -> bool {
        let Some(_) = &self.open else { return false };
        let marks = |line: &str| {
            let line = ansi::plain(line);
            let marks = line.trim_start();
            marks.len() < line.len() && marks.starts_with(['^', '~'])
        };
        self.speaker == Speaker::Tool
            || plain.starts_with([' ', '\t', '|', '^'])
            || plain.starts_with(">>>")
            || marks(next)
    }

    fn go_on(&mut self, lines: impl IntoIterator<Item = String>) {
        if let Some(open) = &mut self.open {
            open.lines.extend(lines);
        }
    }

    fn take_before(&mut self) -> Vec<String> {
        self.before.drain(..).map(|(recorded, _)| recorded).collect()
    }

    fn end_open(&mut self) {
        let Some(Open { level, mut diagnostic, lines }) = self.open.take() else { return };
        let naming = &self.naming;
        let named = |name: Option<String>| naming.recorded(&name?);
        if diagnostic.file.is_some() {
            diagnostic.file = named(diagnostic.file.take());
            if diagnostic.file.is_none() {
                (diagnostic.line, diagnostic.column) = (None, None);
            }
        }
        diagnostic.object = named(diagnostic.object.take());
        let message = lines.join("\n").trim_end().to_owned();
        self.done.push(LogEntry { level, message, diagnostic: Some(Box::new(diagnostic)) });
    }

    fn end_text(&mut self) {
        let text = std::mem::take(&mut self.text);
        let text = text.trim_end();
        if !text.is_empty() {
            self.done.push(LogEntry::text(Level::Info, text));
        }
    }

    fn close(&mut self) {
        self.end_open();
        self.before_is_text();
        self.end_text();
    }

    fn before_is_text(&mut self) {
        for (_, printed) in self.before.drain(..) {
            append(&mut self.text, &printed);
        }
    }
}

/// Adds a line to a text.
fn append(text: &mut String, line: &str) {
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(line);
}

/// Takes the place of a diagnostic from a line after it, where its first line says none: `>>> referenced by b.c:2`
/// and `>>> b.o:(main)` of lld, ` --> src/main.rs:2:9` of rustc.
fn detail(diagnostic: &mut Diagnostic, line: &str) {
    let inner = line.trim_start();
    if let Some(place) = inner.strip_prefix("--> ").or(inner.strip_prefix(">>> referenced by ")) {
        if diagnostic.file.is_none()
            && let Some(short) = place_at(place, 0)
        {
            let whole = place[short.end..].starts_with(" (").then_some(short.end + 2);
            let found = whole.and_then(|at| place_at(place, at)).unwrap_or(short);
            diagnostic.file = Some(place[found.path].to_owned());
            (diagnostic.line, diagnostic.column) = (Some(found.line), found.column);
        }
    } else if let Some((object, function)) =
        inner.strip_prefix(">>>").and_then(|inner| inner.trim_start().split_once(":("))
        && diagnostic.object.is_none()
    {
        diagnostic.object = Some(object.to_owned());
        diagnostic.function = Some(function.trim_end_matches(')').to_owned());
    }
}

#[cfg(test)]
#[path = "split_tests.rs"]
mod tests;
