//! `cargo xtask ninja`: real projects that CMake and Meson configure, built by Ninja and by `larder ninja`.
//!
//! For each of them, what `docs/ninja.md` promises is seen to hold: the same bytes, nothing to do afterwards, a branch that
//! was left and come back to, a build directory that was deleted, and a second checkout.

mod facts;
mod tree;

use std::{path::Path, time::Instant};

use anyhow::{Result, bail};

use crate::{
    cargo::{self, Profile},
    install,
    sources::{self, Origin},
};

use tree::Tree;

/// Arguments of `cargo xtask ninja`.
#[derive(clap::Args, Default)]
pub struct Arguments {
    /// Which projects; all of them, when none is named
    #[arg(value_name = "PROJECT")]
    projects: Vec<String>,
}

/// A project as its authors distribute it.
pub struct Project {
    name: &'static str,
    origin: Origin,
    /// What configures it.
    by: Generator,
    /// Further arguments of that.
    arguments: &'static [&'static str],
    /// What is built; its defaults where there are none.
    targets: &'static [&'static str],
    /// Whether checkouts can share its objects: nothing in them tells where they were made.
    portable: bool,
    /// A source, and a text that stands in it once, with what an edit makes of it.
    edit: (&'static str, &'static str, &'static str),
}

/// What writes the build file.
enum Generator {
    /// CMake, with its list in this directory of the sources.
    CMake(&'static str),
    /// Meson.
    Meson,
}

const PROJECTS: &[Project] = &[
    Project {
        name: "fmt",
        origin: sources::FMT,
        by: Generator::CMake("."),
        arguments: &["-DFMT_TEST=OFF", "-DFMT_DOC=OFF", "-DCMAKE_BUILD_TYPE=None"],
        targets: &[],
        // Its assertions have `__FILE__`.
        portable: false,
        edit: ("src/os.cc", "#include <climits>", "#include <climits>\nint edited() { return 1; }"),
    },
    Project {
        name: "zstd",
        origin: sources::debian(
            "libz/libzstd/libzstd_1.5.4+dfsg2.orig.tar.xz",
            "8cf4bbb65e77ec348d052c8d6230eba66d435bddf64c8b5be2fcb16880c19953",
        ),
        by: Generator::CMake("build/cmake"),
        arguments: &[
            "-DZSTD_LEGACY_SUPPORT=OFF",
            "-DZSTD_BUILD_TESTS=OFF",
            "-DZSTD_BUILD_STATIC=OFF",
            "-DZSTD_PROGRAMS_LINK_SHARED=ON",
            "-DCMAKE_BUILD_TYPE=None",
        ],
        targets: &["zstd"],
        // Its sources lie beside the list, so that CMake calls objects by their whole paths.
        portable: false,
        edit: (
            "lib/common/debug.h",
            "#define DEBUG_H_12987983217",
            "#define DEBUG_H_12987983217 1",
        ),
    },
    Project {
        name: "curl",
        origin: sources::CURL,
        by: Generator::CMake("."),
        arguments: &[
            "-DBUILD_TESTING=OFF",
            "-DHTTP_ONLY=ON",
            "-DCURL_ENABLE_SSL=OFF",
            "-DCURL_USE_LIBSSH2=OFF",
            "-DCURL_ZLIB=OFF",
            "-DCMAKE_BUILD_TYPE=None",
        ],
        targets: &[],
        portable: true,
        edit: ("lib/curl_gethostname.h", "#define HOSTNAME_MAX 1024", "#define HOSTNAME_MAX 1025"),
    },
    Project {
        name: "fribidi",
        origin: sources::debian(
            "f/fribidi/fribidi_1.0.8.orig.tar.bz2",
            "94c7b68d86ad2a9613b4dcffe7bbeb03523d63b5b37918bdf2e4ef34195c1e6c",
        ),
        by: Generator::Meson,
        arguments: &["-Ddocs=false", "--buildtype=plain"],
        targets: &[],
        portable: true,
        edit: ("lib/common.h", "#ifndef _COMMON_H", "#define EDITED 1\n#ifndef _COMMON_H"),
    },
];

/// Fetches, configures and builds projects. One that fails does not keep the others from being tried.
///
/// # Errors
/// Names those that failed.
pub fn run(arguments: &Arguments) -> Result<()> {
    let names: Vec<&str> = PROJECTS.iter().map(|project| project.name).collect();
    if let Some(unknown) = arguments.projects.iter().find(|name| !names.contains(&name.as_str())) {
        bail!("there is no project `{unknown}`; there are {}", names.join(", "));
    }
    install::install(install::TESTS)?;
    let larder = cargo::build_larder(Profile::Debug)?;
    let mut failed = Vec::new();
    for project in PROJECTS {
        if !arguments.projects.is_empty() && !arguments.projects.iter().any(|it| it == project.name)
        {
            continue;
        }
        let start = Instant::now();
        eprintln!("\n--- ninja: {}", project.name);
        match check(project, &larder) {
            Ok(()) => {
                let seconds = start.elapsed().as_secs_f64();
                eprintln!("--- ninja: {}: passed in {seconds:.1} s", project.name);
            }
            Err(error) => {
                eprintln!("--- ninja: {}: {error:#}", project.name);
                failed.push(project.name);
            }
        }
    }
    match failed.is_empty() {
        true => Ok(()),
        false => bail!("not built as Ninja does: {}", failed.join(", ")),
    }
}

fn check(project: &Project, larder: &Path) -> Result<()> {
    let place = cargo::target().join("ninja");
    std::fs::create_dir_all(&place)?;
    let place = tempfile::tempdir_in(place)?;
    let tree = Tree::new(project, larder, place.path())?;
    facts::the_same_bytes(&tree)?;
    facts::a_branch_and_back(&tree)?;
    facts::a_deleted_build_directory(&tree, place.path())?;
    facts::a_second_checkout(&tree, place.path())
}
