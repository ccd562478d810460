//! The behaviour that Lake documents for `buildUnlessUpToDate` and its kin, function by function.

use std::{
    cell::Cell,
    fs,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use larder_trace::*;
use tempfile::TempDir;

/// An input, an output and its trace file.
struct Place {
    directory: TempDir,
    builds: Cell<u32>,
}

impl Place {
    fn new() -> Self {
        let place = Self { directory: tempfile::tempdir().unwrap(), builds: Cell::new(0) };
        place.write("in", "one\n");
        place.set_age("in", 60);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Makes a file look as if it had last been changed so many seconds ago.
    fn set_age(&self, name: &str, seconds: u64) {
        let file = fs::File::options().append(true).open(self.path(name)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(seconds)).unwrap();
    }

    fn trace(&self) -> BuildTrace {
        let path = self.path("in");
        let hash = compute_file_hash(&path, Content::Text).unwrap();
        let mtime = MTime::from(&fs::metadata(path).unwrap());
        BuildTrace::nil("out").mix(BuildTrace::leaf("in", hash, mtime))
    }

    /// Builds `out` from `in` unless it is up to date: `Ok` tells whether it was built, and what was
    /// logged.
    fn build(&self, policy: Policy) -> Result<(Outcome, Vec<String>), BuildError> {
        self.build_by(policy, |log| {
            log.push(Level::Warning, format!("copied {}", self.read("in").trim()));
            fs::copy(self.path("in"), self.path("out")).unwrap();
            Ok(Vec::new())
        })
    }

    fn build_by(
        &self,
        policy: Policy,
        work: impl FnOnce(&mut BuildLog) -> Result<Vec<DiscoveredInput>, BuildError>,
    ) -> Result<(Outcome, Vec<String>), BuildError> {
        let mut log = BuildLog::default();
        let outcome = build_unless_up_to_date(
            &[self.path("out")],
            &self.trace(),
            &self.path("out.trace"),
            policy,
            &mut log,
            |log| {
                self.builds.set(self.builds.get() + 1);
                work(log)
            },
        )?;
        Ok((outcome, log.0.into_iter().map(|entry| entry.message).collect()))
    }

    #[track_caller]
    fn built(&self, policy: Policy, expected: &str) {
        let (outcome, log) = self.build(policy).unwrap();
        assert_eq!((outcome, log), (Outcome::Built, vec![expected.to_owned()]));
    }

    #[track_caller]
    fn up_to_date(&self, policy: Policy, log: &[&str]) {
        let before = self.builds.get();
        let (outcome, said) = self.build(policy).unwrap();
        assert_eq!(
            (outcome, said),
            (Outcome::UpToDate, log.iter().map(|s| s.to_string()).collect())
        );
        assert_eq!(self.builds.get(), before);
    }
}

const PLAIN: Policy = Policy { rehash: false, old: false, no_build: false };
const OLD: Policy = Policy { old: true, ..PLAIN };
const NO_BUILD: Policy = Policy { no_build: true, ..PLAIN };

#[test]
fn a_hash_that_matches_replays_the_log() {
    let place = Place::new();
    place.built(PLAIN, "copied one");
    place.up_to_date(PLAIN, &["copied one"]);
    // Whatever the times say.
    place.set_age("out", 1000);
    place.up_to_date(PLAIN, &["copied one"]);
    place.set_age("in", 0);
    place.up_to_date(PLAIN, &["copied one"]);
    place.write("in", "one\r\n");
    place.up_to_date(PLAIN, &["copied one"]);
    let TraceFile::Finished(record) = read_trace_file(&place.path("out.trace")) else { panic!() };
    assert_eq!(record.dep_hash, place.trace().hash());
    assert_eq!((record.schema_version, record.synthetic), (SCHEMA_VERSION, false));
    assert_eq!(record.inputs[0].name(), "in");
    assert_eq!(record.outputs.outputs[0].path, "out");
    assert_eq!(record.outputs.outputs[0].hash, ContentHash::of_bytes(b"one\n"));
}

#[test]
fn another_hash_or_a_missing_output_rebuilds() {
    let place = Place::new();
    place.built(PLAIN, "copied one");
    place.write("in", "two\n");
    // Older than the output, and still another.
    place.set_age("in", 60);
    place.built(PLAIN, "copied two");
    fs::remove_file(place.path("out")).unwrap();
    place.built(PLAIN, "copied two");
    place.up_to_date(PLAIN, &["copied two"]);
}

#[test]
fn without_a_trace_file_modification_times_decide() {
    let place = Place::new();
    place.write("out", "by somebody else");
    place.up_to_date(PLAIN, &[]);
    place.up_to_date(NO_BUILD, &[]);
    assert!(!place.path("out.trace").exists());
    place.set_age("out", 120);
    place.built(PLAIN, "copied one");
    // As old as the input is not newer.
    fs::remove_file(place.path("out.trace")).unwrap();
    let modified = fs::metadata(place.path("in")).unwrap().modified().unwrap();
    fs::File::options()
        .append(true)
        .open(place.path("out"))
        .unwrap()
        .set_modified(modified)
        .unwrap();
    place.built(PLAIN, "copied one");
}

#[test]
fn a_damaged_trace_file_is_not_one_that_is_not_there() {
    let place = Place::new();
    let schema = format!("{{\"schemaVersion\":{SCHEMA_VERSION}}}");
    place.built(PLAIN, "copied one");
    let good = place.read("out.trace");
    let foreign = good.replace(
        &format!("\"schemaVersion\":{SCHEMA_VERSION}"),
        &format!("\"schemaVersion\":{}", SCHEMA_VERSION - 1),
    );
    assert_ne!(foreign, good);
    for garbage in
        ["", "{", "null", &schema, "{\"unfinished\":false}", &good[..good.len() / 2], &foreign]
    {
        // As new as can be, and still it may be what a build left half written.
        place.write("out", "half");
        place.write("out.trace", garbage);
        assert!(matches!(read_trace_file(&place.path("out.trace")), TraceFile::Damaged));
        place.built(PLAIN, "copied one");
        assert_eq!(place.read("out"), "one\n");
    }
    assert!(matches!(read_trace_file(&place.path("out/trace")), TraceFile::Absent));
}

#[test]
fn a_build_that_did_not_finish_is_not_taken_by_its_times() {
    let place = Place::new();
    begin_trace_file(&place.path("out.trace")).unwrap();
    place.write("out", "half");
    assert!(matches!(read_trace_file(&place.path("out.trace")), TraceFile::Unfinished));
    for policy in [NO_BUILD, Policy { no_build: true, ..OLD }] {
        assert!(matches!(place.build(policy), Err(BuildError::OutOfDate(_))));
    }
    place.built(PLAIN, "copied one");
    assert_eq!(place.read("out"), "one\n");
    place.up_to_date(PLAIN, &["copied one"]);
}

#[test]
fn while_it_builds_it_is_marked_as_unfinished() {
    let place = Place::new();
    let trace_file = place.path("out.trace");
    let result = place.build_by(PLAIN, |_| {
        assert!(matches!(read_trace_file(&trace_file), TraceFile::Unfinished));
        fs::write(place.path("out"), "").unwrap();
        Ok(Vec::new())
    });
    assert_eq!(result.unwrap().0, Outcome::Built);
    assert!(matches!(read_trace_file(&trace_file), TraceFile::Finished(_)));
}

#[test]
fn old_mode_takes_what_is_newer_than_its_inputs() {
    let place = Place::new();
    place.built(PLAIN, "copied one");
    place.write("in", "two\n");
    place.set_age("in", 30);
    place.up_to_date(OLD, &["copied one"]);
    place.set_age("out", 45);
    place.built(OLD, "copied two");
}

#[test]
fn old_mode_looks_at_discovered_inputs_too() {
    let place = Place::new();
    place.write("a.h", "1\n");
    place.set_age("a.h", 60);
    let header = place.path("a.h").to_str().unwrap().to_owned();
    let build = || {
        let hash = compute_file_hash(&place.path("a.h"), Content::Text).unwrap();
        let (outcome, log) = place
            .build_by(OLD, |log| {
                log.push(Level::Warning, "careful");
                place.write("out", "x");
                Ok(vec![DiscoveredInput { path: header.clone(), hash }])
            })
            .unwrap();
        assert_eq!(log, ["careful"]);
        outcome
    };
    assert_eq!(build(), Outcome::Built);
    place.write("a.h", "2\n");
    place.set_age("a.h", 30);
    assert_eq!(build(), Outcome::UpToDate);
    place.set_age("out", 45);
    assert_eq!(build(), Outcome::Built);
}

#[test]
fn an_output_that_is_not_what_was_built_is_built_again() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let build = |policy| {
        let work = |_: &mut BuildLog| {
            place.write("out", "tool");
            let mode = fs::Permissions::from_mode(0o755);
            fs::set_permissions(place.path("out"), mode).unwrap();
            Ok(Vec::new())
        };
        place.build_by(policy, work).unwrap().0
    };
    assert_eq!(build(PLAIN), Outcome::Built);
    for policy in [PLAIN, OLD, Policy { rehash: true, ..PLAIN }] {
        assert_eq!(build(policy), Outcome::UpToDate);
        fs::set_permissions(place.path("out"), fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(build(policy), Outcome::Built);
        place.write("out", "tOOl");
        assert_eq!(build(policy), Outcome::Built);
    }
}

#[test]
fn a_trace_file_can_lie_where_nothing_is_yet() {
    let place = Place::new();
    let build = |trace_file: &str| {
        let build = |_: &mut BuildLog| {
            place.write("out", "x");
            Ok(Vec::new())
        };
        let trace_file = place.path(trace_file);
        let mut log = BuildLog::default();
        let outputs = [place.path("out")];
        build_unless_up_to_date(&outputs, &place.trace(), &trace_file, PLAIN, &mut log, build)
    };
    place.write("out", "precious");
    place.set_age("out", 120);
    // A file is where its directory should be: nothing can be built, and nothing is removed.
    assert!(matches!(build("in/traces/out.trace"), Err(BuildError::Io { .. })));
    assert_eq!(place.read("out"), "precious");
    assert_eq!(build("traces/new/out.trace").unwrap(), Outcome::Built);
    assert_eq!(build("traces/new/out.trace").unwrap(), Outcome::UpToDate);
    assert_eq!(place.read("out"), "x");
}

#[test]
fn no_build_builds_nothing_and_names_what_is_out_of_date() {
    let place = Place::new();
    let Err(BuildError::OutOfDate(named)) = place.build(NO_BUILD) else { panic!() };
    assert_eq!(named, place.path("out.trace"));
    assert_eq!(place.builds.get(), 0);
    assert!(!place.path("out").exists() && !named.exists());
    place.built(PLAIN, "copied one");
    place.up_to_date(NO_BUILD, &["copied one"]);
    place.write("in", "two\n");
    assert!(matches!(place.build(NO_BUILD), Err(BuildError::OutOfDate(_))));
    assert_eq!(place.read("out"), "one\n");
}

#[test]
fn a_failed_build_leaves_neither_trace_nor_output() {
    let place = Place::new();
    place.built(PLAIN, "copied one");
    place.write("in", "two\n");
    let mut log = BuildLog::default();
    let result = build_unless_up_to_date(
        &[place.path("out")],
        &place.trace(),
        &place.path("out.trace"),
        PLAIN,
        &mut log,
        |log| {
            log.push(Level::Error, "it cannot be");
            place.write("out", "half");
            Err(BuildError::Failed("failed".to_owned()))
        },
    );
    assert_eq!(result.unwrap_err().to_string(), "failed");
    assert_eq!(log.0, [LogEntry::text(Level::Error, "it cannot be")]);
    assert!(!place.path("out").exists() && !place.path("out.trace").exists());
    place.built(PLAIN, "copied two");
    // Ending well without an output is a failure, too.
    place.write("in", "three\n");
    let error = place.build_by(PLAIN, |_| {
        fs::remove_file(place.path("out")).unwrap();
        Ok(Vec::new())
    });
    assert!(error.unwrap_err().to_string().contains("did not write"));
    assert!(!place.path("out.trace").exists());
}

#[test]
fn discovered_inputs_count() {
    let place = Place::new();
    let header = place.path("a.h");
    let build = || {
        let discovered = DiscoveredInput {
            path: header.to_str().unwrap().to_owned(),
            hash: compute_file_hash(&header, Content::Text).unwrap(),
        };
        let result = place.build_by(PLAIN, |_| {
            place.write("out", "x");
            Ok(vec![discovered])
        });
        result.unwrap().0
    };
    place.write("a.h", "1\n");
    assert_eq!(build(), Outcome::Built);
    assert_eq!(build(), Outcome::UpToDate);
    place.write("a.h", "1\r\n");
    assert_eq!(build(), Outcome::UpToDate);
    place.write("a.h", "2\n");
    assert_eq!(build(), Outcome::Built);
    fs::remove_file(&header).unwrap();
    let again = place.build_by(PLAIN, |_| {
        place.write("out", "x");
        Ok(Vec::new())
    });
    assert_eq!(again.unwrap().0, Outcome::Built);
}

#[test]
fn a_file_is_built_with_its_hash_beside_it() {
    let place = Place::new();
    let file = place.path("file");
    let build = |text: &str| {
        let mut log = BuildLog::default();
        let dep = BuildTrace::nil("dep").mix(BuildTrace::text("text", text));
        build_file_unless_up_to_date(&file, Content::Binary, &dep, PLAIN, &mut log, |_| {
            assert!(!hash_file_path(&file).exists(), "the old hash is cleared before");
            fs::write(&file, text).unwrap();
            Ok(Vec::new())
        })
        .unwrap()
    };
    for text in ["one", "two", "two"] {
        let trace = build(text);
        assert_eq!(trace.hash(), ContentHash::of_bytes(text.as_bytes()));
        assert_eq!(trace.mtime(), MTime::from(&fs::metadata(&file).unwrap()));
        assert_eq!(place.read("file.hash"), trace.hash().to_string());
    }
    assert!(place.path("file.trace").exists());
}

#[test]
fn saved_hashes_are_trusted_while_they_are_not_older() {
    let place = Place::new();
    let file = place.path("in");
    let real = ContentHash::of_bytes(b"one\n");
    let wrong = ContentHash::of_bytes(b"wrong");
    let fetch = |rehash| fetch_file_hash(&file, Content::Binary, rehash).unwrap();
    assert_eq!(fetch(false), real);
    assert_eq!(place.read("in.hash"), real.to_string());
    // Trusted, though it is wrong: it is newer.
    save_file_hash(&file, wrong).unwrap();
    assert_eq!(fetch(false), wrong);
    assert_eq!(fetch_file_trace(&file, Content::Binary, false).unwrap().hash(), wrong);
    // Not with rehash, and then it is put right.
    assert_eq!(fetch(true), real);
    assert_eq!(place.read("in.hash"), real.to_string());
    // Not when it is older.
    save_file_hash(&file, wrong).unwrap();
    place.set_age("in.hash", 90);
    assert_eq!(fetch(false), real);
    assert_eq!(place.read("in.hash"), real.to_string());
    // Not when it is garbage, of whatever size.
    for garbage in ["", "x", &real.to_string()[1..], &"a".repeat(1 << 20)] {
        place.write("in.hash", garbage);
        assert_eq!(fetch(false), real);
    }
    // A line ending does no harm.
    place.write("in.hash", &format!("{wrong}\n"));
    assert_eq!(fetch(false), wrong);
    clear_file_hash(&file).unwrap();
    clear_file_hash(&file).unwrap();
    assert!(!place.path("in.hash").exists());
    assert_eq!(fetch(false), real);
    assert_eq!(cache_file_hash(&file, Content::Text).unwrap(), real);
}

#[test]
fn what_is_missing_is_an_error() {
    let place = Place::new();
    let gone = place.path("gone");
    let missing = |kind| assert_eq!(kind, std::io::ErrorKind::NotFound);
    missing(compute_file_hash(&gone, Content::Text).unwrap_err().kind());
    missing(fetch_file_hash(&gone, Content::Text, false).unwrap_err().kind());
    missing(fetch_file_trace(&gone, Content::Text, false).unwrap_err().kind());
    let error = compute_file_hash(place.directory.path(), Content::Binary).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::IsADirectory);
    assert!(matches!(read_trace_file(&gone), TraceFile::Absent));
    clear_trace_file(&gone).unwrap();
}

#[test]
fn line_endings_are_no_content_of_text() {
    let place = Place::new();
    place.write("unix", "a\nb\n\r");
    place.write("dos", "a\r\nb\r\n\r");
    let hash = |name, content| compute_file_hash(&place.path(name), content).unwrap();
    assert_eq!(hash("unix", Content::Text), hash("dos", Content::Text));
    assert_eq!(hash("unix", Content::Text), hash("unix", Content::Binary));
    assert_ne!(hash("dos", Content::Binary), hash("unix", Content::Binary));
}

#[test]
fn up_to_date_means_the_same_hash_and_all_outputs() {
    let place = Place::new();
    let trace = place.trace();
    place.write("a", "");
    let check = |names: &[&str], hash, policy| {
        let paths: Vec<PathBuf> = names.iter().map(|name| place.path(name)).collect();
        check_hash_up_to_date(&paths, &trace, hash, None, policy)
    };
    assert!(check(&["a"], Some(trace.hash()), PLAIN));
    assert!(!check(&["a", "b"], Some(trace.hash()), PLAIN));
    assert!(!check(&["a"], None, PLAIN));
    assert!(!check(&["a"], Some(ContentHash::of_bytes(b"")), PLAIN));
    assert!(check(&["a"], None, OLD));
    // The oldest output counts.
    place.write("b", "");
    place.set_age("b", 90);
    assert!(!check(&["a", "b"], None, OLD));
    let older = Some(MTime(0));
    assert!(check_hash_up_to_date(&[place.path("b")], &trace, None, older, OLD));
}

#[test]
fn the_platform_is_a_part_of_a_trace() {
    assert_eq!(platform_trace().value(), Some(host_platform()));
}
