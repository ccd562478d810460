//! A full disk, and a file that may not grow: an error in words, and nothing half-made.

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use common::{child, package, result, role, start};
use larder_runs::DataDir;
use larder_runs::history::{compact, path, read};
use larder_runs::name::PackageName;
use larder_runs::progress;
use larder_runs::result::{BuildRef, RunKind, StageResult};
use larder_runs::run_log::{Ending, RunState, Scope, read_results, read_run};
use larder_runs::status_index;
use larder_runs::time::now;

/// A file system of 256 KiB; `None`, with the reason said, where it may not be mounted.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<SmallDisk> {
        let dir = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"])
            .arg(dir.path())
            .stderr(Stdio::null())
            .status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(SmallDisk(dir));
        }
        eprintln!("skipped: a small file system cannot be mounted here");
        None
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Leaves no more than a few bytes free.
    fn fill(&self) {
        let mut size = 256 * 1024;
        let mut file = 0;
        while size > 0 {
            let path = self.path().join(format!("ballast{file}"));
            if fs::write(&path, vec![0; size]).is_err() {
                size /= 2;
            }
            file += 1;
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.path()).status();
    }
}

/// A result of about this many bytes.
fn large(hash: &str, size: usize) -> StageResult {
    let mut result = result(R1, FMT, hash, "build_failure", true);
    let dependency = |number: usize| BuildRef {
        package: package(&format!("{}.{number}", "x".repeat(180))),
        build_hash: None,
    };
    if size > 200 {
        result = common::result(R1, FMT, hash, "dependency_failure", true);
        result.failed_dependencies = (0..size / 200).map(dependency).collect();
        result.root_failures = vec![dependency(0)];
    }
    result
}

const R1: &str = "2026-03-01-120000";
const FMT: &str = "fmt.0.9.0";

#[test]
fn a_full_disk_loses_nothing_that_was_there() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let fmt = package(FMT);
    let data = DataDir::new(disk.path());
    let (root, packages) = (disk.path(), data.packages());
    let run = start(&data, R1, RunKind::Full, Scope::All);
    run.record(large("h1", 0)).unwrap();
    run.record(large("h2", 0)).unwrap();
    let (id, run_dir) = (run.id().clone(), run.dir().to_owned());
    let index = status_index::update(&data).unwrap();
    disk.fill();

    let files = [path(&packages, &fmt), run_dir.join("results.jsonl")];
    let before = files.clone().map(|file| fs::read(file).unwrap());
    let error = run.record(large("h3", 50_000)).unwrap_err().to_string();
    assert!(error.contains("results.jsonl: No space left on device: free some space"), "{error}");
    assert_eq!(files.map(|file| fs::read(file).unwrap()), before, "what fitted is taken back");
    assert!(
        compact(&packages, &fmt, 0, now()).is_err()
            || read(&packages, &fmt).unwrap().entries.is_empty()
    );
    let progress = progress::read(&run_dir);
    assert!(progress.is_some());
    let longer = run.update_progress(|progress| {
        progress.running = vec!["x".repeat(50_000)];
        Ok(())
    });
    assert!(longer.is_err());
    assert_eq!(progress::read(&run_dir), progress);
    // Whatever is left of the last page is too little for a summary.
    assert!(run.finish(Ending::Complete).is_err());
    assert_eq!(read_run(&data.runs(), &id).unwrap().unwrap().state, RunState::Died);
    assert_eq!(status_index::read(root), Some(index));
    let temporary = |dir: &Path| {
        fs::read_dir(dir)
            .unwrap()
            .any(|e| e.unwrap().file_name().to_string_lossy().ends_with(".tmp"))
    };
    assert!(!temporary(root) && !temporary(&run_dir), "nothing half-made is left");
}

/// Runs everywhere: a limit on the size of files cuts a write short just as a full disk does.
#[test]
fn a_write_cut_short_is_taken_back() {
    if let Some((_, root)) = role() {
        let data = DataDir::new(root);
        let run = start(&data, R1, RunKind::Full, Scope::All);
        run.record(large("h1", 0)).unwrap();
        assert!(run.record(large("h2", 20_000)).is_err());
        run.record(large("h2", 0)).unwrap();
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let inner = child("a_write_cut_short_is_taken_back", "limited", root.path());
    // 8 blocks of 512 bytes or of 1 KiB, by the shell; and no signal for exceeding them.
    let mut limited = Command::new("sh");
    limited
        .args(["-c", "trap '' XFSZ; ulimit -f 8; exec \"$@\"", "sh"])
        .arg(inner.get_program())
        .args(inner.get_args());
    limited
        .envs(inner.get_envs().filter_map(|(key, value)| Some((key, value?))))
        .stdout(Stdio::null());
    assert!(limited.status().unwrap().success());
    let data = DataDir::new(root.path());
    let history = read(&data.packages(), &package(FMT)).unwrap();
    let id = R1.parse().unwrap();
    let results = read_results(
        &data.runs().join(read_run(&data.runs(), &id).unwrap().unwrap().run_id.as_str()),
    );
    assert_eq!((history.entries.len(), history.broken), (2, 0));
    assert_eq!(results.unwrap(), history.entries);
}

/// The history cannot be written, the run's results can: nothing is recorded.
#[test]
fn a_result_is_recorded_in_both_places_or_in_none() {
    let root = tempfile::tempdir().unwrap();
    let data = DataDir::new(root.path());
    let run = start(&data, R1, RunKind::Full, Scope::All);
    run.record(large("h1", 0)).unwrap();
    let history = path(&data.packages(), &package(FMT));
    fs::remove_file(&history).unwrap();
    fs::create_dir(&history).unwrap();
    assert!(run.record(large("h2", 0)).is_err());
    assert_eq!(read_results(run.dir()).unwrap().len(), 1);
    fs::remove_dir(&history).unwrap();
    run.record(large("h2", 0)).unwrap();
    assert_eq!(read_results(run.dir()).unwrap().len(), 2);
}

/// Of many results, the histories of some cannot be written: the others are recorded in both places.
#[test]
fn each_of_many_results_is_recorded_in_both_places_or_in_none() {
    let root = tempfile::tempdir().unwrap();
    let data = DataDir::new(root.path());
    let run = start(&data, R1, RunKind::Full, Scope::All);
    let names = ["a.1", "b.1", "c.1", "d.1"].map(package);
    let of = |name: &PackageName, attempt| StageResult {
        package: name.clone(),
        attempt,
        ..result(R1, FMT, "h1", "success", true)
    };
    run.record_all(names.iter().map(|name| of(name, 1)), |_| {}).unwrap();
    let history = path(&data.packages(), &names[1]);
    fs::remove_file(&history).unwrap();
    fs::create_dir(&history).unwrap();
    let mut told = Vec::new();
    let second = names.iter().map(|name| of(name, 2));
    let error = run.record_all(second, |it| told.push(it.result.package.clone())).unwrap_err();
    assert!(error.to_string().contains("b.1"), "{error}");
    assert_eq!(told, [names[0].clone(), names[2].clone(), names[3].clone()]);
    let attempts = |name: &PackageName| -> Vec<u32> {
        let results = read_results(run.dir()).unwrap().into_iter();
        results.filter(|it| it.result.package == *name).map(|it| it.result.attempt).collect()
    };
    assert_eq!(names.each_ref().map(attempts), [vec![1, 2], vec![1], vec![1, 2], vec![1, 2]]);
    for name in [&names[0], &names[2], &names[3]] {
        assert_eq!(read(&data.packages(), name).unwrap().entries.len(), 2);
    }
    fs::remove_dir(&history).unwrap();
    run.record_all([of(&names[1], 2), of(&names[0], 3)], |_| {}).unwrap();
    assert_eq!(names.each_ref().map(attempts)[..2], [vec![1, 2, 3], vec![1, 2]]);
    for twice in [vec![of(&names[2], 2)], vec![of(&names[3], 3), of(&names[3], 3)]] {
        let error = run.record_all(twice, |_| {}).unwrap_err();
        assert!(error.to_string().ends_with("was recorded before"), "{error}");
    }
    assert_eq!(names.each_ref().map(attempts)[2..], [vec![1, 2], vec![1, 2]]);
    run.finish(Ending::Complete).unwrap();
}
