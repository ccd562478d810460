//! Functions of Meson that say what is built.

use super::{
    keywords,
    run::{Arguments, Reader},
    value::{Dependency, Value},
};
use crate::{
    init::{
        Flags, InstalledHeaders, Kind, Target,
        flags::{Given, of_compiler, of_linker},
        system,
    },
    plan::Language,
};

impl Reader<'_> {
    /// Does what a function says.
    pub(super) fn function(&mut self, name: &str, arguments: &Arguments, line: usize) -> Value {
        match name {
            "project" => self.begin(arguments),
            "option" => self.option(arguments),
            "get_option" => return self.chosen(arguments),
            "files" => {
                let texts = arguments.places.iter().flat_map(Value::texts);
                let paths = texts.filter_map(|text| self.path(&text)).map(Value::File);
                return Value::List(paths.collect());
            }
            "include_directories" => {
                let texts = arguments.places.iter().flat_map(Value::texts);
                let paths = texts
                    .filter_map(|text| self.path(&text))
                    .filter(|it| self.root.join(it).is_dir());
                let is_system = arguments.named("is_system").and_then(Value::holds) == Some(true);
                return Value::Includes(paths.collect(), is_system);
            }
            "dependency" => return self.dependency(arguments),
            "declare_dependency" => return Value::Dependency(Box::new(self.declared(arguments))),
            "executable" => return self.target(arguments, Kind::Program),
            "static_library" => return self.target(arguments, Kind::Static),
            "shared_library" | "shared_module" => return self.target(arguments, Kind::Shared),
            "library" | "both_libraries" => {
                let is_static =
                    self.options.get("default_library").and_then(Value::text) == Some("static");
                let kind =
                    if is_static || name == "both_libraries" { Kind::Static } else { Kind::Shared };
                return self.target(arguments, kind);
            }
            "add_project_arguments" | "add_global_arguments" => {
                let texts: Vec<String> = arguments.places.iter().flat_map(Value::texts).collect();
                let languages = arguments.named("language").map(Value::texts).unwrap_or_default();
                for language in languages {
                    let flags = self.flags(&texts, &language);
                    self.all.merge(&flags);
                }
            }
            "install_headers" => self.install_headers(arguments),
            "install_subdir" => {
                let path = arguments.text(0).and_then(|text| self.path(text));
                let to = arguments.named("install_dir").and_then(Value::text);
                let is_bare = arguments.named("strip_directory").and_then(Value::holds);
                let name = path.as_ref().and_then(|it| it.rsplit('/').next()).unwrap_or_default();
                let name = if is_bare == Some(true) { "" } else { name };
                let to = to.map(|to| format!("{to}/{name}"));
                let found =
                    path.and_then(|it| InstalledHeaders::new(&format!("{it}/"), to.as_deref()));
                self.headers.extend(found);
            }
            "test" => {
                if let (Some(name), Some(program)) = (arguments.text(0), arguments.places.get(1)) {
                    let words =
                        arguments.named("args").map(|it| it.flat().into_iter().cloned().collect());
                    self.tests.push((name.to_owned(), program.clone(), words.unwrap_or_default()));
                }
            }
            "custom_target" | "configure_file" => {
                let output = arguments.named("output").map(Value::texts).unwrap_or_default();
                let first = output.into_iter().next();
                let what =
                    first.or_else(|| arguments.text(0).map(str::to_owned)).unwrap_or_default();
                let (table, verb) = match name {
                    "custom_target" => ("[[command]]", "a command makes it"),
                    _ => ("[[config]]", "it is made from answers or values"),
                };
                let place = if self.directory.is_empty() {
                    String::new()
                } else {
                    format!("{}/", self.directory)
                };
                let why = format!(
                    "{verb} ({place}meson.build:{line}): write a {table}, where it is needed"
                );
                self.leave_out(what, why);
            }
            _ => {}
        }
        Value::Unknown
    }

    fn install_headers(&mut self, arguments: &Arguments) {
        let below = |key: &str| arguments.named(key).map(|it| it.text().map(str::to_owned));
        let to = match (below("install_dir"), below("subdir")) {
            (Some(place), _) => place,
            (None, Some(below)) => below.map(|below| format!("include/{below}")),
            (None, None) => Some("include".to_owned()),
        };
        let keeps = arguments.named("preserve_path").and_then(Value::holds) == Some(true);
        for text in arguments.places.iter().flat_map(Value::texts) {
            let Some(path) = self.path(&text).filter(|it| self.tree.headers.contains(it)) else {
                continue;
            };
            let own = text.rsplit_once('/').filter(|_| keeps).map_or("", |(own, _)| own);
            let to = to.as_ref().map(|to| format!("{to}/{own}"));
            self.headers.extend(InstalledHeaders::new(&path, to.as_deref()));
        }
    }

    fn begin(&mut self, arguments: &Arguments) {
        self.project = arguments.text(0).unwrap_or_default().to_owned();
        if let Some(version) = arguments.named("version").and_then(Value::text) {
            version.clone_into(&mut self.version);
        }
        let given = arguments.named("default_options");
        let texts = given.map(Value::texts).unwrap_or_default();
        let mut pairs: Vec<(String, Value)> = texts
            .iter()
            .filter_map(|text| text.split_once('='))
            .map(|(key, value)| (key.to_owned(), Value::Text(value.to_owned())))
            .collect();
        if let Some(Value::Dictionary(entries)) = given {
            pairs.extend(entries.iter().cloned());
        }
        for (key, value) in pairs {
            let typed = match (self.options.get(&key), value.text()) {
                (Some(Value::Boolean(_)), Some(text)) => Value::Boolean(text == "true"),
                (Some(Value::Feature(_)), Some(text)) => Value::Feature(text.to_owned()),
                _ => value,
            };
            self.options.insert(key, typed);
        }
        let of = |key: &str| self.options.get(key).and_then(Value::text).map(str::to_owned);
        let level = match self.options.get("warning_level") {
            Some(Value::Number(level)) => level.to_string(),
            _ => of("warning_level").unwrap_or_else(|| "1".to_owned()),
        };
        let known = |standard: Option<String>| {
            standard
                .and_then(|it| it.split(',').next().map(str::to_owned))
                .filter(|it| it != "none")
        };
        let warnings: &[&str] = match &*level {
            "0" => &[],
            "2" => &["all", "extra"],
            "3" => &["all", "extra", "pedantic"],
            _ => &["all"],
        };
        let buildtype = of("buildtype");
        let arguments = keywords::optimising(buildtype.as_deref(), of("optimization").as_deref());
        let is_release = matches!(buildtype.as_deref(), Some("release" | "plain"));
        let has_no_assertions = match of("b_ndebug").as_deref() {
            Some("if-release") => is_release,
            said => said == Some("true"),
        };
        self.all = Flags {
            defines: has_no_assertions.then(|| "NDEBUG".to_owned()).into_iter().collect(),
            cxx_args: arguments.clone(),
            c_args: arguments,
            c_std: known(of("c_std")),
            cxx_std: known(of("cpp_std")),
            warnings: warnings.iter().map(|it| (*it).to_owned()).collect(),
            ..Flags::default()
        };
    }

    /// An option, as `meson_options.txt` declares it.
    fn option(&mut self, arguments: &Arguments) {
        let Some(name) = arguments.text(0) else { return };
        let value = arguments.named("value").cloned();
        let kind = arguments.named("type").and_then(Value::text).unwrap_or_default();
        let value = match (kind, value) {
            ("boolean", Some(Value::Text(text))) => Value::Boolean(text == "true"),
            ("boolean", value) => value.unwrap_or(Value::Boolean(true)),
            ("feature", value) => {
                let text = value.as_ref().and_then(Value::text).unwrap_or("auto").to_owned();
                Value::Feature(text)
            }
            ("combo", None) => {
                arguments.named("choices").map_or(Value::Unknown, |it| it.index(&Value::Number(0)))
            }
            ("string", None) => Value::Text(String::new()),
            ("array", None) => {
                arguments.named("choices").cloned().unwrap_or(Value::List(Vec::new()))
            }
            (_, value) => value.unwrap_or(Value::Unknown),
        };
        self.options.insert(name.to_owned(), value);
    }

    fn chosen(&self, arguments: &Arguments) -> Value {
        let Some(name) = arguments.text(0) else { return Value::Unknown };
        let usual = match name {
            "prefix" => Value::Text("/usr/local".to_owned()),
            "includedir" => Value::Text("include".to_owned()),
            "libdir" => Value::Text("lib".to_owned()),
            "default_library" => Value::Text("shared".to_owned()),
            "b_lto" | "b_ndebug" | "debug" | "werror" | "unity" => Value::Unknown,
            _ => Value::Unknown,
        };
        self.options.get(name).cloned().unwrap_or(usual)
    }

    fn dependency(&mut self, arguments: &Arguments) -> Value {
        let Some(name) = arguments.text(0).map(str::to_owned) else { return Value::Unknown };
        let required = match arguments.named("required") {
            None | Some(Value::Boolean(true)) => Some(true),
            Some(Value::Feature(value)) if value == "disabled" => Some(false),
            Some(Value::Feature(value)) if value == "enabled" => Some(true),
            _ => None,
        };
        let link_args: &[&str] = match &*name {
            "threads" => &["-pthread"],
            "dl" => &["-ldl"],
            _ => &[],
        };
        let framework = system::framework_library(&name);
        let versions = arguments.named("version").map(Value::texts).unwrap_or_default();
        let wanted = versions.first().map_or(name.clone(), |version| {
            let at = version.find(|c: char| !"<>=!".contains(c)).unwrap_or(0);
            format!("{name} {} {}", &version[..at], version[at..].trim())
        });
        let modules =
            if link_args.is_empty() && framework.is_none() { vec![wanted] } else { Vec::new() };
        Value::Dependency(Box::new(Dependency {
            found: if link_args.is_empty() { required } else { Some(true) },
            name,
            modules,
            link_args: link_args.iter().map(|it| (*it).to_owned()).collect(),
            framework,
            ..Dependency::default()
        }))
    }

    fn declared(&mut self, arguments: &Arguments) -> Dependency {
        let mut whole = Dependency { found: Some(true), ..Dependency::default() };
        for value in ["include_directories", "link_with", "link_whole", "dependencies"] {
            let values = arguments.named(value).map(Value::flat).unwrap_or_default();
            values.into_iter().for_each(|value| self.used(value, &mut whole));
        }
        let words = arguments.named("compile_args").map(Value::texts).unwrap_or_default();
        whole.flags.merge(&self.flags(&words, "c"));
        let words = arguments.named("link_args").map(Value::texts).unwrap_or_default();
        whole.link_args.extend(of_linker(&words));
        let own = arguments.named("include_directories").map(Value::flat).unwrap_or_default();
        let mut public = Dependency::default();
        own.into_iter().for_each(|value| self.used(value, &mut public));
        for value in ["link_with", "link_whole"] {
            for value in arguments.named(value).map(Value::flat).unwrap_or_default() {
                if let Value::Target(name) = value {
                    let known = self.public.entry(name.clone()).or_default();
                    known.extend(public.flags.includes.iter().cloned());
                }
            }
        }
        whole
    }

    /// Adds what it means to use a value to `whole`.
    fn used(&self, value: &Value, whole: &mut Dependency) {
        match value {
            Value::Target(name) => whole.libraries.push(name.clone()),
            Value::Includes(paths, is_system) => {
                let list = if *is_system {
                    &mut whole.flags.system_includes
                } else {
                    &mut whole.flags.includes
                };
                list.extend(paths.iter().cloned());
            }
            Value::Text(path) => whole
                .flags
                .includes
                .extend(self.path(path).filter(|it| self.root.join(it).is_dir())),
            Value::Dependency(other) if other.found == Some(true) => {
                whole.libraries.extend(other.libraries.iter().cloned());
                whole.modules.extend(other.modules.iter().cloned());
                whole.link_args.extend(other.link_args.iter().cloned());
                whole.flags.merge(&other.flags);
                whole.framework = whole.framework.or(other.framework);
            }
            _ => {}
        }
    }

    fn flags(&self, words: &[String], language: &str) -> Flags {
        let language = if language == "cpp" { Language::Cxx } else { Language::C };
        of_compiler(words, language, &Given { package: self.root, base: self.root, build: None })
    }

    fn target(&mut self, arguments: &Arguments, kind: Kind) -> Value {
        let Some(name) = arguments.text(0).map(str::to_owned) else { return Value::Unknown };
        let mut whole = Dependency { flags: self.all.clone(), ..Dependency::default() };
        for key in ["include_directories", "link_with", "link_whole", "dependencies"] {
            for value in arguments.named(key).map(Value::flat).unwrap_or_default() {
                let what = match value {
                    Value::Dependency(other) if other.found.is_none() => other.name.clone(),
                    Value::Unknown => format!("something in `{key}`"),
                    Value::Dependency(other) if other.framework.is_some() => {
                        self.used(value, &mut whole);
                        continue;
                    }
                    value => {
                        self.used(value, &mut whole);
                        continue;
                    }
                };
                let why = "only Meson can tell whether it is there, or what it is";
                self.leave_out(format!("what {name} uses: {what}"), why);
            }
        }
        if let Some(framework) = whole.framework {
            self.refused.insert(name.clone(), system::advice(framework));
            return Value::Target(name);
        }
        for (key, language) in [("c_args", "c"), ("cpp_args", "cpp")] {
            let words = arguments.named(key).map(Value::texts).unwrap_or_default();
            let flags = self.flags(&words, language);
            whole.flags.merge(&flags);
        }
        if arguments.named("gnu_symbol_visibility").and_then(Value::text) == Some("hidden") {
            for list in [&mut whole.flags.c_args, &mut whole.flags.cxx_args] {
                list.push("-fvisibility=hidden".to_owned());
            }
        }
        // Meson gives each target the directory that it is declared in.
        let own = if self.directory.is_empty() { "." } else { &*self.directory };
        let is_implicit = arguments.named("implicit_include_directories").and_then(Value::holds);
        if is_implicit != Some(false) && !whole.flags.includes.iter().any(|it| it == own) {
            whole.flags.private_includes.push(own.to_owned());
        }
        let words = arguments.named("link_args").map(Value::texts).unwrap_or_default();
        whole.link_args.extend(of_linker(&words));
        let mut sources = Vec::new();
        let given = arguments.places[1..].iter().chain(arguments.named("sources"));
        for value in given.flat_map(Value::flat) {
            let path = match value {
                Value::File(path) => Some(path.clone()),
                Value::Text(text) => self.path(text),
                _ => None,
            };
            match path {
                Some(path) if self.tree.all_sources.contains(&path) => sources.push(path),
                Some(path) if self.tree.headers.contains(&path) => {}
                Some(path) => {
                    self.leave_out(path, format!("{name} has it, and it is no source that is here"))
                }
                None => {
                    let why =
                        "only Meson can tell what they are: generated ones need a [[command]]";
                    self.leave_out(format!("sources of {name}"), why);
                }
            }
        }
        let Dependency { flags, libraries, modules: system, link_args, .. } = whole;
        let found = Target {
            name: name.clone(),
            kind,
            sources,
            flags,
            libraries,
            link_args,
            system,
            soversion: keywords::soversion(arguments),
            file_version: keywords::file_version(arguments),
            is_installed: arguments.named("install").map_or(Some(false), Value::holds),
            ..Target::default()
        };
        self.targets.insert(name.clone(), found);
        Value::Target(name)
    }
}
