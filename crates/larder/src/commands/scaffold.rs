//! `init` and `clean`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use larder_engine::{
    event::{Event, Reporter},
    init,
};
use larder_project::{
    init::{LeftOut, Place},
    scaffold::{self, ScaffoldError},
    set::first,
    workspace::Workspace,
};
use serde_json::json;

use super::{App, here};
use crate::exit::{Exit, Failure};

/// Write a manifest for the sources that are here, or for a new package; or a package set
///
/// What CMakeLists.txt, meson.build or compile_commands.json say counts, in this order; else the sources
/// themselves do. CMake and Meson are run in a temporary directory, and run what the package has for them.
#[derive(Args)]
pub struct Init {
    /// The directory; created if it is missing
    #[arg(id = "package-directory", value_name = "DIR", default_value = ".")]
    directory: PathBuf,
    /// The package's name [default: what CMake or Meson calls the project, else the directory's]
    #[arg(long)]
    name: Option<String>,
    /// What to write: the manifest of a package, or larder-set.toml for the packages below
    #[arg(long, value_name = "WHAT", default_value = "package")]
    template: Kind,
    /// Read this and nothing else
    #[arg(long, value_name = "WHAT")]
    from: Option<From>,
    /// Print it, and write nothing
    #[arg(long)]
    dry_run: bool,
}

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// larder.toml
    Package,
    /// larder-set.toml
    Set,
}

/// What a manifest is made from.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum From {
    /// CMakeLists.txt, by CMake's file API
    Cmake,
    /// meson.build, by Meson's introspection
    Meson,
    /// compile_commands.json
    Compdb,
    /// The sources alone
    Sources,
}

/// Remove everything that was built
#[derive(Args)]
pub struct Clean {}

/// Runs `larder init`.
pub fn init(app: &App, arguments: &Init) -> Result<Exit, Failure> {
    if arguments.template == Kind::Set {
        return init_set(app, arguments);
    }
    let place = Place::new(&arguments.directory, arguments.name.as_deref(), !arguments.dry_run)?;
    let from = arguments.from.map(|from| match from {
        From::Cmake => init::Source::Cmake,
        From::Meson => init::Source::Meson,
        From::Compdb => init::Source::Compdb,
        From::Sources => init::Source::Sources,
    });
    let asking = |tool: &str| app.ui.working(&format!("asking {tool}, which may take a minute"));
    let made = init::make(&place, from, &app.environment, arguments.dry_run, &asking);
    app.ui.clear();
    let made = made?;
    made.package.cautions.iter().for_each(|text| caution(app, text));
    show_left_out(app, &made.package.left_out);
    if arguments.dry_run {
        show_text(app, &made.package.manifest());
    }
    for path in &made.written {
        app.ui.status(&format!("wrote {}", path.display()));
    }
    Ok(Exit::Done)
}

/// Writes `larder-set.toml`.
fn init_set(app: &App, arguments: &Init) -> Result<Exit, Failure> {
    if arguments.from.is_some() {
        return Err(Failure::wrong("--from is about the manifest of a package, not about a set"));
    }
    let directory = &arguments.directory;
    if !arguments.dry_run {
        first::place(directory)?;
    }
    let directory = directory
        .canonicalize()
        .map_err(|source| ScaffoldError::Io { path: directory.clone(), source })?;
    let own = directory.file_name().unwrap_or_default().to_string_lossy();
    let mut set = first::survey(&directory, arguments.name.as_deref().unwrap_or(&own))?;
    set.compilers = init::installed_compilers(&app.environment);
    show_left_out(app, &set.left_out);
    if set.packages.is_empty() && set.trees.is_empty() {
        caution(
            app,
            "there are no packages here: neither a larder.toml nor a source tree of others",
        );
    }
    if set.compilers.is_empty() {
        caution(app, "there is no compiler on PATH, and a set needs one");
    }
    if arguments.dry_run {
        show_text(app, &set.text());
        return Ok(Exit::Done);
    }
    app.ui.status(&format!("wrote {}", set.write(&directory)?.display()));
    Ok(Exit::Done)
}

fn caution(app: &App, text: &str) {
    app.ui.status(text);
    app.ui.event_json(&json!({ "event": "caution", "text": text }));
}

/// Prints what would be written.
fn show_text(app: &App, text: &str) {
    app.ui.result(text.trim_end());
    app.ui.event_json(&json!({ "event": "manifest", "text": text }));
}

/// Tells what is left out, and why.
fn show_left_out(app: &App, left_out: &[LeftOut]) {
    for LeftOut { what, why } in left_out {
        app.ui.event_json(&json!({ "event": "leftOut", "what": what, "why": why }));
    }
    for (what, why) in by_reason(left_out) {
        let shown = if app.ui.is_verbose() { what.len() } else { what.len().min(MOST_SHOWN) };
        let rest = match what.len() - shown {
            0 => String::new(),
            rest => format!(" and {rest} more"),
        };
        app.ui.status(&format!("left out {}{rest}: {why}", what[..shown].join(", ")));
    }
}

/// So many of what is left out for one reason are named; all of them with `-v`.
const MOST_SHOWN: usize = 4;

/// What is left out, by its reason.
fn by_reason(left_out: &[LeftOut]) -> Vec<(Vec<&str>, &str)> {
    let mut found: Vec<(Vec<&str>, &str)> = Vec::new();
    for LeftOut { what, why } in left_out {
        match found.iter_mut().find(|(_, known)| known == why) {
            Some((all, _)) => all.push(what),
            None => found.push((vec![what], why)),
        }
    }
    found
}

/// Runs `larder clean`.
pub fn clean(app: &App, _: &Clean) -> Result<Exit, Failure> {
    let root = Workspace::find_root(here())?;
    scaffold::clean(&root, |holder| app.ui.event(&Event::Waiting { holder }))?;
    Ok(Exit::Done)
}
