//! The project of the engine's rows: many small C files in 100 libraries, three headers each, as a
//! larder package and as a Ninja file over the same sources.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use super::harness::{Bench, remove, time};

const LIBRARIES: usize = 100;
const HEADERS: [&str; 3] = ["one.h", "two.h", "three.h"];

/// The options that both sides give the compiler. larder adds `-ffile-prefix-map`, which without debug
/// information and `__FILE__` changes no byte.
const FLAGS: &str = "-O1";

/// A generated project.
pub struct Project {
    /// Where it is.
    pub directory: PathBuf,
    objects: usize,
}

/// How Ninja's side compiles.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Compiler {
    /// With the compiler itself.
    Plain,
    /// Through ccache.
    Cached,
}

impl Project {
    /// Generates a project of so many objects, unless it is there from an earlier run.
    pub fn generate(bench: &Bench, objects: usize) -> Result<Self> {
        Self::generate_in(bench.directory.join(format!("objects-{objects}")), objects)
    }

    /// Generates another copy of it, of which `larder ninja` builds what Ninja builds of the first.
    pub fn generate_copy(bench: &Bench, objects: usize) -> Result<Self> {
        Self::generate_in(bench.directory.join(format!("objects-{objects}-copy")), objects)
    }

    fn generate_in(directory: PathBuf, objects: usize) -> Result<Self> {
        let project = Self { directory, objects };
        let done = project.directory.join("generated");
        let text = format!("{objects} {}\n", env!("CARGO_PKG_VERSION"));
        if fs::read_to_string(&done).is_ok_and(|found| found == text) {
            return Ok(project);
        }
        remove(&project.directory)?;
        project.write().with_context(|| format!("cannot write {}", project.directory.display()))?;
        fs::write(done, text)?;
        Ok(project)
    }

    fn write(&self) -> Result<()> {
        let mut manifest = String::from(
            "[package]\nname = \"objects\"\nversion = \"1.0.0\"\n\n[toolchain]\ncc = \"gcc\"\n",
        );
        for library in 0..LIBRARIES {
            let name = library_name(library);
            let sources = self.directory.join("src").join(&name);
            fs::create_dir_all(&sources)?;
            for header in HEADERS {
                let stem = header.trim_end_matches(".h");
                fs::write(sources.join(header), header_text(&name, stem, 0))?;
            }
            for file in 0..self.objects / LIBRARIES {
                let includes: String =
                    HEADERS.iter().map(|header| format!("#include \"{header}\"\n")).collect();
                let text = format!(
                    "{includes}\nint {name}_f{file}(int x)\n{{\n    \
                     return {name}_one(x) + {name}_two(x) * {name}_three(x) + {file};\n}}\n"
                );
                fs::write(sources.join(file_name(file)), text)?;
            }
            manifest += &format!(
                "\n[[library]]\nname = \"{name}\"\nsources = [\"src/{name}/*.c\"]\n\
                 includes = [\"src/{name}\"]\ntrace-args = [\"{FLAGS}\"]\n"
            );
        }
        fs::write(self.directory.join("larder.toml"), manifest)?;
        fs::write(self.directory.join("build.ninja"), self.ninja("gcc", "ninja"))?;
        fs::write(self.directory.join("cached.ninja"), self.ninja("ccache gcc", "ninja-cached"))?;
        Ok(())
    }

    /// A Ninja file with the same graph and flags, and its own build directory.
    fn ninja(&self, compiler: &str, build: &str) -> String {
        let mut text = format!(
            "builddir = {build}\n\
             rule cc\n  command = {compiler} {FLAGS} $includes -MD -MF $out.d -c $in -o $out\n  \
             depfile = $out.d\n  deps = gcc\n  description = CC $out\n\
             rule ar\n  command = rm -f $out && ar rcsD $out $in\n  description = AR $out\n"
        );
        for library in 0..LIBRARIES {
            let name = library_name(library);
            let mut objects = String::new();
            for file in 0..self.objects / LIBRARIES {
                let source = format!("src/{name}/{}", file_name(file));
                let object = format!("{build}/{}", object_path(&name, &source));
                text += &format!("build {object}: cc {source}\n  includes = -Isrc/{name}\n");
                objects += " ";
                objects += &object;
            }
            text += &format!("build {build}/lib{name}.a: ar{objects}\n");
        }
        text
    }

    /// `larder build`, with the jobs that the yardstick has.
    pub fn larder(&self, bench: &Bench) -> Command {
        let mut command = bench.larder();
        command.current_dir(&self.directory).args(["--quiet", "build", "-j2"]);
        command
    }

    /// `larder ninja`, with the jobs that the yardstick has.
    pub fn larder_ninja(&self, bench: &Bench) -> Command {
        let mut command = bench.larder();
        command.current_dir(&self.directory).args(["--quiet", "ninja", "-j2"]);
        command
    }

    /// `ninja`, with the jobs that larder has.
    pub fn ninja_command(&self, compiler: Compiler) -> Command {
        let mut command = Command::new("ninja");
        command.current_dir(&self.directory).args(["--quiet", "-j2"]);
        if compiler == Compiler::Cached {
            command.args(["-f", "cached.ninja"]);
            command.env("CCACHE_DIR", self.directory.join("ccache"));
        }
        command
    }

    /// Removes all that larder has built or knows of it.
    pub fn clean_ours(&self) -> Result<()> {
        remove(&self.directory.join(".larder"))
    }

    /// Removes all that Ninja has built or knows of it.
    pub fn clean_theirs(&self, compiler: Compiler) -> Result<()> {
        remove(&self.directory.join(build_directory(compiler)))
    }

    /// Brings both sides up to date and compares them.
    ///
    /// # Errors
    /// When an object or library of one side is not that of the other, byte for byte.
    pub fn build_both(&self, bench: &Bench) -> Result<()> {
        time(&mut self.larder(bench))?;
        time(&mut self.ninja_command(Compiler::Plain))?;
        self.compare(Compiler::Plain)
    }

    /// Compares what both sides have built.
    ///
    /// # Errors
    /// When an object or library of one side is not that of the other, byte for byte.
    pub fn compare(&self, compiler: Compiler) -> Result<()> {
        self.compare_in(&self.directory.join(".larder/build"), compiler)
    }

    /// Compares what `larder ninja` has built in a copy with what Ninja has built here.
    ///
    /// # Errors
    /// As [`Self::compare`].
    pub fn compare_copy(&self, copy: &Self, compiler: Compiler) -> Result<()> {
        self.compare_in(&copy.directory.join(build_directory(Compiler::Plain)), compiler)
    }

    fn compare_in(&self, ours: &Path, compiler: Compiler) -> Result<()> {
        let theirs = self.directory.join(build_directory(compiler));
        for library in 0..LIBRARIES {
            let name = library_name(library);
            for file in 0..self.objects / LIBRARIES {
                let source = format!("src/{name}/{}", file_name(file));
                same_bytes(ours, &theirs, &object_path(&name, &source))?;
            }
            same_bytes(ours, &theirs, &format!("lib{name}.a"))?;
        }
        Ok(())
    }

    /// The header that the rows touch and edit: all objects of one library include it.
    pub fn header(&self) -> PathBuf {
        self.directory.join("src").join(library_name(LIBRARIES / 2)).join(HEADERS[1])
    }

    /// Gives the header a content that depends on `edit`, which changes the objects.
    pub fn edit_header(&self, edit: usize) -> Result<()> {
        let text = header_text(&library_name(LIBRARIES / 2), "two", edit);
        fs::write(self.header(), text).context("cannot edit a header")
    }
}

fn build_directory(compiler: Compiler) -> &'static str {
    match compiler {
        Compiler::Plain => "ninja",
        Compiler::Cached => "ninja-cached",
    }
}

fn library_name(library: usize) -> String {
    format!("l{library:02}")
}

fn file_name(file: usize) -> String {
    format!("f{file:03}.c")
}

/// Where both sides put an object, below their build directory.
fn object_path(library: &str, source: &str) -> String {
    format!("obj/lib{library}/{source}.o")
}

fn header_text(library: &str, stem: &str, edit: usize) -> String {
    format!(
        "#pragma once\nstatic inline int {library}_{stem}(int x)\n{{\n    return x + {};\n}}\n",
        edit + stem.len()
    )
}

fn same_bytes(ours: &Path, theirs: &Path, path: &str) -> Result<()> {
    let read = |directory: &Path| {
        let path = directory.join(path);
        fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    if read(ours)? != read(theirs)? {
        bail!("the two sides have different bytes in {path}");
    }
    Ok(())
}
