//! `init` and `clean`.

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use clap::Args;
use larder_engine::event::{Event, Reporter};
use larder_project::{scaffold, workspace::Workspace};

use super::{App, FAILED, WRONG, build, here};

/// Write a manifest for a new package, or for the sources that are here
#[derive(Args)]
pub struct Init {
    /// Where; made if it is not there
    #[arg(id = "package-directory", value_name = "DIR", default_value = ".")]
    directory: PathBuf,
    /// The package's name; the directory's, when absent
    #[arg(long)]
    name: Option<String>,
}

/// Remove everything that was built
#[derive(Args)]
pub struct Clean {}

/// Runs `larder init`.
pub fn init(app: &App, init: &Init) -> ExitCode {
    match scaffold::init(&init.directory, init.name.as_deref()) {
        Ok(written) => {
            for path in written {
                app.ui.status(&format!("wrote {}", path.display()));
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            app.ui.error(&error.to_string());
            let wrong = !matches!(error, scaffold::ScaffoldError::Io { .. });
            ExitCode::from(if wrong { WRONG } else { FAILED })
        }
    }
}

/// Runs `larder clean`.
pub fn clean(app: &App, _: &Clean) -> ExitCode {
    if let Err(message) = build::end_on_signals(Arc::default()) {
        app.ui.error(&message);
        return ExitCode::from(FAILED);
    }
    let root = match Workspace::find_root(here()) {
        Ok(root) => root,
        Err(diagnostics) => {
            app.ui.diagnostics(&diagnostics);
            return ExitCode::from(WRONG);
        }
    };
    match scaffold::clean(&root, |holder| app.ui.event(&Event::Waiting { holder })) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            app.ui.error(&error.to_string());
            ExitCode::from(FAILED)
        }
    }
}
