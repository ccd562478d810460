//! The programs that commands run, known by their content.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use larder_project::ninja::Graph;
use larder_trace::{BuildTrace, platform_trace};

use super::{roots::Roots, words::programs};
use crate::{context::Context, environment::Environment, toolchain::Program};

/// The beginnings of traces: what all commands depend on that run the same programs.
pub struct Bases {
    start: BuildTrace,
    by_programs: Mutex<HashMap<Box<str>, Arc<BuildTrace>>>,
}

impl Bases {
    /// Begins with the platform and the places of the build: what commands write may tell of them.
    pub fn new(roots: &Roots) -> Self {
        let places: Vec<&str> = roots.paths().collect();
        let start = BuildTrace::nil("command")
            .mix(platform_trace())
            .mix(BuildTrace::list("places", &places));
        Self { start, by_programs: Mutex::default() }
    }

    /// Returns the beginning of the trace of `command`.
    pub fn of(&self, command: &str, cx: &Context, graph: &Graph) -> Arc<BuildTrace> {
        let known = || self.by_programs.lock().unwrap_or_else(PoisonError::into_inner);
        let mut names = programs(command);
        // Mostly there is one.
        let (first, second) = (names.next().unwrap_or(""), names.next());
        let mut key = String::new();
        let key: &str = match second {
            None => first,
            Some(second) => {
                key.push_str(first);
                [second].into_iter().chain(names).for_each(|name| {
                    key.push(' ');
                    key.push_str(name);
                });
                &key
            }
        };
        if let Some(base) = known().get(key) {
            return base.clone();
        }
        let environment = &cx.session.settings.environment;
        let parts = key.split(' ').filter_map(|name| traced(name, cx, graph, environment));
        let base = Arc::new(self.start.clone().mix_all(parts));
        known().insert(key.into(), base.clone());
        base
    }

    /// Returns what every trace begins with.
    pub fn start(&self) -> &BuildTrace {
        &self.start
    }
}

/// Returns the trace of a program; none for what a shell does by itself, for what this build makes, which counts as an
/// input, and for what is named from another directory.
fn traced(
    name: &str,
    cx: &Context,
    graph: &Graph,
    environment: &Environment,
) -> Option<BuildTrace> {
    let made = graph.find(name).is_some_and(|node| graph.node(node).made_by.is_some());
    if name.is_empty() || made || name.contains('/') && !name.starts_with('/') {
        return None;
    }
    let inside = cx.places.of_absolute(name);
    let made = graph.find(inside.as_str());
    if made.is_some_and(|node| graph.node(node).made_by.is_some()) {
        return None;
    }
    let program = Program::find(name, "program", &cx.index, environment).ok()?;
    let file = name.rsplit('/').next().unwrap_or(name).to_owned();
    Some(program.trace.named(file))
}
