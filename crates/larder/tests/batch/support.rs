//! What tests look for in a run on a set.

use larder_testkit::run::Run;
pub use larder_testkit::set::{Package, Set};
use serde_json::Value;

/// Checks that the lines `[n/m]` of a run count up, and never beyond all that there is to do.
pub fn counts_up(run: &Run) {
    let counts = run.stderr.lines().filter_map(|line| {
        let (over, tasks) = line.strip_prefix('[')?.split_once("] ")?.0.split_once('/')?;
        Some((over.parse::<usize>().unwrap(), tasks.parse::<usize>().unwrap()))
    });
    let counts: Vec<(usize, usize)> = counts.collect();
    assert!(!counts.is_empty(), "{run:?}");
    assert!(counts.windows(2).all(|two| two[0].0 < two[1].0 && two[0].1 == two[1].1), "{run:?}");
    assert!(counts.iter().all(|(over, tasks)| over <= tasks), "{run:?}");
}

/// The events of a kind.
pub fn of_kind(events: &[Value], kind: &str) -> Vec<Value> {
    events.iter().filter(|event| event["event"] == kind).cloned().collect()
}
