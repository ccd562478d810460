//! The same server as the cache of a team.

use larder_testkit::{files, machine::Machine, run::run, server::Server};

use super::client::Client;

const PLACE: [&str; 4] = ["--scope", "owner/demo", "--rev", "r1"];

#[test]
fn a_team_without_an_ecosystem_has_a_cache_by_three_commands() {
    let machine = Machine::new();
    let (tree, cache) = (machine.path("work"), machine.path("cache"));
    let cache = cache.to_str().unwrap();
    files::write_all(
        &tree,
        &[
            (
                "larder.toml",
                "[package]\nname = \"demo\"\nversion = \"1.0.0\"\n[[executable]]\nname = \"demo\"\nsources = [\"a.c\"]\n",
            ),
            ("a.c", "int main(void) { return 0; }\n"),
        ],
    );
    let serve = |arguments: &[&str]| {
        machine.command(&tree, &[&["serve", "--cache", cache], arguments].concat())
    };

    // A key is shown once, where no event is.
    let made = run(serve(&["--init-key", "ci", "--key-scope", "owner/demo"])).ok();
    let key = made.stdout.trim().to_owned();
    let (id, secret) = key.split_once(':').unwrap();
    assert!(secret.len() >= 32 && !made.stderr.contains(secret), "{made:?}");
    run(serve(&["--init-key", "--json"])).ends_with(2);
    run(machine.command(&tree, &["serve", "--init-key"])).ends_with(2);
    run(serve(&["--init-key", "--key-scope", "../x"])).ends_with(2);
    run(serve(&["--quota", "many"])).ends_with(2);

    let server = Server::larder(serve(&["--anonymous-reads", "--quota", "1G"]));
    machine.configure(&format!(
        "url = \"s3://larder\"\nendpoint = \"http://{}\"\nanonymous-reads = true",
        server.address
    ));
    let mappings = machine.path("outputs.jsonl");
    let mappings = mappings.to_str().unwrap();
    run(machine.command(&tree, &["build", "-q", "-o", mappings])).ok();
    let mut put = machine.command(&tree, &[&["cache", "put", mappings][..], &PLACE].concat());
    run({
        put.env("LARDER_CACHE_KEY", &key);
        put
    })
    .ok();
    files::remove_tree(&machine.path("store"));
    files::remove_tree(&tree.join(".larder"));
    run(machine.command(&tree, &[&["cache", "get"][..], &PLACE].concat())).ok();
    run(machine.command(&tree, &["build", "--no-build"])).ok();

    // The pages are there beside it, and say what it has; a second server of the same directory is refused.
    let page = server.get("/cache").ok();
    assert!(page.text().contains("The team's, which this server is"), "{}", page.text());
    let stats = server.get("/api/cache").ok().json()["server"].clone();
    assert!(stats["writes"].as_u64() > Some(0) && stats["hits"].as_u64() > Some(0), "{stats}");
    assert_eq!(stats["quotaBytes"], 1 << 30);
    let served = server.get("/api/cache").ok().json()["served"].clone();
    let name = "revisions/owner/demo/r1.jsonl";
    assert_eq!((&served["total"], &served["newest"][0]["name"]), (&1.into(), &name.into()));
    assert_eq!(served["newest"][0]["writer"], "ci");
    let page = page.text();
    assert!(page.contains(name) && page.contains("1 revision</h3>"), "{page}");
    assert!(server.get("/metrics").ok().text().contains("larder_cache_quota_bytes 1073741824\n"));
    assert!(server.get("/").ok().text().contains("There was no full run yet"));
    assert_eq!(
        server.get("/larder/keys.json").status,
        404,
        "what is in the directory beside objects is none"
    );
    run(serve(&["--listen", "127.0.0.1:0"])).ends_with(1).mentions(&["another process serves it"]);

    let blamed = run(machine.command(&tree, &["cache", "blame", "--server", cache])).ok();
    assert!(blamed.stdout.contains(id), "{blamed:?}");
    // What is absent is said, and does not hide the rest.
    let names = ["cache", "blame", "--server", cache, "nothing", "revisions", "nowhere"];
    let some = run(machine.command(&tree, &names)).ends_with(1);
    let some = some.mentions(&["no object \"nothing\", \"nowhere\""]);
    assert!(some.stdout.contains(id), "{some:?}");
    run(machine.command(&tree, &["cache", "revoke", "--server", cache, "ci"])).ok();
    let mut again = machine.command(&tree, &[&["cache", "put", mappings][..], &PLACE].concat());
    run({
        again.env("LARDER_CACHE_KEY", &key);
        again
    })
    .ends_with(1);
}

/// Who may not read a cache is not told what it has.
#[test]
fn revisions_are_named_to_those_who_may_read_them() {
    let machine = Machine::new();
    let cache = machine.path("cache");
    let server = |reads: &[&str]| {
        let mut command = machine.command(&machine.path("."), &["serve", "--cache"]);
        command.arg(&cache).args(reads);
        Server::larder(command)
    };
    let served = |reads| server(reads).get("/api/cache").ok().json()["served"].clone();
    assert_eq!(served(&["--anonymous-reads"])["total"], 0);
    assert!(served(&[]).is_null());
}
