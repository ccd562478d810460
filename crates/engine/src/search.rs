//! Searches for headers and libraries: which other file could have been found instead.
//!
//! A depfile tells what a compiler read, not what it looked for and did not find. A header that appears
//! in a directory that is searched earlier, or that `__has_include` asked for, changes what a compile
//! makes. So the record of a compile keeps the directories that were searched and the names that were
//! asked for, and a hash of which of all the places where something could have been found hold a file.
//! That hash is computed again, from listings of directories, before a record counts.

mod arguments;
mod comments;
mod listings;
mod reach;
mod relative;
mod requests;
mod scan;

use std::{
    collections::BTreeSet,
    io::ErrorKind,
    path::Path,
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use larder_trace::{ContentHash, DiscoveredInput, Searched};

use self::listings::{Kind, Listing, hash_of};
pub use self::{
    arguments::{Given, IncludeArguments, LinkArguments, Typed},
    listings::Listings,
    reach::{Compile, Reach, Scanner, Unresolved},
    relative::{relative_paths, takes_next},
    scan::{ANY, Asked},
};

/// The result of a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// As [`Searched::found`].
    pub found: ContentHash,
    /// The directories whose names decided it, absolute: while none of them has other names, the
    /// outcome is the same.
    pub watched: BTreeSet<String>,
}

/// One compile, or one link, as a search for files. Paths are portable.
pub struct Search<'a> {
    /// The directories that are searched, in order.
    pub directories: &'a [String],
    /// Directories of files that may ask for others by a name in quotes, which is looked for there
    /// first. Their order does not count. See [`includers`].
    pub includers: &'a [&'a str],
    /// Names to look for everywhere.
    pub names: &'a [String],
    /// The files that were found.
    pub discovered: &'a [&'a str],
}

/// Finds out where a portable path is on this machine: absolute; none for a package that is not here.
pub type Locate<'a> = &'a dyn Fn(&str) -> Option<PathBuf>;

/// The names to look for in every directory, sorted: those that decide something by themselves, and all
/// others that may have been meant where a name is computed or a discovered file does not tell by which
/// name it was found, because a link led to it.
///
/// `system` are the compiler's own include directories.
pub fn names_of(
    asked: &Asked,
    search: &Search<'_>,
    source: &str,
    system: &[String],
    listings: &Listings,
    locate: Locate<'_>,
) -> Vec<String> {
    let mut names = asked.probed.clone();
    let own = search.directories.iter().filter(|directory| !system.contains(directory));
    if names.contains(ANY) || led_elsewhere(own, listings, locate) || unexplained(search, source) {
        names.extend(asked.included.iter().cloned());
    }
    names.into_iter().collect()
}

/// Whether one of the directories is reached through a link: files found there may be known by where
/// that leads.
fn led_elsewhere<'d>(
    mut directories: impl Iterator<Item = &'d String>,
    listings: &Listings,
    locate: Locate<'_>,
) -> bool {
    let real = |directory: &str| locate(directory).and_then(|path| listings.real(&path));
    let package = real("");
    directories.any(|directory| {
        let Some(real) = real(directory) else { return false };
        let inside = package.as_ref().filter(|_| below(directory, "").is_some());
        *real != *inside.map_or_else(|| PathBuf::from(directory), |package| package.join(directory))
            && !directory.starts_with(['@', '<'])
    })
}

/// Whether a discovered file is neither in a directory that was searched nor below the directory of a
/// file that may have included it.
fn unexplained(search: &Search<'_>, source: &str) -> bool {
    let searched = |path: &str| search.directories.iter().any(|d| below(path, d).is_some());
    let (found, mut rest): (Vec<&str>, Vec<&str>) =
        search.discovered.iter().partition(|path| searched(path));
    let mut directories: BTreeSet<&str> = found.into_iter().map(parent).collect();
    directories.insert(parent(source));
    loop {
        let before = rest.len();
        rest.retain(|path| {
            let explained = directories.iter().any(|d| below(path, d).is_some());
            if explained {
                directories.insert(parent(path));
            }
            !explained
        });
        if rest.is_empty() || rest.len() == before {
            return !rest.is_empty();
        }
    }
}

/// The directories of the files that may include others by a name in quotes, sorted: the source and the
/// discovered headers, except those in `system`, the compiler's own include directories, and the
/// directory `working` that the compiler runs in, from which `-include` is looked for.
pub fn includers<'a>(
    working: &'a str,
    source: &'a str,
    discovered: &[&'a str],
    system: &[String],
) -> Vec<&'a str> {
    let own = discovered.iter().filter(|path| !system.iter().any(|d| below(path, d).is_some()));
    let mut found: Vec<&str> = own.map(|path| parent(path)).collect();
    found.extend([parent(source), working]);
    found.sort_unstable();
    found.dedup();
    found
}

/// The files that would be found today instead of those that a search has `discovered`, or besides them, as
/// far as that can be told: portable paths. `is_there` says which files there are.
pub(crate) fn first_places(
    searched: &Searched,
    discovered: &[DiscoveredInput],
    source: &str,
    is_there: &dyn Fn(&str) -> bool,
) -> Vec<String> {
    let known: BTreeSet<&str> = discovered.iter().map(|input| input.path.as_str()).collect();
    let is_new = |path: &String| !known.contains(path.as_str()) && is_there(path);
    let of = |directory: &str, name: &str| match directory {
        "" | "." => name.to_owned(),
        "/" => format!("/{name}"),
        _ => format!("{directory}/{name}"),
    };
    let mut earlier = BTreeSet::new();
    let mut beside = BTreeSet::new();
    for path in &known {
        for (number, directory) in searched.directories.iter().enumerate() {
            let Some(name) = below(path, directory) else { continue };
            let before = searched.directories[..number].iter();
            earlier.extend(before.map(|directory| of(directory, name)));
            beside.insert(of(parent(source), name));
        }
    }
    let named = searched
        .directories
        .iter()
        .flat_map(|directory| searched.names.iter().map(move |name| of(directory, name)));
    // The surest come first: those after them may have been there all the time.
    let all = [earlier, beside, named.collect()].into_iter();
    let new = all.map(|paths| paths.into_iter().filter(is_new).collect::<Vec<_>>());
    new.into_iter().find(|paths| !paths.is_empty()).unwrap_or_default()
}

/// Whether a recorded search would come to the same today.
pub fn check(
    searched: &Searched,
    includers: &[&str],
    discovered: &[&str],
    listings: &Listings,
    locate: Locate<'_>,
) -> bool {
    let Searched { directories, names, found } = searched;
    let search = Search { directories, includers, names, discovered };
    search.look(listings, locate, &[]).found == *found
}

impl Search<'_> {
    /// Looks where else something could have been found. The files `left` count as there: absolute paths.
    pub fn look(&self, listings: &Listings, locate: Locate<'_>, left: &[String]) -> Outcome {
        let includers = self.includers.iter().copied();
        let places = includers.chain(self.directories.iter().map(String::as_str));
        let mut places: Vec<Place<'_>> =
            places.map(|portable| Place::new(portable, listings, locate)).collect();
        let mut looking = Looking { listings, left, found: Vec::new(), watched: BTreeSet::new() };
        let first = self.includers.len();
        for path in self.discovered {
            for (number, directory) in self.directories.iter().enumerate() {
                let Some(name) = below(path, directory) else { continue };
                // One that is listed again counts where it stands last: which of the two is dropped
                // is the compiler's choice.
                let again = self.directories[number + 1..].contains(directory);
                if !again {
                    let name = Name::new(name);
                    places[..first + number].iter_mut().for_each(|p| looking.probe(p, &name));
                }
            }
        }
        for name in self.names {
            if name == ANY {
                places.iter_mut().for_each(|place| looking.take_all(place));
            } else if name.starts_with('/') {
                let mut root = Place::new("/", listings, &|path| Some(path.into()));
                looking.probe(&mut root, &Name::new(name.trim_start_matches('/')));
                places.push(root);
            } else {
                let name = Name::new(name);
                places.iter_mut().for_each(|place| looking.probe(place, &name));
            }
        }
        let used = places.iter().filter(|place| place.used);
        let Looking { mut found, mut watched, .. } = looking;
        watched.extend(used.filter_map(|place| deepest(place.absolute.as_ref()?, listings)));
        found.sort_unstable();
        found.dedup();
        Outcome { found: hash(&found), watched }
    }
}

/// A directory that is searched.
struct Place<'a> {
    portable: &'a str,
    absolute: Option<String>,
    listing: Option<Arc<OnceLock<Listing>>>,
    used: bool,
}

impl<'a> Place<'a> {
    fn new(portable: &'a str, listings: &Listings, locate: Locate<'_>) -> Self {
        let absolute = locate(portable).and_then(|path| path.into_os_string().into_string().ok());
        let listing = absolute.as_deref().map(|path| listings.get(path));
        Self { portable, absolute, listing, used: false }
    }
}

/// A name to look for, split after its first part.
struct Name<'a> {
    whole: &'a str,
    first: &'a str,
    rest: Option<&'a str>,
    hash: u64,
}

impl<'a> Name<'a> {
    fn new(whole: &'a str) -> Self {
        let (first, rest) = match whole.split_once('/') {
            Some((first, rest)) => (first, Some(rest.trim_start_matches('/'))),
            None => (whole, None),
        };
        Self { whole, first, rest, hash: hash_of(first) }
    }
}

struct Looking<'l> {
    listings: &'l Listings,
    left: &'l [String],
    found: Vec<(String, String)>,
    watched: BTreeSet<String>,
}

impl Looking<'_> {
    /// Notes the file `name` in `place` if it is there.
    fn probe(&mut self, place: &mut Place<'_>, name: &Name<'_>) {
        place.used = true;
        let Some(listing) = place.listing.as_ref().and_then(|listing| listing.get()) else {
            return;
        };
        // Nearly every name ends here: it is not there.
        let Some(absolute) = &place.absolute else { return };
        let is_left = || self.left.iter().any(|path| *path == join(absolute, name.whole));
        if is_left() || self.exists(absolute, listing, name) {
            self.found.push((place.portable.to_owned(), name.whole.to_owned()));
        }
    }

    fn exists(&mut self, directory: &str, listing: &Listing, name: &Name<'_>) -> bool {
        if listing.is_missing() {
            return false;
        }
        if matches!(name.first, "" | "." | "..") {
            return name.rest.is_some_and(|rest| self.exists_in(directory, name.first, rest));
        }
        let kind = match listing {
            Listing::Closed => Kind::Other,
            _ => match listing.find(name.hash, name.first) {
                None => return false,
                Some(entry) => entry.kind,
            },
        };
        match (name.rest, kind) {
            (None, Kind::File) => true,
            (None, Kind::Directory) | (Some(_), Kind::File) => false,
            (None, Kind::Other) => self.is_file(&join(directory, name.first)),
            (Some(rest), Kind::Directory | Kind::Other) => {
                self.exists_in(directory, name.first, rest)
            }
        }
    }

    /// Whether `rest` is a file in the directory `first` of `directory`, which is to be watched then.
    fn exists_in(&mut self, directory: &str, first: &str, rest: &str) -> bool {
        let inner = if first.is_empty() { directory.to_owned() } else { join(directory, first) };
        let listing = self.listings.get(&inner);
        let Some(listing) = listing.get() else { return false };
        self.watched.extend(deepest(&inner, self.listings));
        self.exists(&inner, listing, &Name::new(rest))
    }

    /// Whether the link at `path` leads to a file; where it leads is to be watched as well.
    fn is_file(&mut self, path: &str) -> bool {
        let path = Path::new(path);
        if let (Ok(target), Some(parent)) = (path.read_link(), path.parent()) {
            let target = parent.join(target);
            let directory = target.parent().and_then(Path::to_str);
            self.watched.extend(directory.and_then(|d| deepest(d, self.listings)));
        }
        match path.metadata() {
            Ok(metadata) => !metadata.is_dir(),
            // Compilers go on only when nothing is there, and stop at a link that leads in circles.
            Err(error) => !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
        }
    }

    /// Notes every name in `place`.
    fn take_all(&mut self, place: &mut Place<'_>) {
        place.used = true;
        if let Some(Listing::Open(table)) = place.listing.as_ref().and_then(|l| l.get()) {
            let names =
                table.iter().map(|entry| (place.portable.to_owned(), entry.name.to_string()));
            self.found.extend(names);
        }
    }
}

/// The deepest directory that is there among `path` and what it is in.
fn deepest(path: &str, listings: &Listings) -> Option<String> {
    let mut directories = Path::new(path).ancestors().filter_map(Path::to_str);
    directories.find(|d| listings.get(d).get().is_some_and(|l| !l.is_missing())).map(str::to_owned)
}

fn hash(found: &[(String, String)]) -> ContentHash {
    let mut text = String::new();
    for (directory, name) in found {
        text.extend([directory, "\0", name, "\0"]);
    }
    ContentHash::of_bytes(text.as_bytes())
}

fn join(directory: &str, name: &str) -> String {
    [directory.trim_end_matches('/'), "/", name].concat()
}

/// The path inside `directory` of a file below it.
fn below<'p>(path: &'p str, directory: &str) -> Option<&'p str> {
    match directory {
        "" | "." => (!path.starts_with(['/', '@', '<'])).then_some(path),
        "/" => path.strip_prefix('/'),
        _ => path.strip_prefix(directory)?.strip_prefix('/'),
    }
}

/// The portable directory that a file is in.
fn parent(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some(("", _)) => "/",
        Some((directory, _)) => directory,
        None => "",
    }
}
