//! Whether content is what its name says, and what it needs: for what larder files on a service. Other objects are
//! whatever their owner says.

use std::{fs, io, path::Path};

use larder_store::published::{
    paths::{Filed, Kind},
    verify::{self, Needs},
};
use larder_trace::ContentHash;

use super::{directory::Directory, names::Name};

/// A revision or snapshot is read into memory; a larger one is refused.
const LARGEST: u64 = 256 << 20;

/// Why content may not have a name.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It is something else, or damaged.
    #[error("the content is not what its name says: {0}")]
    Other(String),
    /// It names what is not here.
    #[error("it names {0}, which is not here")]
    Missing(String),
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads all of the content in `file` and holds it against `name`. Returns the names of the objects that it needs.
pub fn check(directory: &Directory, file: &Path, name: &Name) -> Result<Vec<String>, Refusal> {
    let Some(filed) = Filed::parse(name.as_str()) else { return Ok(Vec::new()) };
    match filed.kind {
        Kind::Pack(id) => {
            verify::verify_pack(file, &id).map_err(Refusal::Other)?;
            Ok(Vec::new())
        }
        Kind::Snapshot(hash) => {
            let needs = verify::verify_snapshot(&read(file)?, &hash).map_err(Refusal::Other)?;
            check_packs(directory, &filed, &needs)?;
            // It may outlive packs that no revision of today has from it.
            Ok(Vec::new())
        }
        Kind::Revision => {
            let mut missing = None;
            let needs = verify::verify_revision(&read(file)?, |hash| {
                let name = filed.snapshot(hash);
                read_snapshot(directory, &name).map_err(|error| {
                    missing = Some(name);
                    error.to_string()
                })
            });
            if let Some(missing) = missing {
                return Err(Refusal::Missing(missing));
            }
            let needs = needs.map_err(Refusal::Other)?;
            check_packs(directory, &filed, &needs)?;
            let packs = needs.packs.keys().map(|id: &ContentHash| filed.pack(id));
            Ok(packs.chain(needs.snapshot.iter().map(|hash| filed.snapshot(hash))).collect())
        }
    }
}

fn check_packs(directory: &Directory, filed: &Filed, needs: &Needs) -> Result<(), Refusal> {
    for (id, length) in &needs.packs {
        let name = filed.pack(id);
        let parsed = Name::parse(&name).map_err(|error| Refusal::Other(error.to_string()))?;
        match directory.find(&parsed)? {
            Some(pack) if pack.record.size == *length => {}
            _ => return Err(Refusal::Missing(name)),
        }
    }
    Ok(())
}

fn read(file: &Path) -> Result<Vec<u8>, Refusal> {
    if fs::metadata(file)?.len() > LARGEST {
        return Err(Refusal::Other(format!("it is larger than {LARGEST} bytes")));
    }
    Ok(fs::read(file)?)
}

fn read_snapshot(directory: &Directory, name: &str) -> io::Result<Vec<u8>> {
    use std::io::Read;
    let name = Name::parse(name).map_err(io::Error::other)?;
    let found = directory.find(&name)?.ok_or(io::ErrorKind::NotFound)?;
    let mut bytes = Vec::new();
    found.file.take(found.record.size).read_to_end(&mut bytes)?;
    Ok(bytes)
}
