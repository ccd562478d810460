//! Reading a `CMakeLists.txt` command by command, without running anything. A condition that nobody can decide here
//! decides nothing: what stands under it is left out and said.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::Path,
    rc::Rc,
};

use super::{
    blocks::Definition,
    building::Targets,
    condition::{World, holds},
    scope::{Scope, Word},
    syntax::{Argument, Command, Node, parse},
};
use crate::init::Tree;

/// A directory in which everything is that CMake would make; no package has it.
pub const BUILD: &str = "/{build}";

/// More commands than this are not read: a list that grows without end.
const MOST_COMMANDS: usize = 200_000;

/// More files and functions in each other than this are not read.
pub(super) const DEEPEST: usize = 40;

/// How a list of commands ended.
#[derive(PartialEq)]
pub(super) enum End {
    Whole,
    Returned,
    Broken,
}

/// What reads a project.
pub struct Reader<'a> {
    pub(super) root: &'a Path,
    pub(super) tree: &'a Tree,
    pub(super) scopes: Vec<Scope>,
    pub(super) definitions: HashMap<String, Rc<Definition>>,
    pub(super) targets: Targets,
    /// Where we are: the file from the package, and the directory that paths count from.
    file: String,
    pub(super) directory: String,
    pub(super) depth: usize,
    commands: usize,
    pub(super) version: String,
    /// What the project is called.
    pub(super) name: String,
    /// Options: name, help and value.
    pub(super) options: BTreeMap<String, (String, String)>,
    pub(super) left_out: Vec<(String, String)>,
}

impl<'a> Reader<'a> {
    /// Reads the project in `root`.
    ///
    /// # Errors
    /// Where its `CMakeLists.txt` is none.
    pub fn read(root: &'a Path, tree: &'a Tree) -> Result<Self, String> {
        let mut scope = Scope::default();
        let source = root.to_string_lossy();
        for (name, value) in [
            ("CMAKE_SOURCE_DIR", &*source),
            ("CMAKE_BINARY_DIR", BUILD),
            ("CMAKE_VERSION", "3.31.0"),
            ("CMAKE_SIZEOF_VOID_P", "8"),
            ("CMAKE_SYSTEM_PROCESSOR", std::env::consts::ARCH),
            ("CMAKE_HOST_SYSTEM_PROCESSOR", std::env::consts::ARCH),
            ("CMAKE_INSTALL_INCLUDEDIR", "include"),
            ("CMAKE_INSTALL_LIBDIR", "lib"),
            ("CMAKE_INSTALL_BINDIR", "bin"),
            ("UNIX", "1"),
        ] {
            scope.set(name, Word::known(value));
        }
        let (os, flag) = match std::env::consts::OS {
            "macos" => ("Darwin", "APPLE"),
            "freebsd" => ("FreeBSD", "BSD"),
            _ => ("Linux", "LINUX"),
        };
        for (name, value) in
            [("CMAKE_SYSTEM_NAME", os), ("CMAKE_HOST_SYSTEM_NAME", os), (flag, "1")]
        {
            scope.set(name, Word::known(value));
        }
        // Of the compiler only its language is known, and what it is asked for.
        for prefix in [
            "CMAKE_C_COMPILER",
            "CMAKE_CXX_COMPILER",
            "CMAKE_COMPILER_IS",
            "CMAKE_BUILD_TYPE",
            "CMAKE_INSTALL_",
            "CMAKE_GENERATOR",
        ] {
            scope.forget_all(prefix);
        }
        let mut reader = Self {
            root,
            tree,
            scopes: vec![scope],
            definitions: HashMap::new(),
            targets: Targets::default(),
            file: String::new(),
            directory: String::new(),
            depth: 0,
            commands: 0,
            version: String::new(),
            name: String::new(),
            options: BTreeMap::new(),
            left_out: Vec::new(),
        };
        reader.enter("")?;
        Ok(reader)
    }

    /// The variables that are there.
    pub(super) fn scope(&self) -> &Scope {
        &self.scopes[self.scopes.len() - 1]
    }

    pub(super) fn scope_mut(&mut self) -> &mut Scope {
        let last = self.scopes.len() - 1;
        &mut self.scopes[last]
    }

    pub(super) fn leave_out(&mut self, what: impl Into<String>, why: impl Into<String>) {
        self.left_out.push((what.into(), why.into()));
    }

    /// The place of a command, for people.
    pub(super) fn place(&self, command: &Command) -> String {
        format!("{}:{}", self.file, command.line)
    }

    /// The path of `path` in the package, which is absolute or counts from where we are; `None` outside. What CMake
    /// makes is below `{build}`.
    pub(super) fn path(&self, path: &str) -> Option<String> {
        let root = self.root.to_string_lossy();
        let from_root = match path.strip_prefix(&*root) {
            Some(below) if below.is_empty() || below.starts_with('/') => {
                below.trim_start_matches('/').to_owned()
            }
            _ if path.starts_with(BUILD) => path[1..].to_owned(),
            _ if path.starts_with('/') => return None,
            _ => format!("{}/{path}", self.directory),
        };
        let plain = crate::init::resolve::plain(&from_root)?;
        Some(if plain.is_empty() { ".".to_owned() } else { plain })
    }

    /// Reads the `CMakeLists.txt` of a directory of the package, in a scope of its own.
    pub(super) fn enter(&mut self, directory: &str) -> Result<(), String> {
        let slash = if directory.is_empty() { "" } else { "/" };
        let name = format!("{directory}{slash}CMakeLists.txt");
        let before = std::mem::replace(&mut self.directory, directory.to_owned());
        let mut scope = self.scope().clone();
        let source = match directory {
            "" => self.root.to_owned(),
            directory => self.root.join(directory),
        };
        scope.set("CMAKE_CURRENT_SOURCE_DIR", Word::known(source.to_string_lossy()));
        scope.set("CMAKE_CURRENT_BINARY_DIR", Word::known(format!("{BUILD}{slash}{directory}")));
        if directory.is_empty() {
            self.scopes[0] = scope.clone();
        }
        self.scopes.push(scope);
        self.targets.enter();
        let read = self.read_file(&name);
        if directory.is_empty() && self.version.is_empty() {
            self.version = self.scope().version();
        }
        self.targets.leave();
        self.scopes.pop();
        self.directory = before;
        read
    }

    pub(super) fn read_file(&mut self, name: &str) -> Result<(), String> {
        let text =
            fs::read(self.root.join(name)).map_err(|error| larder_trace::describe_io(&error))?;
        let nodes =
            parse(&String::from_utf8_lossy(&text)).map_err(|error| format!("{name}: {error}"))?;
        if self.depth >= DEEPEST {
            return Err(format!("{name}: files are read in each other without end"));
        }
        let before = std::mem::replace(&mut self.file, name.to_owned());
        let directory = self.root.join(name).parent().map(|it| it.to_string_lossy().into_owned());
        let list_directory = self.scope().get("CMAKE_CURRENT_LIST_DIR");
        self.scope_mut().set("CMAKE_CURRENT_LIST_DIR", Word::known(directory.unwrap_or_default()));
        self.depth += 1;
        self.run(&nodes);
        self.depth -= 1;
        self.scope_mut().set("CMAKE_CURRENT_LIST_DIR", list_directory);
        self.file = before;
        Ok(())
    }

    pub(super) fn run(&mut self, nodes: &[Node]) -> End {
        for node in nodes {
            let end = match node {
                Node::Command(command) => self.command(command),
                Node::If { branches, otherwise } => self.branch(branches, otherwise),
                Node::Foreach { header, body } => self.repeat(header, body),
                Node::While { body } => {
                    self.forget_in(body);
                    End::Whole
                }
                Node::Definition { header, body } => {
                    self.define(header, body);
                    End::Whole
                }
            };
            if end != End::Whole {
                return end;
            }
        }
        End::Whole
    }

    fn branch(&mut self, branches: &[(Command, Vec<Node>)], otherwise: &[Node]) -> End {
        for (at, (condition, body)) in branches.iter().enumerate() {
            match holds(&condition.arguments, self.scope(), &*self) {
                Some(true) => return self.run(body),
                Some(false) => {}
                None => {
                    let rest = branches[at..].iter().map(|(_, body)| body.as_slice());
                    for body in rest.chain([otherwise]) {
                        self.skip(condition, body);
                    }
                    return End::Whole;
                }
            }
        }
        self.run(otherwise)
    }

    /// Leaves out what stands under a condition that nobody decides, and forgets what it might set.
    fn skip(&mut self, condition: &Command, body: &[Node]) {
        self.forget_in(body);
        let mut counting = Vec::new();
        commands_in(body, &mut |command| {
            self.targets.installs_more |= command.name == "install";
            let counts = command.name.starts_with("add_")
                && !command.name.starts_with("add_custom")
                || command.name.starts_with("target_");
            if counts && !counting.contains(&command.name) {
                counting.push(command.name.clone());
            }
        });
        if counting.is_empty() {
            return;
        }
        let words: Vec<&str> = condition.arguments.iter().map(|it| it.text.as_str()).collect();
        let what = format!(
            "{} ({}) under `if({})`",
            self.place(condition),
            counting.join(", "),
            words.join(" ")
        );
        self.leave_out(what, "only CMake can tell whether that holds");
    }

    /// Forgets variables that commands might set.
    pub(super) fn forget_in(&mut self, body: &[Node]) {
        let mut names = Vec::new();
        commands_in(body, &mut |command| {
            let at = match &*command.name {
                "list" => 1,
                _ => 0,
            };
            match &*command.name {
                "set" | "list" | "unset" | "option" => {
                    names.extend(command.arguments.get(at).cloned())
                }
                _ => names.extend(command.arguments.iter().cloned()),
            }
        });
        for name in names {
            self.forget(&name);
        }
    }

    /// Forgets a variable, if an argument is the name of one.
    fn forget(&mut self, argument: &Argument) {
        let name = self.scope().replaced(&argument.text);
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.known && !name.text.is_empty() && name.text.chars().all(is_name) {
            self.scope_mut().forget(&name.text);
        }
    }

    fn command(&mut self, command: &Command) -> End {
        self.commands += 1;
        if self.commands > MOST_COMMANDS {
            return End::Returned;
        }
        match &*command.name {
            "return" => return End::Returned,
            "break" | "continue" => return End::Broken,
            _ => {}
        }
        if let Some(definition) = self.definitions.get(&command.name).cloned() {
            return self.call(&definition, command);
        }
        let words = self.scope().expand(&command.arguments);
        if !(self.variable_command(command, &words)
            || self.file_command(command, &words)
            || self.target_command(command, &words))
        {
            command.arguments.iter().for_each(|argument| self.forget(argument));
        }
        End::Whole
    }

    /// Sets a variable here, or where this function was called.
    pub(super) fn assign(&mut self, name: &str, value: Option<Word>, above: bool) {
        let at = self.scopes.len() - 1 - usize::from(above && self.scopes.len() > 1);
        match value {
            Some(value) => self.scopes[at].set(name, value),
            None => self.scopes[at].unset(name),
        }
    }
}

impl World for Reader<'_> {
    fn has_target(&self, name: &str) -> Option<bool> {
        match self.targets.resolve(name).is_some() {
            true => Some(true),
            false => self.targets.known_missing(name).then_some(false),
        }
    }

    fn exists(&self, path: &str) -> Option<bool> {
        let path = self.path(path).filter(|path| !path.starts_with("{build}"))?;
        Some(self.root.join(path).exists())
    }

    fn has_command(&self, name: &str) -> Option<bool> {
        self.definitions.contains_key(&name.to_ascii_lowercase()).then_some(true)
    }
}

/// Visits all commands in nodes, those in blocks, too.
fn commands_in(nodes: &[Node], visit: &mut impl FnMut(&Command)) {
    for node in nodes {
        match node {
            Node::Command(command) => visit(command),
            Node::If { branches, otherwise } => {
                branches.iter().for_each(|(_, body)| commands_in(body, visit));
                commands_in(otherwise, visit);
            }
            Node::Foreach { body, .. } | Node::While { body } => commands_in(body, visit),
            Node::Definition { .. } => {}
        }
    }
}
