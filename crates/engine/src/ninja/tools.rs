//! The programs that commands run, known by their content.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use larder_project::{manifest::Toolchain, ninja::Graph};
use larder_trace::{BuildTrace, Level, platform_trace};

use super::{
    roots::{BUILD, Roots},
    words::programs,
};
use crate::{
    context::Context,
    environment::Environment,
    event::Event,
    toolchain::{Compiler, Program, Recall, Role, Tools, deciding},
};

/// The beginnings of traces: what all commands depend on that run the same programs.
pub struct Bases {
    platform: BuildTrace,
    places: BuildTrace,
    by_programs: Mutex<HashMap<Box<str>, Arc<Base>>>,
    /// Programs of which it was said that they are not here.
    said: Mutex<HashSet<Box<str>>>,
}

/// What the commands that run the same programs depend on.
pub struct Base {
    /// The platform, the places of the build, which what commands write may tell of, and the programs.
    pub trace: BuildTrace,
    /// The same without the places.
    pub portable: BuildTrace,
    /// The compiler among the programs, where there is one.
    pub compiler: Option<Arc<Compiler>>,
    /// Whether each of the programs is known.
    pub complete: bool,
    /// Whether one of them is not here, and is taken for the one that was last seen.
    pub believed: bool,
}

impl Bases {
    /// Commands of a build in these places.
    pub fn new(roots: &Roots) -> Self {
        let places: Vec<&str> = roots.paths().collect();
        let places = BuildTrace::list("places", &places);
        let platform = BuildTrace::nil("command").mix(platform_trace());
        Self { platform, places, by_programs: Mutex::default(), said: Mutex::default() }
    }

    /// Returns the beginning of the trace of `command`.
    pub fn of(&self, command: &str, cx: &Context, graph: &Graph) -> Arc<Base> {
        self.of_programs(&programs_of(command), cx, graph)
    }

    fn of_programs(&self, key: &str, cx: &Context, graph: &Graph) -> Arc<Base> {
        // Whoever else asks meanwhile waits: compilers are asked once.
        let mut known = self.by_programs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(base) = known.get(key) {
            return base.clone();
        }
        let base = Arc::new(self.make(key, cx, graph));
        known.insert(key.into(), base.clone());
        base
    }

    fn make(&self, key: &str, cx: &Context, graph: &Graph) -> Base {
        let mut lines = key.split('\n');
        let names = lines.next().unwrap_or("");
        let arguments: Vec<String> = lines.map(str::to_owned).collect();
        let environment = &cx.session.settings.environment;
        let mut base = Base {
            trace: self.platform.clone().mix(self.places.clone()),
            portable: self.platform.clone(),
            compiler: None,
            complete: true,
            believed: false,
        };
        for name in names.split_ascii_whitespace() {
            let compiler =
                is_compiler(name).then(|| compiler(name, &arguments, cx, environment)).flatten();
            let mut believed = compiler.as_ref().is_some_and(|compiler| compiler.believed);
            let part = match &compiler {
                Some(compiler) => Some(compiler.trace.clone()),
                None => traced(name, cx, graph, environment, &mut believed),
            };
            if believed
                && self.said.lock().unwrap_or_else(PoisonError::into_inner).insert(name.into())
            {
                say_believed(name, cx);
            }
            base.believed |= believed;
            base.compiler = base.compiler.or(compiler);
            match part {
                Some(part) => {
                    base.trace = base.trace.mix(part.clone());
                    base.portable = base.portable.mix(part);
                }
                None => base.complete = false,
            }
        }
        base
    }
}

/// The base of the last command, which is mostly that of the next.
#[derive(Default)]
pub struct Last(Option<(Box<str>, Arc<Base>)>);

impl Last {
    /// [`Bases::of`].
    pub fn of(&mut self, bases: &Bases, command: &str, cx: &Context, graph: &Graph) -> &Base {
        let key = programs_of(command);
        let base = match self.0.take() {
            Some((known, base)) if *known == *key => (known, base),
            _ => {
                let base = bases.of_programs(&key, cx, graph);
                (key.into(), base)
            }
        };
        &self.0.insert(base).1
    }
}

/// Returns the programs that a command runs, and in further lines the arguments that decide which programs a compiler
/// among them runs.
fn programs_of(command: &str) -> String {
    let mut key = String::with_capacity(64);
    let mut compiles = false;
    for name in programs(command) {
        key.push_str(name);
        key.push(' ');
        compiles |= is_compiler(name);
    }
    if compiles {
        for word in deciding(command.split_ascii_whitespace()) {
            key.push('\n');
            key.push_str(word);
        }
    }
    key
}

/// Whether a program is a compiler by its name, such as `cc`, `x86_64-linux-gnu-g++-12` or `clang`.
pub fn is_compiler(program: &str) -> bool {
    let name = program.rsplit('/').next().unwrap_or(program);
    let version = |c: char| c.is_ascii_digit() || c == '.';
    let name = match name.rsplit_once('-') {
        Some((name, end)) if end.chars().all(version) => name,
        _ => name,
    };
    let name = name.rsplit('-').next().unwrap_or(name);
    ["cc", "c++", "gcc", "g++", "clang", "clang++"].contains(&name)
}

/// Returns who a compiler is that commands call by `name`; none where it does not say.
fn compiler(
    name: &str,
    arguments: &[String],
    cx: &Context,
    environment: &Environment,
) -> Option<Arc<Compiler>> {
    let role = if name.ends_with("++") || name.contains("++-") { Role::Cxx } else { Role::Cc };
    let named = Some(name.to_owned());
    let toolchain = match role {
        Role::Cxx => Toolchain { cxx: named, ..Toolchain::default() },
        _ => Toolchain { cc: named, ..Toolchain::default() },
    };
    let recall = Recall::new(&cx.cache, BUILD, &cx.index);
    let mut tools =
        Tools::new(&cx.index, cx.sandbox.as_deref(), environment.clone()).recalling(recall);
    let found = tools.compiler(&toolchain, role, &cx.root, arguments).ok()?;
    found.triple.is_some().then_some(found)
}

/// Says that a program is taken for another.
fn say_believed(name: &str, cx: &Context) {
    let message = format!(
        "`{name}` is not all here: what it made when it was last seen is taken, and what has to be made now is not kept"
    );
    cx.report(&Event::Note { level: Level::Info, message: &message });
}

/// Returns the trace of a program; none for what a shell does by itself, for what this build makes, which counts as an
/// input, and for what is named from another directory.
fn traced(
    name: &str,
    cx: &Context,
    graph: &Graph,
    environment: &Environment,
    believed: &mut bool,
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
    let recall = Recall::new(&cx.cache, BUILD, &cx.index);
    let trace = match Program::find(name, "program", &cx.index, environment) {
        Ok(program) => {
            recall.keep_program(name, &program);
            program.trace
        }
        Err(_) => {
            let trace = recall.last_program(name)?;
            *believed = true;
            trace
        }
    };
    let file = name.rsplit('/').next().unwrap_or(name).to_owned();
    Some(trace.named(file))
}
