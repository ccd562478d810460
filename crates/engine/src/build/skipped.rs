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
            log: &[],
            reason: Some(&reason),
            error: None,
            command: None,
            took: Duration::ZERO,
        };
        cx.tell(StepName { target: &target.label, output }, &ended);
    }
}
