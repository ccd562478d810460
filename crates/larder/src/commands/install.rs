//! `install`.

use std::path::{Path, PathBuf};

use clap::Args;
use larder_engine::{
    context::Mode,
    install::{self, Extent, InstallError, Layout, Removed},
};
use larder_project::{name::TargetName, plan::PackageId};
use larder_trace::Level;
use serde_json::json;

use super::{
    App,
    build::{BuildOptions, load, request, run, summarize_work},
};
use crate::exit::{Exit, Failure};

/// Build and install programs, libraries, headers, and files for pkg-config and CMake
///
/// What a package has installed in a prefix is recorded there, in share/larder. What an earlier installation of the whole
/// package put there, and this one does not, is removed.
#[derive(Args)]
pub struct Install {
    /// Targets [default: the package's default targets, but no tests]
    #[arg(value_name = "TARGET")]
    targets: Vec<TargetName>,
    /// Where to install, below DESTDIR if that is set
    #[arg(long, value_name = "DIR", default_value = "/usr/local")]
    prefix: PathBuf,
    /// Where libraries go, below the prefix
    #[arg(long, value_name = "DIR", default_value = "lib")]
    libdir: String,
    /// Build, and list what would be installed
    #[arg(long)]
    dry_run: bool,
    /// List what the package has installed in the prefix
    #[arg(long, conflicts_with_all = ["targets", "dry_run", "uninstall"])]
    list: bool,
    /// Remove what the package has installed in the prefix; with --dry-run, list it
    #[arg(long, conflicts_with = "targets")]
    uninstall: bool,
    #[command(flatten)]
    options: BuildOptions,
}

/// Runs `larder install`.
pub fn install(app: &App, arguments: &Install) -> Result<Exit, Failure> {
    let stage = app.environment.get("DESTDIR").filter(|stage| !stage.is_empty());
    let layout = Layout {
        prefix: arguments.prefix.clone(),
        libraries: arguments.libdir.trim_end_matches('/').to_owned(),
        stage: stage.map(PathBuf::from),
    };
    let layout = layout.checked().map_err(Failure::wrong)?;
    let plan = load(app, &arguments.options)?;
    let package = plan.package(PackageId::ROOT).place.name.clone();
    if arguments.list || (arguments.uninstall && arguments.dry_run) {
        for path in install::list(&package, &layout)? {
            tell(app, "installed", &path, arguments.dry_run);
            app.ui.result(&path.display().to_string());
        }
        return Ok(Exit::Done);
    }
    if arguments.uninstall {
        let removed = install::uninstall(&package, &layout)?;
        tell_removed(app, &layout, &removed);
        let (count, directory) = (removed.removed.len(), layout.directory());
        app.ui.status(&format!("removed {count} files from {}", directory.display()));
        return Ok(Exit::Done);
    }
    let targets = install::targets(&plan, &arguments.targets)?;
    if targets.is_empty() {
        return Err(Failure::wrong("the package has nothing to install").hint(
            "libraries and executables are installed, unless they are tests or say install = false",
        ));
    }
    let mode = arguments.options.mode();
    let mut request = request(app, &targets, &arguments.options, mode);
    request.run_path = Some(layout.run_path());
    let (report, exit) = run(app, &arguments.options, &request)?;
    summarize_work(app, &report, exit);
    if exit != Exit::Done || mode == Mode::DryRun {
        return Ok(exit);
    }
    let contents = install::contents(&report, &layout)?;
    let directory = layout.directory();
    for file in &contents.files {
        let path = directory.join(&file.path);
        if arguments.dry_run {
            app.ui.result(&path.display().to_string());
        }
        tell(app, "installed", &path, arguments.dry_run);
    }
    for note in &contents.notes {
        app.ui.note(Level::Warning, note);
    }
    if !arguments.dry_run {
        let extent = if arguments.targets.is_empty() { Extent::Whole } else { Extent::Part };
        let removed = install::put(&package, &contents.files, &layout, extent)?;
        tell_removed(app, &layout, &removed);
        let count = contents.files.len();
        app.ui.status(&format!("installed {count} files in {}", directory.display()));
    }
    Ok(Exit::Done)
}

fn tell(app: &App, event: &str, path: &Path, dry_run: bool) {
    let path = path.display().to_string();
    app.ui.event_json(&json!({ "event": event, "path": path, "dryRun": dry_run }));
}

/// Says what was removed of an earlier installation, and what was not.
fn tell_removed(app: &App, layout: &Layout, removed: &Removed) {
    let directory = layout.directory();
    for path in &removed.removed {
        let path = directory.join(path);
        tell(app, "removed", &path, false);
        if app.ui.is_verbose() {
            app.ui.status(&format!("removed {}", path.display()));
        }
    }
    for (path, why) in &removed.kept {
        let path = directory.join(path).display().to_string();
        app.ui.status(&format!("left {path}: {why}"));
        app.ui.event_json(&json!({ "event": "kept", "path": path, "why": why }));
    }
}

impl From<InstallError> for Failure {
    fn from(error: InstallError) -> Self {
        match error {
            InstallError::Nothing { .. } => {
                Self::failed(error).hint("--prefix says where to look, and DESTDIR")
            }
            InstallError::Record { .. } => Self::failed(error)
                .hint("remove that file: what is installed stays, and counts as not larder's"),
            error => Self::failed(error),
        }
    }
}
