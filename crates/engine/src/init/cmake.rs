//! What CMake says through its file API.

mod ctest;
mod installed;
mod said;
mod told;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use larder_project::{
    init::{
        CmakeCommands, Flags, Kind, Package, Place, Target,
        flags::{Given, file_version, of_compiler, of_linker, optimise, soversion},
        inside,
    },
    name::is_name,
    plan::Language,
};
use larder_trace::describe_io;
use serde_json::Value;

use self::{
    installed::Installed,
    said::{commands, help},
    told::Told,
};
use super::{
    Asking,
    made::Made,
    tools::{self, list, read, run, text},
};
use crate::environment::Environment;

/// Describes the package at `place`, as CMake configures it in a temporary directory.
///
/// # Errors
/// Why CMake does not say.
pub fn describe(
    place: &Place,
    environment: &Environment,
    asking: Asking<'_>,
) -> Result<Package, String> {
    tools::find("cmake", environment)?;
    asking("CMake");
    let scratch = tempfile::tempdir_in(environment.temporary_directory())
        .map_err(|error| describe_io(&error))?;
    let build = scratch.path().canonicalize().map_err(|error| describe_io(&error))?;
    let query = build.join(".cmake/api/v1/query");
    fs::create_dir_all(&query)
        .and_then(|()| fs::write(query.join("codemodel-v2"), ""))
        .and_then(|()| fs::write(query.join("cache-v2"), ""))
        .and_then(|()| fs::write(query.join("cmakeFiles-v1"), ""))
        .map_err(|error| describe_io(&error))?;
    let hook = told::ask(&build)?;
    let (source, to) = (place.directory.to_string_lossy(), build.to_string_lossy());
    let arguments =
        ["-S", &source, "-B", &to, "-G", "Unix Makefiles", "-DCMAKE_BUILD_TYPE=Release", &hook];
    run("cmake", &arguments, &build, environment)?;
    let reply = Reply::read(&build, &place.directory)?;
    Ok(reply.package(&place.name))
}

/// The answer of CMake.
struct Reply<'a> {
    build: PathBuf,
    directory: &'a Path,
    /// The targets by their ids.
    targets: BTreeMap<String, Value>,
    version: String,
    /// What the project is called.
    name: String,
    /// Files of the package that CMake read.
    read: Vec<String>,
    /// What the files of the package and the cache say of questions and options.
    commands: CmakeCommands,
    /// The entries of the cache that are options of the package.
    options: Vec<Value>,
    installed: Installed,
    told: Option<Told>,
}

impl<'a> Reply<'a> {
    fn read(build: &Path, directory: &'a Path) -> Result<Self, String> {
        let place = build.join(".cmake/api/v1/reply");
        let mut index = None;
        let mut objects = Vec::new();
        for entry in fs::read_dir(&place).map_err(|error| describe_io(&error))?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with("index-") {
                index = Some(read(&entry.path())?);
            }
        }
        let index = index.ok_or("CMake gave no answer")?;
        for object in list(&index["objects"]) {
            objects.push(read(&place.join(text(&object["jsonFile"])))?);
        }
        let of_kind = |kind: &str| objects.iter().find(|object| object["kind"] == kind);
        let model = of_kind("codemodel").ok_or("CMake gave no code model")?;
        let mut targets = BTreeMap::new();
        for target in list(&model["configurations"][0]["targets"]) {
            let value = read(&place.join(text(&target["jsonFile"])))?;
            targets.insert(text(&target["id"]).to_owned(), value);
        }
        let entries = of_kind("cache").map_or(&[][..], |cache| list(&cache["entries"]));
        let told = Told::read(build);
        // The cache may have that of a project below.
        let cached = entries.iter().find(|entry| entry["name"] == "CMAKE_PROJECT_VERSION");
        let version = match &told {
            Some(told) => &told.version,
            None => cached.map_or("", |entry| text(&entry["value"])),
        };
        let version = version.to_owned();
        let inputs = of_kind("cmakeFiles").map_or(&[][..], |files| list(&files["inputs"]));
        let own = inputs.iter().filter(|it| it["isGenerated"] != true && it["isExternal"] != true);
        let read_files: Vec<String> =
            own.filter_map(|it| inside(text(&it["path"]), directory, directory)).collect();
        let directories = list(&model["configurations"][0]["directories"]).iter();
        let directories =
            directories.filter_map(|it| read(&place.join(text(&it["jsonFile"]))).ok());
        let installed = Installed::read(directories, directory, build);
        let commands = commands(directory, &read_files, entries);
        let is_own = |entry: &&Value| commands.options.iter().any(|it| entry["name"] == **it);
        let options = entries.iter().filter(is_own).cloned().collect();
        Ok(Self {
            build: build.to_owned(),
            directory,
            targets,
            version,
            name: text(&model["configurations"][0]["projects"][0]["name"]).to_owned(),
            read: read_files,
            commands,
            options,
            installed,
            told,
        })
    }

    fn package(&self, name: &str) -> Package {
        let mut package = Package {
            name: name.to_owned(),
            version: self.version.clone(),
            from: "CMakeLists.txt".to_owned(),
            ..Package::default()
        };
        package.rename(&self.name);
        let names = self.names(&mut package);
        for (id, value) in &self.targets {
            if let Some(name) = names.get(id) {
                let mut target = self.target(name, value, &names, &mut package);
                target.is_installed = Some(self.installed.has(id, value));
                package.targets.push(target);
            }
        }
        self.interfaces(&names, &mut package);
        self.tests(&names, &mut package);
        package.targets.sort_by_key(|target| (!target.kind.is_library(), target.name.clone()));
        let made = Made {
            build: &self.build,
            package: self.directory,
            read: self.read.clone(),
            checks: &self.commands.checks,
            defines: &self.commands.defines,
            by: "CMake",
        };
        made.describe(&mut package);
        self.options(&mut package);
        package.give_headers(self.installed.headers.clone());
        package.drop_empty_includes();
        package.inherit_includes();
        package
    }

    /// Notes the options of the package with their values.
    fn options(&self, package: &mut Package) {
        for entry in &self.options {
            let value = text(&entry["value"]);
            package.note_option("CMake", text(&entry["name"]), help(entry), value);
        }
    }

    /// Adds the libraries of headers, and gives them to what is linked with them. `names` are those of the other targets.
    fn interfaces(&self, names: &BTreeMap<String, String>, package: &mut Package) {
        let Some(told) = &self.told else { return };
        let mut own: BTreeMap<&str, String> = BTreeMap::new();
        for target in &told.interfaces {
            let includes = self.directories(told.public(target));
            // Without a directory, it only says how others are compiled.
            if includes.is_empty() {
                continue;
            }
            let name = package.target_name(target);
            own.insert(target, name.clone());
            let public_defines = told.defines(target).to_vec();
            package.targets.push(Target {
                name,
                kind: Kind::Headers,
                flags: Flags { includes, public_defines, ..Flags::default() },
                is_installed: self.installed.exports(target).then_some(true),
                ..Target::default()
            });
        }
        let built = names.iter().map(|(id, name)| (text(&self.targets[id]["name"]), name));
        let built: BTreeMap<&str, &String> = built.collect();
        for (target, name) in own.iter().map(|(target, name)| (*target, name)).chain(built.clone())
        {
            // Of the others, the code model says what is linked.
            let is_own = own.contains_key(target);
            let libraries = told.links(target).filter_map(|library| match own.get(library) {
                Some(name) => Some(name),
                None => built.get(library).filter(|_| is_own).copied(),
            });
            let libraries: Vec<String> = libraries.cloned().collect();
            let target = package.targets.iter_mut().find(|target| target.name == *name);
            target.into_iter().for_each(|target| target.libraries.extend(libraries.clone()));
        }
    }

    /// The names of those targets that are built from sources of the package.
    fn names(&self, package: &mut Package) -> BTreeMap<String, String> {
        let mut names = BTreeMap::new();
        for (id, value) in &self.targets {
            let name = text(&value["name"]);
            match text(&value["type"]) {
                "UTILITY" | "INTERFACE_LIBRARY" => continue,
                _ if !self.sources(value).is_empty() => {
                    // Two forms of one library have one name on disk.
                    let is_taken = |own: &String| {
                        let mut others = self.targets.iter().filter(|(other, _)| *other != id);
                        names.values().any(|it| it == own)
                            || others.any(|(_, it)| it["name"] == **own)
                    };
                    let file = on_disk(value);
                    let own = file.clone().filter(|own| !is_taken(own));
                    let name = own.unwrap_or_else(|| package.target_name(name));
                    let mut others = self.targets.iter().filter(|(other, _)| *other != id);
                    let is_alike = others.any(|(_, it)| file.is_some() && on_disk(it) == file);
                    if let Some(file) = file.filter(|file| is_alike && *file != name) {
                        package.cautions.push(format!(
                            "The library {name} is called {file} in CMake, as another one is. One library with kind = \
                             [\"static\", \"shared\"] makes the files of both, if they are compiled alike."
                        ));
                    }
                    names.insert(id.clone(), name);
                }
                _ => package.leave_out(
                    format!("the target {name}"),
                    "none of its sources is a file of the package",
                ),
            }
        }
        names
    }

    /// The sources of a target that are files of the package, with their compile groups.
    fn sources(&self, value: &Value) -> Vec<(String, Option<usize>)> {
        let found = list(&value["sources"]).iter().filter_map(|source| {
            let path = inside(text(&source["path"]), self.directory, self.directory)?;
            let is_source = Language::of(&path).is_some() && source["isGenerated"] != true;
            let group = source["compileGroupIndex"].as_u64().and_then(|it| it.try_into().ok());
            (is_source && group.is_some()).then_some((path, group))
        });
        found.collect()
    }

    fn target(
        &self,
        name: &str,
        value: &Value,
        names: &BTreeMap<String, String>,
        package: &mut Package,
    ) -> Target {
        let kind = match text(&value["type"]) {
            "EXECUTABLE" => Kind::Program,
            "SHARED_LIBRARY" | "MODULE_LIBRARY" => Kind::Shared,
            _ => Kind::Static,
        };
        for source in list(&value["sources"]).iter().filter(|it| it["isGenerated"] == true) {
            let path = text(&source["path"]);
            if Language::of(path).is_some() {
                let why = format!("{name} generates it: write a [[command]] for that");
                package.leave_out(path, why);
            }
        }
        let mut flags = Flags::default();
        for group in list(&value["compileGroups"]) {
            flags.merge(&self.flags(group));
        }
        if let Some(told) = self.told.as_ref().filter(|_| kind.is_library()) {
            let target = text(&value["name"]);
            flags.keep_public(&self.directories(told.public(target)));
            for define in flags.make_public(told.defines(target)) {
                package.cautions.push(format!(
                    "CMake defines {define} for users of {name}, and not for {name} itself: a user in another package \
                     has to say defines = [\"{define}\"]."
                ));
            }
        }
        let mut libraries = Vec::new();
        for dependency in list(&value["dependencies"]) {
            let id = text(&dependency["id"]);
            let is_library = self
                .targets
                .get(id)
                .is_some_and(|target| text(&target["type"]).ends_with("LIBRARY"));
            libraries.extend(names.get(id).filter(|_| is_library).cloned());
        }
        let fragments = list(&value["link"]["commandFragments"]).iter();
        let words: Vec<String> = fragments
            .filter(|fragment| fragment["role"] != "libraryPath")
            .flat_map(|fragment| shlex::split(text(&fragment["fragment"])).unwrap_or_default())
            .collect();
        let sources = self.sources(value).into_iter().map(|(path, _)| path).collect();
        let link_args = self.link_args(name, &words, package);
        let link = (kind == Kind::Shared).then(|| self.link_command(value)).flatten();
        let link = link.unwrap_or_default();
        Target {
            name: name.to_owned(),
            kind,
            sources,
            flags,
            libraries,
            link_args,
            soversion: soversion(&link),
            file_version: file_version(&link),
            ..Target::default()
        }
    }

    /// The command that links a target.
    fn link_command(&self, value: &Value) -> Option<Vec<String>> {
        let directory = self.build.join(text(&value["paths"]["build"])).join("CMakeFiles");
        let link = directory.join(format!("{}.dir/link.txt", text(&value["name"])));
        shlex::split(&fs::read_to_string(link).ok()?)
    }

    /// The linker arguments among `words`, with paths from the package. Those that name files which CMake made are
    /// left out.
    fn link_args(&self, name: &str, words: &[String], package: &mut Package) -> Vec<String> {
        let [build, own] =
            [&self.build, self.directory].map(|path| format!("{}/", path.to_string_lossy()));
        let (made, kept): (Vec<_>, Vec<_>) =
            of_linker(words).into_iter().partition(|word| word.contains(&build));
        for word in made {
            let what = format!("{} of {name}", word.replace(&build, ""));
            package.leave_out(what, "CMake makes that file: see [[config]] and [[command]]");
        }
        kept.into_iter().map(|word| word.replace(&own, "")).collect()
    }

    fn flags(&self, group: &Value) -> Flags {
        let language = match text(&group["language"]) {
            "CXX" => Language::Cxx,
            "C" => Language::C,
            _ => Language::Assembly,
        };
        let fragments = list(&group["compileCommandFragments"]).iter();
        let mut words: Vec<String> = fragments
            .flat_map(|fragment| shlex::split(text(&fragment["fragment"])).unwrap_or_default())
            .collect();
        optimise(&mut words);
        for define in list(&group["defines"]) {
            // CMake defines it for whoever makes a shared library.
            if !text(&define["define"]).ends_with("_EXPORTS") {
                words.push(format!("-D{}", text(&define["define"])));
            }
        }
        for include in list(&group["includes"]) {
            let path = text(&include["path"]);
            let key = if include["isSystem"] == true { "-isystem" } else { "-I" };
            words.push(format!("{key}{path}"));
        }
        of_compiler(&words, language, &self.given())
    }

    fn given(&self) -> Given<'_> {
        Given { package: self.directory, base: &self.build, build: Some(&self.build) }
    }

    /// Those of `paths` that are directories of the package or the build, as a manifest names them.
    fn directories(&self, paths: &[String]) -> Vec<String> {
        let words: Vec<String> = paths.iter().map(|path| format!("-I{path}")).collect();
        of_compiler(&words, Language::C, &self.given()).includes
    }
}

/// The name that a library's file says.
fn on_disk(value: &Value) -> Option<String> {
    let file = text(&value["nameOnDisk"]).strip_prefix("lib")?;
    let name = match text(&value["type"]) {
        "STATIC_LIBRARY" => file.strip_suffix(".a")?,
        "SHARED_LIBRARY" => &file[..file.find(".so")?],
        _ => return None,
    };
    is_name(name).then(|| name.to_owned())
}
