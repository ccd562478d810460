//! What clangd says of the sources and headers of a package, by the entries of its `compile_commands.json`.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
    thread,
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::cargo;

/// So many files of a package are looked at, unless all are to be.
const SOME: usize = 30;

/// Longer files are not looked at, in bytes: clangd takes minutes for SQLite in one file.
const LONGEST: u64 = 1 << 20;

/// So many are looked at at once.
const AT_ONCE: usize = 2;

/// Files that nobody could understand by themselves, and why: an example, a path below its directory. One that is not
/// there, or in which nothing is amiss, is an error.
const RIDDLES: &[(&str, &str, &str)] = &[
    ("lua", "src/ljumptab.h", "it is a part of a function"),
    ("zlib", "src/crc32.h", "it is data of types that its source defines"),
    (
        "jq",
        "src/src/lexer.h",
        "it is for the middle of a parser, after the types that Bison writes there",
    ),
    ("jq", "src/src/libm.h", "it is a list of macro calls"),
    ("jq", "src/src/opcode_list.h", "it is a list of macro calls"),
    ("redis", "src/deps/hdr_histogram/hdr_redis_malloc.h", "a macro names it where it is included"),
];

/// Which files are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Some of each package, always the same ones.
    Some,
    /// All of them.
    All,
}

/// Has clangd look at the files of the example `name`, by its entries.
///
/// # Errors
/// Names the files in which something is amiss, with what clangd says.
pub fn check(name: &str, which: Which) -> Result<()> {
    let directory = cargo::root().join("examples").join(name);
    let riddles = RIDDLES.iter().filter(|(example, ..)| *example == name);
    let riddles: BTreeSet<PathBuf> = riddles.map(|(_, path, _)| directory.join(path)).collect();
    let known = files(&directory)?;
    let files: Vec<PathBuf> = known.difference(&riddles).cloned().collect();
    let looked = match which {
        Which::All => files,
        Which::Some => some(&files, SOME),
    };
    let amiss = look(&directory, &looked)?;
    if !amiss.is_empty() {
        let said: Vec<String> =
            amiss.iter().map(|(file, said)| format!("{}:\n{said}", file.display())).collect();
        bail!("clangd finds something amiss in {} files:\n{}", amiss.len(), said.join("\n"));
    }
    let unneeded = unneeded(&directory, &riddles, &known)?;
    if !unneeded.is_empty() {
        bail!("RIDDLES has entries that are not needed:\n{}", unneeded.join("\n"));
    }
    eprintln!(
        "clangd finds nothing amiss in {} files, and something in each of {} riddles",
        looked.len(),
        riddles.len()
    );
    Ok(())
}

/// Says which of `riddles` are not among the `known` files, or have nothing amiss.
fn unneeded(
    directory: &Path,
    riddles: &BTreeSet<PathBuf>,
    known: &BTreeSet<PathBuf>,
) -> Result<Vec<String>> {
    let there: Vec<PathBuf> = riddles.intersection(known).cloned().collect();
    let amiss: BTreeSet<PathBuf> =
        look(directory, &there)?.into_iter().map(|(file, _)| file).collect();
    let gone = riddles.difference(known).map(|file| (file, "it is no longer there"));
    let fine = there.iter().filter(|file| !amiss.contains(*file));
    let fine = fine.map(|file| (file, "clangd finds nothing amiss in it"));
    Ok(gone.chain(fine).map(|(file, why)| format!("{}: {why}", file.display())).collect())
}

/// The files in a directory that its entries name, sorted, but for assembly and long ones.
fn files(directory: &Path) -> Result<BTreeSet<PathBuf>> {
    let text = fs::read(directory.join("compile_commands.json"))?;
    let entries: Vec<Value> = serde_json::from_slice(&text).context("the entries are no JSON")?;
    let named = entries.iter().filter_map(|entry| entry["file"].as_str().map(PathBuf::from));
    let is_c = |file: &PathBuf| {
        file.extension().is_none_or(|extension| !extension.eq_ignore_ascii_case("s"))
    };
    let is_short = |file: &PathBuf| file.metadata().is_ok_and(|found| found.len() <= LONGEST);
    let own = named.filter(|file| file.starts_with(directory) && is_c(file) && is_short(file));
    Ok(own.collect())
}

/// At most so many of some files, evenly spread.
fn some(files: &[PathBuf], most: usize) -> Vec<PathBuf> {
    files.iter().step_by(files.len().div_ceil(most).max(1)).cloned().collect()
}

/// Has clangd look at files. Returns those in which something is amiss, and what it says of each.
fn look(directory: &Path, files: &[PathBuf]) -> Result<Vec<(PathBuf, String)>> {
    let (left, found) = (Mutex::new(files.iter()), Mutex::new(Vec::new()));
    let next = || left.lock().ok()?.next();
    let work = || -> Result<()> {
        while let Some(file) = next() {
            if let Some(said) = amiss(directory, file)?
                && let Ok(mut found) = found.lock()
            {
                found.push((file.clone(), said));
            }
        }
        Ok(())
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| {
            worker.join().unwrap_or_else(|_| bail!("a thread that runs clangd panicked"))
        })
    })?;
    let mut found = found.into_inner().unwrap_or_default();
    found.sort();
    Ok(found)
}

/// What clangd finds amiss in a file, if anything. What its own features make of each line is not asked.
fn amiss(directory: &Path, file: &Path) -> Result<Option<String>> {
    let mut clangd = Command::new("clangd");
    clangd.arg(format!("--check={}", file.display())).arg("--check-lines=1-1");
    let output = clangd.current_dir(directory).output().context("cannot run clangd")?;
    let said = String::from_utf8_lossy(&output.stderr);
    let errors: Vec<&str> = said.lines().filter(|line| line.contains("] Line ")).take(4).collect();
    if !said.contains("All checks completed") || !said.contains("compile_commands.json") {
        return Ok(Some(said.into_owned()));
    }
    Ok((!errors.is_empty()).then(|| errors.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_amiss_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        let entry = |file: &str| {
            let path = root.join(file);
            let words = ["cc", "-x", "c-header", "-c", path.to_str().unwrap()];
            serde_json::json!({ "directory": root, "file": path, "arguments": words })
        };
        let names = ["good.h", "bad.h", "left.S"];
        fs::write(root.join("good.h"), "struct s { int i; };\n").unwrap();
        fs::write(root.join("bad.h"), "struct s { item i; };\n").unwrap();
        fs::write(root.join("left.S"), "nop\n").unwrap();
        let entries: Vec<Value> = names.iter().map(|name| entry(name)).collect();
        let text = serde_json::to_vec(&entries).unwrap();
        fs::write(root.join("compile_commands.json"), text).unwrap();
        let files: Vec<PathBuf> = files(&root).unwrap().into_iter().collect();
        assert_eq!(files, [root.join("bad.h"), root.join("good.h")]);
        let amiss = look(&root, &files).unwrap();
        assert_eq!(amiss.len(), 1, "{amiss:?}");
        assert!(amiss[0].0.ends_with("bad.h") && amiss[0].1.contains("'item'"), "{amiss:?}");
        let known = files.into_iter().collect();
        let of = |names: &[&str]| {
            let riddles = names.iter().map(|name| root.join(name)).collect();
            unneeded(&root, &riddles, &known).unwrap()
        };
        assert!(of(&["bad.h"]).is_empty(), "clangd cannot do with it");
        let unneeded = of(&["bad.h", "good.h", "gone.h"]);
        assert_eq!(unneeded.len(), 2, "{unneeded:?}");
        assert!(unneeded[0].ends_with("gone.h: it is no longer there"), "{unneeded:?}");
        assert!(unneeded[1].ends_with("good.h: clangd finds nothing amiss in it"), "{unneeded:?}");
    }

    #[test]
    fn riddles_are_of_examples() {
        for (example, path, why) in RIDDLES {
            let manifest = cargo::root().join("examples").join(example).join("larder.toml");
            assert!(manifest.is_file() && !why.is_empty(), "{example}: {path}");
        }
    }

    #[test]
    fn some_are_spread_evenly() {
        let files: Vec<PathBuf> = (0..100).map(|number| number.to_string().into()).collect();
        let some = some(&files, 30);
        assert_eq!((some.len(), &some[1]), (25, &PathBuf::from("4")));
        assert_eq!(super::some(&files[..30], 30).len(), 30);
        assert_eq!(super::some(&[], 30).len(), 0);
    }
}
