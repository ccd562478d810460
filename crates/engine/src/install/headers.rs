//! Public headers: those that a library names, else those in the include directories that it gives to whoever
//! links it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use larder_project::{
    glob::Globber,
    plan::{Directory, Kind, Plan},
};

use super::{InstallError, Library, collect::Files};

/// The extensions of what sources include.
const EXTENSIONS: [&str; 9] = ["h", "hh", "hpp", "hxx", "h++", "H", "inl", "ipp", "tcc"];

/// Adds the headers of a library, with the layout below its include directories.
pub fn collect(plan: &Plan, library: Library, files: &mut Files) -> Result<(), InstallError> {
    let package = plan.package(library.package);
    let named = &package.manifest.libraries[library.index].headers;
    let directories = directories(plan, library);
    if named.is_empty() {
        return directories.iter().try_for_each(|base| add(base, base, files));
    }
    let own = &package.place.directory;
    let mut globber = Globber::new(own.clone());
    for pattern in named {
        // The build has expanded it before.
        for path in globber.expand(pattern).unwrap_or_default() {
            let path = own.join(path.as_str());
            let below = directories.iter().find_map(|base| path.strip_prefix(base).ok());
            let inside = below.or_else(|| path.strip_prefix(own).ok()).unwrap_or(&path);
            files.add(Path::new("include").join(inside), path.clone(), false)?;
        }
    }
    // Nobody can name generated headers, so all of them are for users.
    let built = directories
        .iter()
        .filter(|base| !base.starts_with(own) || base.starts_with(own.join(".larder")));
    built.into_iter().try_for_each(|base| add(base, base, files))
}

/// The include directories of a library that are for its users, too, absolute.
fn directories(plan: &Plan, library: Library) -> Vec<PathBuf> {
    let package = plan.package(library.package);
    let (own, root) = (&package.place.directory, &plan.workspace.root);
    let build = root.join(package.place.build_directory().as_str());
    let lists = &package.manifest.libraries[library.index].compiled.lists;
    let objects = plan.targets.iter().find_map(|target| match &target.kind {
        Kind::Objects(objects) if Library::of(target) == Some(library) => Some(objects),
        _ => None,
    });
    let mut found = Vec::new();
    for template in &lists.includes {
        let text = template.text.trim_end_matches('/').trim_start_matches("./");
        let below = |hole: &str| Some(text.strip_prefix(hole)?.trim_start_matches('/'));
        if let Some(path) = below("{build}") {
            found.push(build.join(path));
        } else if let Some(path) = below("{package}") {
            found.push(own.join(path));
        } else if !text.starts_with(['{', '/']) {
            found.push(own.join(if text == "." { "" } else { text }));
        }
    }
    // Directories that commands make have no path in the manifest.
    let private =
        |it: &&Directory| objects.is_none_or(|objects| !objects.private_includes.contains(it));
    for directory in objects.into_iter().flat_map(|objects| &objects.includes).filter(private) {
        let (owner, built, path) = directory.place();
        let path = build.join(path);
        if built && owner == library.package && !found.contains(&path) {
            found.push(path);
        }
    }
    found
}

fn add(base: &Path, directory: &Path, files: &mut Files) -> Result<(), InstallError> {
    let failed = |source| InstallError::Io { path: directory.to_owned(), source };
    let mut entries = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        entries.push(entry.map_err(failed)?);
    }
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name();
        // Hidden things, and the build directories of other packages.
        if name.as_encoded_bytes().starts_with(b".") || name.as_encoded_bytes().starts_with(b"@") {
            continue;
        }
        let path = entry.path();
        let is_header =
            path.extension().is_some_and(|found| EXTENSIONS.iter().any(|known| found == *known));
        if path.is_dir() {
            add(base, &path, files)?;
        } else if is_header && let Ok(inside) = path.strip_prefix(base) {
            files.add(Path::new("include").join(inside), path.clone(), false)?;
        }
    }
    Ok(())
}
