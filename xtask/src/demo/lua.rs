//! A real package, built, touched and edited; what each step costs, and why.

use std::{fs, time::Duration};

use anyhow::{Context, Result};

use super::scene::{Lines, Scene, copy};
use crate::{
    cargo::{self, Profile},
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
    let directory = scratch.path().join("lua");
    copy(&cargo::root().join("examples/lua"), &directory)?;
    let scene = Scene { larder, directory, store: scratch.path().join("store") };
    let mut demo = Demo { scene, times: Vec::new() };

    demo.say("A first build: the library, static and shared, and the interpreter");
    demo.build("first build")?;
    demo.larder(&["exec", "lua", "--", "test/hello.lua"])?;

    demo.say("Nothing changed");
    demo.build("nothing changed")?;

    demo.say("A header that everything includes is touched: new time, same content");
    let header = "src/lua.h";
    let text = demo.scene.read(header)?;
    demo.shell("touch src/lua.h");
    demo.scene.write(header, &text)?;
    demo.build("header touched")?;

    demo.say("A comment is added to a source: its object comes out as it was, and nothing follows");
    demo.append("src/lmathlib.c", "/* only a comment */")?;
    demo.larder(&["why", "lua"])?;
    demo.build("comment added to one source")?;

    demo.say("The header is edited");
    demo.shell("sed -i 's/\"Lua \"/\"Larder Lua \"/' src/lua.h");
    demo.scene.write(header, &text.replace("\"Lua \"", "\"Larder Lua \""))?;
    demo.larder(&["why", "lua"])?;
    demo.build("header edited")?;
    demo.larder(&["exec", "lua", "--", "-e", "print(_VERSION)"])?;

    demo.say("The edit is taken back, and everything that was built is deleted");
    demo.shell("sed -i 's/\"Larder Lua \"/\"Lua \"/' src/lua.h; rm -r .larder");
    demo.scene.write(header, &text)?;
    fs::remove_dir_all(demo.scene.directory.join(".larder")).context("cannot remove .larder")?;
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
    scene: Scene,
    /// The purpose of each build, and how long it took.
    times: Vec<(&'static str, Duration)>,
}

impl Demo {
    fn say(&self, what: &str) {
        self.scene.say(what);
    }

    fn shell(&self, command: &str) {
        self.scene.shell(command);
    }

    fn append(&self, file: &str, line: &str) -> Result<()> {
        self.shell(&format!("echo '{line}' >> {file}"));
        self.scene.write(file, &format!("{}{line}\n", self.scene.read(file)?))
    }

    fn build(&mut self, what: &'static str) -> Result<()> {
        let time = self.larder(&["build"])?;
        self.times.push((what, time));
        Ok(())
    }

    fn larder(&self, arguments: &[&str]) -> Result<Duration> {
        Ok(self.scene.larder(arguments, &[0], Lines(3, 3))?.time)
    }
}
