//! The shared libraries that a program loads: where they are is the dynamic loader's to say.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// With this variable set, the loader of a dynamic program lists its libraries in the place of running
/// it.
pub const LIST: (&str, &str) = ("LD_TRACE_LOADED_OBJECTS", "1");

/// As much of a file as holds its program headers.
const BEGINNING: u64 = 4096;

/// Whether the program at `path` is one that a dynamic loader starts: an ELF file with an interpreter,
/// in this machine's order of bytes. Any other would run if it were asked for its libraries.
pub fn is_dynamic(path: &Path) -> bool {
    beginning(path).is_ok_and(|bytes| has_interpreter(&bytes).unwrap_or(false))
}

/// Whether the program at `path`, for whichever machine, loads no libraries, as far as that can be told: an ELF
/// file in this machine's order of bytes without an interpreter.
pub fn is_static(path: &Path) -> bool {
    let order = if cfg!(target_endian = "little") { 1 } else { 2 };
    let read = beginning(path);
    read.is_ok_and(|bytes| {
        bytes.starts_with(b"\x7fELF")
            && bytes.get(5) == Some(&order)
            && has_interpreter(&bytes) == Some(false)
    })
}

fn beginning(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(BEGINNING).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn has_interpreter(bytes: &[u8]) -> Option<bool> {
    const INTERPRETER: u32 = 3;
    let order = if cfg!(target_endian = "little") { 1 } else { 2 };
    if !bytes.starts_with(b"\x7fELF") || *bytes.get(5)? != order {
        return Some(false);
    }
    let short = |at: usize| {
        let bytes = bytes.get(at..at + 2)?.try_into().ok()?;
        Some(usize::from(u16::from_ne_bytes(bytes)))
    };
    let word = |at: usize| Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let long = |at: usize| Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    let (table, size, count) = match bytes.get(4)? {
        1 => (word(28)? as usize, short(42)?, short(44)?),
        2 => (usize::try_from(long(32)?).ok()?, short(54)?, short(56)?),
        _ => return Some(false),
    };
    let mut starts = (0..count).map(|number| table.checked_add(number.checked_mul(size)?));
    Some(starts.any(|start| start.and_then(word) == Some(INTERPRETER)))
}

/// Returns the libraries that a program of this machine is loaded with in an empty environment, and what loads them; none
/// where no loader starts it.
///
/// # Errors
/// When it cannot be started.
pub fn of(program: &Path) -> io::Result<Vec<PathBuf>> {
    if !is_dynamic(program) {
        return Ok(Vec::new());
    }
    let mut command = Command::new(program);
    let said = command.env_clear().env(LIST.0, LIST.1).stdin(Stdio::null()).output()?;
    Ok(listed(&String::from_utf8_lossy(&said.stdout)).collect())
}

/// The libraries in what a loader lists: lines such as `libx.so.1 => /lib/libx.so.1 (0x7f00)`.
pub fn listed(text: &str) -> impl Iterator<Item = PathBuf> {
    let paths = text.lines().filter_map(|line| {
        let (line, _) = line.trim().rsplit_once(" (")?;
        Some(line.split_once(" => ").map_or(line, |(_, path)| path))
    });
    paths.filter(|path| path.starts_with('/')).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lists_of_loaders() {
        let text = "\tlinux-vdso.so.1 (0x7ffd)\n\tlibx.so => /lib/a b/libx.so (0x7f00)\n\
                    \tliby.so => not found\n\t/lib64/ld-linux-x86-64.so.2 (0x7f01)\n";
        let found: Vec<PathBuf> = listed(text).collect();
        let expected = ["/lib/a b/libx.so", "/lib64/ld-linux-x86-64.so.2"];
        assert_eq!(found, expected.map(PathBuf::from));
    }

    proptest! {
        #[test]
        fn any_file_is_survived(bytes: Vec<u8>, class in 0u8..4) {
            has_interpreter(&[&b"\x7fELF"[..], &[class, 1], &bytes].concat());
        }
    }
}
