//! One budget with GNU make above larder and below it.

use std::{
    env,
    fs::{self, File, OpenOptions},
    path::PathBuf,
    process::Command,
};

use larder_testkit::{
    processes::{send, spawn},
    project::Project,
    run::{Run, run},
    services::python_environment,
    tools::{path_with, require},
    wait::{ends_within, wait_until},
};
use rustix::process::Signal;

/// A job that notes how many run beside it. Where `together` is set, none ends before a second one has begun.
const JOB: &str = r#"
cd "$1"; mkdir "run.$2"; ls -d run.* | wc -l >> seen; echo "$2" >> begun
n=0; while [ -n "$TOGETHER" ] && [ "$(wc -l < begun)" -lt 2 ] && [ $n -lt 1000 ]; do sleep 0.01; n=$((n+1)); done
sleep 0.05; while [ -n "$HOLD" ] && ! [ -e go ]; do sleep 0.01; done
ls -d run.* | wc -l >> seen; rmdir "run.$2"
"#;

/// A directory in which jobs meet.
struct Meeting {
    directory: tempfile::TempDir,
}

impl Meeting {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> String {
        self.directory.path().to_str().unwrap().to_owned()
    }

    fn begun(&self) -> usize {
        let begun = fs::read_to_string(self.directory.path().join("begun"));
        begun.unwrap_or_default().lines().count()
    }

    /// The most jobs that were ever seen at once.
    fn most(&self) -> usize {
        let seen = fs::read_to_string(self.directory.path().join("seen")).unwrap();
        seen.lines().map(|line| line.trim().parse().unwrap()).max().unwrap()
    }
}

/// Jobs as commands of a package.
fn jobs(count: usize, meeting: &Meeting, variables: &str) -> Project {
    let command = |number: usize| {
        format!(
            "[[command]]\nname = \"c{number}\"\ninputs = [\"job.sh\"]\noutputs = [\"o{number}\"]\nenv = {{ {variables} }}\n\
             run = [\"sh\", \"-c\", \"sh job.sh $0 {number} && : > $1\", \"{}\", \"{{out}}\"]\n",
            meeting.path()
        )
    };
    let project = Project::new(&(0..count).map(command).collect::<String>());
    project.file("job.sh", JOB);
    project
}

/// A jobserver as `make --jobserver-style=fifo` offers it.
struct Above {
    directory: tempfile::TempDir,
    fifo: File,
}

impl Above {
    fn new(tokens: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fifo");
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        let fifo = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        rustix::io::write(&fifo, &vec![b'+'; tokens]).unwrap();
        Self { directory, fifo }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("fifo")
    }

    /// How many tokens lie there.
    fn tokens(&self) -> u64 {
        rustix::io::ioctl_fionread(&self.fifo).unwrap()
    }

    fn tell(&self, command: &mut Command) {
        let flags = format!(" -j3 --jobserver-auth=fifo:{}", self.path().display());
        command.env("MAKEFLAGS", flags);
    }
}

fn build(project: &Project, above: &Above, arguments: &[&str]) -> Run {
    let mut command = project.command(&[&["build", "-j8"], arguments].concat());
    above.tell(&mut command);
    run(command)
}

#[test]
fn tokens_from_above_bound_what_runs_and_come_back() {
    let (meeting, above) = (Meeting::new(), Above::new(2));
    let project = jobs(6, &meeting, "TOGETHER = \"1\"");
    build(&project, &above, &[]).ok();
    assert_eq!(meeting.begun(), 6);
    assert!((2..=3).contains(&meeting.most()), "{}", meeting.most());
    assert_eq!(above.tokens(), 2);
    // A budget is no input.
    let hashes = project.dep_hashes();
    build(&project, &above, &["--no-build"]).ok();
    assert!(
        project.larder(&["build", "--no-build", "--rehash"]).ok().stderr.contains("6 up to date")
    );
    assert_eq!(project.dep_hashes(), hashes);
    // Of commands that fail, too.
    project.file("job.sh", "exit 1\n");
    build(&project, &above, &["-k"]).ends_with(1).says("6 failed");
    assert_eq!(above.tokens(), 2);
}

#[test]
fn tokens_come_back_from_a_build_that_is_ended() {
    for signal in [Signal::TERM, Signal::INT] {
        let (meeting, above) = (Meeting::new(), Above::new(2));
        let project = jobs(6, &meeting, "HOLD = \"1\"");
        let mut command = project.command(&["build", "-j8"]);
        above.tell(&mut command);
        let child = spawn(command);
        wait_until("three run", || meeting.begun() == 3);
        assert_eq!(above.tokens(), 0);
        send(&child, signal);
        assert_eq!(ends_within(std::time::Duration::from_secs(20), child).code(), Some(130));
        assert_eq!((above.tokens(), meeting.begun()), (2, 3), "{signal:?}");
    }
}

#[test]
fn make_runs_larder_as_one_of_its_own() {
    if !require("make") {
        return;
    }
    let meeting = Meeting::new();
    let project = jobs(6, &meeting, "TOGETHER = \"1\"");
    let recipe = |plus: &str| {
        let larder = project.command(&["build", "-j8"]);
        let program = larder.get_program().to_str().unwrap().to_owned();
        project.file("Makefile", format!("all:\n\t{plus}{program} build -j8 --color never\n"));
        let mut make = Command::new("make");
        make.args(["-j3", "-C"]).arg(&project.root).env_clear();
        make.envs(larder.get_envs().filter_map(|(name, value)| Some((name, value?))));
        run(make).ok()
    };
    let said = recipe("+").stderr;
    assert!(!said.contains("INTERNAL") && !said.contains("cannot be used"), "{said}");
    assert!((2..=3).contains(&meeting.most()), "{}", meeting.most());
    // Without the mark make closes the descriptors, and larder says once what to do.
    project.forget();
    fs::remove_file(meeting.directory.path().join("begun")).unwrap();
    let said = recipe("").stderr;
    let unusable =
        "warning: the jobserver that MAKEFLAGS names cannot be used (its descriptors are closed)";
    assert_eq!(said.matches(unusable).count(), 1, "{said}");
    assert!(said.contains("start the recipe's line with `+`"), "{said}");
}

#[test]
fn commands_share_the_slots_of_larder() {
    if !require("make") {
        return;
    }
    let meeting = Meeting::new();
    let command = |name: &str| {
        format!(
            "[[command]]\nname = \"{name}\"\ninputs = [\"job.sh\", \"jobs.mk\"]\noutputs = [\"{name}\"]\nenv = {{ TOGETHER = \"1\" }}\n\
             run = [\"sh\", \"-c\", \"make -s -f jobs.mk NAME={name} && : > $0\", \"{{out}}\"]\n"
        )
    };
    let project = Project::new(&[command("a"), command("b")].concat());
    project.file("job.sh", JOB);
    let mut makefile = "all: 1 2 3 4\n".to_owned();
    for job in 1..5 {
        makefile += &format!("{job}:\n\tsh job.sh {} $(NAME){job}\n", meeting.path());
    }
    project.file("jobs.mk", makefile);
    // One command at once leaves a slot for a second job of its make; nobody has said -j to that.
    let run = project.larder(&["build", "a", "-j2"]).ok();
    assert!(!run.stderr.contains("jobserver"), "{}", run.stderr);
    assert_eq!((meeting.begun(), meeting.most()), (4, 2));
    project.larder(&["build", "b", "a", "-j3", "--rehash"]).ok();
    assert!(meeting.most() <= 3, "{}", meeting.most());
}

#[test]
fn ninja_takes_from_the_slots_of_larder() {
    // The first version that knows jobservers.
    let Some(bin) = python_environment("ninja-1.13", &["ninja==1.13.0"]) else { return };
    let meeting = Meeting::new();
    let project = Project::new(
        "[[command]]\nname = \"n\"\ntest = true\ninputs = [\"job.sh\", \"jobs.ninja\"]\nenv = { TOGETHER = \"1\" }\n\
         run = [\"ninja\", \"-f\", \"jobs.ninja\"]\n",
    );
    project.file("job.sh", JOB);
    let mut text = format!("rule job\n  command = sh job.sh {} $out\n", meeting.path());
    (0..6).for_each(|job| text += &format!("build n{job}: job\n"));
    project.file("jobs.ninja", text);
    let mut command = project.command(&["test", "-j3"]);
    command.env("PATH", path_with(&bin));
    run(command).ok();
    assert_eq!(meeting.begun(), 6);
    // Whatever ninja would have made of the number of processors.
    assert!((2..=3).contains(&meeting.most()), "{}", meeting.most());
}

#[test]
fn cargo_takes_from_the_slots_of_larder() {
    if !require("cargo") {
        return;
    }
    for (slots, expected) in [("-j1", 1..=1), ("-j3", 2..=3)] {
        let meeting = Meeting::new();
        let together = if slots == "-j1" { "" } else { "1" };
        let project = Project::new(&format!(
            "[[command]]\nname = \"c\"\ntest = true\npass-env = [\"CARGO_HOME\", \"RUSTUP_HOME\", \"RUSTUP_TOOLCHAIN\"]\n\
             env = {{ RUSTC_WRAPPER = \"{{package}}/wrapper.sh\", MEETING = \"{}\", TOGETHER = \"{together}\" }}\n\
             run = [\"cargo\", \"build\", \"--offline\", \"--quiet\"]\n",
            meeting.path()
        ));
        project.file("job.sh", JOB);
        // What cargo only asks the compiler is no job.
        let job = project.path("job.sh");
        let job = format!("sh {} \"$MEETING\" \"$3\"", job.display());
        let script =
            format!("case \"$2 $3\" in \"--crate-name c\"[0-9]) {job};; esac\nexec \"$@\"\n");
        project.script("wrapper.sh", &script);
        let members: Vec<String> = (0..5).map(|number| format!("\"c{number}\"")).collect();
        let members = members.join(", ");
        project
            .file("Cargo.toml", format!("[workspace]\nresolver = \"2\"\nmembers = [{members}]\n"));
        for number in 0..5 {
            let package = format!(
                "[package]\nname = \"c{number}\"\nversion = \"0.1.0\"\nedition = \"2021\"\n"
            );
            project.file(&format!("c{number}/Cargo.toml"), package);
            project.file(&format!("c{number}/src/lib.rs"), "");
        }
        let mut command = project.command(&["test", slots]);
        for name in ["CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN"] {
            command.envs(env::var_os(name).map(|value| (name, value)));
        }
        run(command).ok();
        assert_eq!(meeting.begun(), 5, "{slots}");
        assert!(expected.contains(&meeting.most()), "{} with {slots}", meeting.most());
    }
}

#[test]
fn what_a_killed_command_took_is_put_back() {
    if !require("make") {
        return;
    }
    let (first, second) = (Meeting::new(), Meeting::new());
    let makefile = |meeting: &Meeting, name: &str| {
        let job = |job: u8| format!("{job}:\n\tsh job.sh {} {name}{job}\n", meeting.path());
        format!("all: 1 2\n{}{}", job(1), job(2))
    };
    // It is killed while both of its jobs run, one of them by a token.
    let kill = format!(
        "make -s -f first.mk & while [ $(cat {}/begun 2>/dev/null | wc -l) -lt 2 ]; do sleep 0.01; done; kill -9 $!; : > $0",
        first.path()
    );
    let project = Project::new(&format!(
        "[[command]]\nname = \"a\"\ninputs = [\"job.sh\", \"first.mk\"]\noutputs = [\"a\"]\nenv = {{ HOLD = \"1\" }}\n\
         run = [\"sh\", \"-c\", '''{kill}''', \"{{out}}\"]\n\
         [[command]]\nname = \"b\"\ninputs = [\"{{a}}\", \"job.sh\", \"second.mk\"]\noutputs = [\"b\"]\nenv = {{ TOGETHER = \"1\" }}\n\
         run = [\"sh\", \"-c\", \"make -s -f second.mk && : > $0\", \"{{out}}\"]\n"
    ));
    project.file("job.sh", JOB);
    project.file("first.mk", makefile(&first, "a")).file("second.mk", makefile(&second, "b"));
    project.larder(&["build", "b", "-j2"]).ok();
    assert_eq!((second.begun(), second.most()), (2, 2));
}

#[test]
fn what_names_no_jobserver_is_said_once() {
    let meeting = Meeting::new();
    let project = jobs(2, &meeting, "");
    for flags in
        ["--jobserver-auth=987,988", "--jobserver-auth=fifo:/nowhere", "--jobserver-auth=what"]
    {
        project.forget();
        let mut command = project.command(&["build"]);
        command.env("MAKEFLAGS", flags);
        let said = run(command).ok().stderr;
        assert_eq!(said.matches("cannot be used").count(), 1, "{flags}: {said}");
    }
    for flags in ["", "k -j4", " -j1 --jobserver-auth=-2,-2"] {
        let mut command = project.command(&["build"]);
        command.env("MAKEFLAGS", flags);
        let said = run(command).ok().stderr;
        assert!(!said.contains("jobserver"), "{flags}: {said}");
    }
}
