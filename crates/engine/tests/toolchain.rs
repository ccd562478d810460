//! Who tools are: the content of everything that is executed.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    sync::Arc,
};

use larder_engine::{
    environment::Environment,
    toolchain::{Compiler, Program, Role, Tools},
};
use larder_project::manifest::Toolchain;
use larder_trace::{ContentHash, StatIndex};
use tempfile::TempDir;

/// A directory `bin` that comes first on `PATH`, and an index.
struct Place {
    root: TempDir,
    environment: Environment,
}

impl Place {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("bin")).unwrap();
        let path = std::env::var("PATH").unwrap();
        let path = format!("{}:{path}", root.path().join("bin").display());
        let home = root.path().to_str().unwrap().to_owned();
        let environment = [("PATH", path), ("HOME", home)].into_iter().collect();
        Self { root, environment }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Writes a shell script, old enough for the index to trust what it has seen.
    fn script(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let old = std::time::SystemTime::now() - std::time::Duration::from_secs(60);
        fs::File::open(&path).unwrap().set_modified(old).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// The compiler `name` as a new build finds it, with what earlier ones remembered.
    fn compiler_with(&self, name: &str, arguments: &[&str]) -> Arc<Compiler> {
        let index = self.index();
        let toolchain = Toolchain { cc: Some(name.to_owned()), ..Toolchain::default() };
        let arguments: Vec<String> = arguments.iter().map(|&text| text.to_owned()).collect();
        let mut tools = Tools::new(&index, None, self.environment.clone());
        let found = tools.compiler(&toolchain, Role::Cc, self.root.path(), &arguments).unwrap();
        index.save().unwrap();
        found
    }

    fn identity(&self, name: &str) -> ContentHash {
        self.compiler_with(name, &[]).trace.hash()
    }

    fn index(&self) -> StatIndex {
        StatIndex::open(self.root.path(), &self.path("index"), false).unwrap()
    }

    /// How often the scripts that write to `calls` were run.
    fn calls(&self) -> usize {
        fs::read_to_string(self.path("calls")).unwrap_or_default().lines().count()
    }
}

fn real(program: &str) -> PathBuf {
    let found = larder_engine::toolchain::find_tool(program, "", &Environment::of_process());
    found.unwrap()
}

#[test]
fn a_compiler_is_asked_who_it_is_once() {
    let place = Place::new();
    let calls = place.path("calls");
    let script = |version: &str| {
        let asked = format!("# {version}\necho \"$1\" >> {}", calls.display());
        let text = format!("{asked}\ncase $1 in -dumpmachine) echo test-triple;; *) exit 1;; esac");
        place.script("mycc", &text)
    };
    let name = script("1");
    let one = place.compiler_with(&name, &[]);
    assert_eq!(one.triple.as_deref(), Some("test-triple"));
    let asked = place.calls();
    assert!(asked > 0);
    assert_eq!(place.identity(&name), one.trace.hash());
    assert_eq!(place.calls(), asked, "no process is started while nothing changed");
    script("2");
    assert_ne!(place.identity(&name), one.trace.hash());
    assert!(place.calls() > asked);
}

#[test]
fn a_missing_compiler_is_said() {
    let place = Place::new();
    let index = place.index();
    let mut tools = Tools::new(&index, None, place.environment.clone());
    let toolchain = Toolchain { cc: Some("no-such-compiler".to_owned()), ..Toolchain::default() };
    let missing = tools.compiler(&toolchain, Role::Cc, place.root.path(), &[]).unwrap_err();
    assert!(missing.to_string().contains("`no-such-compiler` was not found on PATH"), "{missing}");
}

#[test]
fn every_wrapper_on_the_way_to_a_compiler_counts() {
    let place = Place::new();
    let calls = place.path("calls");
    let second = |text: &str| {
        place.script("bin/second", &format!("echo x >> {}\n{text}", calls.display()));
    };
    second("exec gcc \"$@\"");
    let first = place.script("first", "exec second \"$@\"");
    let plain = place.identity(&first);
    let asked = place.calls();
    assert_eq!(place.identity(&first), plain);
    assert_eq!(place.calls(), asked, "no process is started while nothing changed");

    second("exec gcc -O1 \"$@\"");
    assert_ne!(place.identity(&first), plain, "the second wrapper adds an option");
    second("exec gcc \"$@\"");
    assert_eq!(place.identity(&first), plain);

    place.script("bin/gcc", &format!("exec {} -g \"$@\"", real("gcc").display()));
    assert_ne!(place.identity(&first), plain, "another gcc comes first on PATH");
}

#[test]
fn a_wrapper_by_another_way_is_known_by_what_it_leads_to() {
    let place = Place::new();
    let other = place.script("other-gcc", &format!("exec {} \"$@\"", real("gcc").display()));
    // Its name is computed, so only the compiler itself can say who it is.
    place.script("cc", "exec \"$(dirname \"$0\")/other-$NAME\"gcc \"$@\"");
    let name = place.path("cc").to_str().unwrap().to_owned();
    let plain = place.compiler_with(&name, &[]);
    let version = plain.trace.parts().iter().find(|part| part.name() == "version").unwrap();
    assert!(version.value().unwrap().contains(" version "), "{version:?}");
    assert!(plain.trace.parts().iter().any(|part| part.name() == "cc1"));
    assert!(Path::new(&other).exists());
}

#[test]
fn a_library_that_a_program_of_the_compiler_loads_counts() {
    let place = Place::new();
    let build = |text: &str, arguments: &[&str]| {
        fs::write(place.path("a.c"), text).unwrap();
        let mut command = std::process::Command::new("cc");
        let status = command.arg("a.c").args(arguments).current_dir(place.root.path()).status();
        assert!(status.unwrap().success());
    };
    build("int f(void) { return 0; }", &["-shared", "-fPIC", "-o", "libf.so"]);
    let assembler = ["-o", "bin/as", "-L.", "-lf", "-Wl,-rpath,$ORIGIN/.."];
    build("int f(void); int main(void) { return f(); }", &assembler);
    let before = place.identity("gcc");
    assert_eq!(place.identity("gcc"), before);
    build("int f(void) { return 1; }", &["-shared", "-fPIC", "-o", "libf.so"]);
    assert_ne!(place.identity("gcc"), before);
}

#[test]
fn programs_first_on_path_count() {
    for program in ["as", "ld"] {
        let place = Place::new();
        let before = place.identity("gcc");
        let run = format!("exec {} \"$@\"", real(program).display());
        place.script(&format!("bin/{program}"), &run);
        let with = place.identity("gcc");
        assert_ne!(with, before, "`{program}` appeared");
        place.script(&format!("bin/{program}"), &format!("# changed\n{run}"));
        assert_ne!(place.identity("gcc"), with, "`{program}` changed");
        fs::remove_file(place.path(&format!("bin/{program}"))).unwrap();
        assert_eq!(place.identity("gcc"), before, "`{program}` went away");
    }
}

#[test]
fn a_compiler_is_the_same_wherever_it_is() {
    let place = Place::new();
    symlink(real("gcc"), place.path("bin/gcc")).unwrap();
    let elsewhere = Place::new();
    assert_eq!(place.identity("gcc"), elsewhere.identity("gcc"));
}

#[test]
fn arguments_choose_the_linker() {
    let place = Place::new();
    let plain = place.compiler_with("gcc", &[]);
    assert!(plain.linker.dependency_file, "every linker since 2021 has it");
    let run = format!("exec {} \"$@\"", real("ld").display());
    place.script("bin/ld.gold", &run);
    let ask = || place.compiler_with("gcc", &["-O2", "-fuse-ld=gold"]).trace.hash();
    let gold = ask();
    assert_ne!(gold, plain.trace.hash());
    assert_eq!(place.compiler_with("gcc", &["-O2"]).trace.hash(), plain.trace.hash());
    place.script("bin/ld.gold", &format!("# changed\n{run}"));
    assert_ne!(ask(), gold);
    place.script("bin/ld.gold", "echo no help; exit 0");
    assert!(!place.compiler_with("gcc", &["-fuse-ld=gold"]).linker.dependency_file);
}

#[test]
fn compilers_say_where_system_headers_are() {
    let place = Place::new();
    let directories = &place.compiler_with("cc", &[]).include_directories;
    let has = |list: &[PathBuf], name: &str| list.iter().any(|d| d.join(name).is_file());
    assert!(has(&directories.c, "stdio.h"), "{directories:?}");
    assert!(has(&directories.cxx, "vector"), "{directories:?}");
    assert!(!has(&directories.c, "vector"));
    assert!(place.compiler_with("cc", &["-nostdinc"]).include_directories.c.is_empty());
}

#[test]
fn a_script_is_its_text_and_its_interpreter() {
    let place = Place::new();
    let index = place.index();
    let sh = fs::read(real("sh")).unwrap();
    let shell = place.path("bin/mysh");
    let write = |bytes: &[u8]| {
        fs::write(&shell, bytes).unwrap();
        fs::set_permissions(&shell, fs::Permissions::from_mode(0o755)).unwrap();
    };
    let hash = || {
        let index = place.index();
        Program::find("tool", "program", &index, &place.environment).unwrap().trace.hash()
    };
    drop(index);
    write(&sh);
    place.script("bin/tool", "");
    fs::write(place.path("bin/tool"), "#!/usr/bin/env mysh\ntrue\n").unwrap();
    let one = hash();
    assert_eq!(hash(), one);
    write(&[&sh[..], b"\n"].concat());
    let two = hash();
    assert_ne!(two, one);
    fs::write(place.path("bin/tool"), format!("#!{}\ntrue\n", shell.display())).unwrap();
    let direct = hash();
    write(&sh);
    assert_ne!(hash(), direct);
}

#[test]
fn more_files_can_belong_to_a_toolchain() {
    let place = Place::new();
    place.script("bin/helper", "one");
    fs::write(place.path("specs"), "one").unwrap();
    let hash = || {
        let index = place.index();
        let mut tools = Tools::new(&index, None, place.environment.clone());
        let names = ["helper".to_owned(), "./specs".to_owned()];
        tools.more(&names, place.root.path()).map(|trace| trace.hash())
    };
    let one = hash().unwrap();
    place.script("bin/helper", "two");
    let two = hash().unwrap();
    fs::write(place.path("specs"), "two").unwrap();
    let three = hash().unwrap();
    assert!(one != two && two != three);
    fs::remove_file(place.path("specs")).unwrap();
    assert!(hash().unwrap_err().to_string().contains("specs"));
}
