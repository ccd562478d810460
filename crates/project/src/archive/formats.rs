//! The formats of archives, told by how they begin.

use std::{
    fs::{self, File},
    io::{self, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use super::tree::{Limits, Tree, UnpackError};

/// Unpacks the archive in `file` into `directory`, which is made. Returns the directory in it that the sources
/// are in: below `strip` directories that hold everything; below one if there is such a one, when absent.
///
/// # Errors
/// Why it was not unpacked. `directory` is then half made.
pub fn unpack(file: &File, directory: &Path, strip: Option<u32>) -> Result<PathBuf, UnpackError> {
    unpack_within(file, directory, strip, Limits::default())
}

/// The most memory that a decompressor may use, in KiB: enough for what compressors make at their best.
const MEMORY_KIB: u32 = 256 << 10;

pub(super) fn unpack_within(
    mut file: &File,
    directory: &Path,
    strip: Option<u32>,
    limits: Limits,
) -> Result<PathBuf, UnpackError> {
    fs::create_dir(directory)
        .map_err(|source| UnpackError::Io { path: directory.to_owned(), source })?;
    let mut tree = Tree::new(directory, limits);
    let mut start = [0; 262];
    let length = read_start(file, &mut start).map_err(damaged)?;
    file.rewind().map_err(damaged)?;
    let input = BufReader::with_capacity(64 << 10, file);
    match &start[..length] {
        [0x1f, 0x8b, ..] => tar(&mut tree, flate2::bufread::MultiGzDecoder::new(input))?,
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => {
            tar(&mut tree, lzma_rust2::XzReader::new_mem_limit(input, true, MEMORY_KIB))?;
        }
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            tar(&mut tree, zstd::Decoder::with_buffer(input).map_err(damaged)?)?;
        }
        [b'B', b'Z', b'h', ..] => tar(&mut tree, bzip2::bufread::MultiBzDecoder::new(input))?,
        [b'P', b'K', 3, 4, ..] => zip(&mut tree, file)?,
        [.., b'u', b's', b't', b'a', b'r'] if length == start.len() => tar(&mut tree, input)?,
        _ => return Err(UnpackError::Format),
    }
    tree.finish(strip)
}

fn read_start(mut file: &File, start: &mut [u8]) -> io::Result<usize> {
    file.rewind()?;
    let mut length = 0;
    while length < start.len() {
        match file.read(&mut start[length..])? {
            0 => break,
            read => length += read,
        }
    }
    Ok(length)
}

fn damaged(error: io::Error) -> UnpackError {
    UnpackError::Damaged(error.to_string())
}

fn tar(tree: &mut Tree<'_>, input: impl Read) -> Result<(), UnpackError> {
    let mut archive = tar::Archive::new(input);
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let name = entry.path_bytes().into_owned();
        let refused = |reason| {
            let name = String::from_utf8_lossy(&name).into_owned();
            Err(UnpackError::Entry { name, reason })
        };
        let kind = entry.header().entry_type();
        if kind.is_file() || kind.is_contiguous() || kind.is_gnu_sparse() {
            let executable = entry.header().mode().is_ok_and(|mode| mode & 0o100 != 0);
            tree.file(&name, executable, &mut entry)?;
        } else if kind.is_dir() {
            tree.directory(&name)?;
        } else if kind.is_symlink() || kind.is_hard_link() {
            let Some(target) = entry.link_name_bytes() else {
                return refused("it is a link to nothing");
            };
            match kind.is_symlink() {
                true => tree.link(&name, &target)?,
                false => tree.hard_link(&name, &target)?,
            }
        } else if !kind.is_pax_global_extensions() {
            return refused("it is neither a file nor a directory nor a link");
        }
    }
    Ok(())
}

fn zip(tree: &mut Tree<'_>, file: &File) -> Result<(), UnpackError> {
    let damaged = |error: zip::result::ZipError| UnpackError::Damaged(error.to_string());
    let mut archive = zip::ZipArchive::new(BufReader::new(file)).map_err(damaged)?;
    let listed = listed_in_zip(file).map_err(self::damaged)?;
    // The crate keeps the last of those that have one name.
    if listed != Some(archive.len()) {
        let message = format!("it lists {} entries and has {}", listed.unwrap_or(0), archive.len());
        return Err(UnpackError::Damaged(message));
    }
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(damaged)?;
        let name = entry.name_raw().to_vec();
        let mode = entry.unix_mode();
        match mode.map(|mode| mode & 0o170_000) {
            _ if name.ends_with(b"/") => tree.directory(&name)?,
            Some(0o120_000) => {
                let mut target = Vec::new();
                entry.by_ref().take(4096).read_to_end(&mut target).map_err(self::damaged)?;
                tree.link(&name, &target)?;
            }
            None | Some(0 | 0o100_000) => {
                let executable = mode.is_some_and(|mode| mode & 0o100 != 0);
                tree.file(&name, executable, &mut entry)?;
            }
            Some(_) => {
                let name = String::from_utf8_lossy(&name).into_owned();
                let reason = "it is neither a file nor a directory nor a link";
                return Err(UnpackError::Entry { name, reason });
            }
        }
    }
    Ok(())
}

/// How many entries the end of a zip file says that it has; `None` where there are too many for that.
fn listed_in_zip(mut file: &File) -> io::Result<Option<usize>> {
    const MARK: &[u8] = b"PK\x05\x06";
    let length = file.seek(SeekFrom::End(0))?;
    let tail = length.min(22 + 65_535);
    file.seek(SeekFrom::End(-i64::try_from(tail).unwrap_or(0)))?;
    let mut end = Vec::new();
    file.take(tail).read_to_end(&mut end)?;
    let at = end.windows(MARK.len()).rposition(|window| window == MARK);
    let count = at.and_then(|at| end.get(at + 10..at + 12)).map(|two| [two[0], two[1]]);
    let count = count.map(u16::from_le_bytes).filter(|count| *count != u16::MAX);
    Ok(count.map(usize::from))
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
