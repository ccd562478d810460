//! Packages that are built by lines for a shell.

use std::{fs, thread};

use larder_runs::result::{Exit, Origin};

use crate::support::*;

#[test]
fn a_makefile_is_built_once_and_then_taken_from_where_it_is() {
    let set = Set::new();
    let task = zz(&set);
    let (built, log) = set.build(&task);
    assert!(log.starts_with("+ make -j{jobs}\n"), "{log}");
    assert!(log.contains("\n+ make install PREFIX={prefix}\n"), "{log}");
    assert!(built.costs.wall.as_micros() > 0 && built.costs.cpu.as_micros() > 0, "{built:?}");
    assert!(built.costs.peak_memory > 1 << 20, "{built:?}");
    assert_eq!(built.origin, Origin::Built);
    let (layer, origin) = set.layer(&task);
    assert_eq!(origin, Origin::Cached);
    let pc = fs::read_to_string(layer.directory.join("lib/pkgconfig/zz.pc")).unwrap();
    assert!(pc.starts_with(&format!("prefix={}\n", layer.directory.display())), "{pc}");
    assert_eq!(layer.record.package.as_str(), "zz.1.2");
    assert_eq!(layer.record.dep_hash, built.dep_hash);
    // Nothing was built in place.
    let sources: Vec<_> = fs::read_dir(&task.sources.directory).unwrap().flatten().collect();
    assert_eq!(sources.len(), ZZ.files.len());
    // With its layer gone, no command runs either.
    fs::remove_dir_all(&layer.directory).unwrap();
    let (again, origin) = set.layer(&task);
    assert_eq!((origin, again.record.digest), (Origin::Restored, layer.record.digest));
    assert_eq!(fs::read_to_string(again.directory.join("lib/pkgconfig/zz.pc")).unwrap(), pc);
    let link = fs::read_link(again.directory.join("lib/libzz.1.a")).unwrap();
    assert_eq!(link.to_str(), Some("libzz.a"));
}

#[test]
fn cmake_finds_what_it_needs_in_layers() {
    let set = Set::new();
    let zz = zz(&set);
    let (layer, _) = set.layer(&zz);
    let package = Package {
        id: "tool.0.1",
        recipe: commands(&[
            "cmake -S . -B build -DCMAKE_INSTALL_PREFIX={prefix}",
            "cmake --build build -j{jobs}",
            "cmake --install build",
        ]),
        files: &[
            (
                "CMakeLists.txt",
                "cmake_minimum_required(VERSION 3.10)
project(tool C)
find_library(ZZ zz REQUIRED)
find_path(ZZ_INCLUDE zz.h REQUIRED)
add_executable(tool tool.c)
target_include_directories(tool PRIVATE ${ZZ_INCLUDE})
target_link_libraries(tool ${ZZ})
install(TARGETS tool DESTINATION bin)
",
            ),
            (
                "tool.c",
                "#include <stdio.h>\n#include <zz.h>\nint main(void) { printf(\"%d\\n\", zz()); return 0; }\n",
            ),
        ],
    };
    let task = set.task(&package, vec![need(&zz, &layer, true)]);
    let (layer, origin) = set.layer(&task);
    assert_eq!(
        (origin, output(&layer.directory.join("bin/tool"))),
        (Origin::Built, "42".to_owned())
    );
}

#[test]
fn a_layer_is_found_by_the_name_of_its_package() {
    let set = Set::new();
    let zz = zz(&set);
    let (layer, _) = set.layer(&zz);
    let package = Package {
        id: "user.1",
        recipe: commands(&[
            "test -d {source} -a -f {prefix:zz}/lib/libzz.a",
            "$CC {source}/main.c $(pkg-config --cflags --libs zz) -o main",
            "install -D main {prefix}/bin/main",
        ]),
        files: &[("main.c", "#include <zz.h>\nint main(void) { return zz() - 42; }\n")],
    };
    let task = set.task(&package, vec![need(&zz, &layer, true)]);
    let (layer, _) = set.layer(&task);
    output(&layer.directory.join("bin/main"));
    let unknown = Package { recipe: commands(&["ls {prefix:png}"]), ..package };
    let task = set.task(&unknown, Vec::new());
    let (failure, _) = set.failure(&task);
    assert_eq!(failure.error, "`{prefix:png}`: `png` is none of its dependencies");
}

#[test]
fn how_a_build_failed_is_told() {
    let set = Set::new();
    let package = |lines: &[&str]| Package { id: "bad.1", recipe: commands(lines), files: &[] };
    let (failure, log) =
        set.failure(&set.task(&package(&["echo before", "exit 3", "echo after"]), Vec::new()));
    assert_eq!(failure.error, "its build failed with exit code 3");
    assert_eq!(failure.exit, Some(Exit { code: Some(3), ..Exit::default() }));
    assert!(log.contains("before\n") && !log.contains("after\n"), "{log}");
    let (failure, _) = set.failure(&set.task(&package(&["kill -SEGV $$"]), Vec::new()));
    assert_eq!(failure.exit, Some(Exit { signal: Some(11), ..Exit::default() }));
    let (failure, _) = set.failure(&set.task(&package(&["true"]), Vec::new()));
    assert_eq!(failure.error, "its build succeeded, but installed nothing into {prefix}");
    let (failure, _) =
        set.failure(&set.task(&package(&["ln -s /etc/passwd {prefix}/p"]), Vec::new()));
    assert!(
        failure.error.contains("is a link to /etc/passwd, which leads out of the prefix"),
        "{failure:?}"
    );
}

#[test]
fn two_universes_of_one_package_are_built_at_once() {
    let set = Set::new();
    let version = |id: &'static str, number: &str| {
        let lines = [format!("echo {number} > {{prefix}}/number")];
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let task = set.task(&Package { id, recipe: commands(&lines), files: &[] }, Vec::new());
        let (layer, _) = set.layer(&task);
        need(&task, &layer, true)
    };
    let (one, two) = (version("base.1", "1"), version("base.2", "2"));
    let package = Package {
        id: "top.1",
        recipe: commands(&["cp {prefix:base}/number {prefix}/number", "sleep 0.2"]),
        files: &[],
    };
    let tasks = [one, two].map(|need| set.task(&package, vec![need]));
    assert_ne!(tasks[0].build_hash, tasks[1].build_hash);
    // Each twice: who comes second finds it done.
    let built: Vec<_> = thread::scope(|scope| {
        let builds: Vec<_> = [0, 1, 0, 1]
            .map(|which| {
                scope.spawn({
                    let (set, tasks) = (&set, &tasks);
                    move || set.build(&tasks[which]).0
                })
            })
            .into_iter()
            .collect();
        builds.into_iter().map(|it| it.join().unwrap()).collect()
    });
    let count = |origin| built.iter().filter(|built| built.origin == origin).count();
    assert_eq!((count(Origin::Built), count(Origin::Cached)), (2, 2));
    for (task, number) in tasks.iter().zip(["1\n", "2\n"]) {
        let (layer, _) = set.layer(task);
        assert_eq!(fs::read_to_string(layer.directory.join("number")).unwrap(), number);
    }
}

#[test]
fn nothing_of_whoever_builds_reaches_a_build() {
    let set = Set::new();
    let lines = ["env | cut -d= -f1 | sort > {prefix}/names", "echo $PATH > {prefix}/path"];
    let task = set.task(&Package { id: "env.1", recipe: commands(&lines), files: &[] }, Vec::new());
    let (layer, _) = set.layer(&task);
    let names = fs::read_to_string(layer.directory.join("names")).unwrap();
    let names: Vec<&str> = names.lines().filter(|name| *name != "_").collect();
    assert_eq!(
        names,
        ["CC", "CXX", "HOME", "LC_ALL", "OLDPWD", "PATH", "PWD", "SOURCE_DATE_EPOCH", "TMPDIR"]
    );
    let path = fs::read_to_string(layer.directory.join("path")).unwrap();
    assert!(
        path.trim()
            .split(':')
            .all(|it| it.starts_with("/usr") || it.starts_with("/bin") || it.starts_with("/sbin")),
        "{path}"
    );
}
