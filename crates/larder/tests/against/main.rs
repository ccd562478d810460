//! `larder why --against`: what differs between a checkout and what a service has, by name.

mod kinds;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use larder_store::Mappings;
use larder_testkit::{
    files::{copy_tree, remove_tree, script, walk, write, write_all},
    git::git,
    machine::Machine,
    run::{Run, run},
    services::{Faults, Proxy, S3},
    tools::path_with,
};

use crate::kinds::KINDS;

const MANIFEST: &str = r#"
[package]
name = "demo"

[toolchain]
parts = ["tools/part"]

[[library]]
name = "util"
sources = ["src/util/*.c"]
includes = ["early", "include"]
trace-args = ["-O1", "-DLEVEL=1"]
weak-args = ["-Wall"]

[[library]]
name = "extra"
sources = ["src/extra.c"]

[[executable]]
name = "app"
sources = ["src/main.c"]
includes = ["{build}"]
inputs = ["{gen}"]
libraries = ["util"]
link-args = ["-Wl,-O1", "-Lfirst", "-Lsecond", "-lvend"]

[[command]]
name = "gen"
inputs = ["data/table.txt", "data/gen.sh", "data/tree"]
outputs = ["gen.h"]
run = ["sh", "data/gen.sh", "{out}"]
env = { MODE = "a", OTHER = "x" }
pass-env = ["CHANNEL", "NEVER_SET"]
tools = ["shown"]
system-files = ["SYSTEM"]
probes = [["shown", "probe"]]

[[command]]
name = "site"
inputs = ["data/tree"]
outputs = ["site/"]
run = ["cp", "-r", "data/tree", "{outdir}/site"]
"#;

/// The package that is uploaded.
fn write_package(tree: &Path) {
    let system = tree.parent().unwrap().join("system.txt");
    write(&system, "system\n");
    write(&tree.join("larder.toml"), MANIFEST.replace("SYSTEM", system.to_str().unwrap()));
    write_all(
        tree,
        &[
            ("tools/part", "a part\n"),
            ("early/.keep", ""),
            ("include/util.h", "#include \"deep.h\"\nint a(void);\nint b(void);\n"),
            (
                "include/deep.h",
                "#if __has_include(\"maybe.h\")\n#include \"maybe.h\"\n#endif\n#define DEEP 1\n",
            ),
            ("src/util/a.c", "#include <util.h>\nint a(void) { return DEEP + LEVEL; }\n"),
            ("src/util/b.c", "#include \"util.h\"\nint b(void) { return DEEP; }\n"),
            ("src/extra.c", "int extra(void) { return 1; }\n"),
            (
                "src/main.c",
                "#include <util.h>\n#include \"gen.h\"\nint vend(void);\n\
                 int main(void) { return a() + GEN + vend(); }\n",
            ),
            ("data/table.txt", "1\n"),
            ("data/gen.sh", "echo \"#define GEN $(cat data/table.txt)\" > \"$1\"\n"),
            ("data/tree/one.txt", "one\n"),
            ("data/tree/sub/two.txt", "two\n"),
            ("first/.keep", ""),
            ("vend.c", "int vend(void) { return 0; }\n"),
        ],
    );
    script(&tree.join("bin/shown"), "#!/bin/sh\necho shown\n");
    fs::create_dir_all(tree.join("second")).unwrap();
    archive(tree, "second/libvend.a");
    fs::remove_file(tree.join("vend.o")).unwrap();
}

fn archive(tree: &Path, path: &str) {
    for command in [&["cc", "-c", "vend.c", "-o", "vend.o"][..], &["ar", "rcD", path, "vend.o"]] {
        let done = Command::new(command[0]).args(&command[1..]).current_dir(tree).status();
        assert!(done.unwrap().success());
    }
}

/// A checkout, and how larder runs in it.
struct Checkout {
    tree: PathBuf,
    /// A file outside the package.
    system: PathBuf,
    channel: Option<&'static str>,
    path: String,
}

impl Checkout {
    fn new(machine: &Machine, name: &str) -> Self {
        let tree = machine.path(name).join("demo");
        let path = path_with(&tree.join("bin"));
        Self { tree, system: machine.path("there/system.txt"), channel: Some("stable"), path }
    }

    fn larder(&self, machine: &Machine, arguments: &[&str]) -> Run {
        let mut command = machine.with_key(&self.tree, arguments);
        command.env("PATH", &self.path).envs(self.channel.map(|value| ("CHANNEL", value)));
        run(command)
    }

    fn replace(&self, path: &str, from: &str, to: &str) {
        let path = self.tree.join(path);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "`{from}` is not in {text}");
        write(&path, text.replace(from, to));
    }

    fn file(&self, path: &str, text: &str) {
        write(&self.tree.join(path), text);
    }

    /// Everything that `why` says of all targets: a cause, and what it is the cause for.
    fn causes(&self, machine: &Machine, against: &str) -> Vec<(String, Vec<String>)> {
        let ran =
            self.larder(machine, &["--json", "why", "--against", against, "app", "site", "extra"]);
        let events = ran.ok().events();
        let of = |event: &serde_json::Value| {
            let outputs = event["outputs"].as_array().unwrap().iter();
            let outputs = outputs.map(|it| it["output"].as_str().unwrap().to_owned());
            (event["cause"].as_str().unwrap().to_owned(), outputs.collect())
        };
        events.iter().filter(|event| event["event"] == "cause").map(of).collect()
    }
}

/// Builds everything and puts it as revision `base`.
fn upload(machine: &Machine) -> Checkout {
    let there = Checkout::new(machine, "there");
    write_package(&there.tree);
    there.larder(machine, &["build", "-o", "all.jsonl", "app", "site", "extra"]).ok();
    there.larder(machine, &["cache", "put", "all.jsonl", "--rev", "base"]).ok();
    fs::remove_file(there.tree.join("all.jsonl")).unwrap();
    there
}

fn directory_service(machine: &Machine) {
    fs::create_dir(machine.path("service")).unwrap();
    configure(machine);
}

fn configure(machine: &Machine) {
    let service = machine.path("service");
    machine.configure(&format!("url = \"file://{}\"", service.display()));
}

/// Whether `text` is `pattern`, in which `…` stands for anything.
fn is_like(text: &str, pattern: &str) -> bool {
    match pattern.split_once('…') {
        None => text == pattern,
        Some((before, after)) => text.starts_with(before) && text.ends_with(after),
    }
}

#[test]
fn every_kind_of_difference_is_named() {
    let machine = Machine::new();
    directory_service(&machine);
    let there = upload(&machine);
    let mut wrong = Vec::new();
    for (number, (kind, edit, expected)) in KINDS.iter().enumerate() {
        let mut here = Checkout::new(&machine, &format!("here{number}"));
        fs::create_dir(here.tree.parent().unwrap()).unwrap();
        copy_tree(&there.tree, &here.tree);
        // Hashes of the compiler may be remembered; nothing is built.
        remove_tree(&here.tree.join(".larder/build"));
        write(&here.system, "system\n");
        edit(&mut here);
        let causes = here.causes(&machine, "team@base");
        let named = causes.len() == expected.len()
            && expected.iter().all(|it| causes.iter().any(|(cause, _)| is_like(cause, it)));
        if !named {
            wrong.push(format!("{kind}: {causes:?}, not {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn differences_in_many_places_are_all_named() {
    let machine = Machine::new();
    directory_service(&machine);
    let there = upload(&machine);
    // What is built here makes no difference.
    there.replace("src/util/a.c", "LEVEL", "2");
    there.replace("larder.toml", "-Wl,-O1", "-Wl,-O2");
    there.file("data/table.txt", "2\n");
    for _ in 0..2 {
        let causes = there.causes(&machine, "team");
        let named: Vec<&str> =
            causes.iter().map(|(cause, _)| cause.split(' ').next().unwrap()).collect();
        assert_eq!(named, ["arguments", "data/table.txt", "src/util/a.c"], "{causes:?}");
        there.larder(&machine, &["build"]).ok();
    }
    let said = there.larder(&machine, &["why", "--against", "team", "util"]).ok();
    assert_eq!(said.stdout, "src/util/a.c changed: 1 missed: obj/libutil/src/util/a.c.o\n");
    assert!(said.stderr.contains("against revision base of demo on service team"), "{said:?}");
}

#[test]
fn a_service_that_cannot_tell_says_so() {
    let machine = Machine::new();
    directory_service(&machine);
    let there = upload(&machine);
    let why = |code: i32, against: &str| {
        there.larder(&machine, &["why", "--against", against, "util"]).ends_with(code)
    };
    why(1, "team@other").says("service team does not have revision other of demo");
    why(2, "theirs").says("no service is named");
    why(2, "team@../x");
    let scoped = ["why", "--against", "team", "--scope", "a/b", "util"];
    there.larder(&machine, &scoped).ends_with(1).says("service team has no revision of a/b");
    there.larder(&machine, &["why", "--scope", "a/b"]).ends_with(2).says("--against");

    let key = machine.path("secret.key");
    let made = machine.cache(&there.tree, 0, &["keygen", "ci", "-o", key.to_str().unwrap()]);
    machine.configure(&format!(
        "url = \"file://{}\"\n{}",
        machine.path("service").display(),
        made.stdout
    ));
    why(1, "team@base").says("it is not signed");
    configure(&machine);

    // An upload of before, and one of somebody who means harm.
    let mappings = machine.path("old.jsonl");
    there.larder(&machine, &["build", "-o", mappings.to_str().unwrap(), "util"]).ok();
    let text = fs::read_to_string(&mappings).unwrap();
    let put = |text: &str, revision: &str| {
        write(&mappings, text);
        let put = ["cache", "put", mappings.to_str().unwrap(), "--rev", revision];
        there.larder(&machine, &put).ok();
    };
    let without = |with: &dyn Fn(&str) -> String| {
        let line = |line: &str| match line.find(",\"inputs\":[[") {
            Some(at) => format!("{}{}}}]\n", &line[..at], with(line)),
            None => format!("{line}\n"),
        };
        text.lines().map(line).collect::<String>()
    };
    put(&without(&|_| String::new()), "old");
    put(
        &without(&|_| {
            ",\"inputs\":[[\"\\u001b[31msrc/util/a.c\",\"0000000000000000\"]]".to_owned()
        }),
        "evil",
    );
    put(&without(&|_| ",\"inputs\":{\"a\":1}".to_owned()), "wrong");
    assert_eq!(why(0, "team@old").stdout, why(0, "team@wrong").stdout);
    assert!(why(0, "team@old").stdout.starts_with("everything would be got"));
    there.replace("src/util/a.c", "LEVEL", "2");
    let old = why(0, "team@old");
    assert!(old.stdout.contains("does not tell what it was made from: 1 missed"), "{old:?}");
    let evil = why(0, "team@evil").stdout;
    assert!(evil.contains("src/util/a.c is gone: ") && !evil.contains('\x1b'), "{evil:?}");
}

#[test]
fn nothing_more_is_asked_than_the_revision() {
    let s3 = S3::start();
    let proxy = Proxy::start(s3.address, Faults::default(), 1);
    let machine = Machine::new();
    machine.uses(proxy.address, 300);
    let there = upload(&machine);
    // On its way through a staging directory nothing is lost.
    let staged = machine.path("staged");
    let staged = staged.to_str().unwrap();
    there.larder(&machine, &["build", "-o", "all.jsonl", "app"]).ok();
    there.larder(&machine, &["cache", "stage", "all.jsonl", staged]).ok();
    git(&there.tree, &["init", "-q"]);
    git(&there.tree, &["add", "larder.toml"]);
    git(&there.tree, &["commit", "-q", "-m", "all"]);
    let head = git(&there.tree, &["rev-parse", "HEAD"]);
    there
        .larder(&machine, &["cache", "put-staged", staged, "--rev", &head, "--scope", "demo"])
        .ok();
    there.replace("src/main.c", "a()", "b()");
    let asked = |against: &str| {
        proxy.requests();
        let causes = there.causes(&machine, against);
        assert_eq!(causes.len(), 2, "{causes:?}");
        assert_eq!(causes.iter().filter(|(cause, _)| cause == "src/main.c changed").count(), 1);
        proxy.requests()
    };
    assert_eq!(asked(&format!("team@{head}")), 1);
    assert_eq!(asked("team"), 2);
}

#[test]
fn inputs_take_little_room() {
    const SOURCES: usize = 300;
    let machine = Machine::new();
    let tree = machine.path("many");
    for n in 0..SOURCES {
        let mut text = format!("#include <h{}.h>\n", n % 20);
        for function in 0..6 {
            let (by, less) = (n * 7919 % 1013 + function, n * 31 + function * 97);
            text += &format!(
                "int f{n}_{function}(int *x, int y)\n{{\n    for (int i = 0; i < y; i++)\n        \
                 if (x[i] % {by} > H) x[i] = x[i] * {less} - y;\n    return x[y - {function}];\n}}\n"
            );
        }
        write(&tree.join(format!("src/part{}/source{n}.c", n % 7)), text);
    }
    (0..20).for_each(|n| write(&tree.join(format!("include/h{n}.h")), format!("#define H {n}\n")));
    let library = "[[library]]\nname = \"all\"\nsources = [\"src/**/*.c\"]\nincludes = [\"include\"]\n\
                   trace-args = [\"-O1\", \"-DNDEBUG\"]\n";
    write(&tree.join("larder.toml"), format!("[package]\nname = \"many\"\n{library}"));
    let mappings = machine.path("all.jsonl");
    machine.build(&tree, &["-o", mappings.to_str().unwrap()]);
    let with = Mappings::read(&mappings).unwrap();
    let without: Mappings = with.iter().map(|(hash, outputs)| (*hash, outputs.clone())).collect();
    assert!(with.iter().all(|(hash, _)| with.inputs(hash).is_some()));
    let bytes = |name: &str, put: &Mappings| {
        let service = machine.path(name);
        fs::create_dir(&service).unwrap();
        machine.configure(&format!("url = \"file://{}\"", service.display()));
        put.write(&mappings).unwrap();
        machine.cache(&tree, 0, &["put", mappings.to_str().unwrap(), "--rev", "r"]);
        let mut bytes = 0;
        walk(&service, &mut |_, file| bytes += file.metadata().unwrap().len());
        bytes
    };
    let (less, more) = (bytes("without", &without), bytes("with", &with));
    let percent = (more - less) as f64 * 100.0 / less as f64;
    println!("{less} bytes without inputs, {more} with: {percent:.1} % more");
    assert!(more > less && percent <= 10.0, "{less} bytes without, {more} with");
}
