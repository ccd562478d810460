//! `init` and `clean`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use larder_engine::{
    event::{Event, Reporter},
    init,
};
use larder_project::{init::Place, scaffold, workspace::Workspace};
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
    let made = init::make(&place, from, &app.environment, arguments.dry_run)?;
    for left_out in &made.package.left_out {
        app.ui.status(&format!("left out {}: {}", left_out.what, left_out.why));
        app.ui.event_json(&json!({
            "event": "leftOut",
            "what": left_out.what,
            "why": left_out.why,
        }));
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

/// Runs `larder clean`.
pub fn clean(app: &App, _: &Clean) -> Result<Exit, Failure> {
    let root = Workspace::find_root(here())?;
    scaffold::clean(&root, |holder| app.ui.event(&Event::Waiting { holder }))?;
    Ok(Exit::Done)
}
