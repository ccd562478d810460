//! `init` and `clean`.

use std::path::PathBuf;

use clap::Args;
use larder_engine::event::{Event, Reporter};
use larder_project::{scaffold, workspace::Workspace};

use super::{App, here};
use crate::exit::{Exit, Failure};

/// Write a manifest for a new package, or for the sources that are here
#[derive(Args)]
pub struct Init {
    /// The directory; created if it is missing
    #[arg(id = "package-directory", value_name = "DIR", default_value = ".")]
    directory: PathBuf,
    /// The package's name [default: the directory's]
    #[arg(long)]
    name: Option<String>,
}

/// Remove everything that was built
#[derive(Args)]
pub struct Clean {}

/// Runs `larder init`.
pub fn init(app: &App, arguments: &Init) -> Result<Exit, Failure> {
    for path in scaffold::init(&arguments.directory, arguments.name.as_deref())? {
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
