//! The server behind nginx that speaks TLS, set up as the documents say.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Command, Stdio},
};

use larder_testkit::{
    files,
    machine::Machine,
    nginx,
    processes::spawn,
    run::run,
    server::Server,
    set::{Package, Set},
    tools::{require, said},
    wait::wait_until,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::Value;

/// The configuration that `docs/cache-server.md` shows.
fn documented() -> String {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cache-server.md");
    let text = fs::read_to_string(docs).unwrap();
    let (_, shown) = text.split_once("put nginx in front:\n\n").unwrap();
    let lines = shown.lines().map_while(|line| line.strip_prefix("    "));
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// `text` with something else in the place of what has to be there once.
fn replaced(text: &str, old: &str, new: &str) -> String {
    assert_eq!(text.matches(old).count(), 1, "{old} in {text}");
    text.replace(old, new)
}

/// The name of the server in the document.
const NAME: &str = "cache.example.org";

/// A server that shows a set and is the cache of a team, and nginx in front of it.
struct Scene {
    set: Set,
    machine: Machine,
    /// Who may write everything.
    key: String,
    /// Where nginx is.
    url: String,
    _nginx: Server,
    _server: Server,
}

impl Scene {
    /// `None` where nginx or curl is not installed, outside of CI.
    fn new(set: Set) -> Option<Self> {
        if !require("curl") {
            return None;
        }
        let machine = Machine::new();
        let cache = machine.path("cache");
        let serve = |argument: &str| {
            let mut command = set.command(&["serve", argument, "--cache"]);
            command.arg(&cache);
            command
        };
        let key = run(serve("--init-key")).ok().stdout.trim().to_owned();
        fs::create_dir_all(set.data.root()).unwrap();
        let mut command = serve("--anonymous-reads");
        command.args(["--host", NAME]);
        let server = Server::larder(command);
        let directory = machine.path("nginx");
        fs::create_dir(&directory).unwrap();
        let [ca, certificate, private] =
            ["ca.pem", "cache.pem", "cache.key"].map(|name| directory.join(name));
        certify(&ca, &certificate, &private);
        let nginx = nginx::start(&directory, "master_process off;", |address| {
            let own = [
                ("listen 443 ssl;", &*format!("listen {address} ssl;")),
                ("server_name cache.example.org;", &format!("server_name localhost {NAME};")),
                ("/etc/ssl/cache.pem", certificate.to_str().unwrap()),
                ("/etc/ssl/cache.key", private.to_str().unwrap()),
                ("http://127.0.0.1:8080;", &format!("http://{};", server.address)),
            ];
            own.iter().fold(documented(), |text, (old, new)| replaced(&text, old, new))
        })?;
        let url = format!("https://localhost:{}", nginx.address.port());
        let scene = Self { set, machine, key, url, _nginx: nginx, _server: server };
        scene.configure(&format!("ca-certificates = {ca:?}"));
        Some(scene)
    }

    /// Makes nginx the service of the machine.
    fn configure(&self, more: &str) {
        let url = &self.url;
        self.machine.configure(&format!(
            "url = \"s3://larder\"\nendpoint = \"{url}\"\nanonymous-reads = true\n{more}"
        ));
    }

    /// curl that knows the authority.
    fn curl(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--fail", "--max-time", "60", "--cacert"]);
        command.arg(self.machine.path("nginx/ca.pem")).args(arguments);
        command
    }

    /// What curl that signs gets.
    fn signed(&self, arguments: &[&str], path: &str) -> Vec<u8> {
        let mut curl = self.curl(&["--aws-sigv4", "aws:amz:us-east-1:s3", "--user", &self.key]);
        let output = curl.args(arguments).arg(format!("{}{path}", self.url)).output().unwrap();
        assert!(output.status.success(), "{arguments:?} {path}: {output:?}");
        output.stdout
    }
}

/// Makes an authority, and a server's certificate that it signs.
fn certify(ca: &Path, certificate: &Path, private: &Path) {
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "an authority");
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned(), NAME.to_owned()]).unwrap();
    fs::write(ca, authority.pem()).unwrap();
    fs::write(certificate, params.signed_by(&key, &authority).unwrap().pem()).unwrap();
    fs::write(private, key.serialize_pem()).unwrap();
}

/// Content that nothing makes smaller.
fn random(bytes: usize) -> Vec<u8> {
    let mut content = vec![0; bytes];
    fastrand::fill(&mut content);
    content
}

#[test]
fn larder_puts_gets_and_builds_through_nginx() {
    const PLACE: [&str; 4] = ["--scope", "owner/demo", "--rev", "r1"];
    let Some(scene) = Scene::new(Set::new(&[])) else { return };
    let machine = &scene.machine;
    let tree = machine.path("work");
    files::write_all(
        &tree,
        &[
            (
                "larder.toml",
                "[package]\nname = \"demo\"\nversion = \"1.0.0\"\n\
                 [[executable]]\nname = \"demo\"\nsources = [\"a.c\"]\n\
                 [[command]]\nname = \"copy\"\ninputs = [\"large\"]\noutputs = [\"copy\"]\n\
                 run = [\"cp\", \"large\", \"{out}\"]\n",
            ),
            ("a.c", "int main(void) { return 0; }\n"),
        ],
    );
    let large = random(40 << 20);
    fs::write(tree.join("large"), &large).unwrap();
    let mappings = machine.path("outputs.jsonl");
    let mappings = mappings.to_str().unwrap();
    let larder = |arguments: &[&str]| {
        let mut command = machine.command(&tree, arguments);
        run(command.env("LARDER_CACHE_KEY", &scene.key)).ok()
    };
    let forget = || {
        files::remove_tree(&machine.path("store"));
        files::remove_tree(&tree.join(".larder"));
    };
    larder(&["build", "-q", "-o", mappings]);
    larder(&[&["cache", "put", mappings][..], &PLACE].concat());
    larder(&["cache", "services", "--check", "--write"]).mentions(&["read    works"]);

    forget();
    larder(&[&["cache", "get"][..], &PLACE].concat());
    larder(&["build", "--no-build"]);
    assert!(fs::read(tree.join(".larder/build/copy")).unwrap() == large);

    // The build itself asks the service.
    forget();
    larder(&[&["cache", "get", "--mappings-only"][..], &PLACE].concat());
    larder(&["build", "--no-build"]);
    assert!(fs::read(tree.join(".larder/build/copy")).unwrap() == large);

    // Nobody else's word is taken for who the server is.
    scene.configure("");
    let check = machine.command(&tree, &["cache", "services", "--check"]);
    run(check).ends_with(1).mentions(&["invalid peer certificate", "name it as `ca-certificates`"]);
    let get = machine.command(&tree, &[&["cache", "get"][..], &PLACE].concat());
    run(get).ends_with(1).mentions(&["invalid peer certificate", "name it as `ca-certificates`"]);
}

#[test]
fn the_server_answers_by_the_name_that_nginx_passes_on() {
    let Some(scene) = Scene::new(Set::new(&[])) else { return };
    let port = scene.url.rsplit(':').next().unwrap();
    let asked = |arguments: &[&str]| {
        let there = format!("{NAME}:{port}:127.0.0.1");
        let mut curl = scene.curl(&["--resolve", &there, "-o", "/dev/null", "-w", "%{http_code}"]);
        let url = format!("https://{NAME}:{port}/");
        String::from_utf8(curl.args(arguments).arg(url).output().unwrap().stdout).unwrap()
    };
    assert_eq!(asked(&[]), "200");
    assert_eq!(asked(&["-H", "Host: evil.example"]), "421");
}

#[test]
fn signed_curl_writes_and_reads_through_nginx() {
    let Some(scene) = Scene::new(Set::new(&[])) else { return };
    let content = random(40 << 20);
    let file = scene.machine.path("file");
    fs::write(&file, &content).unwrap();
    let sum = said("sha256sum", &[], &file);
    let payload = format!("x-amz-content-sha256: {}", &sum[..64]);
    let file = file.to_str().unwrap();
    scene.signed(&["-T", file, "-H", &payload], "/larder/site/a%20b");
    assert!(scene.signed(&[], "/larder/site/a%20b") == content);
    let part = scene.signed(&["-r", "20000000-20000999"], "/larder/site/a%20b");
    assert!(part == content[20_000_000..20_001_000]);
    let listed = scene.signed(&[], "/larder?list-type=2&prefix=site%2F");
    assert!(String::from_utf8(listed).unwrap().contains("<Key>site/a b</Key>"));
    let anonymous =
        scene.curl(&["-r", "-10", &format!("{}/larder/site/a%20b", scene.url)]).output();
    assert!(anonymous.unwrap().stdout == content[content.len() - 10..]);
    scene.signed(&["-X", "DELETE"], "/larder/site/a%20b");
    let refused = [&format!("{}/larder/site/a%20b", scene.url), "-w", "%{http_code}"];
    assert_eq!(scene.curl(&refused).output().unwrap().stdout, b"404");
}

#[test]
fn a_large_upload_that_is_refused_hears_so_through_nginx() {
    let Some(scene) = Scene::new(Set::new(&[])) else { return };
    let file = scene.machine.path("file");
    fs::write(&file, random(32 << 20)).unwrap();
    let file = file.to_str().unwrap();
    let url = format!("{}/larder/site/a", scene.url);
    for _ in 0..5 {
        let mut curl = scene.curl(&["-T", file, "-H", "Expect:", "-o", "/dev/null"]);
        let refused = curl.args(["-w", "%{http_code}", &url]).output().unwrap();
        assert_eq!(refused.stdout, b"403", "{refused:?}");
    }
}

/// nginx passes on what is said of a run when it is said.
#[test]
fn a_run_is_followed_through_nginx() {
    let set = Set::with_file("");
    let gate = set.outside().join("go");
    // It ends with the test, however that ends.
    let (there, go) = (set.outside().display(), gate.display());
    let waits = format!("while test -d {there} && ! test -e {go}; do sleep 0.05; done");
    set.write(&[Package::new("slow.1.0").line("echo begun").line(waits).line("echo over")]);
    let Some(scene) = Scene::new(set) else { return };
    let batch = spawn(scene.set.command(&["batch", "--no-sandbox", "-q"]));
    let log = || {
        let overview = scene.curl(&[&format!("{}/api/overview", scene.url)]).output().unwrap();
        let overview: Value = serde_json::from_slice(&overview.stdout).unwrap();
        let live = &overview["running"][0];
        let log = live["packages"][0]["log"].as_str()?.to_owned();
        Some((live["runId"].as_str()?.to_owned(), log))
    };
    let mut found = None;
    wait_until("the run has a log", || {
        found = log();
        found.is_some()
    });
    let (run, log) = found.unwrap();
    // curl gives up after a minute.
    let follow = |path: &str| {
        let mut curl = scene.curl(&["--no-buffer", &format!("{}{path}", scene.url)]);
        let mut child = curl.stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        (child, output)
    };
    let until = |reader: &mut BufReader<_>, what: &str| {
        let mut line = String::new();
        while !line.contains(what) {
            line.clear();
            assert!(reader.read_line(&mut line).unwrap() > 0, "it ended before {what}");
        }
    };
    let (mut client, mut events) = follow(&format!("/runs/{run}/events"));
    let (mut reader, mut lines) = follow(&format!("/runs/{run}/{log}.html"));
    until(&mut events, "event: progress");
    until(&mut lines, "begun</span>");
    fs::write(gate, "").unwrap();
    until(&mut lines, "over</span>");
    until(&mut events, "event: ended");
    for output in [&mut events, &mut lines] {
        output.read_to_end(&mut Vec::new()).unwrap();
    }
    for client in [&mut client, &mut reader] {
        assert!(client.wait().unwrap().success());
    }
    assert_eq!(batch.wait_with_output().unwrap().status.code(), Some(0));
}
