//! `init` and `clean`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use larder_engine::{
    event::{Event, Reporter},
    init,
};
use larder_project::{
    init::{LeftOut, Place},
    scaffold,
    workspace::Workspace,
};
use serde_json::json;

use super::{App, here};
use crate::exit::{Exit, Failure};

/// Write a manifest for the sources that are here, or for a new package
///
/// What CMakeLists.txt, meson.build or compile_commands.json say counts, in this order; else the sources
/// themselves do. CMake and Meson are run in a temporary directory, and run what the package has for them.
#[derive(Args)]
pub struct Init {
    /// The directory; created if it is missing
    #[arg(id = "package-directory", value_name = "DIR", default_value = ".")]
    directory: PathBuf,
    /// The package's name [default: the directory's]
    #[arg(long)]
    name: Option<String>,
    /// Read this and nothing else
    #[arg(long, value_name = "WHAT")]
    from: Option<From>,
    /// Print the manifest, and write nothing
    #[arg(long)]
    dry_run: bool,
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
    for caution in &made.package.cautions {
        app.ui.status(caution);
        app.ui.event_json(&json!({ "event": "caution", "text": caution }));
    }
    for left_out in &made.package.left_out {
        app.ui.event_json(&json!({
            "event": "leftOut",
            "what": left_out.what,
            "why": left_out.why,
        }));
    }
    for (what, why) in by_reason(&made.package.left_out) {
        let shown = if app.ui.is_verbose() { what.len() } else { what.len().min(MOST_SHOWN) };
        let rest = match what.len() - shown {
            0 => String::new(),
            rest => format!(" and {rest} more"),
        };
        app.ui.status(&format!("left out {}{rest}: {why}", what[..shown].join(", ")));
    }
    if arguments.dry_run {
        let manifest = made.package.manifest();
        app.ui.result(manifest.trim_end());
        app.ui.event_json(&json!({ "event": "manifest", "text": manifest }));
    }
    for path in &made.written {
        app.ui.status(&format!("wrote {}", path.display()));
    }
    Ok(Exit::Done)
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
