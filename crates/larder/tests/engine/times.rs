//! Where the time of a build went.

use std::fs;

use larder_testkit::project::Project;
use serde_json::Value;

/// A chain of three commands that take as long as it takes to see, and one beside it.
fn chain() -> Project {
    let command = |name: &str, needs: &str, pause: &str| {
        format!(
            "[[command]]\nname = \"{name}\"\ninputs = [{needs}]\noutputs = [\"{name}\"]\nrun = [\"sh\", \"-c\", \"sleep {pause}; : > $0\", \"{{out}}\"]\n"
        )
    };
    Project::cached(
        &[
            command("one", "", "0.3"),
            command("two", "\"{one}\"", "0.3"),
            command("beside", "\"{one}\"", "0.01"),
            command("three", "\"{two}\", \"{beside}\"", "0.3"),
        ]
        .concat(),
    )
}

fn traced(project: &Project, arguments: &[&str]) -> (Value, f64) {
    let file = project.path("events.json");
    let trace = ["build", "--json", "--trace-events", file.to_str().unwrap()];
    let run = project.larder(&[&trace, arguments].concat()).ok();
    let finished = run.events().pop().unwrap();
    let events = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    (events, finished["milliseconds"].as_f64().unwrap())
}

/// How long the union of the spans is that count, in milliseconds.
fn union(events: &Value, counts: impl Fn(&Value) -> bool) -> f64 {
    let spans = events["traceEvents"].as_array().unwrap().iter();
    let mut spans: Vec<(f64, f64)> = spans
        .filter(|event| event["ph"] == "X" && counts(event))
        .map(|event| (event["ts"].as_f64().unwrap(), event["dur"].as_f64().unwrap()))
        .map(|(start, took)| (start, start + took))
        .collect();
    spans.sort_by(|a, b| a.partial_cmp(b).unwrap());
    let (mut sum, mut at) = (0.0, f64::MIN);
    for (start, end) in spans {
        sum += (end - start.max(at)).max(0.0);
        at = at.max(end);
    }
    sum / 1000.0
}

#[test]
fn spans_cover_the_time_of_a_build() {
    let project = chain();
    for slots in ["-j1", "-j4"] {
        project.forget();
        let (events, wall) = traced(&project, &[slots, "--no-cache"]);
        assert!(wall > 900.0, "{wall}");
        let all = union(&events, |_| true);
        // Without what is waiting: there is always something at work.
        let work = union(&events, |event| event["cat"] != "wait");
        assert!((all - wall).abs() <= wall * 0.02, "{all} of {wall} ms, {slots}");
        // One slot never waits; several wake each other.
        let idle = if slots == "-j1" { 0.02 } else { 0.2 };
        assert!((work - wall).abs() <= wall * idle, "{work} of {wall} ms, {slots}");
        let run = union(&events, |event| event["cat"] == "execute");
        assert!(run > 900.0 && run < wall, "{run} of {wall}");
        for kind in ["plan", "examine", "execute", "record", "store"] {
            assert!(union(&events, |event| event["cat"] == kind) > 0.0, "{kind}");
        }
        let named = events["traceEvents"].as_array().unwrap().iter();
        let lanes = named.filter(|event| event["name"] == "thread_name").count();
        assert!(if slots == "-j1" { lanes <= 2 } else { (2..=5).contains(&lanes) }, "{lanes}");
    }
    project.forget();
    project.larder(&["build"]).ok();
    project.forget();
    let (events, _) = traced(&project, &[]);
    assert!(union(&events, |event| event["cat"] == "restore") > 0.0);
    assert_eq!(union(&events, |event| event["cat"] == "execute"), 0.0);
    for bad in [".", "larder.toml/x"] {
        let run = project.larder(&["build", "--trace-events", bad]).ends_with(1);
        assert!(run.stderr.contains(&format!("cannot write {bad}: ")), "{}", run.stderr);
    }
}

#[test]
fn the_summary_names_the_steps_that_decided_it_and_what_was_saved() {
    let project = chain();
    let said = project.larder(&["build", "--summary", "-j4"]).ok().stderr;
    let path = said.lines().skip_while(|line| !line.starts_with("critical path: ")).skip(1);
    let steps: Vec<&str> = path.map_while(|line| line.strip_prefix("  ")).collect();
    let names: Vec<&str> = steps.iter().map(|line| line.rsplit(' ').next().unwrap()).collect();
    assert_eq!(names, ["one", "two", "three"], "{said}");
    assert!(!said.contains("saved"), "{said}");
    let summary = |arguments: &[&str]| {
        let run = project.larder(&[&["build", "--summary", "--json"], arguments].concat()).ok();
        run.events().into_iter().find(|event| event["event"] == "summary").unwrap()
    };
    let replayed = summary(&[]);
    assert_eq!(replayed["saved"]["steps"], 4, "{replayed}");
    assert_eq!(replayed["saved"]["knownSteps"], 4);
    assert!(replayed["saved"]["milliseconds"].as_u64().unwrap() >= 900, "{replayed}");
    assert_eq!(replayed["criticalPath"], serde_json::json!([]));
    project.forget();
    let restored = summary(&[]);
    assert_eq!(restored["saved"], replayed["saved"], "from the store");
    // A record from before says nothing of it.
    let trace = project.output("two.trace");
    let mut record: Value = serde_json::from_slice(&fs::read(&trace).unwrap()).unwrap();
    record.as_object_mut().unwrap().remove("milliseconds").unwrap();
    fs::write(&trace, record.to_string()).unwrap();
    project.remove(".larder/index");
    let said = project.larder(&["build", "--summary"]).ok().stderr;
    assert!(said.contains(": 4 steps replayed or restored; how long is known of 3\n"), "{said}");
    // How long something took is no part of what was made.
    let file = project.path("mappings");
    project.larder(&["build", "-o", file.to_str().unwrap()]).ok();
    assert!(!fs::read_to_string(file).unwrap().contains("milliseconds"));
}
