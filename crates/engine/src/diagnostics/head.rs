//! What one line of a tool says: whether a diagnostic begins there, and what belongs to one.

use std::ops::Range;

use larder_trace::{Diagnostic, Level};

/// What a line is, by itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A diagnostic begins. Its file, if any, is named as it was printed.
    Diagnostic(Level, Diagnostic),
    /// More about the diagnostic before.
    Note,
    /// Says where the diagnostic is that follows, such as `In file included from`.
    Context(Context),
    /// Follows from the errors before, such as `collect2: error: ld returned 1 exit status`.
    Consequence,
    /// Counts what was said.
    Summary,
    /// Anything else.
    Other,
}

/// Where a linker is.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Context {
    /// The object file.
    pub object: Option<String>,
    /// The function in it.
    pub function: Option<String>,
}

/// A place in a file, as a line names it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Where the path stands in the line.
    pub path: Range<usize>,
    pub line: u32,
    pub column: Option<u32>,
    /// Where what follows begins.
    pub end: usize,
}

/// Returns the place that stands at `from` in a line: `PATH:LINE` or `PATH:LINE:COLUMN`, and no more of a word.
pub(super) fn place_at(line: &str, from: usize) -> Option<Place> {
    let number = |at: usize| {
        let digits = line[at..].bytes().take_while(u8::is_ascii_digit).count();
        let value: u32 = line[at..at + digits].parse().ok()?;
        Some((value, at + digits))
    };
    let ends = |at: usize| line[at..].is_empty() || line[at..].starts_with([':', ',', ')', ' ']);
    for (colon, _) in line[from..].match_indices(':') {
        let colon = from + colon;
        let Some((row, end)) = number(colon + 1).filter(|(_, end)| ends(*end)) else { continue };
        if !is_path(&line[from..colon]) {
            return None;
        }
        let column = line[end..].starts_with(':').then(|| number(end + 1)).flatten();
        let column = column.filter(|(_, end)| ends(*end));
        let end = column.map_or(end, |(_, end)| end);
        let column = column.map(|(column, _)| column);
        return Some(Place { path: from..colon, line: row, column, end });
    }
    None
}

/// Whether a text may be the path of a file. Compilers write such things as `<command-line>` in its place.
pub(super) fn is_path(text: &str) -> bool {
    let build = text.starts_with("<build>/");
    let like_one = text.contains(['/', '.']) || !text.contains(' ');
    !text.is_empty()
        && like_one
        && (build || !text.starts_with('<'))
        && !text.contains([':', '`', '\'', '"', '(', '\u{2018}'])
        && text.trim() == text
}

/// Returns where the rest begins in a line that a tool signs with its name: `/usr/bin/ld: …`. Whether
/// that is a linker comes with it.
pub(super) fn signed(line: &str) -> Option<(usize, bool)> {
    let (name, _) = line.split_once(": ")?;
    let base = name.rsplit('/').next().unwrap_or(name);
    let linker = ["ld", "mold", "collect2"].contains(&base)
        || ["ld.", "ld64."].iter().any(|start| base.starts_with(start))
        || base.ends_with("-ld")
        || base.contains("-ld.");
    let compiler = ["cc1", "clang", "gcc", "g++", "lto", "as", "cc", "c++"].iter().any(|tool| {
        let base = base.rsplit_once("-linux-gnu-").map_or(base, |(_, base)| base);
        base == *tool
            || base.strip_prefix(tool).is_some_and(|rest| rest.starts_with(['-', '+', '1']))
            || *tool == "cc1" && base.starts_with("cc1")
    });
    (linker || compiler).then(|| (name.len() + 2, linker))
}

/// How much what follows matters, as a word before it says.
enum Word {
    Level(Level),
    Note,
}

/// Splits the word that says how much it matters from the message after it.
fn word(text: &str) -> Option<(Word, &str)> {
    let text = text.trim_start();
    let (word, rest) = text.split_once(':')?;
    let word = word.split_once('[').map_or(word, |(word, _)| word);
    let word = match word {
        "error" | "Error" | "fatal error" | "Fatal error" | "internal compiler error" => {
            Word::Level(Level::Error)
        }
        "warning" | "Warning" => Word::Level(Level::Warning),
        "remark" => Word::Level(Level::Info),
        "note" | "Note" | "NOTE" => Word::Note,
        _ => return None,
    };
    (rest.is_empty() || rest.starts_with(' ')).then(|| (word, rest.trim()))
}

/// Returns what a line is. `failed` says that the command did: then a linker complains of what it says.
pub(super) fn classify(line: &str, failed: bool, context: &Context) -> Kind {
    if is_consequence(line) {
        return Kind::Consequence;
    }
    if is_summary(line) {
        return Kind::Summary;
    }
    if is_inclusion(line) {
        return Kind::Context(Context::default());
    }
    let (start, linker) = signed(line).unwrap_or((0, false));
    let rest = &line[start..];
    if let Some(kind) = of_file(line, start, context) {
        return kind;
    }
    if let Some((word, message)) = word(rest) {
        let object = message.split_once(": ").map(|(object, _)| object);
        let object = object.filter(|object| is_object(object)).map(str::to_owned);
        return said(word, message, Diagnostic { object, ..Diagnostic::default() });
    }
    if let Some((name, after)) = rest.split_once(": ") {
        if let Some(kind) = heading(name, after) {
            return kind;
        }
        if let Some((word, message)) = word(after) {
            return said(word, message, named(name));
        }
        let error = linker && (failed || complains(after));
        if error && is_object(name) {
            return said(Word::Level(Level::Error), after, named(name));
        }
    }
    if linker && (failed || complains(rest)) {
        return said(Word::Level(Level::Error), rest, Diagnostic::default());
    }
    match line.split_once(" warning: ") {
        Some((before, message)) if !before.is_empty() && !line.starts_with([' ', '\t']) => {
            said(Word::Level(Level::Warning), message, Diagnostic::default())
        }
        _ => Kind::Other,
    }
}

/// A line that begins with a place in a file, or with an object and a section or function of it.
fn of_file(line: &str, start: usize, context: &Context) -> Option<Kind> {
    if let Some(place) = place_at(line, start) {
        let rest = &line[place.end..];
        let rest = rest.strip_prefix(':').unwrap_or(rest);
        let diagnostic = Diagnostic {
            file: Some(line[place.path].to_owned()),
            line: Some(place.line),
            column: place.column,
            ..Diagnostic::default()
        };
        return match word(rest) {
            Some((word, message)) => Some(said(word, message, diagnostic)),
            None if complains(rest.trim_start()) => {
                let Context { object, function } = context.clone();
                let diagnostic = Diagnostic { object, function, ..diagnostic };
                Some(said(Word::Level(Level::Error), rest.trim(), diagnostic))
            }
            None if rest.starts_with("   ") => Some(Kind::Context(Context::default())),
            None => None,
        };
    }
    // GNU ld: `b.c:(.text+0x5): …`, where the file is a mere name.
    let rest = &line[start..];
    if let Some((name, after)) = rest.split_once(":(")
        && let Some((_, message)) = after.split_once("): ")
        && (is_path(name) || name.starts_with('<'))
    {
        let Context { object, function } = context.clone();
        let object = object.or_else(|| is_object(name).then(|| name.to_owned()));
        let diagnostic = Diagnostic { object, function, ..Diagnostic::default() };
        let (word, message) = word(message).unwrap_or((Word::Level(Level::Error), message));
        return Some(said(word, message, diagnostic));
    }
    // gold: `b.o:b.c:function main: error: …`.
    let (object, after) = rest.split_once(':').filter(|(object, _)| is_object(object))?;
    let (_, after) = after.split_once("function ")?;
    let (function, after) = after.split_once(": ")?;
    let (word, message) = word(after)?;
    let (object, function) = (Some(object.to_owned()), Some(function.to_owned()));
    Some(said(word, message, Diagnostic { object, function, ..Diagnostic::default() }))
}

/// `PATH: In function ‘f’:` and the like.
fn heading(name: &str, after: &str) -> Option<Kind> {
    if let Some(function) = after.strip_prefix("in function `") {
        let object = Some(name.to_owned());
        let function = Some(function.trim_end_matches([':', '\'']).to_owned());
        return Some(Kind::Context(Context { object, function }));
    }
    let heading = ["In ", "At "].iter().any(|start| after.starts_with(start));
    let assembler = after == "Assembler messages:";
    (assembler || heading && after.ends_with([':', ','])).then(|| Kind::Context(Context::default()))
}

/// Lines that say from where the file of the next diagnostic was read.
fn is_inclusion(line: &str) -> bool {
    let inner = line.trim_start();
    line.starts_with("In file included from ")
        || line.starts_with("In function ")
        || line.starts_with("In member function ")
        || inner.len() < line.len()
            && (inner.starts_with("from ") || inner.starts_with("inlined from "))
}

fn is_consequence(line: &str) -> bool {
    line == "compilation terminated."
        || line.ends_with("warnings being treated as errors")
        || line.starts_with("collect2: error: ld returned")
        || line.contains("error: linker command failed with exit code")
}

fn is_summary(line: &str) -> bool {
    line.ends_with(" generated.") && line.starts_with(|first: char| first.is_ascii_digit())
}

/// Whether this is what linkers say of errors without calling them that.
fn complains(text: &str) -> bool {
    [
        "undefined reference to ",
        "multiple definition of ",
        "more undefined references",
        "cannot find ",
    ]
    .iter()
    .any(|start| text.starts_with(start))
}

fn is_object(name: &str) -> bool {
    is_path(name) && [".o", ".a", ".so", ".obj"].iter().any(|end| name.ends_with(end))
}

/// A diagnostic of something that has a name only.
fn named(name: &str) -> Diagnostic {
    let name = Some(name.to_owned()).filter(|name| is_path(name) && name.contains(['/', '.']));
    match name.as_deref().is_some_and(is_object) {
        true => Diagnostic { object: name, ..Diagnostic::default() },
        false => Diagnostic { file: name, ..Diagnostic::default() },
    }
}

fn said(word: Word, message: &str, mut diagnostic: Diagnostic) -> Kind {
    let Word::Level(level) = word else { return Kind::Note };
    let (message, option) = without_option(message);
    diagnostic.message = message.to_owned();
    diagnostic.option = option;
    Kind::Diagnostic(level, diagnostic)
}

/// Splits off the option that decides whether a message is said: `… [-Wunused-variable]`.
fn without_option(message: &str) -> (&str, Option<String>) {
    let split = || {
        let (text, option) = message.strip_suffix(']')?.rsplit_once(" [")?;
        let option = option.rsplit(',').next().unwrap_or(option);
        let option =
            option.strip_prefix("-Werror=").map_or(option.to_owned(), |o| format!("-W{o}"));
        option.starts_with('-').then_some((text, Some(option)))
    };
    split().unwrap_or((message, None))
}
