//! What has to hold for each project.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use anyhow::{Result, bail, ensure};

use super::tree::{Outputs, Tree};

/// Flags for compilers: as quick as can be, and with debug information, which names directories.
const PLAIN: &str = "-O0";
const DEBUG: &str = "-O0 -g";

/// Programs that compile, archive or link, by the last part of their names.
const COMPILERS: &[&str] = &[
    "cc", "c++", "gcc", "g++", "cpp", "c89", "c99", "clang", "clang++", "cc1", "cc1plus",
    "collect2", "as", "ld", "gold", "bfd", "lld", "ar", "ranlib", "ccache",
];

/// Whether a program compiles, archives or links: `gcc`, `x86_64-linux-gnu-gcc-12`, `ld.gold`.
fn is_compiler(program: &str) -> bool {
    let version = |end: &str| end.chars().all(|c| c.is_ascii_digit() || c == '.');
    let name = match program.rsplit_once('-') {
        Some((name, end)) if version(end) => name,
        _ => program,
    };
    name.rsplit(['-', '.']).next().is_some_and(|last| COMPILERS.contains(&last))
}

/// Makes a directory with all programs of the system but compilers, archivers and linkers.
fn without_compilers(place: &Path) -> Result<PathBuf> {
    let programs = place.join("programs");
    fs::create_dir_all(&programs)?;
    for entry in fs::read_dir("/usr/bin")? {
        let entry = entry?;
        if !is_compiler(&entry.file_name().to_string_lossy()) {
            symlink(entry.path(), programs.join(entry.file_name()))?;
        }
    }
    Ok(programs)
}

/// larder makes what Ninja makes, byte for byte, and has nothing to do afterwards.
pub fn the_same_bytes(tree: &Tree<'_>) -> Result<()> {
    for flags in [DEBUG, PLAIN] {
        tree.configure(flags)?;
        let configured = tree.out.with_file_name("out-configured");
        copy(&tree.out, &configured)?;
        tree.ninja()?;
        let theirs = tree.outputs()?;
        fs::remove_dir_all(&tree.out)?;
        fs::rename(&configured, &tree.out)?;
        tree.larder()?;
        same(&theirs, &tree.outputs()?)?;
        let again = tree.larder()?;
        ensure!(again.restored.is_empty(), "restored again: {:?}", again.restored);
        nothing_ran(&again.ran)?;
        eprintln!("{flags}: {} outputs, as Ninja makes them", theirs.len());
        if flags == DEBUG {
            fs::remove_dir_all(&tree.out)?;
        }
    }
    Ok(())
}

/// Commands that a build file has run each time are no part of what a build makes. Nothing else may run.
fn nothing_ran(ran: &[String]) -> Result<()> {
    ensure!(ran.is_empty(), "run again: {ran:?}");
    Ok(())
}

/// Back on a branch that was built, no command is run.
pub fn a_branch_and_back(tree: &Tree<'_>) -> Result<()> {
    let before = tree.outputs()?;
    tree.git(&["checkout", "--quiet", "-b", "edited"])?;
    tree.edit()?;
    tree.git(&["commit", "--quiet", "--all", "--message", "edit"])?;
    let there = tree.larder()?;
    ensure!(!there.ran.is_empty(), "the edit makes no difference");
    tree.git(&["checkout", "--quiet", "-"])?;
    let back = tree.larder()?;
    nothing_ran(&back.ran)?;
    same(&before, &tree.outputs()?)?;
    eprintln!("a branch and back: {} run there, {} restored", there.ran.len(), back.restored.len());
    Ok(())
}

/// A build directory that is configured again comes back without a compiler, an archiver or a linker having run, and with
/// none on `PATH`. Of one that is named by its whole path larder asks who it is, since it may find other programs there.
pub fn a_deleted_build_directory(tree: &Tree<'_>, place: &Path) -> Result<()> {
    let before = tree.outputs()?;
    fs::remove_dir_all(&tree.out)?;
    tree.configure(PLAIN)?;
    let configured = tree.out.with_file_name("out-configured");
    copy(&tree.out, &configured)?;
    let (built, started) = tree.larder_with(None)?;
    if let Some(compiler) = started.iter().find(|program| is_compiler(program)) {
        bail!("{compiler} was run: {:?}", built.ran);
    }
    same(&before, &tree.outputs()?)?;
    fs::remove_dir_all(&tree.out)?;
    fs::rename(&configured, &tree.out)?;
    let (alone, _) = tree.larder_with(Some(&without_compilers(place)?))?;
    same(&before, &tree.outputs()?)?;
    let (restored, ran) = (built.restored.len(), built.ran.len());
    ensure!(
        (alone.restored.len(), alone.ran.len()) == (restored, ran),
        "run without a compiler on PATH: {:?}",
        alone.ran
    );
    eprintln!("a deleted build directory: {restored} restored, {ran} other commands");
    Ok(())
}

/// Another checkout takes every object and archive from the store that does not tell where it was made, in its bytes or
/// by its name: CMake calls objects by the whole path of sources that lie beside its list.
pub fn a_second_checkout(tree: &Tree<'_>, place: &Path) -> Result<()> {
    let second = tree.second(place)?;
    second.configure(PLAIN)?;
    let built = second.larder()?;
    let here = second.sources.to_string_lossy().into_owned();
    let kinds = ["Building C", "Compiling C", "static library", "static target"];
    for line in built.ran.iter().filter(|line| kinds.iter().any(|kind| line.contains(kind))) {
        let output = line.rsplit(' ').next().unwrap_or("");
        let bytes = fs::read(second.out.join(output))?;
        let tells = output.contains(&here)
            || bytes.windows(here.len()).any(|window| window == here.as_bytes());
        ensure!(tells, "made again, though it does not tell where it was made: {line}");
    }
    let shares = !built.restored.is_empty();
    ensure!(shares == tree.project.portable, "{} restored elsewhere", built.restored.len());
    eprintln!("a second checkout: {} restored, {} run", built.restored.len(), built.ran.len());
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    crate::cargo::run(std::process::Command::new("cp").arg("-a").arg(from).arg(to))
}

fn same(wanted: &Outputs, found: &Outputs) -> Result<()> {
    let differ: Vec<&String> = wanted
        .iter()
        .filter(|(name, hash)| found.get(*name) != Some(hash))
        .map(|(name, _)| name)
        .collect();
    ensure!(differ.is_empty(), "other bytes than before: {differ:?}");
    ensure!(wanted.len() == found.len(), "{} outputs instead of {}", found.len(), wanted.len());
    Ok(())
}
