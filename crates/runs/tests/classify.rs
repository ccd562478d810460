//! Logs of real tools, each with the kind that people gave it: see `corpus/README.md`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use larder_runs::Category;
use larder_runs::classify::{Classification, Rules, classify_build_log, contains_substring_ci};
use larder_runs::result::{Exit, Stage};
use serde::Deserialize;

/// A line of the manifest.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Log {
    log: String,
    category: Category,
    stage: Stage,
    /// None where it was not kept: the log alone has to do.
    exit: Option<Exit>,
    /// The number of the deciding line; none where the exit says it all.
    line: Option<u64>,
}

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
}

fn logs() -> Vec<Log> {
    let manifest = fs::read_to_string(corpus().join("manifest.jsonl")).unwrap();
    manifest.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn classify(log: &Log) -> Classification {
    let path = corpus().join(&log.log);
    match &log.exit {
        Some(exit) => {
            Rules::built_in().classify(log.stage, exit, File::open(path).unwrap()).unwrap()
        }
        None => classify_build_log(&fs::read(path).unwrap()),
    }
}

/// Weather, and what is as little the package's doing.
fn is_weather(category: &Category) -> bool {
    category.is_weather() || *category == Category::Timeout
}

#[derive(Default)]
struct Score {
    right: u32,
    found: u32,
    there: u32,
}

#[test]
fn real_logs_are_classified() {
    let logs = logs();
    assert!(logs.len() >= 60);
    let mut scores: BTreeMap<Category, Score> = BTreeMap::new();
    let (mut wrong, mut false_weather) = (Vec::new(), Vec::new());
    for log in &logs {
        let found = classify(log);
        scores.entry(log.category.clone()).or_default().there += 1;
        scores.entry(found.category.clone()).or_default().found += 1;
        if found.category == log.category {
            scores.entry(found.category).or_default().right += 1;
        } else {
            let text = format!("{} is {}: {found:?}", log.log, log.category);
            if is_weather(&found.category) && !is_weather(&log.category) {
                false_weather.push(text.clone());
            }
            wrong.push(text);
        }
    }
    println!("{:24} {:>4}  precision  recall", "", "logs");
    for (category, Score { right, found, there }) in &scores {
        let percent = |of: u32| {
            (right * 100).checked_div(of).map_or("-".to_owned(), |percent| format!("{percent}%"))
        };
        println!("{category:24} {there:>4}  {:>9}  {:>6}", percent(*found), percent(*there));
    }
    println!("{wrong:#?}");
    assert!(false_weather.is_empty(), "false weather: {false_weather:#?}");
    for (category, Score { right, found, there }) in &scores {
        assert!(right * 10 >= found * 9 && right * 10 >= there * 9, "{category}: {wrong:#?}");
    }
}

#[test]
fn the_error_is_the_line_that_tells_why() {
    let mut wrong = Vec::new();
    for log in logs() {
        let found = classify(&log);
        if found.category != log.category {
            continue;
        }
        if found.line != log.line {
            wrong.push(format!("{}: not line {:?} but {found:?}", log.log, log.line));
        }
        let Some(offset) = found.offset else {
            continue;
        };
        let content = fs::read(corpus().join(&log.log)).unwrap();
        let at = larder_runs::sanitise::text(&content[offset as usize..]);
        let start: String = found.error.unwrap().chars().take(20).collect();
        assert!(
            at.trim_start().replace('\t', " ").starts_with(start.trim_end_matches('…')),
            "{}: {at}",
            log.log
        );
        let before = content[..offset as usize].iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(Some(before as u64 + 1), found.line, "{}", log.log);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_log_is_in_the_manifest_and_names_no_machine() {
    let known: Vec<String> = logs().into_iter().map(|log| log.log).collect();
    for entry in fs::read_dir(corpus()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "log") {
            continue;
        }
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        assert!(known.contains(&name), "{name}");
        let size = path.metadata().unwrap().len();
        assert!(size < 64 * 1024, "{name} has {size} bytes");
        let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).to_lowercase();
        for word in ["/root/", "crates.io", "pypi.org", "npmjs", "debian.org", "files.pythonhosted"]
        {
            assert!(!text.contains(word), "{name} names {word}");
        }
    }
}

#[test]
fn the_case_of_a_log_does_not_matter() {
    let log = fs::read_to_string(corpus().join("cp-disk-full.log")).unwrap().to_uppercase();
    assert!(contains_substring_ci("no space left", &log));
    assert_eq!(classify_build_log(log.as_bytes()).category, Category::DiskFull);
}
