//! Where the time of a build went.

use std::{collections::BTreeMap, fs};

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

/// The spans of each track but that of the build as a whole: beginning, end, category.
fn slots(events: &Value) -> BTreeMap<u64, Vec<(f64, f64, String)>> {
    let mut slots = BTreeMap::new();
    for event in events["traceEvents"].as_array().unwrap() {
        let track = event["tid"].as_u64().unwrap();
        if event["ph"] == "X" && track > 0 {
            let start = event["ts"].as_f64().unwrap();
            let end = start + event["dur"].as_f64().unwrap();
            let spans: &mut Vec<_> = slots.entry(track).or_default();
            spans.push((start, end, event["cat"].as_str().unwrap().to_owned()));
        }
    }
    slots
}

/// The build's own track covers all of its time; what a slot does nests, and nothing else is done in it meanwhile.
#[track_caller]
fn adds_up(events: &Value, wall: f64, most: usize) {
    let whole = union(events, |event| event["tid"] == 0);
    assert!((whole - wall).abs() <= (wall * 0.02).max(2.0), "{whole} of {wall} ms");
    let slots = slots(events);
    assert!((1..=most).contains(&slots.len()), "{} slots of {most}", slots.len());
    for (slot, spans) in &slots {
        let mut open: Vec<f64> = Vec::new();
        for (start, end, kind) in spans {
            while open.last().is_some_and(|end| end <= start) {
                open.pop();
            }
            let around = open.last().copied().unwrap_or(f64::MAX);
            // Both ends are rounded.
            assert!(*end <= around + 0.01, "{kind} in slot {slot} ends {end}, after {around}");
            open.push(*end);
        }
        assert!(spans.iter().all(|(start, end, _)| *start >= 0.0 && *end / 1000.0 <= wall + 2.0));
    }
}

#[test]
fn spans_cover_the_time_of_a_build() {
    let project = chain();
    project.file("src/a.c", "int a(void) { return 1; }\n");
    project.file("src/b.c", "int a(void);\nint main(void) { return a() - 1; }\n");
    let manifest = project.read("larder.toml");
    project
        .file("larder.toml", manifest + "[[executable]]\nname = \"x\"\nsources = [\"src/*.c\"]\n");
    for (slots_of, most) in [("-j1", 1), ("-j2", 2), ("-j4", 4)] {
        project.forget();
        let (events, wall) = traced(&project, &[slots_of, "--no-cache"]);
        assert!(wall > 900.0, "{wall}");
        adds_up(&events, wall, most);
        let commands = slots(&events).into_values().flatten();
        let commands = commands.filter(|(.., kind)| kind == "execute").count();
        assert_eq!(commands, 7, "{slots_of}: four commands, two objects and a link");
        let run = union(&events, |event| event["cat"] == "execute");
        assert!(run > 900.0 && run < wall, "{run} of {wall}");
        for kind in ["plan", "build", "examine", "execute", "record", "store"] {
            assert!(union(&events, |event| event["cat"] == kind) > 0.0, "{kind}");
        }
        let names: Vec<&Value> = events["traceEvents"].as_array().unwrap().iter().collect();
        let names = names.iter().filter(|event| event["name"] == "thread_name");
        let names: Vec<&str> = names.map(|event| event["args"]["name"].as_str().unwrap()).collect();
        assert_eq!(names[..2], ["larder", "slot 1"]);
    }
    let (events, wall) = traced(&project, &["-j2"]);
    adds_up(&events, wall, 2);
    assert_eq!(union(&events, |event| event["cat"] == "execute"), 0.0, "replayed");
    project.forget();
    project.larder(&["build"]).ok();
    project.forget();
    let (events, wall) = traced(&project, &["-j2"]);
    adds_up(&events, wall, 2);
    assert!(union(&events, |event| event["cat"] == "restore") > 0.0);
    assert_eq!(union(&events, |event| event["cat"] == "execute"), 0.0, "restored");
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
    // What editors get is no part of the build.
    project.larder(&["compdb"]).ok();
    assert_eq!(summary(&[])["saved"], replayed["saved"]);
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
