//! Badges: how a package stands, for its own page elsewhere.

use larder_runs::{name::PackageName, result::Outcome};
use maud::{PreEscaped, html};
use serde_json::json;

use crate::{
    html::state_word,
    make,
    model::{NoPage, Result},
    site::View,
};

/// How a package of the set stands.
fn state(view: &View<'_>, package: &PackageName) -> Result<Option<Outcome>> {
    let status = view.snapshot.status.packages.get(package.as_str());
    let status = status.filter(|status| status.dropped_by.is_none());
    let missing = || NoPage::Missing(format!("the set has no {package}"));
    Ok(status.ok_or_else(missing)?.state)
}

/// The colour behind a state, dark enough for white text on it.
fn colour(state: Option<Outcome>) -> &'static str {
    match state {
        Some(Outcome::Worked) => "#0b6aa2",
        Some(Outcome::Failed) => "#b34700",
        Some(Outcome::Blocked) => "#8a6100",
        Some(Outcome::Unsolved) => "#8f4576",
        None => "#5c6670",
    }
}

/// How wide a text is at least, in pixels, by the widths of Verdana: the picture sets it to that.
fn width(text: &str) -> usize {
    let wide = |letter: char| match letter {
        'i' | 'l' => 3,
        'f' | 'j' | 'r' | 't' | '.' | ' ' => 4,
        'c' | 's' | 'z' | '-' | '_' => 6,
        'm' | 'w' | 'M' | 'W' => 10,
        'A'..='Z' => 8,
        _ => 7,
    };
    text.chars().map(wide).sum()
}

/// A picture.
///
/// # Errors
/// [`NoPage::Missing`] where the set has no such package.
pub fn svg(view: &View<'_>, package: &PackageName) -> Result<Vec<u8>> {
    let state = state(view, package)?;
    let word = state_word(state);
    let (left, right) = (width(package.as_str()) + 12, width(word) + 12);
    let label = format!("{package}: {word}");
    let text = |x: usize, of: &str| {
        html! { text x=(x) y="14" textLength=(width(of)) lengthAdjust="spacingAndGlyphs" { (of) } }
    };
    let picture = html! {
        svg xmlns="http://www.w3.org/2000/svg" width=(left + right) height="20" role="img" aria-label=(label) {
            title { (label) }
            rect width=(left) height="20" fill="#3a4048" {}
            rect x=(left) width=(right) height="20" fill=(colour(state)) {}
            g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" {
                (text(6, package.as_str()))
                (text(left + 6, word))
            }
        }
        (PreEscaped("\n"))
    };
    Ok(picture.into_string().into_bytes())
}

/// The same for shields.io, as its endpoint badges have it.
///
/// # Errors
/// As [`svg`].
pub fn shields(view: &View<'_>, package: &PackageName) -> Result<Vec<u8>> {
    let state = state(view, package)?;
    make::json(&json!({
        "schemaVersion": 1,
        "label": package.as_str(),
        "message": state_word(state),
        "color": colour(state).trim_start_matches('#'),
        "isError": state.is_some_and(|state| state != Outcome::Worked),
    }))
}
