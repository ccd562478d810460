//! Dependencies that are archives.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use larder_testkit::{
    files::write_all,
    git::app,
    run::{Run, larder_in, run},
    services::{Answer, Canned, Manners, Web},
};
use tempfile::TempDir;

use super::{built, lock};

const MANIFEST: &str = "[package]\nname = \"pig\"\n[[library]]\nname = \"pig\"\nsources = [\"*.c\"]\nincludes = [\".\"]\n";

/// Packs a tree whose function returns `value` with `tar` and these options, below `pig-VALUE`.
fn pack(directory: &Path, value: u32, options: &str) -> PathBuf {
    let top = format!("pig-{value}");
    let source = format!("int pig(void) {{ return {value}; }}\n");
    let tree = directory.join(&top);
    write_all(&tree, &[("pig.c", &source), ("pig.h", "int pig(void);\n")]);
    let archive = directory.join(format!("{top}.tar"));
    let mut tar = Command::new("tar");
    tar.current_dir(directory).args([options, archive.to_str().unwrap(), &top]);
    assert!(tar.status().unwrap().success());
    archive
}

fn sha256(file: &Path) -> String {
    let output = Command::new("sha256sum").arg(file).output().unwrap().stdout;
    String::from_utf8(output).unwrap()[..64].to_owned()
}

/// A server with an archive whose function returns 7, and a package that needs it.
struct Scene {
    temp: TempDir,
    server: Web,
    hash: String,
    app: PathBuf,
}

impl Scene {
    fn new() -> Self {
        let temp = TempDir::new().unwrap();
        let server = Web::start(Manners::Good);
        let archive = pack(temp.path(), 7, "-czf");
        let bytes = fs::read(&archive).unwrap();
        server.objects.lock().unwrap().insert("pig.tar.gz".to_owned(), bytes);
        let (hash, app) = (sha256(&archive), temp.path().join("app"));
        let scene = Self { temp, server, hash, app };
        scene.needs(&scene.table(""));
        scene
    }

    fn url(&self) -> String {
        format!("http://{}/pig.tar.gz", self.server.address)
    }

    fn table(&self, more: &str) -> String {
        let (url, hash) = (self.url(), &self.hash);
        format!("{{ url = \"{url}\", sha256 = \"{hash}\", manifest = \"deps/pig.toml\"{more} }}")
    }

    fn needs(&self, table: &str) {
        app(&self.app, &[("pig", table)]);
        write_all(&self.app, &[("deps/pig.toml", MANIFEST)]);
    }

    fn larder(&self, arguments: &[&str]) -> Run {
        run(larder_in(&self.app).args(arguments))
    }

    fn unplug(&self) {
        self.server.objects.lock().unwrap().clear();
    }

    fn forget(&self) {
        for gone in [".larder", ".cache"] {
            fs::remove_dir_all(self.app.join(gone)).unwrap();
        }
    }
}

#[test]
fn an_archive_is_fetched_once_and_pinned() {
    let scene = Scene::new();
    scene.larder(&["build", "--locked"]).ends_with(2).says("does not pin `pig`");
    scene.larder(&["build", "--offline"]).ends_with(1).says("nothing is fetched offline");
    assert_eq!(built(&scene.app), "7");
    let pinned = lock(&scene.app);
    assert!(pinned.contains(&format!("url = \"{}\"\nsha256 = \"{}\"", scene.url(), scene.hash)));
    scene.unplug();
    scene.larder(&["build", "--locked", "--offline", "--no-build"]).ok();

    // What was fetched is unpacked again without being fetched again.
    fs::remove_dir_all(scene.app.join(".larder/packages/pig")).unwrap();
    assert_eq!(built(&scene.app), "7");
    fs::remove_dir_all(scene.app.join(".larder/packages")).unwrap();
    scene
        .larder(&["build"])
        .ends_with(1)
        .says("larder.toml:4:1: cannot get the dependency `pig`")
        .says("the server answered 404 Not Found");

    // Another archive is asked for by its hash, and nothing else is taken for it.
    let other = "0".repeat(64);
    let url = scene.url();
    scene.needs(&format!("{{ url = \"{url}\", sha256 = \"{other}\" }}"));
    scene.larder(&["build"]).ends_with(2).says("`larder update pig` pins it anew");
    assert_eq!(lock(&scene.app), pinned);
    let archive = fs::read(scene.temp.path().join("pig-7.tar")).unwrap();
    scene.server.objects.lock().unwrap().insert("pig.tar.gz".to_owned(), archive);
    scene
        .larder(&["update"])
        .ends_with(1)
        .says(&format!("its sha256 is {}, and not {other}", scene.hash));
    assert!(!scene.app.join(".larder/packages/pig").exists());
    let left = fs::read_dir(scene.app.join(".larder/packages/.archives")).unwrap().count();
    assert_eq!(left, 0, "nothing half-made stays");
    let blake3 = blake3::hash(&fs::read(scene.temp.path().join("pig-7.tar")).unwrap()).to_hex();
    scene.needs(
        &scene
            .table("")
            .replace(&format!("sha256 = \"{}", scene.hash), &format!("blake3 = \"{blake3}")),
    );
    scene.larder(&["update"]).ok();
    assert!(lock(&scene.app).contains(&format!("blake3 = \"{blake3}\"")));
    assert_eq!(built(&scene.app), "7");
}

#[test]
fn an_archive_may_be_part_of_the_package() {
    let scene = Scene::new();
    for (value, options) in [(1, "-cJf"), (2, "-cjf"), (3, "-cf"), (4, "-czf")] {
        let archive = pack(scene.temp.path(), value, options);
        fs::create_dir_all(scene.app.join("vendor")).unwrap();
        let here = scene.app.join("vendor/pig.tar");
        fs::copy(&archive, &here).unwrap();
        let hash = sha256(&here);
        scene.needs(&format!(
            "{{ path = \"vendor/pig.tar\", sha256 = \"{hash}\", manifest = \"deps/pig.toml\" }}"
        ));
        scene.larder(&["build", "--offline", "--locked"]).ok();
        assert_eq!(built(&scene.app), value.to_string(), "{options}");
        assert!(!scene.app.join("larder.lock").exists(), "it is checked in, and so is its hash");
    }
    fs::remove_dir_all(scene.app.join(".larder/packages")).unwrap();
    write_all(&scene.app, &[("vendor/pig.tar", "something else")]);
    scene.larder(&["build"]).ends_with(1).says("vendor/pig.tar: its sha256 is");
    fs::remove_file(scene.app.join("vendor/pig.tar")).unwrap();
    scene.larder(&["build"]).ends_with(2).says("cannot find the dependency `pig`");
}

#[test]
fn an_archive_is_not_said_to_fetch_submodules() {
    let scene = Scene::new();
    write_all(&scene.temp.path().join("pig-5"), &[(".gitmodules", "[submodule \"x\"]\n")]);
    let archive = pack(scene.temp.path(), 5, "-czf");
    let (path, hash) = (archive.display(), sha256(&archive));
    scene.needs(&format!(
        "{{ path = \"{path}\", sha256 = \"{hash}\", manifest = \"deps/pig.toml\" }}"
    ));
    let (code, _, said) = scene.larder(&["build"]).parts();
    assert_eq!(code, 0, "{said}");
    assert!(!said.contains("submodules"), "{said}");
    assert!(scene.app.join(".larder/packages/pig/.gitmodules").exists());
}

#[test]
fn work_done_in_what_was_unpacked_is_not_thrown_away() {
    let scene = Scene::new();
    assert_eq!(built(&scene.app), "7");
    let file = scene.app.join(".larder/packages/pig/pig.c");
    fs::write(&file, "int pig(void) { return 8; }\n").unwrap();
    assert_eq!(built(&scene.app), "8");
    scene.needs(&scene.table(", strip = 1"));
    scene
        .larder(&["build"])
        .ends_with(1)
        .says("was changed by hand: pig.c is not as it was unpacked");
    fs::write(&file, "int pig(void) { return 7; }\n").unwrap();
    assert_eq!(built(&scene.app), "7");
    scene.needs(&scene.table(", strip = 0"));
    scene.larder(&["build"]).ends_with(2).says("deps/pig.toml:5:12: ");
    scene.needs(&scene.table(", strip = 2"));
    scene.larder(&["build"]).ends_with(1).says("`strip = 2` does not fit");
}

#[test]
fn archives_are_baked() {
    let scene = Scene::new();
    assert_eq!(built(&scene.app), "7");
    let store = scene.temp.path().join("store");
    let path = store.to_str().unwrap();
    scene.larder(&["cache", "bake", path, "--dependencies"]).ok().mentions(&["1 checkout"]);
    scene.larder(&["cache", "verify", path]).ok().mentions(&["1 checkout"]);
    scene.unplug();
    scene.forget();
    let mut command = larder_in(&scene.app);
    command.args(["--offline", "--locked", "exec", "app"]).env("LARDER_OFFLINE_STORE", &store);
    assert_eq!(run(&mut command).ok().stdout.trim(), "7");
    // As good as what was fetched: it can be baked again.
    scene.larder(&["cache", "bake", path, "--dependencies"]).ok();

    for entry in fs::read_dir(store.join("packs")).unwrap() {
        fs::write(entry.unwrap().path(), "damaged").unwrap();
    }
    scene.forget();
    run(&mut command).ends_with(1).says("the offline store").says("cannot be used");
    scene.larder(&["cache", "verify", path]).ends_with(1);
}

#[test]
fn a_shared_directory_has_them_side_by_side() {
    let scene = Scene::new();
    let shared = scene.temp.path().join("shared");
    let exec = || run(larder_in(&scene.app).args(["exec", "app"]).env("LARDER_PKG_DIR", &shared));
    assert_eq!(exec().ok().stdout.trim(), "7");
    scene.unplug();
    scene.needs(&scene.table(", strip = 1"));
    assert_eq!(exec().ok().stdout.trim(), "7");
    let name = format!("sha256-{}", scene.hash);
    assert!(shared.join("pig").join(&name).join("pig.c").exists());
    assert!(shared.join("pig").join(name + "+strip1").join("pig.c").exists());
    let before = super::tree(&shared);
    assert_eq!(exec().ok().stdout.trim(), "7");
    assert_eq!(super::tree(&shared), before);
}

#[test]
fn keys_are_made_from_the_hash() {
    let scene = Scene::new();
    assert_eq!(built(&scene.app), "7");
    let key = || scene.larder(&["ci", "key", "--no-toolchain"]).ok().stdout;
    let first = key();
    fs::remove_dir_all(scene.app.join(".larder")).unwrap();
    assert_eq!(key(), first, "none of its files is needed");
    scene.needs(&scene.table(", strip = 1"));
    assert_ne!(key(), first);
}

#[test]
fn servers_that_do_not_behave() {
    let scene = Scene::new();
    let bytes = fs::read(scene.temp.path().join("pig-7.tar")).unwrap();
    let asked = |table: &str| {
        scene.needs(table);
        let _ = fs::remove_file(scene.app.join("larder.lock"));
        let _ = fs::remove_dir_all(scene.app.join(".larder"));
        scene.larder(&["build"])
    };
    let at = |url: &str| scene.table("").replace(&scene.url(), url);
    // Redirects are followed, and what stands in them is not repeated.
    let target = scene.url();
    let redirect = Canned::start(move |head, _| {
        let to = if head.contains("/here") { "/gone?token=hunter2" } else { "/lost?token=hunter2" };
        let to = if head.contains("/right") { target.clone() } else { to.to_owned() };
        match head.contains("token") {
            true => Answer::new("403 Forbidden", "", b""),
            false => Answer::new("302 Found", &format!("location: {to}\r\n"), b""),
        }
    });
    asked(&at(&format!("http://{}/right", redirect.address))).ok();
    let said = asked(&at(&format!("http://{}/here?key=hunter3", redirect.address)))
        .ends_with(1)
        .says("the server answered 403 Forbidden");
    assert!(!said.stderr.contains("hunter"), "{}", said.stderr);
    // One that fails for a moment is asked again.
    let count = std::sync::atomic::AtomicU32::new(0);
    let moody =
        Canned::start(move |_, _| match count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
            0 => Answer::new("503 Service Unavailable", "", b""),
            _ => Answer::new("200 OK", "", &bytes),
        });
    asked(&at(&format!("http://{}/x", moody.address))).ok();
    let refused = Canned::start(move |_, _| {
        Answer::Bytes(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", 1u64 << 40).into())
    });
    asked(&at(&format!("http://{}/x", refused.address))).ends_with(1).says("it is longer than");
    assert!(!scene.app.join(".larder/packages/pig").exists());
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    asked(&at(&format!("http://{gone}/x"))).ends_with(1).says("Connection refused");
}

#[test]
fn what_is_no_archive_is_refused_where_it_stands() {
    let scene = Scene::new();
    let (url, hash) = (scene.url(), scene.hash.clone());
    for (table, words) in [
        (format!("{{ url = \"{url}\" }}"), "has no hash"),
        (format!("{{ url = \"{url}\", sha256 = \"abc\" }}"), "`abc` is no hash by sha256"),
        (format!("{{ url = \"{url}\", sha256 = \"{hash}\", blake3 = \"{hash}\" }}"), "two hashes"),
        (format!("{{ url = \"{url}\", sha256 = \"{hash}\", rev = \"v1\" }}"), "unknown key `rev`"),
        (format!("{{ url = \"{url}\", sha256 = \"{hash}\", strip = -1 }}"), "from 0 to 16"),
        (format!("{{ url = \"{url}\", sha256 = \"{hash}\", strip = 99 }}"), "from 0 to 16"),
        (format!("{{ url = \"{url}\", git = \"{url}\" }}"), "exactly one of"),
        ("{ path = \"x\", strip = 1 }".to_owned(), "unknown key `strip`"),
        (format!("{{ url = \"ftp://a.org/x\", sha256 = \"{hash}\" }}"), "is no URL of an archive"),
        (format!("{{ url = \"https://u:hunter2@a.org\", sha256 = \"{hash}\" }}"), "a user or a"),
    ] {
        scene.needs(&table);
        let said = scene.larder(&["build"]).ends_with(2).says("larder.toml:4").says(words);
        assert!(!said.stderr.contains("hunter2"), "{}", said.stderr);
    }
    let page = "<html>not found</html>";
    scene.server.objects.lock().unwrap().insert("pig.tar.gz".to_owned(), page.into());
    write_all(&scene.app, &[("page", page)]);
    let table = scene.table("").replace(&hash, &sha256(&scene.app.join("page")));
    scene.needs(&table);
    scene.larder(&["build"]).ends_with(1).says("it is no archive that larder unpacks");
}
