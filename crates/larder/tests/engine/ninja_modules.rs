//! Modules of C++20 through CMake: real scanners and compilers tell of them while they build.

use std::{fs, os::unix::fs::symlink, path::PathBuf, process::Command};

use larder_testkit::{
    project::Project,
    run::{Run, binary, run},
    services::python_environment,
    tools::require,
};

const CMAKE: &str = "cmake_minimum_required(VERSION 3.28)\nproject(p CXX)\nset(CMAKE_CXX_STANDARD 20)\nset(CMAKE_CXX_EXTENSIONS OFF)\nadd_library(m)\ntarget_sources(m PUBLIC FILE_SET CXX_MODULES FILES a.cppm b.cppm)\nadd_executable(app main.cpp other.cpp)\ntarget_link_libraries(app m)\n";

/// A program of two modules, the second of which imports the first.
struct Program {
    project: Project,
    cmake: PathBuf,
}

impl Program {
    /// None where the tools are not there.
    fn new() -> Option<Self> {
        if !require("clang++-16") || !require("clang-scan-deps-16") {
            return None;
        }
        // Debian's knows no modules yet.
        let cmake = python_environment("cmake", &["cmake==3.31.10"])?.join("cmake");
        let project = Project::bare(&[
            ("CMakeLists.txt", CMAKE),
            ("a.cppm", "export module a;\nexport inline int a() { return 1; }\n"),
            ("b.cppm", "export module b;\nimport a;\nexport inline int b() { return a() + 1; }\n"),
            (
                "main.cpp",
                "import b;\n#include <cstdio>\nint other();\nint main() { std::printf(\"%d %d\\n\", b(), other()); }\n",
            ),
            ("other.cpp", "int other() { return 7; }\n"),
        ]);
        fs::create_dir(project.path("bin")).unwrap();
        symlink(binary(), project.path("bin/ninja")).unwrap();
        let program = Self { project, cmake };
        let mut configure = program.in_environment(&program.cmake);
        let ninja = format!("-DCMAKE_MAKE_PROGRAM={}", program.project.path("bin/ninja").display());
        configure.args(["-G", "Ninja", "-B", "out", ".", &ninja]);
        run(configure.env("CXX", "clang++-16")).ok();
        Some(program)
    }

    fn in_environment(&self, program: &std::path::Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.project.root).env("LARDER_CACHE_DIR", &self.project.cache);
        command.env_remove("NINJA_STATUS");
        command
    }

    fn builds(&self) -> Run {
        let mut command = self.in_environment(&self.cmake);
        run(command.args(["--build", "out"])).ok()
    }

    /// Builds, and returns the sources that were compiled, by name.
    fn compiled(&self) -> Vec<String> {
        let said = self.builds().stdout;
        let compiled = said.lines().filter(|line| line.contains("Building CXX object"));
        let name = |line: &str| line.rsplit_once('/').unwrap().1.trim_end_matches(".o").to_owned();
        let mut names: Vec<String> = compiled.map(name).collect();
        names.sort();
        names
    }

    #[track_caller]
    fn says(&self, said: &str) {
        let command = Command::new(self.project.path("out/app"));
        assert_eq!(run(command).ok().stdout, said);
    }
}

#[test]
fn an_interface_has_those_compiled_again_that_import_it() {
    let Some(program) = Program::new() else { return };
    let project = &program.project;
    assert_eq!(program.compiled(), ["a.cppm", "b.cppm", "main.cpp", "other.cpp"]);
    program.says("2 7\n");
    let nothing = || program.builds().stdout.contains("no work to do");
    assert!(nothing());
    // `main.cpp` reads it through `b`, whose own interface stays as it is, byte for byte.
    project.replace("a.cppm", "return 1", "return 3");
    assert_eq!(program.compiled(), ["a.cppm", "b.cppm", "main.cpp"]);
    program.says("4 7\n");
    assert!(nothing());
    project.replace("a.cppm", "return 3", "return 1");
    assert_eq!(
        program.compiled(),
        ["a.cppm", "b.cppm", "main.cpp"],
        "compiles of modules are not kept"
    );
    program.says("2 7\n");
    let text = project.read("b.cppm");
    project.file("b.cppm", text);
    assert!(nothing(), "touched, and the same");
    project.replace("other.cpp", "7", "8");
    assert_eq!(program.compiled(), ["other.cpp"]);
    program.says("2 8\n");
    // Another import, and another module.
    project.file("c.cppm", "export module c;\nexport int c() { return 5; }\n");
    project.replace("CMakeLists.txt", "b.cppm)", "b.cppm c.cppm)");
    project.replace("main.cpp", "import b;", "import b;\nimport c;");
    project.replace("main.cpp", "b(), ", "b() + c(), ");
    assert_eq!(program.compiled(), ["c.cppm", "main.cpp"]);
    program.says("7 8\n");
    // One that imports what nobody makes is said.
    project.replace("main.cpp", "import c;", "import gone;");
    let mut command = program.in_environment(&program.cmake);
    let failed = run(command.args(["--build", "out"]));
    assert_ne!(failed.code, Some(0), "{failed:?}");
}
