//! Logs that grow to their limit.

mod common;

use std::io::Write;

use common::{result, start};
use larder_runs::result::{Exit, LogFile, RunKind, StageResult, Status};
use larder_runs::run_log::{LogName, Scope};
use larder_runs::{Category, DataDir};

const R1: &str = "2026-03-01-120000";

#[test]
fn a_log_that_reached_its_limit_makes_a_log_limit_whatever_its_caller_says() {
    let root = tempfile::tempdir().unwrap();
    let data = DataDir::new(root.path());
    let run = start(&data, R1, RunKind::Full, Scope::All);
    let recorded = |attempt: u32, pieces: &[&str], limit: u64, change: fn(&mut StageResult)| {
        let failed = result(R1, "fmt.0.9.0", "h1", "build_failure", true);
        let mut failed = StageResult { attempt, rule: Some("exit".into()), ..failed };
        change(&mut failed);
        let mut log = run.log_writer(&LogName::of(&failed)).unwrap().limited(limit);
        for piece in pieces {
            log.write_all(piece.as_bytes()).unwrap();
        }
        let (cut, path) = (log.is_cut(), run.dir().join(LogName::of(&failed).path()));
        drop(log);
        let result = run.record(failed).unwrap().result;
        assert_eq!(result.log.as_ref().unwrap().cut, cut);
        (result, std::fs::read_to_string(path).unwrap())
    };
    let nothing = |_: &mut StageResult| {};

    let (whole, log) = recorded(1, &["0123", "456789"], 10, nothing);
    assert_eq!((whole.category, log.as_str()), (Category::BuildFailure, "0123456789"));

    let (cut, log) = recorded(2, &["a\n23456789x", "more", "and more\n"], 10, nothing);
    assert_eq!((&cut.category, cut.rule.as_deref()), (&Category::LogLimit, Some("log-limit")));
    assert_eq!(cut.error.unwrap(), "stopped because its log had grown to its limit");
    let marker = "larder: the log limit of 10 bytes was reached, and the process was stopped";
    assert_eq!(log, format!("a\n23456789\n{marker}\n"));
    let of = cut.log.unwrap();
    assert_eq!((of.line, of.offset, of.bytes), (Some(3), Some(11), log.len() as u64));

    // What had decided before the cut stands, and so does what else stopped the process.
    let before = |failed: &mut StageResult| {
        failed.rule = Some("gcc-error".into());
        let path = LogName::of(failed).path();
        let bytes = "error: x\n".len() as u64
            + "larder: the log limit of 9 bytes was reached, and the process was stopped\n".len()
                as u64;
        failed.log = Some(LogFile { path, bytes, line: Some(1), offset: Some(0), cut: false });
    };
    let (decided, _) = recorded(3, &["error: x\n", "noise"], 9, before);
    assert_eq!((decided.category, decided.log.unwrap().line), (Category::BuildFailure, Some(1)));
    let late = |failed: &mut StageResult| {
        failed.category = Category::Timeout;
        failed.exit = Some(Exit { signal: Some(9), timed_out: true, ..Exit::default() });
    };
    assert_eq!(recorded(4, &["0123456789x"], 10, late).0.category, Category::Timeout);
    let worked = |result: &mut StageResult| {
        (result.status, result.category) = (Status::Success, Category::Success);
        (result.error, result.rule) = (None, None);
    };
    let (worked, log) = recorded(5, &["0123456789x"], 10, worked);
    assert!(worked.is_success() && worked.log.unwrap().cut && log.contains(marker));
    assert_eq!(
        recorded(6, &["x"], 0, nothing).1,
        log.replace("10 bytes", "0 bytes").replace("0123456789\n", "")
    );
}
