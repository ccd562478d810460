//! Debug information names each package's files as that package's.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use larder_testkit::{
    files::walk,
    project::Project,
    run::{larder, run},
    tools::said,
};

const DEPENDENCY: &str = "[package]\nname = \"dep\"\nartifact-cache = false\n[[library]]\nname = \"dep\"\nsources = [\"src/*.c\"]\nincludes = [\"include\"]\ntrace-args = [\"-g\"]\n[[executable]]\nname = \"tool\"\nsources = [\"util.c\"]\nlibraries = [\"dep\"]\ntrace-args = [\"-g\"]\n[[command]]\nname = \"generate\"\noutputs = [\"made.c\"]\nrun = [\"sh\", \"-c\", \"echo 'int made;' > $1\", \"sh\", \"{out}\"]\n[[library]]\nname = \"made\"\nsources = [\"{generate}\"]\ntrace-args = [\"-g\"]\n";

/// An application that has a `util.c`, as its dependency has.
fn application() -> Project {
    let project = Project::new(
        r#"
[dependencies]
dep = { path = "vendor/dep" }

[[executable]]
name = "x"
sources = ["main.c", "util.c"]
libraries = ["dep/dep", "dep/made"]
trace-args = ["-g"]
"#,
    );
    project.file("vendor/dep/larder.toml", DEPENDENCY);
    project.file(
        "vendor/dep/include/dep.h",
        "static inline const char *where(void) { return __FILE__; }\nconst char *dep(void);\n",
    );
    project.file(
        "vendor/dep/src/util.c",
        "#include <dep.h>\nconst char *dep(void) { return where(); }\n",
    );
    project.file(
        "vendor/dep/util.c",
        "#include <dep.h>\n#include <stdio.h>\nint main(void) { puts(dep()); return 0; }\n",
    );
    project.file("main.c", "#include <dep.h>\n#include <stdio.h>\nextern int made;\nconst char *util(void);\nint main(void) { puts(dep()); puts(where()); puts(util()); return made; }\n");
    project.file("util.c", "const char *util(void) { return __FILE__; }\n");
    project
}

/// The directories that the compilation units of a file were compiled in, as its debug information says.
fn directories(file: &Path) -> BTreeSet<String> {
    let text = said("readelf", &["--debug-dump=info", "--dwarf-depth=1"], file);
    let lines = text.lines().filter(|line| line.contains("DW_AT_comp_dir"));
    lines.filter_map(|line| Some(line.rsplit_once(": ")?.1.trim().to_owned())).collect()
}

#[test]
fn every_package_is_called_by_its_name_in_debug_information() {
    let project = application();
    project.build();
    let all = directories(&project.output("x"));
    assert!(all.contains("@p") && all.contains("@dep"), "{all:?}");
    assert!(all.iter().all(|directory| directory.starts_with('@')), "{all:?}");
    let object = |path: &str| directories(&project.output(path)).into_iter().collect::<Vec<_>>();
    assert_eq!(object("obj/x/util.c.o"), ["@p"]);
    assert_eq!(object("@dep/obj/libdep/src/util.c.o"), ["@dep"]);
    // No path of this machine is in it.
    let bytes = fs::read(project.output("x")).unwrap();
    let machine = project.root.to_str().unwrap().as_bytes();
    assert!(!bytes.windows(machine.len()).any(|window| window == machine));
}

#[test]
fn a_package_gives_the_same_bytes_as_root_and_as_dependency() {
    let project = application();
    project.build_with(&["x", "@dep/tool", "@dep/made", "@dep/dep"]);
    let dependency = project.path("vendor/dep");
    let alone = larder(&dependency, &project.cache, &["build"]);
    run(alone).ok();
    let mut compared = 0;
    walk(&dependency.join(".larder/build"), &mut |path, file| {
        if !path.ends_with(".trace") && !path.ends_with(".hash") {
            let here = fs::read(project.output("@dep").join(path)).unwrap();
            assert!(here == fs::read(file).unwrap(), "{path} differs");
            compared += 1;
        }
    });
    assert!(compared >= 6, "{compared}");
}

#[test]
fn a_debugger_finds_the_sources_of_the_package_and_of_its_dependencies() {
    let project = application();
    project.file(
        "vendor/dep/larder.toml",
        DEPENDENCY.replace("int made;", "int made(void) { return 0; }"),
    );
    let main = fs::read_to_string(project.path("main.c")).unwrap();
    let main =
        main.replace("extern int made", "int made(void)").replace("return made", "return made()");
    project.file("main.c", main);
    // Each profile has a build directory, and so generated sources elsewhere.
    for (profile, name) in [(&[][..], "build"), (&["--profile", "debug"], "build-debug")] {
        project.build_with(profile);
        let says = format!(".larder/debugger/{name}.gdb");
        let mut gdb = Command::new("gdb");
        gdb.args(["-nx", "-batch", "-iex", "set debuginfod enabled off", "-x", &says]);
        gdb.args(["-ex", "list util", "-ex", "list dep", "-ex", "list made"]);
        gdb.arg(format!(".larder/{name}/x")).current_dir(&project.root);
        let text = run(gdb).ok().stdout;
        for line in [
            "const char *util(void) { return",
            "const char *dep(void) { return where",
            "int made(void) { return 0; }",
        ] {
            assert!(text.contains(line), "{line} is not in {text}");
        }
        let lldb =
            fs::read_to_string(project.path(&format!(".larder/debugger/{name}.lldb"))).unwrap();
        let first =
            format!("\"@dep/.larder/build\" {:?}", project.path(&format!(".larder/{name}/@dep")));
        let first = format!("settings append target.source-map {first}");
        assert_eq!(lldb.lines().next(), Some(first.as_str()));
        assert_eq!(lldb.lines().count(), 4);
    }
}
