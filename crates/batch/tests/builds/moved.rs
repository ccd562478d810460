//! Layers in other places: what is good anywhere, and what is not.

use std::fs;

use larder_runs::{Category, result::Origin};

use crate::support::*;

/// A project with a `configure` script as most have one: it has its prefix in a program.
const CONFIGURED: Package<'static> = Package {
    id: "conf.2.0",
    recipe: larder_batch::catalogue::Recipe::Manifest,
    files: &[
        (
            "configure",
            "#!/bin/sh
for argument; do case $argument in --prefix=*) prefix=${argument#--prefix=};; esac; done
printf 'PREFIX = %s\\n' \"$prefix\" > config.mk
printf '#define DATADIR \"%s/share\"\\n' \"$prefix\" > config.h
",
        ),
        (
            "Makefile",
            "include config.mk
all: conf
conf: conf.c config.h
\t$(CC) -g -o $@ conf.c
install: all
\tmkdir -p $(PREFIX)/bin $(PREFIX)/share
\tcp conf $(PREFIX)/bin
\techo hello > $(PREFIX)/share/greeting
",
        ),
        (
            "conf.c",
            "#include <stdio.h>\n#include \"config.h\"\nint main(void) { puts(DATADIR); return 0; }\n",
        ),
    ],
};

#[test]
fn what_names_no_place_outside_of_texts_is_the_same_anywhere() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path().canonicalize().unwrap();
    let store = root.join("store");
    let here = Set::at(&root.join("here"), &store);
    let there = Set::at(&root.join("there/but/deeper"), &store);
    let apart = Set::at(&root.join("apart"), &root.join("another-store"));
    let (layer, origin) = here.layer(&zz(&here));
    assert_eq!(origin, Origin::Built);
    // Its debug information has no path of the place where it was built.
    let (built_apart, origin) = apart.layer(&zz(&apart));
    assert_eq!((origin, built_apart.record.digest), (Origin::Built, layer.record.digest));
    let (moved, origin) = there.layer(&zz(&there));
    assert_eq!((origin, moved.record.digest), (Origin::Restored, layer.record.digest));
    let pc = fs::read_to_string(moved.directory.join("lib/pkgconfig/zz.pc")).unwrap();
    assert!(pc.starts_with(&format!("prefix={}\n", moved.directory.display())), "{pc}");
}

#[test]
fn a_program_that_knows_its_prefix_works_there_and_is_taken_nowhere_else() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path().canonicalize().unwrap();
    let store = root.join("store");
    let here = Set::at(&root.join("here"), &store);
    let lines = ["./configure --prefix={prefix}", "make", "make install"];
    let package = Package { recipe: commands(&lines), ..CONFIGURED };
    let task = here.task(&package, Vec::new());
    let (layer, origin) = here.layer(&task);
    assert_eq!(origin, Origin::Built);
    let said = output(&layer.directory.join("bin/conf"));
    assert_eq!(said, format!("{}/share", layer.directory.display()));
    assert_eq!(layer.record.home.as_deref(), Some(here.shop.layers.directory()));
    // Here it comes back,
    fs::remove_dir_all(&layer.directory).unwrap();
    let (again, origin) = here.layer(&task);
    assert_eq!((origin, again.record.digest), (Origin::Restored, layer.record.digest));
    assert_eq!(output(&again.directory.join("bin/conf")), said);
    // and elsewhere it is built.
    let there = Set::at(&root.join("there"), &store);
    let (other, origin) = there.layer(&there.task(&package, Vec::new()));
    assert_eq!(origin, Origin::Built);
    let said = output(&other.directory.join("bin/conf"));
    assert_eq!(said, format!("{}/share", other.directory.display()));
    // A directory of data that was moved has it no more.
    let moved = root.join("moved");
    fs::create_dir_all(&moved).unwrap();
    fs::rename(root.join("here/data"), moved.join("data")).unwrap();
    let moved = Set::at(&moved, &store);
    let (built, origin) = moved.layer(&moved.task(&package, Vec::new()));
    assert_eq!(origin, Origin::Built);
    assert!(
        output(&built.directory.join("bin/conf")).starts_with(built.directory.to_str().unwrap())
    );
}

#[test]
fn a_need_with_the_same_content_is_the_same_need() {
    let set = Set::new();
    // Two builds of one package that come to the same.
    let base = |comment: &str| {
        let lines = [format!("echo same > {{prefix}}/file # {comment}")];
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let task =
            set.task(&Package { id: "base.1", recipe: commands(&lines), files: &[] }, Vec::new());
        let (layer, origin) = set.layer(&task);
        assert_eq!(origin, Origin::Built);
        need(&task, &layer, true)
    };
    let (one, two) = (base("one"), base("two"));
    assert_ne!(one.layer.record.build_hash, two.layer.record.build_hash);
    let lines = ["echo in {prefix:base} > {prefix}/where"];
    let package = Package { id: "top.1", recipe: commands(&lines), files: &[] };
    let (first, origin) = set.layer(&set.task(&package, vec![one]));
    assert_eq!(origin, Origin::Built);
    let (second, origin) = set.layer(&set.task(&package, vec![two.clone()]));
    assert_eq!((origin, second.record.digest), (Origin::Restored, first.record.digest));
    assert_eq!(first.record.dep_hash, second.record.dep_hash);
    let text = fs::read_to_string(second.directory.join("where")).unwrap();
    assert_eq!(text, format!("in {}\n", two.layer.directory.display()));
}

#[test]
fn a_damaged_layer_is_made_again() {
    for (what, damage) in [
        ("changed", "lib/libzz.a"),
        ("gone", "include/zz.h"),
        ("more", "lib/more"),
        ("list", ".larder-layer.files"),
        ("record", ".larder-layer.json"),
    ] {
        let set = Set::new();
        let (layer, _) = set.layer(&zz(&set));
        let path = layer.directory.join(damage);
        match what {
            "gone" => fs::remove_file(&path).unwrap(),
            _ => fs::write(&path, "damaged").unwrap(),
        }
        // Another process finds it so.
        let other = Set::at(&set.root, &set.root.join("store"));
        let (again, origin) = other.layer(&zz(&other));
        assert_eq!(
            (origin, again.record.digest),
            (Origin::Restored, layer.record.digest),
            "{what}"
        );
    }
}

#[test]
fn nobody_is_built_with_a_damaged_layer_and_it_is_no_fault_of_theirs() {
    let set = Set::new();
    let zz = zz(&set);
    let (layer, _) = set.layer(&zz);
    let lines = ["cat {prefix:zz}/include/zz.h > {prefix}/copy"];
    let package = Package { id: "user.1", recipe: commands(&lines), files: &[] };
    let user = set.task(&package, vec![need(&zz, &layer, true)]);
    fs::write(layer.directory.join("include/zz.h"), "damaged").unwrap();
    // Another process finds it so.
    let other = Set::at(&set.root, &set.root.join("store"));
    let (failure, _) = other.failure(&user);
    assert_eq!(failure.category, Some(Category::TransientFailure));
    assert_eq!(failure.error, "the layer of zz.1.2 was gone or damaged");
    // It is not believed any more, and made again.
    assert!(other.shop.layers.find(&zz.build_hash).is_none());
    assert_eq!(other.layer(&zz).1, Origin::Restored);
    assert_eq!(other.layer(&user).1, Origin::Built);
}
