//! Common builds and jobs as a build program of one's own calls them: without a manifest.

use std::{
    convert::Infallible,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use larder_engine::{
    artifact::{Artifact, Output},
    builds::*,
    cache::Cache,
    context::{Context, Mode, Options},
    event::{Event, Reporter, Status},
    job::{Built, Failed, Finished, Job, Registry, Scheduler, collect},
    process::Processes,
};
use larder_project::place::Place;
use larder_testkit::files::{script, write};
use larder_trace::{BuildTrace, ContentHash};
use tempfile::TempDir;

/// A directory to build in.
struct Here {
    _directory: TempDir,
    root: PathBuf,
}

/// Runs jobs on so many threads until this one is done.
fn finish<T: Send + Sync + 'static>(
    scheduler: &Arc<Scheduler>,
    threads: usize,
    job: &Job<T>,
) -> Finished<T> {
    let run = scheduler.run(threads, || Ok::<_, Infallible>(job.clone()));
    let Ok(job) = run;
    job.finished().expect("no job waits for itself")
}

/// What a build said: how each output ended, and errors.
#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Reporter for Heard {
    fn event(&self, event: &Event<'_>) {
        let said = match event {
            Event::Ended { step, ended, .. } => {
                let error = ended.error.map_or(String::new(), |error| format!(": {error}"));
                format!("{:?} {}{error}", ended.status, step.output)
            }
            Event::Note { message, .. } => (*message).to_owned(),
            _ => return,
        };
        self.0.lock().unwrap().push(said);
    }

    fn wants_everything(&self) -> bool {
        true
    }
}

/// One build.
struct Build {
    cx: Arc<Context>,
    owner: Owner,
    heard: Arc<Heard>,
}

impl Here {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        Self { root, _directory: directory }
    }

    fn file(&self, path: &str, text: &str) -> &Self {
        write(&self.root.join(path), text);
        self
    }

    fn script(&self, path: &str, text: &str) -> &Self {
        script(&self.root.join(path), text);
        self
    }

    fn output(&self, path: &str) -> PathBuf {
        self.root.join(".larder/build").join(path)
    }

    fn build(&self) -> Build {
        self.build_with(Options::default())
    }

    fn build_with(&self, options: Options) -> Build {
        let place = Place::new(&self.root, "p", &self.root);
        let heard = Arc::new(Heard::default());
        let cx = Context::new(
            self.root.clone(),
            vec![place.clone()],
            options,
            Cache::none(),
            None,
            Arc::new(Processes::default()),
            heard.clone(),
        )
        .unwrap();
        let owner = Owner { cx: cx.clone(), place: place.into(), target: "t".into(), keep: true };
        Build { cx, owner, heard }
    }
}

impl Build {
    fn owner(&self) -> Owner {
        self.owner.clone()
    }

    fn run<T: Send + Sync + 'static>(&self, job: &Job<T>) -> Result<Arc<Built<T>>, Failed> {
        let finished = finish(&self.cx.scheduler, 4, job);
        self.cx.index.save().unwrap();
        self.cx.clean_up();
        finished
    }

    /// What was said, sorted.
    fn said(&self) -> Vec<String> {
        let mut said = self.heard.0.lock().unwrap().clone();
        said.sort();
        said
    }

    fn with(&self, status: Status) -> Vec<String> {
        let start = format!("{status:?} ");
        self.said().iter().filter_map(|line| Some(line.strip_prefix(&start)?.to_owned())).collect()
    }
}

fn tool(name: &str) -> PathBuf {
    larder_engine::tool::find_tool(name, name).unwrap()
}

fn compile(weak: &[&str], traced: &[&str]) -> Arc<Compile> {
    let list = |values: &[&str]| values.iter().map(|value| value.to_string()).collect();
    Compile::new(tool("cc"), true, list(weak), list(traced), BuildTrace::nil("object")).into()
}

fn link() -> Link {
    Link {
        linker: tool("cc"),
        weak_args: Vec::new(),
        trace_args: Vec::new(),
        link_args: Vec::new(),
        depends_on: BuildTrace::nil("link"),
    }
}

fn archive() -> Archive {
    Archive { archiver: tool("ar"), depends_on: BuildTrace::nil("archive") }
}

fn object(build: &Build, source: &str, compile: &Arc<Compile>) -> Job<Artifact> {
    let input = input_text_file(&build.owner, source);
    build_o(build.owner(), format!("{source}.o"), &input, compile.clone(), None)
}

#[test]
fn inputs_are_hashed_as_what_they_are() {
    let here = Here::new();
    here.file("a", "x\r\ny\n").file("d/one", "1").file("d/sub/two", "2").file("d/.hidden", "");
    let hash = |make: &dyn Fn(&Owner) -> Job<Artifact>| {
        let build = here.build();
        build.run(&make(&build.owner)).unwrap().value.hash
    };
    assert_eq!(hash(&|o| input_text_file(o, "a")), ContentHash::of_bytes(b"x\ny\n"));
    assert_eq!(hash(&|o| input_bin_file(o, "a")), ContentHash::of_bytes(b"x\r\ny\n"));
    assert_eq!(hash(&|o| input_file(o, "a", true)), hash(&|o| input_text_file(o, "a")));
    assert_eq!(hash(&|o| input_file(o, "a", false)), hash(&|o| input_bin_file(o, "a")));
    let before = hash(&|o| input_dir(o, "d", false));
    here.file("d/.hidden", "other");
    assert_eq!(hash(&|o| input_dir(o, "d/", false)), before);
    fs::rename(here.root.join("d/one"), here.root.join("d/uno")).unwrap();
    let renamed = hash(&|o| input_dir(o, "d", false));
    assert_ne!(renamed, before);
    here.file("d/sub/two", "3");
    assert_ne!(hash(&|o| input_dir(o, "d", false)), renamed);

    let build = here.build();
    for job in [
        input_text_file(&build.owner, "gone"),
        input_dir(&build.owner, "gone", true),
        input_bin_file(&build.owner, "d"),
    ] {
        assert!(build.run(&job).is_err());
    }
    let said = build.said().join("\n");
    for text in ["the input gone is not there", "the input d is a directory, not a file"] {
        assert!(said.contains(text), "{said}");
    }
}

#[test]
fn a_file_after_one_dependency_or_many() {
    let here = Here::new();
    here.file("a", "a\n").file("b", "b\n");
    let run = |extra: &'static str| {
        let build = here.build();
        let inputs: Vec<Job<Artifact>> =
            ["a", "b"].map(|path| input_text_file(&build.owner, path)).into();
        let extra = move || BuildTrace::text("extra", extra);
        let one = build_file_after_dep(build.owner(), "one", &inputs[0], extra, |action| {
            let text = fs::read_to_string(action.cx.absolute(&action.inputs[0].path)).unwrap();
            fs::write(action.staged(&action.step.outputs[0])?, text.to_uppercase()).unwrap();
            Ok(())
        });
        let count = build_file_after_deps(build.owner(), "deep/count", inputs, extra, |action| {
            let program = Path::new("/bin/sh");
            let target = action.staged(&action.step.outputs[0])?;
            let mut arguments = vec!["-c".to_owned(), "cat \"$@\" > $0".to_owned()];
            arguments.push(action.argument(&target));
            arguments.extend(action.inputs.iter().map(|input| action.artifact(input)));
            action.run(program, arguments, &[])
        });
        build.run(&collect(&build.cx.scheduler, [one, count])).unwrap();
        build.with(Status::Built)
    };
    assert_eq!(run("1"), ["deep/count", "one"]);
    assert_eq!(fs::read_to_string(here.output("one")).unwrap(), "A\n");
    assert_eq!(fs::read_to_string(here.output("deep/count")).unwrap(), "a\nb\n");
    assert_eq!(run("1"), [""; 0]);
    here.file("b", "B\n");
    assert_eq!(run("1"), ["deep/count"]);
    assert_eq!(run("2"), ["deep/count", "one"]);
}

/// Everything that can be made of two sources. Gives what was built.
fn everything(here: &Here, weak: &[&str], traced: &[&str]) -> Vec<String> {
    let build = here.build();
    let compile = compile(weak, traced);
    let objects = [object(&build, "f.c", &compile), object(&build, "g.c", &compile)];
    let main = object(&build, "main.c", &compile);
    let stat = build_static_lib(build.owner(), "libfg.a", objects.clone(), archive());
    let whole = build_shared_lib_of_static(build.owner(), "libwhole.so", &stat, link());
    let shared = build_shared_lib(build.owner(), "libfg.so", objects, link());
    let run_path = Link { weak_args: vec!["-Wl,-rpath,$ORIGIN".to_owned()], ..link() };
    let exe = build_exe(build.owner(), "exe", [main.clone(), stat.clone()], link());
    let dynamic = build_exe(build.owner(), "dynamic", [main, whole.clone()], run_path);
    let all = collect(&build.cx.scheduler, [stat, whole, shared, exe, dynamic]);
    build.run(&all).unwrap_or_else(|_| panic!("{:?}", build.said()));
    build.with(Status::Built)
}

#[test]
fn objects_libraries_and_executables() {
    let here = Here::new();
    here.file("f.c", "#include \"n.h\"\nint f(void) { return N; }\n");
    here.file("g.c", "int g(void) { return 4; }\n").file("n.h", "#define N 3\n");
    here.file("main.c", "int f(void);\nint g(void);\nint main(void) { return f() + g(); }\n");
    let all =
        ["dynamic", "exe", "f.c.o", "g.c.o", "libfg.a", "libfg.so", "libwhole.so", "main.c.o"];
    assert_eq!(everything(&here, &["-I."], &["-fPIC"]), all);
    for program in ["exe", "dynamic"] {
        assert_eq!(Command::new(here.output(program)).status().unwrap().code(), Some(7));
    }
    // The whole of the static library is in the shared one, though nothing asked for it.
    let symbols = Command::new("nm").arg("-D").arg(here.output("libwhole.so")).output().unwrap();
    let symbols = String::from_utf8(symbols.stdout).unwrap();
    assert!(symbols.contains(" T f\n") && symbols.contains(" T g\n"), "{symbols}");
    assert_eq!(everything(&here, &["-I."], &["-fPIC"]), [""; 0]);
    assert_eq!(everything(&here, &["-I", "."], &["-fPIC"]), [""; 0], "weak arguments");
    here.file("n.h", "#define N 5\n");
    assert_eq!(
        everything(&here, &["-I."], &["-fPIC"]),
        ["dynamic", "exe", "f.c.o", "libfg.a", "libfg.so", "libwhole.so"]
    );
    let rebuilt = everything(&here, &["-I."], &["-fPIC", "-DX"]);
    assert_eq!(rebuilt, ["f.c.o", "g.c.o", "main.c.o"], "the same objects go no further");
}

#[test]
fn dynlibs_have_the_name_that_a_linker_asks_for() {
    let here = Here::new();
    here.file("f.c", "int f(void) { return 1; }\n");
    let build = here.build();
    let compile = compile(&[], &["-fPIC"]);
    let make = |file: &str| {
        build_shared_lib(build.owner(), file, [object(&build, "f.c", &compile)], link())
    };
    let name = |job: &Job<Artifact>| build.run(&compute_dynlib_of_shared(&build.owner(), job));
    let found = name(&make("sub/libf.so")).unwrap();
    assert_eq!(
        found.value,
        Dynlib { path: ".larder/build/sub/libf.so".to_owned(), name: "f".to_owned() }
    );
}

#[test]
fn a_dynlib_keeps_the_dots_of_its_name() {
    let here = Here::new();
    here.file("f.c", "int f(void) { return 1; }\n");
    let build = here.build();
    let compile = compile(&[], &["-fPIC"]);
    let object = object(&build, "f.c", &compile);
    let shared = build_shared_lib(build.owner(), "libfoo-1.2.so", [object], link());
    let found = build.run(&compute_dynlib_of_shared(&build.owner(), &shared)).unwrap();
    assert_eq!(found.value.name, "foo-1.2");
}

#[test]
fn a_dynlib_without_lib_in_front_is_an_error() {
    let here = Here::new();
    here.file("f.c", "int f(void) { return 1; }\n");
    for file in ["f.so", "lib.so", "glib.so"] {
        let build = here.build();
        let compile = compile(&[], &["-fPIC"]);
        let shared =
            build_shared_lib(build.owner(), file, [object(&build, "f.c", &compile)], link());
        assert!(build.run(&compute_dynlib_of_shared(&build.owner(), &shared)).is_err());
        let said = build.said().join("\n");
        assert!(said.contains("`lib` must come first"), "{said}");
    }
}

#[test]
fn a_compiler_of_any_make_gets_the_arguments_and_nothing_else() {
    let here = Here::new();
    here.file("x.src", "text\n")
        .script("mycc", "echo \"$@\" | sed 's# [^ ]*/x.o# OUT#' > args\nprintf made > \"$3\"\n");
    let build = here.build();
    let compile = Compile::new(
        here.root.join("mycc"),
        false,
        vec!["weak".into()],
        vec!["traced".into()],
        BuildTrace::nil("object"),
    );
    let input = input_bin_file(&build.owner, "x.src");
    let job = build_o(build.owner(), "x.o", &input, Arc::new(compile), None);
    build.run(&job).unwrap();
    assert_eq!(
        fs::read_to_string(here.root.join("args")).unwrap(),
        "-c -o OUT x.src weak traced\n"
    );
    assert_eq!(fs::read_to_string(here.output("x.o")).unwrap(), "made");
}

#[test]
fn commands_take_inputs_and_make_outputs() {
    let here = Here::new();
    here.file("a", "1\n").file("b", "2\n");
    let run = || {
        let build = here.build();
        let inputs =
            collect(&build.cx.scheduler, ["a", "b"].map(|p| input_bin_file(&build.owner, p)));
        let literal = |text: &str| vec![larder_project::manifest::Word::Literal(text.to_owned())];
        let command = CommandBuild {
            program: Some("/bin/sh".into()),
            arguments: vec![
                literal("-c"),
                literal("cat $3 $4 > $1; echo $0$X > $2"),
                literal("word"),
                vec![larder_project::manifest::Word::Outs],
                vec![larder_project::manifest::Word::In],
            ],
            environment: vec![("X".to_owned(), "!".into())],
            passed: Vec::new(),
            declared_inputs: 2,
            depends_on: BuildTrace::nil("command"),
        };
        let outputs = vec![Output::file("all"), Output::file("word")];
        let job = build_command(build.owner(), outputs, [inputs], command);
        build.run(&job).unwrap_or_else(|_| panic!("{:?}", build.said()));
        build.with(Status::Built)
    };
    assert_eq!(run(), ["all"], "a step is called by its first output");
    assert_eq!(fs::read_to_string(here.output("all")).unwrap(), "1\n2\n");
    assert_eq!(fs::read_to_string(here.output("word")).unwrap(), "word!\n");
    assert_eq!(run(), [""; 0]);
    here.file("a", "3\n");
    assert_eq!(run(), ["all"]);
}

#[test]
fn nothing_is_built_when_that_is_asked_for() {
    let here = Here::new();
    here.file("f.c", "int f(void) { return 1; }\n");
    for mode in [Mode::NoBuild, Mode::DryRun] {
        let build = here.build_with(Options { mode, ..Options::default() });
        let job = object(&build, "f.c", &compile(&[], &[]));
        assert!(build.run(&job).is_err());
        assert_eq!(build.with(Status::OutOfDate), ["f.c.o"]);
        assert!(!here.output("f.c.o").exists());
    }
}

#[test]
fn work_that_promises_too_much_leaves_no_output() {
    let here = Here::new();
    here.file("a", "");
    let build = here.build();
    let input = input_bin_file(&build.owner, "a");
    let nothing = || BuildTrace::nil("extra");
    let job = build_file_after_dep(build.owner(), "x", &input, nothing, |_| Ok(()));
    assert!(build.run(&job).is_err());
    assert!(build.with(Status::Failed)[0].contains("did not write its output `x`"));
    assert!(!here.output("x").exists() && !here.output("x.trace").exists());
}

#[test]
fn each_is_built_once_however_many_ask() {
    let here = Here::new();
    here.file("a", "a");
    let build = here.build();
    let builds = Arc::new(AtomicUsize::new(0));
    let registry: Registry<&str, Artifact> = Registry::default();
    let ask = || {
        registry.fetch("x", || {
            let (input, builds) = (input_bin_file(&build.owner, "a"), builds.clone());
            build_file_after_dep(
                build.owner(),
                "x",
                &input,
                || BuildTrace::nil("extra"),
                move |action| {
                    builds.fetch_add(1, Ordering::Relaxed);
                    fs::write(action.staged(&action.step.outputs[0])?, "x").unwrap();
                    Ok(())
                },
            )
        })
    };
    let all = collect(&build.cx.scheduler, (0..50).map(|_| ask()));
    assert_eq!(build.run(&all).unwrap().value.len(), 50);
    assert_eq!(builds.load(Ordering::Relaxed), 1);
}

#[test]
fn no_more_run_at_once_than_are_allowed() {
    for threads in [1, 3] {
        let scheduler = Scheduler::new();
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let jobs: Vec<Job<()>> = (0..12)
            .map(|_| {
                let (running, most) = (running.clone(), most.clone());
                Job::spawn(&scheduler, move || {
                    let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                    most.fetch_max(now, Ordering::SeqCst);
                    // Until the others have had their chance to be too many.
                    thread::sleep(Duration::from_millis(10));
                    running.fetch_sub(1, Ordering::SeqCst);
                    Ok(Built { value: (), trace: BuildTrace::nil("job") })
                })
            })
            .collect();
        finish(&scheduler, threads, &collect(&scheduler, jobs)).unwrap();
        assert_eq!(most.load(Ordering::SeqCst), threads);
    }
}

/// A chain of files of which each is made from the one before, the last with `extra`.
fn chain(build: &Build, length: usize, extra: &'static str) -> Job<Artifact> {
    let mut job = input_bin_file(&build.owner, "in");
    for number in 0..length {
        let is_last = number + 1 == length;
        let owner = Owner { keep: is_last, ..build.owner() };
        let extra = move || BuildTrace::text("extra", if is_last { extra } else { "" });
        job = build_file_after_dep(owner, format!("o{number}"), &job, extra, move |action| {
            let text = fs::read(action.cx.absolute(&action.inputs[0].path)).unwrap();
            fs::write(action.staged(&action.step.outputs[0])?, text).unwrap();
            Ok(())
        });
    }
    job
}

#[test]
fn a_long_chain_that_was_left_in_a_store_is_made_again_when_it_is_gone() {
    const LENGTH: usize = 2000;
    let here = Here::new();
    here.file("in", "content");
    let build = here.build();
    build.run(&chain(&build, LENGTH, "1")).unwrap();
    // As after a restore of what is asked for: of the rest there are only records.
    for number in 0..LENGTH - 1 {
        let trace = here.output(&format!("o{number}.trace"));
        let text = fs::read_to_string(&trace).unwrap();
        fs::write(&trace, text.replace("\"synthetic\":false", "\"synthetic\":true")).unwrap();
        fs::remove_file(here.output(&format!("o{number}"))).unwrap();
    }
    fs::remove_file(here.root.join(".larder/index")).unwrap();

    let again = here.build();
    again.run(&chain(&again, LENGTH, "1")).unwrap();
    assert_eq!(again.with(Status::Built), [""; 0]);
    let changed = here.build();
    changed.run(&chain(&changed, LENGTH, "2")).unwrap();
    assert_eq!(changed.with(Status::Built).len(), LENGTH);
    assert_eq!(fs::read_to_string(here.output(&format!("o{}", LENGTH - 1))).unwrap(), "content");
}
