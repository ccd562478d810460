//! `--compare`: what a change does to each package.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read},
};

use larder_testkit::{
    processes::{send, spawn},
    run::Run,
    wait::wait_until,
};
use rustix::process::Signal;
use serde_json::Value;

use super::support::{Package, Set, counts_up, of_kind};

/// What `--compare` found out, as the run's directory has it.
pub fn outcome(set: &Set, run: &Run) -> Value {
    let said = of_kind(&run.events(), "compared");
    let path = set.data.runs().join(said[0]["runId"].as_str().unwrap()).join("compare.json");
    let kept: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    assert_eq!(kept["packages"], said[0]["packages"], "what is said is what is kept");
    kept
}

/// The verdicts by package.
pub fn verdicts(outcome: &Value) -> BTreeMap<&str, &str> {
    let packages = outcome["packages"].as_array().unwrap();
    packages
        .iter()
        .map(|it| (it["package"].as_str().unwrap(), it["verdict"].as_str().unwrap()))
        .collect()
}

/// Checks that counts and evidence are those of what the run recorded.
pub fn adds_up(set: &Set, outcome: &Value) {
    let counts = &outcome["counts"];
    let parts = ["regressed", "fixed", "flaky", "unknown", "brokenBefore", "same"];
    let sum: u64 = parts.iter().map(|part| counts[part].as_u64().unwrap()).sum();
    let packages = outcome["packages"].as_array().unwrap();
    assert_eq!(counts["total"], sum);
    assert_eq!(packages.len() as u64, sum);
    let run = set.data.runs().join(outcome["runId"].as_str().unwrap());
    let results = fs::read_to_string(run.join("results.jsonl")).unwrap();
    let results: Vec<Value> =
        results.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let weather = ["network", "disk_full", "killed", "transient_failure", "dependency_failure"];
    for side in packages.iter().flat_map(|it| [&it["base"], &it["candidate"]]) {
        let of: Vec<&Value> =
            results.iter().filter(|it| it["buildHash"] == side["buildHash"]).collect();
        let tested = of.iter().any(|it| it["stage"] == "test");
        let worked =
            of.iter().filter(|it| it["status"] == "success" && (it["stage"] == "test" || !tested));
        let failed = of.iter().filter(|it| {
            it["status"] == "failure" && !weather.contains(&it["category"].as_str().unwrap())
        });
        assert_eq!(side["worked"], worked.count(), "{side}");
        assert_eq!(side["failed"], failed.count(), "{side}");
        if let Some(log) = side["log"].as_str() {
            assert!(run.join(log).is_file(), "{log}");
        }
    }
}

/// A line that fails in this attempt of the build, counted from 1, and in every `every`th after it.
fn now_and_then(set: &Set, name: &str, first: u32, every: u32) -> String {
    let count = set.outside().join(format!("{name}.count"));
    format!(
        "n=1; while ! mkdir {0}.$n 2>/dev/null; do n=$((n + 1)); done; \
         test $n -lt {first} || test $((($n - {first}) % {every})) != 0",
        count.display()
    )
}

/// A line that fails once, on the side whose sources have this word: several may run at a time.
fn once(set: &Set, name: &str, word: &str) -> String {
    let mark = set.outside().join(format!("{name}.once"));
    let mark = mark.display();
    format!("if grep -q {word} README && ! test -e {mark}; then touch {mark}; exit 1; fi")
}

/// A line that fails the first time as if the machine had.
fn at_first(set: &Set, name: &str, message: &str) -> String {
    let mark = set.outside().join(format!("{name}.mark"));
    let mark = mark.display();
    format!("if ! test -e {mark}; then touch {mark}; echo '{message}'; exit 1; fi")
}

const GCC: &str = "[compiler.\"gcc.1\"]\ncc = \"gcc\"\ncxx = \"g++\"\n";

/// Packages that work or fail with one compiler, or now and then.
fn with_compilers() -> Set {
    let set = Set::with_file("");
    let with = |name, line: &str| Package::new(name).line(line);
    let no_gcc = "case \"$CC\" in gcc*) e=error; echo \"x.c:1:1: $e: no gcc\"; exit 1;; esac";
    let no_cc = "case \"$CC\" in cc*) e=error; echo \"x.c:1:1: $e: gcc only\"; exit 1;; esac";
    set.write(&[
        Package::new("plain.1.0"),
        with("worse.1.0", no_gcc),
        Package::new("worsetest.1.0").needs("plain", "1").test(no_gcc),
        with("better.1.0", no_cc),
        with("broken.1.0", "echo 'x.c:2:1: error: never'; exit 1"),
        Package::new("user.1.0").needs("worse", "1"),
        Package::new("flaky.1.0").line(now_and_then(&set, "flaky", 2, 3)),
        Package::new("never.1.0").needs("plain", "9"),
        Package::new("only.1.0"),
    ]);
    let file = fs::read_to_string(set.root.join("larder-set.toml")).unwrap();
    let file = file
        .replace("[package.\"only.1.0\"]\n", "[package.\"only.1.0\"]\ncompilers = [\"cc.1\"]\n");
    set.file("larder-set.toml", &(file + GCC));
    set
}

#[test]
fn two_compilers_are_compared() {
    let set = with_compilers();
    let arguments = ["batch", "--no-sandbox", "-j", "1", "--compare", "cc.1", "gcc.1"];
    let run = set.larder(&[&arguments[..], &["--json"]].concat()).ends_with(1);
    let outcome = outcome(&set, &run);
    adds_up(&set, &outcome);
    assert_eq!(
        verdicts(&outcome),
        BTreeMap::from([
            ("plain.1.0", "same"),
            ("worse.1.0", "regressed"),
            ("worsetest.1.0", "regressed"),
            ("better.1.0", "fixed"),
            ("broken.1.0", "broken-before"),
            ("user.1.0", "unknown"),
            ("flaky.1.0", "flaky"),
            ("never.1.0", "broken-before"),
        ])
    );
    assert_eq!(outcome["removed"][0]["package"], "only.1.0");
    assert_eq!(outcome["packages"][0]["base"]["worked"], 10);
    assert_eq!(outcome["packages"][0]["candidate"]["failed"], 10);
    // Every attempt has its log; what was tried again was published nowhere.
    let logs = set.data.runs().join(outcome["runId"].as_str().unwrap()).join("logs/worse.1.0");
    assert_eq!(fs::read_dir(logs).unwrap().count(), 20, "ten attempts each");
    assert!(fs::read_dir(set.data.root().join("trials")).unwrap().next().is_none());

    // It says nothing of how packages stand, and what it tried is nobody's result but its own.
    set.larder(&["status", "--json"]).ok();
    let history = set.larder(&["history", "worse", "--json"]).ok().events();
    assert!(history.iter().all(|entry| entry["kind"] == "compare"));
    let reports = ["--report", "out.md", "--report", "out.xml", "--report", "out.json"];
    let again = set.larder(&[&arguments[..], &reports].concat()).ends_with(1);
    insta::assert_snapshot!(again.stdout);
    let read = |name| fs::read_to_string(set.root.join(name)).unwrap();
    let report = read("out.md").replace(&set.last_run(), "RUN");
    insta::assert_snapshot!("report", report.split("<details>").next().unwrap());
    assert!(report.contains("<summary>worse.1.0: end of the log</summary>"), "{report}");
    let junit = read("out.xml");
    assert!(junit.contains("tests=\"8\" failures=\"2\" errors=\"0\" skipped=\"3\""), "{junit}");
    assert_eq!(junit.matches("<flakyFailure ").count(), 1, "{junit}");
    let json: serde_json::Value = serde_json::from_str(&read("out.json")).unwrap();
    assert_eq!(json["comparison"]["counts"]["regressed"], 2);
    again.says("2 regressed, 1 fixed, 1 flaky, 1 unknown, 2 broken before and 1 the same of 8");
}

#[test]
fn one_compiler_has_no_regressions_in_itself() {
    let set = with_compilers();
    let wrong =
        |sides: [&str; 2]| set.larder(&["batch", "--compare", sides[0], sides[1]]).ends_with(2);
    wrong(["cc.1", "cc.1"]).says("both sides are cc.1");
    wrong(["cc.1", "cc.9"]).says("cc.1 is a compiler of the set, and `cc.9` is not");
    wrong(["cc.8", "cc.9"])
        .says("`cc.8` is neither a compiler nor a revision of the set")
        .says("the compilers of the set are cc.1, gcc.1");
    set.commit();
    wrong(["HEAD", "cc.9"]).says("`cc.9` is neither");
    set.larder(&["batch", "--compare", "cc.1"]).ends_with(2);
    set.larder(&["batch", "--compare", "a", "b", "--since", "c"]).ends_with(2);
    assert!(!set.data.runs().exists());
    set.larder(&["batch", "--compare", "cc.1", "gcc.1", "nothing"])
        .ends_with(2)
        .says("there is no");
}

#[test]
fn a_package_counts_with_each_compiler_that_is_no_side() {
    let set = with_compilers();
    let same = format!("plain={}", set.root.join("sources/plain.1.0").display());
    let run = set.larder(&["batch", "--dry-run", "--what-if", &same]).ok();
    run.says("0 of 17 packages (each compiler counted) may differ");
}

#[test]
fn what_a_comparison_tried_is_nobody_elses_result() {
    let set = with_compilers();
    let arguments = ["--no-sandbox", "--json", "-j", "1", "worse"];
    let origins = |command: &[&str]| -> Vec<String> {
        let run = set.larder(&[command, &arguments].concat()).ends_with(1);
        let results = of_kind(&run.events(), "result");
        let of_gcc = results.iter().filter(|it| it["compiler"] == "gcc.1");
        of_gcc.map(|it| it["origin"].as_str().unwrap().to_owned()).collect()
    };
    let compare = ["batch", "--compare", "cc.1", "gcc.1"];
    assert_eq!(origins(&compare), ["built"; 10]);
    assert_eq!(origins(&["batch"]), ["built"], "it is tried though a comparison saw it fail");
    assert_eq!(origins(&["batch"]), ["cached"]);
    assert_eq!(origins(&compare)[0], "cached", "a comparison believes what was recorded");
}

#[test]
fn a_comparison_that_was_killed_leaves_nothing_that_counts() {
    let set = Set::with_file("");
    let (noted, gate) = (set.noted(), set.outside().join("gate"));
    // Both sides are tried at first; the third attempt is one of a trial.
    set.write(&[judged("gated.1.0").line(format!("echo gated.1.0 >> {}", noted.display())).line(
        format!(
            "test $(wc -l < {}) -lt 2 || while test -e README && ! test -e {}; do sleep 0.05; done",
            noted.display(),
            gate.display()
        ),
    )]);
    set.commit();
    set.file("sources/gated.1.0/README", "bad");
    set.commit();
    let arguments = ["batch", "--no-sandbox", "-j", "1", "--compare", "HEAD~1", "HEAD"];
    let mut child = spawn(set.command(&arguments));
    wait_until("a trial runs", || set.tried().get("gated.1.0") == Some(&2));
    child.kill().unwrap();
    child.wait().unwrap();
    let layers = set.layers();
    assert_eq!(layers.len(), 1, "that of the first attempt");
    fs::write(&gate, "").unwrap();
    set.larder(&arguments).ends_with(1).says("1 regressed of 1 package");
    assert_eq!(set.layers(), layers);
    for directory in ["work", "trials"] {
        let left = fs::read_dir(set.data.root().join(directory)).unwrap();
        assert_eq!(left.count(), 0, "nothing is left in {directory}");
    }
    set.larder(&["runs"]).ok().mentions(&["died", "finished"]);
}

/// A package that fails when its sources say so.
fn judged(name: &'static str) -> Package {
    Package::new(name)
        .line("! grep -q bad README || { e=error; echo \"x.c:3:1: $e: bad\"; exit 1; }")
}

#[test]
fn two_revisions_are_compared_whatever_the_weather() {
    let set = Set::with_file("");
    let names = ["r1.1.0", "r2.1.0", "r3.1.0"];
    let steady = ["s1.1.0", "s2.1.0", "s3.1.0", "s4.1.0", "s5.1.0", "s6.1.0"];
    let mut packages: Vec<Package> = names.into_iter().map(judged).collect();
    packages.extend(steady.into_iter().map(|name| judged(name).test("test -d {prefix}")));
    packages.push(judged("fixed.1.0"));
    packages.push(judged("broken.1.0").line("exit 1"));
    packages.push(judged("f1.1.0").line(once(&set, "f1", "f1")));
    packages.push(judged("f2.1.0").line(once(&set, "f2", "good")));
    packages.push(judged("f3.1.0").test(once(&set, "f3", "good")));
    let lost = at_first(&set, "net", "curl: (6) Could not resolve host: example.org");
    packages.push(judged("net.1.0").line(lost));
    let full = at_first(&set, "full", "cp: write error: No space left on device");
    packages.push(judged("full.1.0").line(full));
    packages.push(judged("left.1.0"));
    set.write(&packages);
    set.file("sources/fixed.1.0/README", "bad");
    let base = set.commit();
    // Everything is another build; what it comes to is the same for most.
    for package in names.iter().chain(&["full.1.0"]) {
        set.file(&format!("sources/{package}/README"), "bad");
    }
    for package in steady[..4].iter().chain(&[
        "broken.1.0",
        "f1.1.0",
        "f2.1.0",
        "f3.1.0",
        "net.1.0",
        "fixed.1.0",
    ]) {
        set.file(&format!("sources/{package}/README"), "good");
    }
    packages.pop();
    packages.push(Package::new("new.1.0"));
    set.write(&packages);
    set.commit();
    let arguments =
        ["batch", "--no-sandbox", "--json", "-j", "4", "--compare", base.as_str(), "main"];
    let run = set.larder(&arguments).ends_with(1);
    let outcome = outcome(&set, &run);
    adds_up(&set, &outcome);
    let mut expected: BTreeMap<&str, &str> = BTreeMap::new();
    expected.extend(steady.map(|name| (name, "same")));
    expected.extend(names.map(|name| (name, "regressed")));
    expected.extend(["f1.1.0", "f2.1.0", "f3.1.0"].map(|name| (name, "flaky")));
    expected.extend([
        ("fixed.1.0", "fixed"),
        ("broken.1.0", "broken-before"),
        ("net.1.0", "same"),
        ("full.1.0", "regressed"),
    ]);
    assert_eq!(verdicts(&outcome), expected, "{outcome:#}");
    assert_eq!(outcome["added"][0]["package"], "new.1.0");
    assert_eq!(outcome["removed"][0]["package"], "left.1.0");
    // What is equal on both sides is not built.
    let results = of_kind(&run.events(), "result");
    assert!(!results.iter().any(|it| it["package"] == "s5.1.0" || it["package"] == "s6.1.0"));

    let same = set.larder(&["batch", "--compare", "main", "HEAD"]).ok();
    same.says("0 of 17 packages may differ").says("17 the same of 17 packages");
}

#[test]
fn a_change_that_comes_to_the_same_is_the_same_for_what_needs_it() {
    let set = Set::new(&[Package::new("zlib.1.3"), Package::new("png.1.6").needs("zlib", "1")]);
    set.commit();
    set.file("sources/zlib.1.3/README", "other");
    set.commit();
    let run = set.larder(&["batch", "--json", "-j", "1", "--compare", "HEAD~1", "HEAD"]).ok();
    let outcome = outcome(&set, &run);
    assert_eq!(verdicts(&outcome), BTreeMap::from([("zlib.1.3", "same"), ("png.1.6", "same")]));
    let results = of_kind(&run.events(), "result");
    let png: Vec<&Value> = results.iter().filter(|it| it["package"] == "png.1.6").collect();
    let origins: Vec<&str> = png.iter().map(|it| it["origin"].as_str().unwrap()).collect();
    assert_eq!(origins, ["built", "restored"], "it depends on just the same");
}

#[test]
fn what_has_failed_once_fails_for_whatever_depends_on_the_same() {
    let set = Set::with_file("");
    let note = format!("echo png.1.6 >> {}", set.noted().display());
    set.write(&[
        Package::new("zlib.1.3"),
        Package::new("png.1.6").needs("zlib", "1").line(note).line("exit 1"),
    ]);
    set.commit();
    set.file("sources/zlib.1.3/README", "other");
    set.commit();
    let arguments = ["batch", "--no-sandbox", "-j", "1", "--compare", "HEAD~1", "HEAD"];
    set.larder(&arguments).ok().says("2 the same of 2 packages");
    assert_eq!(set.tried()["png.1.6"], 1);
}

#[test]
fn an_interrupted_comparison_goes_on() {
    let set = Set::with_file("");
    let (noted, gate) = (set.noted(), set.outside().join("gate"));
    let note = |name: &str| format!("echo {name} >> {}", noted.display());
    set.write(&[
        judged("before.1.0").line(note("before.1.0")),
        judged("gated.1.0").needs("before", "1").line(note("gated.1.0")).line(format!(
            "while test -e README && ! test -e {}; do sleep 0.05; done",
            gate.display()
        )),
    ]);
    set.commit();
    set.file("sources/gated.1.0/README", "bad");
    set.commit();
    let arguments = ["batch", "--no-sandbox", "-j", "1", "--compare", "HEAD~1", "HEAD"];
    let child = spawn(set.command(&arguments));
    wait_until("its build runs", || set.tried().contains_key("gated.1.0"));
    send(&child, Signal::INT);
    send(&child, Signal::TERM);
    Run::of(child.wait_with_output().unwrap()).ends_with(130);
    let mut runs = fs::read_dir(set.data.runs()).unwrap().map(|run| run.unwrap().path());
    assert!(runs.all(|run| !run.join("compare.json").exists()), "nothing was found out");
    fs::write(&gate, "").unwrap();
    let run = set.larder(&arguments).ends_with(1);
    let run = run.says("1 regressed and 1 the same of 2 packages");
    counts_up(&run);
    run.mentions(&["attempt 2: failed gated.1.0 with cc.1"]);
    assert_eq!(set.tried()["before.1.0"], 1);
}

#[test]
fn the_first_interrupt_of_a_comparison_finishes_what_is_running() {
    let set = Set::with_file("");
    let (noted, gate) = (set.noted(), set.outside().join("gate"));
    let slow = judged("gated.1.0")
        .line(format!("echo gated.1.0 >> {}", noted.display()))
        .line(format!("while ! test -e {}; do sleep 0.05; done", gate.display()));
    set.write(&[slow, Package::new("later.1.0").needs("gated", "1")]);
    set.commit();
    set.file("sources/gated.1.0/README", "bad");
    set.commit();
    let arguments = ["batch", "--no-sandbox", "-j", "1", "--compare", "HEAD~1", "HEAD"];
    let mut child = spawn(set.command(&arguments));
    wait_until("its build runs", || set.tried().contains_key("gated.1.0"));
    send(&child, Signal::INT);
    // It has heard of it; only now may the package go on.
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut before = String::new();
    while !before.contains("stopping") {
        assert_ne!(said.read_line(&mut before).unwrap(), 0, "{before}");
    }
    fs::write(&gate, "").unwrap();
    let mut output = child.wait_with_output().unwrap();
    said.read_to_end(&mut output.stderr).unwrap();
    Run::of(output).ends_with(130).says("interrupted");
    set.larder(&["runs"]).ok().mentions(&["interrupted"]);
    assert_eq!(set.tried()["gated.1.0"], 1);
}
