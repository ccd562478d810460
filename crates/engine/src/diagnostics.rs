//! Diagnostics: the errors and warnings of tools as data.
//!
//! What a command printed is taken apart once, when it has run ([`entries`]), and recorded in pieces: an
//! entry for each diagnostic with the lines that belong to it, and entries for the text between. Records
//! name files as everywhere, by portable paths ([`paths`]); whoever shows them gets paths from where the
//! user is. [`Tally`] counts each diagnostic of a build once, however many units include the header that
//! it is about.

pub mod annotations;
mod ansi;
mod head;
mod paths;
pub mod sarif;
mod split;
mod tally;
mod unmade;

pub use self::{
    paths::{Naming, from_where},
    split::{Speaker, entries},
    tally::{DiagnosticCounts, Failure, FailureKind, Finding, Tally},
    unmade::{Unmade, unmade},
};

use larder_trace::Diagnostic;

/// Returns a diagnostic in one line, such as `src/a.c:3:5: unused variable ‘x’ [-Wunused-variable]`.
pub fn one_line(diagnostic: &Diagnostic) -> String {
    let mut line = String::new();
    let place = [diagnostic.line, diagnostic.column].into_iter().flatten();
    if let Some(file) = diagnostic.file.as_ref().or(diagnostic.object.as_ref()) {
        line += file;
        place.for_each(|number| line += &format!(":{number}"));
        line += ": ";
    }
    if let Some(function) = &diagnostic.function {
        line += &format!("in {function}: ");
    }
    line += &diagnostic.message;
    if let Some(option) = &diagnostic.option {
        line += &format!(" [{option}]");
    }
    line
}
