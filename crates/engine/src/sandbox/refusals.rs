//! Tells what a command was refused, and which line of the manifest would declare it.
//!
//! The kernel tells nobody but the command what it refused, so this is read from what the command
//! printed: whatever is named where permission was denied, is there and was not visible.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use larder_project::{
    diagnostic::{Diagnostic, Located},
    manifest::{Compiled, Input, Template},
    path::BuildPath,
    plan::{Declared, Plan},
    workspace::Package,
};

use super::{Sandbox, View, tools};

/// Where a target is declared.
pub struct Declaration {
    label: Arc<str>,
    package: Arc<Package>,
    declared: Declared,
    /// Its path in the build directory, but for a command's outputs.
    output: Option<BuildPath>,
}

/// Where every target of `plan` is declared.
pub fn declarations(plan: &Plan) -> Vec<Declaration> {
    let declaration = |target| {
        let package = plan.package_of(target).clone();
        let (label, declared) = (target.label.clone(), target.declared);
        Declaration { label, package, declared, output: target.file().cloned() }
    };
    plan.targets.iter().map(declaration).collect()
}

/// No more than so many are reported of one command: the first ones tell how to go on.
const MOST: usize = 5;

/// Something that a command was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// Reading a file that is there, or listing a directory.
    Read(PathBuf),
    /// Making or changing a file.
    Write(PathBuf),
    /// Talking to another process or machine.
    Network,
}

impl Sandbox {
    /// Everything that a command tells in `output` that it was refused. It ran in `directory` and looks for files in the directories `search` besides.
    pub fn refused(
        &self,
        view: &View,
        directory: &Path,
        search: &[PathBuf],
        output: &str,
    ) -> Vec<Refused> {
        let visible: Vec<PathBuf> =
            view.paths.iter().filter_map(|path| path.canonicalize().ok()).collect();
        let hidden = |path: &Path| -> Option<PathBuf> {
            let path = path.canonicalize().ok()?;
            (!visible.iter().any(|seen| path.starts_with(seen))).then_some(path)
        };
        let mut found: Vec<Refused> = Vec::new();
        let lines: Vec<&str> = output.lines().collect();
        for (number, line) in lines.iter().enumerate().filter(|(_, line)| is_refusal(line)) {
            // Some put the name on a line of its own.
            let next = lines.get(number + 1).filter(|next| !is_refusal(next));
            let refused = [Some(line), next].into_iter().flatten().find_map(|line| {
                let names = names(line);
                let read = search_for(&names, directory, search).find_map(|path| hidden(&path));
                let write = || {
                    let paths = names.iter().filter(|name| name.contains('/'));
                    let mut paths = paths.map(|name| directory.join(name));
                    let not_to_be_written = |path: &PathBuf| match path.exists() {
                        true => writes(line),
                        false => path.parent().is_some_and(|up| hidden(up).is_some()),
                    };
                    paths.find(not_to_be_written).map(Refused::Write)
                };
                read.map(Refused::Read).or_else(write)
            });
            let Some(refused) = refused else { continue };
            if found.len() < MOST && !found.iter().any(|known| known.path() == refused.path()) {
                found.push(refused);
            }
        }
        if output.lines().any(is_about_network) {
            found.push(Refused::Network);
        }
        found
    }

    /// Says what `target` was refused, and how to declare that.
    pub fn explain(&self, target: &str, refused: &Refused) -> Diagnostic {
        let (message, help) = match refused {
            Refused::Read(path) => return self.undeclared(target, path),
            Refused::Write(path) => (
                format!("it tried to write {}", path.display()),
                "commands write their outputs to {out} or below {outdir}, and temporary \
                 files below {tmp}",
            ),
            Refused::Network => (
                "it tried to use a network, but there is none in the sandbox".to_owned(),
                "fetch what it needs beforehand, and declare that as an input",
            ),
        };
        self.at(target, Diagnostic::new(message).help(help))
    }

    fn declaration(&self, target: &str) -> Option<&Declaration> {
        self.declarations.iter().find(|declaration| *declaration.label == *target)
    }

    /// The same, pointing at where `target` is declared.
    pub(super) fn at(&self, target: &str, diagnostic: Diagnostic) -> Diagnostic {
        match self.declaration(target) {
            None => diagnostic,
            Some(found) => diagnostic.at(&found.package.manifest.source, found.name_span()),
        }
    }

    /// Says that `target` read `path`, and what would declare that.
    fn undeclared(&self, target: &str, path: &Path) -> Diagnostic {
        let Some(declaration) = self.declaration(target) else {
            return Diagnostic::new(format!("it read {}, which is not declared", path.display()));
        };
        let package = &declaration.package;
        let say = |name: &str| {
            let did = if path.is_dir() { "listed" } else { "read" };
            let message = format!("it {did} {name}, which the manifest does not declare");
            Diagnostic::new(message)
        };
        let here = &package.manifest.source;
        if let Some(maker) = self.maker(path) {
            let name = &maker.label;
            let name = match Arc::ptr_eq(&maker.package, package) || name.starts_with('@') {
                true => name.to_string(),
                false => format!("@{}/{name}", maker.package.place.name),
            };
            let (line, span) = declaration.extended("inputs", &format!("{{{name}}}"));
            return say(&format!("what `{name}` makes")).at(here, span).help(line);
        }
        let owners = self.declarations.iter().map(|other| &other.package);
        let owners = owners.filter(|owner| path.starts_with(&owner.place.directory));
        let owner = owners.max_by_key(|owner| owner.place.directory.as_os_str().len());
        let Some(owner) = owner else {
            let path = path.display();
            let message = format!("it read {path}, which is outside the package");
            let help = format!(
                "no manifest can declare that: copy it into the package, or, if every command may \
                 read it, build with --allow-read {path}"
            );
            return Diagnostic::new(message).at(here, declaration.name_span()).help(help);
        };
        let local = match path.strip_prefix(&owner.place.directory) {
            Ok(local) if local != Path::new("") => local.to_string_lossy(),
            _ => ".".into(),
        };
        if Arc::ptr_eq(owner, package) {
            let (line, span) = match declaration.compiles() && is_header(&local) {
                true => {
                    let directory = local.rsplit_once('/').map_or(".", |(directory, _)| directory);
                    declaration.extended("includes", directory)
                }
                false => declaration.extended("inputs", &local),
            };
            return say(&local).at(here, span).help(line);
        }
        let name = &owner.place.name;
        let help = match (declaration.compiles(), library_with(owner, &local)) {
            (false, _) => {
                format!("name a target of it as an input: inputs = [\"{{@{name}/TARGET}}\"]")
            }
            (true, Some(library)) => declaration.linked(&format!("{name}/{library}")),
            (true, None) => format!(
                "no library of `{name}` has it below its `includes`: add it there, in {}",
                owner.manifest.source.path.display()
            ),
        };
        let what = format!("{local} of the package `{name}`");
        say(&what).at(here, declaration.name_span()).help(help)
    }

    /// The target that makes `path`.
    fn maker(&self, path: &Path) -> Option<&Declaration> {
        let (root, _) = self.packages.first()?;
        self.declarations.iter().find(|declaration| {
            let build = root.join(declaration.package.place.build_directory().as_str());
            let Ok(local) = path.strip_prefix(build) else { return false };
            match declaration.declared {
                Declared::Command(index) => declaration.package.manifest.commands[index]
                    .outputs
                    .iter()
                    .any(|output| local.starts_with(output.path.as_str())),
                _ => match &declaration.output {
                    Some(output) => local == Path::new(output.as_str()),
                    None => local.starts_with(declaration.objects()),
                },
            }
        })
    }
}

impl Refused {
    fn path(&self) -> Option<&Path> {
        match self {
            Self::Read(path) | Self::Write(path) => Some(path),
            Self::Network => None,
        }
    }
}

/// Where the files called `names` may be. A compiler names a header as it is included, and beside that
/// the file that includes it.
fn search_for<'n>(
    names: &'n [&'n str],
    directory: &'n Path,
    search: &'n [PathBuf],
) -> impl Iterator<Item = PathBuf> + 'n {
    let beside = names.iter().filter_map(|name| Path::new(name).parent());
    let beside = beside.filter(|parent| !parent.as_os_str().is_empty());
    let mut bases: Vec<PathBuf> = vec![directory.to_owned()];
    bases.extend(search.iter().cloned());
    bases.extend(beside.map(|parent| directory.join(parent)));
    names.iter().flat_map(move |name| bases.clone().into_iter().map(move |base| base.join(name)))
}

impl Declaration {
    fn name_span(&self) -> std::ops::Range<usize> {
        self.name().span.clone()
    }

    fn name(&self) -> &Located<String> {
        let manifest = &self.package.manifest;
        match self.declared {
            Declared::Command(index) => &manifest.commands[index].name,
            Declared::Config(index) => &manifest.configs[index].compiled.name,
            Declared::Library(index) => &manifest.libraries[index].compiled.name,
            Declared::Executable(index) => &manifest.executables[index].compiled.name,
        }
    }

    /// Where its objects are, in the build directory.
    fn objects(&self) -> String {
        let library = matches!(self.declared, Declared::Library(_));
        format!("obj/{}{}", if library { "lib" } else { "" }, **self.name())
    }

    fn compiles(&self) -> bool {
        !matches!(self.declared, Declared::Command(_))
    }

    fn compiled(&self) -> Option<&Compiled> {
        let manifest = &self.package.manifest;
        match self.declared {
            Declared::Command(_) => None,
            Declared::Config(index) => Some(&manifest.configs[index].compiled),
            Declared::Library(index) => Some(&manifest.libraries[index].compiled),
            Declared::Executable(index) => Some(&manifest.executables[index].compiled),
        }
    }

    /// The line of the manifest with `entry` added to the list `key`, and where it stands or belongs.
    fn extended(&self, key: &str, entry: &str) -> (String, std::ops::Range<usize>) {
        let paths = |inputs: &'_ [Input]| inputs.iter().map(|input| input.path.clone()).collect();
        let list: Vec<Located<Template>> = match (self.declared, self.compiled(), key) {
            (Declared::Command(index), ..) => paths(&self.package.manifest.commands[index].inputs),
            (_, Some(compiled), "includes") => compiled.lists.includes.clone(),
            (_, Some(compiled), _) => paths(&compiled.lists.inputs),
            _ => Vec::new(),
        };
        let span = list.first().map_or_else(|| self.name_span(), |first| first.span.clone());
        (line(key, list.iter().map(|known| known.text.as_str()), entry), span)
    }

    /// The line of the manifest with `library` added to what the target is linked with.
    fn linked(&self, library: &str) -> String {
        let known = self.compiled().into_iter().flat_map(|compiled| &compiled.lists.libraries);
        line("libraries", known.map(|known| known.as_str()), library)
    }
}

/// The library of `package` that has the header `local` below one of the directories that its users see.
fn library_with<'p>(package: &'p Package, local: &str) -> Option<&'p str> {
    let library = package.manifest.libraries.iter().find(|library| {
        let lists = &library.compiled.lists;
        let directories = lists.includes.iter().chain(&lists.system_includes);
        let mut directories = directories.filter_map(|directory| directory.as_literal());
        directories.any(|directory| directory == "." || Path::new(local).starts_with(directory))
    });
    library.map(|library| library.compiled.name.as_str())
}

/// A list of a manifest with one more entry.
fn line<'e>(key: &str, known: impl Iterator<Item = &'e str>, entry: &'e str) -> String {
    // JSON's strings are TOML's.
    let entries = known.chain([entry]).map(|text| serde_json::Value::from(text).to_string());
    format!("declare it: {key} = [{}]", entries.collect::<Vec<_>>().join(", "))
}

fn is_header(path: &str) -> bool {
    let extension = path.rsplit_once('.').map(|(_, extension)| extension);
    extension.is_some_and(|extension| {
        matches!(
            extension,
            "h" | "hh" | "hpp" | "hxx" | "h++" | "H" | "inc" | "inl" | "ipp" | "tcc"
        )
    })
}

fn is_refusal(line: &str) -> bool {
    line.contains("ermission denied") || line.contains("EACCES")
}

/// Whether a line that tells of a refusal tells of one to change something.
fn writes(line: &str) -> bool {
    ["creat", "writ", "remov", "touch", "renam", "mov", "delet"]
        .iter()
        .any(|sign| line.contains(sign))
}

fn is_about_network(line: &str) -> bool {
    const SIGNS: &[&str] =
        &["name resolution", "resolve host", "resolving host", "ocket", "etwork is unreachable"];
    SIGNS.iter().any(|sign| line.contains(sign))
}

/// Everything in a line of a tool's output that may name a file: quoted text, text between colons, and
/// every word.
fn names(line: &str) -> Vec<&str> {
    let quotes = |c: char| matches!(c, '\'' | '"' | '`' | '‘' | '’' | '“' | '”');
    let edges = |c: char| quotes(c) || "()[]<>{},;:".contains(c);
    let quoted = line.split(quotes).skip(1).step_by(2);
    let fields = line.split(": ").map(|field| field.trim().trim_matches(edges));
    let words = line.split_whitespace().map(|word| word.trim_matches(edges));
    // FILE:LINE:COLUMN
    let located = line.split_whitespace().filter_map(|word| word.split(':').next());
    let mut found: Vec<&str> = Vec::new();
    for name in quoted.chain(fields).chain(words).chain(located) {
        let name = name.strip_prefix("./").unwrap_or(name);
        let empty = name.is_empty() || tools::is_system(Path::new(name));
        if !empty && !found.contains(&name) {
            found.push(name);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How tools say that they were refused `doc/a secret.md`, or `doc/x.h`.
    #[test]
    fn names_are_found_in_what_tools_say() {
        for line in [
            "cat: doc/x.h: Permission denied",
            "sh: 1: cannot open doc/x.h: Permission denied",
            "bash: line 1: doc/x.h: Permission denied",
            "PermissionError: [Errno 13] Permission denied: 'doc/x.h'",
            "src/a.c:1:10: fatal error: doc/x.h: Permission denied",
            "/usr/bin/ld: cannot find doc/x.h: Permission denied",
            "awk: cannot open \"doc/x.h\" (Permission denied)",
            "Can't open doc/x.h: Permission denied at -e line 1.",
            "Error: EACCES: permission denied, open 'doc/x.h'",
            "cp: cannot open 'doc/x.h' for reading: Permission denied",
            "sh: 1: ./doc/x.h: Permission denied",
        ] {
            assert!(is_refusal(line), "{line}");
            assert!(names(line).contains(&"doc/x.h"), "{line}: {:?}", names(line));
        }
        for line in [
            "cat: doc/a secret.md: Permission denied",
            "cp: cannot open 'doc/a secret.md' for reading: Permission denied",
        ] {
            assert!(names(line).contains(&"doc/a secret.md"), "{line}");
        }
    }
}
