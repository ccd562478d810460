//! The rows of real projects, each against its own build system: the examples that were moved from one.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use super::harness::{Bench, Medians, Row, alternate, remove, time};
use crate::{
    cargo::{self, run},
    install,
    sources::{self, Origin},
};

/// An example and the build system that its authors gave it.
struct Project {
    /// The example.
    name: &'static str,
    /// The examples that it needs besides.
    needs: &'static [&'static str],
    /// Where its sources lie, seen from the example.
    sources: &'static str,
    /// All that its authors distribute, where the example does without some of what their build system needs.
    whole: Option<Origin>,
    /// The targets that both sides make.
    targets: &'static [&'static str],
    /// The yardstick's name in the table.
    yardstick: &'static str,
    /// Shell commands that make it ready to be built, in its sources; not timed.
    configure: &'static str,
    /// The shell command that builds it.
    build: &'static str,
    /// The shell command that removes what that made.
    clean: &'static str,
    /// The source that is edited.
    edited: &'static str,
}

const PROJECTS: &[Project] = &[
    Project {
        name: "pigz",
        needs: &["zlib"],
        sources: "src",
        whole: None,
        targets: &["pigz"],
        yardstick: "make -j2",
        configure: "true",
        build: "make -j2 pigz",
        clean: "make clean",
        edited: "yarn.c",
    },
    Project {
        name: "fmt",
        needs: &["googletest"],
        sources: "src",
        whole: None,
        targets: &["fmt:static"],
        yardstick: "CMake, ninja",
        configure: "cmake -S . -B build -G Ninja -DFMT_TEST=OFF -DFMT_DOC=OFF -DCMAKE_CXX_FLAGS=-O2",
        build: "ninja -C build",
        clean: "ninja -C build -t clean",
        edited: "src/os.cc",
    },
    Project {
        name: "leveldb",
        needs: &["googletest"],
        sources: "src",
        whole: None,
        targets: &["leveldb:static", "leveldbutil"],
        yardstick: "CMake, ninja",
        configure: "cmake -S . -B build -G Ninja -DLEVELDB_BUILD_TESTS=OFF -DLEVELDB_BUILD_BENCHMARKS=OFF -DCMAKE_CXX_FLAGS=-O2",
        build: "ninja -C build",
        clean: "ninja -C build -t clean",
        edited: "util/status.cc",
    },
    Project {
        name: "jq",
        needs: &[],
        sources: "src/modules/oniguruma",
        whole: None,
        targets: &["@oniguruma/onig"],
        yardstick: "CMake, ninja",
        configure: "cmake -S . -B build -G Ninja -DBUILD_SHARED_LIBS=OFF -DBUILD_TEST=OFF -DCMAKE_C_FLAGS=-O2",
        build: "ninja -C build",
        clean: "ninja -C build -t clean",
        edited: "src/regext.c",
    },
    Project {
        name: "htop",
        needs: &[],
        sources: "src",
        whole: None,
        targets: &["htop"],
        yardstick: "configure, make -j2",
        configure: "autoreconf -fi && ./configure",
        build: "make -j2",
        clean: "make clean",
        edited: "Vector.c",
    },
    Project {
        name: "redis",
        needs: &[],
        sources: "src",
        whole: None,
        targets: &["redis-server", "redis-cli", "redis-benchmark"],
        yardstick: "make -j2",
        configure: "true",
        build: "make -C src -j2 MALLOC=libc PYTHON= redis-server redis-cli redis-benchmark",
        clean: "make -C src distclean",
        edited: "src/lolwut.c",
    },
    Project {
        name: "curl",
        needs: &[],
        sources: "src",
        whole: Some(sources::CURL),
        targets: &["curl"],
        yardstick: "CMake, ninja",
        configure: "cmake -S . -B build -G Ninja -DBUILD_TESTING=OFF -DCURL_ENABLE_SSL=OFF -DCURL_USE_LIBSSH2=OFF -DCURL_USE_LIBPSL=OFF -DCURL_DISABLE_LDAP=ON -DCURL_ZLIB=OFF -DUSE_LIBIDN2=OFF -DBUILD_SHARED_LIBS=OFF -DCMAKE_C_FLAGS=-O2",
        build: "ninja -C build",
        clean: "ninja -C build -t clean",
        edited: "lib/version.c",
    },
];

/// Each project: a first build, a build with nothing to do, and one after an edit of one source.
pub fn projects(bench: &Bench, name: &str) -> Result<Vec<Row>> {
    install::install(install::PROJECTS)?;
    let mut rows = Vec::new();
    for project in PROJECTS {
        eprintln!("  {}…", project.name);
        let sides = Sides::prepare(bench, project)
            .with_context(|| format!("cannot make {} ready", project.name))?;
        for (what, medians) in sides.measure(bench)? {
            let name = format!("{name}-{}-{what}", project.name);
            let work = format!("{}: {}", project.name, what.replace('-', " "));
            let Medians { ours, theirs } = medians;
            eprintln!("    {what}: {ours:.3} s, {}: {theirs:.3} s", project.yardstick);
            rows.push(medians.row(&name, &work, project.yardstick, 1.1));
        }
    }
    Ok(rows)
}

/// Two copies of one project.
struct Sides {
    project: &'static Project,
    /// The example, with a manifest of ours.
    ours: PathBuf,
    /// The sources alone, made ready for their own build system.
    theirs: PathBuf,
}

impl Sides {
    fn prepare(bench: &Bench, project: &'static Project) -> Result<Self> {
        let place = bench.directory.join("projects").join(project.name);
        remove(&place)?;
        for example in project.needs.iter().chain([&project.name]) {
            sources::fetch(example)?;
            let from = cargo::root().join("examples").join(example);
            copy(&from, &place.join("ours").join(example))?;
        }
        let ours = place.join("ours").join(project.name);
        let theirs = place.join("theirs");
        match &project.whole {
            Some(origin) => copy(&sources::unpack(origin)?, &theirs)?,
            None => copy(&ours.join(project.sources), &theirs)?,
        }
        run(shell(&theirs, project.configure).stdout(std::process::Stdio::null()))?;
        Ok(Self { project, ours, theirs })
    }

    fn measure(&self, bench: &Bench) -> Result<Vec<(&'static str, Medians)>> {
        let larder = || {
            let mut command = bench.larder();
            command.current_dir(&self.ours).args(["--quiet", "build", "--no-cache"]);
            command.args(self.project.targets);
            command
        };
        let own = || shell(&self.theirs, self.project.build);
        let first = alternate(
            bench.runs,
            |_| {
                remove(&self.ours.join(".larder"))?;
                time(&mut shell(&self.theirs, self.project.clean)).map(drop)
            },
            || time(&mut larder()),
            || time(&mut own()),
        )?;
        let nothing =
            alternate(bench.runs.max(5), |_| Ok(()), || time(&mut larder()), || time(&mut own()))?;
        let edit = alternate(
            bench.runs,
            |round| self.edit(round),
            || time(&mut larder()),
            || time(&mut own()),
        )?;
        Ok(vec![("first-build", first), ("nothing-to-do", nothing), ("one-edit", edit)])
    }

    /// Adds a variable of its own to the same source on both sides.
    fn edit(&self, round: usize) -> Result<()> {
        for root in [self.ours.join(self.project.sources), self.theirs.clone()] {
            let path = root.join(self.project.edited);
            let mut file = OpenOptions::new().append(true).open(&path)?;
            writeln!(file, "extern int larder_bench_{round}; int larder_bench_{round} = {round};")?;
        }
        Ok(())
    }
}

fn shell(directory: &Path, line: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", line]).current_dir(directory);
    command
}

/// Copies a directory without what was built in it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot list {}", from.display()))? {
        let entry = entry?;
        let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() && entry.file_name() != ".larder" {
            copy(&entry.path(), &target)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
