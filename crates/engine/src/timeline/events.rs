//! A timeline in Chrome's trace event format, which Perfetto and browsers show.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};

use super::Span;
use crate::pool::{Lane, Slot};

/// Returns the events of a build: a track for the build as a whole, one for each slot that was used.
pub fn trace_events(spans: &[Span]) -> Value {
    let tracks: BTreeSet<Option<Slot>> = spans.iter().map(|span| span.slot).collect();
    let names = tracks.iter().flat_map(|track| {
        let named = |kind: &str, key: &str, value: Value| {
            let arguments = json!({ key: value });
            json!({ "ph": "M", "pid": 1, "tid": number(*track), "name": kind, "args": arguments })
        };
        [
            named("thread_name", "name", name(*track).into()),
            named("thread_sort_index", "sort_index", number(*track).into()),
        ]
    });
    let mut all: Vec<&Span> = spans.iter().collect();
    // Of two that begin together the longer one comes first: it is around the other.
    all.sort_by_key(|span| (span.start, std::cmp::Reverse(span.took), span.slot));
    let micros = |time: Duration| time.as_nanos() as f64 / 1000.0;
    let spans = all.iter().map(|span| {
        json!({
            "ph": "X",
            "pid": 1,
            "tid": number(span.slot),
            "cat": span.kind,
            "name": span.name,
            "ts": micros(span.start),
            "dur": micros(span.took),
        })
    });
    json!({ "displayTimeUnit": "ms", "traceEvents": names.chain(spans).collect::<Vec<_>>() })
}

/// The number of a track: the build's is the first, and the slots of a lane stand together.
fn number(track: Option<Slot>) -> usize {
    let first = |lane| match lane {
        Lane::Local => 1,
        Lane::Fetch => 10_000,
        Lane::Remote => 20_000,
    };
    track.map_or(0, |slot| first(slot.lane) + slot.number)
}

fn name(track: Option<Slot>) -> String {
    let Some(Slot { lane, number }) = track else { return "larder".to_owned() };
    let lane = match lane {
        Lane::Local => "slot",
        Lane::Fetch => "fetch",
        Lane::Remote => "remote",
    };
    format!("{lane} {}", number + 1)
}
