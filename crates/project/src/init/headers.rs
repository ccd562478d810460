//! Headers that another build system installs, and the include directories that are public because of them.

use std::collections::BTreeSet;

use super::describe::{Flags, Kind, Package, Target};

/// The extensions of headers.
const EXTENSIONS: [&str; 8] = ["h", "hh", "hpp", "hxx", "inl", "ipp", "tpp", "tcc"];

/// A directory of the build for generated headers that are installed, where others beside them are not.
const PUBLIC: &str = "public";

/// A header, or a directory of headers, that another build system installs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstalledHeaders {
    /// The file, or the directory with a final `/`: in the package, or below `{build}`.
    path: String,
    /// Where it is put below the directory of all headers, such as `zoo`; `None` where nobody knows.
    below: Option<String>,
}

impl InstalledHeaders {
    /// Returns the header `path`, or the headers in it if it ends with `/`, which are installed in the directory
    /// `destination`; `None` for anything else that is installed.
    pub fn new(path: &str, destination: Option<&str>) -> Option<Self> {
        let is_header = || path.rsplit_once('.').is_some_and(|(_, end)| EXTENSIONS.contains(&end));
        if !path.ends_with('/') && !is_header() {
            return None;
        }
        let below = match destination {
            None => None,
            Some(destination) => {
                let mut parts = destination.split('/').filter(|part| !matches!(*part, "" | "."));
                parts.find(|part| *part == "include")?;
                Some(parts.collect::<Vec<_>>().join("/"))
            }
        };
        Some(Self { path: path.to_owned(), below })
    }

    fn is_generated(&self) -> bool {
        self.path.starts_with("{build}")
    }

    /// The directory that the headers are in.
    fn directory(&self) -> &str {
        self.path.rsplit_once('/').map_or(".", |(directory, _)| directory)
    }

    fn is_below(&self, directory: &str) -> bool {
        is_below(&self.path, directory)
    }

    /// The directory that includes count from, for whoever has the headers installed; and the directories in which they are
    /// then, but not here. `known` are those of a library.
    fn split(&self, known: &Flags) -> (String, String) {
        let directory = self.directory();
        let Some(below) = &self.below else {
            let mut known = include_directories(known);
            let found = known.find(|it| self.is_below(it)).map(String::as_str);
            return (found.unwrap_or(directory).to_owned(), String::new());
        };
        let mut own: Vec<&str> = directory.split('/').filter(|part| *part != ".").collect();
        let mut others: Vec<&str> = below.split('/').filter(|part| !part.is_empty()).collect();
        while own.last().is_some_and(|part| others.last() == Some(part)) {
            own.pop();
            others.pop();
        }
        let base = if own.is_empty() { ".".to_owned() } else { own.join("/") };
        (base, others.join("/"))
    }

    fn base(&self, known: &Flags) -> String {
        self.split(known).0
    }

    /// Patterns that match the headers; none for those that are generated.
    fn patterns(&self) -> Vec<String> {
        match self.path.strip_suffix('/') {
            _ if self.is_generated() => Vec::new(),
            Some(".") => EXTENSIONS.map(|end| format!("**/*.{end}")).to_vec(),
            Some(directory) => EXTENSIONS.map(|end| format!("{directory}/**/*.{end}")).to_vec(),
            None => vec![self.path.clone()],
        }
    }
}

impl Flags {
    /// Makes those include directories private that are not among `public`, which are all there afterwards.
    pub fn keep_public(&mut self, public: &[String]) {
        let is_public = |it: &String| public.contains(it);
        let (kept, private): (Vec<_>, Vec<_>) = self.includes.drain(..).partition(is_public);
        let (more, mut private_before): (Vec<_>, Vec<_>) =
            self.private_includes.drain(..).partition(is_public);
        private_before.extend(private);
        self.private_includes = private_before;
        for directory in kept.into_iter().chain(more).chain(public.iter().cloned()) {
            if !self.includes.contains(&directory) {
                self.includes.push(directory);
            }
        }
    }
}

impl Package {
    /// Gives `installed` to the libraries that they are of. If there are any, the directories that they are included from
    /// are the only public ones. Where nothing at all is installed, nobody says what is not.
    pub fn give_headers(&mut self, mut installed: Vec<InstalledHeaders>) {
        if installed.is_empty() {
            if !self.targets.iter().any(|target| target.is_installed == Some(true)) {
                self.targets.iter_mut().for_each(|target| target.is_installed = None);
            }
            return;
        }
        self.part_generated(&mut installed);
        let mut public: Vec<Vec<String>> = vec![Vec::new(); self.targets.len()];
        let mut moved: BTreeSet<String> = BTreeSet::new();
        let owners: Vec<Vec<usize>> = installed.iter().map(|it| self.owners(it)).collect();
        for (headers, owners) in installed.iter().zip(owners) {
            for at in owners {
                let (base, other) = headers.split(&self.targets[at].flags);
                if !other.is_empty() {
                    moved.insert(other);
                }
                if !public[at].contains(&base) {
                    public[at].push(base);
                }
                self.targets[at].headers.extend(headers.patterns());
                // Nobody has headers for users, and no library.
                self.targets[at].is_installed = Some(true);
            }
        }
        for place in moved {
            self.cautions.push(format!(
                "{} has headers installed in include/{place} that lie in no {place} here: `larder install` puts them in include.",
                self.from
            ));
        }
        let used: Vec<Vec<String>> =
            self.targets.iter().map(|it| self.inherited(it).includes).collect();
        for ((target, public), used) in self.targets.iter_mut().zip(public).zip(used) {
            // Whoever looked in a directory because of a library goes on with it.
            let Flags { includes, private_includes, .. } = &mut target.flags;
            let is_new = |it: &String| !includes.contains(it) && !private_includes.contains(it);
            let new: Vec<String> = used.into_iter().filter(is_new).collect();
            includes.extend(new);
            match target.kind {
                // All that is in it is for whoever is linked with it.
                Kind::Headers if public.is_empty() => {
                    target.is_installed.get_or_insert(false);
                }
                _ if target.kind.is_library() => target.flags.keep_public(&public),
                _ => {}
            }
        }
    }

    /// The indices of the libraries that headers are of: those with a source of the same name, else those that find
    /// them, else those with sources beside them, else all. What is not installed itself has none.
    fn owners(&self, headers: &InstalledHeaders) -> Vec<usize> {
        let is_installed =
            |target: &Target| target.kind.is_library() && target.is_installed == Some(true);
        let is_known = self.targets.iter().any(is_installed);
        let is_candidate =
            |target: &Target| is_installed(target) || !is_known && target.kind.is_library();
        let stem = |path: &str| {
            let name = path.rsplit('/').next().unwrap_or(path);
            name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_owned()
        };
        let own = stem(&headers.path);
        let has_namesake =
            |target: &Target| !own.is_empty() && target.sources.iter().any(|it| stem(it) == own);
        let finds =
            |target: &Target| include_directories(&target.flags).any(|it| headers.is_below(it));
        let is_beside = |target: &Target| {
            let directory = |path: &str| path.rsplit_once('/').map_or(".", |it| it.0).to_owned();
            target.sources.iter().any(|it| directory(it) == headers.directory())
        };
        let rules: [&dyn Fn(&Target) -> bool; 4] = [&has_namesake, &finds, &is_beside, &|_| true];
        let found = |rule: &dyn Fn(&Target) -> bool| -> Vec<usize> {
            let targets = self.targets.iter().enumerate();
            targets.filter(|(_, it)| is_candidate(it) && rule(it)).map(|(at, _)| at).collect()
        };
        rules.into_iter().map(found).find(|found| !found.is_empty()).unwrap_or_default()
    }

    /// Has generated headers that are installed made in a directory of their own, where others are made beside them: all in
    /// a public directory of the build is installed.
    fn part_generated(&mut self, installed: &mut [InstalledHeaders]) {
        let generated = installed.iter().filter(|it| it.is_generated());
        let bases: BTreeSet<String> = generated.map(|it| it.base(&Flags::default())).collect();
        for base in bases {
            let is_of_base =
                |it: &InstalledHeaders| it.is_generated() && it.base(&Flags::default()) == base;
            let moves = |output: &str| {
                let mut of_base = installed.iter().filter(|it| is_of_base(it));
                of_base.any(|it| {
                    it.path == output || it.path.ends_with('/') && output.starts_with(&it.path)
                })
            };
            let of_build = |output: &str| format!("{{build}}/{output}");
            let (moved, kept): (Vec<String>, Vec<String>) = self
                .configs
                .iter()
                .map(|config| of_build(&config.output))
                .filter(|output| is_below(output, &base))
                .partition(|output| moves(output));
            if moved.is_empty() || kept.is_empty() {
                continue;
            }
            let new = format!("{base}/{PUBLIC}");
            for config in &mut self.configs {
                if moved.contains(&of_build(&config.output)) {
                    let place = of_build(&config.output).replacen(&base, &new, 1);
                    config.output = place.trim_start_matches("{build}/").to_owned();
                }
            }
            // A directory in it that somebody looks in has one beside it, too.
            let beside = |directory: &str| {
                let is_moved = moved.iter().any(|output| is_below(output, directory));
                let is_of_base = directory == base || is_below(directory, &base);
                (is_moved && is_of_base).then(|| directory.replacen(&base, &new, 1))
            };
            for target in &mut self.targets {
                let Flags { includes, private_includes, system_includes, .. } = &mut target.flags;
                for list in [includes, private_includes, system_includes] {
                    *list =
                        list.drain(..).flat_map(|it| [beside(&it), Some(it)]).flatten().collect();
                }
            }
            for headers in installed.iter_mut() {
                if is_of_base(headers) {
                    headers.path = headers.path.replacen(&base, &new, 1);
                }
            }
        }
    }

    /// Takes away patterns of headers that match nothing, and headers that are not there.
    pub fn drop_empty_headers(&mut self) {
        let all = &self.headers;
        for target in &mut self.targets {
            target.headers.retain(|pattern| {
                all.contains(pattern)
                    || pattern.contains('*')
                        && all.iter().any(|it| crate::glob::matches(pattern, it))
            });
        }
    }
}

/// Where a target looks for headers, those of others left out.
fn include_directories(flags: &Flags) -> impl Iterator<Item = &String> {
    flags.private_includes.iter().chain(&flags.includes)
}

fn is_below(path: &str, directory: &str) -> bool {
    match directory {
        "." => !path.starts_with("{build}"),
        _ => path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::init::{Kind, config::Config};

    #[test]
    fn includes_count_from_where_installed_paths_end_alike() {
        let base = |path: &str, destination: Option<&str>| {
            let flags = Flags { includes: vec!["include".to_owned()], ..Flags::default() };
            InstalledHeaders::new(path, destination).map(|it| it.split(&flags))
        };
        for (path, destination, wanted) in [
            ("include/zoo/a.h", Some("/usr/local/include/zoo"), Some(("include", ""))),
            ("src/zoo/a.h", Some("include"), Some(("src/zoo", ""))),
            ("zoo/a.h", Some("include/./zoo"), Some((".", ""))),
            ("a.h", Some("include/zoo"), Some((".", "zoo"))),
            ("include/zoo/", Some("include/zoo"), Some(("include", ""))),
            ("src/part/a.h", Some("include/zoo/part"), Some(("src", "zoo"))),
            ("{build}/gen.h", Some("include/zoo"), Some(("{build}", "zoo"))),
            ("include/zoo/a.h", None, Some(("include", ""))),
            ("other/a.h", None, Some(("other", ""))),
            ("include/zoo/a.h", Some("share/zoo"), None),
            ("include/readme.txt", Some("include"), None),
        ] {
            let found = base(path, destination);
            let found = found.as_ref().map(|(base, other)| (&**base, &**other));
            assert_eq!(found, wanted, "{path} {destination:?}");
        }
    }

    #[test]
    fn generated_headers_that_are_installed_lie_by_themselves() {
        let config = |output: &str| Config { output: output.to_owned(), ..Config::default() };
        let includes = [".", "{build}/zoo", "{build}"].map(str::to_owned).to_vec();
        let target = |kind: Kind| Target {
            kind,
            flags: Flags { includes: includes.clone(), ..Flags::default() },
            ..Target::default()
        };
        let installed = || {
            InstalledHeaders::new("{build}/zoo/open.h", Some("include/zoo")).into_iter().collect()
        };
        let mut package = Package {
            configs: vec![config("zoo/open.h"), config("config.h")],
            targets: vec![target(Kind::Static), target(Kind::Program)],
            ..Package::default()
        };
        package.give_headers(installed());
        assert_eq!(package.configs[0].output, "public/zoo/open.h");
        assert_eq!(package.configs[1].output, "config.h");
        assert_eq!(package.targets[0].flags.includes, ["{build}/public"]);
        let private = [".", "{build}/public/zoo", "{build}/zoo", "{build}"];
        assert_eq!(package.targets[0].flags.private_includes, private);
        let all = [".", "{build}/public/zoo", "{build}/zoo", "{build}/public", "{build}"];
        assert_eq!(package.targets[1].flags.includes, all);
        package.configs.truncate(1);
        package.configs[0].output = "zoo/open.h".to_owned();
        package.targets = vec![target(Kind::Static)];
        package.give_headers(installed());
        assert_eq!(package.configs[0].output, "zoo/open.h", "where no other is, it stays");
        assert_eq!(package.targets[0].flags.includes, ["{build}"]);
    }
}
