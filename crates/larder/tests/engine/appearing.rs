//! Checks that looked for a library in vain, and what makes a yes of their no.

use std::{fs, path::Path, process::Command};

use larder_testkit::{project::Project, run::run, tools::require};

fn text(project: &Project, path: &str) -> String {
    fs::read_to_string(project.output(path)).unwrap()
}

/// Makes a static library at `path` with a function `name`.
fn library(project: &Project, path: impl AsRef<Path>, name: &str) {
    let path = path.as_ref().to_str().unwrap();
    project.file("made/f.c", format!("int {name}(void) {{ return 0; }}\n"));
    let object = project.path("made/f.o");
    let run = |program: &str, arguments: &[&str]| {
        let status = Command::new(program).args(arguments).current_dir(&project.root).status();
        assert!(status.unwrap().success());
    };
    run("cc", &["-c", "-o", object.to_str().unwrap(), "made/f.c"]);
    fs::create_dir_all(project.path(path).parent().unwrap()).unwrap();
    _ = fs::remove_file(project.path(path));
    run("ar", &["rcs", path, object.to_str().unwrap()]);
}

#[test]
fn a_library_that_appears_changes_and_goes_away_changes_the_answer() {
    for linker in ["", "-fuse-ld=lld", "-fuse-ld=gold"] {
        let more = if linker.is_empty() { String::new() } else { format!("\"{linker}\", ") };
        let project = Project::cached(&format!(
            "[[config]]\nname = \"config\"\noutput = \"config.h\"\n\
             functions = [{{ name = \"found\", link-args = [{more}\"-Llibs\", \"-lfound\"] }}, \"puts\"]\n"
        ));
        let answer = |expected: &str| {
            project.build();
            let line = text(&project, "checks/config/HAVE_FOUND");
            assert_eq!(line.trim_end(), expected, "{linker}");
            assert_eq!(text(&project, "checks/config/HAVE_PUTS"), "yes\n");
            project.build().all("replayed");
        };
        project.replace("larder.toml", "[package]\n", "[package]\nrestore-all-artifacts = true\n");
        answer("no");
        library(&project, "libs/libfound.a", "other");
        answer("no");
        library(&project, "libs/libfound.a", "found");
        answer("yes");
        library(&project, "libs/libfound.a", "third");
        answer("no");
        project.remove("libs/libfound.a");
        answer("no");
        library(&project, "libs/libfound.a", "found");
        answer("yes");
    }
}

/// What a check says, of which `search` says where it looks.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// In the check's own arguments.
    Check,
    /// In those of the config.
    Config,
    /// In `LDFLAGS`.
    Environment,
}

#[test]
fn a_directory_that_appears_with_a_library_changes_the_answer() {
    let outside = tempfile::tempdir().unwrap();
    let outside = outside.path().canonicalize().unwrap().join("a/b");
    for way in [Way::Check, Way::Config, Way::Environment] {
        for directory in [Path::new("none/deep"), Path::new(".larder/build/made"), &outside] {
            let search = format!("-L{}", directory.display());
            let (check, config) = match way {
                Way::Check => (format!("\"{search}\", "), String::new()),
                Way::Config => (String::new(), format!("link-args = [\"{search}\"]\n")),
                Way::Environment => Default::default(),
            };
            let project = Project::cached(&format!(
                "[[config]]\nname = \"config\"\noutput = \"config.h\"\n{config}\
                 functions = [{{ name = \"found\", link-args = [{check}\"-lfound\"] }}]\n"
            ));
            project.replace(
                "larder.toml",
                "[package]\n",
                "[package]\nrestore-all-artifacts = true\n",
            );
            let answer = |expected: &str| {
                let mut command = project.command(&["build"]);
                if let Way::Environment = way {
                    command.env("LDFLAGS", &search);
                }
                run(command).ok();
                let line = text(&project, "checks/config/HAVE_FOUND");
                assert_eq!(line.trim_end(), expected, "{way:?} {search}");
            };
            answer("no");
            answer("no");
            library(&project, directory.join("libfound.a"), "found");
            answer("yes");
            // Elsewhere in the search, another directory appears.
            let place = project.root.join(directory);
            fs::remove_dir_all(&place).unwrap();
            answer("no");
            // Only the directory above it is left, then not even that.
            _ = fs::remove_dir(place.parent().unwrap());
            answer("no");
            library(&project, directory.join("libfound.a"), "found");
            answer("yes");
            fs::remove_dir_all(&place).unwrap();
        }
    }
}

#[test]
fn a_directory_that_appears_with_a_header_changes_the_answer() {
    let outside = tempfile::tempdir().unwrap();
    let outside = outside.path().canonicalize().unwrap().join("a/b");
    let given = |directory: &Path| format!("trace-args = [\"-I{}\"]", directory.display());
    for (keys, directory) in [
        ("includes = [\"none/deep\"]".to_owned(), Path::new("none/deep")),
        ("includes = [\"{build}/made\"]".to_owned(), Path::new(".larder/build/made")),
        (given(Path::new("none/deep")), Path::new("none/deep")),
        (given(&outside), &outside),
    ] {
        let project = Project::cached(&format!(
            "[[config]]\nname = \"config\"\noutput = \"config.h\"\nheaders = [\"found.h\"]\n{keys}\n"
        ));
        project.replace("larder.toml", "[package]\n", "[package]\nrestore-all-artifacts = true\n");
        let answer = |expected: &str| {
            project.build();
            let line = text(&project, "checks/config/HAVE_FOUND_H");
            assert_eq!(line.trim_end(), expected, "{keys}");
        };
        answer("no");
        let place = project.root.join(directory);
        fs::create_dir_all(&place).unwrap();
        answer("no");
        fs::write(place.join("found.h"), "").unwrap();
        answer("yes");
        fs::remove_dir_all(&place).unwrap();
        answer("no");
    }
}

/// A module of pkg-config for the library `found` in `libs`.
fn module(project: &Project, more: &str) {
    let text = format!(
        "Name: found\nDescription: x\nVersion: 1\nCflags: -I${{pcfiledir}}/../inc{more}\nLibs: -L${{pcfiledir}}/../libs -lfound\n"
    );
    project.file("pc/found.pc", text);
}

#[test]
fn checks_are_compiled_and_linked_with_libraries_of_the_system() {
    if !require("pkg-config") {
        return;
    }
    let project = Project::cached(
        "[[config]]\nname = \"config\"\noutput = \"config.h\"\nsystem = [\"found\"]\n\
         headers = [\"only-there.h\", \"stdio.h\"]\nfunctions = [\"found\"]\nsymbols = [{ name = \"VALUE\", headers = [\"stdio.h\"] }]\n",
    );
    project.replace("larder.toml", "[package]\n", "[package]\nrestore-all-artifacts = true\n");
    let build = || {
        let mut command = project.command(&["build"]);
        run(command.env("PKG_CONFIG_LIBDIR", project.path("pc")))
    };
    let answer = |name: &str, expected: &str| {
        build().ok();
        let line = text(&project, &format!("checks/config/{name}"));
        assert_eq!(line.trim_end(), expected, "{name}");
    };
    let none = build();
    assert_eq!(none.code, Some(2));
    assert!(none.stderr.contains("the system has no library `found`"), "{}", none.stderr);
    // The module appears, then its header, then the function in its library.
    library(&project, "libs/libfound.a", "other");
    module(&project, "");
    answer("HAVE_ONLY_THERE_H", "no");
    answer("HAVE_FOUND", "no");
    project.file("inc/only-there.h", "");
    answer("HAVE_ONLY_THERE_H", "yes");
    library(&project, "libs/libfound.a", "found");
    answer("HAVE_FOUND", "yes");
    answer("HAVE_DECL_VALUE", "no");
    module(&project, " -DVALUE=1");
    answer("HAVE_DECL_VALUE", "yes");
    library(&project, "libs/libfound.a", "other");
    answer("HAVE_FOUND", "no");
    project.replace("larder.toml", "system = [\"found\"]", "system = [\"found >= 2\"]");
    let old = build();
    assert_eq!(old.code, Some(2));
    assert!(old.stderr.contains("found >= 2"), "{}", old.stderr);
}
