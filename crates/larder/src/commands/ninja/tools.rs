//! The tools of `-t`: they say things of a graph, or remove what it made.

use std::{collections::HashSet, path::Path};

use larder_engine::{
    context::Options,
    ninja::{self, CommandSettings, Missing, NinjaRequest},
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
    (
        "missingdeps",
        "name what commands told of that others make, and that the build file does not have made first",
    ),
    ("query", "print what TARGETs are made from, and what is made from them"),
    ("recompact", "nothing: records need no care"),
    ("restat", "nothing: files count by their content"),
    ("rules", "print the rules, with -d what they say they do"),
    ("targets", "print targets: depth N, rule [NAME], or all"),
    ("why", "say what changed since TARGETs were last built, down to the file"),
];

/// The options of tools.
const OPTIONS: &[(&str, &[&str])] = &[
    ("clean", &["-g", "-r"]),
    ("commands", &["-s"]),
    ("compdb", &["-x"]),
    ("compdb-targets", &["-x"]),
    ("rules", &["-d"]),
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
                sandbox: None,
            };
            return why::why_of_ninja(app, &request);
        }
        "browse" => {
            let failure =
                Failure::wrong("the tool `browse` is not there: larder starts no browser");
            return Err(failure.hint("`-t query TARGET` and `-t graph` say the same"));
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
    let known = OPTIONS.iter().find(|(name, _)| *name == tool).map_or(&[][..], |(_, known)| known);
    if let Some(other) = flags.iter().find(|flag| !known.contains(&flag.as_str())) {
        let failure = Failure::wrong(format!("the tool `{tool}` has no option `{other}`"));
        return Err(failure.hint("options of Ninja itself go before `-t`"));
    }
    let has = |flag: &str| flags.iter().any(|it| *it == flag);
    if tool == "missingdeps" {
        return missing(app, &graph, &targets(&graph, &names).map_err(Diagnostics::from)?);
    }
    let text = answer(app, &graph, tool, call, &names, &has)?;
    for line in text.lines() {
        app.ui.result(line);
    }
    Ok(Exit::Done)
}

/// Returns the nodes that are asked for.
fn targets(graph: &Graph, names: &[&String]) -> Result<Vec<NodeId>, Diagnostic> {
    match names {
        [] => graph.default_targets(),
        names => names.iter().map(|name| graph.target(name)).collect(),
    }
}

fn missing(app: &App, graph: &Graph, targets: &[NodeId]) -> Result<Exit, Failure> {
    let (missing, looked_at) = ninja::missing(graph, targets)?;
    for Missing { user, input, rule } in &missing {
        app.ui.result(&format!("Missing dep: {user} uses {input} (generated by {rule})"));
    }
    app.ui.result(&format!("Processed {looked_at} commands."));
    if missing.is_empty() {
        app.ui.result("No missing dependencies on generated files found.");
        return Ok(Exit::Done);
    }
    let users: HashSet<&str> = missing.iter().map(|it| it.user.as_str()).collect();
    let text = "name the file, or what makes it, among the inputs (`||` is enough)";
    app.ui.result(&format!(
        "{} outputs are made from files that may not be there: {text}.",
        users.len()
    ));
    Ok(Exit::Failed)
}

fn answer(
    app: &App,
    graph: &Graph,
    tool: &str,
    call: &Call<'_>,
    names: &[&String],
    has: &dyn Fn(&str) -> bool,
) -> Result<String, Diagnostics> {
    let targets = || targets(graph, names);
    let owned = |names: &[&String]| names.iter().map(|name| (*name).clone()).collect::<Vec<_>>();
    Ok(match tool {
        "clean" => {
            let rules = if has("-r") { owned(names) } else { Vec::new() };
            if has("-r") && names.is_empty() {
                return Err(Diagnostic::new("`-t clean -r` needs the name of a rule").into());
            }
            let known = graph.rule_names(false);
            let is_unknown = |rule: &&String| !known.lines().any(|known| known == **rule);
            if let Some(other) = rules.iter().find(is_unknown) {
                return Err(Diagnostic::new(format!("there is no rule `{other}`")).into());
            }
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
