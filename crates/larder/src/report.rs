//! Reports: what came of something, for people who did not watch it and for CI services.
//!
//! A [`Report`] is plain data. [`markdown`] and [`junit`] render it; its JSON is the data that it was made of.

pub mod junit;
mod markdown;
pub mod of_bisection;
pub mod of_comparison;
pub mod of_run;
pub mod of_tests;

use std::{
    fmt,
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    str::FromStr,
};

use larder_runs::{name::RunId, run_log};
use larder_trace::{atomic, describe_io};
use serde_json::Value;

use self::junit::Suite;
use crate::exit::Failure;

/// What came of something.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// What it is about.
    pub title: String,
    /// What came of it, in a sentence.
    pub outcome: String,
    /// Facts about it, each with its name.
    pub facts: Vec<(String, String)>,
    /// The rest, the most important first.
    pub sections: Vec<Section>,
    /// The same as results of tests.
    pub suites: Vec<Suite>,
    /// All that it was made of.
    pub data: Value,
}

/// A part of a report.
#[derive(Debug, Clone, Default)]
pub struct Section {
    /// Its heading.
    pub heading: String,
    /// The names of the columns of its table.
    pub columns: Vec<&'static str>,
    /// The rows of its table.
    pub rows: Vec<Vec<String>>,
    /// Texts that are folded up below it, each with its name.
    pub texts: Vec<(String, String)>,
}

/// How a report is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people, as GitHub shows it.
    Markdown,
    /// The data.
    Json,
    /// JUnit XML, as CI services read it.
    Junit,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "markdown" | "md" => Ok(Self::Markdown),
            "json" => Ok(Self::Json),
            "junit" | "xml" => Ok(Self::Junit),
            _ => Err("it is markdown, json or junit".to_owned()),
        }
    }
}

/// A file to write a report to; its name says how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportFile {
    path: PathBuf,
    format: Format,
}

impl FromStr for ReportFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let path = PathBuf::from(text);
        let extension = path.extension().and_then(|extension| extension.to_str());
        let format = extension.and_then(|extension| extension.parse().ok());
        match format {
            Some(format) => Ok(Self { path, format }),
            None => Err("its name ends in .md, .json or .xml (JUnit)".to_owned()),
        }
    }
}

impl fmt::Display for ReportFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.display().fmt(f)
    }
}

impl Report {
    /// The report, written down.
    pub fn render(&self, format: Format) -> Vec<u8> {
        match format {
            Format::Markdown => markdown::render(self).into_bytes(),
            Format::Json => format!("{:#}\n", self.data).into_bytes(),
            Format::Junit => junit::render(&self.title, &self.suites, None),
        }
    }

    /// Writes the report to these files, and appends it to a GitHub job summary.
    ///
    /// # Errors
    /// The first that cannot be written.
    pub fn write(&self, files: &[ReportFile], job_summary: Option<&Path>) -> Result<(), Failure> {
        let failed = |path: &Path, error: &io::Error| {
            Failure::failed(format!("cannot write {}: {}", path.display(), describe_io(error)))
        };
        for file in files {
            atomic::write(&file.path, &self.render(file.format))
                .map_err(|error| failed(&file.path, &error))?;
        }
        if let Some(path) = job_summary {
            // Others write there too.
            let file = std::fs::File::options().append(true).create(true).open(path);
            file.and_then(|mut file| file.write_all(&self.render(Format::Markdown)))
                .map_err(|error| failed(path, &error))?;
        }
        Ok(())
    }
}

/// How much of a log's end a report has, in bytes.
const TAIL: u64 = 8 << 10;

/// The end of a log of a run, whose path is from the run's directory; nothing where it cannot be read.
fn tail(runs: &Path, run: &RunId, path: &str) -> String {
    let read = || -> Option<Vec<u8>> {
        let mut file = run_log::open_path(runs, run, path).ok()?;
        let size = file.metadata().ok()?.len();
        file.seek(SeekFrom::Start(size.saturating_sub(TAIL))).ok()?;
        let mut bytes = Vec::new();
        file.take(TAIL).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    };
    let bytes = read().unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    // It begins with a whole line.
    let whole = match bytes.len() as u64 == TAIL {
        true => text.split_once('\n').map_or(&*text, |(_, rest)| rest),
        false => &*text,
    };
    whole.to_owned()
}
