//! Programs that the project's chores need and cargo does not bring, from Debian's packages.

use std::{env, path::PathBuf, process::Command};

use anyhow::{Result, bail};

use crate::cargo::{capture, run};

/// A program and the Debian package that has it.
pub struct Need {
    program: &'static str,
    package: &'static str,
    /// Arguments with which it succeeds only where it is whole; none when being on `PATH` is enough.
    probe: &'static [&'static str],
}

const fn need(program: &'static str, package: &'static str) -> Need {
    Need { program, package, probe: &[] }
}

/// A library that pkg-config knows.
const fn library(package: &'static str, probe: &'static [&'static str]) -> Need {
    Need { program: "pkg-config", package, probe }
}

/// What installs programs from PyPI into environments of their own.
const ENVIRONMENTS: Need =
    Need { program: "python3", package: "python3-venv", probe: &["-c", "import ensurepip, venv"] };

/// What a server of the Remote Execution API runs commands in. The server is installed from PyPI.
const SANDBOX: Need = need("bwrap", "bubblewrap");

/// Programs that the tests run.
pub const TESTS: &[Need] = &[
    need("cc", "gcc"),
    need("c++", "g++"),
    need("ar", "binutils"),
    need("readelf", "binutils"),
    need("pkg-config", "pkg-config"),
    // Other compilers and linkers, which users put in the place of those.
    need("clang", "clang"),
    // It counts what programs do.
    Need {
        program: "clang",
        package: "libclang-rt-dev",
        probe: &["-fprofile-instr-generate", "-shared", "-xc", "/dev/null", "-o", "/dev/null"],
    },
    // Those that the package set among the examples names.
    need("gcc-12", "gcc-12"),
    need("g++-12", "g++-12"),
    need("clang-14", "clang-14"),
    // Of a version that knows modules of C++20, and what tells of them. CMake for that is installed into an environment.
    need("clang++-16", "clang-16"),
    need("clang-scan-deps-16", "clang-tools-16"),
    // Tools for other machines, and what runs programs for one of them.
    need("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu"),
    need("aarch64-linux-gnu-g++", "g++-aarch64-linux-gnu"),
    need("qemu-aarch64", "qemu-user"),
    need("x86_64-w64-mingw32-gcc", "mingw-w64"),
    // It reads compile_commands.json.
    need("clangd", "clangd"),
    // It finds sources by what debug information says.
    need("gdb", "gdb"),
    // It finds what is installed.
    need("cmake", "cmake"),
    need("make", "make"),
    // It assembles what no compiler takes.
    need("nasm", "nasm"),
    need("ld.gold", "binutils"),
    need("ld.lld", "lld"),
    need("mold", "mold"),
    need("git", "git"),
    // Kills larder at each of its system calls, and refuses it threads.
    need("strace", "strace"),
    need("python3", "python3-minimal"),
    // The image of examples/ci is built and used, without a network and as somebody else.
    need("buildah", "buildah"),
    need("setpriv", "util-linux"),
    need("unshare", "util-linux"),
    SANDBOX,
    // Servers that the cache is tested against. rclone and moto are installed into environments.
    need("nginx", "nginx-light"),
    need("curl", "curl"),
    // Build systems that `larder init` asks.
    need("cmake", "cmake"),
    need("meson", "meson"),
    need("ninja", "ninja-build"),
    // The dashboard is looked at in a browser, whose rules of access come from npm.
    need("chromium", "chromium"),
    need("chromedriver", "chromium-driver"),
    need("npm", "npm"),
    // Archives of every kind that dependencies come in.
    need("tar", "tar"),
    need("xz", "xz-utils"),
    need("bzip2", "bzip2"),
    // The SMTP server that notifications are tested against is installed into an environment.
    ENVIRONMENTS,
];

/// Programs that the examples are built with.
pub const EXAMPLES: &[Need] = &[
    need("clangd", "clangd"),
    need("cc", "gcc"),
    need("c++", "g++"),
    need("ar", "binutils"),
    need("python3", "python3-minimal"),
    need("curl", "curl"),
    need("xz", "xz-utils"),
    need("pkg-config", "pkg-config"),
    // They are built by a server, too.
    ENVIRONMENTS,
    SANDBOX,
    library("libncurses-dev", &["--exists", "ncursesw"]),
    library("libbenchmark-dev", &["--exists", "benchmark"]),
];

/// Programs that the package set among the examples is built with.
pub const ECOSYSTEM: &[Need] = &[
    need("gcc-12", "gcc-12"),
    need("g++-12", "g++-12"),
    need("clang-14", "clang-14"),
    need("clang++-14", "clang-14"),
    need("make", "make"),
    need("cmake", "cmake"),
    need("git", "git"),
];

/// Programs that `cargo xtask bench` measures against, and with.
pub const BENCH: &[Need] = &[
    need("gcc", "gcc"),
    need("ninja", "ninja-build"),
    need("ccache", "ccache"),
    need("b3sum", "b3sum"),
    need("zstd", "zstd"),
    need("tar", "tar"),
    need("curl", "curl"),
    need("nginx", "nginx-light"),
    need("time", "time"),
    ENVIRONMENTS,
    SANDBOX,
];

/// Programs that build the examples as their authors do.
pub const PROJECTS: &[Need] = &[
    need("make", "make"),
    need("cmake", "cmake"),
    need("autoreconf", "autoconf"),
    need("automake", "automake"),
    need("libtoolize", "libtool"),
    library("libncurses-dev", &["--exists", "ncursesw"]),
];

/// Installs those of `needs` that are missing.
///
/// # Errors
/// When some are missing and this is not Debian, or not run by root; says what to install.
pub fn install(needs: &[Need]) -> Result<()> {
    let missing: Vec<&Need> = needs.iter().filter(|need| !need.is_there()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut packages: Vec<&str> = missing.iter().map(|need| need.package).collect();
    packages.sort_unstable();
    packages.dedup();
    let list = packages.join(" ");
    if !on_path("apt-get") {
        bail!("please install {list} (these are Debian's names) and start again");
    }
    if capture(Command::new("id").arg("-u"))?.trim() != "0" {
        bail!("please install what is missing: sudo apt-get install {list}");
    }
    eprintln!("installing {list}");
    run(Command::new("apt-get").args(["-q", "update"]))?;
    run(Command::new("apt-get")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(["-q", "install", "-y", "--no-install-recommends"])
        .args(&packages))?;
    match needs.iter().find(|need| !need.is_there()) {
        Some(need) => {
            bail!("{} is still missing after {} was installed", need.program, need.package)
        }
        None => Ok(()),
    }
}

impl Need {
    fn is_there(&self) -> bool {
        on_path(self.program)
            && (self.probe.is_empty()
                || Command::new(self.program)
                    .args(self.probe)
                    .output()
                    .is_ok_and(|output| output.status.success()))
    }
}

/// Whether a program of this name is on `PATH`, or among the system's servers, which not everybody has there.
pub fn on_path(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut directories = env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    directories.any(|directory| directory.join(program).is_file())
}
