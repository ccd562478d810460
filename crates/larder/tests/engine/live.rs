//! The live line, in a terminal of its own.

use std::{
    io::Read,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use larder_testkit::{
    project::Project,
    tools::require,
    wait::{ends_within, wait_until},
};

/// Runs a command in a new terminal of 100 columns and copies what that shows.
const TERMINAL: &str = r#"
import fcntl, os, pty, struct, sys, termios
child, terminal = pty.fork()
if child == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    os.execv(sys.argv[1], sys.argv[1:])
while True:
    try: shown = os.read(terminal, 65536)
    except OSError: break
    if not shown: break
    os.write(1, shown)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"#;

/// What a terminal shows of larder while it runs, and what it has shown at the end.
pub fn shown(
    project: &Project,
    larder: &Command,
    no_color: bool,
    code: i32,
    meanwhile: impl FnOnce(&dyn Fn(&str) -> bool),
) -> String {
    let mut command = Command::new("python3");
    command.args(["-c", TERMINAL]).arg(larder.get_program()).args(larder.get_args());
    command.env_clear().envs(larder.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("TERM", "xterm").current_dir(&project.root).stdin(Stdio::null());
    if no_color {
        command.env("NO_COLOR", "1");
    }
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let text: Arc<Mutex<Vec<u8>>> = Arc::default();
    let (mut output, copy) = (child.stdout.take().unwrap(), text.clone());
    let reader = thread::spawn(move || {
        let mut piece = [0; 4096];
        while let Ok(count @ 1..) = output.read(&mut piece) {
            copy.lock().unwrap().extend(&piece[..count]);
        }
    });
    let seen = || String::from_utf8_lossy(&text.lock().unwrap()).into_owned();
    meanwhile(&|wanted| seen().contains(wanted));
    assert_eq!(ends_within(std::time::Duration::from_secs(60), child).code(), Some(code));
    reader.join().unwrap();
    seen()
}

fn waits(name: &str) -> String {
    format!(
        "[[command]]\nname = \"{name}\"\noutputs = [\"{name}.out\"]\nrun = [\"sh\", \"-c\", \"echo 'x: warning: {name}'; while ! [ -e go ]; do sleep 0.01; done; : > $0\", \"{{out}}\"]\n"
    )
}

#[test]
fn the_live_line_tells_what_runs_and_for_how_long() {
    if !require("python3") {
        return;
    }
    for no_color in [false, true] {
        let project = Project::new(&[waits("slow"), waits("late")].concat());
        let text = shown(&project, &project.command(&["build", "-j2"]), no_color, 0, |sees| {
            // Nothing happens meanwhile but time.
            wait_until("a second is shown", || {
                sees("late late.out 1 s") && sees("slow slow.out 1 s")
            });
            assert!(sees("[0/2] "));
            project.file("go", "");
        });
        assert!(text.contains("2 built in ") && text.contains(", 2 warnings"), "{text}");
        // The escapes of the line itself move the cursor; none sets a colour where none is wanted.
        assert_eq!(text.contains("\x1b[32m"), !no_color, "{text:?}");
    }
    // In a pipe there is none.
    let project = Project::new(&waits("slow"));
    project.file("go", "");
    let said = project.larder(&["build"]).ok().stderr;
    assert!(!said.contains("[0/1]") && !said.contains('\r') && !said.contains('\x1b'), "{said:?}");
}

#[test]
fn going_on_is_suggested_where_it_would_do_something() {
    let command = |name: &str, needs: &str, run: &str| {
        format!(
            "[[command]]\nname = \"{name}\"\ninputs = [{needs}]\noutputs = [\"{name}\"]\nrun = [\"sh\", \"-c\", \"{run}\", \"{{out}}\"]\n"
        )
    };
    let bad = command(
        "bad",
        "",
        "n=0; while ! [ -e begun ] && [ $n -lt 3000 ]; do sleep 0.01; n=$((n+1)); done; exit 1",
    );
    let needs = command("needs", "\"{bad}\"", ": > $0");
    let others: String = ["x", "y"].map(|name| command(name, "\"{first}\"", ": > $0")).concat();
    // It ends when larder has said that the other one failed.
    let first = command(
        "first",
        "",
        ": > begun; n=0; while ! grep -q 'failed bad' log && [ $n -lt 3000 ]; do sleep 0.01; n=$((n+1)); done; : > $0",
    );
    let project = Project::new(&[&bad[..], &needs, &first, &others].concat());
    let log = std::fs::File::create(project.path("log")).unwrap();
    let ended = project.command(&["build", "-j2"]).stderr(log).status().unwrap();
    assert_eq!(ended.code(), Some(1));
    let stopped = project.read("log");
    let suggested = "2 targets were not tried; -k goes on with what does not need what failed\n";
    assert!(stopped.contains(suggested), "{stopped}");
    let went_on = project.larder(&["build", "-j2", "-k"]).ends_with(1).stderr;
    assert!(!went_on.contains("not tried"), "{went_on}");
    // What only needs what failed would not be tried either way.
    let project = Project::new(&[bad, needs].concat());
    project.file("begun", "");
    let said = project.larder(&["build"]).ends_with(1).says("1 skipped").stderr;
    assert!(!said.contains("not tried"), "{said}");
}
