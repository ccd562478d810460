//! `larder compdb`, and commands that are printed.

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, SystemTime},
};

use larder_testkit::{
    files::modified,
    project::{PACKAGE, Project},
};
use serde_json::Value;

/// A package with C and C++, a generated source and header, a dependency, and headers that need others.
fn project() -> Project {
    let project = Project::new(
        r#"
[dependencies]
low = { path = "deps/low" }

[[executable]]
name = "app"
sources = ["src/*.c", "src/*.cpp", "{made}"]
includes = ["include", "{build}/gen"]
libraries = ["low/low"]
trace-args = ["-Wall", "-DQUOTED=\"a b\""]

[[command]]
name = "made"
outputs = ["gen/made.c", "gen/made.h"]
run = ["sh", "-c", "echo '#define MADE 7' > $2; printf '#include \"made.h\"\\nint made(void) { return MADE; }\\n' > $1", "sh", "{outs}"]
"#,
    );
    project.file("deps/low/larder.toml", "[package]\nname = \"low\"\n[[library]]\nname = \"low\"\nsources = [\"low.c\"]\nincludes = [\".\"]\n");
    project.file("deps/low/low.c", "#include \"low.h\"\nint low(void) { return LOW; }\n");
    project.file("deps/low/low.h", "#ifndef LOW\n#define LOW 3\nint low(void);\n#endif\n");
    project.file(
        "include/types.h",
        "#pragma once\n#include \"low.h\"\ntypedef struct { int x; } item;\n",
    );
    // They make sense only after others.
    project.file(
        "src/table.h",
        "static const item table[2] = {{1}, {2}};\nstatic const uint8_t more[LOW];\n",
    );
    project.file("src/main.c", "#ifdef _WIN32\n#include <windows.h>\n#include \"hidden.h\"\n#endif\n#include <stdint.h>\n#include \"types.h\"\n#include \"table.h\"\n#include <made.h>\nint made(void);\nint main(void) { const char *q = QUOTED; return *q + table[0].x + more[0] + made() - MADE; }\n");
    project.file(
        "include/shape.h",
        "#pragma once\nnamespace shapes { template <class T> struct Shape { T side; }; }\n",
    );
    // By way of another one, after what that includes, and with a macro of the source.
    project.file("src/way.h", "#include \"types.h\"\n#include \"late.h\"\n");
    project.file("src/late.h", "static const item late[SIZE] = {{3}};\n");
    project.file("src/way.c", "#define SIZE 4 /* of them */\n#include \"way.h\"\nint way(void) { return late[SIZE - 1].x; }\n");
    // After declarations of the one that includes it; and one that comes back to itself.
    project.file("include/umbrella.h", "#ifndef UMBRELLA\n#define UMBRELLA\n#define KIND int\n#include \"types.h\"\ntypedef struct { KIND kind; } handle;\n#include \"piece.h\"\n#include \"part.h\"\n#include \"circle.h\"\n#endif\n");
    project.file(
        "include/piece.h",
        "#ifndef PIECE\n#define PIECE\nhandle *piece(item *from);\n#endif\n",
    );
    let many: String = (0..30).map(|number| format!("handle *part{number}(void);\n")).collect();
    project.file(
        "include/part.h",
        format!("#ifndef PART\n#define PART\n#include \"umbrella.h\"\n{many}#endif\n"),
    );
    project.file("include/circle.h", "#ifndef CIRCLE\n#define CIRCLE\n#include \"umbrella.h\"\nvoid close_it(handle *it);\n#endif\n");
    project.file(
        "src/direct.c",
        "#include \"circle.h\"\nvoid close_it(handle *it) { it->kind = 0; }\n",
    );
    // For another system: nobody includes it, a source that is not built does, or one that conditions hide.
    project.file("include/other/system.h", "#include <nowhere.h>\n");
    project.file("src/windows.cc", "#include \"windows_only.h\"\n");
    project.file("src/windows_only.h", "SYSTEMTIME now(void);\n");
    project.file("include/hidden.h", "SYSTEMTIME then(void);\n");
    project.file("include/nobody.h", "#pragma once\ninline int nobody() { return 1; }\n");
    project.file(
        "src/shape.cpp",
        "#include <shape.h>\nint area() { shapes::Shape<int> s{2}; return s.side; }\n",
    );
    project
}

fn entries(project: &Project) -> Vec<Value> {
    serde_json::from_str(&project.read("compile_commands.json")).unwrap()
}

/// The entry of a file.
fn entry(project: &Project, path: &str) -> Value {
    let file = project.path(path).display().to_string();
    let found = entries(project).into_iter().find(|entry| entry["file"] == *file);
    found.unwrap_or_else(|| panic!("no {file} in {}", project.read("compile_commands.json")))
}

fn words(entry: &Value) -> Vec<&str> {
    entry["arguments"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect()
}

#[test]
fn every_source_and_header_has_an_entry() {
    let project = project();
    project.larder(&["compdb"]).ok().says("compile_commands.json");
    assert!(!project.path(".larder/build").exists(), "nothing is built for it");
    for path in ["src/main.c", ".larder/build/gen/made.c", "deps/low/low.c", "src/shape.cpp"] {
        let entry = entry(&project, path);
        let words = words(&entry);
        let here =
            if path.starts_with("deps") { project.path("deps/low") } else { project.root.clone() };
        assert_eq!(entry["directory"], here.display().to_string());
        assert!(words.contains(&&*project.path(path).display().to_string()), "{words:?}");
        let noise = |word: &&str| {
            ["-MD", "-MF", "-fdiagnostics", "-ffile-prefix"].iter().any(|n| word.starts_with(n))
        };
        assert!(!words.iter().any(noise), "{words:?}");
    }
    let main = entry(&project, "src/main.c");
    let include = format!("-I{}", project.path("include").display());
    assert!(words(&main).contains(&&*include) && words(&main).contains(&"-DQUOTED=\"a b\""));
    let object = project.output("obj/app/src/main.c.o").display().to_string();
    assert_eq!(main["output"], object);
    for (header, language) in [
        ("include/types.h", "c-header"),
        ("include/shape.h", "c++-header"),
        ("deps/low/low.h", "c-header"),
    ] {
        let entry = entry(&project, header);
        let words = words(&entry);
        let at = words.iter().position(|word| *word == "-x").unwrap();
        assert_eq!(words[at + 1], language, "{header}");
    }
    assert!(!project.read("compile_commands.json").contains("other/system.h"));
    // The commands work as they stand.
    project.build();
    fs::remove_dir_all(project.output("obj")).unwrap();
    for entry in entries(&project).iter().filter(|entry| !entry["output"].is_null()) {
        let words = words(entry);
        fs::create_dir_all(Path::new(entry["output"].as_str().unwrap()).parent().unwrap()).unwrap();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).current_dir(entry["directory"].as_str().unwrap());
        assert!(command.status().unwrap().success(), "{words:?}");
        assert!(Path::new(entry["output"].as_str().unwrap()).exists());
    }
}

#[test]
fn clangd_finds_nothing_amiss() {
    let project = project();
    project.larder(&["compdb"]).ok();
    project.build();
    for path in [
        "src/main.c",
        "src/shape.cpp",
        "src/table.h",
        "src/late.h",
        "src/way.h",
        "include/types.h",
        "include/shape.h",
        "include/nobody.h",
        "include/umbrella.h",
        "include/piece.h",
        "include/part.h",
        "include/circle.h",
        "src/direct.c",
        "deps/low/low.c",
        "deps/low/low.h",
        ".larder/build/gen/made.c",
        ".larder/build/gen/made.h",
    ] {
        let mut clangd = Command::new("clangd");
        let output = clangd
            .arg(format!("--check={}", project.path(path).display()))
            .env("HOME", &project.root);
        let output = output.current_dir(&project.root).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        // What its own refactorings cannot do is no fault of the source.
        assert!(
            said.contains("All checks completed") && !said.contains("] Line "),
            "{path}:\n{said}"
        );
        assert!(said.contains("compile_commands.json"), "{path}:\n{said}");
    }
}

#[test]
fn headers_for_other_systems_have_no_entries() {
    let project = project();
    let has = |path: &str| {
        let file = project.path(path).display().to_string();
        entries(&project).iter().any(|entry| entry["file"] == *file)
    };
    project.larder(&["compdb"]).ok();
    assert!(!has("include/other/system.h") && !has("src/windows_only.h"));
    assert!(has("include/hidden.h"), "as long as no build has looked");
    project.build();
    assert!(!has("include/hidden.h"), "{}", project.read("compile_commands.json"));
    assert!(has("include/nobody.h") && has("include/types.h"));
}

#[test]
fn it_is_kept_current_once_it_was_asked_for() {
    let project = project();
    let file = project.path("compile_commands.json");
    project.build();
    assert!(!file.exists(), "nobody has asked for it");
    project.file("compile_commands.json", "somebody else's");
    project.build();
    assert_eq!(project.read("compile_commands.json"), "somebody else's");
    project.larder(&["compdb"]).ok();
    project.build();
    let before = SystemTime::now() - Duration::from_secs(3600);
    fs::File::options().write(true).open(&file).unwrap().set_modified(before).unwrap();
    let then = modified(&file);
    project.build();
    assert_eq!(modified(&file), then, "the same bytes are left alone");
    project.file("src/new.c", "int newer(void) { return 1; }\n");
    // Another target: the others are not forgotten.
    project.larder(&["build", "low", "@low"]).ends_with(2);
    project.larder(&["build", "@low"]).ok();
    entry(&project, "src/new.c");
    entry(&project, "src/main.c");
    // A build that fails keeps it current, too.
    project.file("src/newest.c", "no\n");
    project.larder(&["build"]).ends_with(1);
    entry(&project, "src/newest.c");
    project.larder(&["clean"]).ok();
    project.remove("src/newest.c");
    project.build();
    assert!(!project.read("compile_commands.json").contains("newest.c"));
    // Who removes it does not want it.
    project.remove("compile_commands.json");
    project.build();
    assert!(!file.exists());
    let printed = project.larder(&["compdb", "--print"]).ok().stdout;
    assert!(serde_json::from_str::<Value>(&printed).unwrap().as_array().unwrap().len() >= 8);
    assert!(!file.exists());
}

#[test]
fn printed_commands_can_be_run_again() {
    let temporary = tempfile::tempdir().unwrap();
    let root = temporary.path().canonicalize().unwrap().join("a b's \"dir\"");
    let manifest = format!(
        "{PACKAGE}[[executable]]\nname = \"x\"\nsources = [\"x y.c\"]\ntrace-args = [\"-DT=\\\"a b\\\"\", \"-DN=$HOME\"]\n\
         [[command]]\nname = \"c\"\noutputs = [\"c out\"]\nenv = {{ V = \"it's\" }}\nrun = [\"sh\", \"-c\", \"echo \\\"$V\\\" > \\\"$0\\\"\", \"{{out}}\"]\n"
    );
    larder_testkit::files::write(&root.join("larder.toml"), manifest);
    larder_testkit::files::write(&root.join("x y.c"), "int main(void) { return sizeof T; }\n");
    let larder = |arguments: &[&str]| {
        larder_testkit::run::run(larder_testkit::run::larder(
            &root,
            &temporary.path().join("cache"),
            arguments,
        ))
    };
    let commands = |run: &larder_testkit::run::Run| -> Vec<String> {
        let ended = run.events().into_iter().filter(|event| event["event"] == "ended");
        ended.filter_map(|event| event["command"].as_str().map(str::to_owned)).collect()
    };
    let again =
        |command: &str| Command::new("sh").args(["-c", command]).current_dir("/").output().unwrap();
    let built = larder(&["build", "--json"]).ok();
    let all = commands(&built);
    assert_eq!(all.len(), 3, "{all:?}");
    let outputs =
        ["obj/x/x y.c.o", "x", "c out"].map(|output| root.join(".larder/build").join(output));
    let before = outputs.each_ref().map(|output| fs::read(output).unwrap());
    outputs.iter().for_each(|output| fs::remove_file(output).unwrap());
    // The object before what is linked from it.
    let (objects, rest): (Vec<_>, Vec<_>) =
        all.iter().partition(|command| command.contains(" -c -o "));
    for command in objects.into_iter().chain(rest) {
        let output = again(command);
        assert!(output.status.success(), "{command}\n{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(outputs.each_ref().map(|output| fs::read(output).unwrap()), before);
    larder_testkit::files::write(&root.join("x y.c"), "int main(void) { return wrong; }\n");
    let failed = larder(&["build", "--json"]).ends_with(1);
    let output = again(&commands(&failed)[0]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("wrong"));
    let said = larder(&["build"]).ends_with(1).stderr;
    assert!(said.contains("cd '") && !said.contains(".larder/tmp"), "{said}");
}

#[test]
fn it_is_not_made_again_while_nothing_changes() {
    let project = project();
    project.larder(&["compdb"]).ok();
    project.build();
    let stamp = project.path(".larder/compdb");
    let index = project.path(".larder/index");
    // What has changed a moment ago is looked at once more by the next build, which then writes the index, and
    // with it the stamp.
    larder_testkit::wait::wait_until("a build writes neither index nor stamp", || {
        let before = (modified(&index), modified(&stamp));
        project.build();
        let is_whole = fs::metadata(&stamp).is_ok_and(|found| found.len() > 0);
        is_whole && before == (modified(&index), modified(&stamp))
    });
    let stamped = || modified(&stamp);
    let then = stamped();
    // Nobody reads the sources for it: what no build has looked at does not count.
    let opened = |arguments: &[&str]| {
        let trace = project.path("../opened");
        let flags = ["strace", "-f", "-qq", "-e", "trace=openat", "-o", trace.to_str().unwrap()];
        let command = project.command(arguments);
        larder_testkit::run::run(larder_testkit::run::under(&flags, &command)).ok();
        fs::read_to_string(trace).unwrap()
    };
    if larder_testkit::tools::require("strace") {
        let trace = opened(&["build"]);
        assert!(!trace.contains("types.h") && !trace.contains("main.c"), "{trace}");
    }
    assert_eq!(stamped(), then);
    // Whatever decides it counts, one by one.
    let has = |text: &str| project.read("compile_commands.json").contains(text);
    type Change<'c> = (&'c str, &'c dyn Fn(), &'c [&'c str], &'c str);
    let changes: [Change<'_>; 4] = [
        (
            "a new header",
            &|| _ = project.file("include/fresh.h", ""),
            &["build"],
            "include/fresh.h",
        ),
        (
            "a new source of a target that is not built",
            &|| _ = project.file("src/fresh.c", ""),
            &["build", "@low"],
            "src/fresh.c",
        ),
        (
            "the manifest",
            &|| project.replace("larder.toml", "-Wall", "-Wextra"),
            &["build"],
            "-Wextra",
        ),
        ("a profile", &|| {}, &["build", "--profile", "debug"], "-O0"),
    ];
    for (what, change, arguments, text) in changes {
        assert!(!has(text), "{what}");
        change();
        project.larder(arguments).ok();
        assert!(has(text), "{what}");
    }
    let mut other = project.command(&["build"]);
    other.env("CFLAGS", "-DFROM_ENVIRONMENT");
    larder_testkit::run::run(other).ok();
    assert!(has("FROM_ENVIRONMENT") && !has("-O0"));
    // Somebody else's hands.
    project.file("compile_commands.json", "[]");
    project.build();
    assert!(!has("FROM_ENVIRONMENT") && has("src/main.c"));
    // An edited header is included by others now.
    project.file(
        "src/way.h",
        "#include \"types.h\"\n#include \"other/more.h\"\n#include \"late.h\"\n",
    );
    project.file("include/other/more.h", "");
    project.build();
    assert!(has("other/more.h"));
    // A stamp that is damaged vouches for nothing.
    fs::write(&stamp, "{").unwrap();
    project.file("compile_commands.json", "[]");
    project.build();
    assert!(has("src/main.c"));
}
