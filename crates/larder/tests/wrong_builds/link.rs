//! All that a linker reads is traced: files named in arguments, found by name, or named in what it reads.

use std::{fs, process::Command};

use larder_testkit::{
    project::Project,
    tools::{require, said},
};

use crate::support::{printed, prints};

/// Compiles and archives a function `name` that returns `value`, outside the package's own build.
fn archive(project: &Project, path: &str, name: &str, value: u32) {
    let outside = tempfile::tempdir().unwrap();
    let (source, object) = (outside.path().join("v.c"), outside.path().join("v.o"));
    fs::write(&source, format!("int {name}(void) {{ return {value}; }}\n")).unwrap();
    let compiled = Command::new("cc").args(["-c", "-o"]).arg(&object).arg(&source).status();
    assert!(compiled.unwrap().success());
    let archive = project.path(path);
    fs::create_dir_all(archive.parent().unwrap()).unwrap();
    _ = fs::remove_file(&archive);
    let archived = Command::new("ar").arg("rcsD").arg(&archive).arg(&object).status();
    assert!(archived.unwrap().success());
}

/// A program that prints `v()`, linked with `arguments`.
fn program(arguments: &str) -> Project {
    let project = Project::cached(&format!(
        "[[executable]]\nname = \"x\"\nsources = [\"main.c\"]\nlink-args = [{arguments}]\n"
    ));
    project.file("main.c", prints("int v(void);", "v()"));
    project
}

/// The program prints what `set` was last called with: after an edit, an edit undone, a build from
/// nothing, and in a fresh checkout.
#[track_caller]
fn follows(project: &Project, set: &dyn Fn(&Project, u32)) {
    set(project, 1);
    assert_eq!(printed(project), "1\n");
    set(project, 2);
    assert_eq!(printed(project), "2\n", "edited");
    set(project, 1);
    assert_eq!(printed(project), "1\n", "undone");
    project.forget();
    set(project, 3);
    assert_eq!(printed(project), "3\n", "edited while nothing is built");
    let other = project.checkout();
    set(&other, 4);
    assert_eq!(printed(&other), "4\n", "in another checkout");
    set(&other, 3);
    assert_eq!(printed(&other), "3\n", "undone in another checkout");
    assert_eq!(project.build().built(), [""; 0]);
}

#[test]
fn an_archive_among_the_link_arguments_is_traced() {
    follows(&program("\"vendor/libv.a\""), &|project, value| {
        archive(project, "vendor/libv.a", "v", value);
    });
}

#[test]
fn a_library_that_the_linker_finds_by_name_is_traced() {
    for arguments in [
        "\"-Lvendor\", \"-lv\"",
        "\"-L\", \"vendor\", \"-l\", \"v\"",
        "\"-Lvendor\", \"-l:libv.a\"",
        "\"-Wl,-Lvendor,-lv\"",
    ] {
        follows(&program(arguments), &|project, value| {
            archive(project, "vendor/libv.a", "v", value);
        });
    }
}

#[test]
fn what_a_linker_script_names_is_traced() {
    let project = program("\"-Lvendor\", \"-lw\"");
    project.file("vendor/libw.so", "INPUT ( -lv )\n");
    follows(&project, &|project, value| archive(project, "vendor/libv.a", "v", value));
    archive(&project, "vendor/libother.a", "v", 5);
    project.file("vendor/libw.so", "INPUT ( -lother )\n");
    assert_eq!(printed(&project), "5\n");
}

#[test]
fn a_linker_script_among_the_arguments_is_traced() {
    for argument in ["\"-Wl,--just-symbols=v.sym\"", "\"-Wl,-R,v.sym\"", "\"v.ld\""] {
        let project = program(argument);
        project.file("main.c", prints("extern char v;", "(int)(long)&v"));
        project.replace("larder.toml", argument, &format!("\"-no-pie\", {argument}"));
        follows(&project, &|project, value| {
            project
                .file("v.sym", format!("v = {value};\n"))
                .file("v.ld", format!("v = {value};\n"));
        });
    }
}

#[test]
fn a_response_file_among_the_link_arguments_is_traced() {
    for argument in ["\"@v.rsp\"", "\"-Wl,@v.rsp\""] {
        let project = program(argument);
        project.file("main.c", prints("extern char v;", "(int)(long)&v"));
        project.replace("larder.toml", argument, &format!("\"-no-pie\", {argument}"));
        let linker = argument.contains("Wl");
        follows(&project, &|project, value| {
            let text = format!("--defsym=v={value}\n");
            let text = if linker { text } else { format!("-Wl,{text}") };
            project.file("v.rsp", text);
        });
    }
}

/// The names that a shared library offers.
fn exported(project: &Project) -> String {
    project.build();
    let table = said("nm", &["-D", "--defined-only", "--format=posix"], &project.output("liba.so"));
    let names = table.lines().filter_map(|line| line.split(' ').next());
    let names: Vec<&str> = names.filter_map(|name| name.split('@').next()).collect();
    ["one", "two"].into_iter().filter(|name| names.contains(name)).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_version_script_is_traced() {
    let forms = [
        "\"-Wl,--version-script=v.map\"",
        "\"-Wl,--version-script,v.map\"",
        "\"-Xlinker\", \"--version-script=v.map\"",
        "\"-Wl,--dynamic-list=v.list\", \"-Wl,--version-script=v.map\"",
    ];
    for form in forms {
        let project = Project::cached(&format!(
            "[[library]]\nname = \"a\"\nkind = [\"shared\"]\nsources = [\"a.c\"]\nlink-args = [{form}]\n"
        ));
        project.file("a.c", "int one(void) { return 1; }\nint two(void) { return 2; }\n");
        project.file("v.list", "{ one; };\n");
        let script = |names: &str| match names {
            "" => "V1 { local: *; };\n".to_owned(),
            names => format!("V1 {{ global: {names} local: *; }};\n"),
        };
        project.file("v.map", script("one;"));
        assert_eq!(exported(&project), "one", "{form}");
        project.file("v.map", script("two;"));
        assert_eq!(exported(&project), "two", "{form}");
        project.forget();
        project.file("v.map", script("one; two;"));
        assert_eq!(exported(&project), "one two", "{form}");
        let other = project.checkout();
        other.file("v.map", script("none;"));
        assert_eq!(exported(&other), "", "{form}");
    }
}

#[test]
fn what_the_link_arguments_of_a_library_name_is_traced_by_who_links_it() {
    let project = Project::cached(
        r#"
[[library]]
name = "a"
sources = ["a.c"]
link-args = ["-Lvendor", "-lv"]

[[executable]]
name = "x"
sources = ["main.c"]
libraries = ["a"]
"#,
    );
    project.file("a.c", "int v(void);\nint a(void) { return v(); }\n");
    project.file("main.c", prints("int a(void);", "a()"));
    follows(&project, &|project, value| archive(project, "vendor/libv.a", "v", value));
}

#[test]
fn other_linkers_tell_what_they_read_as_well() {
    for linker in ["gold", "lld"] {
        if !require(&format!("ld.{linker}")) {
            continue;
        }
        let project = program(&format!("\"-fuse-ld={linker}\", \"-Lvendor\", \"-lv\""));
        follows(&project, &|project, value| archive(project, "vendor/libv.a", "v", value));
    }
}

#[test]
fn a_declared_input_of_a_link_is_traced() {
    // No argument names it: a script does, when it runs.
    let project = Project::cached(
        r#"
[toolchain]
cc = "./cc"

[[executable]]
name = "x"
sources = ["main.c"]
inputs = ["value"]
"#,
    );
    project.script(
        "cc",
        "case $1 in -c|-v|--version|-dump*|-print*|-###) exec cc \"$@\";; esac\nexec cc \"$@\" -no-pie -Wl,--defsym=v=$(cat value)\n",
    );
    project.file("main.c", prints("extern char v;", "(int)(long)&v"));
    follows(&project, &|project, value| {
        project.file("value", format!("{value}\n"));
    });
}
