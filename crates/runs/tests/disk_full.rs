//! A full disk, and a file that may not grow: an error in words, and nothing half-made.

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use common::{child, entry, package, role};
use larder_runs::history::{append, compact, path, read};
use larder_runs::progress::{self, Progress};
use larder_runs::run_log::{Outcome, RunState, finish_run, read_run, start_run};
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

fn large(error_size: usize) -> larder_runs::history::Entry {
    let mut entry = entry("2026-03-01-120000", "h", "build_failure", true);
    entry.error = Some("x".repeat(error_size));
    entry
}

#[test]
fn a_full_disk_loses_nothing_that_was_there() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let fmt = package("fmt.0.9.0");
    let root = disk.path();
    append(root, &fmt, &large(10)).unwrap();
    append(root, &fmt, &large(10)).unwrap();
    let run = start_run(&root.join("runs")).unwrap();
    let (id, run_dir) = (run.id().clone(), run.dir().to_owned());
    let progress = Progress::create(id.clone(), String::new(), vec![]);
    progress::write(&run_dir, &progress).unwrap();
    let index = status_index::generate(root, None, None).unwrap();
    status_index::write(root, &index).unwrap();
    disk.fill();

    let before = fs::read(path(root, &fmt)).unwrap();
    let error = append(root, &fmt, &large(50_000)).unwrap_err().to_string();
    assert!(error.contains("history.jsonl: No space left on device: free some space"), "{error}");
    assert_eq!(
        fs::read(path(root, &fmt)).unwrap(),
        before,
        "what fitted of the line is taken back"
    );
    assert!(compact(root, &fmt, 0, now()).is_err() || read(root, &fmt).unwrap().entries.is_empty());
    let longer = Progress::create(id.clone(), String::new(), vec!["x".repeat(50_000)]);
    assert!(progress::write(&run_dir, &longer).is_err());
    assert_eq!(progress::read(&run_dir), Some(progress));
    let outcome = Outcome {
        failures: vec![larder_runs::run_log::Failure {
            package: "x".repeat(50_000),
            build_hash: None,
            category: String::new(),
            error: None,
        }],
        ..Outcome::default()
    };
    assert!(finish_run(run, outcome).is_err());
    assert_eq!(read_run(&root.join("runs"), &id).unwrap().unwrap().state, RunState::Died);
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
    let fmt = package("fmt.0.9.0");
    if let Some((_, packages)) = role() {
        append(&packages, &fmt, &large(10)).unwrap();
        assert!(append(&packages, &fmt, &large(20_000)).is_err());
        append(&packages, &fmt, &large(10)).unwrap();
        return;
    }
    let packages = tempfile::tempdir().unwrap();
    let inner = child("a_write_cut_short_is_taken_back", "limited", packages.path());
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
    let history = read(packages.path(), &fmt).unwrap();
    assert_eq!((history.entries, history.broken), (vec![large(10), large(10)], 0));
}
