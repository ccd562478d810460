//! `larder ninja` on what CMake and Meson write.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use larder_testkit::{
    files::remove_tree,
    project::Project,
    run::{Run, binary, run},
    tools::require,
};

/// A project, with a link to larder named as Ninja is.
struct Tree {
    project: Project,
    ninja: PathBuf,
}

impl Tree {
    fn new(build: &str) -> Self {
        let project = Project::new("");
        let ninja = project.path("../bin/ninja");
        fs::create_dir(ninja.parent().unwrap()).unwrap();
        symlink(binary(), &ninja).unwrap();
        project.file("CMakeLists.txt", build);
        Self { project, ninja }
    }

    fn command(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = self.project.command(&[]);
        let settings: Vec<_> = command
            .get_envs()
            .map(|(name, value)| (name.to_owned(), value.map(Into::into)))
            .collect();
        command = Command::new(program);
        command.args(arguments).current_dir(&self.project.root).env_clear();
        let settings: Vec<(std::ffi::OsString, Option<std::ffi::OsString>)> = settings;
        command.envs(settings.into_iter().filter_map(|(name, value)| Some((name, value?))));
        command
    }

    fn configure(&self) {
        let program = format!("-DCMAKE_MAKE_PROGRAM={}", self.ninja.display());
        let arguments = ["-G", "Ninja", "-S", ".", "-B", "out", &program];
        run(self.command(Path::new("cmake"), &arguments)).ok();
    }

    fn cmake_builds(&self) -> Run {
        run(self.command(Path::new("cmake"), &["--build", "out"])).ok()
    }

    fn ninja(&self, arguments: &[&str]) -> Run {
        run(self.command(&self.ninja, &[&["-C", "out"], arguments].concat()))
    }

    fn file(&self, path: &str, text: &str) {
        self.project.file(path, text);
    }
}

const CMAKE: &str = "cmake_minimum_required(VERSION 3.16)\nproject(demo C)\nadd_library(util STATIC util.c)\n\
add_library(sh SHARED sh.c)\nset_target_properties(sh PROPERTIES VERSION 1.2.3 SOVERSION 1)\n\
add_custom_command(OUTPUT gen.h COMMAND ${CMAKE_COMMAND} -E copy ${CMAKE_SOURCE_DIR}/gen.in gen.h DEPENDS gen.in)\n\
add_executable(app main.c gen.h)\ntarget_include_directories(app PRIVATE ${CMAKE_BINARY_DIR} ${CMAKE_SOURCE_DIR})\n\
target_link_libraries(app util sh)\n";

fn demo() -> Tree {
    let tree = Tree::new(CMAKE);
    tree.file("util.c", "#include \"util.h\"\nint util(void) { return U; }\n");
    tree.file("util.h", "#define U 3\n");
    tree.file("sh.c", "int sh(void) { return 20; }\n");
    tree.file("gen.in", "#define GEN 100\n");
    tree.file("main.c", "#include \"gen.h\"\nint util(void); int sh(void);\nint main(void) { return util() + sh() + GEN; }\n");
    tree
}

impl Tree {
    #[track_caller]
    fn app_ends_with(&self, code: i32) {
        assert_eq!(Command::new(self.project.path("out/app")).status().unwrap().code(), Some(code));
    }

    /// How many commands of each kind a build ran, and how many outputs it restored.
    fn counts(&self, run: &Run) -> (usize, usize) {
        let lines: Vec<&str> = run.stdout.lines().filter(|line| line.starts_with('[')).collect();
        let restored = lines.iter().filter(|line| line.ends_with("(restored)")).count();
        (lines.len() - restored, restored)
    }
}

#[test]
fn cmake_takes_larder_for_ninja() {
    if !require("cmake") {
        return;
    }
    let tree = demo();
    tree.configure();
    let first = tree.cmake_builds();
    assert_eq!(tree.counts(&first), (8, 0), "{first:?}");
    tree.app_ends_with(123);
    let nothing = || tree.cmake_builds().stdout.contains("no work to do");
    assert!(nothing());
    tree.file("util.h", "#define U 4\n");
    assert_eq!(tree.counts(&tree.cmake_builds()), (3, 0));
    tree.app_ends_with(124);
    // Its own targets call it in the midst of a build.
    tree.ninja(&["clean"]).ok();
    assert!(!tree.project.path("out/app").exists());
    tree.cmake_builds();
    tree.app_ends_with(124);
    tree.file("CMakeLists.txt", CMAKE);
    assert!(nothing(), "touched, and the same");
    tree.file(
        "CMakeLists.txt",
        &CMAKE.replace("project(demo C)", "project(demo C)\nadd_definitions(-DX)"),
    );
    let again = tree.cmake_builds();
    assert!(again.stdout.contains("Re-running CMake"), "{again:?}");
    assert!(nothing());
}

#[test]
fn a_deleted_build_directory_comes_back_without_a_compiler_having_run() {
    if !require("cmake") {
        return;
    }
    let tree = demo();
    tree.configure();
    tree.cmake_builds();
    let kept = |name: &str| fs::read(tree.project.path("out").join(name)).unwrap();
    let names = ["app", "libutil.a", "libsh.so.1.2.3", "CMakeFiles/app.dir/main.c.o"];
    let before = names.map(kept);
    remove_tree(&tree.project.path("out"));
    tree.configure();
    let again = tree.cmake_builds();
    // What is no compile, archive or link is run.
    assert_eq!(tree.counts(&again), (2, 6), "{again:?}");
    assert_eq!(names.map(kept), before);
    tree.app_ends_with(123);
    // There and back: each state was built once.
    tree.file("util.h", "#define U 5\n");
    tree.cmake_builds();
    tree.app_ends_with(125);
    tree.file("util.h", "#define U 3\n");
    let back = tree.cmake_builds();
    assert_eq!(tree.counts(&back), (0, 3), "{back:?}");
    assert_eq!(names.map(kept), before);
}

/// Builds the same sources in another directory, with the same store, and without it.
fn elsewhere(tree: &Tree) -> (Tree, Tree) {
    let copy = |project: Project| {
        let ninja = tree.ninja.clone();
        remove_tree(&project.path("out"));
        let copy = Tree { project, ninja };
        copy.configure();
        copy
    };
    (copy(tree.project.checkout()), copy(tree.project.elsewhere()))
}

#[test]
fn checkouts_share_what_does_not_tell_where_it_was_made() {
    if !require("cmake") {
        return;
    }
    let tree = demo();
    tree.file(
        "sh.c",
        "int sh(void) { return 20; }\nconst char *where(void) { return __FILE__; }\n",
    );
    tree.configure();
    tree.cmake_builds();
    let (shared, clean) = elsewhere(&tree);
    let run = shared.cmake_builds();
    clean.cmake_builds();
    let objects = ["CMakeFiles/app.dir/main.c.o", "CMakeFiles/util.dir/util.c.o", "libutil.a"];
    for object in objects {
        assert!(
            run.stdout.lines().any(|line| line.ends_with("(restored)") && line.contains(object)),
            "{object} in {run:?}"
        );
    }
    let object = "CMakeFiles/sh.dir/sh.c.o";
    assert!(run.stdout.lines().any(|line| line.ends_with(object)), "{run:?}");
    // What is restored is what a clean build makes in that place: `__FILE__` and run paths differ there.
    let read = |tree: &Tree, name: &str| {
        let bytes = fs::read(tree.project.path("out").join(name)).unwrap();
        let root = tree.project.root.to_str().unwrap().as_bytes();
        (bytes.windows(root.len()).any(|window| window == root), bytes)
    };
    assert!(read(&shared, object).0, "it tells where its source is");
    for object in objects {
        let (tells, bytes) = read(&shared, object);
        assert!(!tells && bytes == read(&clean, object).1, "{object}");
    }
}

#[test]
fn debug_information_is_that_of_the_place() {
    if !require("cmake") {
        return;
    }
    let tree = demo();
    tree.file(
        "CMakeLists.txt",
        &CMAKE.replace("project(demo C)", "project(demo C)\nadd_compile_options(-g)"),
    );
    tree.configure();
    tree.cmake_builds();
    let (shared, _) = elsewhere(&tree);
    let run = shared.cmake_builds();
    assert!(!run.stdout.contains(".o (restored)"), "{run:?}");
}

#[test]
fn a_header_that_would_be_found_first_has_sources_compiled() {
    if !require("cmake") {
        return;
    }
    let text = "cmake_minimum_required(VERSION 3.16)\nproject(demo C)\nadd_executable(app main.c)\ntarget_include_directories(app PRIVATE first second)\n";
    let tree = Tree::new(text);
    tree.file("main.c", "#include <v.h>\nint main(void) { return V; }\n");
    tree.file("second/v.h", "#define V 2\n");
    fs::create_dir(tree.project.path("first")).unwrap();
    tree.configure();
    tree.cmake_builds();
    tree.app_ends_with(2);
    tree.file("first/v.h", "#define V 1\n");
    tree.cmake_builds();
    tree.app_ends_with(1);
}

#[test]
fn warnings_are_shown_again() {
    if !require("cmake") {
        return;
    }
    let tree = demo();
    tree.file("util.c", "#include \"util.h\"\n#warning watch out\nint util(void) { return U; }\n");
    tree.configure();
    assert!(tree.cmake_builds().stdout.contains("watch out"));
    assert!(tree.cmake_builds().stdout.contains("watch out"));
    remove_tree(&tree.project.path("out"));
    tree.configure();
    let restored = tree.cmake_builds();
    assert!(restored.stdout.contains("watch out"), "{restored:?}");
}

#[test]
fn meson_takes_larder_for_ninja() {
    if !require("meson") {
        return;
    }
    let tree = Tree::new("");
    let build = "project('m', 'c')\nl = static_library('l', 'l.c')\ng = custom_target('g', input: 'g.in', output: 'g.h', command: ['cp', '@INPUT@', '@OUTPUT@'])\nexecutable('app', 'e.c', g, link_with: l)\n";
    tree.file("meson.build", build);
    tree.file("l.c", "int l(void) { return 7; }\n");
    tree.file("g.in", "#define G 1\n");
    tree.file("e.c", "#include \"g.h\"\nint l(void);\nint main(void) { return l() + G; }\n");
    let meson = |arguments: &[&str]| {
        let mut command = tree.command(Path::new("meson"), arguments);
        run(command.env("NINJA", &tree.ninja)).ok()
    };
    meson(&["setup", "out"]);
    meson(&["compile", "-C", "out"]);
    tree.app_ends_with(8);
    assert!(meson(&["compile", "-C", "out"]).stdout.contains("no work to do"));
    tree.file("g.in", "#define G 2\n");
    tree.ninja(&[]).ok();
    tree.app_ends_with(9);
    tree.file("meson.build", &build.replace("link_with: l)", "link_with: l, c_args: '-DX')"));
    tree.ninja(&[]).ok();
    tree.app_ends_with(9);
    assert!(tree.ninja(&[]).ok().stdout.contains("no work to do"));
}
