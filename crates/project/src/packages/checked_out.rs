//! Packages that come from Git.

use std::{fs, path::Path};

use super::{Baked, Content, Form, PackageError, Remote, Sources, unwritable};
use crate::{
    git::{self, Commit, GitError, Origin},
    repository::Repository,
};

/// In a checkout's `.git`: the commit that larder put there, and whether with its submodules.
const MARK: &str = ".git/larder";

/// Whether `place` holds what was checked out as `form`, which is of `commit`.
pub(super) fn is_checked_out(place: &Path, form: &Form, commit: &Commit) -> bool {
    let is_marked = || match fs::read_to_string(place.join(MARK)) {
        Ok(mark) => mark == form.to_string(),
        Err(_) => !form.submodules,
    };
    git::head(place).as_ref() == Some(commit) && is_marked()
}

/// Makes a checkout of `commit`, as `form` says, in `directory`.
pub(super) fn make(
    name: &str,
    form: &Form,
    commit: &Commit,
    sources: &Sources<'_>,
    directory: &Path,
) -> Result<(), PackageError> {
    check_out(name, commit, sources, directory)?;
    if form.submodules {
        let repository = match sources.from {
            Some(Remote::Repository(repository)) => Some(repository),
            _ => None,
        };
        let parent = Parent { name, directory, commit, repository };
        parent.fill(sources.baked, DEEPEST)?;
    }
    let mark = directory.join(MARK);
    fs::write(&mark, form.to_string()).map_err(unwritable(&mark))
}

/// How deep submodules may be in each other.
const DEEPEST: u32 = 16;

/// A commit that is checked out and whose submodules are not.
struct Parent<'a> {
    name: &'a str,
    directory: &'a Path,
    commit: &'a Commit,
    /// Its repository, where something may be fetched.
    repository: Option<&'a Repository>,
}

impl Parent<'_> {
    /// Checks out its submodules, and theirs.
    fn fill(&self, baked: Option<&dyn Baked>, deepest: u32) -> Result<(), PackageError> {
        let Self { name, directory, commit, .. } = *self;
        for submodule in git::submodules(name, directory, commit)? {
            let repository = self
                .repository
                .map(|parent| git::repository_of(name, directory, commit, &submodule, parent));
            let repository = repository.transpose()?;
            let place = directory.join(&submodule.path);
            let failed = |reason: String| {
                let (url, path) = (name.to_owned(), submodule.path.clone());
                PackageError::Git(GitError::Submodule { url, path, reason })
            };
            if deepest == 0 {
                return Err(failed("submodules are in each other too deep".to_owned()));
            }
            let content = Content::Commit(submodule.commit.clone());
            let baked_too = baked.filter(|baked| baked.has(&content) == Ok(true));
            if baked_too.is_none() && repository.is_none() {
                return Err(failed("it is not in the offline store".to_owned()));
            }
            // Git has made an empty directory for it.
            let from = repository.as_ref().map(Remote::Repository);
            let label = format!("{name}/{}", submodule.path);
            check_out(&label, &submodule.commit, &Sources { baked: baked_too, from }, &place)?;
            let commit = &submodule.commit;
            let child = Parent { name, directory: &place, commit, repository: repository.as_ref() };
            child.fill(baked, deepest - 1)?;
        }
        Ok(())
    }
}

/// Checks `commit` out into `directory`, from the first source that has it.
fn check_out(
    name: &str,
    commit: &Commit,
    sources: &Sources<'_>,
    directory: &Path,
) -> Result<(), PackageError> {
    let short = commit.short();
    if let Some(baked) = sources.baked {
        let store = baked.directory();
        let unusable = check_out_baked(name, commit, baked, directory)?;
        let Err(reason) = unusable else { return Ok(()) };
        if sources.from.is_none() {
            return Err(PackageError::Baked { store: store.to_owned(), reason });
        }
        let store = store.display();
        tracing::info!("`{name}` {short} in offline store {store} treated as absent: {reason}");
        let _ = fs::remove_dir_all(directory);
    }
    if let Some(Remote::Repository(repository)) = sources.from {
        tracing::info!("fetching `{name}` {short} from {}", repository.url());
        git::check_out(Origin::Repository(repository), commit, directory)?;
    }
    Ok(())
}

/// Checks `commit` out of the offline store, or returns why what is there cannot be used.
fn check_out_baked(
    name: &str,
    commit: &Commit,
    baked: &dyn Baked,
    directory: &Path,
) -> Result<Result<(), String>, PackageError> {
    let store = baked.directory().display();
    tracing::debug!("checking `{name}` {} out of offline store {store}", commit.short());
    // Beside the checkout, where there is room for it, and without a name.
    let beside = directory.parent().unwrap_or(directory);
    let file = tempfile::tempfile_in(beside).map_err(unwritable(beside))?;
    if let Err(reason) = baked.copy(&Content::Commit(commit.clone()), &file) {
        return Ok(Err(reason));
    }
    match git::check_out(Origin::Objects { file: &file, name }, commit, directory) {
        // That is nothing that the store could help.
        Err(error @ GitError::Run(_)) => Err(error.into()),
        checked_out => Ok(checked_out.map_err(|error| error.to_string())),
    }
}

/// What in the checkout at `place` is not as larder has made it.
pub(super) fn change(name: &str, place: &Path) -> Result<Option<String>, GitError> {
    let Ok(mark) = fs::read_to_string(place.join(MARK)) else {
        return Ok(Some("it is not what larder checked out".to_owned()));
    };
    let (commit, with) = mark.split_once('+').unwrap_or((&mark, ""));
    let commit: Option<Commit> = commit.parse().ok();
    let Some(commit) = commit.filter(|commit| git::head(place).as_ref() == Some(commit)) else {
        return Ok(Some("another commit or a branch is checked out".to_owned()));
    };
    let mut parts = vec![(place.to_owned(), commit.clone())];
    if !with.is_empty() {
        parts.extend(git::all_submodules(name, place, &commit)?);
    }
    for (directory, commit) in &parts {
        let below = directory.strip_prefix(place).unwrap_or(directory);
        if git::head(directory).as_ref() != Some(commit) {
            let below = below.display();
            return Ok(Some(format!("another commit or a branch is checked out in {below}")));
        }
        if let Some(file) = git::first_change(name, directory)? {
            let file = below.join(file);
            return Ok(Some(format!("{} is not as it was checked out", file.display())));
        }
    }
    Ok(None)
}

/// The submodule of the package in `directory` that `path`, a path or pattern of it, leads into, and that
/// nobody has fetched.
pub fn missing_submodule(directory: &Path, path: &str) -> Option<String> {
    let modules = fs::read_to_string(directory.join(".gitmodules")).ok()?;
    let paths = modules.lines().filter_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == "path").then(|| value.trim().trim_matches('"'))
    });
    let is_empty =
        |path: &str| fs::read_dir(directory.join(path)).is_ok_and(|mut all| all.next().is_none());
    let leads_into = |module: &&str| {
        Path::new(path.trim_start_matches("./")).starts_with(module) && is_empty(module)
    };
    paths.filter(|path| !path.is_empty()).find(leads_into).map(str::to_owned)
}
