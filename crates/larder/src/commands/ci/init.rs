//! `larder ci init`: a workflow from the jobs of the manifest.

use std::{fs, io, path::Path};

use clap::Args;
use larder_project::{ci::workflow::Forge, manifest::Document, workspace::Workspace};
use larder_trace::{atomic, describe_io};
use serde_json::json;

use super::super::{App, here};
use crate::exit::{Exit, Failure};

/// Write a workflow for GitHub or GitLab from the jobs of the manifest
///
/// It makes keys first, skips what is known, runs the rest, and says what is done in a job that runs none
/// of the project's code.
#[derive(Args)]
pub struct Init {
    /// `github` or `gitlab`
    #[arg(value_name = "SERVICE")]
    forge: Forge,
    /// Print it instead of writing it
    #[arg(long, conflicts_with = "force")]
    print: bool,
    /// Replace a workflow that is there
    #[arg(long)]
    force: bool,
}

/// Writes or prints the workflow.
pub fn init(app: &App, arguments: &Init) -> Result<Exit, Failure> {
    let root = Workspace::find_root(here())?;
    let forge = arguments.forge;
    let workflow = forge.workflow(&Document::read(&root)?)?;
    if arguments.print {
        app.ui.result(workflow.trim_end());
        app.ui.event_json(&json!({ "event": "workflow", "workflow": workflow }));
        return Ok(Exit::Done);
    }
    let top = root.ancestors().find(|above| above.join(".git").exists());
    if top.is_some_and(|top| top != root) {
        let message = "the package is not at the top of its repository, where a workflow works";
        return Err(Failure::wrong(message).hint("--print shows it, to be fitted in by hand"));
    }
    let file = root.join(forge.path());
    let known = fs::read(&file);
    let is_there = !matches!(&known, Err(error) if error.kind() == io::ErrorKind::NotFound);
    let is_same = known.is_ok_and(|known| known == workflow.as_bytes());
    if is_there && !is_same && !arguments.force {
        let message = format!("{} is there already", file.display());
        return Err(Failure::wrong(message).hint("--force replaces it, --print shows the new one"));
    }
    if !is_same {
        write(&file, &workflow).map_err(|error| {
            Failure::failed(format!("cannot write {}: {}", file.display(), describe_io(&error)))
        })?;
    }
    let done =
        if is_same { "is up to date" } else { "is written; its first lines say what to set" };
    app.ui.status(&format!("{} {done}", file.display()));
    app.ui.event_json(&json!({ "event": "workflow", "file": file, "written": !is_same }));
    Ok(Exit::Done)
}

fn write(file: &Path, text: &str) -> io::Result<()> {
    if let Some(directory) = file.parent() {
        fs::create_dir_all(directory)?;
    }
    atomic::write(file, text.as_bytes())
}
