//! How much may lie in the directory, and what goes when it is more.
//!
//! The least recently read goes first. What others need, such as the packs of a revision, is as recent as those: a
//! revision goes before its packs, so nothing that is left names what is gone.

use std::{
    collections::{HashMap, HashSet},
    fs, io,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use larder_store::published::paths::{Filed, Kind};

use super::{
    directory::{Directory, Found},
    record::Record,
};

/// How long an upload of a revision may take from its packs on.
const UNDER_WAY: Duration = Duration::from_secs(10 * 60);
/// Uploads in parts that are older are given up.
const ABANDONED: Duration = Duration::from_secs(24 * 60 * 60);

/// The room in a directory.
#[derive(Debug)]
pub struct Room {
    directory: Arc<Directory>,
    quota: Option<u64>,
    /// Held by who makes room.
    making: Mutex<()>,
}

/// Room for an upload, until it is dropped.
#[derive(Debug)]
pub struct Reserved {
    directory: Arc<Directory>,
    bytes: u64,
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.directory.forget_upload(self.bytes);
    }
}

/// What was removed to make room.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removed {
    /// How many objects.
    pub objects: u64,
    /// The bytes they took.
    pub bytes: u64,
}

impl Room {
    /// The room in `directory`, of which `quota` bytes may be used.
    pub fn new(directory: Arc<Directory>, quota: Option<u64>) -> Self {
        Self { directory, quota, making: Mutex::new(()) }
    }

    /// Counts what is there. Only before anything is under way.
    pub fn begin(&self) -> io::Result<()> {
        let uploads = part_bytes(&self.directory, SystemTime::now())?;
        self.directory.used().uploads = uploads;
        self.count()
    }

    /// Counts the objects, while nobody commits one.
    fn count(&self) -> io::Result<()> {
        let _lock = self.directory.exclusive()?;
        let mut objects = 0;
        self.directory.walk(&mut |found| objects += found.length)?;
        self.directory.used().objects = objects;
        Ok(())
    }

    /// The bytes that are used: counted anew where another process has removed something.
    pub fn used(&self) -> u64 {
        if self.directory.is_asked_to_count()
            && let Err(error) = self.count()
        {
            tracing::warn!("cannot count what is used: {error}");
        }
        self.directory.used().sum()
    }

    /// Sets `bytes` aside, and removes objects for it where need be; `None` where that is not enough.
    pub fn reserve(&self, bytes: u64) -> io::Result<Option<(Reserved, Removed)>> {
        let reserved = || Reserved { directory: self.directory.clone(), bytes };
        let Some(quota) = self.quota else {
            self.directory.used().uploads += bytes;
            return Ok(Some((reserved(), Removed::default())));
        };
        if bytes > quota {
            return Ok(None);
        }
        let take = || {
            let mut used = self.directory.used();
            let fits = used.sum().checked_add(bytes).is_some_and(|sum| sum <= quota);
            used.uploads += if fits { bytes } else { 0 };
            fits
        };
        let mut removed = Removed::default();
        if !take() {
            let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
            // Somebody else may have made room for this one too, or have taken what was made.
            while !take() {
                // Some more than is wanted, so that not each upload looks at everything.
                let most = quota - bytes.max(quota / 10);
                let more = self.make(most)?;
                // All that is left are uploads under way.
                if more.objects == 0 && self.directory.used().sum() > most {
                    match take() {
                        true => break,
                        false => return Ok(None),
                    }
                }
                removed.objects += more.objects;
                removed.bytes += more.bytes;
            }
        }
        Ok(Some((reserved(), removed)))
    }

    /// Removes objects until not more than `most` bytes are used.
    fn make(&self, most: u64) -> io::Result<Removed> {
        // Nobody may come to need what goes now.
        let _lock = self.directory.exclusive()?;
        let mut objects = Vec::new();
        self.directory.walk(&mut |found| objects.push(found))?;
        let mut used = {
            let mut used = self.directory.used();
            // Another process may have removed some.
            used.objects = objects.iter().map(|found| found.length).sum();
            used.sum()
        };
        let mut removed = Removed::default();
        // What somebody has read meanwhile goes last, and what that needs.
        let (mut later, mut needed) = (Vec::new(), HashSet::new());
        let mut remove = |found: &Found, used: &mut u64| -> io::Result<()> {
            if self.directory.remove(&found.name)? {
                *used = used.saturating_sub(found.length);
                removed.objects += 1;
                removed.bytes += found.length;
            }
            Ok(())
        };
        for found in in_order(objects) {
            if used <= most {
                return Ok(removed);
            }
            let is_as_it_was = match self.directory.find(&found.name)? {
                Some(now) => now.read == found.read,
                None => found.record.is_none(),
            };
            if is_as_it_was && !needed.contains(found.name.as_str()) {
                remove(&found, &mut used)?;
            } else {
                needed.extend(found.record.iter().flat_map(|it| it.needs.clone()));
                later.push(found);
            }
        }
        for found in later {
            if used <= most {
                break;
            }
            remove(&found, &mut used)?;
        }
        Ok(removed)
    }
}

/// Sorts objects: what is to go first comes first, and what needs others comes before those.
fn in_order(objects: Vec<Found>) -> Vec<Found> {
    let mut recent: HashMap<String, SystemTime> = HashMap::new();
    for found in &objects {
        for needed in found.record.iter().flat_map(|record| &record.needs) {
            let read = recent.entry(needed.clone()).or_insert(found.read);
            *read = (*read).max(found.read);
        }
    }
    let mut objects: Vec<_> = objects
        .into_iter()
        .map(|found| {
            let needed = recent.get(found.name.as_str());
            let read = needed.map_or(found.read, |read| found.read.max(*read)).max(awaited(&found));
            // Of the same age, what is needed goes last.
            ((found.record.is_some(), read, needed.is_some()), found)
        })
        .collect();
    objects.sort_by(|(a, found), (b, other)| (a, &found.name).cmp(&(b, &other.name)));
    objects.into_iter().map(|(_, found)| found).collect()
}

/// Until when a revision may come that names an object: packs and snapshots come first.
fn awaited(found: &Found) -> SystemTime {
    let record = found.record.as_ref();
    let is_awaited = |_: &&Record| match Filed::parse(found.name.as_str()) {
        Some(filed) => filed.kind != Kind::Revision,
        None => false,
    };
    record.filter(is_awaited).map_or(SystemTime::UNIX_EPOCH, |record| {
        SystemTime::UNIX_EPOCH + Duration::from_millis(record.written).saturating_add(UNDER_WAY)
    })
}

/// The bytes of uploads in parts. Removes those that were given up.
fn part_bytes(directory: &Directory, now: SystemTime) -> io::Result<u64> {
    let mut bytes = 0;
    for upload in fs::read_dir(directory.parts())? {
        let upload = upload?;
        let began = upload.metadata()?.modified()?;
        if now.duration_since(began).is_ok_and(|age| age > ABANDONED) {
            fs::remove_dir_all(upload.path())?;
            continue;
        }
        for part in fs::read_dir(upload.path())? {
            bytes += part?.metadata()?.len();
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::{directory::Condition, names::Name};
    use proptest::prelude::*;
    use std::io::Write;

    /// Whether nothing in `directory` needs what is not there.
    fn is_closed(directory: &Directory) -> bool {
        let mut closed = true;
        let mut needs = Vec::new();
        directory.walk(&mut |found| needs.extend(found.record.unwrap_or_default().needs)).unwrap();
        for needed in needs {
            closed &= directory.find(&Name::parse(&needed).unwrap()).unwrap().is_some();
        }
        closed
    }

    fn found(name: &str, read: u64, needs: &[&str]) -> Found {
        let needs = needs.iter().map(|name| (*name).to_owned()).collect();
        Found {
            name: Name::parse(name).unwrap(),
            length: 1,
            read: SystemTime::UNIX_EPOCH + Duration::from_secs(read),
            record: Some(Record { needs, ..Record::default() }),
        }
    }

    proptest! {
        #[test]
        fn nothing_goes_before_what_needs_it(
            reads in proptest::collection::vec((0u64..5, proptest::collection::vec(0usize..6, 0..4)), 1..8),
            packs in proptest::collection::vec(0u64..5, 6),
        ) {
            let names: Vec<_> = (0..6).map(|n| format!("packs/{n}")).collect();
            let mut all: Vec<_> = packs.iter().zip(&names).map(|(at, name)| found(name, *at, &[])).collect();
            for (n, (read, needs)) in reads.iter().enumerate() {
                let needs: Vec<_> = needs.iter().map(|n| names[*n].as_str()).collect();
                all.push(found(&format!("revisions/{n}"), *read, &needs));
            }
            let order = in_order(all);
            for (at, one) in order.iter().enumerate() {
                for needed in &one.record.as_ref().unwrap().needs {
                    prop_assert!(order[at..].iter().any(|later| later.name.as_str() == needed));
                }
            }
        }
    }

    #[test]
    fn the_least_recently_read_goes_first() {
        let root = tempfile::tempdir().unwrap();
        let directory = Arc::new(Directory::open(root.path()).unwrap());
        let room = Room::new(directory.clone(), Some(10_000));
        let put = |name: &str, needs: &[&str]| {
            let (reserved, removed) = room.reserve(2_000).unwrap().unwrap();
            let mut incoming = directory.incoming().unwrap();
            incoming.file.write_all(&[0; 1_700]).unwrap();
            let needs = needs.iter().map(|name| (*name).to_owned()).collect();
            let record = Record { size: 1_700, needs, ..Record::default() };
            let name = Name::parse(name).unwrap();
            directory.commit(&name, incoming, &record, &Condition::None, || true).unwrap();
            drop(reserved);
            removed
        };
        let is_there = |name: &str| directory.find(&Name::parse(name).unwrap()).unwrap().is_some();
        for name in ["a", "b", "c", "d"] {
            assert_eq!(put(name, &[]), Removed::default());
        }
        let read = directory.find(&Name::parse("a").unwrap()).unwrap().unwrap();
        super::super::directory::touch(&read.file).unwrap();
        assert_eq!(put("revision", &["c"]), Removed::default());
        assert_eq!(put("e", &[]).objects, 1);
        assert!(is_there("a") && !is_there("b") && is_there("c") && is_there("d"));
        assert_eq!(put("f", &[]).objects, 1);
        assert!(!is_there("d") && is_there("c"));
        for n in 0..20 {
            put(&format!("more/{n}"), &[]);
            assert!(is_closed(&directory), "{n}");
        }
        assert!(!is_there("revision"));
        assert!(room.reserve(10_001).unwrap().is_none());
        let before = room.used();
        room.count().unwrap();
        assert_eq!(room.used(), before);
        assert!(before <= 10_000);
    }
}
