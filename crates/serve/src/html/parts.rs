//! Parts that pages have in common.

use larder_runs::{name::RunId, result::Outcome, sanitise};
use maud::{Markup, html};

use super::Frame;
use crate::site::{Document, Filter, Page};

/// A line of text from outside, fit to be shown.
pub fn text(text: impl AsRef<[u8]>) -> String {
    sanitise::line(text)
}

/// The word for a state.
pub fn state_word(state: Option<Outcome>) -> &'static str {
    match state {
        Some(Outcome::Worked) => "works",
        Some(Outcome::Failed) => "fails",
        Some(Outcome::Blocked) => "blocked",
        Some(Outcome::Unsolved) => "no solution",
        None => "unknown",
    }
}

/// The class that gives a state its colour.
pub fn state_class(state: Option<Outcome>) -> &'static str {
    state.map_or("unknown", Outcome::name)
}

/// A state in a word, with a sign of its own colour and shape.
pub fn state(state: Option<Outcome>) -> Markup {
    let sign = match state {
        Some(Outcome::Worked) => "●",
        Some(Outcome::Failed) => "✖",
        Some(Outcome::Blocked) => "▲",
        Some(Outcome::Unsolved) => "◆",
        None => "○",
    };
    html! {
        span class={ "state " (state_class(state)) } {
            span aria-hidden="true" { (sign) } " " (state_word(state))
        }
    }
}

/// A link to a package by its name.
pub fn package(frame: &Frame<'_>, name: &str) -> Markup {
    match name.parse() {
        Ok(package) => html! { a href=(frame.links.page(Page::Package(package))) { (name) } },
        Err(_) => html! { (text(name)) },
    }
}

/// Links to packages, of which so many are shown.
pub fn package_list(frame: &Frame<'_>, names: &[String], most: usize) -> Markup {
    html! {
        @for (number, name) in names.iter().take(most).enumerate() {
            @if number > 0 { ", " }
            (package(frame, name))
        }
        @if names.len() > most { " and " (names.len() - most) " more" }
    }
}

/// A link to a run by its id.
pub fn run(frame: &Frame<'_>, id: &str) -> Markup {
    match id.parse() {
        Ok(run) if frame.has_run(id) => {
            html! { a href=(frame.links.page(Page::Run(run, Filter::default()))) { (id) } }
        }
        _ => html! { (text(id)) },
    }
}

/// The address of the page that compares two runs; `None` where there is none.
pub fn compared(frame: &Frame<'_>, base: &RunId, candidate: &RunId) -> Option<String> {
    let kept = [base, candidate].iter().all(|run| frame.has_run(run.as_str()));
    let page = || Page::Compare(base.clone(), candidate.clone(), Filter::default());
    kept.then(|| frame.links.to(&Document::Html(page())))?
}

/// A link to a log, or nothing where there is none.
pub fn log(frame: &Frame<'_>, run: &str, path: &str, line: Option<u64>) -> Option<Markup> {
    let address = frame.links.log(run, path).filter(|_| frame.has_run(run))?;
    let anchor = line.map_or(String::new(), |line| format!("#L{line}"));
    Some(html! { a href={ (address) (anchor) } { "log" } })
}

/// A moment, as RFC 3339 in UTC has it: to the minute.
pub fn time(moment: &str) -> Markup {
    let shown: String = moment.chars().take(16).collect();
    html! { time datetime=(moment) { (shown.replace('T', " ")) } }
}

/// A duration in seconds, as people say it.
pub fn seconds(seconds: u64) -> String {
    let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds} s"),
        (0, _) => format!("{minutes} min {} s", seconds % 60),
        _ => format!("{hours} h {minutes} min"),
    }
}

/// A duration in milliseconds, as people say it.
pub fn milliseconds(milliseconds: u64) -> String {
    match milliseconds {
        0..10_000 => format!("{}.{:02} s", milliseconds / 1_000, milliseconds % 1_000 / 10),
        _ => seconds(milliseconds / 1_000),
    }
}

/// A size in bytes, as people say it.
pub fn bytes(bytes: u64) -> String {
    let mut size = bytes as f64;
    for unit in ["bytes", "KiB", "MiB", "GiB"] {
        if size < 1_024.0 {
            let digits = usize::from(unit != "bytes");
            return format!("{size:.digits$} {unit}");
        }
        size /= 1_024.0;
    }
    format!("{size:.1} TiB")
}

/// A count with its word.
pub fn count(number: usize, word: &str) -> String {
    match number {
        1 => format!("1 {word}"),
        _ if word.ends_with('h') || word.ends_with('s') => format!("{number} {word}es"),
        _ if word.ends_with('y') => format!("{number} {}ies", &word[..word.len() - 1]),
        _ => format!("{number} {word}s"),
    }
}

/// The last results of a package, oldest first, as small signs.
pub fn recent(recent: &str) -> Markup {
    let worked = recent.matches('+').count();
    let words = format!("{worked} of the last {} worked", recent.chars().count());
    html! {
        @if !recent.is_empty() {
            span.recent role="img" aria-label=(words) title=(words) {
                @for sign in recent.chars() {
                    span class=(if sign == '+' { "worked" } else { "failed" }) {
                        (if sign == '+' { "▮" } else { "▯" })
                    }
                }
            }
        }
    }
}
