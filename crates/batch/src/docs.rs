//! Published documentation: where it is, and the page that leads to all of it.
//!
//! ```text
//! DATA/html/index.html                        links to all blessed pages
//! DATA/html/p/<name>/<version>/               of the blessed build of a package
//! DATA/html/u/<universe>/<name>/<version>/    of the others
//! ```

use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use larder_runs::{
    DataDir,
    atomic_swap::Swap,
    file::{self, Durability},
    name::{HashName, PackageName},
};

use crate::{
    build::{self, BuildTask, Failure, Log, Staged, Workshop},
    layer::Layer,
    version,
};

/// Returns the directory of the documentation of a build.
pub fn place(data: &DataDir, package: &PackageName, universe: &HashName, blessed: bool) -> PathBuf {
    let html = data.html();
    let above = match blessed {
        true => html.join("p"),
        false => html.join("u").join(universe.as_str()),
    };
    above.join(package.name()).join(package.version())
}

/// Makes the documentation of a package, and puts it in `place` in one step. When it fails, the pages that are there
/// stay.
pub fn publish(
    shop: &Workshop,
    task: &BuildTask,
    layer: &Layer,
    place: &Path,
    log: &Log,
) -> Staged {
    build::document(shop, task, layer, log, |made| {
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
