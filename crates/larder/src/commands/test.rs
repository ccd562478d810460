//! `test`.

use std::path::{Path, PathBuf};

use clap::Args;
use larder_engine::{
    build::BuildReport,
    testing::{TestCounts, TestOptions, TestRequest},
};
use larder_project::{age::Age, pattern::TargetPattern};
use larder_trace::{atomic, describe_io};
use serde_json::json;

use super::{
    App,
    build::{BuildOptions, load, request, run, summarize},
};
use crate::{
    exit::{Exit, Failure},
    report::{junit, of_tests},
};

/// Build and run tests
#[derive(Args)]
pub struct Test {
    /// Tests, [@PACKAGE/]NAME; both may be globs [default: all of the package's tests]
    #[arg(value_name = "TEST")]
    tests: Vec<TargetPattern>,
    /// Further arguments for tests that are executables
    #[arg(last = true, value_name = "ARGUMENT")]
    arguments: Vec<String>,
    /// How many tests may run at once [default: as many as commands]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    test_jobs: Option<u16>,
    /// End a test that takes longer, such as 30s or 5m [default: its `timeout` in the manifest]
    #[arg(long, value_name = "TIME", value_parser = timeout)]
    timeout: Option<Age>,
    /// Run a test that fails up to N times more
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    retries: u16,
    /// Count a test that passed only when it was run again as failed
    #[arg(long, requires = "retries")]
    fail_flaky: bool,
    /// Do not run tests again that passed and whose inputs have not changed
    #[arg(long)]
    cached: bool,
    /// Keep the directories that failing tests ran in
    #[arg(long)]
    keep: bool,
    /// Write the results to FILE as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Build the tests and do not run them
    #[arg(long, conflicts_with_all = ["junit", "list"])]
    no_run: bool,
    /// List the tests, and build nothing
    #[arg(long)]
    list: bool,
    #[command(flatten)]
    options: BuildOptions,
}

fn timeout(text: &str) -> Result<Age, String> {
    match text.parse::<Age>() {
        Ok(age) if age.duration().is_zero() => Err("a timeout of no time at all".to_owned()),
        Ok(age) => Ok(age),
        Err(_) => Err("write a number followed by s, m or h, such as 30s".to_owned()),
    }
}

/// Runs `larder test`.
pub fn test(app: &App, arguments: &Test) -> Result<Exit, Failure> {
    if arguments.list {
        return list(app, arguments);
    }
    let mut request = request(app, &[], &arguments.options, arguments.options.mode());
    request.tests = Some(TestRequest {
        which: arguments.tests.clone(),
        no_run: arguments.no_run,
        options: TestOptions {
            arguments: arguments.arguments.clone(),
            timeout: arguments.timeout.as_ref().map(Age::duration),
            retries: arguments.retries,
            at_once: arguments.test_jobs,
            cached: arguments.cached,
            keep: arguments.keep,
        },
    });
    let (report, exit) = run(app, &arguments.options, &request)?;
    let counts = TestCounts::of(report.tests.iter().map(|(_, tested)| tested.as_ref()));
    let exit = match exit {
        Exit::Done if arguments.fail_flaky && counts.flaky > 0 => Exit::Failed,
        exit => exit,
    };
    summarize(app, &report, exit);
    if let Some(file) = &arguments.junit {
        write(file, &report)?;
    }
    if !arguments.no_run {
        tell(app, &counts);
    }
    Ok(exit)
}

fn list(app: &App, arguments: &Test) -> Result<Exit, Failure> {
    let plan = load(app, &arguments.options)?;
    for id in plan.tests(&arguments.tests)? {
        let target = &*plan.target(id).label;
        app.ui.result(target);
        app.ui.event_json(&json!({ "event": "test", "target": target }));
    }
    Ok(Exit::Done)
}

fn write(file: &Path, report: &BuildReport) -> Result<(), Failure> {
    let suites = of_tests::suites(report);
    atomic::write(file, &junit::render("larder", &suites, Some(report.took))).map_err(|error| {
        Failure::failed(format!("cannot write {}: {}", file.display(), describe_io(&error)))
    })
}

fn tell(app: &App, counts: &TestCounts) {
    let mut event = json!(counts);
    event["event"] = "tests".into();
    app.ui.event_json(&event);
    if counts.total == 0 {
        app.ui.status("there are no tests: give an executable or a command `test = true`");
        return;
    }
    let parts = [
        (counts.passed, "passed"),
        (counts.flaky, "flaky"),
        (counts.cached, "cached"),
        (counts.failed, "failed"),
        (counts.timed_out, "timed out"),
        (counts.not_run, "not run"),
    ];
    let always = |word: &str| matches!(word, "passed" | "failed");
    let parts = parts.iter().filter(|(count, word)| *count > 0 || always(word));
    let parts: Vec<String> = parts.map(|(count, word)| format!("{count} {word}")).collect();
    app.ui.status(&parts.join(", "));
}
