//! Records of earlier builds that somebody wrote who means no good: they cost a build, and nothing else.

use std::{
    fs::{self, File},
    os::unix::fs::symlink,
    process::Command,
    time::Duration,
};

use larder_store::{Mappings, Store};
use larder_testkit::{
    events::Built,
    files::{remove_tree, walk},
    project::Project,
    run::{Run, run},
    wait::ends_within,
};
use larder_trace::{ContentHash, DiscoveredInput, Outputs, Searched};

/// A build that reads no more than it should takes less.
const SOON: Duration = Duration::from_secs(20);

const OBJECT: &str = "obj/x/main.c.o";

fn package() -> Project {
    let project = Project::cached(
        "[[executable]]\nname = \"x\"\nsources = [\"main.c\"]\nincludes = [\"src/inc\"]\n",
    );
    project.file("main.c", "#include <stdio.h>\n#include <h.h>\nint main(void) { return H; }\n");
    project.file("inc/h.h", "#define H 0\n").file("src/none", "");
    symlink("../inc", project.path("src/inc")).unwrap();
    project.build_with(&["x:o", "x", "-o", "outputs.jsonl"]);
    project
}

/// Has the store hold nothing but the records of `project` as `edit` makes them, and forgets the build.
fn poison(project: &Project, edit: impl Fn(&mut Outputs)) {
    let mappings = Mappings::read(&project.path("outputs.jsonl")).unwrap();
    remove_tree(&project.cache.join("outputs"));
    let store = Store::open(&project.cache).unwrap();
    for (dep_hash, outputs) in mappings.iter() {
        let mut outputs = outputs.clone();
        edit(&mut outputs);
        store.record(&"p".parse().unwrap(), dep_hash, &outputs).unwrap();
    }
    project.forget();
}

fn names(path: &str, hash: ContentHash) -> impl Fn(&mut Outputs) {
    move |outputs| {
        let path = path.to_owned();
        outputs.discovered = vec![DiscoveredInput { path, hash }];
        outputs.searched = None;
    }
}

/// Builds, which has to end soon. Returns what it said.
#[track_caller]
fn build_soon(project: &Project) -> Run {
    let log = project.path("said.json");
    let mut command = project.command(&["build", "--json", "x:o", "x"]);
    let child = command.stdout(File::create(&log).unwrap()).spawn().unwrap();
    assert!(ends_within(SOON, child).success());
    Run { code: Some(0), stdout: fs::read_to_string(log).unwrap(), stderr: String::new() }
}

/// The object must be built, and what is wrong with the record be said `times`.
#[track_caller]
fn is_a_miss(project: &Project, what: &str, times: usize) {
    let built = Built::of(&build_soon(project));
    assert!(built.built().contains(&OBJECT), "{what}: {}", built.all);
    let said = built.notes.iter().filter(|note| note.contains("is not believed")).count();
    assert_eq!(said, times, "{what}: {}", built.all);
    assert!(built.complaints.is_empty(), "{what}: {}", built.all);
}

#[test]
fn a_mapping_that_names_no_file_of_the_build_is_a_miss() {
    let project = package();
    let outside = project.root.with_extension("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), "secret").unwrap();
    symlink(&outside, project.path("leads-out")).unwrap();
    assert!(Command::new("mkfifo").arg(project.path("pipe")).status().unwrap().success());
    File::create(project.path("huge")).unwrap().set_len(1 << 43).unwrap();
    let secret = ContentHash::of_bytes(b"secret");
    let passwd = ContentHash::of_bytes(&fs::read("/etc/passwd").unwrap());
    let up = format!("{}etc/passwd", "../".repeat(20));
    for (path, hash) in [
        ("/dev/zero", secret),
        ("/dev/tty", secret),
        ("/proc/kmsg", secret),
        ("/proc/self/pagemap", secret),
        ("/proc/kcore", secret),
        ("pipe", secret),
        ("huge", secret),
        ("leads-out/secret", secret),
        (&format!("{}/secret", outside.display()), secret),
        ("/etc/passwd", passwd),
        (&up, passwd),
    ] {
        // Containers lack some of these. What is not there is not worth a word.
        let there = project.path(path).symlink_metadata().is_ok();
        poison(&project, names(path, hash));
        is_a_miss(&project, path, usize::from(there));
    }
    poison(&project, names("gone.h", secret));
    is_a_miss(&project, "gone.h", 0);
}

#[test]
fn a_mapping_that_searches_where_its_target_does_not_is_a_miss() {
    let project = package();
    let none = ContentHash::of_bytes(b"");
    let searches = |directories: Vec<String>, names: Vec<String>| {
        move |outputs: &mut Outputs| {
            outputs.discovered.clear();
            let (directories, names) = (directories.clone(), names.clone());
            outputs.searched = Some(Box::new(Searched { directories, names, found: none }));
        }
    };
    let many = |what: &str, count: usize| (0..count).map(|n| format!("{what}{n}")).collect();
    let one = |name: &str| vec![name.to_owned()];
    for (directories, names) in [
        (one("/proc"), one("x.h")),
        (one("/proc/self/root"), one("x.h")),
        (one("/etc"), one("x.h")),
        (one("../../../../../../etc"), one("x.h")),
        (many("d", 20_000), many("n", 20_000)),
    ] {
        let what = directories[0].clone();
        poison(&project, searches(directories, names));
        is_a_miss(&project, &what, 1);
    }
}

#[test]
fn records_that_name_what_a_build_reads_are_believed() {
    let project = package();
    poison(&project, |_| ());
    Built::of(&build_soon(&project)).all("restored");
    // Headers behind a link in the package, and those beside it where the manifest has them searched.
    let include = project.root.with_extension("include");
    fs::create_dir(&include).unwrap();
    fs::write(include.join("beside.h"), "#define BESIDE\n").unwrap();
    let manifest = project.read("larder.toml");
    let argument = format!("weak-args = [\"-I\", \"{}\"]\n", include.display());
    project.file("larder.toml", format!("{manifest}{argument}"));
    project.file("main.c", "#include <beside.h>\n#include <h.h>\nint main(void) { return H; }\n");
    project.build_with(&["x:o", "x"]);
    project.forget();
    project.build_with(&["x:o", "x"]).all("restored");
}

#[test]
fn a_trace_file_of_a_copied_build_directory_reads_no_device_and_waits_for_no_pipe() {
    let project = package();
    project.build();
    project.remove(".larder/index");
    let trace = project.output(&format!("{OBJECT}.trace"));
    let text = fs::read_to_string(&trace).unwrap();
    assert!(Command::new("mkfifo").arg(project.path("pipe")).status().unwrap().success());
    for path in ["/dev/zero", "/proc/kcore", "pipe"] {
        fs::write(
            &trace,
            text.replace("\"path\":\"src/inc/h.h\"", &format!("\"path\":\"{path}\"")),
        )
        .unwrap();
        assert!(fs::read_to_string(&trace).unwrap().contains(path));
        let said = build_soon(&project);
        assert!(!Built::of(&said).with("replayed").contains(&OBJECT), "{}", said.stdout);
        _ = fs::remove_file(project.path(".larder/index"));
    }
}

#[test]
fn pipes_and_links_in_the_place_of_larders_own_files_are_waited_for_by_nobody() {
    let project = package();
    let mut own = Vec::new();
    walk(&project.path(".larder"), &mut |path, _| {
        if path.ends_with(".trace") || path == "index" {
            own.push(format!(".larder/{path}"));
        }
    });
    assert!(own.len() >= 3, "{own:?}");
    for path in &own {
        project.remove(path);
        assert!(Command::new("mkfifo").arg(project.path(path)).status().unwrap().success());
    }
    build_soon(&project);
    for path in own {
        project.remove(&path);
        symlink("/dev/zero", project.path(&path)).unwrap();
    }
    build_soon(&project);
    // The lock would be written to.
    project.file("precious", "content");
    project.remove(".larder/lock");
    symlink("../precious", project.path(".larder/lock")).unwrap();
    run(project.command(&["build"])).ends_with(1).says("/.larder: ");
    assert_eq!(project.read("precious"), "content");
}
