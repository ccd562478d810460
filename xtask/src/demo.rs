//! `cargo xtask demo`: a real package, built, touched and edited; what each step costs, and why.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, bail};

use crate::{
    cargo::{self, Profile, shown},
    install, sources,
};

/// Runs the demonstration in a temporary copy of `examples/lua`, which it leaves without a trace.
///
/// # Errors
/// The first step that fails.
pub fn run() -> Result<()> {
    install::install(install::EXAMPLES)?;
    println!("Building larder, and fetching Lua's sources through cargo…");
    let larder = cargo::build_larder(Profile::Release)?;
    sources::fetch("lua").context("cannot fetch Lua's sources")?;
    let scratch = tempfile::tempdir()?;
    let package = scratch.path().join("lua");
    copy_package(&cargo::root().join("examples/lua"), &package)?;
    let demo = Demo { larder, package, store: scratch.path().join("store") };

    demo.say("A first build: the library, static and shared, and the interpreter");
    demo.larder(&["build"])?;
    demo.say("The interpreter runs a script");
    demo.larder(&["exec", "lua", "--", "test/hello.lua"])?;

    demo.say("Nothing changed");
    demo.larder(&["build"])?;

    demo.say("A header that everything includes is touched: new time, same content");
    let header = demo.package.join("src/lua.h");
    let text = fs::read_to_string(&header).context("cannot read lua.h")?;
    demo.shell("touch src/lua.h");
    fs::write(&header, &text).context("cannot touch lua.h")?;
    demo.larder(&["build"])?;

    demo.say("A comment is added to a source: one object is compiled, and comes out as it was");
    demo.append("src/lmathlib.c", "/* only a comment */")?;
    demo.larder(&["why", "lua"])?;
    demo.larder(&["build"])?;

    demo.say("Now the header is edited");
    demo.shell("sed -i 's/\"Lua \"/\"Larder Lua \"/' src/lua.h");
    fs::write(&header, text.replace("\"Lua \"", "\"Larder Lua \"")).context("cannot edit lua.h")?;
    demo.larder(&["why", "lua"])?;
    demo.larder(&["build"])?;
    demo.larder(&["exec", "lua", "--", "-e", "print(_VERSION)"])?;

    demo.say("The edit is taken back, and the build directory deleted: all comes from the store");
    demo.shell("git checkout src; rm -r .larder");
    fs::write(&header, &text).context("cannot restore lua.h")?;
    fs::remove_dir_all(demo.package.join(".larder")).context("cannot remove .larder")?;
    demo.larder(&["build"])?;

    println!(
        "\nTo go on: `cargo xtask examples` builds more projects, README.md tells how to write a manifest."
    );
    Ok(())
}

struct Demo {
    larder: PathBuf,
    package: PathBuf,
    store: PathBuf,
}

impl Demo {
    fn say(&self, what: &str) {
        println!("\n# {what}");
    }

    /// Shows a command that the demonstration does the work of itself.
    fn shell(&self, command: &str) {
        println!("$ {command}");
    }

    fn append(&self, file: &str, line: &str) -> Result<()> {
        self.shell(&format!("echo '{line}' >> {file}"));
        let path = self.package.join(file);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {file}"))?;
        fs::write(&path, format!("{text}{line}\n")).with_context(|| format!("cannot edit {file}"))
    }

    /// Runs larder, and shows what it prints and how long it took.
    fn larder(&self, arguments: &[&str]) -> Result<()> {
        println!("$ larder {}", arguments.join(" "));
        let mut command = Command::new(&self.larder);
        command
            .current_dir(&self.package)
            .args(arguments)
            .env("LARDER_CACHE_DIR", &self.store)
            .stdin(Stdio::null());
        let start = Instant::now();
        let status = command.status().with_context(|| format!("cannot run {}", shown(&command)))?;
        if !status.success() {
            bail!("`larder {}` failed ({status})", arguments.join(" "));
        }
        println!("  ({:.0} ms)", start.elapsed().as_secs_f64() * 1e3);
        Ok(())
    }
}

/// Copies a package without what larder made of it.
fn copy_package(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot list {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), target)?;
        } else if entry.file_name() != ".larder" {
            copy_package(&entry.path(), &target)?;
        }
    }
    Ok(())
}
