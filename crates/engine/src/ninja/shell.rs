//! Commands for a shell, as actions.

use std::{collections::BTreeMap, sync::Arc};

use larder_trace::BuildTrace;

use super::roots::Roots;
use crate::{
    action::{Action, InPlace, Program, Reach, Telling, Variable, text},
    builds::{SearchPath, ToolUse},
    context::Context,
    step::{Inputs, Step},
};

/// A command for a shell, which writes its outputs where its text says.
pub struct Shell {
    pub(crate) command: String,
    /// A file that it reads arguments from, and what is to stand there.
    pub(crate) response_file: Option<(String, String)>,
    pub(crate) keep_response_file: bool,
    pub(crate) telling: Telling,
    /// Whether its inputs are known only if it tells of them.
    pub(crate) must_tell: bool,
    pub(crate) terminal: bool,
    /// Whether it makes build files. Such a command may write what it reads, as CMake does with its cache.
    pub(crate) generator: bool,
    pub(crate) shell: ToolUse,
    pub(crate) environment: Arc<BTreeMap<String, Variable>>,
    pub(crate) roots: Arc<Roots>,
    /// Where it looks for inputs by itself, where that is known.
    pub(crate) search: Option<SearchPath>,
    /// Whether what it finds there includes other files.
    pub(crate) includes: bool,
    /// The installation that it is part of, where it looks for inputs as well.
    pub(crate) installation: Option<ToolUse>,
    /// Whether it runs a program that is not here, as far as is known: nobody knows what it makes then.
    pub(crate) believed: bool,
    /// What it may reach where it is confined.
    pub(crate) confined: Option<Confined>,
    /// Who may have its outputs besides this build directory.
    pub sharing: Sharing,
}

/// The files and programs that a command may reach in a sandbox besides its inputs.
#[derive(Debug, Clone)]
pub struct Confined {
    pub(crate) reach: Reach,
    pub(crate) tools: Vec<Program>,
}

/// Whether the outputs of a command may be kept in the store, and taken from there.
pub enum Sharing {
    /// Nobody knows what it reads or writes besides what the build file says.
    Never,
    /// It is a compiler, an archiver or a linker: what it reads and writes is known.
    Known {
        /// The trace of all that the outputs depend on besides the inputs, without the places of this machine. Outputs
        /// that do not tell of those are the same elsewhere.
        portable: Option<Arc<BuildTrace>>,
        /// The texts by which outputs tell of those places.
        places: Arc<[Box<str>]>,
    },
}

impl Shell {
    /// Returns the action that runs it as the work of a step.
    pub(crate) fn action(&self, step: &Step, cx: &Context, inputs: Inputs<'_>) -> Action {
        let command = self.roots.pieces(&self.command);
        let action = step.action(cx, inputs, &self.shell, vec![text("-c"), command]);
        let response_file = self.response_file.as_ref().map(|(path, content)| {
            let path = cx.places.portable(&step.place, &cx.places.opened(&step.place, path));
            (path, self.roots.pieces(content))
        });
        let confined = self.confined.clone();
        let (reach, tools) = confined.map(|it| (it.reach, it.tools)).unzip();
        Action {
            tools: tools.unwrap_or_default(),
            environment: (*self.environment).clone(),
            in_place: Some(InPlace {
                response_file,
                keep_response_file: self.keep_response_file,
                telling: self.telling.clone(),
                terminal: self.terminal,
                reach,
            }),
            ..action
        }
    }
}
