//! Arguments for the linker, of whom they are and where their paths start; libraries of headers.

use std::process::Command;

use larder_testkit::{events::Built, files::remove_tree, project::Project, run::run};

/// A program that prints the expression `value`.
fn prints(before: &str, value: &str) -> String {
    format!(
        "#include <stdio.h>\n{before}\nint main(void) {{ printf(\"%d\\n\", {value}); return 0; }}\n"
    )
}

#[track_caller]
fn printed(project: &Project) -> String {
    project.larder(&["exec", "x"]).ok().stdout.trim().to_owned()
}

/// Archives a function `v` that returns `value`, outside the package's own build.
fn archive(project: &Project, path: &str, value: u32) {
    let directory = project.path(path);
    project.file(&format!("{path}/v.c"), format!("int v(void) {{ return {value}; }}\n"));
    let script = "cc -c v.c -o v.o && rm -f libv.a && ar rcsD libv.a v.o && rm v.o";
    let mut command = Command::new("sh");
    assert!(command.args(["-c", script]).current_dir(directory).status().unwrap().success());
}

/// A program of the root package, and a library `l` of the package `lib` in `deps/lib` with `keys`.
fn with_library(keys: &str) -> Project {
    let project = Project::cached(
        "[dependencies]\nlib = { path = \"deps/lib\" }\n\
         [[executable]]\nname = \"x\"\nsources = [\"main.c\"]\nlibraries = [\"lib/l\"]\n",
    );
    project.file("main.c", prints("int l(void);", "l()"));
    project.file("deps/lib/l.c", "int v(void);\nint l(void) { return v(); }\n");
    library(&project, keys, "");
    project
}

fn library(project: &Project, keys: &str, more: &str) {
    let manifest = format!(
        "[package]\nname = \"lib\"\n[[library]]\nname = \"l\"\nsources = [\"l.c\"]\n{keys}\n{more}"
    );
    project.file("deps/lib/larder.toml", manifest);
}

#[test]
fn paths_in_link_arguments_start_in_the_package_that_says_them() {
    for arguments in [
        "\"-Lvendor\", \"-lv\"",
        "\"-L\", \"vendor\", \"-Wl,-lv\"",
        "\"vendor/libv.a\"",
        "\"-Wl,-Lvendor,-lv\"",
        "\"{package}/vendor/libv.a\"",
        "\"-Xlinker\", \"vendor/libv.a\"",
    ] {
        let project = with_library(&format!("link-args = [{arguments}]"));
        archive(&project, "deps/lib/vendor", 1);
        // What has the same name where the program is linked is another file.
        archive(&project, "vendor", 9);
        assert_eq!(printed(&project), "1", "{arguments}");
        archive(&project, "deps/lib/vendor", 2);
        assert_eq!(printed(&project), "2", "{arguments}");
        archive(&project, "vendor", 8);
        assert_eq!(project.build().built(), [""; 0], "{arguments}");
        let other = project.checkout();
        assert_eq!(other.build().built(), [""; 0], "{arguments} in another checkout");
        assert_eq!(printed(&other), "2", "{arguments} in another checkout");
    }
}

#[test]
fn scripts_that_a_library_names_are_read_where_it_is() {
    for argument in ["-Wl,--just-symbols=v.sym", "-Wl,-T,v.sym", "@v.rsp", "v.sym.ld", "-Wl,@v.rsp"]
    {
        let project = with_library(&format!("link-args = [\"-no-pie\", \"{argument}\"]"));
        project.file("deps/lib/l.c", "extern char v;\nint l(void) { return (int)(long)&v; }\n");
        let set = |value: u32| {
            let rsp = format!("--defsym=v={value}\n");
            let rsp = if argument.contains("Wl") { rsp } else { format!("-Wl,{rsp}") };
            // A script of one line adds to what the linker does by itself where it is no `-T`.
            let script = match argument.contains("-T") {
                true => format!("v = {value};\nSECTIONS {{}} INSERT AFTER .data;\n"),
                false => format!("v = {value};\n"),
            };
            project.file("deps/lib/v.rsp", rsp);
            project.file("deps/lib/v.sym", &script).file("deps/lib/v.sym.ld", script);
        };
        set(11);
        assert_eq!(printed(&project), "11", "{argument}");
        set(12);
        assert_eq!(printed(&project), "12", "{argument}");
    }
}

#[test]
fn what_files_of_arguments_name_is_traced() {
    let clang = "[toolchain]\ncc = \"clang\"\n";
    let cases = [
        ("", "trace-args = [\"@a\"]", "@b", "-DX=N"),
        (clang, "trace-args = [\"@a\"]", "@b", "-DX=N"),
        (clang, "trace-args = [\"--config\", \"./a\"]", "@b", "-DX=N"),
        ("", "trace-args = [\"-specs=a\"]", "%include <./b>\n", "*cpp:\n+ -DX=N\n\n"),
        ("", "link-args = [\"-no-pie\", \"@a\"]", "@b", "-Wl,--defsym=v=N"),
        ("", "link-args = [\"-no-pie\", \"-Wl,@a\"]", "@b", "--defsym=v=N"),
    ];
    for (toolchain, arguments, outer, inner) in cases {
        let project = Project::cached(&format!(
            "{toolchain}[[executable]]\nname = \"x\"\nsources = [\"x.c\"]\n{arguments}\n"
        ));
        let value = if inner.contains("defsym") { "(int)(long)&v" } else { "X" };
        project.file("x.c", prints("extern char v;", value)).file("a", outer);
        for now in ["11", "12"] {
            project.file("b", inner.replace('N', now));
            assert_eq!(printed(&project), now, "{arguments}");
            assert_eq!(printed(&project.checkout()), now, "{arguments} elsewhere");
        }
        project.build().all("replayed");
    }
}

#[test]
fn private_arguments_are_for_their_own_link() {
    let project = with_library("private-link-args = [\"-lno-such-library\"]");
    project.file("deps/lib/l.c", "int l(void) { return 1; }\n");
    assert_eq!(printed(&project), "1");
    library(&project, "kind = [\"shared\"]\nprivate-link-args = [\"-Lvendor\", \"-lv\"]", "");
    project.file("deps/lib/l.c", "int v(void);\nint l(void) { return v(); }\n");
    archive(&project, "deps/lib/vendor", 3);
    assert_eq!(printed(&project), "3");
    archive(&project, "deps/lib/vendor", 4);
    assert_eq!(printed(&project), "4");
    library(&project, "kind = [\"shared\"]\nlink-args = [\"-lno-such-library\"]", "");
    project.larder(&["build", "x"]).ends_with(1);
}

#[test]
fn weak_arguments_are_not_traced_but_the_files_they_lead_to_are() {
    let manifest = "[[executable]]\nname = \"x\"\nsources = [\"main.c\"]\nweak-link-args = [\"-Lvendor\", \"-lv\"]\n";
    let project = Project::cached(manifest);
    project.file("main.c", prints("int v(void);", "v()"));
    archive(&project, "vendor", 1);
    assert_eq!(printed(&project), "1");
    project.replace("larder.toml", "\"-lv\"", "\"-lv\", \"-Wl,-z,now\"");
    assert_eq!(project.build().built(), [""; 0]);
    archive(&project, "vendor", 2);
    assert_eq!(printed(&project), "2");
    project.replace("larder.toml", "weak-link-args", "link-args");
    assert_eq!(project.build().built(), ["x"]);
}

#[test]
fn placeholders_in_link_arguments_stand_for_what_is_made() {
    let command = "[[command]]\nname = \"symbols\"\ninputs = [\"value\"]\noutputs = [\"v.sym\"]\n\
                   run = [\"sh\", \"-c\", \"echo \\\"v = $(cat $1);\\\" > $0\", \"{out}\", \"{in}\"]\n";
    for argument in [
        "\"{symbols}\"",
        "\"-Wl,--just-symbols={symbols}\"",
        "\"{build}/v.sym\", \"{symbols}\"",
        "\"-Wl,-R,{symbols}\"",
    ] {
        let project = with_library("");
        project.file("deps/lib/l.c", "extern char v;\nint l(void) { return (int)(long)&v; }\n");
        library(&project, &format!("link-args = [\"-no-pie\", {argument}]"), command);
        project.file("deps/lib/value", "21");
        assert_eq!(printed(&project), "21", "{argument}");
        project.file("deps/lib/value", "22");
        assert_eq!(printed(&project), "22", "{argument}");
        let other = project.checkout();
        assert_eq!(other.build().built(), [""; 0], "{argument} in another checkout");
        assert_eq!(other.build().built(), [""; 0], "{argument} in another checkout, again");
        assert_eq!(printed(&other), "22", "{argument} in another checkout");
        project.file("deps/lib/value", "23");
        assert_eq!(printed(&project), "23", "{argument}");
        project.file("deps/lib/value", "22");
        remove_tree(&project.path(".larder"));
        assert_eq!(printed(&project), "22", "{argument}");
    }
}

#[test]
fn bad_link_arguments_point_at_the_manifest() {
    let manifest = |argument: &str| {
        format!(
            "[[command]]\nname = \"two\"\noutputs = [\"a\", \"b\"]\nrun = [\"touch\", \"{{outs}}\"]\n\
             [[executable]]\nname = \"x\"\nsources = [\"main.c\"]\nlink-args = [\"{argument}\"]\n"
        )
    };
    for (argument, said) in [
        ("{out}", "`{out}` has a placeholder of commands"),
        ("-L{tmp}/x", "has a placeholder of commands"),
        ("{nowhere}", "there is no target `nowhere`"),
        ("-Wl,{two}", "`-Wl,{two}` puts 2 files into one argument"),
        ("{x:o}", "`{x:o}` names no file"),
        ("-o", "`-o` cannot be a linker argument here"),
        ("-Wl,--dependency-file=x", "cannot be a linker argument here"),
    ] {
        let project = Project::new(&manifest(argument));
        project.file("main.c", "int main(void) { return 0; }\n");
        project.larder(&["build"]).ends_with(2).says(said).says("larder.toml:11:");
    }
    let project = Project::new(&manifest("{x}"));
    project.file("main.c", "int main(void) { return 0; }\n");
    project.larder(&["build"]).ends_with(2).says("x");
}

const HEADERS: &str = "[[executable]]\nname = \"x\"\nsources = [\"main.c\"]\nlibraries = [\"h\"]\n\
                       [[library]]\nname = \"h\"\n";

#[test]
fn a_library_of_headers_gives_its_users_all_but_a_file() {
    let project = Project::cached(&format!(
        "{HEADERS}includes = [\"include\", \"{{build}}/gen\"]\npublic-defines = [\"PLUS=1\"]\n\
         headers = [\"include/*.h\"]\ninputs = [\"{{made}}\"]\nlibraries = [\"s\"]\nlink-args = [\"-lm\"]\n\
         [[library]]\nname = \"s\"\nsources = [\"s.c\"]\n\
         [[command]]\nname = \"made\"\ninputs = [\"base\"]\noutputs = [\"gen/made.h\"]\n\
         run = [\"sh\", \"-c\", \"echo \\\"#define BASE $(cat $1)\\\" > $0\", \"{{out}}\", \"{{in}}\"]\n"
    ));
    let main = "#include <math.h>\n#include <made.h>\n#include <h.h>\nint s(void);";
    project.file("main.c", prints(main, "H + BASE + PLUS + s() + (int)floor(BASE)"));
    project.file("include/h.h", "#define H 100\n").file("base", "10");
    project.file("s.c", "int s(void) { return 1000; }\n");
    assert_eq!(printed(&project), "1121");
    project.file("include/h.h", "#define H 200\n").file("base", "20");
    assert_eq!(printed(&project), "1241");
    let outputs = project.outputs();
    assert!(outputs.keys().all(|path| !path.contains("libh")), "{:?}", outputs.keys());
    assert_eq!(project.larder(&["query", "h"]).ok().stdout, "");
    project.forget();
    project.larder(&["build", "h"]).ok();
    let built = Built::of(&run(project.command(&["build", "--json"])).ok());
    assert_eq!(built.built(), [""; 0]);
    project.larder(&["graph"]).ok();
}

#[test]
fn a_library_of_headers_may_have_cases() {
    let project = Project::new(&format!(
        "{HEADERS}includes = [\"include\"]\n[[library.case]]\nwhen = {{ os = \"linux\" }}\n\
         includes = [\"more\"]\npublic-defines = [\"CASE=1\"]\n"
    ));
    project.file("main.c", prints("#include <a.h>\n#include <b.h>", "A + B + CASE"));
    project.file("include/a.h", "#define A 100\n").file("more/b.h", "#define B 10\n");
    assert_eq!(printed(&project), "111");
}

#[test]
fn mistakes_in_a_library_of_headers_are_said() {
    for (keys, said) in [
        ("", "library `h` has no sources"),
        ("includes = [\"include\"]\nkind = [\"shared\"]", "`kind` has no meaning for library `h`"),
        ("headers = [\"include/*.h\"]\ndefines = [\"X\"]", "`defines` has no meaning"),
        ("includes = [\"include\"]\nwarnings = [\"all\"]", "`warnings` has no meaning"),
        ("headers = [\"include/*.hpp\"]", "`include/*.hpp` matches no file"),
        ("headers = [\"none.h\"]", "there is no file `none.h`"),
        ("headers = [\"{gen}\"]", "only files of the package can be named here"),
        ("headers = \"include\"", "headers"),
        ("includes = [\"include\"]\ninputs = [\"none\"]", "there is no file `none`"),
        ("includes = [\"include\"]\nlibraries = [\"h\"]", "h"),
    ] {
        let project = Project::new(&format!("{HEADERS}{keys}\n"));
        project.file("main.c", "int main(void) { return 0; }\n").file("include/h.h", "");
        project.larder(&["build"]).ends_with(2).says(said);
    }
    let project = Project::new("[[executable]]\nname = \"x\"\nincludes = [\".\"]\n");
    project.larder(&["build"]).ends_with(2).says("executable `x` has no sources");
    let project =
        Project::new("[[library]]\nname = \"l\"\nsources = [\"l.c\"]\nheaders = [\"*.h\"]\n");
    project.file("l.c", "").larder(&["build"]).ends_with(2).says("`*.h` matches no file");
}

#[test]
fn a_library_of_the_system_among_libraries_is_hinted_at() {
    let manifest = "[[executable]]\nname = \"x\"\nsources = [\"main.c\"]\nlibraries = [\"z\"]\n";
    let project = Project::new(manifest);
    let run = project.larder(&["build"]).ends_with(2);
    run.mentions(&["there is no target `z`", "link-args = [\"-lz\"]", "system = "]);
}

#[test]
fn a_target_of_a_dependency_is_hinted_at_by_its_whole_name() {
    let manifest = "[[executable]]\nname = \"x\"\nsources = [\"main.c\"]\nlibraries = [\"twice\"]\n\
                    [dependencies]\ntwice = { path = \"twice\" }\n";
    let project = Project::new(manifest);
    project.file("main.c", "int twice(int);\nint main(void) { return twice(0); }\n");
    project.file(
        "twice/larder.toml",
        "[package]\nname = \"twice\"\n[[library]]\nname = \"twice\"\nsources = [\"twice.c\"]\n\
         [[executable]]\nname = \"check\"\nsources = [\"main.c\"]\nlibraries = [\"twice\"]\ntest = true\n",
    );
    project.file("twice/twice.c", "int twice(int n) { return 2 * n; }\n");
    project.file("twice/main.c", "int main(void) { return 0; }\n");
    project.larder(&["build"]).ends_with(2).says("did you mean `twice/twice`?");
    project.replace("larder.toml", "[\"twice\"]", "[\"twice/twice\"]");
    project.larder(&["build", "twice"]).ends_with(2).says("did you mean `@twice/twice`?");
    project.larder(&["build", "@twice/twice", "x"]).ok();
    project.larder(&["test", "check"]).ends_with(2).says("did you mean `@twice/check`?");
    project.larder(&["test", "@twice/check"]).ok();
    project.file("main.c", "");
    project.replace("larder.toml", "[dependencies]", "inputs = [\"{check}\"]\n[dependencies]");
    project.larder(&["build"]).ends_with(2).says("did you mean `@twice/check`?");
}
