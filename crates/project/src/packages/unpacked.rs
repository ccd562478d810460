//! Packages that come from archives.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use larder_trace::{atomic::temporary_name, compute_file_hash, describe_io};

use super::{Form, PackageError, Remote, Sources, unwritable};
use crate::archive::{self, ArchiveHash, LONGEST};

/// In an unpacked archive: which it is, and a list of what was unpacked.
pub(crate) const ARCHIVE_MARK: &str = ".larder-archive";

/// Whether `place` holds what was unpacked as `form`.
pub(super) fn is_unpacked(place: &Path, form: &Form) -> bool {
    let mut mark = String::new();
    let read = File::open(place.join(ARCHIVE_MARK))
        .and_then(|file| file.take(256).read_to_string(&mut mark));
    // The piece that is read may end in the middle of a character.
    let text = read.is_ok().then(|| mark.lines().next().map(str::to_owned)).flatten();
    text.is_some_and(|first| first == form.to_string())
}

/// Where the archive with `hash` is kept beside packages in `parent`.
pub(super) fn kept(parent: &Path, hash: &ArchiveHash) -> PathBuf {
    parent.join(ARCHIVES).join(hash.to_string())
}

/// The directory of archives.
pub(super) const ARCHIVES: &str = ".archives";

/// Unpacks an archive into `temporary`, which is made; returns where its sources are in there.
pub(super) fn unpack(
    name: &str,
    hash: &ArchiveHash,
    strip: Option<u32>,
    sources: &Sources<'_>,
    temporary: &Path,
) -> Result<PathBuf, PackageError> {
    let parent = temporary.parent().unwrap_or(temporary);
    let file = open(name, hash, sources, parent)?;
    let directory = archive::unpack(&file, temporary, strip)?;
    let mark = directory.join(ARCHIVE_MARK);
    let form = Form { content: super::Content::Archive(hash.clone()), strip, submodules: false };
    let list = list(&directory).map_err(unwritable(&directory))?;
    fs::write(&mark, format!("{form}\n{list}")).map_err(unwritable(&mark))?;
    Ok(directory)
}

/// The archive, from the first place that has it.
fn open(
    name: &str,
    hash: &ArchiveHash,
    sources: &Sources<'_>,
    parent: &Path,
) -> Result<File, PackageError> {
    if let Some(Remote::File(path)) = sources.from {
        let path = path.to_owned();
        return hash.open(&path).map_err(|reason| PackageError::Archive { path, reason });
    }
    let path = kept(parent, hash);
    match hash.open(&path) {
        Ok(file) => return Ok(file),
        Err(reason) if path.exists() => {
            tracing::info!("{} treated as absent: {reason}", path.display());
        }
        Err(_) => {}
    }
    let archives = parent.join(ARCHIVES);
    fs::create_dir_all(&archives).map_err(unwritable(&archives))?;
    super::sweep(&archives);
    let temporary = temporary_name(&path);
    let got = get(name, hash, sources, &temporary).and_then(|file| {
        file.sync_all().and_then(|()| fs::rename(&temporary, &path)).map_err(unwritable(&path))?;
        Ok(file)
    });
    if got.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    got
}

/// Gets the archive from where it is baked, or from the web, into the file `temporary`.
fn get(
    name: &str,
    hash: &ArchiveHash,
    sources: &Sources<'_>,
    temporary: &Path,
) -> Result<File, PackageError> {
    let create = || {
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(true);
        options.open(temporary).map_err(unwritable(temporary))
    };
    let check = |file: &File| match hash.check(file) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(found)) => Err(archive::mismatch(hash, &found)),
        Err(error) => Err(describe_io(&error)),
    };
    let short = hash.short();
    if let Some(baked) = sources.baked {
        let file = create()?;
        let content = super::Content::Archive(hash.clone());
        let Err(reason) = baked.copy(&content, &file).and_then(|()| check(&file)) else {
            return Ok(file);
        };
        let store = baked.directory();
        if sources.from.is_none() {
            return Err(PackageError::Baked { store: store.to_owned(), reason });
        }
        let store = store.display();
        tracing::info!("`{name}` {short} in offline store {store} treated as absent: {reason}");
    }
    let Some(Remote::Url { url, fetcher }) = sources.from else {
        let reason = "nothing is fetched".to_owned();
        return Err(PackageError::Archive { path: temporary.to_owned(), reason });
    };
    let shown = archive::shown(url);
    tracing::info!("fetching `{name}` {short} from {shown}");
    let file = create()?;
    let fetched = fetcher.fetch(url, &file, LONGEST).and_then(|()| check(&file));
    fetched.map_err(|reason| PackageError::Fetch { url: shown.to_owned(), reason })?;
    (&file).flush().map_err(unwritable(temporary))?;
    Ok(file)
}

/// The first thing in `place` that is not as it was unpacked.
pub(super) fn first_change(place: &Path) -> io::Result<Option<String>> {
    let mark = fs::read_to_string(place.join(ARCHIVE_MARK))?;
    let was: Vec<&str> = mark.lines().skip(1).collect();
    let text = list(place)?;
    let is: Vec<&str> = text.lines().collect();
    let changed = was.iter().find(|line| !is.contains(line));
    let changed = changed.or_else(|| is.iter().find(|line| !was.contains(line)));
    Ok(changed.map(|line| line.splitn(3, ' ').nth(2).unwrap_or(line).to_owned()))
}

/// Everything below `directory` but the mark: a line for each file and link, sorted.
fn list(directory: &Path) -> io::Result<String> {
    let mut lines = Vec::new();
    collect(directory, "", &mut lines)?;
    lines.sort_unstable();
    Ok(lines.concat())
}

fn collect(directory: &Path, below: &str, lines: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name());
        let name = format!("{below}{}", name.to_string_lossy());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            collect(&path, &format!("{name}/"), lines)?;
        } else if kind.is_symlink() {
            lines.push(format!("l {:?} {name}\n", fs::read_link(&path)?));
        } else if name != ARCHIVE_MARK {
            let executable = entry.metadata()?.permissions().mode() & 0o100 != 0;
            let hash = compute_file_hash(&path, larder_trace::Content::Binary)?;
            lines.push(format!("{} {hash} {name}\n", if executable { "x" } else { "f" }));
        }
    }
    Ok(())
}
