//! A timeline in Chrome's trace event format, which Perfetto and browsers show.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde_json::{Value, json};

use super::{Kind, Span};

/// Returns the events of a build that took so long. Where a lane has no span it waits, from its first span on; the
/// first lane from the beginning to the end.
pub fn trace_events(spans: &[Span], took: Duration) -> Value {
    let lanes: BTreeSet<usize> = spans.iter().map(|span| span.lane).collect();
    let names = lanes.iter().map(|&lane| {
        let name = if lane == 0 { "larder".to_owned() } else { format!("slot {lane}") };
        json!({ "ph": "M", "pid": 1, "tid": lane, "name": "thread_name", "args": { "name": name } })
    });
    let mut all: Vec<Span> = spans.to_vec();
    all.extend(waits(spans, took));
    // Of two that begin together the longer one comes first: it is around the other.
    all.sort_by_key(|span| (span.start, std::cmp::Reverse(span.took), span.lane));
    let micros = |time: Duration| time.as_nanos() as f64 / 1000.0;
    let spans = all.iter().map(|span| {
        json!({
            "ph": "X",
            "pid": 1,
            "tid": span.lane,
            "cat": span.kind,
            "name": span.name,
            "ts": micros(span.start),
            "dur": micros(span.took),
        })
    });
    json!({ "displayTimeUnit": "ms", "traceEvents": names.chain(spans).collect::<Vec<_>>() })
}

/// Returns the time between the spans of each lane.
fn waits(spans: &[Span], took: Duration) -> Vec<Span> {
    let mut by_lane: BTreeMap<usize, Vec<(Duration, Duration)>> = BTreeMap::new();
    for span in spans {
        by_lane.entry(span.lane).or_default().push((span.start, span.start + span.took));
    }
    let mut found = Vec::new();
    for (lane, mut busy) in by_lane {
        busy.sort();
        let mut at = if lane == 0 { Duration::ZERO } else { busy[0].0 };
        busy.push((took, took));
        for (start, end) in busy {
            if start > at {
                let name = "waiting".into();
                found.push(Span { lane, kind: Kind::Wait, name, start: at, took: start - at });
            }
            at = at.max(end);
        }
    }
    found
}
