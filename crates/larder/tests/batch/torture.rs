//! Runs that are killed, starved, or not alone, at instants that nobody chose.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::Child,
    thread,
    time::{Duration, Instant},
};

use larder_runs::{
    history,
    name::PackageName,
    result::{Origin, Stage},
};
use larder_testkit::{
    mounts::Mount,
    processes::spawn,
    run::{Run, under},
    tools::require,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::support::{Package, Set};

/// A small generator of numbers (SplitMix64), so that a seed says all.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// The name of the package of a number. Sets of one process are few.
fn name(number: usize) -> &'static str {
    Box::leak(format!("p{number}.1").into_boxed_str())
}

fn stem(number: usize) -> &'static str {
    name(number).trim_end_matches(".1")
}

/// So many packages, each of which needs some before it, notes that it is built, and takes a moment. The fourth fails.
fn packages(set: &Set, seed: u64, count: usize) -> Vec<Package> {
    let mut dice = Dice(seed);
    let package = |number: usize| {
        let mut package = Package::new(name(number));
        let needs: BTreeSet<usize> = (0..dice.below(3))
            .filter(|_| number > 0)
            .map(|_| dice.below(number as u64) as usize)
            .collect();
        for need in needs {
            package = package.needs(stem(need), "1");
        }
        let noted = set.noted();
        let package = package
            .line(format!("echo {} >> {}", name(number), noted.display()))
            .line("sleep 0.02")
            .test("test -s {prefix}/share/it");
        if number == 3 { package.line("echo 'p.c:1:1: error: no'; exit 1") } else { package }
    };
    (0..count).map(package).collect()
}

const BATCH: [&str; 4] = ["batch", "--no-sandbox", "-j", "2"];

/// What stands in the end: of each layer its content, of each stage of a package what came of it.
fn standing(set: &Set, count: usize) -> (BTreeMap<String, String>, BTreeSet<String>) {
    let layers = set.layers().into_iter().map(|hash| {
        let record = set.data.layers().join(&hash).join(".larder-layer.json");
        let record: Value = serde_json::from_slice(&fs::read(record).unwrap()).unwrap();
        (hash, record["digest"].to_string())
    });
    let results = (0..count).flat_map(|number| set.latest(name(number))).map(|entry| {
        let result = entry.result;
        let roots: Vec<&str> = result.root_failures.iter().map(|it| it.package.as_str()).collect();
        format!(
            "{} {} {} {:?} {:?} {:?} {:?}",
            result.package,
            result.stage,
            result.category,
            result.build_hash,
            result.dep_hash,
            roots,
            result.error
        )
    });
    (layers.collect(), results.collect())
}

/// All that a process has begun, and what that has begun.
fn descendants(of: u32) -> Vec<i32> {
    let mut parents: Vec<(i32, i32)> = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let Ok(status) = fs::read_to_string(entry.path().join("stat")) else { continue };
        let parent =
            status.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse().ok());
        parents.extend(parent.map(|parent| (id, parent)));
    }
    let mut found = vec![of as i32];
    let mut next = 0;
    while next < found.len() {
        let parent = found[next];
        found.extend(parents.iter().filter(|(_, it)| *it == parent).map(|(id, _)| *id));
        next += 1;
    }
    found
}

/// Kills larder and all that it has begun.
fn kill(mut child: Child) {
    for id in descendants(child.id()) {
        _ = kill_process(Pid::from_raw(id).unwrap(), Signal::KILL);
    }
    child.wait().unwrap();
}

#[test]
fn a_run_killed_at_any_instant_is_resumed() {
    const COUNT: usize = 10;
    let undisturbed = Set::with_file("");
    undisturbed.write(&packages(&undisturbed, 1, COUNT));
    let started = Instant::now();
    undisturbed.larder(&BATCH).ends_with(1);
    let took = started.elapsed();
    // Where builds note that they ran is in their lines, and so in their hashes: the others note it in the same place.
    let (layers, results) = standing(&undisturbed, COUNT);
    let mut dice = Dice(2);
    let mut kills = 0;
    for round in 0..10 {
        let set = Set::with_file("");
        fs::remove_file(undisturbed.noted()).ok();
        set.write(&packages(&undisturbed, 1, COUNT));
        let mut done: Vec<(BTreeSet<String>, BTreeMap<String, usize>)> = Vec::new();
        // The rest takes less and less.
        let mut most = took;
        let mut killed = 0;
        while killed < 5 && most > Duration::from_millis(1) {
            let mut child = spawn(set.command(&BATCH));
            thread::sleep(Duration::from_micros(dice.below(most.as_micros() as u64)));
            match child.try_wait().unwrap() {
                None => killed += 1,
                Some(_) => most /= 2,
            }
            kill(child);
            let built = set.layers().iter().map(|layer| package_of(&set, layer)).collect();
            done.push((built, undisturbed.tried()));
        }
        kills += killed;
        set.larder(&BATCH).ends_with(1);
        assert_eq!(standing(&set, COUNT), (layers.clone(), results.clone()), "round {round}");
        // Nothing that was built is built again.
        let tried = undisturbed.tried();
        for (built, before) in done {
            for package in built {
                assert_eq!(tried[&package], before[&package], "round {round}: {package}");
            }
        }
        let runs = set.larder(&["runs", "--json"]).ok().events();
        let states: Vec<&str> = runs.iter().map(|run| run["state"].as_str().unwrap()).collect();
        assert!(states.iter().all(|state| ["died", "finished"].contains(state)), "{states:?}");
        assert!(states.contains(&"finished"));
        assert_eq!(fs::read_dir(set.data.root().join("work")).unwrap().count(), 0, "round {round}");
    }
    assert_eq!(kills, 50, "some had always ended before");
}

fn package_of(set: &Set, layer: &str) -> String {
    let record = set.data.layers().join(layer).join(".larder-layer.json");
    let record: Value = serde_json::from_slice(&fs::read(record).unwrap()).unwrap();
    record["package"].as_str().unwrap().to_owned()
}

#[test]
fn two_runs_of_many_packages_do_nothing_twice_and_lose_no_record() {
    const COUNT: usize = 24;
    let set = Set::with_file("");
    set.write(&packages(&set, 3, COUNT));
    let runs = [(); 2].map(|()| spawn(set.command(&BATCH)));
    for run in runs {
        Run::of(run.wait_with_output().unwrap()).ends_with(1);
    }
    assert!(set.tried().values().all(|times| *times == 1), "{:?}", set.tried());
    for number in 0..COUNT {
        let package: PackageName = name(number).parse().unwrap();
        let history = history::read(&set.data.packages(), &package).unwrap();
        assert_eq!(history.broken, 0);
        let of =
            |stage: Stage| history.entries.iter().filter(|it| it.result.stage == stage).count();
        let tests = if set.last(name(number)).starts_with("success") { 2 } else { 0 };
        assert_eq!((of(Stage::Build), of(Stage::Test)), (2, tests), "{package}");
        let own = |it: &&history::Entry| {
            it.result.stage == Stage::Build && it.result.origin == Origin::Built
        };
        assert!(history.entries.iter().filter(own).count() <= 1, "{package}");
    }
}

/// Calls of the system that recording and publishing consist of.
const CALLS: [&str; 5] = ["write", "rename", "fsync", "openat", "mkdir"];

#[test]
fn a_disk_that_fails_now_and_then_leaves_nothing_half_made() {
    if !require("strace") {
        return;
    }
    let mut dice = Dice(4);
    for call in CALLS {
        for _ in 0..2 {
            let set = Set::new(&[Package::new("zlib.1"), Package::new("png.1").needs("zlib", "1")]);
            let nth = 1 + dice.below(60);
            let inject = format!("inject={call}:error=ENOSPC:when={nth}..{}", nth + 2);
            let strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &inject];
            let broken = under(&strace, &set.command(&["batch", "--no-sandbox", "-j", "1"]));
            let run = larder_testkit::run::run(broken);
            let when = format!("{call} {nth}");
            assert!(!run.stderr.contains("panicked"), "{when}: {run:?}");
            // Whatever came of it: the next run finds nothing that is not so.
            let again = set.larder(&["batch", "--no-sandbox"]);
            assert!(again.stderr.contains("2 of 2 packages work"), "{when}: {run:?} {again:?}");
            assert_eq!(set.layers().len(), 2, "{when}");
            set.larder(&["batch", "--no-sandbox"]).ok();
            for package in ["zlib.1", "png.1"] {
                assert_eq!(set.last(package), "success cached", "{when}");
            }
        }
    }
}

#[test]
fn a_full_disk_is_said_and_the_next_run_recovers() {
    let set = Set::new(&[
        Package::new("large.1").line("head -c 6000000 /dev/zero > {prefix}/large"),
        Package::new("small.1"),
    ]);
    let data = set.root.join(".larder");
    {
        let Some(_full) = Mount::tmpfs(&data, "size=3m") else { return };
        // One after the other: while the disk is full, nothing can be recorded of another either.
        let run = set.larder(&["batch", "--no-sandbox", "-j1"]).ends_with(1);
        assert!(
            run.stderr.contains("disk_full") || run.stderr.contains("No space left"),
            "{run:?}"
        );
        assert_eq!(set.last("small.1"), "success built");
    }
    let Some(_roomy) = Mount::tmpfs(&data, "size=64m") else { return };
    set.larder(&["batch", "--no-sandbox"]).ok().says("2 of 2 packages work");
}

#[test]
fn no_more_commands_run_at_once_than_there_are_jobs() {
    for (seed, jobs) in [(5, 1), (6, 2), (7, 3)] {
        let set = Set::with_file("");
        let running = set.outside().join("running");
        fs::create_dir(&running).unwrap();
        let peaks = set.outside().join("peaks");
        // Each notes how many run while it does.
        let step = format!(
            "mkdir {0}/$$; ls {0} | wc -l >> {1}; sleep 0.05; rmdir {0}/$$",
            running.display(),
            peaks.display()
        );
        let mut dice = Dice(seed);
        let packages: Vec<Package> = (0..8)
            .map(|number| {
                let package = Package::new(name(number)).line(step.clone()).test(step.clone());
                match dice.below(2) == 1 && number > 0 {
                    true => package.needs(stem(dice.below(number as u64) as usize), "1"),
                    false => package,
                }
            })
            .collect();
        set.write(&packages);
        set.larder(&["batch", "--no-sandbox", "-j", &jobs.to_string()]).ok();
        let peaks = fs::read_to_string(&peaks).unwrap();
        let peaks: Vec<usize> = peaks.lines().map(|line| line.trim().parse().unwrap()).collect();
        // A test that names no prefix builds once more first.
        assert_eq!(peaks.len(), 8 * 3);
        assert!(peaks.iter().all(|peak| *peak <= jobs), "{jobs} jobs: {peaks:?}");
    }
}

#[test]
fn packages_that_run_several_commands_at_once_share_the_jobs() {
    let set = Set::with_file("");
    let running = set.outside().join("running");
    fs::create_dir(&running).unwrap();
    let peaks = set.outside().join("peaks");
    let step = format!(
        "mkdir {0}/$@-$$$$; ls {0} | wc -l >> {1}; sleep 0.1; rmdir {0}/$@-$$$$",
        running.display(),
        peaks.display()
    );
    let packages: Vec<Package> = (0..6)
        .map(|number| {
            let makefile = format!("all: a b c d\na b c d:\n\t{step}\n");
            set.file(&format!("sources/{}/Makefile", name(number)), &makefile);
            let package = Package::new(name(number)).line("make -s -j{jobs}");
            // The last one has all to itself.
            (0..5).filter(|_| number == 5).fold(package, |it, need| it.needs(stem(need), "1"))
        })
        .collect();
    set.write(&packages);
    set.larder(&["batch", "-j", "3", "--no-sandbox"]).ok();
    let peaks = fs::read_to_string(&peaks).unwrap();
    let peaks: Vec<usize> = peaks.lines().map(|line| line.trim().parse().unwrap()).collect();
    assert_eq!(peaks.len(), 24);
    assert!(peaks.iter().all(|peak| *peak <= 3), "{peaks:?}");
    assert!(peaks[20..].contains(&3), "the last one has all to itself: {peaks:?}");
}

#[test]
fn a_set_of_5000_packages_is_loaded_and_solved() {
    let set = Set::with_file("");
    let packages: Vec<Package> = (0..5000)
        .map(|number| match number {
            0 => Package::new(name(0)),
            _ => Package::new(name(number)).needs(stem(number / 2), "1"),
        })
        .collect();
    set.write(&packages);
    let run = set.larder(&["batch", "--dry-run", "--json"]).ok();
    assert_eq!(run.events().len(), 5000);
}
