//! The order of libraries on a linker's command line.

use super::{Plan, TargetId};

/// Finds link orders, one after the other, with one list of targets that were seen.
pub(super) struct LinkOrder<'p> {
    plan: &'p Plan,
    /// By target: the last round that saw it.
    seen: Vec<u32>,
    round: u32,
}

impl<'p> LinkOrder<'p> {
    pub fn new(plan: &'p Plan) -> Self {
        Self { plan, seen: vec![0; plan.targets.len()], round: 0 }
    }

    /// Returns `direct` and all that these libraries need, each before those it needs itself.
    pub fn of(&mut self, direct: &[TargetId]) -> Vec<TargetId> {
        self.round += 1;
        let mut order = Vec::new();
        // Depth first without recursion: a chain may be as long as a manifest.
        let mut stack: Vec<(TargetId, bool)> = direct.iter().rev().map(|&id| (id, false)).collect();
        while let Some((id, leaving)) = stack.pop() {
            if leaving {
                order.push(id);
            } else if std::mem::replace(&mut self.seen[id.index()], self.round) != self.round {
                stack.push((id, true));
                let needs = self.plan.target(id).direct_libraries();
                stack.extend(needs.iter().rev().map(|&need| (need, false)));
            }
        }
        order.reverse();
        order
    }
}
