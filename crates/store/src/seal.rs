//! The seal: an entry's own modification time says whether it has changed since it was verified.
//!
//! When an entry is verified, its mtime keeps its millisecond and gets a fraction below it that is
//! a function of the entry's hash and of that millisecond. Any later write, through whatever hard
//! link, sets another mtime, and the seal is broken: the entry is hashed again before use. This
//! needs no index beside the store, survives hard links (which change ctime and link count), holds
//! for copies that keep times (`cp -a`, image layers), and costs one `stat` to check. A write keeps
//! the seal by chance once in a million; `verify --rehash` finds that too.

use std::{
    fs::{File, FileTimes, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use larder_trace::ContentHash;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW, utimensat};

const MILLISECOND: i64 = 1_000_000;

/// The sealed form of the time (`seconds`, `nanoseconds`): the same millisecond, with the fraction
/// that belongs to `hash`. In nanoseconds.
fn sealed(hash: &ContentHash, seconds: i64, nanoseconds: i64) -> i64 {
    let milliseconds = nanoseconds / MILLISECOND;
    let [a, b, c, d, e, f, g, h, ..] = *hash.as_bytes();
    // splitmix64's finaliser: each bit of the hash and of the time reaches each bit of the result.
    let mut mix = u64::from_le_bytes([a, b, c, d, e, f, g, h])
        ^ (seconds.wrapping_mul(1000).wrapping_add(milliseconds) as u64);
    mix = (mix ^ (mix >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mix = (mix ^ (mix >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mix ^= mix >> 31;
    milliseconds * MILLISECOND + (mix % MILLISECOND as u64) as i64
}

/// Whether the entry has not been written since it was sealed as `hash`.
pub fn is_intact(hash: &ContentHash, metadata: &Metadata) -> bool {
    metadata.mtime_nsec() == sealed(hash, metadata.mtime(), metadata.mtime_nsec())
}

/// Seals the file at `path`, whose content has just been verified to be `hash` while it had
/// `metadata`. Its use time becomes now. Does not follow a symlink.
pub fn apply(path: &Path, hash: &ContentHash, metadata: &Metadata) -> io::Result<()> {
    let nanoseconds = sealed(hash, metadata.mtime(), metadata.mtime_nsec());
    let times = Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_NOW as _ },
        last_modification: Timespec { tv_sec: metadata.mtime(), tv_nsec: nanoseconds as _ },
    };
    Ok(utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// [`apply`] for an open file.
pub fn apply_to(file: &File, hash: &ContentHash) -> io::Result<()> {
    let metadata = file.metadata()?;
    let nanoseconds = sealed(hash, metadata.mtime(), metadata.mtime_nsec());
    let time = match u64::try_from(metadata.mtime()) {
        Ok(seconds) => UNIX_EPOCH + Duration::new(seconds, nanoseconds as u32),
        Err(_) => UNIX_EPOCH + Duration::new(0, sealed(hash, 0, 0) as u32),
    };
    file.set_times(FileTimes::new().set_accessed(SystemTime::now()).set_modified(time))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn sealing_keeps_the_millisecond_and_is_stable(bytes: [u8; 32], s in 0i64..1 << 40, ns in 0i64..1_000_000_000) {
            let hash = ContentHash::from_bytes(bytes);
            let first = sealed(&hash, s, ns);
            prop_assert_eq!(first / MILLISECOND, ns / MILLISECOND);
            prop_assert_eq!(sealed(&hash, s, first), first);
        }
    }

    #[test]
    fn a_write_breaks_the_seal() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("entry");
        std::fs::write(&path, b"content").unwrap();
        let hash = ContentHash::of_bytes(b"content");
        apply(&path, &hash, &path.metadata().unwrap()).unwrap();
        assert!(is_intact(&hash, &path.metadata().unwrap()));
        std::fs::hard_link(&path, dir.path().join("link")).unwrap();
        assert!(is_intact(&hash, &path.metadata().unwrap()));
        std::fs::write(dir.path().join("link"), b"CONTENT").unwrap();
        assert!(!is_intact(&hash, &path.metadata().unwrap()));
        apply_to(&File::open(&path).unwrap(), &hash).unwrap();
        assert!(is_intact(&hash, &path.metadata().unwrap()));
    }
}
