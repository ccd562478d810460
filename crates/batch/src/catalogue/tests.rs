//! Catalogues of sets on the disk, as people have them.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    process::Command,
};

use larder_project::{dependencies::Resolution, set::PackageSet};
use tempfile::TempDir;

use super::*;

/// A set on the disk, with its data beside it.
struct Place(TempDir);

const SET: &str = "[set]\npackages = [\"packages/*\"]\n[compiler.\"gcc.12\"]\n";

impl Place {
    fn new(set: &str) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.write("larder-set.toml", set);
        place
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A package in `packages`, with a manifest and a source.
    fn package(&self, directory: &str, name: &str, version: &str, rest: &str) {
        let manifest = format!("[package]\nname = \"{name}\"\nversion = \"{version}\"\n{rest}");
        self.write(&format!("packages/{directory}/larder.toml"), &manifest);
        self.write(&format!("packages/{directory}/src/{name}.c"), "int x;\n");
    }

    fn read(&self) -> Result<Catalogue, String> {
        self.resolved(&Resolution::default())
    }

    fn resolved(&self, resolution: &Resolution) -> Result<Catalogue, String> {
        let root = self.0.path();
        let set = fs::read_to_string(root.join("larder-set.toml")).unwrap();
        let path = "larder-set.toml".into();
        let source = larder_project::diagnostic::SourceText { path, text: set.into() };
        let set = PackageSet::parse(source).map_err(|error| error.to_string())?;
        let data = root.join(".larder/data");
        let reading = Reading { resolution, data: &data, threads: 2, remember: true };
        let read = Catalogue::read(&set, root, &reading).map_err(|error| error.to_string());
        read.map_err(|error| error.replace(root.canonicalize().unwrap().to_str().unwrap(), "ROOT"))
    }

    fn digests(&self) -> BTreeMap<String, String> {
        let read = self.read().unwrap();
        read.iter().map(|(_, it)| (it.id.to_string(), it.digest.to_string())).collect()
    }

    /// The package versions whose digest is not the one of `before`.
    fn changed(&self, before: &BTreeMap<String, String>) -> Vec<String> {
        let now = self.digests();
        now.into_iter().filter(|(id, it)| before.get(id) != Some(it)).map(|(id, _)| id).collect()
    }
}

fn ids(catalogue: &Catalogue) -> Vec<&str> {
    catalogue.iter().map(|(_, version)| version.id.as_str()).collect()
}

/// What is wrong with a package version.
fn fault(catalogue: &Catalogue, id: &str) -> String {
    let id = catalogue.find(&id.parse().unwrap()).unwrap();
    catalogue.get(id).fault.as_ref().unwrap().diagnostics.to_string()
}

#[test]
fn versions_stand_side_by_side_newest_first() {
    let place = Place::new(
        "[set]\npackages = [\"packages/*\", \"more/{a,b}/**\", \"alone\"]\n[compiler.\"gcc.12\"]\n[compiler.\"clang.14\"]\n",
    );
    place.package("zlib-old", "zlib", "1.2.13", "");
    place.package("zlib-new", "zlib", "1.10", "[dependencies]\nbz2 = \"^1.0\"\n");
    place.package("app", "app", "0.1", "");
    place.write("more/a/deep/down/larder.toml", "[package]\nname = \"deep\"\nversion = \"1\"");
    place.write("more/c/larder.toml", "[package]\nname = \"other\"\nversion = \"1\"");
    place.write("packages/.hidden/larder.toml", "[package]\nname = \"hidden\"\nversion = \"1\"");
    place.write("packages/no-manifest/README", "");
    place.write("alone/larder.toml", "[package]\nname = \"alone\"\nversion = \"1\"");
    for round in 0..2 {
        let catalogue = place.read().unwrap();
        assert_eq!(
            ids(&catalogue),
            ["alone.1", "app.0.1", "deep.1", "zlib.1.10", "zlib.1.2.13"],
            "{round}"
        );
        let zlib: Vec<VersionId> = catalogue.versions("zlib").collect();
        assert_eq!(zlib, [VersionId(3), VersionId(4)]);
        assert_eq!(catalogue.get(zlib[0]).needs["bz2"].to_string(), "^1.0");
        let compilers = catalogue.compilers().map(|(_, compiler)| compiler.name.as_str());
        assert_eq!(compilers.collect::<Vec<_>>(), ["gcc.12", "clang.14"]);
        assert!(catalogue.get(zlib[0]).sources.directory.ends_with("packages/zlib-new"));
    }
}

#[test]
fn what_is_wrong_with_the_set_as_a_whole_is_said() {
    let place = Place::new("[compiler.\"gcc.12\"]\n");
    assert!(place.read().unwrap_err().contains("has no packages"));
    let place = Place::new(SET);
    place.package("one", "zlib", "1.3", "");
    place.package("two", "zlib", "1.3", "");
    insta::assert_snapshot!(place.read().unwrap_err(), @r"
    zlib.1.3 is there twice: ROOT/packages/one and ROOT/packages/two
      help: give one of them another version, or leave it out of the set
    ");
    let place = Place::new("[set]\npackages = [\"packages/*\", \"gone\"]\n[compiler.\"gcc.12\"]\n");
    place.package("one", "zlib", "1.3", "");
    insta::assert_snapshot!(place.read().unwrap_err(), @r#"
    larder-set.toml:2:27: there is no larder.toml in gone
       |
     2 | packages = ["packages/*", "gone"]
       |                           ^^^^^^
       = help: write one, name another directory, or describe the package in the set: [package."NAME.VERSION"]
    "#);
}

#[test]
fn a_broken_package_is_its_own_failure() {
    let place = Place::new(SET);
    place.package("good", "good", "1", "");
    place.package("key", "key", "1", "[[library]]\nname = \"key\"\nsorces = []\n");
    place.write("packages/toml/larder.toml", "[package]\nname = \"toml\"\nversion = \"2\"\n[");
    place.write("packages/nothing.3/larder.toml", "nothing");
    place.write("packages/unversioned/larder.toml", "[package]\nname = \"unversioned\"\n");
    place.package("dotted", "a.b", "1", "");
    place.package("set", "set", "1", "[dependencies]\ngood = { path = \"../good\" }\n");
    place.package("out", "out", "1", "[dependencies]\nx = { path = \"../../x\" }\n");
    place.package("in", "in", "1", "[dependencies]\nx = { path = \"x\" }\n");
    place.package("pipe", "pipe", "1", "");
    let pipe = Command::new("mkfifo").arg(place.0.path().join("packages/pipe/pipe")).status();
    assert!(pipe.unwrap().success());
    place.write("packages/latin/larder.toml", "");
    fs::write(place.0.path().join("packages/latin/larder.toml"), b"[package]\nname = \"\xe4\"")
        .unwrap();
    for _ in 0..2 {
        let catalogue = place.read().unwrap();
        let faults = catalogue.iter().map(|(_, version)| {
            let fault = version.fault.as_ref().map(|fault| fault.diagnostics.to_string());
            format!("# {}\n{}\n", version.id, fault.as_deref().unwrap_or("nothing is wrong"))
        });
        let root = place.0.path().canonicalize().unwrap();
        let said = faults.collect::<String>().replace(root.to_str().unwrap(), "ROOT");
        insta::assert_snapshot!("faults", said);
    }
}

#[test]
fn digests_change_with_what_the_set_decides_and_with_nothing_else() {
    let place = Place::new(
        "[set]\npackages = [\"packages/*\"]\n[compiler.\"gcc.12\"]\n[package.\"png.1\"]\nsource = { path = \"vendor/png\" }\n\
         build = [\"make\"]\ndependencies = { zlib = \"1\" }\n",
    );
    place.package("zlib", "zlib", "1", "");
    place.package("app", "app", "1", "");
    place.write("vendor/png/configure", "");
    let before = place.digests();
    let none: [&str; 0] = [];
    let file = |path: &str| place.0.path().join(path);
    assert_eq!(place.changed(&before), none);
    // Not what Git and larder keep, nor when a file was written.
    place.write("packages/zlib/.git/HEAD", "x");
    place.write("packages/zlib/.larder/build/x", "x");
    place.write("packages/zlib/src/zlib.c", "int x;\n");
    assert_eq!(place.changed(&before), none);
    let change = |path: &str, change: &dyn Fn(&Path), package: &str| {
        let before = place.digests();
        change(&file(path));
        assert_eq!(place.changed(&before), [package], "{path}");
    };
    change("packages/zlib/src/zlib.c", &|path| fs::write(path, "int y;\n").unwrap(), "zlib.1");
    change("packages/zlib/new", &|path| fs::write(path, "").unwrap(), "zlib.1");
    change(
        "packages/zlib/new",
        &|path| fs::rename(path, path.with_extension("h")).unwrap(),
        "zlib.1",
    );
    change("packages/app/link", &|path| symlink("a", path).unwrap(), "app.1");
    let turn = |path: &Path| {
        fs::remove_file(path).unwrap();
        symlink("b", path).unwrap();
    };
    change("packages/app/link", &turn, "app.1");
    let program =
        |path: &Path| fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    change("vendor/png/configure", &program, "png.1");
    change("packages/app/empty", &|path| fs::create_dir(path).unwrap(), "app.1");
    let set = |from: &'static str, to: &'static str| {
        move |path: &Path| {
            let text = fs::read_to_string(path).unwrap();
            fs::write(path, text.replace(from, to)).unwrap();
        }
    };
    change("larder-set.toml", &set("\"make\"", "\"make all\""), "png.1");
    let before = place.digests();
    set("zlib = \"1\"", "zlib = \"*\"")(&file("larder-set.toml"));
    assert_eq!(place.changed(&before), none, "what will do is not what is built");
}

#[test]
fn the_same_set_elsewhere_has_the_same_digests() {
    let make = |order: &[&str]| {
        let place = Place::new(SET);
        for name in order {
            place.package(name, name, "1", "");
        }
        place
    };
    assert_eq!(make(&["a", "b", "c"]).digests(), make(&["c", "b", "a"]).digests());
}

fn git(directory: &Path, arguments: &[&str]) {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=t", "-c", "user.email=t@example.org"]).args(arguments);
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
    assert!(command.current_dir(directory).output().unwrap().status.success());
}

#[test]
fn sources_come_from_git_with_the_manifest_of_the_set() {
    let upstream = tempfile::tempdir().unwrap();
    fs::write(upstream.path().join("z.c"), "int z;\n").unwrap();
    git(upstream.path(), &["init", "-q"]);
    git(upstream.path(), &["add", "z.c"]);
    git(upstream.path(), &["commit", "-q", "-m", "z"]);
    git(upstream.path(), &["tag", "v1"]);
    let set = |manifest: &str| {
        format!(
            "[compiler.\"gcc.12\"]\n[package.\"zlib.1.3\"]\nsource = {{ git = \"{}\", rev = \"v1\" }}\n{manifest}\n\
             [package.\"gone.1\"]\nsource = {{ git = \"file:///nowhere/at/all\", rev = \"v1\" }}\nbuild = [\"make\"]\n\
             [package.\"away.1\"]\nsource = {{ path = \"away\" }}\nbuild = [\"make\"]\n",
            upstream.path().display()
        )
    };
    let place = Place::new(&set("manifest = \"zlib.toml\""));
    place.write(
        "zlib.toml",
        "[package]\nname = \"zlib\"\nversion = \"1.3\"\n[dependencies]\nbz2 = \"1\"\n",
    );
    let offline = Resolution { offline: true, ..Resolution::default() };
    let early = place.resolved(&offline).unwrap();
    assert!(fault(&early, "zlib.1.3").contains("offline"), "{}", fault(&early, "zlib.1.3"));
    let catalogue = place.read().unwrap();
    assert_eq!(ids(&catalogue), ["away.1", "gone.1", "zlib.1.3"]);
    assert!(fault(&catalogue, "gone.1").contains("nowhere"));
    assert!(fault(&catalogue, "away.1").contains("cannot find the sources at away"));
    let zlib = catalogue.get(VersionId(2));
    assert!(zlib.fault.is_none(), "{:?}", zlib.fault);
    assert!(zlib.sources.directory.join("z.c").is_file());
    assert_eq!(zlib.needs["bz2"].to_string(), "1");
    let overlay = place.0.path().canonicalize().unwrap().join("zlib.toml");
    assert_eq!((&zlib.recipe, &zlib.sources.overlay), (&Recipe::Manifest, &Some(overlay)));
    let pinned = fs::read_to_string(place.0.path().join("larder.lock")).unwrap();
    assert!(pinned.contains("name = \"zlib.1.3\""), "{pinned}");
    // Another revision in the set file is another commit, which is pinned in its place.
    fs::write(upstream.path().join("more.c"), "").unwrap();
    git(upstream.path(), &["add", "more.c"]);
    git(upstream.path(), &["commit", "-q", "-m", "more"]);
    git(upstream.path(), &["tag", "v2"]);
    place.write("larder-set.toml", &set("manifest = \"zlib.toml\"").replacen("v1", "v2", 1));
    let locked = Resolution { locked: true, ..Resolution::default() };
    let stays = place.resolved(&locked).unwrap();
    assert!(
        fault(&stays, "zlib.1.3").contains("without --locked"),
        "{}",
        fault(&stays, "zlib.1.3")
    );
    let newer = place.read().unwrap();
    let wrong = &newer.get(VersionId(2)).fault;
    assert!(wrong.is_none(), "{wrong:?}");
    assert!(newer.get(VersionId(2)).sources.directory.join("more.c").is_file());
    assert_ne!(newer.get(VersionId(2)).digest, zlib.digest);
    let moved = fs::read_to_string(place.0.path().join("larder.lock")).unwrap();
    assert_eq!(moved.matches("rev = ").count(), 1, "{moved}");
    assert!(moved.contains("rev = \"v2\""), "{moved}");
    place.write("larder-set.toml", &set("manifest = \"zlib.toml\""));
    assert_eq!(place.read().unwrap().get(VersionId(2)).digest, zlib.digest);
    // What is pinned and here is had without the repository.
    upstream.close().unwrap();
    let again = place.resolved(&offline).unwrap();
    assert_eq!(again.get(VersionId(2)).digest, zlib.digest);
    // Whoever changes a checkout by hand has other sources.
    let file = zlib.sources.directory.join("z.c");
    fs::write(&file, "int changed;\n").unwrap();
    assert_ne!(place.resolved(&offline).unwrap().get(VersionId(2)).digest, zlib.digest);
    fs::write(&file, "int z;\n").unwrap();
    assert_eq!(place.resolved(&offline).unwrap().get(VersionId(2)).digest, zlib.digest);
    // The manifest of the set is part of it.
    place.write("zlib.toml", "[package]\nname = \"zlib\"\nversion = \"1.3\"\n");
    assert_ne!(place.resolved(&offline).unwrap().get(VersionId(2)).digest, zlib.digest);
    place.write("zlib.toml", "[package]\nname = \"zlib\"\nversion = \"1.4\"\n");
    let other = place.resolved(&offline).unwrap();
    assert!(fault(&other, "zlib.1.3").contains("its manifest zlib.1.4"));
    let another =
        "x = { url = \"https://example.org/x.tar\", sha256 = \"SHA\", manifest = \"x.toml\" }";
    let another = another.replace("SHA", &"0".repeat(64));
    let text =
        format!("[package]\nname = \"zlib\"\nversion = \"1.3\"\n[dependencies]\n{another}\n");
    place.write("zlib.toml", &text);
    let other = place.resolved(&offline).unwrap();
    assert!(fault(&other, "zlib.1.3").contains("names another, `x.toml`"));
}

#[test]
fn sources_come_from_archives_and_must_have_their_hash() {
    let upstream = tempfile::tempdir().unwrap();
    fs::create_dir(upstream.path().join("z-1")).unwrap();
    fs::write(upstream.path().join("z-1/z.c"), "int z;\n").unwrap();
    let run = |program: &str, arguments: &[&str]| {
        let ran = Command::new(program).args(arguments).current_dir(upstream.path()).output();
        String::from_utf8(ran.unwrap().stdout).unwrap()
    };
    run("tar", &["-cf", "z.tar", "z-1"]);
    let sum = run("sha256sum", &["z.tar"]);
    let set = |hash: &str| {
        format!(
            "[compiler.\"gcc.12\"]\n[package.\"z.1\"]\nsource = {{ path = \"z.tar\", sha256 = \"{hash}\" }}\n\
             build = [\"make\"]\n"
        )
    };
    let place = Place::new(&set(&sum[..64]));
    fs::copy(upstream.path().join("z.tar"), place.0.path().join("z.tar")).unwrap();
    let offline = Resolution { offline: true, ..Resolution::default() };
    let catalogue = place.resolved(&offline).unwrap();
    let z = catalogue.get(VersionId(0));
    assert!(z.fault.is_none(), "{:?}", z.fault);
    assert_eq!(fs::read_to_string(z.sources.directory.join("z.c")).unwrap(), "int z;\n");
    place.write("larder-set.toml", &set(&"0".repeat(64)));
    let other = place.resolved(&offline).unwrap();
    assert!(fault(&other, "z.1").contains("z.tar"), "{}", fault(&other, "z.1"));
}
