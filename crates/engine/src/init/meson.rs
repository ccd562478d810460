//! What Meson says through its introspection.

mod commands;
mod objects;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use larder_project::{
    init::{
        Flags, InstalledHeaders, Kind, MesonSaid, Package, Place, Target,
        declared::{self, Declared},
        flags::{Given, of_compiler, of_linker, optimise, soversion, version_of},
        inside,
    },
    plan::Language,
};
use larder_trace::describe_io;
use serde_json::Value;

use super::{
    Asking,
    made::Made,
    tools::{self, list, run, text},
};
use crate::environment::Environment;

/// Describes the package at `place`, as Meson sets it up in a temporary directory. Nothing is downloaded.
///
/// # Errors
/// Why Meson does not say.
pub fn describe(
    place: &Place,
    environment: &Environment,
    asking: Asking<'_>,
) -> Result<Package, String> {
    tools::find("meson", environment)?;
    asking("Meson");
    let scratch = tempfile::tempdir_in(environment.temporary_directory())
        .map_err(|error| describe_io(&error))?;
    let build = scratch.path().canonicalize().map_err(|error| describe_io(&error))?;
    let (source, to) = (place.directory.to_string_lossy(), build.to_string_lossy());
    let said = MesonSaid::read(&place.directory);
    let mut arguments = vec!["setup", "--wrap-mode=nodownload", &*to, &source];
    if !said.is_optimised {
        arguments.push("--buildtype=release");
    }
    run("meson", &arguments, &build, environment)?;
    let read = |name: &str| -> Result<Value, String> {
        let file = build.join("meson-info").join(name);
        let text = fs::read(file).map_err(|error| describe_io(&error))?;
        serde_json::from_slice(&text).map_err(|error| error.to_string())
    };
    let targets = read("intro-targets.json")?;
    let links = fs::read_to_string(build.join("build.ninja")).unwrap_or_default();
    let project = Project {
        directory: &place.directory,
        targets: list(&targets),
        links: link_words(&links),
        ninja: &links,
        said,
        build: build.clone(),
    };
    let read_files = read("intro-buildsystem_files.json").unwrap_or_default();
    let read_files = list(&read_files).iter();
    let read_files: Vec<String> =
        read_files.filter_map(|it| inside(text(it), &place.directory, &place.directory)).collect();
    let project_info = read("intro-projectinfo.json")?;
    let version = text(&project_info["version"]).to_owned();
    let version = if version == "undefined" { String::new() } else { version };
    let mut package = project.package(&place.name, version, &read("intro-tests.json")?);
    package.rename(text(&project_info["descriptive_name"]));
    let made = Made {
        build: &build,
        package: &place.directory,
        read: read_files,
        checks: &BTreeMap::new(),
        defines: &[],
        by: "Meson",
    };
    made.describe(&mut package);
    let options = read("intro-buildoptions.json").unwrap_or_default();
    for option in list(&options).iter().filter(|it| it["section"] == "user") {
        let value = &option["value"];
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let value = if value.is_empty() { "nothing" } else { &value };
        package.note_option("Meson", text(&option["name"]), text(&option["description"]), value);
    }
    let installed = read("intro-installed.json").unwrap_or_default();
    let installed = installed.as_object().into_iter().flatten();
    let headers = installed.filter_map(|(from, to)| project.installed(from, text(to))).collect();
    package.give_headers(headers);
    package.drop_empty_includes();
    package.inherit_includes();
    Ok(package)
}

struct Project<'a> {
    directory: &'a Path,
    build: PathBuf,
    targets: &'a [Value],
    /// What each file is linked from, by its path in the build directory.
    links: BTreeMap<String, Vec<String>>,
    /// The text of `build.ninja`.
    ninja: &'a str,
    said: MesonSaid,
}

impl Project<'_> {
    /// The headers that `from` is or has, which is installed as `to`.
    fn installed(&self, from: &str, to: &str) -> Option<InstalledHeaders> {
        let path = match inside(from, &self.build, &self.build) {
            Some(path) => format!("{{build}}/{path}"),
            None => inside(from, self.directory, self.directory)?,
        };
        match Path::new(from).is_dir() {
            true => InstalledHeaders::new(&format!("{path}/"), Some(to)),
            false => InstalledHeaders::new(&path, Some(to.rsplit_once('/')?.0)),
        }
    }

    fn package(&self, name: &str, version: String, tests: &Value) -> Package {
        let mut package = Package {
            name: name.to_owned(),
            version,
            from: "meson.build".to_owned(),
            ..Package::default()
        };
        let mut names = BTreeMap::new();
        let mut others = Vec::new();
        for target in self.targets {
            let own = text(&target["name"]);
            if self.kind(target).is_none() {
                others.push(target);
                continue;
            }
            let name = package.target_name(own);
            for file in list(&target["filename"]) {
                names.insert(text(file).to_owned(), name.clone());
            }
            let target = self.target(&name, target, &mut package);
            package.targets.push(target);
        }
        for (index, target) in self.targets.iter().filter(|it| self.kind(it).is_some()).enumerate()
        {
            let words = self.link_words(target);
            let own = &mut package.targets[index];
            own.libraries = self.libraries(&words, &names);
            own.link_args = of_linker(&words);
            own.soversion = soversion(&words);
            own.file_version = list(&target["filename"]).iter().find_map(|it| version_of(text(it)));
        }
        commands::assembled(&mut package, self.ninja, self.directory, &self.build, &names);
        objects::taken(&mut package, self.ninja, self.directory, &self.build, &names);
        for target in others {
            if !commands::version_file(&mut package, target, self.directory, &self.build) {
                package.leave_out(
                    format!("the target {}", text(&target["name"])),
                    "it is neither a library nor an executable: write a [[command]]",
                );
            }
        }
        self.tests(tests, &names, &mut package);
        let (kept, empty): (Vec<_>, Vec<_>) =
            package.targets.drain(..).partition(|target| !target.sources.is_empty());
        package.targets = kept;
        for Target { name, .. } in empty {
            for target in &mut package.targets {
                target.libraries.retain(|library| *library != name);
            }
            package.leave_out(
                format!("the target {name}"),
                "none of its sources is a file of the package",
            );
        }
        package.targets.sort_by_key(|target| (!target.kind.is_library(), target.name.clone()));
        package
    }

    fn kind(&self, target: &Value) -> Option<Kind> {
        match text(&target["type"]) {
            "executable" => Some(Kind::Program),
            "static library" => Some(Kind::Static),
            "shared library" | "shared module" => Some(Kind::Shared),
            _ => None,
        }
    }

    fn target(&self, name: &str, target: &Value, package: &mut Package) -> Target {
        let mut flags = Flags::default();
        let mut sources = Vec::new();
        for group in list(&target["target_sources"]) {
            let language = match text(&group["language"]) {
                "cpp" => Language::Cxx,
                _ => Language::C,
            };
            let mut words: Vec<String> =
                list(&group["parameters"]).iter().map(|word| text(word).to_owned()).collect();
            if !self.said.is_optimised {
                optimise(&mut words);
            }
            let given =
                Given { package: self.directory, base: &self.build, build: Some(&self.build) };
            let mut found = of_compiler(&words, language, &given);
            // What Meson gives to everything.
            found.defines.retain(|define| define != "_FILE_OFFSET_BITS=64");
            flags.merge(&found);
            let paths = list(&group["sources"]).iter().map(text);
            let own = paths.filter_map(|path| inside(path, &self.build, self.directory));
            sources.extend(own.filter(|path| Language::of(path).is_some()));
            for file in list(&group["generated_sources"]).iter().map(text) {
                let file = Path::new(file).strip_prefix(&self.build).unwrap_or(Path::new(file));
                let why = format!("{name} generates it: write a [[command]] for that");
                package.leave_out(file.display().to_string(), why);
            }
        }
        let kind = self.kind(target).unwrap_or(Kind::Static);
        if kind.is_library() {
            let public = self.said.public.get(text(&target["name"]));
            flags.keep_public(public.map_or(&[], Vec::as_slice));
        }
        let is_installed = target["installed"].as_bool();
        Target { name: name.to_owned(), kind, sources, flags, is_installed, ..Target::default() }
    }

    /// The paths and arguments that a target is linked with.
    fn link_words(&self, target: &Value) -> Vec<String> {
        let files = list(&target["filename"]).iter().map(text);
        let local = |path: &str| {
            let path = Path::new(path).strip_prefix(&self.build).unwrap_or(Path::new(path));
            path.to_string_lossy().into_owned()
        };
        let words = files.filter_map(|file| self.links.get(&local(file))).flatten();
        words.cloned().collect()
    }

    /// The libraries of the package among the words of a link.
    fn libraries(&self, words: &[String], names: &BTreeMap<String, String>) -> Vec<String> {
        let absolute = |word: &String| self.build.join(word).to_string_lossy().into_owned();
        let mut libraries: Vec<String> = Vec::new();
        for name in words.iter().filter_map(|word| names.get(&absolute(word))) {
            if !libraries.contains(name) {
                libraries.push(name.clone());
            }
        }
        libraries
    }

    fn tests(&self, tests: &Value, names: &BTreeMap<String, String>, package: &mut Package) {
        let words =
            |test: &Value| list(&test["cmd"]).iter().map(|it| text(it).to_owned()).collect();
        let declared: Vec<Declared> = list(tests)
            .iter()
            .map(|test| Declared {
                name: text(&test["name"]).to_owned(),
                words: words(test),
                directory: test["workdir"].as_str().map(str::to_owned),
            })
            .collect();
        let program = |file: &str| names.get(file).cloned();
        declared::mark(package, &declared, self.directory, &self.build, program);
    }
}

/// What each file is linked from, as `build.ninja` says: paths and arguments.
fn link_words(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut current = None;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("build ") {
            let (outputs, inputs) = rest.split_once(": ").unwrap_or_default();
            let rule = inputs.split(' ').next().unwrap_or_default();
            current = rule.ends_with("_LINKER").then(|| outputs.replace("$ ", " "));
        } else if let (Some(output), Some(arguments)) =
            (&current, line.trim_start().strip_prefix("LINK_ARGS = "))
        {
            let words = shlex::split(&arguments.replace("$ ", " ")).unwrap_or_default();
            found.entry(output.clone()).or_default().extend(words);
        }
    }
    found
}
