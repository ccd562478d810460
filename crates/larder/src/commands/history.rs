//! `history`.

use clap::Args;
use larder_runs::DataDir;
use larder_runs::history::{self, Entry};
use larder_runs::name::{Named, PackageName};

use super::App;
use super::records::{Data, event, known_packages, plural, short};
use crate::exit::{Exit, Failure};
use crate::table::{Cell, Table};

/// Show every result of a package, oldest first
#[derive(Args)]
pub struct History {
    #[command(flatten)]
    data: Data,
    /// The package, <name>.<version>, or all versions of a <name>
    #[arg(value_name = "PKG")]
    package: Named,
    /// Only the last of each stage of each build
    #[arg(long)]
    latest: bool,
    /// Only the last so many
    #[arg(short = 'n', long, value_name = "N")]
    limit: Option<usize>,
}

/// Runs `larder history`.
pub fn history(app: &App, arguments: &History) -> Result<Exit, Failure> {
    let data = arguments.data.open()?;
    let packages = known_packages(&data, &arguments.package)?;
    let (entries, broken) = entries(&data, &packages, arguments.latest)?;
    let heading = ["WHEN", "PACKAGE", "STAGE", "CATEGORY", "", "BUILD", "RUN", "COMPILER", "ERROR"];
    let spare = ["COMPILER", "RUN", "BUILD", "", "STAGE"];
    let mut table = match packages.len() {
        1 => Table::new(heading).spare(&[&["PACKAGE"], &spare[..]].concat()),
        _ => Table::new(heading).spare(&spare),
    };
    let first = entries.len().saturating_sub(arguments.limit.unwrap_or(usize::MAX));
    for entry in entries.iter().skip(first) {
        app.ui.event_json(&event("entry", entry));
        let result = &entry.result;
        table.row([
            format!("{:.0}", result.end).into(),
            result.package.as_str().into(),
            result.stage.name().into(),
            Cell::outcome(result.category.name(), result.is_success()),
            if result.blessed { "blessed" } else { "" }.into(),
            result.build_hash.as_ref().map_or(String::new(), |hash| short(hash.as_str())).into(),
            entry.run.as_str().into(),
            result.compiler.as_ref().map_or("", PackageName::as_str).into(),
            result.error.as_deref().unwrap_or_default().into(),
        ]);
    }
    table.print(&app.ui);
    if broken > 0 {
        let were = if broken == 1 { "was" } else { "were" };
        app.ui.status(&format!(
            "{} that cannot be read {were} skipped",
            plural(broken as u64, "line")
        ));
    }
    Ok(Exit::Done)
}

/// The entries of several histories by time, and how many lines could not be read.
fn entries(
    data: &DataDir,
    packages: &[PackageName],
    latest: bool,
) -> larder_runs::Result<(Vec<Entry>, usize)> {
    let (mut entries, mut broken) = (Vec::new(), 0);
    for package in packages {
        if latest {
            entries.extend(history::read_latest(&data.packages(), package)?);
        } else {
            let history = history::read(&data.packages(), package)?;
            entries.extend(history.entries);
            broken += history.broken;
        }
    }
    if packages.len() > 1 {
        entries.sort_by_key(|entry| entry.result.end);
    }
    Ok((entries, broken))
}
