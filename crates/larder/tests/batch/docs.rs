//! Documentation that is made with that of needs, and that of larder packages.

use std::fs;

use larder_runs::result::{Entry, Stage};

use super::support::{Package, Set, of_kind};

/// The last result of a stage of a package, with whatever compiler.
fn last(set: &Set, package: &str, stage: Stage) -> Entry {
    let mut found = set.latest(package);
    found.retain(|entry| entry.result.stage == stage);
    found.pop().unwrap_or_else(|| panic!("{package} has no result"))
}

/// How the documentation of a package came about, as `category origin`.
fn documented(set: &Set, package: &str) -> String {
    let result = last(set, package, Stage::Doc).result;
    format!("{} {}", result.category, result.origin.name())
}

fn page(set: &Set, path: &str) -> String {
    fs::read_to_string(set.data.html().join(path)).unwrap()
}

fn zlib() -> Package {
    Package::new("zlib.1.3").docs("cat README > {docs}/index.html")
}

/// Reads the documentation of zlib by way of png, which has none.
fn app() -> Package {
    Package::new("app.1.0")
        .needs("png", "1")
        .docs("cat {docs:zlib}/index.html > {docs}/index.html")
        .docs("ls -A {docs:png} > {docs}/png")
        .docs("realpath --relative-to={docs} {docs:zlib} > {docs}/link")
}

fn png() -> Package {
    Package::new("png.1.6").needs("zlib", "1")
}

#[test]
fn pages_are_made_again_when_those_that_they_read_change() {
    let set = Set::new(&[zlib(), png(), app()]);
    set.larder(&["batch"]).ok();
    assert_eq!(page(&set, "p/app/1.0/index.html"), "zlib.1.3");
    assert_eq!(page(&set, "p/app/1.0/link"), "../../zlib/1.3\n");
    assert_eq!(page(&set, "p/app/1.0/png"), "");
    set.larder(&["batch"]).ok();
    assert_eq!(documented(&set, "app.1.0"), "success cached");

    // What zlib installs is the same, and so are its pages.
    set.file("sources/zlib.1.3/more", "more");
    set.larder(&["batch"]).ok();
    assert_eq!(documented(&set, "zlib.1.3"), "success built");
    assert_eq!(documented(&set, "app.1.0"), "success cached");
    // Now its pages are others.
    set.file("sources/zlib.1.3/README", "new");
    set.larder(&["batch"]).ok();
    assert_eq!(documented(&set, "app.1.0"), "success built");
    assert_eq!(page(&set, "p/app/1.0/index.html"), "new");
    // Whoever writes other pages there decides what is read.
    fs::write(set.data.html().join("p/zlib/1.3/index.html"), "by hand").unwrap();
    set.larder(&["batch", "app"]).ok();
    assert_eq!(page(&set, "p/app/1.0/index.html"), "by hand");
}

#[test]
fn pages_that_could_not_be_made_anew_are_read_as_they_are() {
    let set = Set::new(&[zlib(), png(), app()]);
    set.larder(&["batch", "zlib"]).ok();
    let broken = zlib().docs("echo half > {docs}/index.html").docs("false");
    set.write(&[broken.clone(), png(), app()]);
    set.larder(&["batch"]).ends_with(1).says("1 documentation build failed");
    assert_eq!(documented(&set, "zlib.1.3"), "doc_compile_failure built");
    assert_eq!(page(&set, "p/app/1.0/index.html"), "zlib.1.3");
    set.larder(&["batch"]).ends_with(1);
    assert_eq!(documented(&set, "app.1.0"), "success cached");
    // Without any, there is nothing to read.
    fs::remove_dir_all(set.data.html().join("p/zlib")).unwrap();
    set.larder(&["batch"]).ends_with(1).says("2 documentation builds failed");
}

#[test]
fn each_build_reads_that_of_the_build_that_it_needs() {
    let docs = "basename $(echo $CC | cut -d' ' -f1) > {docs}/index.html";
    let set = Set::new(&[
        Package::new("zlib.1.3").docs(docs),
        png().docs("cat {docs:zlib}/index.html > {docs}/index.html"),
    ]);
    set.append("[compiler.\"gcc.1\"]\ncc = \"gcc\"\ncxx = \"g++\"\n");
    set.larder(&["batch"]).ok();
    assert_eq!(page(&set, "p/png/1.6/index.html"), "cc\n");
    let others = fs::read_dir(set.data.html().join("u")).unwrap();
    let others = others.map(|universe| universe.unwrap().path().join("png/1.6/index.html"));
    let others: Vec<String> = others.filter_map(|page| fs::read_to_string(page).ok()).collect();
    assert_eq!(others, ["gcc\n"]);
}

#[test]
fn what_names_no_documentation_of_a_need_is_said() {
    let set = Set::new(&[
        zlib(),
        Package::new("alone.1.0").docs("cp {docs:zlib}/index.html {docs}"),
        Package::new("self.1.0").docs("cp {docs:self}/index.html {docs}"),
        Package::new("early.1.0").needs("zlib", "1").line("ls {docs:zlib}"),
        Package::new("tested.1.0").needs("zlib", "1").test("ls {docs:zlib}"),
    ]);
    set.larder(&["batch"]).ends_with(1);
    for (package, stage, said) in [
        ("alone.1.0", Stage::Doc, "`{docs:zlib}`: `zlib` is none of its dependencies"),
        ("self.1.0", Stage::Doc, "`{docs:self}`: `self` is none of its dependencies"),
        ("early.1.0", Stage::Build, "`{docs:zlib}` is for documentation only"),
        ("tested.1.0", Stage::Test, "`{docs:zlib}` is for documentation only"),
    ] {
        let result = last(&set, package, stage).result;
        assert!(!result.is_success(), "{package}");
        assert_eq!(result.error.as_deref(), Some(said), "{package}");
    }
}

/// A set of larder packages: one whose manifest is its own, one whose is kept in the set.
fn larder_packages(hi_docs: &str, lo_docs: &str) -> Set {
    let set = Set::with_file("");
    let manifest = |name: &str, needs: &str| {
        format!(
            "[package]\nname = \"{name}\"\nversion = \"1.0\"\n\n[dependencies]\n{needs}\n\
             [[library]]\nname = \"{name}\"\nsources = [\"{name}.c\"]\n"
        )
    };
    set.file("packages/hi/larder.toml", &manifest("hi", ""));
    set.file("packages/hi/hi.c", "int hi(void) { return 1; }\n");
    set.file("manifests/lo.toml", &manifest("lo", "hi = \"1\"\n"));
    set.file("sources/lo/lo.c", "int lo(void) { return 0; }\n");
    write_set(&set, hi_docs, lo_docs);
    set
}

fn write_set(set: &Set, hi_docs: &str, lo_docs: &str) {
    set.file(
        "larder-set.toml",
        &format!(
            "set.packages = [\"packages/*\"]\n[compiler.\"cc.1\"]\ncc = \"cc\"\ncxx = \"c++\"\n\
             [package.\"hi.1.0\"]\nsource = {{ path = \"packages/hi\" }}\nmanifest = true\n{hi_docs}\n\
             [package.\"lo.1.0\"]\nsource = {{ path = \"sources/lo\" }}\nmanifest = \"manifests/lo.toml\"\n{lo_docs}\n"
        ),
    );
}

const HI: &str =
    "docs = ['cat hi.c > {docs}/index.html', 'ls {prefix}/lib | grep libhi > {docs}/lib']";
const LO: &str = "docs = ['cat {docs:hi}/index.html larder.toml > {docs}/index.html', 'ls {prefix:hi}/lib | grep libhi >> {docs}/index.html']";

#[test]
fn larder_packages_have_documentation_and_no_build_depends_on_it() {
    let set = larder_packages("", "");
    set.larder(&["batch"]).ok();
    assert!(!set.data.html().exists());
    let built = last(&set, "lo.1.0", Stage::Build).result;
    set.commit();

    write_set(&set, HI, LO);
    let run = set.larder(&["batch", "--json"]).ok();
    assert_eq!(page(&set, "p/hi/1.0/lib"), "libhi.a\n");
    let of_lo = page(&set, "p/lo/1.0/index.html");
    assert!(of_lo.starts_with("int hi(void)") && of_lo.ends_with("libhi.a\n"), "{of_lo}");
    assert!(of_lo.contains("name = \"lo\""), "{of_lo}");
    let results = of_kind(&run.events(), "result");
    let builds: Vec<_> = results.iter().filter(|it| it["stage"] == "build").collect();
    assert!(builds.iter().all(|it| it["origin"] == "cached"), "{builds:?}");
    let again = last(&set, "lo.1.0", Stage::Build).result;
    assert_eq!((again.build_hash, again.dep_hash), (built.build_hash, built.dep_hash));

    // Other lines make these pages again, and those that read them.
    let run = set.larder(&["batch", "--since", "HEAD", "--json"]).ok();
    let changed = of_kind(&run.events(), "changed").remove(0);
    assert_eq!(changed["packages"], serde_json::json!(["hi.1.0", "lo.1.0"]));
    set.commit();
    write_set(&set, "docs = ['echo other > {docs}/index.html']", LO);
    let run = set.larder(&["batch", "--since", "HEAD", "--json"]).ok();
    let changed = of_kind(&run.events(), "changed").remove(0);
    assert_eq!(changed["packages"], serde_json::json!(["hi.1.0", "lo.1.0"]));
    assert!(page(&set, "p/lo/1.0/index.html").starts_with("other\n"));
    set.commit();
    set.larder(&["batch", "--since", "HEAD"]).ok().says("nothing has changed since HEAD");
    set.larder(&["batch"]).ok();
    assert_eq!(documented(&set, "lo.1.0"), "success cached");
    assert_eq!(documented(&set, "hi.1.0"), "success cached");
}

#[test]
fn documentation_is_made_again_when_the_machine_is_another() {
    let set = larder_packages("", "");
    let status = set.outside().join("status");
    fs::write(&status, "doxygen 1.9").unwrap();
    let hi = format!("{HI}\n[set]\nsystem = [{:?}]", status.to_str().unwrap());
    write_set(&set, &hi, "");
    let text = fs::read_to_string(set.root.join("larder-set.toml")).unwrap();
    set.file("larder-set.toml", &text.replace("set.packages = [\"packages/*\"]\n", ""));
    set.larder(&["batch"]).ok();
    fs::write(&status, "doxygen 1.10").unwrap();
    set.larder(&["batch"]).ok();
    assert_eq!(documented(&set, "hi.1.0"), "success built");
    assert_eq!(last(&set, "hi.1.0", Stage::Build).result.origin.name(), "cached");
}

#[test]
fn documentation_of_a_larder_package_fails_alone_and_says_why() {
    let set = larder_packages("docs = ['echo no such page', 'exit 3']", LO);
    set.larder(&["batch"]).ends_with(1);
    assert_eq!(documented(&set, "hi.1.0"), "doc_compile_failure built");
    assert_eq!(last(&set, "hi.1.0", Stage::Build).result.category.name(), "success");
    set.larder(&["log", "hi", "--docs"]).ok().mentions(&["no such page", "exit code 3"]);
    write_set(&set, HI, "docs = []");
    set.larder(&["batch"]).ok();
}

#[test]
fn what_is_published_is_of_the_sources_and_the_build_that_count_now() {
    let set = Set::new(&[zlib().docs("echo $CC >> {docs}/index.html")]);
    let readme = |text: &str| set.file("sources/zlib.1.3/README", text);
    let published = || page(&set, "p/zlib/1.3/index.html");
    for text in ["one ", "two ", "one "] {
        readme(text);
        set.larder(&["batch"]).ok();
        assert!(published().starts_with(text), "{} of {text}", published());
    }
    set.larder(&["batch"]).ok();
    assert_eq!(documented(&set, "zlib.1.3"), "success cached");

    // The compiler that is listed first is the one whose build counts.
    let file = fs::read_to_string(set.root.join("larder-set.toml")).unwrap();
    let other = "[compiler.\"gcc.1\"]\ncc = \"gcc\"\ncxx = \"g++\"\n\n";
    for (file, compiler) in
        [(format!("{file}\n{other}"), "cc"), (format!("{other}{file}"), "gcc"), (file, "cc")]
    {
        set.file("larder-set.toml", &file);
        set.larder(&["batch"]).ok();
        let of = format!(" {compiler} ");
        assert!(published().replace('\n', " ").contains(&of), "{} of {compiler}", published());
    }
}

/// What is published of builds that are not blessed stays as long as a run that counts has them, and the index leads to it.
#[test]
fn a_collection_leaves_what_is_published_and_the_index_leads_to_it() {
    let set = Set::with_file("");
    set.write(&[
        Package::new("a.1").docs("cp README {docs}/index.html"),
        Package::new("b.1").docs("cp README {docs}/other.txt"),
    ]);
    let file = fs::read_to_string(set.root.join("larder-set.toml")).unwrap();
    set.file(
        "larder-set.toml",
        &format!("[compiler.\"cc.0\"]\ncc = \"gcc\"\ncxx = \"g++\"\n\n{file}"),
    );
    set.larder(&["batch"]).ok();
    set.larder(&["gc"]).ok();
    set.larder(&["batch", "--dry-run"]).ok().mentions(&["nothing is to be done"]);
    let html = set.data.html();
    let index = fs::read_to_string(html.join("index.html")).unwrap();
    let links: Vec<&str> =
        index.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(links.len(), 4, "{index}");
    assert!(links.iter().all(|link| html.join(link).is_file()), "{index}");
    assert_eq!(links.iter().filter(|link| link.starts_with("u/")).count(), 2, "{index}");
}
