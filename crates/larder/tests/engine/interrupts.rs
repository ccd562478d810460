//! SIGINT and SIGTERM end every command, whatever it is at, in three seconds.

use std::{
    fs::{self, File},
    io::Read,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use larder_testkit::{
    files::{files, set_mode},
    processes::send,
    project::Project,
    wait::{ends_within, wait_until},
};
use rustix::process::Signal;

/// How long a command may take to end.
const SOON: Duration = Duration::from_secs(3);

/// It takes minutes to read, and no room.
const HUGE: u64 = 200 << 30;

const COPIES: &str = r#"
[[command]]
name = "copy"
inputs = ["huge", "small"]
outputs = ["out"]
run = ["cp", "small", "{out}"]

[ci.jobs.all]
inputs = ["huge"]
"#;

/// Where a command is when it is interrupted.
enum At<'a> {
    /// It has this file open.
    Reading(&'a Path),
    /// It has said this.
    Saying(&'a str),
}

/// Interrupts a command when it is there. It must end soon, with the exit code for that.
#[track_caller]
fn interrupt(mut command: Command, at: &At<'_>, signal: Signal) {
    let what = format!("{command:?}");
    let log = tempfile::NamedTempFile::new().unwrap();
    command.stdout(Stdio::null()).stderr(log.reopen().unwrap());
    let mut child = command.spawn().unwrap();
    let said = || fs::read_to_string(log.path()).unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while !match at {
        At::Reading(path) => has_open(&child, path),
        At::Saying(text) => said().contains(text),
    } {
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("{what} does not get there: {}", said());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    send(&child, signal);
    let status = ends_within(SOON, child);
    assert_eq!(status.code(), Some(130), "{what}: {status}, {}", said());
    assert!(!said().contains("panicked"), "{}", said());
}

fn has_open(child: &Child, path: &Path) -> bool {
    let open = fs::read_dir(format!("/proc/{}/fd", child.id())).into_iter().flatten().flatten();
    open.filter_map(|file| file.path().read_link().ok()).any(|file| file == path)
}

fn huge(path: &Path) {
    File::create(path).unwrap().set_len(HUGE).unwrap();
}

const SIGNALS: [Signal; 2] = [Signal::INT, Signal::TERM];

#[test]
fn commands_that_hash_a_huge_input_end() {
    let project = Project::cached(COPIES);
    project.file("small", "");
    huge(&project.path("huge"));
    let input = project.path("huge");
    for arguments in [
        &["build"][..],
        &["build", "--no-build", "--rehash"],
        &["why"],
        &["query"],
        &["ci", "key", "--job", "all"],
        &["ci", "plan"],
    ] {
        for signal in SIGNALS {
            interrupt(project.command(arguments), &At::Reading(&input), signal);
        }
    }
}

#[test]
fn commands_that_read_a_huge_artifact_end() {
    let project = Project::cached(COPIES);
    project.file("small", "1").file("huge", "");
    project.build_with(&["-o", "outputs.jsonl"]);
    let artifact = files(&project.cache.join("artifacts")).pop().unwrap();
    // Of the length that is expected, where that is asked first.
    let mappings = project.read("outputs.jsonl").replace("\"size\":1", &format!("\"size\":{HUGE}"));
    project.file("outputs.jsonl", mappings);
    set_mode(&artifact, 0o644);
    huge(&artifact);
    for arguments in [
        &["cache", "verify"][..],
        &["cache", "stage", "outputs.jsonl", "staged"],
        &["cache", "pack", "outputs.jsonl", "x.pack"],
        &["build"],
    ] {
        for signal in SIGNALS {
            fs::remove_dir_all(project.path("staged")).unwrap_or_default();
            project.forget();
            interrupt(project.command(arguments), &At::Reading(&artifact), signal);
        }
    }
}

#[test]
fn commands_that_wait_for_a_lock_end() {
    let project = Project::cached(COPIES);
    project.file("small", "").file("huge", "");
    project.build();
    let hold = |path: &str| {
        let file = File::options().write(true).create(true).truncate(false).open(path).unwrap();
        file.lock().unwrap();
        file
    };
    let collection = project.cache.join("gc.lock");
    let _held =
        [hold(collection.to_str().unwrap()), hold(project.path(".larder/lock").to_str().unwrap())];
    for arguments in [&["cache", "gc", "--max-size", "1K"][..], &["build"], &["clean"]] {
        for signal in SIGNALS {
            interrupt(project.command(arguments), &At::Saying("waiting for"), signal);
        }
    }
}

/// Accepts connections and says nothing. Returns one when something has connected.
struct Silent(TcpListener);

impl Silent {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    fn address(&self) -> String {
        self.0.local_addr().unwrap().to_string()
    }

    /// Interrupts a command when it has connected. Whatever it has started must be gone soon as well.
    #[track_caller]
    fn interrupt(&self, mut command: Command, signal: Signal) {
        let what = format!("{command:?}");
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut connection = None;
        wait_until("it has connected", || {
            connection = self.0.accept().ok();
            connection.is_some()
        });
        let (mut connection, _) = connection.unwrap();
        connection.set_nonblocking(false).unwrap();
        send(&child, signal);
        let status = ends_within(SOON, child);
        assert_eq!(status.code(), Some(130), "{what}: {status}");
        connection.set_read_timeout(Some(SOON)).unwrap();
        // What it had asked for, and then the end.
        let mut asked = Vec::new();
        let end = connection.read_to_end(&mut asked);
        let reset = end.as_ref().is_err_and(|it| it.kind() == std::io::ErrorKind::ConnectionReset);
        assert!(end.is_ok() || reset, "{what}: somebody is still connected: {end:?}");
    }
}

#[test]
fn commands_that_wait_for_a_service_end() {
    let project = Project::cached(COPIES);
    project.file("small", "").file("huge", "");
    project.build_with(&["-o", "outputs.jsonl"]);
    let config = project.path("config.toml");
    let head = "[cache]\ndefault-service = \"s\"\n[[cache.service]]\nname = \"s\"\n";
    let key = project.larder(&["ci", "key"]).ok().stdout;
    for arguments in [
        &["cache", "get", "--rev", "r"][..],
        &["cache", "put", "--rev", "r", "outputs.jsonl"],
        &["ci", "probe", key.trim()],
        &["ci", "plan"],
    ] {
        for signal in SIGNALS {
            // One for each: a command may have connected more than once.
            let server = Silent::new();
            let url = format!("url = \"http://{}/x\"\n", server.address());
            fs::write(&config, [head, &url].concat()).unwrap();
            let mut command = project.command(arguments);
            command.env("LARDER_CONFIG", &config);
            server.interrupt(command, signal);
        }
    }
}

#[test]
fn commands_that_wait_for_git_end_and_git_with_them() {
    for arguments in [&["update"][..], &["build"]] {
        for signal in SIGNALS {
            let server = Silent::new();
            let address = server.address();
            let manifest = format!("[dependencies]\nd = {{ git = \"git://{address}/d\" }}\n");
            let project = Project::new(&manifest);
            server.interrupt(project.command(arguments), signal);
        }
    }
}
