//! Uploads that carry no more than the service lacks, and what is read where an upload is bad.

use std::fs;

use larder_store::Mappings;
use larder_testkit::{
    files::write,
    git::{Repository, app, git},
    machine::Machine,
    run::run,
    services::{Faults, Proxy, S3},
};

use crate::support::{commit, forget, work_tree};

const PLACE: [&str; 2] = ["--scope", "owner/demo"];

fn names(directory: &std::path::Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_staging_directory_holds_only_what_the_service_lacks() {
    let s3 = S3::start();
    let machine = Machine::new();
    machine.uses(s3.address, 300);
    let tree = work_tree(&machine, "work");
    let first = commit(&tree);
    let outputs = machine.path("outputs.jsonl");
    let outputs = outputs.to_str().unwrap();
    machine.build(&tree, &["-o", outputs]);
    machine.cache(&tree, 0, &[&["put", outputs][..], &PLACE].concat());

    fs::write(tree.join("src/main.c"), "int main(void) { return 3; }\n").unwrap();
    git(&tree, &["commit", "-qam", "change"]);
    let second = git(&tree, &["rev-parse", "HEAD"]);
    machine.build(&tree, &["-o", outputs]);
    let staged = machine.path("staged");
    let stage = ["stage", outputs, staged.to_str().unwrap()];
    for since in [&["--since", &first][..], &["--since"]] {
        let said = machine.cache(&tree, 0, &[&stage[..], &PLACE, since].concat());
        assert!(said.stderr.contains("the service has"), "{}", said.stderr);
        // The object and the executable that changed, the mappings, and the note.
        assert_eq!(names(&staged).len(), 4, "{:?}", names(&staged));
        assert_eq!(fs::read_to_string(staged.join("since")).unwrap(), first);
        machine.cache(&tree, 0, &["verify", staged.to_str().unwrap()]);
    }

    // The job with the key has nothing but that directory.
    let nowhere = machine.path("nowhere");
    fs::create_dir(&nowhere).unwrap();
    let put = [&["put-staged", staged.to_str().unwrap(), "--rev", &second][..], &PLACE].concat();
    let said = machine.cache(&nowhere, 0, &put);
    assert!(said.stderr.contains("2 artifacts sent"), "{}", said.stderr);
    let user = Machine::new();
    user.uses(s3.address, 300);
    user.cache(&tree, 0, &[&["get", "--rev", &second, "--package", "demo"][..], &PLACE].concat());
    forget(&tree, true);
    user.build(&tree, &["--no-build", "--rehash"]);

    // Elsewhere the service has nothing of what was left out.
    let elsewhere = ["--scope", "owner/other"];
    let put =
        [&["put-staged", staged.to_str().unwrap(), "--rev", &second][..], &elsewhere].concat();
    let said = machine.cache(&nowhere, 1, &put);
    assert!(said.stderr.contains("stage again without --since"), "{}", said.stderr);
    assert!(!s3.objects().keys().any(|key| key.contains("revisions/owner/other")));
    // What names no revision is refused.
    fs::write(staged.join("since"), "../../x").unwrap();
    machine.cache(&nowhere, 1, &put);
    // Without a service that answers, everything is staged.
    let dead = Proxy::start(s3.address, Faults { unavailable: 1.0, ..Faults::default() }, 1);
    machine.uses(dead.address, 1);
    machine.cache(&tree, 0, &[&stage[..], &PLACE, &["--since"]].concat());
    assert!(!staged.join("since").exists());
    assert!(names(&staged).len() > 4);
}

#[test]
fn what_a_dependency_publishes_is_not_carried_again() {
    let s3 = S3::start();
    let upstream = Machine::new();
    upstream.uses(s3.address, 300);
    let library = Repository::new(&upstream.path(""), "zed", "");
    // The dependency's own CI.
    let outputs = upstream.path("outputs.jsonl");
    let outputs = outputs.to_str().unwrap();
    upstream.build(&library.path, &["-o", outputs]);
    upstream.cache(&library.path, 0, &["put", outputs, "--scope", "up/zed"]);

    let machine = Machine::new();
    machine.configure(&format!(
        "url = \"s3://bucket/prefix\"\nendpoint = \"http://{}\"\n\
         [[cache.dependency]]\npackage = \"zed\"\nservice = \"team\"\nscope = \"up/zed\"",
        s3.address
    ));
    let pin = format!("{{ git = \"{}\" }}", library.url());
    let tree = app(&machine.path("app"), &[("zed", &pin)]);
    let outputs = machine.path("outputs.jsonl");
    let outputs = outputs.to_str().unwrap();
    machine.build(&tree, &["-o", outputs]);
    let all = Mappings::read(outputs.as_ref()).unwrap();
    let staged = machine.path("staged");
    machine.cache(&tree, 0, &["stage", outputs, staged.to_str().unwrap()]);
    let own = Mappings::read(&staged.join("outputs.jsonl")).unwrap();
    assert_eq!((all.len(), own.len()), (4, 2));

    // Whoever gets the package gets its dependency from where that is.
    let nowhere = machine.path("nowhere");
    fs::create_dir(&nowhere).unwrap();
    let put = ["put-staged", staged.to_str().unwrap(), "--rev", "v1", "--scope", "app"];
    machine.cache(&nowhere, 0, &put);
    machine.cache(&tree, 0, &["clean"]);
    fs::remove_dir_all(tree.join(".larder")).unwrap();
    machine.cache(&tree, 0, &["get", "--rev", "v1"]);
    machine.build(&tree, &["--no-build", "--rehash"]);
    // One that has nothing there is built.
    machine.cache(&tree, 0, &["clean"]);
    fs::remove_dir_all(tree.join(".larder")).unwrap();
    let config = fs::read_to_string(machine.path("config.toml")).unwrap();
    write(&machine.path("config.toml"), config.replace("up/zed", "up/nothing"));
    machine.cache(&tree, 0, &["get", "--rev", "v1"]);
    let built = machine.build(&tree, &[]);
    assert_eq!(built.with("built"), ["libzed.a", "obj/libzed/zed.c.o"]);
    assert_eq!(built.with("restored"), ["app", "obj/app/main.c.o"]);
}

#[test]
fn a_get_walks_past_a_bad_revision_and_says_so() {
    let s3 = S3::start();
    let machine = Machine::new();
    machine.uses(s3.address, 300);
    let tree = work_tree(&machine, "work");
    commit(&tree);
    let outputs = machine.path("outputs.jsonl");
    let outputs = outputs.to_str().unwrap();
    machine.build(&tree, &["-o", outputs]);
    machine.cache(&tree, 0, &[&["put", outputs][..], &PLACE].concat());
    git(&tree, &["commit", "-q", "--allow-empty", "-m", "more"]);
    let newest = git(&tree, &["rev-parse", "HEAD"]);
    machine.cache(&tree, 0, &[&["put", outputs][..], &PLACE].concat());
    let objects = s3.objects_ending(".jsonl");
    let bad = objects.iter().find(|path| path.to_str().unwrap().contains(&newest)).unwrap();
    fs::write(bad, "").unwrap();
    machine.cache(&tree, 0, &["clean"]);
    let said = machine.cache(&tree, 0, &[&["get"][..], &PLACE].concat());
    let passed = format!("service team: revision {newest}: it is empty");
    assert!(said.stderr.contains(&passed), "{}", said.stderr);
    assert!(said.stderr.contains("got 7 mappings"), "{}", said.stderr);
    let said = machine.cache(&tree, 1, &[&["get", "--rev", &newest][..], &PLACE].concat());
    assert!(said.stderr.contains("cannot be used"), "{}", said.stderr);

    // A collection that keeps one revision needs to be told so.
    let gc = [&["gc", "--service", "team"][..], &PLACE].concat();
    machine.cache(&tree, 2, &gc);
    let said = machine.cache(&tree, 1, &[&gc[..], &["--keep-revisions", "1"]].concat());
    assert!(said.stderr.contains("cannot be used"), "{}", said.stderr);
    machine.cache(&tree, 0, &[&["put", outputs, "--force-overwrite"][..], &PLACE].concat());
    machine.cache(&tree, 0, &[&gc[..], &["--keep-revisions", "1"]].concat());
    machine.cache(&tree, 0, &["clean"]);
    machine.cache(&tree, 0, &[&["get"][..], &PLACE].concat());
    forget(&tree, true);
    let said = run(machine.command(&tree, &["build", "--no-build", "--rehash"]));
    assert_eq!(said.code, Some(0), "{}", said.stderr);
}
