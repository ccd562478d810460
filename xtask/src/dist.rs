//! The binary that is shipped, and its symbols beside it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::cargo::{Profile, build_larder, target};

/// Builds larder with line tables and moves them to a file of their own. Debuggers and `addr2line`
/// find it by the link that the binary keeps.
///
/// # Errors
/// When larder does not build, or binutils is missing.
pub fn run() -> Result<()> {
    let whole = build_larder(Profile::Dist)?;
    let directory = target().join("shipped");
    fs::create_dir_all(&directory)
        .with_context(|| format!("cannot make {}", directory.display()))?;
    let (binary, symbols) = split(&whole, &directory)?;
    for file in [&binary, &symbols] {
        let bytes =
            fs::metadata(file).with_context(|| format!("cannot read {}", file.display()))?.len();
        println!("{} ({:.1} MB)", file.display(), bytes as f64 / 1e6);
    }
    Ok(())
}

/// Splits `whole` into `larder` and `larder.debug` in `directory`.
fn split(whole: &Path, directory: &Path) -> Result<(PathBuf, PathBuf)> {
    let (binary, symbols) = (directory.join("larder"), directory.join("larder.debug"));
    objcopy(|command| command.arg("--only-keep-debug").arg(whole).arg(&symbols))?;
    objcopy(|command| {
        command
            .arg("--strip-all")
            .arg(format!("--add-gnu-debuglink={}", symbols.display()))
            .arg(whole)
            .arg(&binary)
    })?;
    Ok((binary, symbols))
}

fn objcopy(arguments: impl FnOnce(&mut Command) -> &mut Command) -> Result<()> {
    let mut command = Command::new("objcopy");
    let status = arguments(&mut command).status().context("cannot run objcopy (binutils)")?;
    if !status.success() {
        bail!("objcopy failed: {status}");
    }
    Ok(())
}
