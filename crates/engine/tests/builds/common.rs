//! Common builds: objects, libraries, executables and commands, without a manifest.

use std::{fs, process::Command, sync::Arc};

use larder_engine::{
    action::{Output, Variable, text},
    artifact::Artifact,
    builds::*,
    context::{Mode, Options},
    event::Status,
    job::{Job, collect},
};
use larder_project::plan::{BuiltIn, Part};
use larder_trace::{BuildTrace, ContentHash};

use crate::support::*;

#[test]
fn inputs_are_hashed_as_what_they_are() {
    let here = Here::new();
    here.file("a", "x\r\ny\n").file("d/one", "1").file("d/sub/two", "2").file("d/.hidden", "");
    let hash = |make: &dyn Fn(&Owner) -> Job<Artifact>| {
        let build = here.build();
        build.run(&make(&build.owner)).unwrap().value.hash
    };
    assert_eq!(hash(&|o| input_text_file(o, own("a"))), ContentHash::of_bytes(b"x\ny\n"));
    assert_eq!(hash(&|o| input_bin_file(o, own("a"))), ContentHash::of_bytes(b"x\r\ny\n"));
    assert_eq!(hash(&|o| input_file(o, own("a"), true)), hash(&|o| input_text_file(o, own("a"))));
    assert_eq!(hash(&|o| input_file(o, own("a"), false)), hash(&|o| input_bin_file(o, own("a"))));
    let before = hash(&|o| input_dir(o, own("d"), false));
    here.file("d/.hidden", "other");
    assert_eq!(hash(&|o| input_dir(o, own("d/"), false)), before);
    fs::rename(here.root.join("d/one"), here.root.join("d/uno")).unwrap();
    let renamed = hash(&|o| input_dir(o, own("d"), false));
    assert_ne!(renamed, before);
    here.file("d/sub/two", "3");
    assert_ne!(hash(&|o| input_dir(o, own("d"), false)), renamed);

    let build = here.build();
    for job in [
        input_text_file(&build.owner, own("gone")),
        input_dir(&build.owner, own("gone"), true),
        input_bin_file(&build.owner, own("d")),
    ] {
        assert!(build.run(&job).is_err());
    }
    let said = build.said().join("\n");
    for text in ["the input gone is not there", "the input d is a directory, not a file"] {
        assert!(said.contains(text), "{said}");
    }
}

/// Everything that can be made of two sources. Gives what was built.
fn everything(here: &Here, weak: &[&str], traced: &[&str]) -> Vec<String> {
    settle();
    let build = here.build();
    let compile = compile(weak, traced);
    let objects = ["f.c", "g.c"].map(|source| object(&build, source, &compile));
    let objects = collect(&build.cx.scheduler, objects);
    let main = collect(&build.cx.scheduler, [object(&build, "main.c", &compile)]);
    let one = |job: &Job<Artifact>| collect(&build.cx.scheduler, [job.clone()]);
    let stat = build_static_lib(build.owner(), out("libfg.a"), &objects, archive());
    let whole = build_shared_lib_of_static(build.owner(), out("libwhole.so"), &stat, link());
    let shared = build_shared_lib(build.owner(), out("libfg.so"), [objects], None, link());
    let run_path = Link { weak_args: vec![text("-Wl,-rpath,$ORIGIN")], ..link() };
    let exe = build_exe(build.owner(), out("exe"), [main.clone(), one(&stat)], None, link());
    let dynamic = build_exe(build.owner(), out("dynamic"), [main, one(&whole)], None, run_path);
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
    let objects = collect(&build.cx.scheduler, [object(&build, "f.c", &compile)]);
    let make =
        |file: &str| build_shared_lib(build.owner(), out(file), [objects.clone()], None, link());
    let name = |job: &Job<Artifact>| build.run(&compute_dynlib_of_shared(&build.owner(), job));
    let found = name(&make("sub/libf.so")).unwrap();
    assert_eq!(
        (found.value.path.as_str(), found.value.name.as_str()),
        (".larder/build/sub/libf.so", "f")
    );
}

#[test]
fn a_dynlib_without_lib_in_front_is_an_error() {
    let here = Here::new();
    here.file("f.c", "int f(void) { return 1; }\n");
    for file in ["f.so", "lib.so", "glib.so"] {
        let build = here.build();
        let compile = compile(&[], &["-fPIC"]);
        let objects = collect(&build.cx.scheduler, [object(&build, "f.c", &compile)]);
        let shared = build_shared_lib(build.owner(), out(file), [objects], None, link());
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
        tool_at(here.root.join("mycc")),
        Dialect::Other,
        vec![text("weak")],
        vec!["traced".into()],
        BuildTrace::nil("object"),
    );
    let input = input_bin_file(&build.owner, own("x.src"));
    let job = build_o(build.owner(), out("x.o"), &input, Arc::new(compile), None);
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
            collect(&build.cx.scheduler, ["a", "b"].map(|p| input_bin_file(&build.owner, own(p))));
        let literal = |text: &str| vec![Part::Text(text.to_owned())];
        let command = CommandBuild {
            program: CommandProgram::Tool(tool("sh")),
            arguments: vec![
                literal("-c"),
                literal("cat $3 $4 > $1; echo $0$X > $2"),
                literal("word"),
                vec![Part::BuiltIn(BuiltIn::Outs)],
                vec![Part::BuiltIn(BuiltIn::In)],
            ],
            environment: [("X".to_owned(), Variable::Text("!".to_owned()))].into(),
            settings: Default::default(),
            declared_inputs: 2,
            tools: Vec::new(),
            always: false,
            depends_on: BuildTrace::nil("command"),
            runs_in: Default::default(),
            machine: larder_engine::builds::Machine::Here,
        };
        let (all, word) = (Output::file(out("all")), Output::file(out("word")));
        let job = build_command(build.owner(), all, vec![word], [inputs], command);
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
