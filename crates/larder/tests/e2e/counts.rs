//! How each service answered a build, in numbers that add up.

use std::{
    fs,
    path::{Path, PathBuf},
};

use larder_testkit::{
    events::Built,
    files::write,
    git::{Repository, app, git},
    machine::Machine,
    run::run,
    services::S3,
};
use serde_json::{Value, json};

use crate::support::{commit, forget};

const PLACE: [&str; 2] = ["--scope", "owner/demo"];

/// Two artifacts that are large enough for packs of their own, of different sizes.
const MANIFEST: &str = r#"
[package]
name = "demo"

[[library]]
name = "util"
sources = ["a.c", "b.c"]

[[command]]
name = "page"
inputs = ["page.txt"]
outputs = ["page.html"]
run = ["cp", "page.txt", "{out}"]

[[command]]
name = "note"
inputs = ["note.txt"]
outputs = ["note.html"]
run = ["cp", "note.txt", "{out}"]

[[command]]
name = "large"
outputs = ["large.txt"]
run = ["sh", "gen.sh", "1", "900000", "{out}"]

[[command]]
name = "larger"
outputs = ["larger.txt"]
run = ["sh", "gen.sh", "1", "1900000", "{out}"]
"#;

fn package(tree: &Path) {
    let write = |name: &str, text: &str| write(&tree.join(name), text);
    write("larder.toml", MANIFEST);
    write(".gitignore", ".larder/\n");
    write("gen.sh", "seq \"$1\" \"$2\" > \"$3\"\n");
    write("page.txt", "page\n");
    write("note.txt", "note\n");
    for name in ["a", "b"] {
        write(&format!("{name}.h"), &format!("#define {name} 1\n"));
        write(
            &format!("{name}.c"),
            &format!("#include \"{name}.h\"\nint of_{name}(void) {{ return {name}; }}\n"),
        );
    }
}

/// The `services` of the event that ends a build. Each one's numbers add up.
pub fn services(built: &Built) -> Vec<Value> {
    let mut events = built.all.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let finished = events.rfind(|event| event["event"] == "finished").unwrap();
    let services = finished["services"].as_array().unwrap().clone();
    for service in &services {
        let number = |key: &str| service[key].as_u64().unwrap();
        assert_eq!(number("lookups"), number("hit") + number("missed"), "{service}");
        let reasons = ["neverUploaded", "otherInputs", "lost", "refused"];
        assert_eq!(number("missed"), reasons.into_iter().map(number).sum::<u64>(), "{service}");
    }
    services
}

/// `hit`, then the misses by reason in the order of the summary.
fn team(numbers: [u64; 5]) -> Vec<Value> {
    let [hit, never_uploaded, other_inputs, lost, refused] = numbers;
    let missed = never_uploaded + other_inputs + lost + refused;
    vec![json!({
        "service": "team",
        "lookups": hit + missed,
        "hit": hit,
        "missed": missed,
        "neverUploaded": never_uploaded,
        "otherInputs": other_inputs,
        "lost": lost,
        "refused": refused,
    })]
}

/// A machine that has the mappings of what another built, with a change of its own.
fn user(s3: &S3, from: &Machine) -> (Machine, PathBuf) {
    let user = Machine::new();
    user.uses(s3.address, 300);
    let (tree, source) = (user.path("work"), from.path("work"));
    git(&user.path(""), &["clone", "-q", source.to_str().unwrap(), tree.to_str().unwrap()]);
    user.cache(&tree, 0, &[&["get", "--mappings-only"][..], &PLACE].concat());
    fs::write(tree.join("a.h"), "#define a 2\n").unwrap();
    fs::write(tree.join("note.txt"), "another note\n").unwrap();
    (user, tree)
}

/// A service that has lost one artifact of what was put, and has one damaged.
fn service() -> (S3, Machine) {
    let s3 = S3::start();
    let builder = Machine::new();
    builder.uses(s3.address, 300);
    let tree = builder.path("work");
    package(&tree);
    commit(&tree);
    let outputs = builder.path("outputs.jsonl");
    let built = builder.build(&tree, &["-o", outputs.to_str().unwrap()]);
    // There is no service yet that could have answered.
    assert_eq!(services(&built), [] as [Value; 0]);
    builder.cache(&tree, 0, &[&["put", outputs.to_str().unwrap()][..], &PLACE].concat());
    let mut packs = s3.objects_ending(".pack");
    packs.sort_by_key(|pack| fs::metadata(pack).unwrap().len());
    let [_small, large, larger] = &packs[..] else { panic!("{packs:?}") };
    fs::remove_file(large).unwrap();
    let mut content = fs::read(larger).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 1;
    fs::write(larger, content).unwrap();
    (s3, builder)
}

#[test]
fn every_lookup_is_a_hit_or_a_miss_with_its_reason() {
    let (s3, builder) = service();
    let (user, tree) = user(&s3, &builder);
    let built = user.build(&tree, &[]);
    let made = ["large.txt", "larger.txt", "libutil.a", "note.html", "obj/libutil/a.c.o"];
    assert_eq!(built.built(), made, "{}", built.all);
    assert_eq!(built.with("restored"), ["obj/libutil/b.c.o", "page.html"]);
    // The archive is made of an object that nobody had.
    assert_eq!(services(&built), team([2, 2, 1, 1, 1]));

    // Nothing is looked up.
    assert_eq!(services(&user.build(&tree, &[])), [] as [Value; 0]);
    forget(&tree, true);
    let built = user.build(&tree, &[]);
    assert_eq!(built.built(), [] as [&str; 0]);
    // The answers that the service has as well, wherever their bytes lay; of the other three, which were
    // made here, it was asked for nothing.
    assert_eq!(services(&built), team([4, 0, 0, 0, 0]), "{}", built.all);
    forget(&tree, true);
    assert_eq!(services(&user.build(&tree, &["--no-cache"])), [] as [Value; 0]);
}

#[test]
fn the_summary_says_so_to_people_who_want_to_know() {
    let (s3, builder) = service();
    let build = |arguments: &[&str]| {
        let (user, tree) = user(&s3, &builder);
        let said = run(user.with_key(&tree, arguments)).ends_with(0);
        said.stderr.lines().filter(|line| line.starts_with("service ")).map(str::to_owned).collect()
    };
    let said: Vec<String> = build(&["build", "-v", "-j2"]);
    let all = "service team: 2 hit, 5 missed: 2 never uploaded, 1 other inputs, 1 lost, 1 refused";
    assert_eq!(said, [all]);
    let said: Vec<String> = build(&["build", "-j2"]);
    assert_eq!(said, [] as [&str; 0]);
}

#[test]
fn what_another_service_has_is_no_miss_of_this_one() {
    let s3 = S3::start();
    let upstream = Machine::new();
    upstream.uses(s3.address, 300);
    let library = Repository::new(&upstream.path(""), "zed", "");
    let outputs = upstream.path("outputs.jsonl");
    let outputs = outputs.to_str().unwrap();
    upstream.build(&library.path, &["-o", outputs]);
    upstream.cache(&library.path, 0, &["put", outputs, "--scope", "up/zed"]);

    let endpoint = format!("endpoint = \"http://{}\"", s3.address);
    let machine = Machine::new();
    machine.configure(&format!(
        "url = \"s3://bucket/prefix\"\n{endpoint}\n[[cache.service]]\nname = \"upstream\"\n\
         url = \"s3://bucket/prefix\"\n{endpoint}\n[[cache.dependency]]\npackage = \"zed\"\n\
         service = \"upstream\"\nscope = \"up/zed\""
    ));
    let pin = format!("{{ git = \"{}\" }}", library.url());
    let tree = app(&machine.path("app"), &[("zed", &pin)]);
    let outputs = machine.path("outputs.jsonl");
    let outputs = outputs.to_str().unwrap();
    machine.build(&tree, &["-o", outputs]);
    machine.cache(&tree, 0, &["put", outputs, "--scope", "app", "--rev", "v1"]);
    machine.cache(&tree, 0, &["clean"]);
    fs::remove_dir_all(tree.join(".larder")).unwrap();
    machine.cache(&tree, 0, &["get", "--rev", "v1", "--scope", "app"]);
    let built = machine.build(&tree, &["--no-build", "--rehash"]);
    let hits: Vec<_> = services(&built)
        .into_iter()
        .map(|service| {
            (service["service"].clone(), service["hit"].clone(), service["missed"].clone())
        })
        .collect();
    let team_and_upstream =
        [(json!("team"), json!(2), json!(0)), (json!("upstream"), json!(2), json!(0))];
    assert_eq!(hits, team_and_upstream, "{}", built.all);
}
