//! Published documentation: where it is, and the page that leads to all of it.
//!
//! ```text
//! DATA/html/index.html                        links to all of them
//! DATA/html/p/<name>/<version>/               of the blessed build of a package
//! DATA/html/u/<universe>/<name>/<version>/    of the others
//! ```

use std::{collections::BTreeMap, fmt::Write, fs, path::Path};

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

/// Writes the page that leads to the documentation of every package, newest versions first: to that of the blessed build,
/// and to those of other universes. A page that would not change is not written.
///
/// # Errors
/// When a directory cannot be listed, or the page not be written.
pub fn write_index(data: &DataDir) -> larder_runs::Result<()> {
    let html = data.html();
    let universes = names(&html.join("u"))?;
    let others = universes.iter().map(|universe| format!("u/{universe}"));
    let mut found: BTreeMap<String, BTreeMap<String, Vec<String>>> = BTreeMap::new();
    for place in ["p".to_owned()].into_iter().chain(others) {
        for name in names(&html.join(&place))? {
            for version in names(&html.join(&place).join(&name))? {
                let directory = format!("{place}/{name}/{version}");
                if let Some(page) = first_page(&html.join(&directory))? {
                    let versions = found.entry(name.clone()).or_default();
                    versions.entry(version).or_default().push(format!("{directory}/{page}"));
                }
            }
        }
    }
    if found.is_empty() && !html.join(INDEX).exists() {
        return Ok(());
    }
    let mut rows = String::new();
    for (name, versions) in &found {
        let mut versions: Vec<_> = versions.iter().collect();
        versions.sort_by(|(one, _), (other, _)| version::compare(other, one));
        let links: Vec<String> =
            versions.iter().flat_map(|(version, pages)| links(version, pages)).collect();
        // Writing to a text does not fail.
        _ = writeln!(
            rows,
            "<tr><th scope=\"row\">{}</th><td>{}</td></tr>",
            escaped(name),
            links.join(" ")
        );
    }
    let page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>Documentation</title>\n\
         <h1>Documentation</h1>\n<table>\n{rows}</table>\n</html>\n"
    );
    file::write_if_changed(&html.join(INDEX), page.as_bytes(), Durability::Process).map(drop)
}

/// The page of a directory that is shown for it.
pub const INDEX: &str = "index.html";

/// The links to the pages of a version: by its name to the first, which is the blessed one's where there is one, and by the
/// beginnings of their universes' names to the others.
fn links(version: &str, pages: &[String]) -> Vec<String> {
    /// So much of a universe's name tells it from others.
    const SHORT: usize = 8;
    let link = |(number, page): (usize, &String)| {
        let universe = page.strip_prefix("u/").and_then(|rest| rest.get(..SHORT));
        let text = match universe {
            Some(universe) if number > 0 => format!("({universe})"),
            _ => version.to_owned(),
        };
        format!("<a href=\"{}\">{}</a>", escaped(page), escaped(&text))
    };
    pages.iter().enumerate().map(link).collect()
}

/// The page of a directory to begin with; none where there is no file in it.
fn first_page(directory: &Path) -> larder_runs::Result<Option<String>> {
    let mut files = file::names(directory)?;
    files.retain(|name| !name.starts_with('.') && directory.join(name).is_file());
    let index = files.iter().position(|name| name == INDEX);
    Ok(files.into_iter().nth(index.unwrap_or(0)))
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
