//! Reading a `meson.build` statement by statement, without running anything. What nobody knows here decides nothing.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::Path,
};

use super::{
    syntax::{Call, Expression, Statement, parse},
    value::Value,
};
use crate::init::{Flags, InstalledHeaders, Target, Tree};

/// More statements than this are not read.
const MOST_STATEMENTS: usize = 200_000;

/// What reads a project.
pub struct Reader<'a> {
    pub(super) root: &'a Path,
    pub(super) tree: &'a Tree,
    variables: HashMap<String, Value>,
    pub(super) options: BTreeMap<String, Value>,
    /// The directory that is read, from the package.
    pub(super) directory: String,
    depth: usize,
    statements: usize,
    pub(super) project: String,
    pub(super) version: String,
    /// How everything is compiled.
    pub(super) all: Flags,
    pub(super) targets: BTreeMap<String, Target>,
    /// Targets that are not built here, and why.
    pub(super) refused: BTreeMap<String, String>,
    /// Tests: name, program, arguments.
    pub(super) tests: Vec<(String, Value, Vec<Value>)>,
    /// Headers that are installed.
    pub(super) headers: Vec<InstalledHeaders>,
    /// The directories of headers for whoever uses a library, as its dependency says.
    pub(super) public: BTreeMap<String, Vec<String>>,
    pub(super) left_out: Vec<(String, String)>,
}

/// The arguments of a call.
pub struct Arguments {
    /// By their places.
    pub places: Vec<Value>,
    /// By their names.
    pub names: Vec<(String, Value)>,
}

impl Arguments {
    /// The argument of this name.
    pub fn named(&self, name: &str) -> Option<&Value> {
        self.names.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// The text at a place.
    pub fn text(&self, at: usize) -> Option<&str> {
        self.places.get(at).and_then(Value::text)
    }
}

impl<'a> Reader<'a> {
    /// Reads the project in `root`.
    ///
    /// # Errors
    /// Where its `meson.build` is none.
    pub fn read(root: &'a Path, tree: &'a Tree) -> Result<Self, String> {
        let mut reader = Self {
            root,
            tree,
            variables: HashMap::new(),
            options: BTreeMap::new(),
            directory: String::new(),
            depth: 0,
            statements: 0,
            project: String::new(),
            version: String::new(),
            all: Flags::default(),
            targets: BTreeMap::new(),
            refused: BTreeMap::new(),
            tests: Vec::new(),
            headers: Vec::new(),
            public: BTreeMap::new(),
            left_out: Vec::new(),
        };
        for file in ["meson_options.txt", "meson.options"] {
            if root.join(file).is_file() {
                reader.file(file)?;
            }
        }
        reader.file("meson.build")?;
        Ok(reader)
    }

    fn file(&mut self, name: &str) -> Result<(), String> {
        let text =
            fs::read(self.root.join(name)).map_err(|error| larder_trace::describe_io(&error))?;
        let statements =
            parse(&String::from_utf8_lossy(&text)).map_err(|error| format!("{name}: {error}"))?;
        self.run(&statements);
        Ok(())
    }

    pub(super) fn leave_out(&mut self, what: impl Into<String>, why: impl Into<String>) {
        self.left_out.push((what.into(), why.into()));
    }

    /// The path in the package of one that counts from the directory that is read.
    pub(super) fn path(&self, path: &str) -> Option<String> {
        let root = format!("{}/", self.root.to_string_lossy());
        let from_root = match path.strip_prefix(&root) {
            Some(below) => below.to_owned(),
            None if path.starts_with('/') => return None,
            None => format!("{}/{path}", self.directory),
        };
        let plain = crate::init::resolve::plain(&from_root)?;
        Some(if plain.is_empty() { ".".to_owned() } else { plain })
    }

    fn place(&self, line: usize) -> String {
        let slash = if self.directory.is_empty() { "" } else { "/" };
        format!("{}{slash}meson.build:{line}", self.directory)
    }

    /// Runs statements. Returns whether a loop goes on.
    fn run(&mut self, statements: &[Statement]) -> bool {
        for statement in statements {
            self.statements += 1;
            if self.statements > MOST_STATEMENTS {
                return false;
            }
            match statement {
                Statement::Expression(expression) => _ = self.value(expression),
                Statement::Assign { name, adds, value } => {
                    let value = self.value(value);
                    let value = match self.variables.get(name).filter(|_| *adds) {
                        Some(before) => before.operated("+", &value),
                        None => value,
                    };
                    self.variables.insert(name.clone(), value);
                }
                Statement::If { branches, otherwise, line } => {
                    if !self.branch(branches, otherwise, *line) {
                        return false;
                    }
                }
                Statement::Foreach { names, of, body } => self.repeat(names, of, body),
                Statement::Jump => return false,
            }
        }
        true
    }

    fn branch(
        &mut self,
        branches: &[(Expression, Vec<Statement>)],
        otherwise: &[Statement],
        line: usize,
    ) -> bool {
        for (at, (condition, body)) in branches.iter().enumerate() {
            match self.value(condition).holds() {
                Some(true) => return self.run(body),
                Some(false) => {}
                None => {
                    for (_, body) in &branches[at..] {
                        self.skip(body, line);
                    }
                    self.skip(otherwise, line);
                    return true;
                }
            }
        }
        self.run(otherwise)
    }

    /// Leaves out statements that may or may not count, and forgets what they assign.
    fn skip(&mut self, body: &[Statement], line: usize) {
        let mut calls = Vec::new();
        let mut names = Vec::new();
        visit(body, &mut |statement| match statement {
            Statement::Assign { name, value, .. } => {
                names.push(name.clone());
                calls.extend(call_name(value));
            }
            Statement::Expression(expression) => calls.extend(call_name(expression)),
            _ => {}
        });
        for name in names {
            self.variables.insert(name, Value::Unknown);
        }
        let counting = [
            "executable",
            "library",
            "static_library",
            "shared_library",
            "both_libraries",
            "subdir",
            "test",
        ];
        calls.retain(|call| counting.contains(&call.as_str()));
        calls.dedup();
        if !calls.is_empty() {
            let what = format!("{} ({}) under an `if`", self.place(line), calls.join(", "));
            self.leave_out(what, "only Meson can tell whether that holds");
        }
    }

    fn repeat(&mut self, names: &[String], of: &Expression, body: &[Statement]) {
        let rounds: Vec<Vec<Value>> = match self.value(of) {
            Value::List(entries) => entries.into_iter().map(|entry| vec![entry]).collect(),
            Value::Dictionary(entries) => {
                entries.into_iter().map(|(key, value)| vec![Value::Text(key), value]).collect()
            }
            _ => {
                self.skip(body, 0);
                return;
            }
        };
        for round in rounds {
            for (name, value) in names.iter().zip(round) {
                self.variables.insert(name.clone(), value);
            }
            self.run(body);
        }
    }

    pub(super) fn value(&mut self, expression: &Expression) -> Value {
        match expression {
            Expression::Text { text, is_format: false } => Value::Text(text.clone()),
            Expression::Text { text, .. } => self.formatted(text),
            Expression::Number(number) => Value::Number(*number),
            Expression::Boolean(boolean) => Value::Boolean(*boolean),
            Expression::Name(name) => match &**name {
                "meson" => Value::Meson,
                "host_machine" | "build_machine" | "target_machine" => Value::Machine,
                _ => self.variables.get(name).cloned().unwrap_or(Value::Unknown),
            },
            Expression::List(entries) => {
                Value::List(entries.iter().map(|it| self.value(it)).collect())
            }
            Expression::Dictionary(entries) => {
                let entries = entries.iter().filter_map(|(key, value)| {
                    Some((self.value(key).text()?.to_owned(), self.value(value)))
                });
                Value::Dictionary(entries.collect())
            }
            Expression::Call(call) => self.call(call),
            Expression::Method(of, call) => {
                let of = self.value(of);
                let arguments: Vec<Value> =
                    call.arguments.iter().map(|it| self.value(it)).collect();
                self.method(&of, call, &arguments)
            }
            Expression::Index(of, at) => {
                let (of, at) = (self.value(of), self.value(at));
                of.index(&at)
            }
            Expression::Not(of) => {
                self.value(of).holds().map_or(Value::Unknown, |it| Value::Boolean(!it))
            }
            Expression::Binary(left, operator, right) => self.binary(left, operator, right),
            Expression::Choice(parts) => {
                let [condition, yes, no] = &**parts;
                match self.value(condition).holds() {
                    Some(true) => self.value(yes),
                    Some(false) => self.value(no),
                    None => Value::Unknown,
                }
            }
        }
    }

    fn binary(&mut self, left: &Expression, operator: &str, right: &Expression) -> Value {
        let one = self.value(left);
        let decides = match operator {
            "and" => Some(false),
            "or" => Some(true),
            _ => None,
        };
        let Some(decides) = decides else {
            let other = self.value(right);
            return one.operated(operator, &other);
        };
        if one.holds() == Some(decides) {
            return one;
        }
        let other = self.value(right);
        match (one.holds(), other.holds()) {
            (_, Some(found)) if found == decides => Value::Boolean(decides),
            (Some(_), Some(found)) => Value::Boolean(found),
            _ => Value::Unknown,
        }
    }

    fn formatted(&self, text: &str) -> Value {
        let mut whole = text.to_owned();
        for (name, value) in &self.variables {
            let place = format!("@{name}@");
            if whole.contains(&place) {
                let shown = match value {
                    Value::Number(number) => number.to_string(),
                    other => match other.text() {
                        Some(text) => text.to_owned(),
                        None => return Value::Unknown,
                    },
                };
                whole = whole.replace(&place, &shown);
            }
        }
        Value::Text(whole)
    }

    fn call(&mut self, call: &Call) -> Value {
        if matches!(
            &*call.name,
            "subdir_done" | "message" | "warning" | "error" | "summary" | "assert"
        ) {
            return Value::Unknown;
        }
        let places = call.arguments.iter().map(|it| self.value(it)).collect();
        let mut names: Vec<(String, Value)> = Vec::new();
        for (name, value) in &call.named {
            let value = self.value(value);
            match value {
                Value::Dictionary(entries) if name == "kwargs" => names.extend(entries),
                value => names.push((name.clone(), value)),
            }
        }
        let arguments = Arguments { places, names };
        match &*call.name {
            "subdir" => {
                self.subdirectory(&arguments, call.line);
                Value::Unknown
            }
            "set_variable" => {
                if let (Some(name), Some(value)) = (arguments.text(0), arguments.places.get(1)) {
                    self.variables.insert(name.to_owned(), value.clone());
                }
                Value::Unknown
            }
            "get_variable" => arguments
                .text(0)
                .and_then(|name| self.variables.get(name))
                .or(arguments.places.get(1))
                .cloned()
                .unwrap_or(Value::Unknown),
            "is_variable" => match arguments.text(0) {
                Some(name) => Value::Boolean(self.variables.contains_key(name)),
                None => Value::Unknown,
            },
            _ => self.function(&call.name, &arguments, call.line),
        }
    }

    fn subdirectory(&mut self, arguments: &Arguments, line: usize) {
        let path = arguments.text(0).and_then(|name| self.path(name));
        let is_there = |path: &String| self.root.join(path).join("meson.build").is_file();
        let Some(path) = path.filter(is_there).filter(|_| self.depth < 40) else {
            let what = format!("a directory that {} names", self.place(line));
            return self.leave_out(what, "it is not there");
        };
        let before = std::mem::replace(&mut self.directory, path.clone());
        self.depth += 1;
        if let Err(why) = self.file(&format!("{path}/meson.build")) {
            self.leave_out(path, why);
        }
        self.depth -= 1;
        self.directory = before;
    }
}

fn call_name(expression: &Expression) -> Option<String> {
    match expression {
        Expression::Call(call) => Some(call.name.clone()),
        _ => None,
    }
}

/// Visits all statements, those in blocks, too.
fn visit(statements: &[Statement], to: &mut impl FnMut(&Statement)) {
    for statement in statements {
        to(statement);
        match statement {
            Statement::If { branches, otherwise, .. } => {
                branches.iter().for_each(|(_, body)| visit(body, to));
                visit(otherwise, to);
            }
            Statement::Foreach { body, .. } => visit(body, to),
            _ => {}
        }
    }
}
