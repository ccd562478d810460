//! Which change broke a package: real revisions, real builds.

use std::fs;

use larder_testkit::{git::git, processes::spawn, run::Run, wait::wait_until};
use serde_json::Value;

use super::support::{Package, Set, of_kind};

/// A set in a repository, without commits.
fn repository() -> Set {
    let set = Set::with_file("");
    git(&set.root, &["init", "--quiet", "--initial-branch=main"]);
    set.file(".gitignore", ".larder\n");
    set
}

/// Commits the set as it is with these packages; returns the commit.
fn commit(set: &Set, packages: &[Package], message: &str) -> String {
    set.write(packages);
    git(&set.root, &["add", "--all"]);
    git(&set.root, &["commit", "--quiet", "--message", message]);
    git(&set.root, &["rev-parse", "HEAD"])
}

/// An application that works with version 1.2 of what it needs alone, and notes each time that it is built.
fn picky(set: &Set) -> Package {
    Package::new("app.1.0")
        .needs("zlib", "1")
        .line(format!("echo app.1.0 >> {}", set.noted().display()))
        .line("grep -q 1.2 {prefix:zlib}/share/it || { echo 'app.c:3:5: error: no such function'; exit 1; }")
}

/// A history of six commits, of which the fourth breaks the application; both ends are recorded.
fn broken() -> (Set, Vec<String>) {
    let set = repository();
    let zlib = |version| Package::new(version);
    let mut commits = vec![commit(&set, &[picky(&set), zlib("zlib.1.2")], "begin")];
    set.larder(&["batch", "--no-sandbox"]).ok();
    set.file("sources/app.1.0/README", "edited");
    commits.push(commit(&set, &[picky(&set), zlib("zlib.1.2")], "edit the application"));
    let more = Package::new("other.1.0");
    commits.push(commit(&set, &[picky(&set), zlib("zlib.1.2"), more.clone()], "add another"));
    let newer = [picky(&set), zlib("zlib.1.2"), zlib("zlib.1.3"), more];
    commits.push(commit(&set, &newer, "add zlib 1.3"));
    set.file("sources/app.1.0/README", "edited again");
    commits.push(commit(&set, &newer, "edit the application again"));
    set.file("sources/other.1.0/README", "other");
    commits.push(commit(&set, &newer, "edit the other"));
    set.larder(&["batch", "--no-sandbox"]).ends_with(1);
    (set, commits)
}

fn outcome(run: &Run) -> Value {
    of_kind(&run.events(), "bisected").pop().unwrap_or_else(|| panic!("{run:?}"))
}

const BISECT: [&str; 3] = ["bisect", "app", "--no-sandbox"];

#[test]
fn the_commit_and_the_dependency_that_broke_a_package_are_named() {
    let (set, commits) = broken();
    let standing = || {
        let mut events = set.larder(&["status", "--json"]).ok().events();
        for event in &mut events {
            // It was the last run, and says no more.
            for key in ["runId", "lastRun"] {
                event.as_object_mut().unwrap().remove(key);
            }
        }
        events
    };
    let before = standing();
    let run = set.larder(&BISECT).ok();
    let said = run.stdout.lines().take(2).collect::<Vec<_>>().join("\n");
    assert!(said.starts_with("app was broken by zlib 1.2 → 1.3\n"), "{said}");
    assert!(said.contains(&format!("in {:.12} \"add zlib 1.3\", A, ", commits[3])), "{said}");
    run.mentions(&["works in 3 of 3 before it, fails in 3 of 3 with it"])
        .mentions(&["failure: build_failure", "app.c:3:5: error: no such function"])
        .mentions(&[&format!("git diff {:.12} {:.12}", commits[2], commits[3]), "larder log "]);
    // What was tried is nobody's standing.
    assert_eq!(before, standing());

    // All is recorded now: once more, nothing is built.
    let tried = set.tried();
    let again = set.larder(&["--json", "bisect", "app", "--no-sandbox"]).ok();
    assert_eq!(set.tried(), tried);
    let said = outcome(&again);
    assert_eq!(said["found"], "change", "{said:#}");
    assert_eq!(said["changes"][0]["to"], "zlib.1.3");
    assert_eq!(said["newAttempts"], 0, "{said:#}");
    let attempts = said["attempts"].as_array().unwrap();
    let recorded = attempts.iter().filter(|it| it["recorded"] == true).count();
    assert_eq!(said["recordedAttempts"], recorded);
    let kept = set.data.runs().join(said["runId"].as_str().unwrap()).join("bisect.json");
    let kept: Value = serde_json::from_slice(&fs::read(kept).unwrap()).unwrap();
    assert_eq!(kept["changes"], said["changes"]);
    assert_eq!(kept["schemaVersion"], 1);
    // The log of the failure is there for whoever wants it.
    let command = kept["commands"].as_array().unwrap().iter().find_map(|command| {
        command.as_str().unwrap().strip_prefix("larder ").filter(|it| it.starts_with("log"))
    });
    let command: Vec<&str> = command.unwrap().split(' ').collect();
    set.larder(&command).ok().mentions(&["no such function"]);

    let reports = ["--report", "out.md", "--report", "out.xml", "--report", "out.json"];
    set.larder(&[&BISECT[..], &reports].concat()).ok();
    let read = |name| fs::read_to_string(set.root.join(name)).unwrap();
    let report = read("out.md");
    assert!(report.starts_with("# larder: what broke app\n\napp was broken by zlib 1.2 → 1.3\n"));
    assert!(report.contains("app.c:3:5: error: no such function"), "{report}");
    let junit = read("out.xml");
    assert!(junit.contains("<failure message=\"app was broken by zlib 1.2 → 1.3\""), "{junit}");
    let json: Value = serde_json::from_str(&read("out.json")).unwrap();
    assert_eq!(json["bisection"]["changes"][0]["to"], "zlib.1.3");
}

#[test]
fn ends_can_be_said() {
    let (set, commits) = broken();
    let between = |good: &str, bad: &str| {
        let ends = ["--json", "--good", good, "--bad", bad];
        set.larder(&[&BISECT[..], &ends].concat())
    };
    assert_eq!(outcome(&between(&commits[1], &commits[4]).ok())["changes"][0]["name"], "zlib");
    assert_eq!(outcome(&between("HEAD~5", "HEAD~3").ends_with(1))["found"], "works");
    assert_eq!(outcome(&between("HEAD~2", "HEAD").ends_with(1))["found"], "broken-before");
    // What is not committed counts as the last of all.
    git(&set.root, &["reset", "--quiet", "--hard", &commits[1]]);
    set.file("sources/app.1.0/README", "not committed");
    set.write(&[picky(&set).line("exit 3"), Package::new("zlib.1.2")]);
    let run = set.larder(&[&BISECT[..], &["--good", "HEAD"]].concat()).ok();
    run.mentions(&[
        "app was broken by app.1.0: its sources",
        "in what is changed and not committed",
    ]);
}

#[test]
fn revisions_that_cannot_be_read_are_left_out() {
    let set = repository();
    let zlib = |version| Package::new(version);
    let good = commit(&set, &[picky(&set), zlib("zlib.1.2")], "begin");
    set.file("larder-set.toml", "[set]\npackages = 3\n");
    git(&set.root, &["commit", "--quiet", "--all", "--message", "a mistake"]);
    commit(&set, &[picky(&set), zlib("zlib.1.3")], "another zlib");
    let run = set.larder(&[&BISECT[..], &["--good", &good]].concat()).ok();
    run.mentions(&["app was broken by zlib 1.2 → 1.3", "\"a mistake\"", "\"another zlib\""])
        .mentions(&["nothing is known of", "(a mistake): "]);
}

#[test]
fn a_compiler_that_breaks_a_package_is_named() {
    let set = Set::new(&[Package::new("app.1.0").line("case \"$CC\" in *c++*) exit 1;; esac")]);
    set.append("[compiler.\"plus.1\"]\ncc = \"c++\"\ncxx = \"c++\"\n");
    let range = ["bisect", "app.1.0", "--compiler", "cc.1..plus.1"];
    set.larder(&range).ok().mentions(&["app.1.0 was broken by the compiler cc.1 → plus.1"]);
    let run = set.larder(&["bisect", "app", "--compiler", "cc.1..pluss.1"]);
    run.ends_with(2).says("there is no compiler pluss.1 in the set").says("did you mean plus.1");
}

#[test]
fn tests_that_fail_are_looked_for_without_building_again() {
    let set = repository();
    let app = |limit: u32| {
        Package::new("app.1.0")
            .needs("zlib", "1")
            .line(format!("echo app.1.0 >> {}", set.noted().display()))
            .test(format!("test {limit} -gt 3"))
    };
    let good = commit(&set, &[app(5), Package::new("zlib.1.2")], "begin");
    commit(&set, &[app(4), Package::new("zlib.1.2")], "four");
    commit(&set, &[app(3), Package::new("zlib.1.2")], "three");
    let run = set.larder(&[&BISECT[..], &["--good", &good, "--json"]].concat()).ok();
    let said = outcome(&run);
    assert_eq!(said["failure"]["stage"], "test");
    assert_eq!(
        said["points"][said["until"].as_u64().unwrap() as usize]["commit"]["subject"],
        "three"
    );
    assert_eq!((&said["good"]["worked"], &said["bad"]["failed"]), (&5.into(), &5.into()));
    // A test that names no prefix builds once more itself, before its own lines.
    assert!(set.tried()["app.1.0"] <= 3 + 11, "{:?}", set.tried());
}

#[test]
fn a_flaky_package_is_declared_and_nothing_blamed() {
    let set = repository();
    let state = set.outside().join("turn");
    let moody = |version: &'static str| {
        let turn = state.display();
        let line = format!("if test -e {turn}; then rm {turn}; exit 1; else touch {turn}; fi");
        [Package::new("app.1.0").needs("zlib", "1").line(line), Package::new(version)]
    };
    let good = commit(&set, &moody("zlib.1.2"), "begin");
    commit(&set, &moody("zlib.1.3"), "another zlib");
    fs::write(&state, "").unwrap();
    let run = set.larder(&[&BISECT[..], &["--good", &good]].concat()).ends_with(1);
    run.mentions(&["app is flaky"]);
}

/// What is not tried, since something that it needs failed, is no evidence each time that this is recorded.
#[test]
fn a_flaky_dependency_is_declared_though_its_failure_was_taken_over() {
    let set = repository();
    let turn = set.outside().join("turn");
    let line = format!("if test -e {0}; then rm {0}; exit 1; else touch {0}; fi", turn.display());
    let packages =
        [Package::new("app.1.0").needs("zlib", "1"), Package::new("zlib.1.2").line(line)];
    commit(&set, &packages, "begin");
    let batch = || set.larder(&["batch", "--no-sandbox"]);
    batch().ok();
    set.file("sources/zlib.1.2/README", "edited");
    commit(&set, &packages, "edit zlib");
    (0..4).for_each(|_| _ = batch().ends_with(1));
    let run = set.larder(&BISECT).ends_with(1);
    run.mentions(&["app is flaky"]);
}

#[test]
fn what_cannot_be_searched_is_refused() {
    let (set, commits) = broken();
    let refuses = |arguments: &[&str], what: &str| {
        let all = [&["bisect"], arguments].concat();
        set.larder(&all).ends_with(2).says(what);
    };
    refuses(&["ap"], "there is no ap in the set");
    refuses(&["app.9"], "the set has app 1.0");
    refuses(&["app", "--good", "nowhere"], "there is no revision `nowhere`");
    refuses(&["app", "--bad", "nowhere"], "there is no revision `nowhere`");
    refuses(&["app", "--compiler", "gcc"], "gcc");
    refuses(&["app", "--good", &commits[4], "--bad", &commits[1]], "not in the history");
    let runs = set.larder(&["runs", "--json"]).ok().events().len();
    assert_eq!(runs, 2, "none of these began a run");
    let new = repository();
    commit(&new, &[Package::new("app.1.0")], "begin");
    new.larder(&["bisect", "app"])
        .ends_with(2)
        .says("no run has recorded a revision")
        .says("--good REV");
    let alone = Set::new(&[Package::new("app.1.0")]);
    alone.larder(&["bisect", "app"]).ends_with(2).says("is in no Git repository");
    let without = ["bisect", "app", "--good", "HEAD"];
    alone.larder(&without).ends_with(2).says("is in no Git repository");
}

#[test]
fn a_bisection_that_was_killed_goes_on() {
    let (set, _) = broken();
    set.larder(&BISECT).ok();
    let once = set.tried()["app.1.0"];
    let (set, _) = broken();
    let mut child = spawn(set.command(&BISECT));
    let begun = set.tried()["app.1.0"];
    wait_until("it tries something", || set.tried()["app.1.0"] > begun);
    child.kill().unwrap();
    child.wait().unwrap();
    set.larder(&BISECT).ok().mentions(&["app was broken by zlib 1.2 → 1.3"]);
    // What was going on is done once more, and nothing else.
    assert!(set.tried()["app.1.0"] <= once + 1, "{:?}, and {once} undisturbed", set.tried());
    set.larder(&["runs"]).ok().mentions(&["died", "finished"]);
}
