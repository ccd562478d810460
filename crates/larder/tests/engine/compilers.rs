//! Conditions on the compiler: which compilers are asked who they are, and how often.

use std::{fs, path::PathBuf};

use larder_testkit::project::Project;

#[test]
fn conditions_on_the_compiler() {
    let project = Project::new(
        r#"
[toolchain]
cc = "gcc"
cxx = "g++"

[[executable]]
name = "x"
sources = ["x.c"]

[[executable.case]]
when = { compiler = "clang" }
c-args = ["-DC=\"clang\""]

[[executable.case]]
when = { compiler = "gcc" }
c-args = ["-DC=\"gcc\""]
"#,
    );
    project.file("x.c", "#include <stdio.h>\n#if defined __clang__\n#define REAL \"clang\"\n#else\n#define REAL \"gcc\"\n#endif\nint main(void) { return puts(C \" \" REAL) < 0; }\n");
    let run = || project.larder(&["exec", "x"]).ok().stdout;
    assert_eq!(run(), "gcc gcc\n");
    project.build().all("replayed");
    project.replace("larder.toml", "\"gcc\"\ncxx = \"g++\"", "\"clang\"\ncxx = \"clang++\"");
    assert_eq!(run(), "clang clang\n");
    project.larder(&["build", "--no-build"]).ok();
    // Nothing here is C++.
    project.replace("larder.toml", "\"clang++\"", "\"g++\"");
    assert_eq!(run(), "clang clang\n");
    project.replace("larder.toml", "[\"x.c\"]", "[\"x.c\", \"y.cc\"]");
    project.file("y.cc", "int y;\n");
    project.larder(&["build"]).ends_with(2).mentions(&["`clang` is clang", "`g++` is gcc"]);
    project.replace("larder.toml", "\"clang\"\n", "\"no-such-cc\"\n");
    project.larder(&["graph"]).ends_with(2).mentions(&["no-such-cc", "not found"]);
}

/// A manifest may name any program as its compiler, which is asked before anything is built.
#[test]
fn a_compiler_that_a_condition_asks_for_is_confined() {
    let project = Project::new(
        "[toolchain]\ncc = \"./cc.sh\"\n[[executable]]\nname = \"x\"\nsources = [\"x.c\"]\nwhen = { compiler = \"gcc\" }\n",
    );
    project.file("x.c", "int main(void) { return 0; }\n");
    let mark = project.root.parent().unwrap().join("mark");
    project.script("cc.sh", &format!(": > {}\nexec gcc \"$@\"\n", mark.display()));
    project.larder(&["build", "--sandbox"]);
    assert!(!mark.exists());
    project.larder(&["graph"]).ok();
    assert!(mark.exists());
}

/// A package whose compilers are scripts that write down each call, with a case for GCC.
struct Asking(Project);

impl Asking {
    fn new(sources: &str, arguments: &str) -> Self {
        let project = Project::new(&format!(
            r#"
[toolchain]
cc = "./cc.sh"
cxx = "./cxx.sh"

[defaults]
trace-args = [{arguments}]

[[library]]
name = "l"
sources = [{sources}]

[[library.case]]
when = {{ compiler = "gcc" }}
defines = ["GCC"]
"#
        ));
        project.file("src/a.c", "#ifndef GCC\n#error no GCC\n#endif\nint a;\n");
        project.file("lib/b.cc", "#ifndef GCC\n#error no GCC\n#endif\nint b;\n");
        let asking = Self(project);
        asking.write("cc", "gcc", "");
        asking.write("cxx", "g++", "");
        asking
    }

    /// Writes the compiler that runs `program`.
    fn write(&self, name: &str, program: &str, comment: &str) {
        let calls = self.calls(name);
        let text =
            format!("{comment}\necho \"$*\" >> {}\nexec {program} \"$@\"\n", calls.display());
        self.0.script(&format!("{name}.sh"), &text);
    }

    fn calls(&self, name: &str) -> PathBuf {
        self.0.root.parent().unwrap().join(format!("{name}.calls"))
    }

    /// Runs larder, and returns how often each compiler was called.
    #[track_caller]
    fn called(&self, arguments: &[&str]) -> [usize; 2] {
        self.0.larder(arguments).ok();
        ["cc", "cxx"].map(|name| {
            let calls = fs::read_to_string(self.calls(name)).unwrap_or_default();
            _ = fs::remove_file(self.calls(name));
            calls.lines().count()
        })
    }
}

/// A compiler is asked where a source is in its language, and a build remembers what it said, also where what is
/// built asks it something else (`-m64`).
#[test]
fn only_compilers_of_the_languages_are_asked_and_once() {
    let (c, cxx) = (r#""src/*.c""#, r#""lib/*.cc""#);
    let both = format!("{c}, {cxx}");
    for (sources, arguments, used) in [
        (c, "", [true, false]),
        (c, r#""-m64""#, [true, false]),
        (cxx, r#""-m64""#, [false, true]),
        (&both, "", [true, true]),
        // What may be C or C++ is both to a condition.
        (r#""src/*""#, "", [true, true]),
    ] {
        let asking = Asking::new(sources, arguments);
        // A dry run remembers nothing.
        let dry = asking.called(&["build", "--dry-run"]);
        assert_eq!(dry.map(|calls| calls > 0), used, "{sources}");
        assert!(!asking.0.path(".larder").exists());
        let first = asking.called(&["build"]);
        assert_eq!(first.map(|calls| calls > 0), used, "{sources}");
        for again in [&["build"][..], &["build", "--dry-run"], &["build", "--no-build"], &["graph"]]
        {
            assert_eq!(asking.called(again), [0, 0], "{sources} {arguments} {again:?}");
        }
        // Another compiler is asked, and nobody else is.
        let changed = used.map(usize::from).iter().rposition(|&used| used == 1).unwrap();
        let (name, program) = [("cc", "gcc"), ("cxx", "g++")][changed];
        asking.write(name, program, "# another");
        let calls = asking.called(&["build"]);
        assert!(calls[changed] > 0, "{sources} {arguments}");
        assert_eq!(calls[1 - changed], 0, "{sources} {arguments}");
        assert_eq!(asking.called(&["build"]), [0, 0], "{sources} {arguments}");
    }
}

/// What a condition asks is what the build asks, too: the first build asks it once.
#[test]
fn a_condition_asks_nothing_that_a_build_asks_again() {
    let asking = Asking::new(r#""src/*.c""#, "");
    let with = asking.called(&["build"]);
    let plain = Asking::new(r#""src/*.c""#, "");
    plain.0.replace("larder.toml", "[[library.case]]\nwhen = { compiler = \"gcc\" }\n", "");
    assert_eq!(plain.called(&["build"]), with);
}

#[test]
fn a_compiler_of_no_language_need_not_be_there() {
    for (sources, absent) in [(r#""src/*.c""#, "./cxx.sh"), (r#""lib/*.cc""#, "./cc.sh")] {
        let asking = Asking::new(sources, "");
        asking.0.replace("larder.toml", absent, "no-such-compiler");
        asking.called(&["build"]);
    }
    let asking = Asking::new(r#""lib/*.cc""#, "");
    asking.0.replace("larder.toml", "./cxx.sh", "no-such-compiler");
    asking.0.larder(&["build"]).ends_with(2).mentions(&["no-such-compiler", "not found"]);
}

/// A compiler that answers otherwise from now on decides anew what holds.
#[test]
fn a_compiler_of_another_family_is_noticed() {
    let asking = Asking::new(r#""src/*.c""#, "");
    asking.called(&["build"]);
    asking.write("cc", "clang", "");
    asking.0.larder(&["build"]).ends_with(1).mentions(&["no GCC"]);
    asking.write("cc", "gcc", "");
    asking.called(&["build"]);
}
