//! `larder cache` as people and jobs call it, against a real S3 server.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use larder_store::{Mappings, Store, verify};
use larder_testkit::{
    git::git,
    machine,
    mounts::Mount,
    run::{Run, run},
    services::{Faults, Proxy, S3},
    stores::{Stored, hash, object},
};

/// A machine that has a work tree and uses a service.
struct Machine(machine::Machine);

impl Machine {
    fn new(s3: std::net::SocketAddr) -> Self {
        let machine = Self(machine::Machine::new());
        machine.configure(s3, 10);
        fs::create_dir(machine.work()).unwrap();
        machine
    }

    fn configure(&self, s3: std::net::SocketAddr, timeout: u64) {
        self.0.uses(s3, timeout);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path(name)
    }

    fn work(&self) -> PathBuf {
        self.path("work")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        self.0.with_key(&self.work(), &[&["cache"], arguments].concat())
    }

    fn run(&self, arguments: &[&str]) -> Run {
        run(self.command(arguments))
    }

    fn succeed(&self, arguments: &[&str]) -> (String, String) {
        let (_, out, err) = self.run(arguments).ok().parts();
        (out, err)
    }

    fn fail(&self, code: i32, arguments: &[&str]) -> String {
        self.run(arguments).ends_with(code).stderr
    }

    /// Puts what was built elsewhere into this machine's store; writes the mappings file.
    fn takes(&self, built: &Stored) {
        let staged = self.path("import");
        larder_store::staging::stage(&built.store, &built.mappings, None, &staged).unwrap();
        self.succeed(&["unstage", staged.to_str().unwrap(), "--package", "pkg"]);
        built.mappings.write(&self.work().join("outputs.jsonl")).unwrap();
        fs::remove_dir_all(staged).unwrap();
    }

    fn store(&self) -> Store {
        self.0.store()
    }

    fn holds(&self, mappings: &Mappings) -> usize {
        self.0.holds(mappings)
    }

    fn git(&self, arguments: &[&str]) {
        git(&self.work(), arguments);
    }

    fn commit(&self, content: &str) {
        fs::write(self.work().join("a.c"), content).unwrap();
        self.git(&["add", "."]);
        self.git(&["commit", "-m", content]);
    }
}

const MANIFEST: &str = "[package]\nname = \"pkg\"\nversion = \"1\"\n";

#[test]
fn a_team_shares_what_it_built() {
    let s3 = S3::start();
    let here = Machine::new(s3.address);
    let built = Stored::new(1, 20, 2000);
    here.takes(&built);
    fs::write(here.work().join("larder.toml"), MANIFEST).unwrap();
    here.git(&["init", "-q"]);
    here.commit("one");
    let (_, said) = here.succeed(&["put", "outputs.jsonl"]);
    assert!(said.contains("20 artifacts sent"), "{said}");
    assert!(!said.contains("warning"), "{said}");
    fs::write(here.work().join("a.c"), "changed").unwrap();
    let (_, said) = here.succeed(&["put", "outputs.jsonl"]);
    assert!(said.contains("not committed") && said.contains("20 already there"), "{said}");
    here.commit("two");
    here.commit("three");

    // Another work tree of the same history, two commits later.
    fs::remove_dir_all(here.path("store")).unwrap();
    let (_, said) = here.succeed(&["get"]);
    assert!(said.contains("got 20 mappings"), "{said}");
    assert_eq!(here.holds(&built.mappings), 20);
    let said = here.fail(1, &["get", "--max-revs", "2"]);
    assert!(said.contains("does not have any of 2 revisions"), "{said}");
    fs::remove_dir_all(here.path("store")).unwrap();
    here.succeed(&["get", "outputs.jsonl"]);
    assert_eq!(here.holds(&built.mappings), 20);

    let (stats, _) = here.succeed(&["--json", "stats"]);
    assert!(stats.contains("\"artifacts\":20"), "{stats}");
    let (services, _) = here.succeed(&["services"]);
    assert_eq!(services, "team  s3://bucket/prefix  default, uploads\n");
    here.succeed(&["clean"]);
    assert!(!here.path("store").exists());
}

#[test]
fn a_job_with_the_key_uploads_what_another_staged() {
    let s3 = S3::start();
    let (building, uploading, using) =
        (Machine::new(s3.address), Machine::new(s3.address), Machine::new(s3.address));
    let built = Stored::new(2, 10, 500);
    building.takes(&built);
    let staged = building.path("staged");
    let staged = staged.to_str().unwrap();
    building.succeed(&["stage", "outputs.jsonl", staged]);
    building.succeed(&["verify", staged]);
    // No manifest, no Git, nothing to run.
    uploading.fail(2, &["put-staged", staged]);
    uploading.fail(2, &["put-staged", staged, "--rev", "v1"]);
    uploading.fail(2, &["put-staged", staged, "--rev", "../v1", "--scope", "pkg"]);
    let place = ["--repo", "owner/pkg", "--toolchain", "gcc:14", "--platform", "linux"];
    let put = [&["put-staged", staged, "--rev", "v1"][..], &place].concat();
    run(uploading.command(&put).env("PATH", "/nonexistent")).ok();
    assert!(
        s3.objects()
            .keys()
            .any(|key| { key == "prefix/revisions/owner/pkg/tc/gcc---14/pt/linux/v1.jsonl" })
    );
    using.succeed(&[&["get", "--rev", "v1", "--package", "pkg"][..], &place].concat());
    assert_eq!(using.holds(&built.mappings), 10);
}

#[test]
fn a_tampered_staging_directory_uploads_nothing() {
    let s3 = S3::start();
    let machine = Machine::new(s3.address);
    machine.takes(&Stored::new(3, 3, 500));
    type Tampering = fn(&Path, &str);
    let tamperings: [(Tampering, &str); 9] = [
        (|d, _| std::os::unix::fs::symlink("/proc/self/environ", d.join("x")).unwrap(), "symbolic"),
        (
            |d, n| replace(d, n, |p| std::os::unix::fs::symlink("/etc/passwd", p).unwrap()),
            "symbolic",
        ),
        (
            |d, _| assert!(Command::new("mkfifo").arg(d.join("f")).status().unwrap().success()),
            "FIFO",
        ),
        (|d, _| fs::create_dir(d.join("sub")).unwrap(), "directory"),
        (|d, _| fs::write(d.join("..x"), "").unwrap(), "not an artifact name"),
        (|d, _| fs::write(d.join(hash(b"x").to_string()), "x").unwrap(), "no mapping"),
        (|d, n| fs::remove_file(d.join(n)).unwrap(), "not in the directory"),
        (|d, n| replace(d, n, |p| fs::write(p, "short").unwrap()), "bytes long"),
        (|d, n| replace(d, n, |p| fs::write(p, object(9, 9, 500)).unwrap()), "hash|bytes long"),
    ];
    for (at, (tamper, reason)) in tamperings.into_iter().enumerate() {
        let staged = machine.path(&format!("staged{at}"));
        machine.succeed(&["stage", "outputs.jsonl", staged.to_str().unwrap()]);
        let listing = fs::read_dir(&staged).unwrap();
        let name = listing
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .find(|name| name.ends_with(".o"))
            .unwrap();
        tamper(&staged, &name);
        let put = ["put-staged", staged.to_str().unwrap(), "--rev", "v1", "--scope", "pkg"];
        let said = machine.fail(1, &put);
        assert!(reason.split('|').any(|reason| said.contains(reason)), "{reason}: {said}");
        assert!(said.contains("nothing was uploaded"), "{said}");
        machine.fail(1, &["verify", staged.to_str().unwrap()]);
    }
    assert!(s3.objects().is_empty(), "{:?}", s3.objects());
}

fn replace(directory: &Path, name: &str, with: impl FnOnce(PathBuf)) {
    fs::remove_file(directory.join(name)).unwrap();
    with(directory.join(name));
}

#[test]
fn what_is_missing_is_listed_and_the_rest_is_kept() {
    let s3 = S3::start();
    let machine = Machine::new(s3.address);
    let mut built = Stored::new(4, 5, 500);
    built.add("large.so", &object(4, 99, 5 << 20));
    machine.takes(&built);
    let place = ["--rev", "v1", "--package", "pkg"];
    machine.succeed(&[&["put", "outputs.jsonl"][..], &place].concat());
    let packs = s3.objects_ending(".pack");
    let small = packs.iter().min_by_key(|path| path.metadata().unwrap().len()).unwrap();
    let mut bytes = fs::read(small).unwrap();
    bytes[100] ^= 1;
    fs::write(small, bytes).unwrap();
    machine.succeed(&["clean"]);
    let said = machine.fail(1, &[&["get"][..], &place].concat());
    assert!(said.contains("5 artifacts did not arrive"), "{said}");
    assert!(said.contains("corrupt on the service"), "{said}");
    assert_eq!(machine.holds(&built.mappings), 1);
    machine.takes(&built);
    machine.succeed(&[&["put", "outputs.jsonl", "--force-overwrite"][..], &place].concat());
    machine.succeed(&["clean"]);
    machine.succeed(&[&["get"][..], &place].concat());
    assert_eq!(machine.holds(&built.mappings), 6);
}

#[test]
fn mappings_only_and_add_leave_artifacts_for_later() {
    let s3 = S3::start();
    let machine = Machine::new(s3.address);
    let built = Stored::new(5, 5, 500);
    machine.takes(&built);
    let place = ["--rev", "v1", "--package", "pkg"];
    machine.succeed(&[&["put", "outputs.jsonl"][..], &place].concat());
    machine.succeed(&["clean"]);
    machine.succeed(&[&["get", "--mappings-only"][..], &place].concat());
    assert_eq!(machine.holds(&built.mappings), 0);
    assert_eq!(machine.store().stats().unwrap().mappings, 5);
    machine.succeed(&["clean"]);
    machine.succeed(&["add", "outputs.jsonl", "--package", "pkg"]);
    assert_eq!(machine.store().stats().unwrap().mappings, 5);
}

#[test]
fn a_refusal_is_said_once_with_its_advice_and_exit_code() {
    let machine = Machine::new(([127, 0, 0, 1], 1).into());
    let said = machine.fail(2, &["get", "outputs.jsonl", "--mappings-only"]);
    assert_eq!(
        said,
        "error: --mappings-only fetches mappings, but MAPPINGS was given\n  \
         help: `larder cache add` records them\n"
    );
    let said = machine.fail(2, &["get"]);
    assert!(said.starts_with("error: there is no larder.toml in "), "{said}");
    assert!(
        said.ends_with("\n  help: run this in the package, or name it with --package\n"),
        "{said}"
    );
    let events = machine.run(&["get", "--json"]);
    let event: serde_json::Value = serde_json::from_str(&events.stdout).unwrap();
    assert_eq!(event["help"], "run this in the package, or name it with --package");
    let manifest = "[package]\nname = \"pkg\"\n[[command]]\nname = \"c\"\noutputs = [\"c\"]\nrun = [\"false\"]\n";
    fs::write(machine.work().join("larder.toml"), manifest).unwrap();
    let said = machine.fail(1, &["pack", "outputs.pack"]);
    assert!(said.ends_with("error: nothing was packed: the build did not succeed\n"), "{said}");
}

#[test]
fn corruption_is_found_and_collected() {
    let s3 = S3::start();
    let machine = Machine::new(s3.address);
    let built = Stored::new(6, 5, 500);
    machine.takes(&built);
    let victim = *built.mappings.artifacts().keys().next().unwrap();
    let path = machine.store().layout().artifact(&victim);
    fs::remove_file(&path).unwrap();
    fs::write(&path, "broken").unwrap();
    let said = machine.fail(1, &["verify"]);
    assert!(said.contains("1 corrupt") && said.contains(&victim.to_string()), "{said}");
    machine.succeed(&["verify", "--rehash"]);
    let (said, _) = machine.succeed(&["gc", "--max-size", "0"]);
    assert!(said.contains("removed 4 artifacts and 5 mappings"), "{said}");
    assert_eq!(machine.holds(&built.mappings), 0);
    machine.fail(2, &["gc", "--max-size", "lots"]);
    machine.fail(2, &["get", "--rev", "v1", "--service", "nowhere", "--package", "pkg"]);
}

/// Runs a command again and again, killing it at random instants, until it has run to its end.
fn kill_at_random(machine: &Machine, arguments: &[&str], seed: u64) -> u32 {
    let mut rng = fastrand::Rng::with_seed(seed);
    let begin = Instant::now();
    machine.run(arguments).ok();
    let whole = begin.elapsed();
    let mut killed = 0;
    for _ in 0..12 {
        machine.succeed(&["clean"]);
        for _ in 0..3 {
            let mut child = machine
                .command(arguments)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let patience = whole.mul_f64(rng.f64());
            thread::sleep(patience);
            if child.try_wait().unwrap().is_none() {
                killed += 1;
                child.kill().unwrap();
            }
            child.wait().unwrap();
            let report = verify::verify(&machine.store()).unwrap();
            assert!(report.corrupt.is_empty(), "{:?}", report.corrupt);
        }
        machine.succeed(arguments);
    }
    killed
}

#[test]
fn a_killed_get_leaves_nothing_wrong() {
    let s3 = S3::start();
    let machine = Machine::new(s3.address);
    let mut built = Stored::new(7, 200, 5000);
    built.add("large.so", &object(7, 999, 5 << 20));
    machine.takes(&built);
    let place = ["--rev", "v1", "--package", "pkg"];
    machine.succeed(&[&["put", "outputs.jsonl"][..], &place].concat());
    let killed = kill_at_random(&machine, &[&["get"][..], &place].concat(), 7);
    assert!(killed > 3, "{killed}");
    assert_eq!(machine.holds(&built.mappings), 201);
    // Leftovers of the dead go with a collection.
    collect_until(&machine, &["gc", "--max-age", "30d"], || {
        let mut left = Vec::new();
        temporaries(&machine.path("store/artifacts"), &mut left);
        left.is_empty()
    });
    assert_eq!(machine.holds(&built.mappings), 201);
}

/// Collects until `done`. Who was killed before locking its file in `running` may, for a minute, still
/// be about to, and until then what it may use is spared.
fn collect_until(machine: &Machine, arguments: &[&str], done: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(90);
    loop {
        machine.succeed(arguments);
        if done() {
            return;
        }
        assert!(Instant::now() < deadline, "something is spared for ever");
        thread::sleep(Duration::from_millis(200));
    }
}

fn temporaries(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            temporaries(&path, found);
        } else if path.file_name().unwrap().to_string_lossy().starts_with('.') {
            found.push(path);
        }
    }
}

#[test]
fn a_killed_put_shows_nothing_half_done() {
    let s3 = S3::start();
    let (machine, reader) = (Machine::new(s3.address), Machine::new(s3.address));
    let mut built = Stored::new(8, 200, 5000);
    built.add("large.so", &object(8, 999, 12 << 20));
    machine.takes(&built);
    let mut rng = fastrand::Rng::with_seed(8);
    for n in 0..12 {
        let revision = format!("v{n}");
        let place = ["--rev", &revision, "--scope", &format!("s{n}"), "--package", "pkg"];
        let put = [&["put", "outputs.jsonl"][..], &place].concat();
        let mut child =
            machine.command(&put).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        thread::sleep(Duration::from_millis(rng.u64(..400)));
        _ = child.kill();
        child.wait().unwrap();
        let get = [&["get"][..], &place].concat();
        // There whole, or not there.
        let run = reader.run(&get);
        if run.code != Some(0) {
            assert!(run.stderr.contains("does not have revision"), "{}", run.stderr);
        }
        machine.succeed(&put);
        reader.succeed(&["clean"]);
        reader.succeed(&get);
        assert_eq!(reader.holds(&built.mappings), 201);
    }
}

#[test]
fn a_killed_gc_leaves_nothing_wrong() {
    let s3 = S3::start();
    let machine = Machine::new(s3.address);
    let built = Stored::new(12, 300, 2000);
    let mut rng = fastrand::Rng::with_seed(12);
    for _ in 0..6 {
        machine.takes(&built);
        let mut child = machine
            .command(&["gc", "--max-size", "100K"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(Duration::from_millis(rng.u64(..30)));
        _ = child.kill();
        child.wait().unwrap();
        machine.holds(&built.mappings);
        // The lock of the dead holds nobody.
        collect_until(&machine, &["gc", "--max-size", "100K"], || {
            machine.holds(&built.mappings) < 60
        });
    }
}

#[test]
fn eight_processes_get_and_collect_at_once() {
    let s3 = S3::start();
    let machine = Machine::new(s3.address);
    let built = Stored::new(9, 150, 4000);
    machine.takes(&built);
    let place = ["--rev", "v1", "--package", "pkg"];
    machine.succeed(&[&["put", "outputs.jsonl"][..], &place].concat());
    machine.succeed(&["clean"]);
    let get = [&["get"][..], &place].concat();
    let commands: [&[&str]; 8] = [
        &get,
        &["gc", "--max-size", "0"],
        &get,
        &["verify"],
        &["gc", "--max-size", "100K"],
        &get,
        &["stats"],
        &get,
    ];
    thread::scope(|scope| {
        for command in commands {
            let machine = &machine;
            scope.spawn(move || {
                for _ in 0..4 {
                    machine.succeed(command);
                }
            });
        }
    });
    machine.succeed(&get);
    assert_eq!(machine.holds(&built.mappings), 150);
}

#[test]
fn a_full_disk_keeps_what_arrived() {
    let s3 = S3::start();
    let machine = Machine::new(s3.address);
    let built = Stored::new(10, 300, 14_000);
    machine.takes(&built);
    let place = ["--rev", "v1", "--package", "pkg"];
    machine.succeed(&[&["put", "outputs.jsonl"][..], &place].concat());
    machine.succeed(&["clean"]);
    let small = machine.path("small");
    let Some(mounted) = Mount::tmpfs(&small, "size=3m") else { return };
    let get = [&["get"][..], &place].concat();
    let run = run(machine.command(&get).env("LARDER_CACHE_DIR", small.join("store")));
    let store = Store::open(small.join("store")).unwrap();
    let report = verify::verify(&store).unwrap();
    drop(store);
    drop(mounted);
    let said = run.ends_with(1).stderr;
    assert!(said.contains("No space left") || said.contains("no storage space"), "{said}");
    assert!(report.corrupt.is_empty(), "{:?}", report.corrupt);
    assert!(report.artifacts > 20, "{}", report.artifacts);
}

#[test]
fn everything_arrives_through_a_bad_network() {
    let s3 = S3::start();
    let machine = Machine::new(s3.address);
    let built = Stored::new(11, 200, 8000);
    machine.takes(&built);
    let place = ["--rev", "v1", "--package", "pkg"];
    machine.succeed(&[&["put", "outputs.jsonl"][..], &place].concat());
    machine.succeed(&["clean"]);
    let faults = Faults {
        too_many: 0.05,
        unavailable: 0.05,
        reset: 0.05,
        stall: 0.03,
        truncate: 0.06,
        forge: 0.06,
        ..Faults::default()
    };
    let proxy = Proxy::start(s3.address, faults, 11);
    machine.configure(proxy.address, 1);
    machine.succeed(&[&["get"][..], &place].concat());
    assert_eq!(machine.holds(&built.mappings), 200);
}
