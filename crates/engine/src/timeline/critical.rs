//! The chain of steps that decides how long a build takes, however many slots it has.

use std::{collections::HashMap, time::Duration};

use larder_project::path::RootPath;

use super::StepRun;
use crate::event::Status;

/// A step of the critical path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Critical {
    /// Its target and output.
    pub name: String,
    /// How it ended.
    pub status: Status,
    /// How long it took.
    pub took: Duration,
}

/// Returns the longest chain, first step first. Steps stand in the order in which they ended, so that those which
/// one needs come before it.
pub(super) fn path(steps: &[StepRun]) -> Vec<Critical> {
    let mut makers: HashMap<&RootPath, usize> = HashMap::new();
    // Of each step: how long the longest chain to its end is, and the step before it there.
    let mut chains: Vec<(Duration, Option<usize>)> = Vec::with_capacity(steps.len());
    for (number, step) in steps.iter().enumerate() {
        let needed = step.needs.iter().filter_map(|need| makers.get(need).copied());
        let before = needed.max_by_key(|&need| chains[need].0);
        let length = before.map_or(Duration::ZERO, |before| chains[before].0);
        chains.push((length + step.took, before));
        makers.extend(step.outputs.iter().map(|output| (output, number)));
    }
    let mut at = (0..steps.len()).max_by_key(|&number| chains[number].0);
    let mut path = Vec::new();
    while let Some(number) = at {
        let StepRun { name, status, took, .. } = &steps[number];
        path.push(Critical { name: name.clone(), status: *status, took: *took });
        at = chains[number].1;
    }
    path.reverse();
    path
}
