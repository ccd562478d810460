use std::{sync::Arc, thread};

use larder_engine::{
    environment::Environment,
    process::Processes,
    session::{Session, Settings},
};
use larder_runs::result::RunKind;
use larder_testkit::{
    files::write,
    git::{Repository as Git, git},
};
use tempfile::TempDir;

use super::*;
use crate::run::{Memory, Prepared, prepare};

const SET: &str = "[compiler.\"cc.1\"]\ncc = \"cc\"\ncxx = \"c++\"\n[package.\"a.1.0\"]\n\
                   source = { path = \"a\" }\nbuild = [\"make\"]\n";

/// A set in `below` of a repository, committed; and its directory.
fn committed(below: &str) -> (TempDir, PathBuf, DataDir) {
    let temporary = tempfile::tempdir().unwrap();
    let root = temporary.path().canonicalize().unwrap().join("repository");
    let directory: PathBuf = root.join(below).components().collect();
    write(&directory.join("larder-set.toml"), SET);
    write(&directory.join("a/Makefile"), "all:\n");
    git(&root, &["init", "--quiet", "--initial-branch=main"]);
    commit(&root);
    let data = DataDir::new(directory.join(".larder/data"));
    (temporary, directory, data)
}

fn commit(root: &Path) -> String {
    Git { path: root.to_owned(), name: String::new() }.commit_all()
}

fn here(directory: &Path) -> Repository {
    Repository::required(directory).unwrap()
}

fn request(directory: &Path, data: &DataDir) -> Request {
    Request {
        set: PackageSet::read(&directory.join("larder-set.toml")).unwrap(),
        directory: directory.to_owned(),
        data: data.clone(),
        notes: data.root().to_owned(),
        kind: RunKind::Full,
        packages: Vec::new(),
        again: false,
        resolution: Resolution { offline: true, ..Resolution::default() },
        jobs: 2,
        memory: u64::MAX,
        sandbox: true,
        command_line: Vec::new(),
        larder_version: None,
        set_revision: None,
    }
}

fn prepared(request: &Request) -> Prepared {
    let path = std::env::var_os("PATH").unwrap();
    let environment: Environment = [("PATH", path)].into_iter().collect();
    let settings = Settings { environment: Arc::new(environment), ..Settings::default() };
    let session = Session::new(settings, Arc::<Processes>::default());
    prepare(&session, request, Memory::Kept).unwrap()
}

fn hashes(prepared: &Prepared) -> Vec<String> {
    prepared.builds.iter().map(|(_, build)| build.hash.to_string()).collect()
}

#[test]
fn a_revision_has_the_hashes_of_the_same_content_elsewhere() {
    for below in ["", "deep/in/it"] {
        let (_temporary, directory, data) = committed(below);
        let request = request(&directory, &data);
        let revision = here(&directory).check_out(&data, "HEAD").unwrap();
        assert!(revision.directory.starts_with(data.revisions()), "{revision:?}");
        let now = prepared(&request);
        let then = prepared(&revision.request(&request));
        assert_eq!(hashes(&now), hashes(&then));
        assert_eq!(hashes(&now).len(), 1);

        write(&directory.join("a/Makefile"), "all:\n\ttrue\n");
        let changed = prepared(&request);
        assert_ne!(hashes(&changed), hashes(&then));
        // The same process read both, by turns.
        assert_eq!(hashes(&prepared(&revision.request(&request))), hashes(&then));
        let again = here(&directory).check_out(&data, "main").unwrap();
        assert_eq!((again.commit, again.directory), (revision.commit, revision.directory));
    }
}

#[test]
fn a_revision_is_what_it_was() {
    let (_temporary, directory, data) = committed("sets");
    let other = SET.replace("a.1.0", "a.1.1");
    write(&directory.join("larder-set.toml"), &other);
    let root = directory.parent().unwrap();
    commit(root);
    git(root, &["tag", "v2"]);
    let names = |revision: &str| -> Vec<String> {
        let revision = here(&directory).check_out(&data, revision).unwrap();
        revision.set.entries.keys().cloned().collect()
    };
    assert_eq!(names("HEAD~1"), ["a.1.0"]);
    assert_eq!(names("v2"), ["a.1.1"]);
    assert_eq!(names(&git(root, &["rev-parse", "--short", "HEAD~1"])), ["a.1.0"]);
}

#[test]
fn two_at_once_get_one_checkout() {
    let (_temporary, directory, data) = committed("");
    let out = || here(&directory).check_out(&data, "HEAD").unwrap().directory;
    let (one, other) = thread::scope(|scope| {
        let one = scope.spawn(out);
        let other = scope.spawn(out);
        (one.join().unwrap(), other.join().unwrap())
    });
    assert_eq!(one, other);
    assert!(one.join("a/Makefile").is_file());
}

#[test]
fn what_is_no_revision_of_a_set_is_said() {
    let wrong = |directory: &Path, data: &DataDir, revision: &str| {
        let said = match Repository::required(directory) {
            Ok(repository) => repository.check_out(data, revision).map(drop),
            Err(said) => Err(said),
        };
        let said = said.unwrap_err();
        assert!(!said.failed(), "{said}: exit code 2");
        said.to_string().replace(&*directory.to_string_lossy(), "DIR")
    };
    let (_temporary, directory, data) = committed("");
    let said = wrong(&directory, &data, "nowhere");
    assert!(said.contains("there is no revision `nowhere` in DIR"), "{said}");
    for odd in ["", "--all", "a b", "HEAD~99", "^", "HEAD:a", "@{u}"] {
        assert!(wrong(&directory, &data, odd).contains("there is no revision"), "{odd}");
    }

    git(&directory, &["rm", "--quiet", "--cached", "larder-set.toml"]);
    git(&directory, &["commit", "--quiet", "--message=without"]);
    let said = wrong(&directory, &data, "HEAD");
    assert!(said.contains("has no larder-set.toml"), "{said}");

    write(&directory.join("larder-set.toml"), SET.replace("build =", "bild ="));
    commit(&directory);
    let said = wrong(&directory, &data, "HEAD");
    assert!(said.contains("at the revision `HEAD`: ") && said.contains("bild"), "{said}");

    let outside = tempfile::tempdir().unwrap();
    let said = wrong(outside.path(), &data, "HEAD");
    assert!(said.contains("is in no Git repository") && said.contains("git init"), "{said}");
}

#[test]
fn the_record_says_whether_the_set_differs_from_its_commit() {
    let (_temporary, directory, data) = committed("set");
    let root = directory.parent().unwrap();
    let head = git(root, &["rev-parse", "HEAD"]);
    let current = || here(&directory).current(&data);
    assert_eq!(current(), Some(head.clone()));
    // What larder keeps, and what is beside the set, is none of it.
    write(&data.root().join("status.json"), "{}");
    write(&directory.join("a/.larder/build/x"), "");
    write(&root.join("other"), "");
    assert_eq!(current(), Some(head.clone()));
    let elsewhere = DataDir::new(directory.join("data"));
    write(&elsewhere.root().join("status.json"), "{}");
    assert_eq!(here(&directory).current(&elsewhere), Some(head.clone()));
    fs::remove_dir_all(elsewhere.root()).unwrap();
    write(&directory.join("a/new"), "");
    assert_eq!(current(), Some(format!("{head}+changes")));
    fs::remove_file(directory.join("a/new")).unwrap();
    write(&directory.join("a/Makefile"), "other:\n");
    assert_eq!(current(), Some(format!("{head}+changes")));

    // A set that nobody has committed is at no commit.
    let (_temporary, directory, data) = committed("");
    write(&directory.join("ignored/larder-set.toml"), SET);
    write(&directory.join(".gitignore"), "ignored\n");
    assert_eq!(here(&directory.join("ignored")).current(&data), None);
}
