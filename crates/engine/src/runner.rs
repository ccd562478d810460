//! Runners: what runs the programs of another machine here.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::Path,
};

use larder_project::{
    plan::{Plan, TargetId},
    setting::{BuiltFor, Cross, Format, Platform},
};

use crate::{
    environment::Environment,
    flags::rooted,
    toolchain::{ToolError, find_tool},
};

/// How a program that was built is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunsAs {
    /// By itself: it is for this machine.
    Itself,
    /// It is for another machine, which this one may or may not run by itself.
    Foreign {
        /// What to do where it does not.
        advice: String,
    },
    /// By another program.
    By(Runner),
}

/// A program that runs those of another machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runner {
    /// Its name on `PATH`, or its absolute path.
    pub program: String,
    /// Its arguments before the program. Relative paths of the root package are absolute.
    pub arguments: Vec<String>,
    /// All of it as it is declared.
    pub declared: Vec<String>,
}

impl RunsAs {
    /// Returns how what is built for `side` is run. `root` is the root package's directory.
    pub fn of(cross: Option<&Cross>, side: BuiltFor, root: &Path) -> Self {
        let Some(cross) = cross.filter(|_| side == BuiltFor::Target) else { return Self::Itself };
        let declared = cross.toolchain.runner.clone().unwrap_or_default();
        match declared.split_first() {
            Some((program, arguments)) => Self::By(Runner {
                program: match program.contains('/') {
                    true => root.join(program).to_string_lossy().into_owned(),
                    false => program.clone(),
                },
                arguments: rooted(arguments, root, Path::new("")),
                declared,
            }),
            None if cross.triple.platform() == Platform::default() => Self::Itself,
            None => Self::Foreign { advice: advice(cross) },
        }
    }

    /// Returns how a target of a plan is run.
    pub fn of_target(plan: &Plan, id: TargetId) -> Self {
        let workspace = &plan.workspace;
        let side = plan.side(plan.target(id).package);
        Self::of(workspace.cross.as_deref(), side, &workspace.root)
    }

    /// Returns the words that come before the program: none, where it runs by itself. The first is the path of
    /// the runner.
    ///
    /// # Errors
    /// When there is no such runner.
    pub fn words(&self, environment: &Environment) -> Result<Vec<String>, ToolError> {
        let Self::By(runner) = self else { return Ok(Vec::new()) };
        let path = find_tool(&runner.program, "runner", environment)
            .map_err(|_| ToolError::NoRunner(runner.program.clone()))?;
        let mut words = vec![path.to_string_lossy().into_owned()];
        words.extend(runner.arguments.iter().cloned());
        Ok(words)
    }
}

/// The directory in which the kernel says which programs of other machines it has run by others.
const REGISTERED: &str = "/proc/sys/fs/binfmt_misc";

/// Whether the kernel runs a program for another machine by itself, as far as it says. Started nevertheless, a
/// program may be taken for a shell script.
pub fn kernel_runs(program: &Path) -> bool {
    let Ok(beginning) = beginning(program) else { return true };
    if is_narrow(&beginning) {
        return true;
    }
    let Ok(entries) = fs::read_dir(REGISTERED) else { return false };
    let entries = entries.filter_map(|entry| fs::read_to_string(entry.ok()?.path()).ok());
    entries.into_iter().any(|entry| fits(&entry, &beginning, program))
}

/// Whether a program is for the narrower machine that processors of this one are, too.
fn is_narrow(beginning: &[u8]) -> bool {
    let machine = match std::env::consts::ARCH {
        "x86_64" => 3,
        "aarch64" => 40,
        _ => return false,
    };
    beginning.starts_with(b"\x7fELF") && beginning.get(18..20) == Some(&[machine, 0])
}

fn beginning(program: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(program)?.take(256).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Whether an entry of the kernel's list is for a program that begins so.
fn fits(entry: &str, beginning: &[u8], program: &Path) -> bool {
    let mut lines = entry.lines();
    if lines.next() != Some("enabled") {
        return false;
    }
    let value = |key: &str| {
        let mut values = entry.lines().filter_map(|line| line.strip_prefix(key));
        values.next().map(str::trim)
    };
    if let Some(extension) = value("extension .") {
        return program.extension().is_some_and(|own| own == extension);
    }
    let bytes = |text: &str| -> Option<Vec<u8>> {
        let pairs = (0..text.len() / 2).map(|at| text.get(2 * at..2 * at + 2));
        pairs.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect()
    };
    let Some(magic) = value("magic ").and_then(bytes) else { return false };
    let mask = value("mask ").and_then(bytes).unwrap_or_else(|| vec![0xff; magic.len()]);
    let offset = value("offset ").and_then(|offset| offset.parse::<usize>().ok()).unwrap_or(0);
    let Some(own) = beginning.get(offset..offset.saturating_add(magic.len())) else { return false };
    let same = |((own, magic), mask): ((&u8, &u8), &u8)| own & mask == magic & mask;
    !magic.is_empty() && own.iter().zip(&magic).zip(&mask).all(same)
}

/// What to do where this machine does not run programs of a target.
fn advice(cross: &Cross) -> String {
    let triple = &cross.triple;
    let platform = triple.platform();
    let usual = triple.prefixes().pop().unwrap_or_default();
    let runner = match (platform.format(), platform.os.as_str()) {
        (Format::Pe, _) => "[\"wine\"]".to_owned(),
        (_, "linux") => {
            let arch = match platform.arch.as_str() {
                "x86" => "i386",
                _ if usual.starts_with("powerpc64le") => "ppc64le",
                "powerpc" => "ppc",
                "powerpc64" => "ppc64",
                arch => arch,
            };
            format!("[\"qemu-{arch}\", \"-L\", \"/usr/{usual}\"]")
        }
        _ => "[\"PROGRAM\", \"ARGUMENT\"]".to_owned(),
    };
    format!("it is for {triple}; what runs it is said by runner = {runner} under [target.{triple}]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_the_kernel() {
        let mut arm = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\xb7\0".to_vec();
        arm.resize(64, 0);
        let entry = "enabled\ninterpreter /usr/bin/qemu-aarch64-static\nflags: OCF\noffset 0\nmagic 7f454c460201010000000000000000000200b700\nmask ffffffffffffff00fffffffffffffffffeffffff\n";
        let program = Path::new("x");
        assert!(fits(entry, &arm, program));
        assert!(!fits(&entry.replace("enabled", "disabled"), &arm, program));
        assert!(!fits(&entry.replace("b700", "f300"), &arm, program));
        assert!(!fits(entry, &arm[..10], program));
        let windows = "enabled\ninterpreter /usr/bin/wine\nflags: \nextension .exe\n";
        assert!(fits(windows, b"MZ", Path::new("a/x.exe")));
        assert!(!fits(windows, b"MZ", program));
        let odd = "enabled\noffset 4\nmagic \n";
        assert!(!fits(odd, &arm, program) && !fits("", &arm, program));
        assert!(!fits("enabled\nmagic zz\n", &arm, program));
        assert!(fits("enabled\noffset 0\nmagic 4d5a\n", b"MZ", program));
    }
}
