//! A batch, as people and programs read it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use larder_batch::{
    event::{Event, Reporter, TaskName},
    run::{Outlook, Prepared, Request, outlook},
};
use larder_runs::{
    progress::Phase,
    result::{Entry, Origin, Outcome, Stage},
    sanitise,
};
use serde_json::{Value, json};

use super::tally::Tally;
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
    /// Held while a result is told: the counts are in the order of the lines.
    counts: Mutex<Counts>,
}

/// How far a run is.
#[derive(Default)]
struct Counts {
    tally: Tally,
    /// How long the rest was expected to take, and when.
    left: Option<(Duration, Instant)>,
}

impl Counts {
    /// How long the rest is expected to take from now on.
    fn left(&self) -> Duration {
        self.left.map_or(Duration::ZERO, |(left, since)| left.saturating_sub(since.elapsed()))
    }
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
        let mut told = self.counts();
        let is_news = told.tally.end(result);
        self.count(&told.tally);
        let (counts, left) = match is_news {
            true => (format!("[{}/{}] ", told.tally.over(), told.tally.tasks()), told.left()),
            // It is tried to be sure.
            false => (format!("attempt {}: ", result.attempt), Duration::ZERO),
        };
        // There may be thousands, most of them known before.
        if self.ui.json() {
            self.ui.event_json(&event("result", entry));
        }
        if result.origin == Origin::Cached && result.outcome() == Outcome::Worked {
            return;
        }
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
                Origin::Restored => format!("{counts}restored {name}{took}"),
                Origin::Built | Origin::Cached | Origin::Skipped => {
                    format!("{counts}{done} {name}{took}")
                }
            },
            Outcome::Blocked => {
                let by: Vec<&str> =
                    result.root_failures.iter().map(|root| root.package.as_str()).collect();
                format!("{counts}blocked {name} by {}", by.join(", "))
            }
            Outcome::Unsolved => format!("no solution for {name}"),
            Outcome::Failed => {
                let failed = match result.origin {
                    Origin::Cached => "still failing",
                    _ => "failed",
                };
                format!("{counts}{failed} {what}{name}: {}{took}", result.category)
            }
        };
        let error = result.error.as_deref().filter(|_| result.outcome() != Outcome::Blocked);
        let error = error.map_or(String::new(), |error| format!("\n  {}", sanitise::line(error)));
        let left = match left {
            Duration::ZERO => String::new(),
            left => format!(", about {} left", age(left.as_secs().max(1))),
        };
        self.ui.status(&format!("{text}{left}{error}"));
    }

    /// Shows how far it is.
    fn count(&self, tally: &Tally) {
        self.ui.batch(|view| {
            (view.tasks, view.ended) = (tally.tasks(), tally.over());
            (view.failed, view.blocked) = (tally.failed(), tally.blocked());
        });
    }
}

impl Reporter for Show {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::Begun { run, packages, needed } => {
                self.ui.event_json(&json!({
                    "event": "begun",
                    "runId": run.as_str(),
                    "packages": packages,
                    "needed": needed,
                }));
                let need = if *packages == 1 { "it needs" } else { "they need" };
                let needed = match needed {
                    0 => String::new(),
                    needed => format!(" and {needed} that {need}"),
                };
                let packages = plural(*packages as u64, "package");
                self.ui.status(&format!("run {run}: {packages}{needed}"));
            }
            Event::Phase(phase) => {
                self.ui.event_json(&json!({ "event": "phase", "phase": phase }));
                self.ui.batch(|view| view.phase = phase.to_string());
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
                let mut counts = self.counts();
                counts.tally.plan(*tasks);
                self.count(&counts.tally);
                counts.left = expected.map(|time| (time, Instant::now()));
                self.ui.batch(|view| view.left = counts.left);
                self.ui.event_json(&json!({
                    "event": "planned",
                    "tasks": tasks,
                    "expectedMilliseconds": expected.map(|time| time.as_millis() as u64),
                }));
            }
            Event::Started { task, attempt, expected } => {
                self.ui.batch(|view| view.started(task.to_string(), *expected));
                let mut object = of_task("started", task);
                object["attempt"] = json!(attempt);
                let expected = expected.map(|time| time.as_millis() as u64);
                object["expectedMilliseconds"] = json!(expected);
                self.ui.event_json(&object);
            }
            Event::Waiting { task, holder } => {
                let holder = holder.holder.as_ref();
                let holder = holder.map_or("another one".to_owned(), ToString::to_string);
                self.ui.status(&format!("{task}: waiting for {holder}"));
            }
            Event::Again { task, category, wait } => {
                let mut counts = self.counts();
                counts.tally.again(task);
                self.count(&counts.tally);
                let mut object = of_task("again", task);
                object["category"] = json!(category);
                object["waitMilliseconds"] = json!(wait.as_millis() as u64);
                self.ui.event_json(&object);
                let wait = seconds(*wait);
                self.ui.status(&format!("{task}: {category}; trying again in {wait}"));
            }
            Event::Stopping => {
                self.ui.event_json(&json!({ "event": "stopping" }));
                self.ui.status("stopping when what is running has ended; once more stops at once");
            }
            Event::Stopped { task } => self.ui.batch(|view| view.stopped(&task.to_string())),
            Event::Nothing { task } => {
                let mut counts = self.counts();
                counts.tally.nothing(task);
                self.count(&counts.tally);
            }
            Event::Advanced { left } => {
                self.counts().left = Some((*left, Instant::now()));
                self.ui.batch(|view| view.left = Some((*left, Instant::now())));
            }
            Event::Ended { entry } => self.ended(entry),
            Event::Note { level, message } => self.ui.note(*level, message),
        }
    }
}

/// An event of a kind that is about a task.
fn of_task(kind: &str, task: &TaskName) -> Value {
    json!({
        "event": kind,
        "package": task.package,
        "compiler": task.compiler,
        "buildHash": task.build_hash,
        "stage": task.stage,
    })
}

/// The event that says what would become of a stage of a build, and why.
pub fn of_outlook(outlook: &Outlook) -> Value {
    let mut object = of_task("outlook", &outlook.task);
    object["because"] = outlook.reason().into();
    object["wouldBe"] = outlook.verb().into();
    object
}

/// Prints what a run would do, and why.
pub fn show_outlook(app: &App, request: &Request, prepared: &Prepared) -> Result<(), Failure> {
    let mut table = Table::new(["PACKAGE", "COMPILER", "WOULD BE", "BECAUSE"]);
    for (package, compiler, explanation) in prepared.unsolved() {
        let (package, compiler) = (package.as_str(), compiler.as_str());
        let because = explanation.lines().next().unwrap_or_default();
        app.ui.event_json(&json!({
            "event": "unsolved",
            "package": package,
            "compiler": compiler,
            "because": because,
        }));
        table.row([package.into(), compiler.into(), "unsolved".into(), because.into()]);
    }
    for outlook in outlook(request, prepared, &Stage::ALL)? {
        app.ui.event_json(&of_outlook(&outlook));
        table.row([
            outlook.task.package.as_str().into(),
            outlook.task.compiler.as_str().into(),
            outlook.verb().into(),
            outlook.reason().into(),
        ]);
    }
    print_outlook(app, &table);
    Ok(())
}

/// Prints a table of what would be done, or that it is nothing.
pub fn print_outlook<const COLUMNS: usize>(app: &App, table: &Table<COLUMNS>) {
    table.print(&app.ui);
    if table.is_empty() {
        app.ui.status("nothing is to be done");
    }
}
