//! Results: what a run records of each of its parts.

use std::{fs::File, io::Write};

use larder_runs::{
    Category,
    name::HashName,
    result::{BuildRef, Entry, LogFile, Origin, Stage, StageResult},
    run_log::{LogName, Run},
};

use super::{BatchError, Prepared, attend::Attendance};
use crate::{
    build::{Failure, SOURCES},
    event::{Event, Reporter},
    schedule::{Blocked, TaskId},
    solve::explain::first_line,
    tasks::Part,
};

/// Records the targets for which no versions fit together, each with the explanation as its log.
///
/// # Errors
/// When a result cannot be recorded.
pub fn record_unsolved(
    run: &Run,
    prepared: &Prepared,
    reporter: &dyn Reporter,
) -> larder_runs::Result<()> {
    for (package, compiler, explanation) in prepared.unsolved() {
        let now = run.clock().now();
        let error = first_line(explanation);
        let result = StageResult::success(package.clone(), Stage::Solve, now, now);
        let result = StageResult { compiler: Some(compiler.clone()), ..result };
        let result = result.failed(Category::NoSolution, Some(error));
        let mut log = run.log_writer(&LogName::of(&result))?;
        // A log that cannot be written is not worth more than the line that the result has.
        _ = writeln!(log, "{}", explanation.trim_end());
        let log = Some(log.finish());
        let entry = run.record(StageResult { log, ..result })?;
        reporter.event(&Event::Ended { entry: &entry });
    }
    Ok(())
}

impl Attendance<'_> {
    /// Records that a part cannot be done, for the layer of something that it needs is gone.
    pub(super) fn record_bereft(&self, part: Part, attempt: u32) -> Result<Entry, BatchError> {
        let error = "what it needs was built, and somebody has removed it since".to_owned();
        let result = StageResult { attempt, ..self.blank(part) };
        self.record(result.failed(Category::TransientFailure, Some(error)))
    }

    /// A result of a part, of which no more is known than what it is about.
    pub(super) fn blank(&self, part: Part) -> StageResult {
        let build = self.prepared.builds.get(part.build);
        let now = self.run.clock().now();
        let name = self.name(part);
        StageResult {
            compiler: Some(name.compiler),
            universe: Some(build.universe.clone()),
            solution: Some(build.solution.clone()),
            build_hash: Some(name.build_hash),
            blessed: build.blessed,
            platform: Some(self.prepared.surroundings.platform.clone()),
            attempt: self.first,
            ..StageResult::success(name.package, part.stage, now, now)
        }
    }

    /// The same of a part that failed, with its category: how it ended counts, then what its log says.
    pub(super) fn failed(&self, result: StageResult, failure: &Failure) -> StageResult {
        let exit = failure.exit.filter(|exit| exit.code != Some(0));
        let log = result.log.clone();
        if let Some(category) = &failure.category {
            let result = StageResult { exit, rule: Some("exit".to_owned()), ..result };
            return result.failed(category.clone(), Some(failure.error.clone()));
        }
        let path = log.as_ref().map(|log| self.run.dir().join(&log.path));
        let read = path.and_then(|path| File::open(path).ok());
        let found = read.and_then(|file| {
            self.rules().classify(result.stage, &exit.unwrap_or_default(), file).ok()
        });
        let (category, rule, error, line, offset) = match found {
            Some(found) if found.category != Category::Success => {
                (found.category, Some(found.rule), found.error, found.line, found.offset)
            }
            _ => (fallback(result.stage), None, None, None, None),
        };
        let log = log.map(|log| LogFile { line, offset, ..log });
        let error = error.unwrap_or_else(|| failure.error.clone());
        let hash = result.build_hash.as_ref().map_or("", HashName::as_str);
        let error = without_place(&error, hash);
        StageResult { exit, rule, log, ..result }.failed(category, Some(error))
    }

    /// The result of a part of which what it makes was there already.
    pub(super) fn there(&self, part: Part, dep_hash: HashName) -> StageResult {
        StageResult { dep_hash: Some(dep_hash), origin: Origin::Cached, ..self.blank(part) }
    }

    /// Records that a part came to the same as `before`.
    pub(super) fn record_known(&self, part: Part, before: &StageResult) -> Result<(), BatchError> {
        let result = StageResult {
            dep_hash: before.dep_hash.clone(),
            origin: Origin::Cached,
            ..self.blank(part)
        };
        let result = match before.is_success() {
            true => result,
            false => StageResult {
                rule: before.rule.clone(),
                exit: before.exit,
                ..result.failed(before.category.clone(), before.error.clone())
            },
        };
        self.record(result).map(drop)
    }

    /// Records that a part was not tried. Tests and documentation of what was not built are nobody's news.
    pub(super) fn block(&self, blocked: &Blocked) -> Result<(), BatchError> {
        let part = self.tasks.part(blocked.task);
        if part.stage != Stage::Build {
            self.reporter.event(&Event::Nothing { task: &self.name(part) });
            return Ok(());
        }
        let build = |&task: &TaskId| {
            let name = self.name(self.tasks.part(task));
            BuildRef { package: name.package, build_hash: Some(name.build_hash) }
        };
        let result = StageResult {
            origin: Origin::Skipped,
            failed_dependencies: blocked.by.iter().map(build).collect(),
            root_failures: blocked.roots.iter().map(build).collect(),
            ..self.blank(part).failed(Category::DependencyFailure, None)
        };
        self.record(result).map(drop)
    }

    pub(super) fn record(&self, result: StageResult) -> Result<Entry, BatchError> {
        let entry = self.run.record(result)?;
        self.note(&entry);
        self.reporter.event(&Event::Ended { entry: &entry });
        Ok(entry)
    }
}

/// An error with the paths of sources as the package has them, and not where it was built: that differs with each build,
/// and is gone.
fn without_place(error: &str, hash: &str) -> String {
    let work = format!("work/{hash}");
    let (mut told, mut rest) = (String::new(), error);
    while let Some(at) = rest.find(&work).filter(|_| !hash.is_empty()) {
        let begin = rest[..at].rfind(|c: char| " '\"`‘(:=".contains(c));
        let begin =
            begin.map_or(0, |begin| begin + rest[begin..].chars().next().map_or(1, char::len_utf8));
        let end = at + work.len();
        // The directory may be that of a later stage.
        let sources = format!("/{SOURCES}/");
        let below =
            rest[end..].find(&sources).filter(|below| !rest[end..end + below].contains(['/', ' ']));
        told.push_str(&rest[..if below.is_some() { begin } else { end }]);
        rest = &rest[below.map_or(end, |below| end + below + sources.len())..];
    }
    told + rest
}

/// The category of a failure of which nothing more is known.
fn fallback(stage: Stage) -> Category {
    match stage {
        Stage::Solve => Category::NoSolution,
        Stage::Build => Category::BuildFailure,
        Stage::Test => Category::TestFailure,
        Stage::Doc => Category::DocCompileFailure,
    }
}

#[cfg(test)]
mod tests {
    use super::without_place;

    #[test]
    fn errors_name_sources_as_the_package_has_them() {
        for (error, told) in [
            ("/data/work/abc/src/a/b.c:1:2: error: x", "a/b.c:1:2: error: x"),
            (".larder/data/work/abc/src/a.c:1: no", "a.c:1: no"),
            ("in ‘/d/work/abc.test/src/a.c’ and '/d/work/abc/src/b.c'", "in ‘a.c’ and 'b.c'"),
            ("cannot open -I/d/work/abc/p/include", "cannot open -I/d/work/abc/p/include"),
            ("/d/work/abc/p/x /src/y", "/d/work/abc/p/x /src/y"),
            ("/d/work/other/src/a.c: é", "/d/work/other/src/a.c: é"),
            ("nothing", "nothing"),
        ] {
            assert_eq!(without_place(error, "abc"), told);
        }
        assert_eq!(without_place("work/src/a.c", ""), "work/src/a.c");
    }
}
