//! Whose uploads count: signed revisions, foreign ones, and keys that are revoked.

use std::{fs, path::PathBuf};

use larder_testkit::{
    files::mode,
    git::git,
    machine::Machine,
    run::{Run, run},
    services::S3,
};

use crate::support::{asked, commit, forget, outputs, work_tree};

const PLACE: [&str; 2] = ["--scope", "owner/demo"];

/// A machine with a key of its own; the public half, as a table of the configuration.
struct Signed {
    machine: Machine,
    tree: PathBuf,
    table: String,
}

impl Signed {
    fn new(name: &str) -> Self {
        let machine = Machine::new();
        let tree = work_tree(&machine, "work");
        let key = machine.path("secret.key");
        let made = machine.cache(&tree, 0, &["keygen", name, "-o", key.to_str().unwrap()]);
        assert_eq!(mode(&key) & 0o777, 0o600);
        assert!(!made.stdout.contains(secret(&key).lines().last().unwrap()), "{}", made.stdout);
        Self { machine, tree, table: made.stdout }
    }

    /// Runs `larder cache …` with the keys of the service and of the signer.
    fn cache(&self, code: i32, arguments: &[&str]) -> Run {
        let mut command = self.machine.with_key(&self.tree, &[&["cache"], arguments].concat());
        command.env("LARDER_SIGNING_KEY", secret(&self.machine.path("secret.key")));
        run(command).ends_with(code)
    }

    /// Builds everything and puts it.
    fn put(&self, more: &[&str]) {
        let mappings = self.machine.path("outputs.jsonl");
        let mappings = mappings.to_str().unwrap();
        self.machine.build(&self.tree, &["-o", mappings]);
        self.cache(0, &[&["put", mappings][..], &PLACE, more].concat());
    }
}

fn secret(path: &std::path::Path) -> String {
    fs::read_to_string(path).unwrap()
}

/// Lets `machine` believe these keys alone.
fn trusts(machine: &Machine, s3: &S3, tables: &[&str]) {
    machine.configure(&format!(
        "url = \"s3://bucket/prefix\"\nendpoint = \"http://{}\"\n{}",
        s3.address,
        tables.join("\n")
    ));
}

#[test]
fn what_a_stranger_uploads_is_a_miss() {
    let s3 = S3::start();
    let (owner, stranger) = (Signed::new("ci"), Signed::new("stranger"));
    owner.machine.uses(s3.address, 300);
    stranger.machine.uses(s3.address, 300);
    let revision = commit(&owner.tree);
    // Each dep hash with outputs of the stranger's choice, under the names that the reader asks for.
    fs::write(stranger.tree.join("src/main.c"), "int main(void) { return 66; }\n").unwrap();
    let place = ["--rev", &revision, "--ref", "main"];
    let reader = Machine::new();
    let table = format!("{}scopes = [\"owner/*\"]\nrefs = [\"main\"]", owner.table);
    trusts(&reader, &s3, &[&table]);
    let get = [&["get", "--rev", &revision, "--package", "demo"][..], &PLACE].concat();

    // Unsigned, then signed by a key that nobody trusts.
    let mappings = stranger.machine.path("outputs.jsonl");
    let mappings = mappings.to_str().unwrap();
    stranger.machine.build(&stranger.tree, &["-o", mappings]);
    let put = [&["put", mappings][..], &PLACE, &place].concat();
    stranger.machine.cache(&stranger.tree, 0, &put);
    let said = reader.cache(&owner.tree, 1, &get);
    assert!(said.stderr.contains("it is not signed"), "{}", said.stderr);
    stranger.cache(0, &put);
    let said = reader.cache(&owner.tree, 1, &get);
    assert!(said.stderr.contains("which is not trusted here"), "{}", said.stderr);
    assert_eq!(reader.store().stats().unwrap().mappings, 0);

    // The owner's, but of another ref, or said to be of another revision.
    owner.put(&["--rev", "elsewhere", "--ref", "pull/7"]);
    let elsewhere = ["get", "--rev", "elsewhere", "--package", "demo"];
    let said = reader.cache(&owner.tree, 1, &[&elsewhere[..], &PLACE].concat());
    assert!(said.stderr.contains("does not count for ref pull/7"), "{}", said.stderr);
    owner.put(&["--rev", "old", "--ref", "main"]);
    let objects = s3.objects_ending(".jsonl");
    let find = |name: &str| objects.iter().find(|it| it.to_str().unwrap().contains(name)).unwrap();
    fs::copy(find("old"), find(&revision)).unwrap();
    let said = reader.cache(&owner.tree, 1, &get);
    assert!(said.stderr.contains("its signature is of something else"), "{}", said.stderr);

    // The owner's own.
    owner.put(&place);
    reader.cache(&owner.tree, 0, &get);
    let right = outputs(&owner.tree);
    forget(&owner.tree, true);
    reader.build(&owner.tree, &["--no-build", "--rehash"]);
    assert!(asked(&owner.tree).iter().all(|(name, output)| right[name] == *output));
    // Who asks for a ref gets no other.
    let said = reader.cache(&owner.tree, 1, &[&get[..], &["--ref", "release"]].concat());
    assert!(said.stderr.contains("not from the ref that was asked for"), "{}", said.stderr);
    // Without a key in the configuration, everybody's counts.
    trusts(&reader, &s3, &[]);
    reader.cache(&owner.tree, 0, &[&elsewhere[..], &PLACE].concat());
}

#[test]
fn a_revoked_key_hits_no_more() {
    let s3 = S3::start();
    let (first, second) = (Signed::new("first"), Signed::new("second"));
    first.machine.uses(s3.address, 300);
    second.machine.uses(s3.address, 300);
    let revision = commit(&first.tree);
    let place = ["--rev", &revision, "--ref", "main"];
    first.put(&place);

    let reader = Machine::new();
    trusts(&reader, &s3, &[&first.table, &second.table]);
    let get = [&["get", "--rev", &revision, "--package", "demo"][..], &PLACE].concat();
    reader.cache(&first.tree, 0, &get);
    forget(&first.tree, true);
    reader.build(&first.tree, &["--no-build"]);
    let said = reader.cache(&first.tree, 0, &["blame", "demo"]);
    let blamed =
        format!("demo: revision {revision} of owner/demo on service team, signed by first");
    assert!(said.stdout.contains(&blamed), "{}", said.stdout);
    let said = reader.cache(&first.tree, 0, &[&["export", "--provenance"][..], &get[1..]].concat());
    let statement: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(statement["predicate"]["buildDefinition"]["externalParameters"]["ref"], "main");
    assert_eq!(statement["subject"].as_array().unwrap().len(), 9);

    let said = reader.cache(&first.tree, 0, &["revoke", "first"]);
    assert!(said.stdout.contains("forgot") && said.stdout.contains("\n  demo\n"), "{said:?}");
    forget(&first.tree, true);
    reader.build(&first.tree, &[]).all("built");
    let said = reader.cache(&first.tree, 1, &get);
    assert!(said.stderr.contains("was revoked here"), "{}", said.stderr);
    let said = reader.cache(&first.tree, 0, &["blame", "demo"]);
    assert!(said.stdout.contains("demo: built here"), "{}", said.stdout);
    // Without any key that is trusted, it stays revoked.
    trusts(&reader, &s3, &[]);
    reader.cache(&first.tree, 1, &get);
    // What another key signed counts as before.
    trusts(&reader, &s3, &[&first.table, &second.table]);
    git(&second.tree, &["init", "-q"]);
    second.put(&["--rev", "v2", "--ref", "main"]);
    reader.cache(&second.tree, 0, &[&["get", "--rev", "v2"][..], &PLACE].concat());
}

#[test]
fn a_result_counts_if_a_trusted_key_signed_it() {
    let s3 = S3::start();
    let (owner, stranger) = (Signed::new("ci"), Signed::new("stranger"));
    let reader = Machine::new();
    let scoped = format!("{}scopes = [\"friend/*\"]", stranger.table);
    trusts(&reader, &s3, &[&format!("{}refs = [\"main\"]", owner.table), &scoped]);
    let key = "job-0a";
    let ci = |from: &Signed, arguments: &[&str]| {
        from.machine.uses(s3.address, 300);
        let mut command = from.machine.with_key(&from.tree, &[&["ci"], arguments].concat());
        command.env("LARDER_SIGNING_KEY", secret(&from.machine.path("secret.key")));
        run(command).ends_with(0)
    };
    let probe = |code: i32, more: &[&str]| {
        let arguments = [&["ci", "probe", key][..], more].concat();
        run(reader.with_key(&owner.tree, &arguments)).ends_with(code).stderr
    };
    // Unsigned; by a key that counts for no results; by the owner's, of another ref and of another key.
    stranger.machine.uses(s3.address, 300);
    run(stranger.machine.with_key(&stranger.tree, &["ci", "done", key])).ends_with(0);
    assert!(probe(1, &[]).contains("it is not signed"));
    ci(&stranger, &["done", key, "--ref", "main"]);
    assert!(probe(1, &[]).contains("does not count for results"));
    ci(&owner, &["done", key, "--ref", "pull/7"]);
    assert!(probe(1, &[]).contains("does not count for ref pull/7"));
    ci(&owner, &["done", "job-0b", "--ref", "main"]);
    let mark = s3.objects_ending("job-0b").remove(0);
    let text = fs::read_to_string(&mark).unwrap().replace("job-0b", key);
    fs::write(mark.with_file_name(key), text).unwrap();
    assert!(probe(1, &[]).contains("its signature is of something else"));
    // The owner's own counts, and for no other ref.
    ci(&owner, &["done", key, "--ref", "main"]);
    probe(0, &[]);
    probe(0, &["--ref", "main"]);
    assert!(probe(1, &["--ref", "v2"]).contains("not from the ref that was asked for"));
    // To say for longer than was signed is to say something else.
    ci(&owner, &["done", key, "--ref", "main", "--expires", "1h"]);
    probe(0, &[]);
    let mark = s3.objects_ending(key).remove(0);
    let text = fs::read_to_string(&mark).unwrap().replacen("\"expires\":1", "\"expires\":9", 1);
    fs::write(&mark, text).unwrap();
    assert!(probe(1, &[]).contains("its signature is of something else"));
}

#[test]
fn a_key_that_is_none_is_said_and_not_shown() {
    let s3 = S3::start();
    let machine = Machine::new();
    machine.uses(s3.address, 300);
    let tree = work_tree(&machine, "work");
    commit(&tree);
    let mappings = machine.path("outputs.jsonl");
    let mappings = mappings.to_str().unwrap();
    machine.build(&tree, &["-o", mappings]);
    let mut command = machine.with_key(&tree, &["cache", "put", mappings]);
    let said = run(command.env("LARDER_SIGNING_KEY", "hunter2hunter2")).ends_with(1);
    assert!(said.stderr.contains("LARDER_SIGNING_KEY is not a secret key"), "{}", said.stderr);
    assert!(!said.stderr.contains("hunter2"), "{}", said.stderr);
    assert!(s3.objects_ending(".jsonl").is_empty());
    machine.cache(&tree, 2, &["revoke", "nobody"]);
    machine.cache(&tree, 0, &["keygen", "me"]);
    machine.cache(&tree, 1, &["keygen", "me"]);
    machine.cache(&tree, 2, &["keygen", "../me"]);
}
