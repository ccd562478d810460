//! `larder why`: what changed since targets were last built, each cause once.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    build::{self, BuildReport, BuildRequest, EngineError},
    context::Mode,
    event::{Event, Reporter, Status},
    ninja::{self, NinjaReport, NinjaRequest},
    reason::Reason,
    session::Session,
};

/// Why what was asked for is not up to date.
#[derive(Debug, Default)]
pub struct Explanation {
    /// The changes; first that which makes most out of date.
    pub causes: Vec<Cause>,
    /// Targets that are out of date for no other reason than that they need others that are.
    pub dependents: Vec<String>,
}

/// Something that changed, and what it makes out of date.
#[derive(Debug, PartialEq, Eq)]
pub struct Cause {
    /// The change, such as `src/lua.h changed`.
    pub what: String,
    /// Each output that is out of date for it, with its target; sorted.
    pub outputs: Vec<(String, String)>,
}

/// Finds out why the targets of `request` are not up to date, and touches nothing. `reporter` hears
/// of failures and notes; of the rest only when it wants everything.
///
/// # Errors
/// Why it could not be found out.
pub fn why(
    session: &Arc<Session>,
    request: &BuildRequest,
    reporter: &Arc<dyn Reporter>,
) -> Result<(Explanation, BuildReport), EngineError> {
    let mut request = request.clone();
    request.options.mode = Mode::DryRun;
    listening(reporter, |reporter| build::build(session, &request, reporter))
}

/// Finds out why the targets of a `build.ninja` are not up to date, as [`why`] does for those of manifests.
///
/// # Errors
/// Why it could not be found out.
pub fn why_of_ninja(
    session: &Arc<Session>,
    request: &NinjaRequest,
    reporter: &Arc<dyn Reporter>,
) -> Result<(Explanation, NinjaReport), EngineError> {
    let mut request = request.clone();
    request.options.mode = Mode::DryRun;
    let build = |reporter: &_| ninja::build(session, &request, reporter, &|_| {});
    let (mut explanation, report) = listening(reporter, build)?;
    let caused: HashSet<&str> = explanation
        .causes
        .iter()
        .flat_map(|cause| cause.outputs.iter().map(|(_, output)| output.as_str()))
        .collect();
    // What is not looked at, since its inputs have to be made, waits for these.
    let graph = &report.graph;
    let planned = report.planned.iter().filter(|id| !graph.is_phony(**id));
    let outputs = planned.filter_map(|id| graph.edge(*id).outputs.first());
    let outputs = outputs.map(|node| &*graph.node(*node).path);
    let dependents = outputs.filter(|path| !caused.contains(path)).map(str::to_owned).collect();
    explanation.dependents = dependents;
    Ok((explanation, report))
}

/// Does what may say why something is out of date, and returns what was heard with what came of it.
fn listening<T>(
    reporter: &Arc<dyn Reporter>,
    work: impl FnOnce(&Arc<dyn Reporter>) -> Result<T, EngineError>,
) -> Result<(Explanation, T), EngineError> {
    let listener = Arc::new(Listener { reporter: reporter.clone(), heard: Mutex::default() });
    let as_reporter: Arc<dyn Reporter> = listener.clone();
    let report = work(&as_reporter)?;
    let heard = std::mem::take(&mut *listener.heard.lock().unwrap_or_else(PoisonError::into_inner));
    Ok((heard.explanation(), report))
}

/// Writes down why steps are out of date, and passes other events on.
struct Listener {
    reporter: Arc<dyn Reporter>,
    heard: Mutex<Heard>,
}

#[derive(Default)]
struct Heard {
    /// Outputs with their targets, by cause.
    causes: BTreeMap<String, Vec<(String, String)>>,
    dependents: Vec<String>,
}

impl Reporter for Listener {
    fn event(&self, event: &Event<'_>) {
        let Event::Ended { step, ended, .. } = event else { return self.reporter.event(event) };
        if let Some(reason) = ended.reason {
            let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
            match reason {
                Reason::Needs(_) => heard.dependents.push(step.target.to_owned()),
                _ => {
                    for cause in reason.causes() {
                        let output = (step.target.to_owned(), step.output.to_owned());
                        heard.causes.entry(cause).or_default().push(output);
                    }
                }
            }
        }
        if ended.status == Status::Failed || self.reporter.wants_everything() {
            self.reporter.event(event);
        }
    }

    fn wants_everything(&self) -> bool {
        self.reporter.wants_everything()
    }
}

impl Heard {
    fn explanation(self) -> Explanation {
        let mut causes: Vec<Cause> = self
            .causes
            .into_iter()
            .map(|(what, mut outputs)| {
                outputs.sort();
                Cause { what, outputs }
            })
            .collect();
        // Stable: causes that weigh the same stay sorted by name.
        causes.sort_by_key(|cause| std::cmp::Reverse(cause.outputs.len()));
        Explanation { causes, dependents: self.dependents }
    }
}
