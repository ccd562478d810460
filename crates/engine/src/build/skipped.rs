//! Targets that were not tried.

use std::time::Duration;

use larder_project::{
    path::BuildPath,
    plan::{Plan, TargetId},
};

use crate::{
    context::{Context, Mode},
    event::{Ended, Status, StepName},
    reason::Reason,
};

/// Returns how many targets were left alone only because others had failed: neither they nor what they need did.
pub(super) fn count_untried(
    plan: &Plan,
    order: &[TargetId],
    failed: &[bool],
    cx: &Context,
) -> usize {
    if cx.options.mode != Mode::Build || cx.options.keep_going {
        return 0;
    }
    let mut blocked = vec![false; failed.len()];
    let mut untried = 0;
    // Needs come first.
    for &id in order.iter().filter(|id| failed[id.index()]) {
        let target = plan.target(id);
        let needs = || target.needs().into_iter().any(|need| blocked[need.index()]);
        blocked[id.index()] = cx.has_failed(&target.label) || needs();
        untried += usize::from(!blocked[id.index()]);
    }
    untried
}

/// Names the targets that were not tried because something they need failed or is out of date.
pub(super) fn tell(plan: &Plan, order: &[TargetId], failed: &[bool], cx: &Context) {
    let failed = |id: TargetId| failed[id.index()];
    for &id in order.iter().filter(|id| failed(**id)) {
        let target = plan.target(id);
        let Some(cause) = target.needs().into_iter().find(|need| failed(*need)) else { continue };
        let reason = Reason::Needs(plan.target(cause).label.to_string());
        let status =
            if cx.options.mode == Mode::Build { Status::Skipped } else { Status::OutOfDate };
        let output = target.file().map_or("", BuildPath::as_str);
        let ended = Ended {
            status,
            ran: None,
            log: &[],
            reason: Some(&reason),
            error: None,
            command: None,
            took: Duration::ZERO,
        };
        cx.tell(StepName { target: &target.label, output }, &ended);
    }
}
