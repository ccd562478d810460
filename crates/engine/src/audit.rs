//! Building some targets again elsewhere, to find those that do not come out the same.
//!
//! What is built again sees another path, another home directory and user name, another number of
//! commands at once, another time, and no store.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::Arc,
};

use larder_project::{
    diagnostic::Diagnostics,
    name::TargetName,
    plan::{PackageId, Plan},
    setting::is_build_directory,
    workspace::LARDER_DIR,
};
use larder_trace::{ContentHash, describe_io};
use tempfile::TempDir;

use crate::{
    build::{BuildReport, BuildRequest, EngineError, build, load},
    cache::StoreSettings,
    context::Mode,
    difference::{Difference, Side, first_difference},
    environment::Environment,
    event::{Event, Reporter, Status},
    flags,
    pool::Slots,
    process::Processes,
    session::{Session, Settings},
};

/// What to audit, and how.
#[derive(Debug, Clone)]
pub struct AuditRequest {
    /// How the targets are built; its targets do not count.
    pub build: BuildRequest,
    /// How many of the package's targets, in percent.
    pub percent: f64,
    /// What decides which: the same ones for the same number.
    pub seed: u64,
}

/// The result of an audit.
#[derive(Debug, Default)]
pub struct AuditReport {
    /// The targets that were built again, sorted.
    pub targets: Vec<String>,
    /// How many targets the package has.
    pub of: usize,
    /// Steps whose results were compared.
    pub compared: usize,
    /// Steps whose results could not be: elsewhere they had other inputs, such as what a target that
    /// differs made, or a variable that a command takes from its environment.
    pub not_compared: usize,
    /// What differs, with the target that made it.
    pub differences: Vec<(String, Difference)>,
    /// The targets that failed, here or elsewhere.
    pub failed: Vec<String>,
    /// Whether it was ended by a signal.
    pub interrupted: bool,
}

/// Why an audit could not be made.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// A build did not begin.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The package could not be copied.
    #[error("cannot copy {}: {}", path.display(), describe_io(source))]
    Copy {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

impl From<Diagnostics> for AuditError {
    fn from(error: Diagnostics) -> Self {
        Self::Engine(error.into())
    }
}

/// Makes sure that some targets are up to date, builds them again elsewhere, and compares. `reporter`
/// hears of both builds what goes wrong.
///
/// # Errors
/// Why it could not be done; what differs is part of the report.
pub fn audit(
    session: &Arc<Session>,
    request: &AuditRequest,
    reporter: &Arc<dyn Reporter>,
) -> Result<AuditReport, AuditError> {
    let _heeding = session.processes.heed();
    let plan = load(&request.build.loading(&session.settings.environment))?;
    let all = labels(&plan);
    let targets = sample(&all, request.percent, request.seed);
    let mut report = AuditReport { targets, of: all.len(), ..AuditReport::default() };
    // Every name that a plan gives its targets can be asked for.
    let names: Vec<TargetName> =
        report.targets.iter().filter_map(|label| label.parse().ok()).collect();
    if names.is_empty() {
        return Ok(report);
    }
    let mut asked = request.build.clone();
    asked.targets = names;
    asked.options.mode = Mode::Build;
    asked.options.keep_going = true;
    asked.cache.collect = true;
    let here = build(session, &asked, &quiet(reporter))?;
    let elsewhere = Elsewhere::make(session, &plan, &asked.resolution.packages)?;
    let Some(elsewhere) = elsewhere.filter(|_| !here.interrupted) else {
        report.interrupted = true;
        return Ok(report);
    };
    asked.directory = elsewhere.root.clone();
    let there = build(&elsewhere.session, &asked, &quiet(reporter))?;
    report.interrupted = there.interrupted;
    report.failed = failed(&here).chain(failed(&there)).collect();
    report.failed.sort();
    report.failed.dedup();
    compare(session, &here, &elsewhere.session, &there, &mut report);
    Ok(report)
}

/// The targets of the root package, sorted.
fn labels(plan: &Plan) -> Vec<String> {
    let own = plan.targets.iter().filter(|target| target.package == PackageId::ROOT);
    let mut labels: Vec<String> = own.map(|target| target.label.to_string()).collect();
    labels.sort();
    labels
}

/// Returns so many percent of the targets, at least one where any are wanted, sorted.
fn sample(all: &[String], percent: f64, seed: u64) -> Vec<String> {
    let wanted = (all.len() as f64 * percent.clamp(0.0, 100.0) / 100.0).ceil() as usize;
    let mut drawn: Vec<(ContentHash, &String)> = all
        .iter()
        .map(|label| (ContentHash::of_bytes(format!("{seed} {label}").as_bytes()), label))
        .collect();
    drawn.sort();
    let mut drawn: Vec<String> =
        drawn.into_iter().take(wanted).map(|(_, label)| label.clone()).collect();
    drawn.sort();
    drawn
}

fn failed(report: &BuildReport) -> impl Iterator<Item = String> {
    let failed = report.targets.iter().filter(|(_, outputs)| outputs.is_none());
    failed.map(|(id, _)| report.plan.target(*id).label.to_string())
}

fn compare(
    session: &Session,
    here: &BuildReport,
    elsewhere: &Session,
    there: &BuildReport,
    report: &mut AuditReport,
) {
    let (Some(ours), Some(theirs)) = (&here.mappings, &there.mappings) else { return };
    let mut differences = BTreeMap::new();
    for (dep_hash, outputs) in ours.iter() {
        let Some(others) = theirs.get(dep_hash) else {
            report.not_compared += 1;
            continue;
        };
        report.compared += 1;
        let ours = Side { outputs, store: session.store().map(|store| &**store) };
        let theirs = Side { outputs: others, store: elsewhere.store().map(|store| &**store) };
        if let Some(difference) = first_difference(ours, theirs) {
            let target = here.owners.get(dep_hash).cloned().unwrap_or_default();
            differences.insert((target, difference.output.clone()), difference);
        }
    }
    report.differences =
        differences.into_iter().map(|((target, _), difference)| (target, difference)).collect();
}

/// Passes on what went wrong, and nothing else: there are two builds, of which nobody asked to hear.
fn quiet(reporter: &Arc<dyn Reporter>) -> Arc<dyn Reporter> {
    struct Quiet(Arc<dyn Reporter>);
    impl Reporter for Quiet {
        fn event(&self, event: &Event<'_>) {
            let wanted = match event {
                Event::Ended { ended, .. } => ended.status == Status::Failed,
                Event::Waiting { .. } | Event::Note { .. } => true,
                Event::Planning { .. } | Event::Started { .. } | Event::Tested { .. } => false,
            };
            if wanted {
                self.0.event(event);
            }
        }
    }
    Arc::new(Quiet(reporter.clone()))
}

/// Another place to build a package in, which is removed with it.
struct Elsewhere {
    session: Arc<Session>,
    /// The root package.
    root: PathBuf,
    /// Removed last: the store of the session is in it.
    _place: TempDir,
}

impl Elsewhere {
    /// Copies the packages of `plan`, except those in `shared`, which stay where they are. `None` when
    /// it was interrupted.
    fn make(
        session: &Arc<Session>,
        plan: &Plan,
        shared: &Option<PathBuf>,
    ) -> Result<Option<Self>, AuditError> {
        let Settings { slots, environment, .. } = &session.settings;
        let temporary = environment.temporary_directory();
        let failed = |path: &Path| {
            let path = path.to_owned();
            |source| AuditError::Copy { path, source }
        };
        let place = tempfile::Builder::new().prefix("larder-audit-").tempdir_in(&temporary);
        let place = place.map_err(failed(&temporary))?;
        let base = place.path().canonicalize().map_err(failed(place.path()))?;
        let packages = plan.workspace.packages.iter().map(|package| &package.place.directory);
        let packages: Vec<&PathBuf> = packages
            .filter(|directory| {
                !shared.as_ref().is_some_and(|shared| directory.starts_with(shared))
            })
            .collect();
        let common = common_ancestor(&packages);
        let copies = base.join("elsewhere");
        let mut copied: Vec<&Path> = Vec::new();
        for directory in packages {
            // One below another has come with it.
            if copied.iter().any(|done| directory.starts_with(done)) {
                continue;
            }
            let inside = directory.strip_prefix(&common).unwrap_or(directory);
            if !copy(directory, &copies.join(inside), &session.processes)? {
                return Ok(None);
            }
            copied.push(directory);
        }
        let root = &plan.workspace.root;
        let copy = copies.join(root.strip_prefix(&common).unwrap_or(root));
        let environment = flags::moved(environment, root, &copy);
        let settings = Settings {
            slots: Slots { local: if slots.local > 1 { slots.local - 1 } else { 2 }, ..*slots },
            environment: Arc::new(other_user(&environment, &base)),
            store: StoreSettings {
                directory: Some(base.join("store")),
                offline: true,
                packages_use_it: Some(true),
                ..StoreSettings::default()
            },
            ..Settings::default()
        };
        Ok(Some(Self {
            session: Session::new(settings, session.processes.clone()),
            root: copy,
            _place: place,
        }))
    }
}

/// Returns the deepest directory that all of `directories` are in.
fn common_ancestor(directories: &[&PathBuf]) -> PathBuf {
    let Some(first) = directories.first() else { return PathBuf::new() };
    let all_in = |ancestor: &Path| directories.iter().all(|it| it.starts_with(ancestor));
    first
        .parent()
        .into_iter()
        .flat_map(Path::ancestors)
        .find(|it| all_in(it))
        .map_or_else(PathBuf::new, Path::to_owned)
}

/// Returns the environment of another user. Whatever is in the home directory is in that of the other as
/// well, so that tools which are installed there are found.
fn other_user(environment: &Environment, base: &Path) -> Environment {
    let home = base.join("home");
    let own = environment.get("HOME").map(Path::new).filter(|home| home.is_absolute());
    if fs::create_dir(&home).is_ok() {
        for entry in own.and_then(|own| fs::read_dir(own).ok()).into_iter().flatten().flatten() {
            // One that cannot be had there is missed by whoever needs it.
            let _ = symlink(entry.path(), home.join(entry.file_name()));
        }
    }
    let changed = ["HOME", "USER", "LOGNAME", "TMPDIR", "PWD", "OLDPWD"];
    let same = environment.iter().filter(|(name, _)| !changed.iter().any(|it| name == it));
    let same = same.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let other = [
        ("HOME", home.into_os_string()),
        ("USER", "auditor".into()),
        ("LOGNAME", "auditor".into()),
        ("TMPDIR", base.as_os_str().to_owned()),
    ];
    same.chain(other.into_iter().map(|(name, value)| (name.into(), value))).collect()
}

/// Files in [`LARDER_DIR`] that belong to what was built.
const BUILT: &[&str] = &["index", "tmp", "lock"];

/// Copies a directory without what larder has built in it. Links stay links. Returns false when it was
/// interrupted.
fn copy(from: &Path, to: &Path, processes: &Processes) -> Result<bool, AuditError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        |source| AuditError::Copy { path, source }
    };
    fs::create_dir_all(to).map_err(failed(to))?;
    for entry in fs::read_dir(from).map_err(failed(from))? {
        if processes.interrupted() {
            return Ok(false);
        }
        let entry = entry.map_err(failed(from))?;
        let (path, name) = (entry.path(), entry.file_name());
        let target = to.join(&name);
        let built = from.ends_with(LARDER_DIR)
            && (BUILT.iter().any(|it| name == *it)
                || name.to_str().is_some_and(is_build_directory));
        let kind = entry.file_type().map_err(failed(&path))?;
        if built {
            continue;
        } else if kind.is_dir() {
            if !copy(&path, &target, processes)? {
                return Ok(false);
            }
        } else if kind.is_symlink() {
            let leads = fs::read_link(&path).map_err(failed(&path))?;
            symlink(leads, &target).map_err(failed(&path))?;
        } else if kind.is_file() {
            fs::copy(&path, &target).map_err(failed(&path))?;
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_the_same_for_the_same_seed_and_grows_with_its_share() {
        let all: Vec<String> = (0..50).map(|n| format!("t{n:02}")).collect();
        let drawn = |percent, seed| sample(&all, percent, seed);
        assert_eq!(drawn(10.0, 1), drawn(10.0, 1));
        assert_ne!(drawn(10.0, 1), drawn(10.0, 2));
        for (percent, count) in [(0.0, 0), (0.1, 1), (10.0, 5), (99.9, 50), (100.0, 50)] {
            assert_eq!(drawn(percent, 7).len(), count, "{percent}");
        }
        let (few, more) = (drawn(10.0, 3), drawn(40.0, 3));
        assert!(few.iter().all(|label| more.contains(label)));
    }

    #[test]
    fn packages_side_by_side_keep_their_places() {
        let at = |path: &str| PathBuf::from(path);
        let (root, beside, inner) = (at("/w/a/app"), at("/w/b/lib"), at("/w/a/app/deps/x"));
        assert_eq!(common_ancestor(&[&root]), at("/w/a"));
        assert_eq!(common_ancestor(&[&root, &inner]), at("/w/a"));
        assert_eq!(common_ancestor(&[&root, &beside]), at("/w"));
    }
}
