//! `install`.

use std::path::PathBuf;

use clap::Args;
use larder_engine::{
    context::Mode,
    install::{self, InstallError, Layout},
};
use larder_project::name::TargetName;
use serde_json::json;

use super::{
    App,
    build::{BuildOptions, load, request, run, summarize_work},
};
use crate::exit::{Exit, Failure};

/// Build and install programs, libraries, headers, and files for pkg-config and CMake
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
    let targets = install::targets(&plan, &arguments.targets)?;
    if targets.is_empty() {
        return Err(Failure::wrong("the package has nothing to install")
            .hint("libraries and executables are installed, unless they are tests"));
    }
    let mode = arguments.options.mode();
    let mut request = request(app, &targets, &arguments.options, mode);
    request.run_path = Some(layout.run_path());
    let (report, exit) = run(app, &arguments.options, &request)?;
    summarize_work(app, &report, exit);
    if exit != Exit::Done || mode == Mode::DryRun {
        return Ok(exit);
    }
    let files = install::files(&report, &layout)?;
    let directory = layout.directory();
    for file in &files {
        let path = directory.join(&file.path).display().to_string();
        if arguments.dry_run {
            app.ui.result(&path);
        }
        app.ui.event_json(
            &json!({ "event": "installed", "path": path, "dryRun": arguments.dry_run }),
        );
    }
    if !arguments.dry_run {
        install::put(&files, &layout)?;
        let count = files.len();
        app.ui.status(&format!("installed {count} files in {}", directory.display()));
    }
    Ok(Exit::Done)
}

impl From<InstallError> for Failure {
    fn from(error: InstallError) -> Self {
        Self::failed(error)
    }
}
