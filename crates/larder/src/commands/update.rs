//! `update`.

use clap::Args;
use larder_project::{
    dependencies::{self, Resolution},
    lockfile::{Lockfile, Pinned},
    workspace::Workspace,
};
use serde_json::json;

use super::{App, here};
use crate::exit::{Exit, Failure};

/// Pin dependencies from elsewhere anew in larder.lock
#[derive(Args)]
pub struct Update {
    /// Packages [default: all]
    #[arg(value_name = "PKG")]
    packages: Vec<String>,
}

/// Runs `larder update`.
pub fn update(app: &App, arguments: &Update) -> Result<Exit, Failure> {
    let update = match arguments.packages.is_empty() {
        true => dependencies::Update::Everything,
        false => dependencies::Update::Only(arguments.packages.clone()),
    };
    let resolution = Resolution { update, ..app.resolution.clone() };
    let root = Workspace::find_root(here())?;
    let (old, new) = Workspace::update(&root, &resolution)?;
    show(app, &old, &new);
    Ok(Exit::Done)
}

fn show(app: &App, old: &Lockfile, new: &Lockfile) {
    let names = old.packages.keys().chain(new.packages.keys());
    let names: std::collections::BTreeSet<&String> = names.collect();
    let mut changed = false;
    for name in names {
        let (from, to) = (old.packages.get(name), new.packages.get(name));
        if from == to {
            continue;
        }
        changed = true;
        let said = match (from, to) {
            (Some(from), Some(to)) if from.content() == to.content() => {
                let same = match to {
                    Pinned::Git { .. } => "the same commit",
                    Pinned::Archive { .. } => "the same archive",
                };
                format!("{name} {}: {same}, spelled differently", to.content().short())
            }
            (Some(from), Some(to)) => {
                format!("{name} {} -> {}", from.content().short(), to.content().short())
            }
            (None, Some(to)) => format!("{name} {}: added", to.content().short()),
            (Some(from), None) => format!("{name} {}: removed", from.content().short()),
            (None, None) => continue,
        };
        app.ui.status(&said);
        let content = |pinned: Option<&Pinned>| pinned.map(|pinned| pinned.content().to_string());
        app.ui.event_json(&json!({
            "event": "pinned",
            "package": name,
            "from": content(from),
            "to": content(to),
        }));
    }
    if !changed {
        app.ui.status("nothing changed: every package is pinned as before");
    }
}
