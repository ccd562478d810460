//! Charts: inline SVG with a title, and the same numbers in a table behind it.

use larder_runs::{result::Outcome, run_log::Packages};
use maud::{Markup, html};

use super::{
    Frame,
    parts::{self, state_class, state_word},
};
use crate::model::overview::Point;

/// The size of a chart, in units of its own.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 160.0;

/// For how many columns there is room at least: a few would be as wide as blocks.
const FEW: usize = 12;

/// A column a run, made of how its packages ended.
pub fn runs(frame: &Frame<'_>, points: &[Point]) -> Markup {
    let most = points.iter().map(|point| point.packages.total).max().unwrap_or(0).max(1) as f64;
    let step = WIDTH / points.len().max(FEW) as f64;
    let title =
        format!("How packages ended in the last {}", parts::count(points.len(), "full run"));
    html! {
        figure.chart {
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(title)
                preserveAspectRatio="none" {
                title { (title) }
                @for (number, point) in points.iter().enumerate() {
                    (column(point, number as f64 * step, step, most))
                }
            }
            figcaption {
                ul.legend {
                    @for (state, _) in Packages::default().by_state() {
                        li { (parts::state(state)) }
                    }
                }
            }
        }
        details {
            summary { "The same as a table" }
            table {
                thead {
                    tr {
                        th scope="col" { "Run" }
                        @for (state, _) in Packages::default().by_state() {
                            th.number scope="col" { (state_word(state)) }
                        }
                        th.number scope="col" { "all" }
                    }
                }
                tbody {
                    @for point in points.iter().rev() {
                        tr {
                            th scope="row" { (parts::run(frame, point.run_id.as_str())) }
                            @for (_, packages) in point.packages.by_state() {
                                td.number { (packages) }
                            }
                            td.number { (point.packages.total) }
                        }
                    }
                }
            }
        }
    }
}

fn column(point: &Point, x: f64, step: f64, most: f64) -> Markup {
    let width = (step * 0.8).max(1.0);
    let mut top = HEIGHT;
    html! {
        @for (state, packages) in point.packages.by_state() {
            @if packages > 0 {
                @let height = packages as f64 / most * HEIGHT;
                @let y = { top -= height; top };
                rect class={ "fill " (state_class(state)) } x=(number(x + step * 0.1))
                    y=(number(y)) width=(number(width)) height=(number(height)) {
                    title { (point.run_id.as_str()) ": " (packages) " " (state_word(state)) }
                }
            }
        }
    }
}

/// How packages stand: a bar, and a list of the same numbers, which may lead on. Of the states, only "unknown" is
/// left out where it has none.
pub fn standing(
    label: &str,
    states: [(Option<Outcome>, u64); 5],
    address: impl Fn(Option<Outcome>) -> Option<String>,
) -> Markup {
    html! {
        (bar(label, &states))
        ul.tiles {
            @for (state, count) in states {
                @if count > 0 || state.is_some() {
                    @let tile = html! { strong { (count) } " " (parts::state(state)) };
                    li {
                        @match address(state) {
                            Some(address) => a href=(address) { (tile) },
                            None => (tile),
                        }
                    }
                }
            }
        }
    }
}

/// Parts beside each other, as wide as their numbers.
fn bar(label: &str, parts: &[(Option<Outcome>, u64)]) -> Markup {
    let all = parts.iter().map(|(_, count)| count).sum::<u64>().max(1) as f64;
    let mut x = 0.0;
    html! {
        svg.bar viewBox={ "0 0 " (WIDTH) " 16" } role="img" aria-label=(label)
            preserveAspectRatio="none" {
            title { (label) }
            @for (state, count) in parts {
                @if *count > 0 {
                    @let width = *count as f64 / all * WIDTH;
                    @let left = { x += width; x - width };
                    rect class={ "fill " (state_class(*state)) } x=(number(left)) y="0"
                        width=(number(width)) height="16" {
                        title { (count) " " (state_word(*state)) }
                    }
                }
            }
        }
    }
}

/// A number as SVG has it, with at most one digit after the point.
pub fn number(number: f64) -> String {
    format!("{:.1}", number)
}
