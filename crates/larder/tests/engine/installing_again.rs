//! `larder install` over an earlier installation, and its end: only what larder installed is removed.

use std::{fs, path::PathBuf};

use larder_testkit::{project::Project, run::Run};

use crate::installing::files as names;

const LIBRARY: &str = "[package]\nname = \"p\"\n[[library]]\nname = \"l\"\nkind = [\"shared\"]\nsoversion = \"3\"\n\
                       sources = [\"l.c\"]\nheaders = [\"*.h\"]\nincludes = [\".\"]\n";
const PROGRAM: &str =
    "[[executable]]\nname = \"run\"\nsources = [\"main.c\"]\nlibraries = [\"l\"]\n";

struct Scene {
    project: Project,
    prefix: PathBuf,
}

impl Scene {
    fn new() -> Self {
        let project = Project::with_manifest(&[LIBRARY, PROGRAM].concat());
        project.file("l.c", "int l(void) { return 0; }\n").file("l.h", "int l(void);\n");
        project
            .file("old.h", "\n")
            .file("main.c", "#include <l.h>\nint main(void) { return l(); }\n");
        Self { prefix: project.path("prefix"), project }
    }

    fn install(&self, more: &[&str]) -> Run {
        let at = ["install", "--prefix", self.prefix.to_str().unwrap()];
        self.project.larder(&[&at[..], more].concat())
    }

    fn is_there(&self, path: &str) -> bool {
        self.prefix.join(path).symlink_metadata().is_ok()
    }

    /// What is listed, below the prefix.
    fn listed(&self) -> Vec<String> {
        let listed = self.install(&["--list"]).ok().stdout;
        let prefix = format!("{}/", self.prefix.display());
        listed.lines().map(|line| line.strip_prefix(&prefix).unwrap().to_owned()).collect()
    }
}

const ALL: [&str; 7] = [
    "bin/run",
    "include/l.h",
    "include/old.h",
    "lib/cmake/p/pConfig.cmake",
    "lib/libl.so",
    "lib/libl.so.3",
    "lib/pkgconfig/l.pc",
];

#[test]
fn all_that_was_installed_is_listed_and_removed() {
    let scene = Scene::new();
    scene
        .install(&["--list"])
        .ends_with(1)
        .mentions(&["nothing of `p` is installed in", "--prefix says"]);
    scene.install(&["--uninstall"]).ends_with(1).says("nothing of `p` is installed in");
    assert!(!scene.prefix.exists());
    fs::create_dir_all(scene.prefix.join("lib")).unwrap();
    fs::create_dir_all(scene.prefix.join("include/others")).unwrap();
    fs::write(scene.prefix.join("include/others.h"), "").unwrap();
    scene.install(&[]).ok();
    assert_eq!(scene.listed(), ALL);
    let dry = scene.install(&["--uninstall", "--dry-run"]).ok();
    assert_eq!((dry.stdout.lines().count(), scene.is_there("bin/run")), (ALL.len(), true));
    // Where it was moved to, all of it is there still.
    let elsewhere = scene.project.path("elsewhere");
    fs::rename(&scene.prefix, &elsewhere).unwrap();
    let scene = Scene { prefix: elsewhere, ..scene };
    scene.install(&["--uninstall"]).ok().says("removed 7 files from");
    // What was there before stays, and so do directories that larder did not make.
    assert_eq!(names(&scene.prefix), ["include/others.h"]);
    assert!(scene.is_there("lib") && scene.is_there("include/others"));
    assert!(!scene.is_there("bin") && !scene.is_there("share") && !scene.is_there("lib/cmake"));
    scene.install(&["--uninstall"]).ends_with(1);
    for wrong in [&["--list", "l"][..], &["--uninstall", "l"], &["--list", "--uninstall"]] {
        scene.install(wrong).ends_with(2);
    }
}

#[test]
fn what_is_installed_no_more_is_removed_and_nothing_else() {
    let scene = Scene::new();
    scene.install(&[]).ok();
    fs::write(scene.prefix.join("include/old.h"), "mine now\n").unwrap();
    scene.project.remove("old.h");
    scene.project.file("larder.toml", LIBRARY.replace("\"3\"", "\"4\""));
    // A part takes nothing away.
    scene.install(&["l"]).ok();
    assert!(scene.is_there("bin/run") && scene.is_there("lib/libl.so.3"));
    let said = scene.install(&["-v"]).ok();
    said.mentions(&["removed ", "bin/run", "old.h: it is not what larder installed"]);
    assert_eq!(
        fs::read_link(scene.prefix.join("lib/libl.so")).unwrap(),
        PathBuf::from("libl.so.4")
    );
    assert_eq!(fs::read(scene.prefix.join("include/old.h")).unwrap(), b"mine now\n");
    assert!(!scene.is_there("bin") && !scene.is_there("lib/libl.so.3"));
    let now = [
        "include/l.h",
        "lib/cmake/p/pConfig.cmake",
        "lib/libl.so",
        "lib/libl.so.4",
        "lib/pkgconfig/l.pc",
    ];
    assert_eq!(scene.listed(), now);
    let events = scene.install(&["--json", "--uninstall"]).ok().events();
    let removed = events.iter().filter(|event| event["event"] == "removed").count();
    assert_eq!(removed, now.len());
    assert_eq!(names(&scene.prefix), ["include/old.h"]);
}

#[test]
fn what_two_packages_installed_stays_for_the_other() {
    let scene = Scene::new();
    scene.install(&[]).ok();
    let other = Project::with_manifest(&LIBRARY.replace("\"p\"", "\"q\""));
    other.file("l.c", "int l(void) { return 0; }\n").file("l.h", "int l(void);\n");
    let at = ["install", "--prefix", scene.prefix.to_str().unwrap()];
    other.larder(&at).ok();
    scene.install(&["--uninstall"]).ok().says("another package has installed it, too");
    assert!(!scene.is_there("bin/run") && !scene.is_there("include/old.h"));
    assert!(scene.is_there("include/l.h") && scene.is_there("share/larder/q.json"));
    other.larder(&[&at[..], &["--uninstall"]].concat()).ok();
    assert!(names(&scene.prefix).is_empty());
}

#[test]
fn a_record_that_is_none_is_said_and_leads_nowhere() {
    let scene = Scene::new();
    scene.install(&[]).ok();
    let record = scene.prefix.join("share/larder/p.json");
    let good = fs::read_to_string(&record).unwrap();
    scene.project.file("victim", "here\n");
    for (bad, why) in [
        ("{", "EOF while parsing"),
        (&*good.replace("bin/run", "../victim"), "`../victim` is no path below the prefix"),
        (&good.replace("\"schemaVersion\": 1", "\"schemaVersion\": 9"), "its schema version is 9"),
    ] {
        assert_ne!(bad, good);
        fs::write(&record, bad).unwrap();
        for arguments in [&["--list"][..], &["--uninstall"], &[]] {
            scene.install(arguments).ends_with(1).mentions(&[why, "remove that file"]);
        }
    }
    assert!(scene.is_there("bin/run") && scene.project.path("victim").exists());
    fs::remove_file(&record).unwrap();
    scene.install(&[]).ok();
    let entries = |text: &str| -> serde_json::Value {
        serde_json::from_str::<serde_json::Value>(text).unwrap()["entries"].clone()
    };
    assert_eq!(entries(&fs::read_to_string(&record).unwrap()), entries(&good));
    // A directory that somebody has made a link out of the prefix is not looked into.
    fs::rename(scene.prefix.join("bin"), scene.project.path("bin")).unwrap();
    std::os::unix::fs::symlink(scene.project.path("bin"), scene.prefix.join("bin")).unwrap();
    scene
        .install(&["--uninstall"])
        .ok()
        .says("bin/run: a symbolic link leads out of the prefix to it");
    assert!(scene.project.path("bin/run").exists());
}
