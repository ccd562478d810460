//! One run: from a set to results.
//!
//! ```text
//! solving      a solution for each package version and compiler       solve
//! blessings    the builds of these, and which of them count first     graph, bless
//! building     every stage of every build that is not there           schedule, build
//! gc           what nothing refers to any more                        larder_runs::gc
//! ```
//!
//! A run that is killed leaves its results and its layers; the next one finds both and does the rest.

mod attend;
mod compare;
mod job;
mod outlook;
mod perform;
mod prepare;
mod present;
mod results;
mod trials;
mod witness;

use std::{
    collections::BTreeSet,
    io,
    path::PathBuf,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use larder_engine::session::Session;
use larder_project::{
    dependencies::Resolution,
    diagnostic::Diagnostics,
    set::{PackageSet, Retention},
};
use larder_runs::{
    DataDir,
    gc::{self, References},
    history,
    name::{Named, PackageName, RunId},
    progress::Phase,
    result::{RunKind, Stage},
    run_log::{Ending, Plan, Run, Scope, Summary},
    time::{self, Clock},
};
use larder_trace::{Level, atomic, describe_io};
use serde::Serialize;

use crate::{
    build::Workshop,
    docs,
    event::{Event, Reporter},
    past::Past,
    queue::Queue,
    schedule::Schedule,
    tasks::{Part, Tasks},
};

use attend::Attendance;
pub use compare::{Compared, compare};
pub use outlook::{Because, Outlook, outlook};
pub use prepare::{Memory, Prepared, prepare, prepare_catalogue, read, reading, unknown};
pub(crate) use prepare::{solve, surroundings, targets};
use present::Present;
pub(crate) use witness::Witness;

/// What a run is to do.
#[derive(Debug, Clone)]
pub struct Request {
    /// The set.
    pub set: PackageSet,
    /// The set's directory, absolute.
    pub directory: PathBuf,
    /// Where run data and layers are.
    pub data: DataDir,
    /// The directory for what is remembered of the set's files: that of the data, unless it is another set than theirs.
    pub notes: PathBuf,
    /// What kind of run it is.
    pub kind: RunKind,
    /// The packages that it is about; all, when there are none.
    pub packages: Vec<Named>,
    /// Whether these packages are built again though the same has failed before.
    pub again: bool,
    /// How dependencies from elsewhere are resolved.
    pub resolution: Resolution,
    /// How many commands run at once, and how many packages.
    pub jobs: usize,
    /// The most memory that packages which are worked on at once may be expected to take, in bytes.
    pub memory: u64,
    /// Whether commands are confined to what they are given.
    pub sandbox: bool,
    /// The command as it was given, for the record.
    pub command_line: Vec<String>,
    /// The version of larder, for the record.
    pub larder_version: Option<String>,
    /// The revision of the set, for the record: a commit, and whether the set differs from that.
    pub set_revision: Option<String>,
}

/// What came of a run.
#[derive(Debug)]
pub struct Report {
    /// Its id.
    pub run: RunId,
    /// Its results, counted.
    pub summary: Summary,
    /// Whether it was told to stop before it was done.
    pub interrupted: bool,
}

/// Why there was no run, or it could not go on.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// Something is wrong with the set, or with the packages that were asked for.
    #[error(transparent)]
    Set(#[from] Diagnostics),
    /// Run data could not be read or written.
    #[error(transparent)]
    Data(#[from] larder_runs::Error),
    /// What was found out could not be written.
    #[error("cannot write {}: {reason}", path.display())]
    Outcome {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
}

/// Does what was prepared for `request`, telling `reporter` as it goes. Asked to end for the first time, it finishes what
/// it has begun.
///
/// # Errors
/// Why there was no run, or it could not go on; then it counts as died, and what it recorded counts.
pub fn run(
    session: &Arc<Session>,
    request: &Request,
    prepared: &Prepared,
    reporter: &Arc<dyn Reporter>,
) -> Result<Report, BatchError> {
    let _finishing = session.processes.finish_parts();
    let run = begin(request, plan_of(request, prepared), needed(prepared), &**reporter)?;
    results::record_unsolved(&run, prepared, &**reporter)?;
    let (found, failed) = prepared.solved();
    reporter.event(&Event::Solved { found, failed });
    enter(&run, Phase::Blessings, &**reporter)?;
    publish(&request.data, &run, prepared)?;
    enter(&run, Phase::Building, &**reporter)?;
    build(session, request, prepared, &run, reporter, &Stage::ALL, |_| Ok(()))?;
    enter(&run, Phase::Gc, &**reporter)?;
    let interrupted = session.processes.ending();
    if !interrupted {
        collect(request, &**reporter);
    }
    docs::write_index(&request.data)?;
    end(run, interrupted, &**reporter)
}

/// How many packages are needed by what is asked for, and are not asked for.
pub(crate) fn needed(prepared: &Prepared) -> usize {
    let wanted = prepared.wanted().map(|id| prepared.builds.get(id).package);
    let others = wanted.filter(|id| prepared.targets.binary_search(id).is_err());
    // Two sides have the same ones.
    let names: BTreeSet<&PackageName> = others.map(|id| &prepared.catalogue.get(id).id).collect();
    names.len()
}

/// Begins a run that needs so many packages besides those that it is about, and tells so.
pub(crate) fn begin(
    request: &Request,
    plan: Plan,
    needed: usize,
    reporter: &dyn Reporter,
) -> larder_runs::Result<Run> {
    let run = Run::start(&request.data, plan, Clock::system())?;
    reporter.event(&Event::Begun { run: run.id(), packages: run.plan().targets.len(), needed });
    Ok(run)
}

/// Ends a run that has done what it was to do, or was told to stop before.
pub(crate) fn end(
    run: Run,
    interrupted: bool,
    reporter: &dyn Reporter,
) -> Result<Report, BatchError> {
    enter(&run, Phase::Completed, reporter)?;
    let id = run.id().clone();
    let summary = run.finish(if interrupted { Ending::Interrupted } else { Ending::Complete })?;
    Ok(Report { run: id, summary, interrupted })
}

/// Writes what a run has found out to a file in its directory, as JSON.
pub(crate) fn write_outcome(
    run: &Run,
    file: &str,
    outcome: &impl Serialize,
) -> Result<(), BatchError> {
    let path = run.dir().join(file);
    let text = serde_json::to_vec_pretty(outcome).map_err(io::Error::from);
    let written = text.and_then(|mut text| {
        text.push(b'\n');
        atomic::write(&path, &text)
    });
    written.map_err(|error| BatchError::Outcome { path, reason: describe_io(&error) })
}

/// The plan of a run over all that was prepared, for its record.
fn plan_of(request: &Request, prepared: &Prepared) -> Plan {
    let catalogue = &prepared.catalogue;
    let targets = prepared.targets.iter().map(|&id| catalogue.get(id).id.clone()).collect();
    let compilers = catalogue.compilers().map(|(_, compiler)| compiler.name.clone()).collect();
    plan(request, targets, compilers)
}

/// The plan of a run, for its record.
pub(crate) fn plan(
    request: &Request,
    mut targets: Vec<PackageName>,
    mut compilers: Vec<PackageName>,
) -> Plan {
    let scope = match request.packages.is_empty() {
        true => Scope::All,
        false => Scope::Packages(request.packages.iter().map(ToString::to_string).collect()),
    };
    // Two sides have the same ones.
    for names in [&mut targets, &mut compilers] {
        let mut seen = BTreeSet::new();
        names.retain(|name| seen.insert(name.clone()));
    }
    Plan {
        command_line: request.command_line.clone(),
        set_revision: request.set_revision.clone(),
        compilers,
        larder_version: request.larder_version.clone(),
        ..Plan::new(request.kind, scope, targets)
    }
}

pub(crate) fn enter(run: &Run, phase: Phase, reporter: &dyn Reporter) -> larder_runs::Result<()> {
    run.update_progress(|progress| progress.set_phase(phase))?;
    reporter.event(&Event::Phase(phase));
    Ok(())
}

/// Tells everything that the solutions of a run refer to, and who needs whom.
pub(crate) fn publish(data: &DataDir, run: &Run, prepared: &Prepared) -> larder_runs::Result<()> {
    let graph = Some(prepared.builds.name());
    let references = References { graph, ..references(prepared) };
    let make = || prepared.builds.record(&prepared.catalogue, &prepared.surroundings);
    gc::publish_with_graph(data, run, &references, make)
}

/// Everything that the solutions of a run refer to.
pub(crate) fn references(prepared: &Prepared) -> References {
    let builds = || prepared.wanted().map(|id| prepared.builds.get(id));
    References {
        layers: builds().map(|build| build.hash.clone()).collect::<BTreeSet<_>>(),
        universes: builds().map(|build| build.universe.clone()).collect(),
        ..References::default()
    }
}

/// Does these stages of every build of the run that are not done already, and `then` what comes after them.
fn build(
    session: &Arc<Session>,
    request: &Request,
    prepared: &Prepared,
    run: &Run,
    reporter: &Arc<dyn Reporter>,
    stages: &[Stage],
    then: impl FnOnce(&Attendance<'_>) -> Result<(), BatchError>,
) -> Result<(), BatchError> {
    let tasks = Tasks::new(&prepared.builds, prepared.wanted(), &prepared.catalogue, stages);
    let trying = Trying { session, request, prepared, run, reporter, first: 1 };
    work_off(&trying, &tasks, then)
}

/// Everything around tasks that are done in a run.
pub(crate) struct Trying<'t> {
    pub session: &'t Arc<Session>,
    pub request: &'t Request,
    pub prepared: &'t Prepared,
    pub run: &'t Run,
    pub reporter: &'t Arc<dyn Reporter>,
    /// The number of each task's first attempt: what this run has tried before has had others.
    pub first: u32,
}

/// Does these tasks as far as they are not done already, and `then` what comes after them.
pub(crate) fn work_off(
    trying: &Trying<'_>,
    tasks: &Tasks,
    then: impl FnOnce(&Attendance<'_>) -> Result<(), BatchError>,
) -> Result<(), BatchError> {
    let Trying { session, request, prepared, run, reporter, first } = *trying;
    let past = Past::new(&request.data, request.kind, Some(run.id()));
    // What a package has from elsewhere and is not pinned would be in no hash.
    let resolution = Resolution { locked: true, ..request.resolution.clone() };
    let shop = Workshop::new(request.data.clone(), session.clone(), resolution);
    shop.clean_up();
    let present = Present::look(&shop.layers, prepared, tasks, request.jobs);
    let open = tasks.only(|part| !present.has(part));
    let attendance = Attendance::new(request, prepared, &open, past, run, &shop, reporter)?;
    let attendance = attendance.counting_from(first);
    let schedule = Schedule::new(open.expecting(|part| attendance.expected(part)));
    let schedule = schedule.within(request.memory);
    // What this run has tried before is counted.
    let is_new = |part: &&Part| {
        let build = prepared.builds.get(part.build);
        !run.has_result(&prepared.catalogue.get(build.package).id, Stage::Build, &build.hash)
    };
    let builds = tasks.parts().filter(|part| part.stage == Stage::Build);
    let builds = builds.filter(is_new).count() as u64;
    run.update_progress(|progress| {
        progress.build_total += builds;
        Ok(())
    })?;
    let expected = schedule.left(request.jobs);
    let expected = (expected > Duration::ZERO).then_some(expected);
    reporter.event(&Event::Planned { tasks: tasks.len(), expected });
    attendance.record_present(&present)?;
    let queue = Queue::counting_from(schedule, first);
    // With nothing to do, one tells that the run is to stop.
    let threads = request.jobs.min(open.len()).max(1);
    work(session, run, threads, &**reporter, &|| attendance.work(&queue))?;
    then(&attendance)
}

/// How often somebody looks whether the run was told to stop.
const BEAT: Duration = Duration::from_millis(100);

/// Does work of a run on so many threads.
fn work(
    session: &Session,
    run: &Run,
    threads: usize,
    reporter: &dyn Reporter,
    work: &(dyn Fn() -> Result<(), BatchError> + Sync),
) -> Result<(), BatchError> {
    let (ends, ended) = mpsc::channel();
    thread::scope(|scope| {
        let mut workers = 0;
        for number in 0..threads {
            let ends = ends.clone();
            // Nobody is left to hear it only when the run is over.
            let worker = move || _ = ends.send(work());
            let name = format!("package {number}");
            // One that is not to be had makes it slower.
            workers +=
                usize::from(thread::Builder::new().name(name).spawn_scoped(scope, worker).is_ok());
        }
        if workers == 0 {
            return work();
        }
        let mut result = Ok(());
        let mut told = false;
        while workers > 0 {
            match ended.recv_timeout(BEAT) {
                Ok(end) => {
                    workers -= 1;
                    result = result.and(end);
                }
                Err(_) => run.refresh_progress(),
            }
            if session.processes.closing() && !told {
                told = true;
                reporter.event(&Event::Stopping);
            }
        }
        result
    })
}

/// Removes what nothing refers to any more, and what is too old, where the set says how long things are kept. What
/// cannot be removed fails nobody's build.
fn collect(request: &Request, reporter: &dyn Reporter) {
    let Retention { runs, history_days } = request.set.retention;
    let note = |message: String| {
        reporter.event(&Event::Note { level: Level::Warning, message: &message });
    };
    if let Some(runs) = runs {
        let options = gc::Options { dry_run: false, keep_runs: runs as usize };
        match gc::gc_all(&request.data, &options) {
            Ok(report) => {
                let failed = report.parts().into_iter().flat_map(|(_, part)| &part.failed);
                failed.for_each(|failure| note(format!("cannot be removed: {failure}")));
            }
            Err(error) => note(format!("nothing was removed: {error}")),
        }
    }
    if let Some(days) = history_days {
        match history::compact_all(&request.data.packages(), days, time::now()) {
            Ok(compacted) => {
                let failed = compacted.into_iter().filter_map(Result::err);
                failed.for_each(|error| note(error.to_string()));
            }
            Err(error) => note(format!("histories were left as they are: {error}")),
        }
    }
}
