//! A team's own cache server: from CI to a developer, and what becomes of it when a key is revoked.

use std::{net::Ipv4Addr, path::PathBuf};

use larder_serve::{
    cache::{CacheServer, Config, NewKey, Reads, init_key},
    server::{Limits, serve},
};
use larder_testkit::{
    files::remove_tree,
    machine::Machine,
    run::{Run, run},
};
use tokio::{net::TcpListener, runtime::Runtime};

use crate::support::{forget, work_tree};

const PLACE: [&str; 4] = ["--scope", "owner/demo", "--rev", "r1"];

/// A machine with a server on it, and a package.
struct Scene {
    machine: Machine,
    tree: PathBuf,
    config: Config,
    _runtime: Runtime,
}

impl Scene {
    fn new() -> Self {
        Self::with_quota(None)
    }

    /// With a server that has room for so many bytes.
    fn with_quota(quota: Option<u64>) -> Self {
        let machine = Machine::new();
        let tree = work_tree(&machine, "work");
        let mut config = Config::new(machine.path("server"));
        config.reads = Reads::Anonymous;
        config.quota = quota;
        let server = CacheServer::open(&config).unwrap();
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).unwrap();
        machine.configure(&format!(
            "url = \"s3://larder\"\nendpoint = \"http://{}\"\nanonymous-reads = true\ntimeout-seconds = 300",
            listener.local_addr().unwrap()
        ));
        runtime.spawn(async move {
            let limits = Limits::default();
            serve(listener, server.router(), &limits, std::future::pending()).await;
        });
        Self { machine, tree, config, _runtime: runtime }
    }

    fn key(&self, name: &str, scope: &str) -> NewKey {
        init_key(&self.config.keys, Some(name), &[scope.parse().unwrap()]).unwrap()
    }

    fn cache(&self, key: Option<&NewKey>, code: i32, arguments: &[&str]) -> Run {
        let mut command = self.machine.command(&self.tree, &[&["cache"], arguments].concat());
        command.env_remove("LARDER_CACHE_KEY");
        if let Some(key) = key {
            command.env("LARDER_CACHE_KEY", format!("{}:{}", key.id, key.secret));
        }
        run(command).ends_with(code)
    }

    fn put(&self, key: &NewKey, code: i32) -> Run {
        let mappings = self.machine.path("outputs.jsonl");
        let mappings = mappings.to_str().unwrap();
        self.machine.build(&self.tree, &["-o", mappings]);
        self.cache(Some(key), code, &[&["put", mappings][..], &PLACE].concat())
    }
}

#[test]
fn a_server_of_ones_own_carries_what_ci_built() {
    let scene = Scene::new();
    let (ci, other) = (scene.key("ci", "owner/demo"), scene.key("other", "owner/else"));
    scene.put(&other, 1).mentions(&["access denied"]);
    scene.put(&ci, 0);
    scene.cache(Some(&ci), 0, &["services", "--check"]).mentions(&["read    works"]);
    forget(&scene.tree, true);
    remove_tree(&scene.machine.path("store"));
    scene.cache(None, 0, &[&["get"][..], &PLACE].concat());
    let built = scene.machine.build(&scene.tree, &[]);
    assert_eq!(built.built(), [""; 0]);
}

#[test]
fn a_server_says_who_wrote_what_and_forgets_a_key() {
    let scene = Scene::new();
    let ci = scene.key("ci", "owner/demo");
    scene.put(&ci, 0);
    let server = scene.config.directory.to_str().unwrap();
    let revision = "revisions/owner/demo/r1.jsonl";
    let said = scene.cache(None, 0, &["blame", "--server", server]);
    assert!(said.stdout.contains(&format!("{revision}: 20")), "{}", said.stdout);
    assert!(said.stdout.contains(&format!("{} (ci)", ci.id)), "{}", said.stdout);
    let said = scene.cache(None, 0, &["--json", "blame", "--server", server, "revisions"]);
    let events = said.events();
    let [written] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(
        (written["event"].as_str(), written["object"].as_str()),
        (Some("written"), Some(revision))
    );
    scene.cache(None, 1, &["blame", "--server", server, "none"]).mentions(&["no object \"none\""]);
    let elsewhere = scene.tree.to_str().unwrap();
    let said = scene.cache(None, 1, &["blame", "--server", elsewhere]);
    said.mentions(&["not the directory of a cache server"]);

    let said = scene.cache(None, 0, &["revoke", "--server", server, "ci"]);
    assert!(said.stdout.contains(&format!("removed {revision}: ")), "{}", said.stdout);
    said.mentions(&[&format!("revoked {}: it had written", ci.id)]);
    assert_eq!(scene.cache(None, 0, &["blame", "--server", server]).stdout, "");
    scene.put(&ci, 1);
    scene.cache(None, 1, &["revoke", "--server", server, "nobody"]).mentions(&["no key called"]);
}

/// Who uploads is told why nothing of it is taken.
#[test]
fn a_server_without_room_says_so() {
    let scene = Scene::with_quota(Some(1_000));
    let ci = scene.key("ci", "owner/demo");
    let said = scene.put(&ci, 1);
    let said = said.mentions(&["larger than what the service takes", "EntityTooLarge"]);
    assert!(!said.stderr.contains("400"), "{said:?}");
}
