//! Reports of runs: for people, for programs, for CI services.

use std::fs;

use larder_testkit::run::run;
use serde_json::Value;

use super::support::{Package, Set};

/// A set of which something works, fails, is blocked, has no solution, and works the second time; what fails says
/// something that would be a link, a picture and a script.
fn mixed() -> Set {
    let set = Set::with_file("");
    let state = set.outside().join("second");
    let rainy = format!(
        "test -e {0} || {{ touch {0}; echo 'curl: (6) Could not resolve host: x'; exit 6; }}",
        state.display()
    );
    let hostile = "echo 'error: <script>alert(1)</script> [x](http://evil) ![](a) | @all `b`' >&2";
    set.write(&[
        Package::new("good.1.0"),
        Package::new("bad.1.0").line(hostile).line("exit 3"),
        Package::new("user.1.0").needs("bad", "1"),
        Package::new("lost.1.0").needs("good", "7"),
        Package::new("rainy.1.0").line(rainy),
        Package::new("tested.1.0").test("echo 'FAIL: one'").test("false"),
    ]);
    set
}

/// What is not the same in each run.
fn filtered(set: &Set, text: &str) -> String {
    let run = set.last_run();
    let text = text.replace(&run, "RUN").replace(set.root.to_str().unwrap(), "SET");
    let mut filtered = String::new();
    for line in text.lines() {
        let facts = ["| started |", "| by |", "| command |", "| larder |", "| ended |", "| set |"];
        if facts.iter().any(|fact| line.starts_with(fact)) {
            continue;
        }
        let line = match line.split_once(" in ") {
            Some((before, after)) if after.ends_with(" s") => format!("{before} in TIME"),
            _ => line.to_owned(),
        };
        filtered += &(line + "\n");
    }
    filtered
}

#[test]
fn a_run_is_reported_for_people_programs_and_services() {
    let set = mixed();
    let files = ["--report", "out.md", "--report", "out.json", "--report", "out.xml"];
    let summary = set.outside().join("summary");
    fs::write(&summary, "before\n").unwrap();
    let arguments = [&["batch", "--no-sandbox"], &files[..]].concat();
    let mut command = set.command(&arguments);
    command.env("GITHUB_STEP_SUMMARY", &summary);
    run(command)
        .ends_with(1)
        .says("3 of 6 packages work (1 fail, 1 blocked, 1 without a solution), 1 test failed in");

    let markdown = fs::read_to_string(set.root.join("out.md")).unwrap();
    insta::assert_snapshot!(filtered(&set, &markdown));
    let told = fs::read_to_string(&summary).unwrap();
    assert_eq!(told, format!("before\n{markdown}"));

    let json: Value =
        serde_json::from_str(&fs::read_to_string(set.root.join("out.json")).unwrap()).unwrap();
    assert_eq!((&json["schemaVersion"], &json["report"]), (&1.into(), &"run".into()));
    let results = json["results"].as_array().unwrap();
    assert_eq!(results.len() as u64, json["run"]["summary"]["results"].as_u64().unwrap());

    let xml = fs::read_to_string(set.root.join("out.xml")).unwrap();
    // Seven cases: six packages, one of them with a test, which has two results.
    assert!(xml.contains("tests=\"7\" failures=\"3\" errors=\"0\" skipped=\"1\""), "{xml}");
    assert!(xml.contains("<flakyFailure message=\"curl: (6) Could not"), "{xml}");
    assert!(xml.contains("<skipped message=\"blocked by bad.1.0\"/>"), "{xml}");
    assert!(xml.contains("&lt;script&gt;") && !xml.contains("<script>"), "{xml}");
    assert_eq!(xml.matches("<testcase ").count(), 7, "{xml}");

    // Later, the same is had of the run's records.
    let again = set.larder(&["runs", "report"]).ok().stdout;
    assert_eq!(again, markdown);
    let id = set.last_run();
    assert_eq!(set.larder(&["runs", "report", &id, "--format", "junit"]).ok().stdout, xml);
}

#[test]
fn a_report_needs_a_format_and_a_place() {
    let set = Set::new(&[Package::new("good.1.0")]);
    for file in ["out", "out.txt", "out.MD"] {
        let said = set.larder(&["batch", "--report", file]).ends_with(2);
        assert!(said.stderr.contains(".md, .json or .xml"), "{}", said.stderr);
    }
    set.larder(&["runs", "report", "--format", "html"]).ends_with(2);
    set.larder(&["batch", "--report", "larder-set.toml/out.md"])
        .ends_with(1)
        .says("cannot write larder-set.toml/out.md");
    // The run itself is recorded.
    set.larder(&["runs", "report", "latest"]).ok();
    assert_eq!(set.last("good.1.0"), "success built");
    set.larder(&["runs", "report", "2020-01-01-000000"]).ends_with(1);
}

/// What changed is in the report of the run that changed it.
#[test]
fn a_regression_is_reported() {
    let set = Set::new(&[Package::new("lib.1.0"), Package::new("app.1.0").needs("lib", "1")]);
    set.larder(&["batch"]).ok();
    set.write(&[Package::new("lib.1.0").line("exit 1"), Package::new("app.1.0").needs("lib", "1")]);
    set.larder(&["batch", "--report", "out.md"]).ends_with(1);
    let report = fs::read_to_string(set.root.join("out.md")).unwrap();
    let changed = report.split("## What changed").nth(1).unwrap();
    let changed = changed.split("## ").next().unwrap();
    assert!(
        changed.contains("| lib.1.0 | build | success | failure | build_failure |"),
        "{report}"
    );
    assert!(
        changed.contains("| app.1.0 | build | success | failure | dependency_failure |"),
        "{report}"
    );
}

#[test]
fn a_comparison_is_reported_later_as_when_it_ended() {
    let set = Set::new(&[Package::new("app.1.0").line("! grep -q bad README")]);
    set.commit();
    set.file("sources/app.1.0/README", "bad");
    set.commit();
    let compare = ["batch", "--compare", "HEAD~1", "HEAD", "--report"];
    for (file, format) in [("out.md", "markdown"), ("out.json", "json"), ("out.xml", "junit")] {
        set.larder(&[&compare[..], &[file]].concat()).ends_with(1);
        let report = fs::read_to_string(set.root.join(file)).unwrap();
        assert!(report.contains("app.1.0"), "{report}");
        let again = set.larder(&["runs", "report", "latest", "--format", format]).ok().stdout;
        assert_eq!(again, report);
    }
}
