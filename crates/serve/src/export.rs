//! The site as files, for any web host.
//!
//! The pages are those of the server, with links from file to file. What a file says already is not written again,
//! and what an earlier export wrote and this one does not is removed, by the list that each export leaves.

use std::{
    collections::BTreeSet,
    fs,
    io::{self, Read},
    num::NonZero,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

use larder_runs::{
    file::{self, Durability},
    history,
    name::{PackageName, RunId},
    parallel,
    result::{Entry, LogFile},
    run_log,
};

use crate::{
    documentation,
    html::{Files, Frame, Links},
    make,
    model::NoPage,
    site::{Document, Ecosystem, Filter, Page, Snapshot, View},
    web,
};

/// The file that lists what an export has written.
const LIST: &str = ".larder-export";

/// What an export has done, in files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Exported {
    /// All that the site consists of.
    pub files: usize,
    /// Those that were written; the others said the same already.
    pub written: usize,
    /// Those of an earlier export that were removed.
    pub removed: usize,
}

/// Why a site could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// Run data could not be read, or a file not be written.
    #[error(transparent)]
    Data(#[from] larder_runs::Error),
    /// A page could not be made.
    #[error("cannot make {path}: {why}")]
    Page {
        /// The file.
        path: String,
        /// Why not.
        why: String,
    },
    /// The directory has something else in it.
    #[error("{} has files that no export wrote: name a new directory, or an empty one", .0.display())]
    Foreign(PathBuf),
}

/// A file that an export consists of.
enum Part {
    Document(Document),
    Log(RunId, String),
    /// A file of documentation, by its path below `html`.
    Documentation(String),
    /// An empty file that keeps GitHub's pages from leaving out what begins with `_`.
    NoJekyll,
}

impl Part {
    fn file(&self) -> String {
        match self {
            Part::Document(document) => document.file(),
            Part::Log(run, path) => format!("runs/{run}/{path}.html"),
            Part::Documentation(path) => format!("docs/{path}"),
            Part::NoJekyll => ".nojekyll".to_owned(),
        }
    }
}

/// Writes the site of an ecosystem to a directory.
///
/// # Errors
/// What could not be read or written; what was written before is there.
pub fn export(ecosystem: &Ecosystem, directory: &Path) -> Result<Exported, ExportError> {
    let before = earlier(directory)?;
    let snapshot = Snapshot::take(&ecosystem.data, None)?;
    let view = View { ecosystem, snapshot: &snapshot, whole_lists: true };
    let compared = compared(&snapshot);
    let logs = logs(&view)?;
    let parts = parts(&view, compared.as_ref(), &logs)?;
    let files: BTreeSet<String> = parts.iter().map(Part::file).collect();
    // Listed before they are there: what a killed export wrote is removed by the next.
    let list = |files: &BTreeSet<String>| -> Result<(), ExportError> {
        let text: String = files.iter().map(|file| format!("{file}\n")).collect();
        fs::create_dir_all(directory).map_err(|source| failed(directory, source))?;
        file::write_if_changed(&directory.join(LIST), text.as_bytes(), Durability::Process)?;
        Ok(())
    };
    list(&before.union(&files).cloned().collect())?;
    let logs = Arc::new(logs);
    let write = |part: &Part| write(&view, part, directory, compared.as_ref(), &logs);
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let done = parallel::work_shares(parts.iter(), threads, |part| vec![write(part)]);
    let done: Vec<bool> = done.into_iter().collect::<Result<_, _>>()?;
    let written = done.into_iter().filter(|written| *written).count();
    let mut removed = 0;
    for file in before.difference(&files) {
        match fs::remove_file(directory.join(file)) {
            Ok(()) => removed += 1,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(&directory.join(file), error)),
        }
        remove_empty(directory, file);
    }
    list(&files)?;
    Ok(Exported { files: files.len(), written, removed })
}

fn failed(path: &Path, source: io::Error) -> ExportError {
    ExportError::Data(larder_runs::Error::Io { action: "write", path: path.to_owned(), source })
}

/// The files that an earlier export has written there.
fn earlier(directory: &Path) -> Result<BTreeSet<String>, ExportError> {
    match fs::read_to_string(directory.join(LIST)) {
        // A list that was changed by hand leads nowhere else.
        Ok(list) => {
            let inside = |file: &&str| {
                let mut parts = file.split('/');
                !file.is_empty() && parts.all(|part| !matches!(part, "" | "." | ".."))
            };
            Ok(list.lines().filter(inside).map(str::to_owned).collect())
        }
        Err(_) => {
            let empty =
                fs::read_dir(directory).map_or(true, |mut entries| entries.next().is_none());
            match empty {
                true => Ok(BTreeSet::new()),
                false => Err(ExportError::Foreign(directory.to_owned())),
            }
        }
    }
}

/// Removes the directories of a file that have nothing in them any more.
fn remove_empty(directory: &Path, file: &str) {
    let mut parent = Path::new(file).parent();
    while let Some(path) = parent.filter(|path| !path.as_os_str().is_empty()) {
        if fs::remove_dir(directory.join(path)).is_err() {
            return;
        }
        parent = path.parent();
    }
}

/// The last two full runs.
fn compared(snapshot: &Snapshot) -> Option<(RunId, RunId)> {
    let since = snapshot.status.since.as_deref()?.parse().ok()?;
    let run = snapshot.status.full_run.as_deref()?.parse().ok()?;
    (snapshot.run(&since).is_some() && snapshot.run(&run).is_some()).then_some((since, run))
}

/// The logs of what fails now: run and path.
fn logs(view: &View<'_>) -> Result<BTreeSet<(String, String)>, ExportError> {
    let mut logs = BTreeSet::new();
    let (packages, runs) = (view.ecosystem.data.packages(), view.ecosystem.data.runs());
    for (package, status) in view.snapshot.status.standing() {
        let own = status.failures.iter().filter(|failing| !failing.is_blocked());
        let own: Vec<_> = own.collect();
        let Ok(name) = package.parse::<PackageName>() else { continue };
        if own.is_empty() {
            continue;
        }
        let fails = |entry: &Entry| {
            let build = entry.result.build_hash.as_ref().map_or("", |hash| hash.as_str());
            own.iter().any(|it| it.stage == entry.result.stage && it.build_hash == build)
        };
        // A failure that a later run only believed has its log in the run that saw it.
        let logged = |entry: &Entry| entry.result.log.is_some() && fails(entry);
        for entry in history::read_latest_that(&packages, &name, logged)? {
            // Logs go with their runs, and histories stay.
            let kept = |log: &&LogFile| run_log::open_path(&runs, &entry.run, &log.path).is_ok();
            if let Some(log) = entry.result.log.as_ref().filter(kept) {
                logs.insert((entry.run.to_string(), log.path.clone()));
            }
        }
    }
    Ok(logs)
}

/// Everything that the site consists of.
fn parts(
    view: &View<'_>,
    compared: Option<&(RunId, RunId)>,
    logs: &BTreeSet<(String, String)>,
) -> Result<Vec<Part>, ExportError> {
    let all = Page::Packages(Filter::default());
    let mut pages =
        vec![Page::Overview, all, Page::Runs, Page::Maintainers, Page::Docs, Page::Cache];
    let people = view.ecosystem.people.all();
    pages.extend(people.iter().map(|person| Page::Maintainer(person.slug.clone())));
    pages.extend(
        view.snapshot.runs.iter().map(|run| Page::Run(run.run_id.clone(), Filter::default())),
    );
    let all = Filter::default;
    pages.extend(compared.map(|(base, is)| Page::Compare(base.clone(), is.clone(), all())));
    let packages = view.snapshot.status.packages.keys();
    let packages: Vec<PackageName> = packages.filter_map(|name| name.parse().ok()).collect();
    pages.extend(packages.iter().cloned().map(Page::Package));
    let mut documents = vec![
        Document::Feed(None),
        Document::OpenApi,
        Document::Style,
        Document::Script,
        Document::Icon,
    ];
    documents.extend(people.into_iter().map(|person| Document::Feed(Some(person.slug))));
    for (name, _) in view.snapshot.status.standing() {
        let Ok(name) = name.parse::<PackageName>() else { continue };
        documents.extend([Document::BadgeSvg(name.clone()), Document::BadgeJson(name)]);
    }
    for page in pages {
        documents.extend([Document::Html(page.clone()), Document::Json(page)]);
    }
    let logs =
        logs.iter().filter_map(|(run, path)| Some(Part::Log(run.parse().ok()?, path.clone())));
    let documentation = documentation::files(&view.ecosystem.data.html())?;
    let documentation = documentation.into_iter().map(Part::Documentation);
    let documents = documents.into_iter().map(Part::Document);
    Ok(documents.chain(logs).chain(documentation).chain([Part::NoJekyll]).collect())
}

/// Writes a file. Returns whether it said something else before.
fn write(
    view: &View<'_>,
    part: &Part,
    directory: &Path,
    compared: Option<&(RunId, RunId)>,
    logs: &Arc<BTreeSet<(String, String)>>,
) -> Result<bool, ExportError> {
    let file = part.file();
    let depth = file.matches('/').count();
    let links = Links::Files(Files { depth, compared: compared.cloned(), logs: logs.clone() });
    let made = match part {
        Part::Document(document) => make::document(view, document, &links).map(Some),
        Part::Log(run, path) => {
            let frame = Frame {
                name: view.ecosystem.name.as_deref(),
                links: &links,
                kept: Some(view.snapshot),
            };
            web::log_page(&frame, &view.ecosystem.data.runs(), run, path)
        }
        Part::Documentation(path) => Ok(documentation(&view.ecosystem.data.html(), path)?),
        Part::NoJekyll => Ok(Some(Vec::new())),
    };
    let content = match made {
        Ok(Some(content)) => content,
        // It went while the others were written.
        Ok(None) => return Ok(false),
        Err(NoPage::Data(error)) => return Err(error.into()),
        Err(NoPage::Missing(why)) => return Err(ExportError::Page { path: file, why }),
    };
    let path = directory.join(&file);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(|source| failed(parent, source))?;
    }
    Ok(file::write_if_changed(&path, &content, Durability::Process)?)
}

/// A file of documentation, in which nothing runs; `None` where it is no more.
fn documentation(html: &Path, path: &str) -> Result<Option<Vec<u8>>, ExportError> {
    let Ok(mut file) = file::open_below(html, path) else { return Ok(None) };
    let mut content = Vec::new();
    file.read_to_end(&mut content).map_err(|source| {
        let (action, path) = ("read", html.join(path));
        ExportError::Data(larder_runs::Error::Io { action, path, source })
    })?;
    Ok(Some(documentation::passive(path, content)))
}
