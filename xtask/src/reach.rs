//! The headers of an example that larder finds without its compiler, compared with those that the compiler reads.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
    sync::{Arc, Mutex},
    thread,
};

use anyhow::{Context, Result, bail};
use larder_engine::{
    depfile,
    search::{Compile, IncludeArguments, Reach, Scanner},
};
use serde::Deserialize;

use crate::cargo;

/// So many of a hundred headers of a package may be found that none of its sources reads, or so few in all.
const MOST_EXTRA: usize = 15;
const FEW: usize = 8;

/// One of the entries of `compile_commands.json`.
#[derive(Debug, Deserialize)]
pub struct Entry {
    directory: String,
    file: String,
    arguments: Vec<String>,
}

/// Returns the entries in `directory` that compile a source.
///
/// # Errors
/// There are none.
pub fn entries(directory: &Path) -> Result<Vec<Entry>> {
    let text = fs::read(directory.join("compile_commands.json"))?;
    let entries: Vec<Entry> = serde_json::from_slice(&text).context("the entries are no JSON")?;
    let compiles = |entry: &Entry| {
        let ends = [".c", ".cc", ".cpp", ".cxx", ".S"];
        ends.iter().any(|end| entry.file.ends_with(end))
    };
    Ok(entries.into_iter().filter(compiles).collect())
}

/// Sees that, for the entries of the example `name`, no file which a compiler reads is missing among those that are found,
/// and that few are found for nothing.
///
/// # Errors
/// Names what is missing, or how many are too many.
pub fn check(name: &str) -> Result<()> {
    let directory = cargo::root().join("examples").join(name);
    let entries = entries(&directory)?;
    let compilers = Compilers::default();
    let scanner = Scanner::new();
    let left = Mutex::new(entries.iter());
    let found = Mutex::new(Found::default());
    let look = || -> Result<()> {
        loop {
            let Some(entry) = left.lock().ok().and_then(|mut left| left.next()) else {
                return Ok(());
            };
            let read = listed(entry)?;
            let reach = reach(&scanner, entry, &compilers)?;
            if let Ok(mut found) = found.lock() {
                found.add(entry, &reach, &read, &directory);
            }
        }
    };
    thread::scope(|scope| {
        let workers = [scope.spawn(look), scope.spawn(look)];
        workers.into_iter().try_for_each(|worker| match worker.join() {
            Ok(looked) => looked,
            Err(_) => bail!("a thread panicked"),
        })
    })?;
    found.into_inner().unwrap_or_default().judge(entries.len())
}

/// The result for a package.
#[derive(Default)]
struct Found {
    /// By source: the files that are missing.
    missing: BTreeMap<String, Vec<String>>,
    unresolved: usize,
    /// The package's own headers that were found, and those that are read: of any source, and of all added up.
    found: BTreeSet<String>,
    read: BTreeSet<String>,
    sums: [usize; 2],
}

impl Found {
    fn add(&mut self, entry: &Entry, reach: &Reach, read: &BTreeSet<String>, directory: &Path) {
        let missing: Vec<String> = read.difference(&reach.files).cloned().collect();
        match reach.unresolved {
            Some(_) => self.unresolved += 1,
            None if !missing.is_empty() => _ = self.missing.insert(entry.file.clone(), missing),
            None => {}
        }
        let source = Path::new(&entry.directory).join(&entry.file);
        let own = |path: &&String| {
            let path = Path::new(path);
            path.starts_with(directory) && path != source
        };
        self.sums[0] += reach.files.iter().filter(own).count();
        self.sums[1] += read.iter().filter(own).count();
        self.found.extend(reach.files.iter().filter(own).cloned());
        self.read.extend(read.iter().filter(own).cloned());
    }

    fn judge(self, sources: usize) -> Result<()> {
        if !self.missing.is_empty() {
            bail!("headers that compilers read are not found: {:#?}", self.missing);
        }
        let extra: Vec<&String> = self.found.difference(&self.read).collect();
        eprintln!(
            "headers of {sources} sources: {} are read, {} more found ({} and {} for each source by itself); a compiler is to be asked for {}",
            self.read.len(),
            extra.len(),
            self.sums[1],
            self.sums[0].saturating_sub(self.sums[1]),
            self.unresolved
        );
        if extra.len() * 100 > self.found.len() * MOST_EXTRA && extra.len() > FEW {
            bail!("too many headers are found for nothing: {extra:#?}");
        }
        Ok(())
    }
}

/// What compilers say of themselves, by their command.
#[derive(Default)]
pub struct Compilers(Mutex<BTreeMap<Vec<String>, Arc<Own>>>);

/// What a compiler looks through, and what it defines, by itself.
struct Own {
    directories: Vec<String>,
    macros: Vec<String>,
}

impl Compilers {
    /// What the compiler of an entry says, with the entry's arguments.
    fn ask(&self, entry: &Entry) -> Result<Arc<Own>> {
        let mut command = vec![entry.arguments[0].clone()];
        command.extend(arguments(entry).into_iter().cloned());
        let language = match entry.file.rsplit('.').next() {
            Some("c") => "-xc",
            Some("S") => "-xassembler-with-cpp",
            _ => "-xc++",
        };
        command.extend(["-E", "-dM", "-v", language, "/dev/null"].map(str::to_owned));
        let Ok(mut known) = self.0.lock() else { bail!("a thread panicked") };
        if let Some(known) = known.get(&command) {
            return Ok(known.clone());
        }
        let mut ask = Command::new(&command[0]);
        let asked = ask.current_dir(&entry.directory).args(&command[1..]).output()?;
        let (said, defined) = (String::from_utf8(asked.stderr)?, String::from_utf8(asked.stdout)?);
        let lines = said.lines().skip_while(|line| !line.starts_with("#include <"));
        let lines = lines.skip(1).take_while(|line| line.starts_with(' '));
        let macros = defined.lines().filter_map(|line| line.split(' ').nth(1));
        let own = Arc::new(Own {
            directories: lines.map(|line| line.trim().to_owned()).collect(),
            macros: macros.map(str::to_owned).collect(),
        });
        known.insert(command, own.clone());
        Ok(own)
    }
}

/// Returns what the scanner finds for an entry.
///
/// # Errors
/// The compiler does not say where its headers are.
pub fn reach(scanner: &Scanner, entry: &Entry, compilers: &Compilers) -> Result<Reach> {
    let own = compilers.ask(entry)?;
    let parsed = IncludeArguments::parse(&entry.arguments);
    let base = Path::new(&entry.directory);
    let absolute = |path: String| base.join(path).to_string_lossy().into_owned();
    // It lists those that arguments name before its own.
    let directories = [&parsed.quote[..], &own.directories].concat();
    let directories: Vec<String> = directories.into_iter().map(absolute).collect();
    let first =
        entry.arguments.windows(2).filter(|pair| matches!(&*pair[0], "-include" | "-imacros"));
    let first: Vec<String> = first.map(|pair| pair[1].clone()).collect();
    let defines = entry.arguments.iter().filter_map(|argument| argument.strip_prefix("-D"));
    let defines: Vec<String> = defines.map(str::to_owned).collect();
    Ok(scanner.reach(&Compile {
        source: &absolute(entry.file.clone()),
        working: &entry.directory,
        directories: &directories,
        first: &first,
        defines: &defines,
        predefined: Some(&own.macros),
    }))
}

/// The arguments of an entry that say how it is compiled, but for the source.
fn arguments(entry: &Entry) -> Vec<&String> {
    let mut found = Vec::new();
    let mut rest = entry.arguments[1..].iter();
    while let Some(argument) = rest.next() {
        match &**argument {
            "-o" => _ = rest.next(),
            "-c" => {}
            file if file == entry.file => {}
            _ => found.push(argument),
        }
    }
    found
}

/// Returns the command that lists what the compile of an entry reads: `cc -M`.
pub fn lists(entry: &Entry) -> Command {
    let mut command = Command::new(&entry.arguments[0]);
    command.current_dir(&entry.directory).args(arguments(entry)).args(["-M", &entry.file]);
    command
}

fn listed(entry: &Entry) -> Result<BTreeSet<String>> {
    let text = cargo::capture(&mut lists(entry))?;
    let base = Path::new(&entry.directory);
    let real = |path: String| -> Result<String> {
        let path = base.join(path);
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
            bail!("{} is no file", path.display());
        };
        Ok(directory.canonicalize()?.join(name).to_string_lossy().into_owned())
    };
    depfile::parse(&text).into_iter().map(real).collect()
}
