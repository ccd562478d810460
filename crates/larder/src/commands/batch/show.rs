//! A batch, as people and programs read it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use larder_batch::{
    event::{Event, Reporter},
    run::{Outlook, Prepared, Request, outlook},
};
use larder_runs::{
    progress::Phase,
    result::{Entry, Origin, Outcome, Stage},
    run_log::Summary,
    sanitise,
};
use serde_json::json;

use crate::{
    commands::{
        App,
        records::{event, plural},
    },
    exit::Failure,
    table::{Table, age},
    ui::{Ui, seconds},
};

/// Tells of a run as it goes.
pub struct Show {
    ui: Arc<Ui>,
    counts: Mutex<Counts>,
}

/// How far a run is.
#[derive(Default)]
struct Counts {
    tasks: usize,
    ended: usize,
    /// How long the rest is expected to take.
    left: Duration,
}

impl Show {
    /// Tells it here.
    pub fn new(ui: Arc<Ui>) -> Self {
        Self { ui, counts: Mutex::default() }
    }

    /// Ends what is drawn on a terminal.
    pub fn finish(&self) {
        self.ui.clear();
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ended(&self, entry: &Entry) {
        let result = &entry.result;
        let (counts, left) = {
            let mut counts = self.counts();
            // A solve is no task.
            counts.ended += usize::from(result.stage != Stage::Solve);
            (format!("[{}/{}] ", counts.ended, counts.tasks.max(counts.ended)), counts.left)
        };
        self.ui.event_json(&event("result", entry));
        let (done, what) = match result.stage {
            Stage::Solve | Stage::Build => ("built", ""),
            Stage::Test => ("tested", "test of "),
            Stage::Doc => ("documented", "documentation of "),
        };
        let compiler = result.compiler.as_ref();
        let with = compiler.map_or(String::new(), |compiler| format!(" with {compiler}"));
        let name = format!("{}{with}", result.package);
        let took = result.wall_ms.map(Duration::from_millis);
        let took = took.map_or(String::new(), |took| format!(" in {}", seconds(took)));
        let text = match result.outcome() {
            Outcome::Worked => match result.origin {
                Origin::Cached => return,
                Origin::Restored => format!("{counts}restored {name}{took}"),
                Origin::Built | Origin::Skipped => format!("{counts}{done} {name}{took}"),
            },
            Outcome::Blocked => {
                let by: Vec<&str> =
                    result.root_failures.iter().map(|root| root.package.as_str()).collect();
                format!("{counts}blocked {name} by {}", by.join(", "))
            }
            Outcome::Unsolved => format!("no solution for {name}"),
            Outcome::Failed => format!("{counts}failed {what}{name}: {}{took}", result.category),
        };
        let error = result.error.as_deref().filter(|_| result.outcome() != Outcome::Blocked);
        let error = error.map_or(String::new(), |error| format!("\n  {}", sanitise::line(error)));
        let left = match left {
            Duration::ZERO => String::new(),
            left => format!(", about {} left", age(left.as_secs().max(1))),
        };
        self.ui.status(&format!("{text}{left}{error}"));
    }
}

impl Reporter for Show {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::Begun { run, packages } => {
                self.ui.event_json(&json!({
                    "event": "begun", "runId": run.as_str(), "packages": packages,
                }));
                let packages = plural(*packages as u64, "package");
                self.ui.status(&format!("run {run}: {packages}"));
            }
            Event::Phase(phase) => {
                self.ui.event_json(&json!({ "event": "phase", "phase": phase }));
                if *phase == Phase::Gc && self.ui.is_verbose() {
                    self.ui.status("removing what nothing refers to any more");
                }
            }
            Event::Solved { found, failed } => {
                self.ui.event_json(&json!({ "event": "solved", "found": found, "failed": failed }));
                if *failed > 0 {
                    let all = found + failed;
                    self.ui.status(&format!("solutions for {found} of {all}"));
                }
            }
            Event::Planned { tasks, expected } => {
                self.counts().tasks = *tasks;
                self.ui.event_json(&json!({
                    "event": "planned",
                    "tasks": tasks,
                    "expectedMilliseconds": expected.map(|time| time.as_millis() as u64),
                }));
            }
            Event::Started { task, attempt, expected } => {
                self.ui.event_json(&json!({
                    "event": "started",
                    "package": task.package,
                    "compiler": task.compiler,
                    "buildHash": task.build_hash,
                    "stage": task.stage,
                    "attempt": attempt,
                    "expectedMilliseconds": expected.map(|time| time.as_millis() as u64),
                }));
            }
            Event::Waiting { task, holder } => {
                let holder = holder.holder.as_ref();
                let holder = holder.map_or("another one".to_owned(), ToString::to_string);
                self.ui.status(&format!("{task}: waiting for {holder}"));
            }
            Event::Again { task, category, wait } => {
                self.ui.event_json(&json!({
                    "event": "again",
                    "package": task.package,
                    "compiler": task.compiler,
                    "buildHash": task.build_hash,
                    "stage": task.stage,
                    "category": category,
                    "waitMilliseconds": wait.as_millis() as u64,
                }));
                let wait = seconds(*wait);
                self.ui.status(&format!("{task}: {category}; trying again in {wait}"));
            }
            Event::Stopping => {
                self.ui.event_json(&json!({ "event": "stopping" }));
                self.ui.status("stopping when what is running has ended; once more stops at once");
            }
            Event::Left(left) => self.counts().left = *left,
            Event::Ended { entry } => self.ended(entry),
            Event::Note { level, message } => self.ui.note(*level, message),
        }
    }
}

/// Prints what a run would do, and why.
pub fn show_outlook(app: &App, request: &Request, prepared: &Prepared) -> Result<(), Failure> {
    let mut table = Table::new(["PACKAGE", "COMPILER", "WOULD BE", "BECAUSE"]);
    for Outlook { task, because } in outlook(request, prepared)? {
        let mut object = json!({
            "event": "outlook",
            "package": task.package,
            "compiler": task.compiler,
            "buildHash": task.build_hash,
            "stage": task.stage,
        });
        object["because"] = because.to_string().into();
        object["wouldBe"] = because.verb().into();
        app.ui.event_json(&object);
        table.row([
            task.package.as_str().into(),
            task.compiler.as_str().into(),
            because.verb().into(),
            because.to_string().into(),
        ]);
    }
    table.print(&app.ui);
    Ok(())
}

/// A run in one line: `40 of 45 packages work (2 fail, 3 blocked) in 2 min`.
pub fn describe(summary: &Summary) -> String {
    let packages = &summary.packages;
    let parts = [
        (packages.failed, "fail"),
        (packages.blocked, "blocked"),
        (packages.unsolved, "without a solution"),
        (packages.unreached, "not reached"),
    ];
    let parts: Vec<String> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    let parts = if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) };
    let total = plural(packages.total, "package");
    let work = if packages.worked == 1 { "works" } else { "work" };
    let interrupted = if summary.interrupted { "interrupted: " } else { "" };
    format!(
        "{interrupted}{} of {total} {work}{parts} in {}",
        packages.worked,
        age(summary.seconds())
    )
}
