//! `failures`.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use larder_runs::result::Stage;
use larder_runs::status_index::{self, Failing, Root, RootState, Roots, StatusIndex};
use larder_runs::{Category, DataDir};
use serde_json::json;

use super::App;
use super::records::{Data, ago, event, failure_kind, nearest, plural};
use crate::exit::{Exit, Failure};
use crate::table::Table;

/// List what fails; what it blocks is only counted
#[derive(Args)]
pub struct Failures {
    #[command(flatten)]
    data: Data,
    /// Only of this category, such as build_failure
    #[arg(long, value_name = "C")]
    category: Option<String>,
    /// Only of this stage: solve, build, test, doc
    #[arg(long, value_name = "STAGE")]
    stage: Option<Stage>,
    /// Only blessed builds
    #[arg(long)]
    blessed: bool,
    /// Packages that fail themselves, by how many others each one alone blocks: the first to mend
    #[arg(long)]
    roots: bool,
    /// Also list what is blocked, one by one
    #[arg(long, conflicts_with = "roots")]
    cascades: bool,
}

/// Runs `larder failures`.
pub fn failures(app: &App, arguments: &Failures) -> Result<Exit, Failure> {
    let data = arguments.data.open()?;
    let index = status_index::current(&data)?;
    let category = arguments.category.as_ref();
    let category = category.map(|wanted| known_category(&data, &index, wanted)).transpose()?;
    let wanted = |failing: &Failing| {
        category.as_ref().is_none_or(|category| *category == failing.category)
            && arguments.stage.is_none_or(|stage| stage == failing.stage)
            && (failing.blessed || !arguments.blessed)
    };
    let roots = index.roots();
    if arguments.roots {
        show_roots(app, &roots, wanted);
        return Ok(Exit::Done);
    }
    let cascades = arguments.cascades || category.as_ref() == Some(&Category::DependencyFailure);
    list_failures(app, &index, &roots, wanted, cascades);
    Ok(Exit::Done)
}

fn list_failures(
    app: &App,
    index: &StatusIndex,
    roots: &Roots,
    wanted: impl Fn(&Failing) -> bool,
    cascades: bool,
) {
    let blocks: BTreeMap<&str, u64> =
        roots.roots.iter().map(|root| (root.package.as_str(), root.blocks_packages)).collect();
    let heading = ["PACKAGE", "", "CATEGORY", "FOR", "BLOCKS", "SINCE RUN", "TIMES", "ERROR"];
    let mut table = Table::new(heading).spare(&["SINCE RUN", "TIMES", "", "BLOCKS", "FOR"]);
    let failures = index.failures();
    let compilers: BTreeSet<&str> =
        failures.iter().map(|(_, failing)| failing.compiler.as_str()).collect();
    let name = |package: &str, failing: &Failing| match &failing.compiler {
        compiler if compilers.len() > 1 && !compiler.is_empty() => {
            format!("{package} with {compiler}")
        }
        _ => package.to_owned(),
    };
    let mut folded = 0;
    for (package, failing) in failures {
        if !wanted(failing) {
            continue;
        }
        let mut object = event("failure", failing);
        object["package"] = package.into();
        app.ui.event_json(&object);
        if failing.is_blocked() && !cascades {
            folded += 1;
            continue;
        }
        let blocks = match blocks.get(package) {
            Some(blocks) if *blocks > 0 && !failing.is_blocked() => blocks.to_string(),
            _ => String::new(),
        };
        let dependency = failing.failed_dep.as_ref().map(|dep| format!("{dep} failed"));
        table.row([
            name(package, failing).into(),
            if failing.blessed { "blessed" } else { "" }.into(),
            failure_kind(failing).into(),
            ago(&failing.since).into(),
            blocks.into(),
            failing.since_run.as_str().into(),
            failing.times.to_string().into(),
            failing.error.clone().or(dependency).unwrap_or_default().into(),
        ]);
    }
    table.print(&app.ui);
    if folded > 0 {
        let blocked = plural(folded, "blocked build");
        app.ui.result(&format!(
            "and {blocked} because of these: --roots says which blocks how many, --cascades lists them"
        ));
    }
}

/// Shows what to mend first, failures that are alike together.
fn show_roots(app: &App, roots: &Roots, wanted: impl Fn(&Failing) -> bool) {
    let shown = |root: &&&Root| root.failure().is_none_or(&wanted);
    let mut table = Table::new(["ROOT", "UNBLOCKS", "BLOCKS", "CATEGORY", "FOR", "ERROR"])
        .spare(&["FOR", "BLOCKS", "CATEGORY"]);
    for group in roots.groups() {
        let alike = group.roots.iter().filter(shown).count();
        for root in group.roots.iter().filter(shown) {
            let mut object = event("root", root);
            object["group"] = json!({
                "category": group.category,
                "error": group.error,
                "roots": group.roots.len(),
                "unblocksPackages": group.unblocks_packages,
            });
            app.ui.event_json(&object);
            let failure = root.failure();
            let (category, error) = match (failure, root.state) {
                (_, RootState::Mended) => {
                    ("mended".to_owned(), "works again: build what it blocks".to_owned())
                }
                (Some(failing), _) => {
                    (failure_kind(failing), failing.error.clone().unwrap_or_default())
                }
                (None, _) => ("unknown".to_owned(), "the set has no result of it".to_owned()),
            };
            let alike = if alike > 1 { format!("[{alike} alike] ") } else { String::new() };
            table.row([
                root.package.as_str().into(),
                root.unblocks_packages.to_string().into(),
                root.blocks_packages.to_string().into(),
                category.into(),
                failure.map_or(String::new(), |failing| ago(&failing.since)).into(),
                format!("{alike}{error}").into(),
            ]);
        }
    }
    table.print(&app.ui);
    app.ui.event_json(&json!({
        "event": "roots",
        "failingBuilds": roots.failing_builds,
        "ownBuilds": roots.own_builds,
        "blockedBuilds": roots.blocked_builds,
        "blockedPackages": roots.blocked_packages,
        "sharedPackages": roots.shared_packages,
    }));
    let fails = |root: &&Root| root.unblocks_packages > 0 && root.state == RootState::Failing;
    if let Some(first) = roots.roots.iter().find(fails) {
        let count = plural(first.unblocks_packages, "package");
        app.ui.result(&format!("fixing {} unblocks {count}", first.package));
    }
    if roots.shared_packages > 0 {
        let shared = plural(roots.shared_packages, "package");
        app.ui.result(&format!("{shared} blocked by more than one of these"));
    }
}

/// The category that is asked for, which there has to be.
fn known_category(data: &DataDir, index: &StatusIndex, wanted: &str) -> Result<Category, Failure> {
    let wanted = wanted.replace('-', "_");
    let mut known: BTreeSet<String> =
        Category::KNOWN.iter().map(|category| category.name().to_owned()).collect();
    known.extend(index.failures().iter().map(|(_, failing)| failing.category.to_string()));
    known.extend(Category::named_in(&data.rules()).iter().map(ToString::to_string));
    known.remove(Category::Success.name());
    let found = known.iter().find(|name| name.replace('-', "_") == wanted);
    if let Some(name) = found {
        return Ok(Category::from(name.as_str()));
    }
    let near = nearest(&wanted, known.iter().map(String::as_str))
        .map_or(String::new(), |near| format!(": did you mean {near}?"));
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    Err(Failure::wrong(format!("there is no category {wanted:?}{near}"))
        .hint(format!("the categories are {}", known.join(", "))))
}
