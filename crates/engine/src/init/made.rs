//! Headers that a build system made while it was asked, as `[[config]]`.

use std::{collections::BTreeMap, fs, path::Path};

use larder_project::{
    init::{
        Package, Target, Tree,
        config::{Asks, Config, Value},
    },
    plan::Language,
};

/// What is known of headers that were made.
pub struct Made<'a> {
    /// The build directory, in which they are.
    pub build: &'a Path,
    /// The package's directory.
    pub package: &'a Path,
    /// Files of the package that were read, by their paths in it.
    pub read: Vec<String>,
    /// How the answers were found out, by their names.
    pub checks: &'a BTreeMap<String, Asks>,
    /// Macros with which the compiler was asked.
    pub defines: &'a [String],
    /// Who made them, for people.
    pub by: &'static str,
}

/// Deeper directories are not looked into.
const DEEPEST: usize = 8;

impl Made<'_> {
    /// Adds to `package` all headers that can be made again, and says which cannot.
    pub fn describe(&self, package: &mut Package) {
        let mut outputs = Vec::new();
        headers(self.build, &mut outputs);
        let mut guesses = Vec::new();
        let tree = Tree::read(self.package).unwrap_or_default();
        for output in outputs {
            let path = format!("{{build}}/{output}");
            let is_used = package.targets.iter().any(|target| {
                let flags = &target.flags;
                let mut given = flags.includes.iter().chain(&flags.private_includes);
                given.any(|it| it.starts_with("{build}") && path.starts_with(&format!("{it}/")))
            });
            if !is_used {
                continue;
            }
            // A copy of a header of the package is found where that is.
            if let Some((original, defines)) = self.original(&output, &tree) {
                for target in &mut package.targets {
                    is_copied(target, &path, original, &defines);
                }
                continue;
            }
            match self.config(&output) {
                Ok(config) => {
                    if !config.values.is_empty() {
                        guesses.push(config.output.clone());
                    }
                    package.add_config(config);
                }
                Err(why) => package.leave_out(output, why),
            }
        }
        self.describe_texts(package);
        if !guesses.is_empty() {
            package.cautions.push(format!(
                "The `values` of {} are what {} found on this machine. What the compiler should be asked instead is for you to say.",
                guesses.join(", "),
                self.by
            ));
        }
    }

    /// Adds what was written for the assembler.
    fn describe_texts(&self, package: &mut Package) {
        if package.assembler.is_none() {
            return;
        }
        let mut outputs = Vec::new();
        files(self.build, "", 0, &Language::is_asm, &mut outputs);
        for output in outputs {
            if let Ok(text) = fs::read_to_string(self.build.join(&output)) {
                let lines = text.lines().filter(|line| !line.trim().is_empty());
                package.add_text(&output, lines.map(str::to_owned).collect());
            }
        }
    }

    fn config(&self, output: &str) -> Result<Config, String> {
        let read = |path: &Path| {
            let text = fs::read(path).map_err(|error| larder_trace::describe_io(&error))?;
            String::from_utf8(text).map_err(|_| "it is no text".to_owned())
        };
        let made = read(&self.build.join(output))?;
        let mut config = Config { output: output.to_owned(), ..Config::default() };
        match self.template(output) {
            Some(template) => {
                let text = read(&self.package.join(template))?;
                config.take_values(&text, &made)?;
                config.template = Some(template.to_owned());
            }
            None if is_plain(&made) => config.values = defined(&made),
            None => self.guess(&mut config, &made).map_err(|()| {
                format!("{} makes it: write a [[command]] or a [[config]]", self.by)
            })?,
        }
        config.ask(self.checks);
        if !config.checks.is_empty() {
            config.defines = self.defines.to_vec();
        }
        Ok(config)
    }

    /// Finds a file that could have been the template of what was made, though nobody says that it was read.
    fn guess(&self, config: &mut Config, made: &str) -> Result<(), ()> {
        let name = config.output.rsplit('/').next().unwrap_or_default();
        let mut found = Vec::new();
        files(self.package, "", 0, &|file| file.strip_suffix(".in") == Some(name), &mut found);
        for template in found {
            let text = fs::read_to_string(self.package.join(&template)).unwrap_or_default();
            let mut tried = Config { output: config.output.clone(), ..Config::default() };
            if tried.take_all_values(&text, made).is_ok() {
                tried.template = Some(template);
                *config = tried;
                return Ok(());
            }
        }
        Err(())
    }

    /// The header of the package that `output` is a copy of, and the macros that it defines besides, where they
    /// stand as a remark in the header.
    fn original<'t>(&self, output: &str, tree: &'t Tree) -> Option<(&'t String, Vec<String>)> {
        let made = fs::read_to_string(self.build.join(output)).ok()?;
        let name = output.rsplit('/').next();
        let same_name = tree.headers.iter().filter(|path| path.rsplit('/').next() == name);
        let mut same = same_name.filter_map(|path| {
            let text = fs::read_to_string(self.package.join(path)).ok()?;
            Some((path, defined_besides(&text, &made)?))
        });
        same.next()
    }

    /// The file that was read to make `output`, by its name.
    fn template(&self, output: &str) -> Option<&str> {
        let name = output.rsplit('/').next().unwrap_or(output);
        let makes = |path: &&String| {
            let mut file = path.rsplit('/').next().unwrap_or(path);
            let ends = [".in", ".cmake", ".cmakein", ".meson", ".tmpl"];
            loop {
                let shorter = ends.iter().find_map(|end| file.strip_suffix(end));
                match shorter {
                    Some(shorter) if shorter == name => return true,
                    Some(shorter) => file = shorter,
                    None => return false,
                }
            }
        };
        // Of several, the one in a directory of the same name.
        let near = |path: &&String| {
            let common = |one: &str, other: &str| {
                one.split('/')
                    .rev()
                    .skip(1)
                    .zip(other.split('/').rev().skip(1))
                    .take_while(|(a, b)| a == b)
                    .count()
            };
            common(path, output)
        };
        self.read.iter().filter(makes).max_by_key(near).map(String::as_str)
    }
}

/// Gives a target that finds the file `path` of the build the header `original` of the package in its place.
fn is_copied(target: &mut Target, path: &str, original: &str, defines: &[String]) {
    let is_library = target.kind.is_library();
    let flags = &mut target.flags;
    let lists = [&mut flags.private_includes, &mut flags.includes];
    let found = lists.into_iter().find_map(|list| {
        let below = list.iter().find_map(|it| path.strip_prefix(&format!("{it}/")))?;
        Some((list, below))
    });
    let Some((includes, below)) = found else { return };
    // In a directory of the same layout, if it is in one.
    let include = match original.strip_suffix(below) {
        Some("") => ".",
        Some(directory) if directory.ends_with('/') => directory.trim_end_matches('/'),
        _ => original.rsplit_once('/').map_or(".", |(directory, _)| directory),
    };
    if !includes.iter().any(|it| it == include) {
        includes.push(include.to_owned());
    }
    let known = if is_library { &mut flags.public_defines } else { &mut flags.defines };
    known.extend(defines.iter().cloned());
}

/// The macros that `made` defines where the same line of `text` is a remark: `/* #define NAME VALUE */`. Nothing, where
/// anything else differs.
fn defined_besides(text: &str, made: &str) -> Option<Vec<String>> {
    if text.lines().count() != made.lines().count() {
        return None;
    }
    let differ = text.lines().zip(made.lines()).filter(|(line, made)| line != made);
    let macros = differ.map(|(line, made)| {
        let remark = line.trim().strip_prefix("/*")?.strip_suffix("*/")?.trim();
        let definition = made.trim().strip_prefix("#define ").filter(|_| made.trim() == remark)?;
        let (name, value) = definition.split_once(' ').unwrap_or((definition, ""));
        Some(format!("{name}={}", value.trim()))
    });
    macros.collect()
}

/// Whether a header consists of macros only.
fn is_plain(made: &str) -> bool {
    let mut lines = made.lines().map(str::trim).filter(|line| !line.is_empty());
    let is_remark =
        |line: &str| line.starts_with("/*") || line.starts_with('*') || line.starts_with("//");
    lines.all(|line| {
        is_remark(line)
            || line.starts_with("#define ")
            || line.starts_with("#undef ")
            || line == "#pragma once"
    })
}

fn defined(made: &str) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for line in made.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("#define ") {
            let (name, value) = rest.split_once(' ').unwrap_or((rest, ""));
            found.insert(name.to_owned(), Value::Text(value.trim().to_owned()));
        } else if let Some(name) = line.strip_prefix("#undef ") {
            found.insert(name.trim().to_owned(), Value::Boolean(false));
        }
    }
    found.retain(|name, _| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'));
    found
}

fn headers(directory: &Path, found: &mut Vec<String>) {
    let ends = [".h", ".hpp", ".hh", ".hxx"];
    files(directory, "", 0, &|file| ends.iter().any(|end| file.ends_with(end)), found);
}

/// Adds the files below a directory whose names are `wanted`, sorted in each directory.
fn files(
    directory: &Path,
    name: &str,
    depth: usize,
    wanted: &dyn Fn(&str) -> bool,
    found: &mut Vec<String>,
) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    let mut entries: Vec<_> = entries.flatten().collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let Ok(file) = entry.file_name().into_string() else { continue };
        let is_own = file.starts_with('.')
            || file == "CMakeFiles"
            || file.ends_with(".p")
            || file.starts_with("meson-");
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() && !is_own && depth < DEEPEST {
            files(&entry.path(), &format!("{name}{file}/"), depth + 1, wanted, found);
        } else if kind.is_file() && wanted(&file) {
            found.push(format!("{name}{file}"));
        }
    }
}
