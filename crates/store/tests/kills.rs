//! A process that is killed while it fills or reads a store leaves nothing half-made.

use std::{
    env, fs,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Command, Stdio},
};

use larder_store::{Lookup, Scope, Store, gc, verify};
use larder_trace::{ContentHash, OutputFile, Outputs, atomic};

const DIRECTORY: &str = "LARDER_TEST_VICTIM";

fn scope() -> Scope {
    "pkg".parse().unwrap()
}

/// Short and long, so that both are met half-way.
fn content(n: usize) -> Vec<u8> {
    format!("{n:<7}").repeat(if n.is_multiple_of(2) { 1 << 11 } else { 1 << 17 }).into_bytes()
}

fn output(n: usize) -> OutputFile {
    let content = content(n);
    let (hash, size) = (ContentHash::of_bytes(&content), content.len() as u64);
    OutputFile { path: n.to_string(), hash, size, executable: false }
}

/// Builds, keeps, records and restores for ever; the process that the test below kills.
#[test]
fn victim() {
    let Some(directory) = env::var_os(DIRECTORY) else { return };
    let directory = Path::new(&directory);
    let store = Store::open(directory.join("store")).unwrap();
    for n in 0.. {
        let built = directory.join("built");
        fs::write(&built, content(n)).unwrap();
        let file = output(n);
        store.insert(&built, &file.hash, false).unwrap();
        let outputs = Outputs { outputs: vec![file.clone()], ..Outputs::default() };
        store.record(&scope(), &file.hash, &outputs).unwrap();
        store.restore(&file, &directory.join("out").join(&file.path)).unwrap();
    }
}

#[test]
fn killed_half_way_leaves_nothing_visible() {
    for round in 0..8 {
        let dir = tempfile::tempdir().unwrap();
        let mut victim = Command::new(env::current_exe().unwrap())
            .args(["--exact", "victim"])
            .env(DIRECTORY, dir.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        while !dir.path().join("out").join((3 * round).to_string()).exists() {
            assert!(victim.try_wait().unwrap().is_none(), "ended by itself");
        }
        victim.kill().unwrap();
        assert_eq!(victim.wait().unwrap().signal(), Some(9));

        let store = Store::open(dir.path().join("store")).unwrap();
        let mut complete = 0;
        for entry in fs::read_dir(dir.path().join("out")).unwrap() {
            let path = entry.unwrap().path();
            if atomic::is_temporary(&path) {
                continue;
            }
            let n: usize = path.file_name().unwrap().to_str().unwrap().parse().unwrap();
            assert!(fs::read(&path).unwrap() == content(n), "{n} is not whole");
            let hash = output(n).hash;
            assert!(matches!(store.lookup(&scope(), &hash, |_| true), Lookup::Hit(_)), "{n}");
            complete += 1;
        }
        assert!(complete > 3 * round);
        let report = verify::verify(&store).unwrap();
        assert!(report.corrupt.is_empty() && report.absent.is_empty(), "{report:?}");
        assert!(report.artifacts >= complete as u64);
        gc::collect(&store, &gc::Policy::default(), || ()).unwrap();
        assert_eq!(store.stats().unwrap().artifacts, report.artifacts);
    }
}
