//! Packages that mean harm: each hurts nobody, and is reported for what it did. What they do has an end somewhere above
//! the limits, so that a test that fails hurts nobody either.

use std::{fs, net::TcpListener, path::PathBuf, thread, time::Duration};

use larder_batch::build::{BuildTask, Failure};
use larder_engine::process::{Allowance, Limit};
use larder_runs::Category;

use crate::support::*;

const SMALL: Allowance = Allowance {
    time: Some(Duration::from_secs(20)),
    memory: Some(200 << 20),
    processes: Some(80),
    disk: Some(16 << 20),
    log: Some(1 << 20),
};

fn task(set: &Set, id: &str, lines: &[&str]) -> BuildTask {
    let package = Package { id, recipe: commands(lines), files: &[] };
    BuildTask { allowance: SMALL, ..set.task(&package, Vec::new()) }
}

/// Builds a package that means harm beside one that does not, which works.
#[track_caller]
fn beside(set: &Set, task: &BuildTask) -> (Failure, String) {
    let good = zz(set);
    thread::scope(|scope| {
        let bystander = scope.spawn(|| set.worked(&good));
        let failed = set.failed(task);
        bystander.join().unwrap();
        failed
    })
}

#[test]
fn each_limit_is_told_as_what_it_is() {
    let seconds = Duration::from_secs;
    for (name, lines, limit, category) in [
        (
            "forks.1",
            &[
                "bomb() { test $1 -lt 9 || exec sleep 30; bomb $(($1 + 1)) & bomb $(($1 + 1)); }",
                "bomb 0",
            ][..],
            Limit::Processes(80),
            "process_limit",
        ),
        (
            "escapes.1",
            &[
                "cat > bomb <<'END'\ntest $1 -lt 8 || exec sleep 30\nsetsid sh bomb $(($1 + 1)) &\nsetsid sh bomb $(($1 + 1)) &\nEND\nsh bomb 0; sleep 30",
            ],
            Limit::Processes(80),
            "process_limit",
        ),
        (
            "fills.1",
            &[
                "i=0; while [ $i -lt 400 ]; do i=$((i+1)); head -c 300000 /dev/zero > {prefix}/$i; done",
            ],
            Limit::Disk(16 << 20),
            "disk_limit",
        ),
        ("prints.1", &["yes | head -c 1000000000"], Limit::Log(1 << 20), "log_limit"),
        (
            "sleeps.1",
            &["trap '' TERM", "sleep 1000; sleep 1000"],
            Limit::Time(seconds(2)),
            "timeout",
        ),
        (
            "eats.1",
            &["exec perl -e '$x .= \"x\" x 1000000 while length($x) < 1e9; sleep 30'"],
            Limit::Memory(200 << 20),
            "out_of_memory",
        ),
    ] {
        let set = Set::new();
        let mut task = task(&set, name, lines);
        if let Limit::Time(time) = limit {
            task.allowance.time = Some(time);
        }
        let (failure, log) = beside(&set, &task);
        assert_eq!(failure.limit, Some(limit), "{name}: {failure:?}\n{log}");
        let category: Category = category.parse().unwrap();
        assert_eq!(failure.category, Some(category), "{name}");
        assert!(log.len() < 3 << 20, "{name}");
    }
}

#[test]
fn what_is_the_users_own_is_not_read_and_it_is_said() {
    let set = Set::new();
    let secret = set.root.join("home/secret");
    fs::write(&secret, "hunter2").unwrap();
    let line = format!("cat {} > {{prefix}}/stolen", secret.display());
    let (failure, log) = beside(&set, &task(&set, "reads.1", &[&line]));
    assert!(log.contains("Permission denied") && !log.contains("hunter2"), "{log}");
    assert!(failure.error.contains(&format!("{}", secret.display())), "{failure:?}");
}

#[test]
fn nothing_is_written_outside() {
    let set = Set::new();
    let good = zz(&set);
    let (layer, _) = set.layer(&good);
    let places: Vec<PathBuf> = vec![
        set.root.join("home/planted"),
        set.root.join("data/layers/planted"),
        set.root.join("data/packages"),
        layer.directory.join("lib/libzz.a"),
        good.sources.directory.join("planted"),
    ];
    for (number, place) in places.iter().enumerate() {
        let before = fs::read(place).ok();
        let line = format!("echo mine > {}", place.display());
        let (_, log) = beside(&set, &task(&set, &format!("writes.{number}"), &[&line]));
        assert!(log.contains("Permission denied"), "{log}");
        assert_eq!(fs::read(place).ok(), before);
    }
}

#[test]
fn no_socket_is_opened_and_nobody_else_is_killed() {
    let set = Set::new();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    server.set_nonblocking(true).unwrap();
    let connect = format!(
        "exec perl -MIO::Socket::INET -e 'IO::Socket::INET->new(\"127.0.0.1:{}\") or die \"no: $!\"'",
        server.local_addr().unwrap().port()
    );
    let (_, log) = beside(&set, &task(&set, "calls.1", &[&connect]));
    assert!(log.contains("no: Operation not permitted"), "{log}");
    assert!(server.accept().is_err());
    let (_, log) = beside(&set, &task(&set, "kills.1", &["kill -9 $PPID"]));
    assert!(log.contains("not permitted"), "{log}");
}

#[test]
fn a_larder_package_has_the_same_limits() {
    let set = Set::new();
    let text = "[package]\nname = \"bomb\"\nversion = \"1\"\n[[executable]]\nname = \"bomb\"\nsources = [\"a.c\", \"{gen}\"]\n[[command]]\nname = \"gen\"\nrun = [\"sh\", \"-c\", \"bomb() { test $1 -lt 9 || exec sleep 30; bomb $(($1 + 1)) & bomb $(($1 + 1)); }; bomb 0\", \"{out}\"]\noutputs = [\"gen.c\"]\n";
    let package = Package {
        id: "bomb.1",
        recipe: manifest(),
        files: &[("larder.toml", text), ("a.c", "int main(void) { return 0; }\n")],
    };
    let task = BuildTask { allowance: SMALL, ..set.task(&package, Vec::new()) };
    let (failure, log) = beside(&set, &task);
    assert_eq!(failure.limit, Some(Limit::Processes(80)), "{failure:?}\n{log}");
}

#[test]
fn what_is_left_running_is_ended() {
    let set = Set::new();
    let line = "setsid sh -c 'echo $$ > {source}/../pid; exec sleep 1000' & while ! [ -s {source}/../pid ]; do sleep 0.01; done; cat {source}/../pid > {prefix}/pid";
    let (layer, _) = set.layer(&task(&set, "leaves.1", &[line]));
    let pid = fs::read_to_string(layer.directory.join("pid")).unwrap();
    assert!(!PathBuf::from(format!("/proc/{}", pid.trim())).exists());
}
