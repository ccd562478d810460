//! The files that a link reads, as the linker tells.

use std::{fs, path::Path, process::Command};

use larder_engine::{
    depfile,
    environment::Environment,
    toolchain::{Role, Tools},
};
use larder_project::manifest::Toolchain;
use larder_trace::StatIndex;

fn run(root: &Path, program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).current_dir(root).status().unwrap();
    assert!(status.success(), "{program} {arguments:?}");
}

#[test]
fn every_file_that_is_linked_is_listed() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path();
    fs::create_dir(root.join("sub dir")).unwrap();
    for (name, text) in [
        ("main.c", "int one(void); int two(void); int main(void) { return one() + two(); }\n"),
        ("one.c", "int one(void) { return 0; }\n"),
        ("two.c", "int two(void) { return 0; }\n"),
        ("sub dir/libtwo.so", "INPUT(libreal.so)\n"),
        ("v.map", "{ global: main; };\n"),
    ] {
        fs::write(root.join(name), text).unwrap();
    }
    run(root, "cc", &["-c", "main.c", "-o", "a b#$.o"]);
    run(root, "cc", &["-c", "one.c"]);
    run(root, "ar", &["rcs", "sub dir/libone.a", "one.o"]);
    run(root, "cc", &["-shared", "-fPIC", "two.c", "-o", "sub dir/libreal.so"]);

    let index = StatIndex::open(root, &root.join("index"), false).unwrap();
    let mut tools = Tools::new(&index, None, Environment::of_process());
    let cc = tools.compiler(&Toolchain::default(), Role::Cc, root, &[]).unwrap();
    assert!(cc.linker.dependency_file, "the linker tells");
    let able = ["-Xlinker", "--dependency-file=de,p.d"];
    let mut arguments = vec!["a b#$.o", "-Lsub dir", "-lone", "-ltwo", "-o", "out"];
    arguments.extend(["-Wl,--version-script=v.map", able[0], able[1]]);
    run(root, "cc", &arguments);

    let files = depfile::parse_linker(&fs::read_to_string(root.join("de,p.d")).unwrap());
    let read = |name: &str| files.iter().any(|file| file == name || file == &format!("./{name}"));
    for name in ["a b#$.o", "sub dir/libone.a", "sub dir/libtwo.so", "sub dir/libreal.so", "v.map"]
    {
        assert!(read(name), "{name} is not in {files:?}");
    }
    for name in ["crti.o", "libc.so"] {
        assert!(files.iter().any(|file| file.ends_with(name)), "{name} is not in {files:?}");
    }
    assert!(files.iter().all(|file| root.join(file).exists()), "{files:?}");
}
