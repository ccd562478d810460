//! `cargo xtask demo`: a real package, built, touched and edited; what each step costs, and why.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
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
    let mut demo = Demo { larder, package, store: scratch.path().join("store"), times: Vec::new() };

    demo.say("A first build: the library, static and shared, and the interpreter");
    demo.build("first build")?;
    demo.larder(&["exec", "lua", "--", "test/hello.lua"])?;

    demo.say("Nothing changed");
    demo.build("nothing changed")?;

    demo.say("A header that everything includes is touched: new time, same content");
    let header = demo.package.join("src/lua.h");
    let text = fs::read_to_string(&header).context("cannot read lua.h")?;
    demo.shell("touch src/lua.h");
    fs::write(&header, &text).context("cannot touch lua.h")?;
    demo.build("header touched")?;

    demo.say("A comment is added to a source: its object comes out as it was, and nothing follows");
    demo.append("src/lmathlib.c", "/* only a comment */")?;
    demo.larder(&["why", "lua"])?;
    demo.build("comment added to one source")?;

    demo.say("The header is edited");
    demo.shell("sed -i 's/\"Lua \"/\"Larder Lua \"/' src/lua.h");
    fs::write(&header, text.replace("\"Lua \"", "\"Larder Lua \"")).context("cannot edit lua.h")?;
    demo.larder(&["why", "lua"])?;
    demo.build("header edited")?;
    demo.larder(&["exec", "lua", "--", "-e", "print(_VERSION)"])?;

    demo.say("The edit is taken back, and everything that was built is deleted");
    demo.shell("sed -i 's/\"Larder Lua \"/\"Lua \"/' src/lua.h; rm -r .larder");
    fs::write(&header, &text).context("cannot restore lua.h")?;
    fs::remove_dir_all(demo.package.join(".larder")).context("cannot remove .larder")?;
    demo.build("edit taken back, .larder deleted")?;

    println!("\n# What each build took");
    for (what, time) in &demo.times {
        println!("{what:<34}{:>9.3} s", time.as_secs_f64());
    }
    println!(
        "\nREADME.md tells how to write a larder.toml; `cargo xtask examples` builds more projects."
    );
    Ok(())
}

struct Demo {
    larder: PathBuf,
    package: PathBuf,
    store: PathBuf,
    /// The purpose of each build, and how long it took.
    times: Vec<(&'static str, Duration)>,
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

    fn build(&mut self, what: &'static str) -> Result<()> {
        let time = self.larder(&["build"])?;
        self.times.push((what, time));
        Ok(())
    }

    /// Runs larder, shows the beginning and the end of what it prints, and gives its wall time.
    fn larder(&self, arguments: &[&str]) -> Result<Duration> {
        println!("$ larder {}", arguments.join(" "));
        let (reader, writer) = io::pipe()?;
        let mut command = Command::new(&self.larder);
        command
            .current_dir(&self.package)
            .args(arguments)
            .env("LARDER_CACHE_DIR", &self.store)
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer);
        let start = Instant::now();
        let mut child =
            command.spawn().with_context(|| format!("cannot run {}", shown(&command)))?;
        // It holds the writing ends; without it, the pipe ends when larder does.
        drop(command);
        let printed = io::read_to_string(reader)?;
        let status = child.wait()?;
        let time = start.elapsed();
        if !status.success() {
            bail!("`larder {}` failed ({status}):\n{printed}", arguments.join(" "));
        }
        print!("{}", abridged(&printed));
        Ok(time)
    }
}

/// A text whose middle is left out where it is long.
fn abridged(text: &str) -> String {
    const FIRST: usize = 3;
    const LAST: usize = 3;
    let lines: Vec<&str> = text.lines().collect();
    let left_out = lines.len().saturating_sub(FIRST + LAST);
    if left_out < 2 {
        return lines.iter().map(|line| format!("  {line}\n")).collect();
    }
    let (first, rest) = lines.split_at(FIRST);
    let shown = |lines: &[&str]| lines.iter().map(|line| format!("  {line}\n")).collect::<String>();
    format!("{}  … {left_out} lines\n{}", shown(first), shown(&rest[left_out..]))
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

#[cfg(test)]
mod tests {
    use super::abridged;

    #[test]
    fn long_output_loses_its_middle() {
        let lines = |numbers: std::ops::RangeInclusive<u32>| {
            numbers.map(|number| format!("{number}\n")).collect::<String>()
        };
        assert_eq!(abridged(&lines(1..=3)), "  1\n  2\n  3\n");
        assert_eq!(abridged(&lines(1..=7)).lines().count(), 7);
        assert_eq!(abridged(&lines(1..=9)), "  1\n  2\n  3\n  … 3 lines\n  7\n  8\n  9\n");
    }
}
