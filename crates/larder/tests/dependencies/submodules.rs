//! Git dependencies with submodules.

use std::{fs, path::Path};

use larder_testkit::{
    files::write_all,
    git::{Repository, app, git},
    run::{Run, larder_in, run},
};
use tempfile::TempDir;

use super::{built, lock};

/// A repository `foo` with the submodule `deps/mid`, by a relative URL, which has the submodule `low`, by a
/// whole one. Its function returns what that of `low` does.
struct Scene {
    temp: TempDir,
    low: Repository,
    mid: Repository,
    foo: Repository,
    app: std::path::PathBuf,
}

fn add(to: &Repository, url: &str, path: &str) {
    git(&to.path, &["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", url, path]);
    to.commit_all();
}

impl Scene {
    fn new() -> Self {
        let temp = TempDir::new().unwrap();
        let low = Repository::new(temp.path(), "low", "");
        let mid = Repository::new(temp.path(), "mid", "");
        add(&mid, &low.url(), "low");
        let upper = Repository::new(temp.path(), "foo", "");
        let manifest = fs::read_to_string(upper.path.join("larder.toml")).unwrap();
        let manifest = manifest.replace("[\"foo.c\"]", "[\"foo.c\", \"deps/mid/low/*.c\"]");
        let source = "int low(void);\nint foo(void) { return low(); }\n";
        write_all(&upper.path, &[("larder.toml", &manifest), ("foo.c", source)]);
        add(&upper, "../mid", "deps/mid");
        let app = temp.path().join("app");
        let scene = Self { temp, low, mid, foo: upper, app };
        scene.needs(", submodules = true");
        scene
    }

    fn needs(&self, more: &str) {
        let table = format!("{{ git = \"{}\"{more} }}", self.foo.url());
        app(&self.app, &[("foo", &table)]);
    }

    fn larder(&self, arguments: &[&str]) -> Run {
        run(larder_in(&self.app).args(arguments))
    }

    fn checkout(&self) -> std::path::PathBuf {
        self.app.join(".larder/packages/foo")
    }
}

/// Makes the submodule at `path` of `above` record the newest commit of `below`.
fn advance(above: &Repository, path: &str, below: &Repository) {
    let place = above.path.join(path);
    git(&place, &["-c", "protocol.file.allow=always", "fetch", "--quiet", &below.url()]);
    git(&place, &["checkout", "--quiet", &below.head()]);
    above.commit_all();
}

#[test]
fn submodules_are_those_that_the_commit_records() {
    let scene = Scene::new();
    scene.needs("");
    scene
        .larder(&["build"])
        .ends_with(2)
        .says("`deps/mid/low/*.c` matches no file")
        .says("deps/mid is a Git submodule that is not there: submodules = true");
    scene.needs(", submodules = true");
    assert_eq!(built(&scene.app), "1");
    let pinned = lock(&scene.app);
    // Whatever becomes of the submodules' branches, the commit is what it is.
    scene.low.commit(2);
    fs::remove_dir_all(scene.app.join(".larder")).unwrap();
    assert_eq!((built(&scene.app), lock(&scene.app)), ("1".to_owned(), pinned));
    scene.larder(&["build", "--locked", "--offline", "--no-build"]).ok();
    advance(&scene.mid, "low", &scene.low);
    advance(&scene.foo, "deps/mid", &scene.mid);
    scene.larder(&["update"]).ok();
    assert_eq!(built(&scene.app), "2");

    // Without them it is another tree.
    scene.needs("");
    scene.larder(&["build"]).ends_with(2);
    assert!(!scene.checkout().join("deps/mid/low").exists());
    scene.needs(", submodules = true");
    assert_eq!(built(&scene.app), "2");
    let file = scene.checkout().join("deps/mid/low/low.c");
    fs::write(file, "int low(void) { return 9; }\n").unwrap();
    assert_eq!(built(&scene.app), "9");
    scene.needs("");
    scene
        .larder(&["build"])
        .ends_with(1)
        .says("was changed by hand: deps/mid/low/low.c is not as it was checked out");
    scene.needs(", submodules = 1");
    scene.larder(&["build"]).ends_with(2).says("expected true or false");
}

#[test]
fn submodules_are_baked() {
    let scene = Scene::new();
    assert_eq!(built(&scene.app), "1");
    let store = scene.temp.path().join("store");
    let path = store.to_str().unwrap();
    scene.larder(&["cache", "bake", path, "--dependencies"]).ok().mentions(&["3 checkouts"]);
    scene.larder(&["cache", "verify", path]).ok().mentions(&["3 checkouts"]);
    for repository in [&scene.low, &scene.mid, &scene.foo] {
        fs::remove_dir_all(&repository.path).unwrap();
    }
    let clone = || {
        for gone in [".larder", ".cache"] {
            fs::remove_dir_all(scene.app.join(gone)).unwrap();
        }
        let mut command = larder_in(&scene.app);
        command.args(["--offline", "--locked", "exec", "app"]);
        run(command.env("LARDER_OFFLINE_STORE", &store))
    };
    assert_eq!(clone().ok().stdout.trim(), "1");
    let place = scene.checkout().join("deps/mid/low");
    fs::write(place.join("low.c"), "int low(void) { return 9; }\n").unwrap();
    scene.larder(&["cache", "bake", path, "--dependencies"]).ends_with(1).mentions(&["low.c"]);
}

#[test]
fn submodules_that_cannot_be_had_are_named() {
    let refused = |change: &dyn Fn(&Path), words: &str| {
        let scene = Scene::new();
        change(&scene.foo.path);
        scene.foo.commit_all();
        scene.larder(&["build"]).ends_with(1).says("the submodule deps/mid of").says(words);
        assert!(!scene.checkout().exists());
        let left = fs::read_dir(scene.app.join(".larder/packages")).unwrap().count();
        assert_eq!(left, 0, "nothing half-made stays");
    };
    let url = |url: &'static str| {
        move |foo: &Path| {
            let file = foo.join(".gitmodules");
            let text = fs::read_to_string(&file).unwrap();
            fs::write(&file, text.replace("../mid", url)).unwrap();
        }
    };
    refused(&url("ext::sh -c touch% /tmp/x"), "something for Git to run");
    refused(&url("--upload-pack=x"), "something for Git to run");
    refused(&url("https://u:hunter2@a.org/b"), "holds a password");
    let gone = |foo: &Path| fs::remove_file(foo.join(".gitmodules")).unwrap();
    refused(&gone, "there is no .gitmodules");
    let other = |foo: &Path| {
        write_all(foo, &[(".gitmodules", "[submodule \"x\"]\npath = y\nurl = ../mid\n")]);
    };
    refused(&other, ".gitmodules does not name its repository");
}
