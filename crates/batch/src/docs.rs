//! Published documentation: where it is, and the page that leads to all of it.
//!
//! ```text
//! DATA/html/index.html                        links to all blessed pages
//! DATA/html/p/<name>/<version>/               of the blessed build of a package
//! DATA/html/u/<universe>/<name>/<version>/    of the others
//! ```

use std::{fmt::Write, fs, path::Path};

use larder_runs::{
    DataDir,
    atomic_swap::Swap,
    file::{self, Durability},
    version,
};

use crate::{
    build::{self, BuildTask, Documentation, Failure, Log, Pages, Staged, Workshop},
    catalogue::Catalogue,
    graph::{Build, BuildId, Builds},
    layer::Layer,
};

/// Returns where the documentation of a build is to be, and that which it reads, as it is now.
pub fn of_build(html: &Path, id: BuildId, builds: &Builds, catalogue: &Catalogue) -> Documentation {
    let read = read_by(builds.get(id), builds, catalogue).into_iter().map(|need| {
        let build = builds.get(need);
        Pages::read(html, &catalogue.get(build.package).id, place(build, catalogue))
    });
    let mut reads: Vec<Pages> = read.collect();
    // Whatever else is in the set: the same order makes the same hashes.
    reads.sort_by(|a, b| a.package.cmp(&b.package));
    Documentation { place: place(builds.get(id), catalogue), reads }
}

/// The place of the documentation of a build, a path below `DATA/html`.
fn place(build: &Build, catalogue: &Catalogue) -> String {
    let package = &catalogue.get(build.package).id;
    let (name, version) = (package.name(), package.version());
    match build.blessed {
        true => format!("p/{name}/{version}"),
        false => format!("u/{}/{name}/{version}", build.universe),
    }
}

/// The builds whose documentation is read where that of a build is made, of all that it needs.
pub fn read_by(build: &Build, builds: &Builds, catalogue: &Catalogue) -> Vec<BuildId> {
    let names = build::read_docs(&catalogue.get(build.package).docs.lines);
    if names.is_empty() {
        return Vec::new();
    }
    let name = |id: &BuildId| &*catalogue.get(builds.get(*id).package).name;
    build.closure.iter().copied().filter(|id| names.contains(name(id))).collect()
}

/// Makes the documentation of a package, and puts it in its place in one step. When it fails, the pages that are there
/// stay.
pub fn publish(
    shop: &Workshop,
    task: &BuildTask,
    layer: &Layer,
    docs: &Documentation,
    log: &Log,
) -> Staged {
    let place = &shop.data.html().join(&docs.place);
    build::document(shop, task, layer, docs, log, |made| {
        let failed = |error: larder_runs::Error| Failure::of_machine(error.to_string());
        let swap = Swap::begin(place).map_err(failed)?;
        fs::rename(made, swap.dir())
            .map_err(|error| Failure::of_io("cannot keep the documentation", place, &error))?;
        swap.commit().map_err(failed)
    })
}

/// Writes the page that leads to the documentation of every package, newest versions first. A page that would not
/// change is not written.
///
/// # Errors
/// When a directory cannot be listed, or the page not be written.
pub fn write_index(data: &DataDir) -> larder_runs::Result<()> {
    let blessed = data.html().join("p");
    let mut rows = String::new();
    for name in names(&blessed)? {
        let mut versions = names(&blessed.join(&name))?;
        versions.sort_by(|one, other| version::compare(other, one));
        let links: Vec<String> = versions
            .iter()
            .map(|version| {
                let version = escaped(version);
                format!("<a href=\"p/{0}/{version}/index.html\">{version}</a>", escaped(&name))
            })
            .collect();
        // Writing to a text does not fail.
        _ = writeln!(
            rows,
            "<tr><th scope=\"row\">{}</th><td>{}</td></tr>",
            escaped(&name),
            links.join(" ")
        );
    }
    if rows.is_empty() {
        return Ok(());
    }
    let page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>Documentation</title>\n\
         <h1>Documentation</h1>\n<table>\n{rows}</table>\n</html>\n"
    );
    let path = data.html().join("index.html");
    file::write_if_changed(&path, page.as_bytes(), Durability::Process).map(drop)
}

/// The directories in one, sorted, but those that pages are made in; none where it is not there.
fn names(directory: &Path) -> larder_runs::Result<Vec<String>> {
    let mut names = file::names(directory)?;
    names.retain(|name| !name.starts_with('.') && directory.join(name).is_dir());
    Ok(names)
}

/// A name as text of a page: names of packages have nothing in them that means something there, but a directory may
/// have been made by anybody.
fn escaped(text: &str) -> String {
    let mut safe = String::new();
    for c in text.chars() {
        match c {
            '&' => safe += "&amp;",
            '<' => safe += "&lt;",
            '>' => safe += "&gt;",
            '"' => safe += "&quot;",
            c => safe.push(c),
        }
    }
    safe
}
