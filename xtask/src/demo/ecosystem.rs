//! A package set: built, broken by an edit of a library, and mended.

use std::{fs, path::PathBuf, time::Instant};

use anyhow::{Context, Result, bail};

use super::scene::{Lines, Scene, copy};
use crate::{
    cargo::{self, Profile},
    ecosystem, install, sources,
};

/// Runs the demonstration in a temporary copy of `examples/ecosystem`, which it leaves without a trace.
///
/// # Errors
/// The first step that fails, or shows something else than it must.
pub fn run() -> Result<()> {
    install::install(install::EXAMPLES)?;
    install::install(install::ECOSYSTEM)?;
    println!("Building larder, and fetching the sources of 31 packages…");
    let larder = cargo::build_larder(Profile::Release)?;
    sources::fetch(ecosystem::NAME).context("cannot fetch the sources")?;
    let start = Instant::now();
    // Near the sources: files of one file system need no copies.
    let scratch = tempfile::tempdir_in(cargo::target())?;
    let directory = scratch.path().join(ecosystem::NAME);
    copy(&ecosystem::directory(), &directory)?;
    let scene = Scene { larder, directory, store: scratch.path().join("store") };
    begin(&scene)?;
    first_run(&scene)?;
    break_it(&scene)?;
    blame(&scene)?;
    mend_it(&scene)?;
    try_luck(&scene)?;
    println!("\n# All of it took {:.0} s.", start.elapsed().as_secs_f64());
    println!("docs/sets.md tells what a set is, and docs/operations.md how one is kept green.");
    let kept = keep(&scene)?;
    println!("\n# To see all of it in a browser, with the larder that was built:");
    println!("  {} serve --data-dir {}", scene.larder.display(), kept.display());
    println!("then open http://127.0.0.1:8080/, and from there:");
    println!(
        "  /packages/zlib.1.3.1    the library that was broken: why, who needs it, when it began"
    );
    println!("  /packages?status=failed what fails still");
    println!("  /runs                   every run, and how each compares with the one before");
    Ok(())
}

/// Keeps the run data, without layers, in the target directory. Returns where.
fn keep(scene: &Scene) -> Result<PathBuf> {
    let kept = cargo::target().join("demo");
    if kept.exists() {
        fs::remove_dir_all(&kept).context("cannot remove what an earlier demonstration kept")?;
    }
    let data = kept.join(".larder/data");
    fs::create_dir_all(&data)?;
    let from = scene.directory.join(".larder/data");
    for part in ["runs", "packages", "graphs", "html"] {
        if from.join(part).is_dir() {
            copy(&from.join(part), &data.join(part))?;
        }
    }
    // It says who maintains what.
    fs::copy(scene.directory.join("larder-set.toml"), kept.join("larder-set.toml"))?;
    Ok(data)
}

/// The library that is edited, and what of it.
const SOURCE: &str = "src/zlib-1.3.1/inflate.c";
const INCLUDE: &str = "#include \"inftrees.h\"\n";

/// Packages that need the library in that version.
const USERS: &[&str] =
    &["freetype.2.12.1", "libpng.1.6.39", "pigz.2.8", "pngcheck.3.0.3", "squashfs-tools.4.5.1"];

fn begin(scene: &Scene) -> Result<()> {
    scene.say("An ecosystem: 31 packages of C and C++, built with GCC and with Clang. Each is kept in Git");
    let ignored = scene.directory.join(".gitignore");
    fs::write(ignored, ".larder/\n").context("cannot write .gitignore")?;
    scene.git(&["init", "--quiet", "--initial-branch", "main"])?;
    commit(scene, "The set")
}

fn commit(scene: &Scene, message: &str) -> Result<()> {
    scene.git(&["add", "--all"])?;
    scene.git(&["commit", "--quiet", "--message", message])
}

fn first_run(scene: &Scene) -> Result<()> {
    let plan = scene.larder(&["batch", "--dry-run"], &[0], Lines(6, 2))?;
    plan.has(&["it needs zlib.1.3.1", "it needs zlib.1.2.13"])?;
    let run = scene.larder(&["batch"], &[1], Lines(8, 6))?;
    run.has(&[
        "no solution for lua-cjson.2.1.0 with gcc.12",
        "failed snappy.1.1.9 with gcc.12: build_failure",
        "blocked leveldb.1.23 with gcc.12 by snappy.1.1.9",
        "28 of 31 packages work (1 fail, 1 blocked, 1 without a solution)",
    ])?;
    scene.say("Where it stands: one is broken with GCC, one needs that, one needs a Lua that is not there");
    scene.larder(&["status"], &[0], Lines(12, 4))?.has(&["28 of 31 work"])?;
    scene
        .larder(&["failures", "--roots"], &[0], Lines(6, 2))?
        .has(&["fixing snappy.1.1.9 unblocks 1 package"])?;
    Ok(())
}

fn break_it(scene: &Scene) -> Result<()> {
    scene.say("Some changes. One of them breaks a library that others need");
    let readme = scene.read("src/lz4-1.9.4/README.md")?;
    scene.shell(
        "echo 'It is fast.' >> src/lz4-1.9.4/README.md; git commit -am 'lz4: say that it is fast'",
    );
    scene.write("src/lz4-1.9.4/README.md", &format!("{readme}It is fast.\n"))?;
    commit(scene, "lz4: say that it is fast")?;
    let source = scene.read(SOURCE)?;
    if !source.contains(INCLUDE) {
        bail!("{SOURCE} has no {INCLUDE}");
    }
    scene.shell(&format!("sed -i '/inftrees.h/d' {SOURCE}; git commit -am 'zlib: include less'"));
    scene.write(SOURCE, &source.replace(INCLUDE, ""))?;
    commit(scene, "zlib: include less")?;

    scene.say("The next night: only what these changes can reach is built");
    let run = scene.larder(&["batch"], &[1], Lines(8, 8))?;
    run.has(&[
        "failed zlib.1.3.1 with gcc.12",
        "failed zlib.1.3.1 with clang.14",
        "lz4.1.9.4 with gcc.12 in",
        "22 of 31 packages work (2 fail, 6 blocked, 1 without a solution)",
    ])?;
    run.lacks(&["built lua.5.4.4", "built zlib.1.2.13", "built libdeflate.1.14"])?;

    scene.say("The morning after: what broke, what it blocks, and why");
    let changes = scene.larder(&["changes"], &[0], Lines(10, 3))?;
    changes.has(&["zlib.1.3.1"])?.has(USERS)?;
    let roots = scene.larder(&["failures", "--roots"], &[0], Lines(6, 2))?;
    roots.has(&["inflate.h:", "fixing zlib.1.3.1 unblocks 5 packages"])?;
    let history = scene.larder(&["history", "zlib.1.3.1", "-n", "4"], &[0], Lines(8, 2))?;
    history.has(&["build_failure", "success"])?;
    Ok(())
}

fn blame(scene: &Scene) -> Result<()> {
    scene.say("Which change was it? Asked of a package that only needs the library");
    let found = scene.larder(&["bisect", "pngcheck"], &[0], Lines(3, 12))?;
    found.has(&["zlib: include less"])?.lacks(&["lz4: say that it is fast"])?;
    Ok(())
}

fn mend_it(scene: &Scene) -> Result<()> {
    scene.say("Somebody has mended it in a checkout, somewhat otherwise than it was. What would that change?");
    let checkout = scene.directory.join("../zlib");
    copy(&scene.directory.join("src/zlib-1.3.1"), &checkout)?;
    let source = scene.read(SOURCE)?;
    let include = "#include \"inflate.h\"\n";
    let mended = format!("#include \"inftrees.h\" /* for code */\n{include}");
    scene.shell("cp -r src/zlib-1.3.1 ../zlib");
    scene.shell("sed -i 's|#include \"inflate.h\"|#include \"inftrees.h\" /* for code */\\n&|' ../zlib/inflate.c");
    scene.write("../zlib/inflate.c", &source.replacen(include, &mended, 1))?;
    let what_if = ["batch", "--what-if", "zlib=../zlib", "zlib.1.3.1", "pngcheck"];
    scene.larder(&what_if, &[0], Lines(4, 8))?.has(&["fixed"])?;

    scene.say("It is taken over, and what it had blocked is built again");
    scene.shell(&format!(
        "cp ../zlib/inflate.c {SOURCE}; git commit -am 'zlib: include what is used'"
    ));
    scene.write(SOURCE, &scene.read("../zlib/inflate.c")?)?;
    commit(scene, "zlib: include what is used")?;
    let rebuilt = scene.larder(&["batch", "zlib.1.3.1"], &[0], Lines(4, 3))?;
    rebuilt.has(&["1 of 1 package works"])?;
    scene.larder(&["failures", "--roots"], &[0], Lines(4, 2))?.has(&["works again"])?;
    let cascade = scene.larder(&["cascade"], &[0], Lines(6, 3))?;
    cascade.has(&["pngcheck.3.0.3", "freetype.2.12.1", "packages work in"])?;
    scene.larder(&["batch"], &[1], Lines(4, 2))?.has(&["28 of 31 packages work"])?;
    scene.larder(&["changes"], &[0], Lines(8, 3))?.has(&["zlib.1.3.1", "libpng.1.6.39"])?;
    scene.larder(&["runs"], &[0], Lines(8, 2))?;
    scene.larder(&["runs", "show", "latest"], &[0], Lines(14, 4))?.has(&["31: 28 work"])?;
    Ok(())
}

/// So often a test that passes every second time is run at most.
const MOST_TRIES: usize = 12;

fn try_luck(scene: &Scene) -> Result<()> {
    scene.say("One package passes its test or fails it by turns: that is flaky, and no news");
    for _ in 0..MOST_TRIES {
        scene.larder(&["rerun", "luck"], &[0, 1], Lines(0, 1))?;
        let status = scene.quiet(&["status"])?;
        let is_flaky = |line: &&str| line.starts_with("luck.1.0 ") && line.contains("flaky");
        if let Some(line) = status.text.lines().find(is_flaky) {
            scene.shell("larder status");
            println!("  …\n  {line}\n  …");
            return Ok(());
        }
    }
    bail!("luck was not called flaky after {MOST_TRIES} tries")
}
