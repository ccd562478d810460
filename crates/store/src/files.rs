//! Files that appear whole or not at all.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU64, Ordering},
};

use larder_trace::ContentHash;
use rustix::fs::OFlags;

use crate::StoreError;

/// What every temporary name starts with. No name that a grammar of ours accepts does.
pub const TEMPORARY: &str = ".tmp-";

/// Whether `path` has a temporary name.
pub fn is_temporary(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    name.as_encoded_bytes().starts_with(TEMPORARY.as_bytes())
}

/// Calls `make` with fresh temporary names in `directory` until one is not taken; what it makes
/// stands under the returned name. Creates `directory` where it is missing.
pub fn make_temporary<T>(
    directory: &Path,
    mut make: impl FnMut(&Path) -> io::Result<T>,
) -> io::Result<(PathBuf, T)> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let mut created = false;
    loop {
        let n = COUNTER.fetch_add(1, Ordering::Relaxed);
        let path = directory.join(format!("{TEMPORARY}{}-{n}", process::id()));
        match make(&path) {
            Ok(made) => return Ok((path, made)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound && !created => {
                fs::create_dir_all(directory)?;
                created = true;
            }
            Err(error) => return Err(error),
        }
    }
}

/// A new, empty file with `mode` (less the umask), for writing and reading back.
pub fn create_new(path: &Path, mode: u32) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).mode(mode).open(path)
}

/// Writes `content` to `path`, replacing what is there in one step. A file that already has this
/// content is left alone. Creates the directory where it is missing.
pub fn write_atomically(path: &Path, content: &[u8]) -> Result<(), StoreError> {
    if read_regular(path).is_ok_and(|old| old == content) {
        return Ok(());
    }
    let directory = path.parent().unwrap_or(Path::new("."));
    let write = || {
        let (temporary, ()) = make_temporary(directory, |temporary| {
            let mut file = create_new(temporary, 0o666)?;
            io::Write::write_all(&mut file, content).inspect_err(|_| _ = fs::remove_file(temporary))
        })?;
        fs::rename(&temporary, path).inspect_err(|_| _ = fs::remove_file(&temporary))
    };
    write().map_err(StoreError::io("write", path))
}

/// Removes whatever is at `path`.
pub fn remove_any(path: &Path) -> io::Result<()> {
    if path.symlink_metadata()?.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}

/// Reads a regular file, as [`open_regular`] opens it.
pub fn read_regular(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = open_regular(path)?;
    let mut content = Vec::with_capacity(file.metadata()?.len() as usize);
    file.read_to_end(&mut content)?;
    Ok(content)
}

/// Opens a regular file for reading; a symlink, FIFO, device or directory at `path` is an error,
/// and none of them is waited for.
pub fn open_regular(path: &Path) -> io::Result<File> {
    let open = |flags: OFlags| {
        let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path)
    };
    // Looking at a file is not using it. Only its owner may leave the access time alone.
    #[cfg(target_os = "linux")]
    let file = open(OFlags::NOATIME).or_else(|_| open(OFlags::empty()))?;
    #[cfg(not(target_os = "linux"))]
    let file = open(OFlags::empty())?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
    }
}

/// The hash and length of what `reader` yields.
pub fn hash_reader(reader: impl Read) -> io::Result<(ContentHash, u64)> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(reader)?;
    Ok((hasher.finalize().into(), hasher.count()))
}

/// Calls `visit` with every regular file below `directory` (none where it does not exist), in
/// no particular order. Symlinks are not followed.
pub fn walk(
    directory: &Path,
    visit: &mut dyn FnMut(&Path, &fs::Metadata) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(StoreError::io("list", directory)(error)),
    };
    for entry in entries {
        let entry = entry.map_err(StoreError::io("list", directory))?;
        let path = entry.path();
        // Others may be removing what we list.
        let Ok(metadata) = entry.metadata() else {
            continue;
        };
        if metadata.is_dir() {
            walk(&path, visit)?;
        } else {
            visit(&path, &metadata)?;
        }
    }
    Ok(())
}
