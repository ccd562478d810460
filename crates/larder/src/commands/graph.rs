//! `graph`.

use clap::{Args, ValueEnum};
use larder_engine::build;
use larder_project::{graph, name::TargetName};

use super::{
    App,
    build::{BuildOptions, load},
};
use crate::{
    choices::ChoiceArgs,
    exit::{Exit, Failure},
};

/// Show which targets need which
#[derive(Args)]
pub struct Graph {
    /// Targets, [@PACKAGE/]TARGET[:FACET] [default: the package's default targets]
    #[arg(value_name = "TARGET")]
    targets: Vec<TargetName>,
    #[command(flatten)]
    choices: ChoiceArgs,
    /// How to show it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// The same as --format dot
    #[arg(long, conflicts_with = "format")]
    dot: bool,
}

/// How a graph is shown.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A tree, indented
    Text,
    /// Graphviz
    Dot,
}

/// Runs `larder graph`.
pub fn graph(app: &App, arguments: &Graph) -> Result<Exit, Failure> {
    let plan = load(app, &BuildOptions::default().choosing(&arguments.choices))?;
    let roots = build::resolve(&plan, &arguments.targets)?;
    for id in plan.closure(&roots) {
        let target = plan.target(id);
        let needs: Vec<&str> =
            target.needs().iter().map(|need| &*plan.target(*need).label).collect();
        app.ui.event_json(&serde_json::json!({
            "event": "target",
            "target": &*target.label,
            "needs": needs,
        }));
    }
    let text = match arguments.dot || arguments.format == Format::Dot {
        true => graph::dot(&plan, &roots),
        false => graph::text(&plan, &roots),
    };
    app.ui.result(text.trim_end());
    Ok(Exit::Done)
}
