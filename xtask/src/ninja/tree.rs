//! One checkout of a project, and its build directory.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use super::{Generator, Project};
use crate::{
    cargo::{capture, run},
    sources,
};

/// One checkout.
pub struct Tree<'p> {
    pub project: &'p Project,
    larder: &'p Path,
    /// The sources, in a Git repository.
    pub sources: PathBuf,
    /// The build directory.
    pub out: PathBuf,
    store: PathBuf,
    /// What the first configuration found out, for those after it.
    answers: PathBuf,
}

/// What came of a build: the lines that tell of commands, and those of them that were restored.
pub struct Built {
    pub ran: Vec<String>,
    pub restored: Vec<String>,
}

/// What an output is: the hash of a file, or where a link leads.
pub type Outputs = BTreeMap<String, String>;

impl<'p> Tree<'p> {
    /// Unpacks the sources of a project in `place`.
    pub fn new(project: &'p Project, larder: &'p Path, place: &Path) -> Result<Self> {
        let sources = place.join("one").join(project.name);
        fs::create_dir_all(sources.parent().unwrap_or(place))?;
        let unpacked = sources::unpack(&project.origin)?;
        run(Command::new("cp").arg("-r").arg(unpacked).arg(&sources))?;
        let tree = Self {
            project,
            larder,
            out: sources.join("out"),
            sources,
            store: place.join("store"),
            answers: place.join("answers.cmake"),
        };
        fs::write(tree.sources.join(".gitignore"), "/out*\n")?;
        tree.git(&["init", "--quiet"])?;
        tree.git(&["add", "--all"])?;
        tree.git(&["commit", "--quiet", "--message", "as released"])?;
        Ok(tree)
    }

    /// Clones it beside itself; the store is the same.
    pub fn second(&self, place: &Path) -> Result<Self> {
        let sources = place.join("another").join(self.project.name);
        let mut clone = Command::new("git");
        run(clone.args(["clone", "--quiet"]).arg(&self.sources).arg(&sources))?;
        let out = sources.join("out");
        let (store, answers) = (self.store.clone(), self.answers.clone());
        Ok(Self { project: self.project, larder: self.larder, sources, out, store, answers })
    }

    /// Runs Git in it.
    pub fn git(&self, arguments: &[&str]) -> Result<()> {
        let mut git = Command::new("git");
        git.current_dir(&self.sources).args(["-c", "user.name=a", "-c", "user.email=a@b"]);
        git.args(["-c", "core.autocrlf=false", "-c", "advice.detachedHead=false"]);
        run(git.args(arguments))
    }

    /// Configures it with `flags` for its compiler.
    pub fn configure(&self, flags: &str) -> Result<()> {
        let mut command = match self.project.by {
            Generator::CMake(list) => {
                let mut cmake = Command::new("cmake");
                if self.answers.exists() {
                    cmake.arg("-C").arg(&self.answers);
                }
                cmake
                    .args(["-Wno-dev", "--no-warn-unused-cli", "-G", "Ninja", "-S"])
                    .arg(self.sources.join(list));
                cmake.arg("-B").arg(&self.out);
                cmake.args([
                    format!("-DCMAKE_C_FLAGS={flags}"),
                    format!("-DCMAKE_CXX_FLAGS={flags}"),
                ]);
                cmake
            }
            Generator::Meson => {
                let mut meson = Command::new("meson");
                match self.out.exists() {
                    true => meson.arg("configure").arg(&self.out),
                    false => meson.arg("setup").arg(&self.out).arg(&self.sources),
                };
                let list: Vec<String> =
                    flags.split_whitespace().map(|flag| format!("'{flag}'")).collect();
                meson.arg(format!("-Dc_args=[{}]", list.join(",")));
                meson
            }
        };
        capture(command.args(self.project.arguments)).map(drop)?;
        if matches!(self.project.by, Generator::CMake(_)) && !self.answers.exists() {
            let cache = fs::read_to_string(self.out.join("CMakeCache.txt"))?;
            fs::write(&self.answers, answers(&cache))?;
        }
        Ok(())
    }

    /// Builds it with Ninja.
    pub fn ninja(&self) -> Result<()> {
        let mut ninja = Command::new("ninja");
        capture(ninja.arg("-C").arg(&self.out).args(self.project.targets)).map(drop)
    }

    /// Builds it with larder.
    pub fn larder(&self) -> Result<Built> {
        let mut command = Command::new(self.larder);
        self.built(command.args(self.arguments()))
    }

    /// Builds it with larder, with nothing on its `PATH` but `programs` where these are given. Returns what came of it, and the names of the
    /// programs that were started.
    pub fn larder_with(&self, programs: Option<&Path>) -> Result<(Built, Vec<String>)> {
        let list = self.out.with_file_name("out-started");
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-e", "trace=execve", "-e", "signal=none", "-o"]).arg(&list);
        if let Some(programs) = programs {
            command.arg("-E").arg(format!("PATH={}", programs.display()));
        }
        command.arg(self.larder).args(self.arguments());
        let built = self.built(&mut command)?;
        let text = fs::read_to_string(&list)?;
        let started = text.lines().filter_map(|line| {
            let path = line.split("execve(\"").nth(1)?.split('"').next()?;
            Some(path.rsplit('/').next().unwrap_or(path).to_owned())
        });
        Ok((built, started.collect()))
    }

    fn arguments(&self) -> Vec<OsString> {
        let targets = self.project.targets.iter().map(OsString::from);
        ["ninja".into(), "-C".into(), self.out.clone().into()].into_iter().chain(targets).collect()
    }

    fn built(&self, command: &mut Command) -> Result<Built> {
        // cargo sets this one for what it runs; commands that see it are not shared.
        command.env_remove("LD_LIBRARY_PATH").env("LARDER_CACHE_DIR", &self.store);
        let said = capture(command)?;
        let lines = said.lines().filter(|line| line.starts_with('['));
        let (restored, ran) =
            lines.map(str::to_owned).partition(|line| line.ends_with("(restored)"));
        Ok(Built { ran, restored })
    }

    /// What every output of the build file is that is there.
    pub fn outputs(&self) -> Result<Outputs> {
        let mut list = Command::new("ninja");
        let listed = capture(list.arg("-C").arg(&self.out).args(["-t", "targets", "all"]))?;
        let mut outputs = Outputs::new();
        let named = listed.lines().filter_map(|line| line.rsplit_once(": "));
        // What configures it writes what it likes.
        let others = ["phony", "RERUN_CMAKE", "REGENERATE_BUILD"];
        for (name, _) in named.filter(|(_, rule)| !others.contains(rule)) {
            let path = self.out.join(name);
            let Ok(found) = path.symlink_metadata() else { continue };
            if found.is_symlink() {
                outputs.insert(name.to_owned(), format!("-> {}", fs::read_link(&path)?.display()));
            } else if found.is_file() {
                let sum = capture(Command::new("sha256sum").arg(&path))?;
                outputs.insert(name.to_owned(), sum.split(' ').next().unwrap_or("").to_owned());
            }
        }
        match outputs.len() {
            0 => bail!("nothing was built in {}", self.out.display()),
            _ => Ok(outputs),
        }
    }

    /// Edits the source that is there to be edited.
    pub fn edit(&self) -> Result<()> {
        let (file, from, to) = self.project.edit;
        let path = self.sources.join(file);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {file}"))?;
        match text.matches(from).count() {
            1 => Ok(fs::write(&path, text.replace(from, to))?),
            count => bail!("`{from}` stands {count} times in {file}"),
        }
    }
}

/// Answers to checks that CMake has made, as a script that gives them to it again.
fn answers(cache: &str) -> String {
    let mut script = String::new();
    for line in cache.lines() {
        let Some((name, value)) = line.split_once(":INTERNAL=") else { continue };
        let own = ["CMAKE_", "_CMAKE", "FIND_PACKAGE", "PKG_CONFIG", "__pkg"];
        if own.iter().any(|own| name.starts_with(own)) || name.contains('-') || value.contains('/')
        {
            continue;
        }
        script += &format!("set({name} [==[{value}]==] CACHE INTERNAL \"\")\n");
    }
    script
}
