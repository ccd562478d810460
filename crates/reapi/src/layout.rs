//! Where files lie for an action on another machine.
//!
//! An action runs in its package's directory, which is called the same everywhere; what it reads of other packages and
//! of build directories, and what it writes, lies below that. Nothing is named by a path of this machine: those paths
//! that a tool gets as absolute ones begin with names that every process of Linux has for the directory that it runs
//! in. With that the bytes that it makes are those of a local build, in which such paths are mapped, too. There are two
//! such names: neither begins as the other does, so that no map of the package's directory fits what lies beside it.
//!
//! ```text
//! package/…                      the package's own files
//! package/.larder/d/NAME/…       those of another package
//! package/.larder/b/…            the root package's build directory, with those of others at @NAME
//! package/.larder/h/…            the same of what is built for the host
//! package/.larder/f/…            files with lists and arguments
//! package/.larder/out/…          what it writes
//! package/.larder/tmp/…          whatever is temporary
//! ```

use larder_engine::executor::Bench;
use larder_project::path::{PortablePath, RootPath};

/// The directory that actions run in.
pub const PACKAGE: &str = "package";

/// Where outputs, files with lists and arguments, and temporary files are.
pub const OUTPUTS: &str = ".larder/out";
pub const FILES: &str = ".larder/f";
pub const TEMPORARY: &str = ".larder/tmp";

/// The directory that a process runs in, by two names that hold for each of them: for the package's own files, and
/// for those below `.larder`.
pub const HERE: &str = "/proc/self/cwd";
pub const BESIDE: &str = "/proc/thread-self/cwd";

const DEPENDENCIES: &str = ".larder/d";
const BUILD: &str = ".larder/b";
const HOST: &str = ".larder/h";

/// The marks of build directories in portable names, and where they are.
const MARKED: [(&str, &str); 2] = [("<build>/", BUILD), ("<host>/", HOST)];

/// Where a file is on the other machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Where {
    /// At this path from the directory that the action runs in; empty for that itself.
    Inside(String),
    /// At this absolute path, if it has the same system.
    System(String),
}

/// The packages that decide where an action's files lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout<'a> {
    /// The action's own.
    pub package: &'a str,
    /// The root package.
    pub root: &'a str,
}

impl Layout<'_> {
    /// Returns where the file is that actions of the package call `path`.
    pub fn place(&self, path: &PortablePath) -> Where {
        let path = path.as_str();
        if path.starts_with('/') {
            return Where::System(path.to_owned());
        }
        let (owner, local) = match path.strip_prefix('@').and_then(|path| path.split_once('/')) {
            Some((owner, local)) => (owner, local),
            None => (self.package, path),
        };
        for (mark, directory) in MARKED {
            match local.strip_prefix(mark) {
                Some(built) if owner == self.root => return inside(&[directory, built]),
                Some(built) => return inside(&[directory, &format!("@{owner}"), built]),
                None => {}
            }
        }
        let local = local.strip_prefix("./").unwrap_or(local);
        if owner == self.package { inside(&[local]) } else { inside(&[DEPENDENCIES, owner, local]) }
    }

    /// Returns what the actions of the package call what lies at `path`, from the directory that they run in: none for what
    /// only they have.
    fn portable(&self, path: &str) -> Option<String> {
        let below = |directory: &str| path.strip_prefix(directory)?.strip_prefix('/');
        let owned = |rest: &str| {
            let (owner, local) = rest.split_once('/').unwrap_or((rest, ""));
            (owner.to_owned(), local.to_owned())
        };
        if let Some((owner, local)) = below(DEPENDENCIES).map(owned) {
            return Some(format!("@{owner}/{local}"));
        }
        for (mark, directory) in MARKED {
            let Some(rest) = below(directory) else { continue };
            let (owner, local) = match rest.strip_prefix('@') {
                Some(rest) => owned(rest),
                None => (self.root.to_owned(), rest.to_owned()),
            };
            let owner = if owner == self.package { String::new() } else { format!("@{owner}/") };
            return Some(format!("{owner}{mark}{local}"));
        }
        let only = [OUTPUTS, FILES, TEMPORARY];
        let is_only = only
            .iter()
            .any(|it| path.strip_prefix(it).is_some_and(|it| it.is_empty() || it.starts_with('/')));
        let is_special =
            path.starts_with('@') || MARKED.iter().any(|(mark, _)| path.starts_with(mark));
        (!is_only).then(|| if is_special { format!("./{path}") } else { path.to_owned() })
    }
}

fn inside(parts: &[&str]) -> Where {
    let parts = parts.iter().filter(|part| !part.is_empty());
    let joined = parts.copied().collect::<Vec<_>>().join("/");
    Where::Inside(joined.trim_end_matches('/').to_owned())
}

/// The names that the other machine has for files, as this one has them.
pub struct Names<'a> {
    bench: &'a Bench<'a>,
    layout: Layout<'a>,
    /// What the directory is called that the action runs in, where it said so.
    root: Option<String>,
}

impl<'a> Names<'a> {
    /// The names of an action that runs in the directory `root`, where it said so.
    pub fn new(bench: &'a Bench<'a>, package: &'a str, root: Option<&str>) -> Self {
        let root = root.map(|root| root.trim_end_matches('/').to_owned());
        Self { bench, layout: Layout { package, root: bench.places.root_name() }, root }
    }

    fn roots(&self) -> impl Iterator<Item = &str> {
        self.root.as_deref().into_iter().chain([BESIDE, HERE])
    }

    /// Returns the file here that a tool there has read by the name `said`: none for what only it has.
    pub fn file(&self, said: &str) -> Option<RootPath> {
        let below = |root: &str| said.strip_prefix(root)?.strip_prefix('/');
        let Some(inside) = self.roots().find_map(below) else {
            if said.starts_with('/') {
                return Some(self.bench.places.opened(self.bench.place, said));
            }
            return self.own(said.strip_prefix("./").unwrap_or(said));
        };
        self.own(inside)
    }

    fn own(&self, inside: &str) -> Option<RootPath> {
        let portable = self.layout.portable(inside)?;
        if portable == inside {
            return Some(self.bench.places.opened(self.bench.place, inside));
        }
        let found = self.bench.places.find(self.bench.place, &PortablePath::recorded(&portable));
        let absolute = self.bench.places.absolute(&found.ok()?);
        Some(self.bench.places.opened(self.bench.place, &absolute.to_string_lossy()))
    }

    /// Returns what was printed there as it would be printed here.
    pub fn text(&self, printed: &str) -> String {
        let mut text = printed.to_owned();
        for (there, here) in self.directories() {
            for root in self.roots() {
                text = text.replace(&format!("{root}/{there}"), &here);
            }
        }
        text
    }

    /// Returns what was printed here as it would be printed there.
    pub fn text_there(&self, printed: &str) -> String {
        let mut text = printed.to_owned();
        for (there, here) in self.directories() {
            let root = if there.is_empty() { HERE } else { BESIDE };
            text = text.replace(&here, &format!("{root}/{there}"));
        }
        text
    }

    /// The directories there, by their beginnings, with those here; the longer ones come first.
    fn directories(&self) -> Vec<(String, String)> {
        let places = self.bench.places;
        let mut all = Vec::new();
        let mut note = |there: String, portable: String| {
            if let Ok(found) = places.find(self.bench.place, &PortablePath::recorded(&portable)) {
                let here = places.absolute(&found);
                all.push((there, format!("{}/", here.to_string_lossy().trim_end_matches('/'))));
            }
        };
        let staging = self.bench.staging.to_string_lossy().into_owned();
        let package = self.layout.package;
        for name in places.names() {
            let owner = if name == package { String::new() } else { format!("@{name}/") };
            for (mark, _) in MARKED {
                let portable = format!("{owner}{mark}");
                if let Where::Inside(there) = self.layout.place(&PortablePath::recorded(&portable))
                {
                    note(format!("{there}/"), portable);
                }
            }
            if name != package {
                note(format!("{DEPENDENCIES}/{name}/"), owner);
            }
        }
        note(String::new(), String::new());
        all.push((format!("{OUTPUTS}/"), format!("{staging}/")));
        // Here one may lie in another: the inner one is meant.
        all.sort_by_key(|(there, here)| std::cmp::Reverse((here.len(), there.len())));
        all
    }

    /// Returns the name that a tool there has for a file here.
    pub fn there(&self, file: &RootPath) -> String {
        match self.layout.place(&self.bench.places.portable(self.bench.place, file)) {
            Where::System(path) => path,
            Where::Inside(path) if path.starts_with(".larder/") => format!("{BESIDE}/{path}"),
            Where::Inside(path) => path,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_back() {
        let layout = Layout { package: "lua", root: "lua" };
        for (path, there) in [
            ("src/a.c", "src/a.c"),
            ("", ""),
            ("./@x/y.h", "@x/y.h"),
            ("<build>/gen.h", ".larder/b/gen.h"),
            ("@zlib/zlib.h", ".larder/d/zlib/zlib.h"),
            ("@zlib/", ".larder/d/zlib"),
            ("@zlib/<build>/z.h", ".larder/b/@zlib/z.h"),
            ("<host>/gen", ".larder/h/gen"),
        ] {
            assert_eq!(layout.place(&PortablePath::recorded(path)), Where::Inside(there.into()));
            let back = layout.portable(there).unwrap();
            assert_eq!(layout.place(&PortablePath::recorded(&back)), Where::Inside(there.into()));
        }
        let of_zlib = Layout { package: "zlib", root: "lua" };
        let own = PortablePath::recorded("<build>/z.h");
        assert_eq!(of_zlib.place(&own), Where::Inside(".larder/b/@zlib/z.h".into()));
        assert_eq!(of_zlib.portable(".larder/b/gen.h").unwrap(), "@lua/<build>/gen.h");
        let system = PortablePath::recorded("/usr/include/stdio.h");
        assert_eq!(layout.place(&system), Where::System("/usr/include/stdio.h".into()));
        assert_eq!(layout.portable(".larder/out/a.o"), None);
        assert_eq!(layout.portable(".larder/tmp/ccx.s"), None);
    }
}
