//! Every file that a compile may read, found without running the compiler.
//!
//! A compile on another machine needs its headers there before it begins, and those of the last compile may not be
//! those of the next one. So texts are followed from the source on: every branch that something may define a macro for,
//! and each name in every directory that is searched. That finds some headers too many, and none too few; where a text
//! asks for something that only a compiler can work out, that is said.

mod branches;
mod text;

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use hashbrown::{HashMap, HashSet};

use self::text::{Text, Value, Wanted, arguments};

/// A compile, as far as it says which files may be read.
#[derive(Debug, Clone, Copy)]
pub struct Compile<'a> {
    /// The source: absolute.
    pub source: &'a str,
    /// The directory that the compiler runs in: absolute.
    pub working: &'a str,
    /// The directories that are searched, the compiler's own among them: absolute.
    pub directories: &'a [String],
    /// The headers that arguments name, as these write them: `-include`, `-imacros`.
    pub first: &'a [String],
    /// The macros that arguments define, as these write them: `X`, `X="x.h"`.
    pub defines: &'a [String],
    /// The macros that the compiler defines by itself, with these arguments: `__linux__`, `__INT8_C(c)`. None where
    /// that is not known: branches for other systems are then followed, too.
    pub predefined: Option<&'a [String]>,
}

/// The files that a compile may read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    /// Absolute paths, whose directories are named without links. The source is one of them.
    pub files: BTreeSet<String>,
    /// Why there may be others.
    pub unresolved: Option<Unresolved>,
}

/// Why a compile may read other files than were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unresolved {
    /// The name of a header is put together by macros. A compiler that lists what it reads (`-M`) knows the file.
    Computed,
    /// Something is read that no compiler lists: what an assembler includes, a header that was compiled beside its
    /// text, or the answer whether a file is there whose name is put together.
    Unlisted,
}

/// Finds what compiles may read. Each file is read once, and each directory looked into once for a name: a scanner is
/// for one build, in which files stay as they are.
#[derive(Debug, Default)]
pub struct Scanner(Mutex<Known>);

impl Scanner {
    /// A scanner that knows nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns every file that `compile` may read.
    pub fn reach(&self, compile: &Compile<'_>) -> Reach {
        // Every insertion is complete before the lock is released.
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut walk = Walk::new(&mut known, compile);
        loop {
            walk.follow();
            if !walk.take_macros() {
                return walk.end();
            }
        }
    }
}

/// The header that GCC includes before all others.
const PREDEFINED: &str = "stdc-predef.h";

/// A file, by its position among those that are known.
type FileId = usize;

/// A macro, by its position among those that are known.
type MacroId = usize;

/// A list of directories that are searched, by its position among those that are known.
type ListId = usize;

/// The directories that a compile searches.
#[derive(Debug, Clone, Copy)]
struct Directories<'a> {
    paths: &'a [String],
    list: ListId,
}

/// What is known of the files of this machine.
#[derive(Debug, Default)]
struct Known {
    files: Vec<File>,
    by_path: HashMap<Box<str>, Option<FileId>>,
    /// Where directories are without links.
    real: HashMap<Box<str>, Option<Arc<str>>>,
    lists: HashMap<Vec<String>, ListId>,
    /// The files that a file asks for, where the directories of a list are searched.
    asked: HashMap<(ListId, FileId), Arc<[Asked]>>,
    macros: HashMap<Box<str>, MacroId>,
}

#[derive(Debug)]
struct File {
    path: Box<str>,
    directory: Arc<str>,
    text: Arc<Text>,
    defined: Arc<[MacroId]>,
}

/// Files that a text asks for.
#[derive(Debug)]
struct Asked {
    /// Of each list, one macro at least must be defined for that.
    needs: Vec<Vec<MacroId>>,
    files: Vec<FileId>,
}

impl Known {
    /// Returns the file at an absolute path; none where there is none.
    fn file(&mut self, path: &str) -> Option<FileId> {
        let (directory, name) = path.rsplit_once('/')?;
        let directory = self.real(directory)?;
        let path = format!("{directory}/{name}");
        if let Some(known) = self.by_path.get(&*path) {
            return *known;
        }
        let text = fs::read(&path).ok();
        let id = text.map(|text| {
            let mut text = Text::read(&text);
            // A compiler takes it instead of the header, and says nothing.
            if [".gch", ".pch"].iter().any(|end| Path::new(&format!("{path}{end}")).exists()) {
                text.note(Unresolved::Unlisted);
            }
            let defined = text.defined.iter().map(|name| self.macro_id(name)).collect();
            let (path, text) = (path.as_str().into(), Arc::new(text));
            self.files.push(File { path, directory, text, defined });
            self.files.len() - 1
        });
        self.by_path.insert(path.into(), id);
        id
    }

    fn macro_id(&mut self, name: &str) -> MacroId {
        let next = self.macros.len();
        *self.macros.entry_ref(name).or_insert(next)
    }

    fn directories<'a>(&mut self, paths: &'a [String]) -> Directories<'a> {
        let next = self.lists.len();
        let list = *self.lists.entry_ref(paths).or_insert(next);
        Directories { paths, list }
    }

    /// Returns where a directory is without links; none where it is not there.
    fn real(&mut self, directory: &str) -> Option<Arc<str>> {
        if let Some(known) = self.real.get(directory) {
            return known.clone();
        }
        let real = fs::canonicalize(if directory.is_empty() { "/" } else { directory }).ok();
        let real = real.and_then(|real| real.into_os_string().into_string().ok());
        let real: Option<Arc<str>> = real.map(|real| real.trim_end_matches('/').into());
        self.real.insert(directory.into(), real.clone());
        real
    }

    /// Adds to `found` every file that `name` may mean: in the directory `own`, and in all that are searched.
    fn find(
        &mut self,
        name: &str,
        own: Option<&str>,
        directories: &[String],
        found: &mut Vec<FileId>,
    ) {
        if name.starts_with('/') {
            found.extend(self.file(name));
            return;
        }
        for directory in own.into_iter().chain(directories.iter().map(String::as_str)) {
            found.extend(self.file(&format!("{directory}/{name}")));
        }
    }

    /// Returns the files that `id` asks for by their names.
    fn asked(&mut self, id: FileId, directories: Directories<'_>) -> Arc<[Asked]> {
        if let Some(known) = self.asked.get(&(directories.list, id)) {
            return known.clone();
        }
        let (text, directory) = (self.files[id].text.clone(), self.files[id].directory.clone());
        let asked = text.names.iter().map(|(needs, names)| {
            let needs = needs.iter().map(|any| any.iter().map(|it| self.macro_id(it)).collect());
            let needs = needs.collect();
            let mut files = Vec::new();
            for Wanted { name, beside } in names {
                self.find(name, beside.then_some(&*directory), directories.paths, &mut files);
            }
            Asked { needs, files }
        });
        let asked: Arc<[Asked]> = asked.filter(|asked| !asked.files.is_empty()).collect();
        self.asked.insert((directories.list, id), asked.clone());
        asked
    }
}

/// The way through the texts of one compile.
struct Walk<'a> {
    known: &'a mut Known,
    directories: Directories<'a>,
    /// What arguments define.
    given: Text,
    /// Whether the compiler may define macros that nobody knows of.
    defines_others: bool,
    /// Whether a macro is defined anywhere, by its position.
    defined: Vec<bool>,
    /// The files that were reached, in that order.
    order: Vec<FileId>,
    seen: HashSet<FileId>,
    /// How many of them were followed.
    followed: usize,
    /// What waits for macros, each by its position in all that a text asks for.
    waiting: Vec<(Arc<[Asked]>, usize)>,
    unresolved: Option<Unresolved>,
}

impl<'a> Walk<'a> {
    fn new(known: &'a mut Known, compile: &Compile<'a>) -> Self {
        let mut first: Vec<FileId> = known.file(compile.source).into_iter().collect();
        known.find(PREDEFINED, None, compile.directories, &mut first);
        for name in compile.first {
            known.find(name, Some(compile.working), compile.directories, &mut first);
        }
        let directories = known.directories(compile.directories);
        let mut walk = Self {
            known,
            directories,
            given: arguments(compile.defines),
            defines_others: compile.predefined.is_none(),
            defined: Vec::new(),
            order: Vec::new(),
            seen: HashSet::new(),
            followed: 0,
            waiting: Vec::new(),
            unresolved: None,
        };
        let predefined = compile.predefined.into_iter().flatten();
        let predefined = predefined.filter_map(|name| name.split('(').next());
        let given = walk.given.defined.iter().map(|name| &**name);
        let ids: Vec<MacroId> =
            given.chain(predefined).map(|name| walk.known.macro_id(name)).collect();
        walk.define(&ids);
        walk.add(&first);
        walk
    }

    fn add(&mut self, files: &[FileId]) {
        let Self { seen, order, .. } = self;
        order.extend(files.iter().filter(|id| seen.insert(**id)));
    }

    fn define(&mut self, macros: &[MacroId]) {
        self.defined.resize(self.known.macros.len().max(self.defined.len()), false);
        macros.iter().for_each(|id| self.defined[*id] = true);
    }

    /// Whether something may define what is needed.
    fn is_met(&self, needs: &[Vec<MacroId>]) -> bool {
        let is_defined = |id: &MacroId| self.defined.get(*id).copied().unwrap_or(false);
        needs.iter().all(|any| any.iter().any(is_defined))
    }

    /// Follows all names that texts ask for.
    fn follow(&mut self) {
        loop {
            while let Some(id) = self.order.get(self.followed).copied() {
                self.followed += 1;
                let File { text, defined, .. } = &self.known.files[id];
                self.unresolved = self.unresolved.max(text.unresolved);
                let defined = defined.clone();
                self.define(&defined);
                let asked = self.known.asked(id, self.directories);
                self.waiting.extend((0..asked.len()).map(|number| (asked.clone(), number)));
            }
            let waiting = std::mem::take(&mut self.waiting);
            for (asked, number) in waiting {
                match self.defines_others || self.is_met(&asked[number].needs) {
                    true => self.add(&asked[number].files),
                    false => self.waiting.push((asked, number)),
                }
            }
            if self.followed == self.order.len() {
                return;
            }
        }
    }

    /// Adds the files whose names macros stand for. Returns whether there are new ones.
    fn take_macros(&mut self) -> bool {
        let (found, unresolved) = self.files_of_macros();
        self.unresolved = self.unresolved.max(unresolved);
        let before = self.order.len();
        self.add(&found);
        self.order.len() > before
    }

    /// Returns the files whose names macros stand for, and why there may be others.
    fn files_of_macros(&mut self) -> (Vec<FileId>, Option<Unresolved>) {
        let texts = self.order.iter().map(|id| (*id, self.known.files[*id].text.clone()));
        let texts: Vec<(FileId, Arc<Text>)> = texts.collect();
        let (mut found, mut unresolved) = (Vec::new(), None);
        if texts.iter().all(|(_, text)| text.macros.is_empty()) {
            return (found, unresolved);
        }
        let mut values: HashMap<&str, Vec<&Value>> = HashMap::new();
        for (name, value) in
            texts.iter().flat_map(|(_, text)| &text.defines).chain(&self.given.defines)
        {
            values.entry(name).or_default().push(value);
        }
        for (id, text) in &texts {
            let directory = self.known.files[*id].directory.clone();
            for (name, otherwise) in &text.macros {
                match names_of(name, &values) {
                    // One that nothing defines names no file: it is a parameter, or nobody comes here. What is given
                    // for a parameter was found where it is given.
                    Some(names) if !name.starts_with("__") => names.iter().for_each(|name| {
                        self.known.find(name, Some(&directory), self.directories.paths, &mut found);
                    }),
                    _ => unresolved = unresolved.max(Some(*otherwise)),
                }
            }
        }
        (found, unresolved)
    }

    fn end(self) -> Reach {
        let files = self.order.iter().map(|id| self.known.files[*id].path.to_string()).collect();
        Reach { files, unresolved: self.unresolved }
    }
}

/// Returns the names that a macro stands for; none where only a compiler knows them.
fn names_of<'v>(
    name: &'v str,
    values: &HashMap<&'v str, Vec<&'v Value>>,
) -> Option<BTreeSet<&'v str>> {
    let mut names = BTreeSet::new();
    let mut open = vec![name];
    let mut seen: BTreeSet<&str> = open.iter().copied().collect();
    while let Some(name) = open.pop() {
        for value in values.get(name).into_iter().flatten() {
            match value {
                Value::Name(name) => _ = names.insert(&**name),
                Value::Macro(name) if seen.insert(name) => open.push(name),
                Value::Macro(_) => {}
                Value::Computed => return None,
            }
        }
    }
    Some(names)
}
