//! Laws of the stat index: whatever is done to files, it says what reading them would say.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use larder_trace::*;
use proptest::prelude::*;
use tempfile::TempDir;

/// Contents of which three have one size, and two are equal as text.
const TEXTS: [&str; 4] = ["aa\n", "bb\n", "a\r\n", "a\n"];

/// An output, two inputs, and a directory whose names count. The text is that of a header.
const WATCHED: [(&str, Content); 5] = [
    ("out/o", Content::Binary),
    ("in/t.h", Content::Text),
    ("in/b", Content::Binary),
    ("in", Content::Names),
    ("dir", Content::Names),
];

#[derive(Debug, Clone)]
enum Edit {
    /// Writes one of the texts into a file, where it stands.
    Write(usize, usize),
    /// The same, and puts its modification time back.
    WriteKeepingTime(usize, usize),
    /// Moves another file over it, of the same time, as unpacking a tarball does.
    Replace(usize, usize),
    Touch(usize),
    Executable(usize, bool),
    Remove(usize),
    /// Makes a name in `dir` a directory, a file, or nothing.
    Name(u8, Option<bool>),
    RemoveDirectory,
    /// Waits until the clock has ticked for sure.
    Settle,
}

fn edit() -> impl Strategy<Value = Edit> {
    let (file, text) = (0..3usize, 0..TEXTS.len());
    prop_oneof![
        (file.clone(), text.clone()).prop_map(|(file, text)| Edit::Write(file, text)),
        (file.clone(), text.clone()).prop_map(|(file, text)| Edit::WriteKeepingTime(file, text)),
        (file.clone(), text).prop_map(|(file, text)| Edit::Replace(file, text)),
        file.clone().prop_map(Edit::Touch),
        (file.clone(), any::<bool>()).prop_map(|(file, on)| Edit::Executable(file, on)),
        file.prop_map(Edit::Remove),
        (0..3u8, any::<Option<bool>>()).prop_map(|(name, kind)| Edit::Name(name, kind)),
        Just(Edit::RemoveDirectory),
        Just(Edit::Settle),
    ]
}

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        for (path, _) in &WATCHED[..3] {
            place.write(path, TEXTS[0]);
        }
        fs::create_dir(place.path("dir")).unwrap();
        place.write("out/o.trace", "{}");
        place
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn open(&self) -> StatIndex {
        StatIndex::open(self.0.path(), &self.path(".index"), false).unwrap()
    }

    fn apply(&self, edit: &Edit) {
        let file = |file: &usize| self.path(WATCHED[*file].0);
        match edit {
            Edit::Write(number, text) => self.write(WATCHED[*number].0, TEXTS[*text]),
            Edit::WriteKeepingTime(number, text) => {
                let time = fs::metadata(file(number)).and_then(|m| m.modified());
                self.write(WATCHED[*number].0, TEXTS[*text]);
                set_time(&file(number), time.unwrap_or(UNIX_EPOCH));
            }
            Edit::Replace(number, text) => {
                let time = fs::metadata(file(number)).and_then(|m| m.modified());
                self.write("other", TEXTS[*text]);
                set_time(&self.path("other"), time.unwrap_or(UNIX_EPOCH));
                fs::rename(self.path("other"), file(number)).unwrap();
            }
            Edit::Touch(number) if file(number).exists() => {
                set_time(&file(number), SystemTime::now());
            }
            Edit::Executable(number, on) if file(number).exists() => {
                let mode = if *on { 0o755 } else { 0o644 };
                fs::set_permissions(file(number), fs::Permissions::from_mode(mode)).unwrap();
            }
            Edit::Touch(_) | Edit::Executable(..) => {}
            Edit::Remove(number) => {
                let _ = fs::remove_file(file(number));
            }
            Edit::Name(name, kind) => {
                let path = self.path(&format!("dir/{name}"));
                let _ = fs::remove_file(&path);
                let _ = fs::remove_dir(&path);
                match kind {
                    Some(true) => fs::create_dir_all(&path).unwrap(),
                    Some(false) => self.write(&format!("dir/{name}"), ""),
                    None => {}
                }
            }
            Edit::RemoveDirectory => {
                let _ = fs::remove_dir_all(self.path("dir"));
            }
            Edit::Settle => self.settle(),
        }
    }

    /// Waits until everything was last changed so long ago that its status can be trusted.
    fn settle(&self) {
        let settled = |path: &Path| {
            let Ok(metadata) = fs::metadata(path) else { return true };
            let time = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap();
            let changed = Duration::new(metadata.ctime() as u64, metadata.ctime_nsec() as u32);
            changed + Duration::from_millis(25) < time(SystemTime::now())
        };
        while !WATCHED.iter().all(|(path, _)| settled(&self.path(path))) {
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Returns what the file system says of each file without an index: its hash, and of the output also
    /// whether it can be executed.
    fn read(&self) -> (Vec<Option<ContentHash>>, bool) {
        let hash = |(path, content): &(&str, _)| compute_file_hash(&self.path(path), *content).ok();
        let output = fs::metadata(self.path(WATCHED[0].0));
        let executable = output.is_ok_and(|m| m.permissions().mode() & 0o111 != 0);
        (WATCHED.iter().map(hash).collect(), executable)
    }

    fn look(&self, index: &StatIndex) -> Vec<Option<ContentHash>> {
        let look = |(path, content): &(&str, _)| index.file(path, *content).ok().map(|h| h.hash);
        WATCHED.iter().map(look).collect()
    }
}

fn set_time(path: &Path, time: SystemTime) {
    fs::File::options().append(true).open(path).unwrap().set_modified(time).unwrap();
}

fn dep_hash() -> ContentHash {
    ContentHash::of_bytes(b"dep")
}

fn record(index: &StatIndex) {
    let inputs = WATCHED[1..].iter().map(|(path, content)| ((*path).into(), *content)).collect();
    index.record_target("out/o.trace", dep_hash(), vec![WATCHED[0].0.into()], inputs, false);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Run by run, after any edits: the index has the hash of a path exactly when reading it gives
    /// that, and it vouches for a target exactly while all that it was recorded with is the same.
    /// A run that finds a file missing forgets its targets: their trace files decide when it is back.
    #[test]
    fn the_index_says_what_reading_says(
        runs in prop::collection::vec((prop::collection::vec(edit(), 0..5), any::<bool>()), 1..6),
    ) {
        let place = Place::new();
        let (mut recorded, mut is_known) = (None, false);
        for (edits, build) in runs {
            edits.iter().for_each(|edit| place.apply(edit));
            let index = place.open();
            let now = place.read();
            let vouched = index.vouch("out/o.trace", dep_hash(), true);
            let is_same = recorded.as_ref() == Some(&now);
            prop_assert!(vouched.is_none() || is_same, "it vouches for what has changed");
            prop_assert!(vouched.is_some() || !is_same || !is_known, "it no longer vouches");
            if let Some(vouched) = vouched {
                let outputs: Vec<_> = vouched.outputs().map(|(path, h)| (path, h.hash)).collect();
                prop_assert_eq!(outputs, [(WATCHED[0].0, now.0[0].unwrap())]);
            }
            prop_assert_eq!(&place.look(&index), &now.0);
            let is_whole = now.0.iter().all(Option::is_some);
            is_known &= is_whole;
            if build && is_whole {
                record(&index);
                (recorded, is_known) = (Some(now), true);
            }
            index.save().unwrap();
        }
    }

    /// A file that was changed after it was hashed is not unchanged, and one that was not, is.
    #[test]
    fn unchanged_is_what_nobody_changed(
        before in prop::collection::vec(edit(), 0..4),
        loaded in any::<bool>(),
        after in prop::collection::vec(edit(), 0..4),
    ) {
        let place = Place::new();
        before.iter().for_each(|edit| place.apply(edit));
        if loaded {
            let index = place.open();
            place.look(&index);
            index.save().unwrap();
        }
        let index = place.open();
        prop_assert!(WATCHED.iter().all(|(path, content)| !index.unchanged(path, *content)));
        let hashed = place.look(&index);
        after.iter().for_each(|edit| place.apply(edit));
        let now = place.read().0;
        let idle = after.iter().all(|edit| matches!(edit, Edit::Settle));
        for (number, (path, content)) in WATCHED.iter().enumerate() {
            let unchanged = index.unchanged(path, *content);
            prop_assert!(!unchanged || hashed[number] == now[number], "{path} was changed");
            prop_assert!(unchanged || !idle || now[number].is_none(), "{path} was not changed");
        }
    }

    /// What is learned from another index says what reading says, whatever happened since the other looked.
    #[test]
    fn what_another_index_found_is_believed_only_while_it_holds(
        before in prop::collection::vec(edit(), 0..4),
        saved in any::<bool>(),
        meanwhile in prop::collection::vec(edit(), 0..4),
    ) {
        let place = Place::new();
        if saved {
            let index = place.open();
            place.look(&index);
            index.save().unwrap();
        }
        before.iter().for_each(|edit| place.apply(edit));
        let other = place.open();
        place.look(&other);
        meanwhile.iter().for_each(|edit| place.apply(edit));
        let index = place.open();
        index.learn_from(&other);
        let now = place.read().0;
        prop_assert_eq!(&place.look(&index), &now);
        index.save().unwrap();
        prop_assert_eq!(&place.look(&place.open()), &now);
    }
}

#[test]
fn the_same_size_and_time_do_not_hide_another_content() {
    let place = Place::new();
    for edit in [Edit::WriteKeepingTime(1, 1), Edit::Replace(1, 0)] {
        set_time(&place.path("in/t.h"), UNIX_EPOCH + Duration::new(1_000_000_000, 7));
        place.settle();
        let index = place.open();
        index.file("in/t.h", Content::Text).unwrap();
        index.save().unwrap();
        place.apply(&edit);
        let found = place.open().file("in/t.h", Content::Text).unwrap().hash;
        assert_eq!(Some(found), place.read().0[1]);
    }
}

#[test]
fn an_input_edited_and_put_back_meanwhile_is_seen() {
    let place = Place::new();
    place.settle();
    let index = place.open();
    index.file("in/t.h", Content::Text).unwrap();
    assert!(index.unchanged("in/t.h", Content::Text));
    place.apply(&Edit::WriteKeepingTime(1, 1));
    place.apply(&Edit::WriteKeepingTime(1, 0));
    assert!(!index.unchanged("in/t.h", Content::Text));
}

#[test]
fn an_input_that_was_looked_at_again_is_still_one_that_was_read_before() {
    let place = Place::new();
    place.settle();
    place.apply(&Edit::Write(1, 1));
    let index = place.open();
    let written = index.file("in/t.h", Content::Text).unwrap().stat;
    let begun = Moment::now();
    assert!(index.unchanged_since("in/t.h", Content::Text, begun));
    while !written.is_settled(MTime::now()) {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    // Two commands that began then have read it.
    assert!(index.unchanged_since("in/t.h", Content::Text, begun));
    assert!(index.unchanged_since("in/t.h", Content::Text, begun));
}

#[test]
fn outputs_left_in_the_store_are_vouched_for_while_they_are_not_there() {
    let place = Place::new();
    let output = fs::read(place.path("out/o")).unwrap();
    fs::remove_file(place.path("out/o")).unwrap();
    let index = place.open();
    let (hash, size) = (ContentHash::of_bytes(&output), output.len() as u64);
    let file = OutputFile { path: "o".into(), hash, size, executable: false };
    place.look(&index);
    index.record_elided("out/o", &file);
    record(&index);
    index.save().unwrap();
    let on_disk = || place.open().vouch("out/o.trace", dep_hash(), false).map(|it| it.on_disk);
    assert_eq!(on_disk(), Some(false));
    assert!(place.open().file("out/o", Content::Binary).is_err());
    place.write("out/o", TEXTS[0]);
    assert_eq!(on_disk(), Some(true));
    place.write("out/o", TEXTS[1]);
    assert_eq!(on_disk(), None);
}

#[test]
fn what_an_output_replaces_is_looked_at_again() {
    let place = Place::new();
    let index = place.open();
    index.file("out/new/o", Content::Text).unwrap_err();
    let before = place.look(&index);
    let names = |path| index.file(path, Content::Names).unwrap().hash;
    let (out, new) = (names("out"), names("out/new"));
    assert_eq!(new, NO_NAMES);
    record(&index);
    for path in ["in/t.h", "out/new/o"] {
        place.write(path, TEXTS[1]);
        index.record_output(path, ContentHash::of_bytes(TEXTS[1].as_bytes())).unwrap();
    }
    assert_ne!(names("out"), out);
    assert_ne!(names("out/new"), NO_NAMES);
    let now = place.look(&index);
    assert_eq!(now, place.read().0);
    assert_ne!(now, before);
    // A target that was finished before was made of what there was then.
    index.save().unwrap();
    assert!(place.open().vouch("out/o.trace", dep_hash(), false).is_none());
    place.write("in/t.h", TEXTS[0]);
    assert!(place.open().vouch("out/o.trace", dep_hash(), false).is_some());
}

/// What nobody may save is saved by whoever learns from it, and is not read a second time.
#[test]
fn what_another_index_found_is_kept() {
    let place = Place::new();
    place.settle();
    let other = place.open();
    let found = other.file("in/b", Content::Binary).unwrap();
    other.set_note("question", "answer");
    let index = place.open();
    index.learn_from(&other);
    index.save().unwrap();
    let again = place.open();
    assert_eq!(again.note("question").as_deref(), Some("answer"));
    assert!(again.known().any(|path| path == "in/b"));
    assert_eq!(again.file("in/b", Content::Binary).unwrap(), found);
}

/// A listing is that of the directory as it is, or none.
#[test]
fn a_listing_is_remembered_while_the_directory_is_the_same() {
    let place = Place::new();
    let remembered = || {
        let index = place.open();
        let listing = index.listing("dir");
        if listing.is_none() {
            index.set_listing("dir", "made");
        }
        index.save().unwrap();
        listing
    };
    // While its time has not come, it may change without its status telling.
    fs::create_dir(place.path("dir/new")).unwrap();
    let directory = fs::File::open(place.path("dir")).unwrap();
    directory.set_modified(SystemTime::now() + Duration::from_secs(3600)).unwrap();
    assert_eq!(remembered(), None);
    assert_eq!(remembered(), None);
    directory.set_modified(SystemTime::now()).unwrap();
    place.settle();
    assert_eq!(remembered(), None);
    assert_eq!(remembered().as_deref(), Some("made"));
    assert_eq!(remembered().as_deref(), Some("made"));
    let rehashing = StatIndex::open(place.0.path(), &place.path(".index"), true).unwrap();
    assert_eq!(rehashing.listing("dir"), None);
    // One entry takes the place of another, of the same name.
    fs::remove_dir(place.path("dir/new")).unwrap();
    fs::write(place.path("dir/new"), "").unwrap();
    place.settle();
    assert_eq!(remembered(), None);
    assert_eq!(remembered().as_deref(), Some("made"));
    // Another directory takes its place.
    fs::rename(place.path("dir"), place.path("old")).unwrap();
    assert_eq!(remembered(), None);
    assert_eq!(remembered(), None);
    fs::rename(place.path("old"), place.path("dir")).unwrap();
    place.settle();
    remembered();
    assert_eq!(remembered().as_deref(), Some("made"));
}
