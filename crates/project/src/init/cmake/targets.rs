//! Commands of CMake that declare targets.

use std::mem::take;

use super::{
    building::{Building, push},
    expression::generated,
    run::Reader,
    scope::Word,
    syntax::Command,
};
use crate::{
    init::{
        Flags, InstalledHeaders, Kind, Target,
        flags::{Given, of_compiler},
    },
    plan::Language,
};

/// For whom something counts.
#[derive(Clone, Copy, PartialEq)]
enum Reach {
    Own,
    All,
    Users,
}

impl Reach {
    fn of(word: &str) -> Option<Self> {
        Some(match word {
            "PRIVATE" | "LINK_PRIVATE" => Self::Own,
            "PUBLIC" | "LINK_PUBLIC" => Self::All,
            "INTERFACE" | "LINK_INTERFACE_LIBRARIES" => Self::Users,
            _ => return None,
        })
    }
}

impl Reader<'_> {
    /// Does what a command says of targets. Returns whether it is known.
    pub(super) fn target_command(&mut self, command: &Command, words: &[Word]) -> bool {
        let words = &whole_expressions(words);
        let Some((first, rest)) = words.split_first() else { return false };
        match &*command.name {
            "add_library" => self.library(&first.text, rest),
            "add_executable" => self.target(&first.text, rest, Kind::Program),
            "target_sources" => {
                let words: Vec<Word> =
                    rest.iter().filter(|it| Reach::of(&it.text).is_none()).cloned().collect();
                self.add_sources(&first.text, &words);
            }
            "target_include_directories" => self.include_directories(&first.text, rest),
            "include_directories" => {
                let is_system = words.iter().any(|word| word.text == "SYSTEM");
                for path in
                    words.iter().flat_map(|word| self.directories_of(word)).collect::<Vec<_>>()
                {
                    let Some(directory) = self.targets.directories.last_mut() else { continue };
                    let flags = &mut directory.flags;
                    push(
                        if is_system {
                            &mut flags.system_includes
                        } else {
                            &mut flags.private_includes
                        },
                        path,
                    );
                }
            }
            "target_compile_definitions" => self.definitions(command, &first.text, rest),
            "add_definitions" | "add_compile_definitions" | "add_compile_options" => {
                let is_plain = command.name == "add_compile_definitions";
                let flags = self.flags(words, is_plain);
                if let Some(directory) = self.targets.directories.last_mut() {
                    directory.flags.merge(&flags);
                }
            }
            "target_compile_options" => {
                let own: Vec<Word> = reaching(rest)
                    .filter(|(reach, _)| *reach != Reach::Users)
                    .map(|(_, word)| word.clone())
                    .collect();
                let flags = self.flags(&own, false);
                if let Some(building) = self.targets.building(&first.text) {
                    building.target.flags.merge(&flags);
                }
            }
            "target_compile_features" => {
                for word in rest {
                    self.feature(&first.text, &word.text);
                }
            }
            "target_link_libraries" => {
                let links: Vec<Word> = reaching(rest)
                    .filter(|(_, it)| !matches!(&*it.text, "general" | "optimized"))
                    .map(|(_, it)| it.clone())
                    .collect();
                if let Some(building) = self.targets.building(&first.text) {
                    building.links.extend(links);
                }
            }
            "link_libraries" => {
                if let Some(directory) = self.targets.directories.last_mut() {
                    directory.links.extend(words.iter().cloned());
                }
            }
            "set_target_properties" => {
                let at =
                    rest.iter().position(|word| word.text == "PROPERTIES").unwrap_or(rest.len());
                let names = words[..=at.min(words.len() - 1)].to_vec();
                for pair in rest.get(at + 1..).unwrap_or_default().chunks(2) {
                    if let [key, value] = pair {
                        names.iter().for_each(|name| self.property(&name.text, &key.text, value));
                    }
                }
            }
            "set_property" if first.text == "TARGET" => {
                let at = rest.iter().position(|word| word.text == "PROPERTY").unwrap_or(rest.len());
                let value = rest.get(at + 2..).unwrap_or_default();
                if let (Some(key), [value, ..]) = (rest.get(at + 1), value) {
                    let (key, value) = (key.text.clone(), value.clone());
                    let names = rest[..at].iter().filter(|name| name.text != "APPEND");
                    names
                        .cloned()
                        .collect::<Vec<_>>()
                        .iter()
                        .for_each(|name| self.property(&name.text, &key, &value));
                }
            }
            "add_test" => self.test(words),
            "install" => self.install(&first.text, rest),
            "configure_file" => self.template(words),
            "add_custom_command" | "add_custom_target" => {
                let what = match first.text.as_str() {
                    "OUTPUT" => rest.first().map_or("something", |word| &*word.text),
                    "TARGET" => return true,
                    name => name,
                };
                let what = format!(
                    "what {} makes: {}",
                    self.place(command),
                    what.trim_start_matches("/{build}/")
                );
                self.leave_out(what, "write a [[command]] for it, where it is needed");
            }
            "enable_testing" => {}
            _ => return false,
        }
        true
    }

    fn library(&mut self, name: &str, rest: &[Word]) {
        let form = rest.first().map_or("", |word| &*word.text);
        match form {
            "ALIAS" => {
                if let Some(of) = rest.get(1) {
                    self.targets.aliases.insert(name.to_owned(), of.text.clone());
                }
            }
            _ if rest.iter().any(|word| word.text == "IMPORTED") => {
                self.targets.imported.insert(name.to_owned());
            }
            "SHARED" | "MODULE" => self.target(name, &rest[1..], Kind::Shared),
            "STATIC" | "OBJECT" => self.target(name, &rest[1..], Kind::Static),
            "INTERFACE" => self.target(name, &rest[1..], Kind::Headers),
            _ => {
                let shared = self.scope().get("BUILD_SHARED_LIBS");
                let is_shared = matches!(&*shared.text, "ON" | "TRUE" | "1" | "YES");
                self.target(name, rest, if is_shared { Kind::Shared } else { Kind::Static });
            }
        }
    }

    fn target(&mut self, name: &str, words: &[Word], kind: Kind) {
        if name.contains('$') {
            let file = self.directory.clone();
            let slash = if file.is_empty() { "" } else { "/" };
            return self.leave_out(
                format!("the target {name}"),
                format!("{file}{slash}CMakeLists.txt computes its name"),
            );
        }
        if matches!(words.first(), Some(word) if matches!(&*word.text, "ALIAS" | "IMPORTED")) {
            return;
        }
        let standard = |language: &str| {
            let number = self.scope().get(&format!("CMAKE_{language}_STANDARD"));
            let number = Some(number.text).filter(|text| !text.is_empty() && number.known);
            let strict = self.scope().get(&format!("CMAKE_{language}_EXTENSIONS")).text;
            number.map(|number| {
                spelled(language, &number, matches!(&*strict, "OFF" | "0" | "FALSE" | "NO"))
            })
        };
        let flags = Flags { c_std: standard("C"), cxx_std: standard("CXX"), ..Flags::default() };
        let target = Target { name: name.to_owned(), kind, flags, ..Target::default() };
        self.targets
            .by_name
            .insert(name.to_owned(), Building { target, links: Vec::new(), odd: Vec::new() });
        if let Some(directory) = self.targets.directories.last_mut() {
            directory.own.insert(name.to_owned());
        }
        let mut more = Vec::new();
        for (variable, language) in
            [("CMAKE_C_FLAGS", Language::C), ("CMAKE_CXX_FLAGS", Language::Cxx)]
        {
            more.push((self.scope().get(variable), language));
        }
        for (word, language) in more {
            let words = shlex::split(&word.text).unwrap_or_default();
            let words: Vec<String> =
                words.into_iter().filter(|word| !word.contains("${")).collect();
            let flags = of_compiler(&words, language, &self.given());
            if let Some(building) = self.targets.building(name) {
                building.target.flags.merge(&flags);
            }
        }
        self.add_sources(name, words);
    }

    fn given(&self) -> Given<'_> {
        Given { package: self.root, base: self.root, build: None }
    }

    fn add_sources(&mut self, name: &str, words: &[Word]) {
        let (mut sources, mut odd, mut links) = (Vec::new(), Vec::new(), Vec::new());
        for word in words {
            let is_reach = word.text.contains(":PUBLIC>") || word.text.contains(":PRIVATE>");
            if is_reach
                || matches!(&*word.text, "WIN32" | "MACOSX_BUNDLE" | "EXCLUDE_FROM_ALL" | "")
            {
                continue;
            }
            let objects =
                word.text.strip_prefix("$<TARGET_OBJECTS:").and_then(|it| it.strip_suffix('>'));
            if let Some(objects) = objects {
                links.push(Word::known(objects));
                continue;
            }
            let Some(entries) = entries(word) else {
                odd.push(word.text.clone());
                continue;
            };
            for entry in entries {
                match self.path(&entry) {
                    Some(path) if self.tree.all_sources.contains(&path) => push(&mut sources, path),
                    Some(path) if self.tree.headers.contains(&path) => {}
                    // Files that larder does not compile are said with the tree.
                    Some(path)
                        if self.root.join(&path).is_file() && Language::of(&path).is_none() => {}
                    Some(path) => odd.push(path),
                    None => odd.push(entry),
                }
            }
        }
        if let Some(building) = self.targets.building(name) {
            building.target.sources.extend(sources);
            building.odd.extend(odd);
            building.links.extend(links);
        }
    }

    /// The directories of headers that a word names, as far as they are of the package.
    fn directories_of(&self, word: &Word) -> Vec<String> {
        let paths = entries(word).unwrap_or_default().into_iter().filter_map(|it| self.path(&it));
        let is_there = |path: &String| path.starts_with("{build}") || self.root.join(path).is_dir();
        paths.filter(is_there).collect()
    }

    fn include_directories(&mut self, name: &str, rest: &[Word]) {
        let is_system = rest.iter().any(|word| word.text == "SYSTEM");
        let found: Vec<(Reach, String)> = reaching(rest)
            .flat_map(|(reach, word)| {
                self.directories_of(word).into_iter().map(move |path| (reach, path))
            })
            .collect();
        let Some(building) = self.targets.building(name) else { return };
        let flags = &mut building.target.flags;
        for (reach, path) in found {
            let list = match (is_system, reach) {
                (true, _) => &mut flags.system_includes,
                (_, Reach::Own) => &mut flags.private_includes,
                (_, Reach::All | Reach::Users) => &mut flags.includes,
            };
            push(list, path);
        }
    }

    fn definitions(&mut self, command: &Command, name: &str, rest: &[Word]) {
        let mut guesses = Vec::new();
        let mut found = Vec::new();
        for (reach, word) in reaching(rest) {
            match generated(&word.text).filter(|_| word.known) {
                Some(text) if text.is_empty() => {}
                Some(text) => found.push((reach, text.trim_start_matches("-D").to_owned())),
                None => guesses.push(word.text.clone()),
            }
        }
        for guess in guesses {
            let place = self.place(command);
            self.leave_out(
                format!("the macro {guess} of {name}"),
                format!("only CMake can tell what {place} means"),
            );
        }
        let Some(building) = self.targets.building(name) else { return };
        let flags = &mut building.target.flags;
        for (reach, text) in found {
            let is_public = reach != Reach::Own && building.target.kind.is_library();
            push(if is_public { &mut flags.public_defines } else { &mut flags.defines }, text);
        }
    }

    /// The flags that words mean, for C and C++ alike. Those that only CMake can tell are not among them.
    fn flags(&self, words: &[Word], are_macros: bool) -> Flags {
        let known = words.iter().filter(|word| word.known);
        let texts: Vec<String> = known
            .filter_map(entries)
            .flatten()
            .map(
                |text| {
                    if are_macros { format!("-D{}", text.trim_start_matches("-D")) } else { text }
                },
            )
            .collect();
        let mut flags = of_compiler(&texts, Language::C, &self.given());
        flags.cxx_args.clone_from(&flags.c_args);
        flags.private_includes.append(&mut take(&mut flags.includes));
        flags
    }

    fn feature(&mut self, name: &str, feature: &str) {
        let Some(number) = feature.strip_prefix("cxx_std_") else { return };
        // Compilers of today speak C++17 by themselves.
        if !matches!(number, "20" | "23" | "26") {
            return;
        }
        if let Some(building) = self.targets.building(name) {
            let standard = spelled("CXX", number, false);
            building.target.flags.cxx_std.get_or_insert(standard);
        }
    }

    fn property(&mut self, name: &str, key: &str, value: &Word) {
        if key == "PUBLIC_HEADER" && value.known {
            let paths = value.entries().filter_map(|it| self.path(&it.text));
            let headers: Vec<_> =
                paths.filter_map(|path| InstalledHeaders::new(&path, None)).collect();
            self.targets.headers.extend(headers);
        }
        let defines = match key {
            "COMPILE_DEFINITIONS" => self.flags(&value.entries().collect::<Vec<_>>(), true),
            _ => Flags::default(),
        };
        let Some(building) = self.targets.building(name).filter(|_| value.known) else { return };
        // Where there are both, programs look for the first.
        let target = &mut building.target;
        match key {
            "SOVERSION" => target.soversion = Some(value.text.clone()),
            "VERSION" => {
                target.soversion.get_or_insert_with(|| value.text.clone());
                target.file_version = Some(value.text.clone());
            }
            _ => {}
        }
        let flags = &mut building.target.flags;
        flags.merge(&defines);
        let is_off = matches!(&*value.text, "OFF" | "NO" | "FALSE" | "0");
        let relaxed = |standard: &mut Option<String>| {
            if let Some(text) = standard.as_mut().filter(|_| is_off) {
                *text = text.replace("gnu", "c");
            }
        };
        match key {
            "C_STANDARD" => flags.c_std = Some(spelled("C", &value.text, false)),
            "CXX_STANDARD" => flags.cxx_std = Some(spelled("CXX", &value.text, false)),
            "C_EXTENSIONS" => relaxed(&mut flags.c_std),
            "CXX_EXTENSIONS" => relaxed(&mut flags.cxx_std),
            _ => {}
        }
    }
}

/// Words of which each generator expression is one: blanks in it separate the entries of a list.
fn whole_expressions(words: &[Word]) -> Vec<Word> {
    let mut whole: Vec<Word> = Vec::new();
    let mut open = 0;
    for word in words {
        match whole.last_mut().filter(|_| open > 0) {
            Some(last) => {
                last.text = format!("{};{}", last.text, word.text);
                last.known &= word.known;
            }
            None => whole.push(word.clone()),
        }
        open += word.text.matches("$<").count();
        open = open.saturating_sub(if open > 0 { word.text.matches('>').count() } else { 0 });
    }
    whole
}

/// What a word with generator expressions comes to; `None` where only CMake can tell.
fn entries(word: &Word) -> Option<Vec<String>> {
    let text = generated(&word.text).filter(|_| word.known)?;
    Some(text.split(';').filter(|entry| !entry.is_empty()).map(str::to_owned).collect())
}

/// The words that count, with for whom.
fn reaching(words: &[Word]) -> impl Iterator<Item = (Reach, &Word)> {
    let mut reach = Reach::All;
    words.iter().filter_map(move |word| {
        if let Some(next) = Reach::of(&word.text) {
            reach = next;
            return None;
        }
        let is_order = matches!(&*word.text, "SYSTEM" | "BEFORE" | "AFTER");
        (!is_order).then_some((reach, word))
    })
}

/// A standard as compilers spell it.
fn spelled(language: &str, number: &str, strict: bool) -> String {
    let prefix = if strict { "c" } else { "gnu" };
    match language {
        "CXX" => format!("{prefix}++{number}"),
        // CMake writes 90, and so do compilers.
        _ => format!("{prefix}{number}"),
    }
}
