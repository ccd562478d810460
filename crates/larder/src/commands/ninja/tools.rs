//! The tools of `-t`: they say things of a graph, or remove what it made.

use std::path::Path;

use larder_engine::{
    context::Options,
    ninja::{self, CommandSettings, NinjaRequest},
};
use larder_project::{
    diagnostic::{Diagnostic, Diagnostics},
    ninja::{Graph, NodeId},
};
use larder_runs::sanitise;

use super::{super::why, App};
use crate::exit::{Exit, Failure};

/// How a tool was called.
pub struct Call<'a> {
    /// The build directory.
    pub directory: &'a Path,
    /// The build file.
    pub file: &'a str,
    /// The arguments of the tool.
    pub arguments: &'a [String],
    /// Whether nothing is to be touched.
    pub dry: bool,
}

const TOOLS: &[(&str, &str)] = &[
    (
        "clean",
        "remove what was built: all of it, TARGETs and what they need, or with -r of RULEs; -g build files too",
    ),
    ("cleandead", "remove what was built and is no longer made"),
    ("commands", "print the commands that TARGETs need, with -s only the last"),
    ("compdb", "print a compilation database of all edges or of RULEs; -x expands response files"),
    (
        "compdb-targets",
        "print a compilation database of what TARGETs need; -x expands response files",
    ),
    ("deps", "print the inputs that commands told of"),
    ("graph", "print the graph for Graphviz"),
    ("inputs", "print the files that TARGETs are made from"),
    ("list", "name the tools"),
    ("log", "print again what the commands printed that made TARGETs and what they need"),
    ("query", "print what TARGETs are made from, and what is made from them"),
    ("recompact", "nothing: records need no care"),
    ("restat", "nothing: files count by their content"),
    ("rules", "print the rules, with -d what they say they do"),
    ("targets", "print targets: depth N, rule [NAME], or all"),
    ("why", "say what changed since TARGETs were last built, down to the file"),
];

/// Runs a tool.
pub fn run(app: &App, tool: &str, call: &Call<'_>) -> Result<Exit, Failure> {
    match tool {
        "list" => {
            TOOLS.iter().for_each(|(name, what)| app.ui.result(&format!("{name:>14}  {what}")));
            return Ok(Exit::Done);
        }
        // CMake calls these before there is anything to build.
        "recompact" | "restat" => return Ok(Exit::Done),
        "why" => {
            let request = NinjaRequest {
                directory: call.directory.to_owned(),
                file: call.file.to_owned(),
                targets: call.arguments.to_vec(),
                options: Options { keep_going: true, ..Options::default() },
                no_cache: false,
                strict: false,
                commands: CommandSettings::default(),
            };
            return why::why_of_ninja(app, &request);
        }
        tool if TOOLS.iter().any(|(name, _)| *name == tool) => {}
        tool => {
            let message = format!("there is no tool `{tool}`");
            return Err(Failure::wrong(message).hint("`-t list` names them"));
        }
    }
    let graph = Graph::load(call.directory, call.file).map_err(Diagnostics::from)?;
    let (flags, names): (Vec<_>, Vec<_>) =
        call.arguments.iter().partition(|argument| argument.starts_with('-') && argument.len() > 1);
    let has = |flag: &str| flags.iter().any(|it| *it == flag);
    let text = answer(app, &graph, tool, call, &names, &has)?;
    for line in text.lines() {
        app.ui.result(line);
    }
    Ok(Exit::Done)
}

fn answer(
    app: &App,
    graph: &Graph,
    tool: &str,
    call: &Call<'_>,
    names: &[&String],
    has: &dyn Fn(&str) -> bool,
) -> Result<String, Diagnostics> {
    let targets = || -> Result<Vec<NodeId>, Diagnostic> {
        match names {
            [] => graph.default_targets(),
            names => names.iter().map(|name| graph.target(name)).collect(),
        }
    };
    let owned = |names: &[&String]| names.iter().map(|name| (*name).clone()).collect::<Vec<_>>();
    Ok(match tool {
        "clean" => {
            let rules = if has("-r") { owned(names) } else { Vec::new() };
            let asked = if has("-r") || names.is_empty() { None } else { Some(targets()?) };
            let removed = ninja::clean(graph, asked.as_deref(), &rules, has("-g"), call.dry)?;
            cleaned(app, &removed)
        }
        "cleandead" => cleaned(app, &ninja::clean_dead(graph, call.dry)),
        "commands" => {
            let targets = targets()?;
            let edges = match has("-s") {
                true => targets.iter().filter_map(|id| graph.node(*id).made_by).collect(),
                false => graph.closure(&targets)?,
            };
            graph.commands(&edges)?
        }
        "compdb" => graph.database(&owned(names), has("-x"))?,
        "compdb-targets" => {
            let edges = graph.closure(&targets()?)?;
            graph.entries(edges.into_iter().filter(|id| !graph.is_phony(*id)), has("-x"))?
        }
        "deps" => ninja::told(graph, &if names.is_empty() { Vec::new() } else { targets()? }),
        "graph" => graph.dot(&targets()?)?,
        "inputs" => graph.inputs_of(&graph.closure(&targets()?)?),
        "log" => {
            for (output, log) in ninja::logs(graph, &targets()?)? {
                app.ui.result(&format!("{output}:"));
                log.iter().for_each(|entry| app.ui.result(&sanitise::text(&entry.message)));
            }
            String::new()
        }
        "query" => targets()?.iter().map(|id| graph.neighbours(*id)).collect(),
        "rules" => graph.rule_names(has("-d")),
        _ => match names {
            [all, ..] if *all == "all" => graph.all_targets(),
            [rule, rest @ ..] if *rule == "rule" => {
                graph.targets_of_rule(rest.first().map(|name| name.as_str()))
            }
            [depth, rest @ ..] if *depth == "depth" => {
                let depth = rest.first().map_or(Ok(1), |depth| depth.parse());
                let depth = depth.map_err(|_| Diagnostic::new("the depth is no number"))?;
                graph.targets_by_depth(&graph.default_targets()?, depth)
            }
            [] => graph.targets_by_depth(&graph.default_targets()?, 1),
            [other, ..] => {
                let message = format!("`{other}` is none of depth, rule and all");
                return Err(Diagnostic::new(message).into());
            }
        },
    })
}

fn cleaned(app: &App, removed: &ninja::Removed) -> String {
    let mut said = String::new();
    if app.global.verbose > 0 {
        removed.files.iter().for_each(|file| said += &format!("Remove {file}\n"));
    }
    said + &format!("Cleaning... {} files.\n", removed.files.len())
}
