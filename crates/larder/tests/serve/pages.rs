//! What pages say, and that the JSON says the same.

use std::collections::BTreeSet;

use larder_testkit::{
    server::Server,
    set::{Package, Set},
};
use serde_json::Value;

use super::client::{Client, broken_set};

#[test]
fn every_page_is_there_for_people_and_for_programs() {
    let set = broken_set();
    let server = Server::of(&set);
    let runs = server.get("/api/runs").ok().json();
    let id = |at: usize| runs["runs"][at]["runId"].as_str().unwrap().to_owned();
    let (last, first) = (id(0), id(1));
    let compare = format!("/compare?base={first}&candidate={last}");
    for (path, says) in [
        ("/", "5 packages"),
        ("/packages", "5 of 5 packages"),
        ("/packages/", "5 of 5 packages"),
        ("/packages/root.1.0", "Why it does not work"),
        ("/packages/leaf.1.0", "Because of"),
        ("/runs", &last),
        (&format!("/runs/{last}"), "What failed"),
        (&compare, "fail now and did not"),
        ("/maintainers", "Ana"),
        ("/maintainers/ana@example.org", "root.1.0"),
        ("/cache", "Hit rate"),
        ("/locks", "Locks"),
        ("/docs", "middle"),
    ] {
        let page = server.get(path).ok();
        assert!(page.text().contains(says), "{path} does not say {says}: {}", page.text());
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
        let api = if path == "/" { "/api/overview".to_owned() } else { format!("/api{path}") };
        let json = server.get(&api).ok();
        assert_eq!(json.header("content-type"), "application/json");
        assert!(json.json().is_object(), "{api}");
    }
    for (path, kind) in [
        ("/feed.atom", "application/atom+xml"),
        ("/maintainers/bo@example.org/feed.atom", "application/atom+xml"),
        ("/packages/root.1.0/badge.svg", "image/svg+xml"),
        ("/packages/root.1.0/badge.json", "application/json"),
        ("/metrics", "text/plain; version=0.0.4; charset=utf-8"),
        ("/healthz", "text/plain; charset=utf-8"),
        ("/docs/p/middle/1.0/index.html", "text/html; charset=utf-8"),
        ("/docs/p/middle/1.0/", "text/html; charset=utf-8"),
    ] {
        assert_eq!(server.get(path).ok().header("content-type"), kind, "{path}");
    }
    let feed = server.get("/feed.atom").ok();
    assert!(feed.text().contains("root.1.0 broke (build)"), "{}", feed.text());
    let badge = server.get("/packages/root.1.0/badge.json").ok().json();
    assert_eq!((&badge["message"], &badge["isError"]), (&"fails".into(), &true.into()));
    // Links of an index begin in its directory.
    let moved = server.get("/docs/p/middle/1.0?x=1");
    assert_eq!((moved.status, moved.header("location")), (308, "/docs/p/middle/1.0/?x=1"));
}

#[test]
fn numbers_add_up() {
    let set = broken_set();
    let server = Server::of(&set);
    let overview = server.get("/api/overview").ok().json();
    let number =
        |of: &Value, name: &str| of[name].as_u64().unwrap_or_else(|| panic!("{name}: {of}"));
    let numbers = &overview["numbers"];
    let states = ["worked", "failed", "blocked", "unsolved", "unknown"];
    let sum: u64 = states.iter().map(|state| number(numbers, &format!("{state}Packages"))).sum();
    assert_eq!((number(numbers, "packages"), sum), (5, 5));
    for (stage, totals) in overview["stages"].as_object().unwrap() {
        for parts in ["byStatus", "byCategory"] {
            let sum: u64 =
                totals[parts].as_object().unwrap().values().filter_map(Value::as_u64).sum();
            assert_eq!(number(totals, "total"), sum, "{parts} of {stage}");
        }
    }
    // Each choice of a filter says how many packages it leaves.
    let packages = server.get("/api/packages").ok().json();
    for (key, choices) in
        [("status", "states"), ("category", "categories"), ("compiler", "compilers")]
    {
        for (value, count) in packages["choices"][choices].as_object().unwrap() {
            let left = server.get(&format!("/api/packages?{key}={value}")).ok().json();
            assert_eq!(&left["found"], count, "{key}={value}");
        }
    }
    // The run, the list and the metrics say the same of the same.
    let runs = server.get("/api/runs").ok().json();
    let last = &runs["runs"][0]["packages"];
    let metrics = server.get("/metrics").ok();
    for state in ["worked", "failed", "blocked", "unsolved"] {
        let packages = number(numbers, &format!("{state}Packages"));
        assert_eq!(number(last, state), packages, "{state}");
        let line = format!("larder_packages{{state=\"{state}\"}} {packages}\n");
        assert!(metrics.text().contains(&line), "{line}: {}", metrics.text());
    }
    shares_are_those_of_the_pages(&server);
    // Two runs beside each other.
    let id = |at: usize| runs["runs"][at]["runId"].as_str().unwrap().to_owned();
    let compare = format!("/api/compare?base={}&candidate={}", id(1), id(0));
    let compare = server.get(&compare).ok().json();
    let counts = compare["counts"].as_object().unwrap();
    let parts = counts.iter().filter(|(name, _)| *name != "total");
    let sum: u64 = parts.filter_map(|(_, count)| count.as_u64()).sum();
    assert_eq!(counts["total"].as_u64(), Some(sum));
    assert!(compare["reproduce"].as_str().unwrap().contains("larder rerun root.1.0"), "{compare}");
}

/// The shares of those who maintain packages are those that their pages show.
fn shares_are_those_of_the_pages(server: &Server) {
    let people = server.get("/api/maintainers").ok().json();
    let people = people["maintainers"].as_array().unwrap();
    assert_eq!(people.len(), 2);
    for person in people {
        let slug = person["slug"].as_str().unwrap();
        let page = server.get(&format!("/api/maintainers/{slug}")).ok().json();
        let own = page["packages"].as_array().unwrap();
        let not_working = own.iter().filter(|row| row["state"] != "worked").count();
        assert_eq!(person["packages"].as_u64(), Some(own.len() as u64), "{slug}");
        assert_eq!(person["notWorking"].as_u64(), Some(not_working as u64), "{slug}");
    }
}

#[test]
fn versions_are_in_their_order() {
    let versions = ["lib.1.9", "lib.1.10", "lib.1.10~rc1", "lib.1.9.1"];
    let set = Set::new(
        &versions.map(|package| Package::new(package).docs("echo '<p>' > {docs}/index.html")),
    );
    set.larder(&[&["batch"], &versions[..]].concat()).ok();
    let server = Server::of(&set);
    let newest_first = ["1.10", "1.10~rc1", "1.9.1", "1.9"];
    let docs = server.get("/api/docs").ok().json();
    let documented = docs["packages"][0]["versions"].as_array().unwrap().iter();
    let documented: Vec<&str> = documented.map(|it| it["version"].as_str().unwrap()).collect();
    assert_eq!(documented, newest_first);
    for version in docs["packages"][0]["versions"].as_array().unwrap() {
        server.get(version["path"].as_str().unwrap()).ok();
    }
    let lib = server.get("/api/packages/lib.1.9").ok().json();
    assert_eq!(lib["versions"], serde_json::json!(newest_first.map(|it| format!("lib.{it}"))));
    let list = server.get("/api/packages").ok().json();
    let rows = list["packages"].as_array().unwrap().iter();
    let listed: Vec<&str> = rows.map(|row| row["package"].as_str().unwrap()).collect();
    assert_eq!(listed, ["lib.1.9", "lib.1.9.1", "lib.1.10~rc1", "lib.1.10"]);
}

#[test]
fn a_package_says_what_it_needs_and_how_its_failure_began() {
    let set = broken_set();
    let server = Server::of(&set);
    let names = |of: &Value| -> Vec<String> {
        of.as_array().unwrap().iter().map(|it| it["package"].as_str().unwrap().to_owned()).collect()
    };
    let middle = server.get("/api/packages/middle.1.0").ok().json();
    assert_eq!(names(&middle["needs"]), ["root.1.0"]);
    assert_eq!(names(&middle["users"]), ["leaf.1.0"]);
    assert_eq!(middle["documentation"], "/docs/p/middle/1.0/index.html");
    let root = server.get("/api/packages/root.1.0").ok().json();
    let first = &root["firstFailures"][0];
    let runs = server.get("/api/runs").ok().json();
    assert_eq!(first["run"], runs["runs"][0]["runId"]);
    assert_eq!(first["workedIn"], runs["runs"][1]["runId"]);
    assert_eq!(first["otherBuild"], true, "its sources are others: {first}");
    assert_eq!(first["otherUniverse"], false);
    assert_eq!(root["unblocksPackages"], 2);
    assert_eq!(root["maintainers"][0], "ana@example.org");
    let overview = server.get("/api/overview").ok().json();
    assert_eq!(overview["mendFirst"][0]["roots"][0][0], "root.1.0");
    assert_eq!(overview["changes"][0]["toStatus"], "failure", "what broke stands first");
}

#[test]
fn a_log_has_anchors_the_line_that_decided_and_nothing_that_runs() {
    let set = broken_set();
    let server = Server::of(&set);
    let root = server.get("/api/packages/root.1.0").ok().json();
    let builds = root["builds"].as_array().unwrap();
    let failed = builds.iter().find(|it| it["category"] == "build_failure").unwrap();
    let (run, log) = (failed["run"].as_str().unwrap(), &failed["log"]);
    let path = format!("/runs/{run}/{}", log["path"].as_str().unwrap());
    let raw = server.get(&path).ok();
    assert_eq!(raw.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(raw.header("x-content-type-options"), "nosniff");
    assert!(raw.text().contains("<script>"));
    let page = server.get(&format!("{path}.html")).ok();
    let line = log["line"].as_u64().unwrap();
    let marked = format!("<span id=\"L{line}\" class=\"marked\">");
    let shown = page.text().lines().find(|it| it.contains(&marked)).unwrap();
    assert!(shown.contains("error: &lt;script&gt;alert(1)&lt;/script&gt;"), "{shown}");
    assert!(raw.text().lines().nth(line as usize - 1).unwrap().contains("error:"));
    // A run that believes the failure has no log of its own, and leads to that of the run which saw it.
    set.larder(&["batch"]).ends_with(1);
    let last = set.last_run();
    assert_ne!(last, run);
    let compare = format!("/compare?base={run}&candidate={last}");
    for from in ["/packages/root.1.0", &format!("/runs/{last}"), &compare] {
        let page = loop {
            let page = server.get(from);
            if page.status == 200 {
                break page;
            }
        };
        assert!(page.text().contains(&format!("{path}.html#L{line}")), "{from}: {}", page.text());
    }
}

/// Has each type say that it has no other fields than those it names: where it says nothing, it means any.
fn strict(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            // Fields beside a reference are told apart from those of the reference after both are known.
            if fields.contains_key("properties") {
                fields.entry("unevaluatedProperties").or_insert(Value::Bool(false));
            }
            fields.values_mut().for_each(strict);
        }
        Value::Array(items) => items.iter_mut().for_each(strict),
        _ => {}
    }
}

/// Every address that the description has is answered with just what it says, in every depth, and the description has
/// every page.
#[test]
fn the_description_of_the_json_is_true() {
    let set = broken_set();
    set.larder(&["batch", "--compare", "HEAD", "HEAD"]);
    let server = Server::of(&set);
    let mut description = server.get("/api/openapi.json").ok().json();
    let described = description["paths"].as_object().unwrap().clone();
    strict(&mut description["components"]);
    let mut schemas = boon::Compiler::new();
    schemas.set_default_draft(boon::Draft::V2020_12);
    schemas.add_resource("http://larder/openapi.json", description).unwrap();
    let mut compiled = boon::Schemas::new();
    let runs = server.get("/api/runs").ok().json();
    let id = |at: usize| runs["runs"][at]["runId"].as_str().unwrap().to_owned();
    let query = format!("?base={}&candidate={}", id(1), id(0));
    let mut asked = BTreeSet::new();
    let mut check = |path: &str, address: &str| {
        let pointer = path.replace('/', "~1").replace('{', "%7B").replace('}', "%7D");
        let place = format!(
            "http://larder/openapi.json#/paths/{pointer}/get/responses/200/content/application~1json/schema"
        );
        let schema =
            schemas.compile(&place, &mut compiled).unwrap_or_else(|error| panic!("{error:#}"));
        let answer = server.get(address).ok().json();
        compiled.validate(&answer, schema).unwrap_or_else(|error| panic!("{address}: {error:#}"));
        asked.insert(path.to_owned());
    };
    for path in ["overview", "packages", "runs", "maintainers", "cache", "locks", "docs"] {
        check(&format!("/api/{path}"), &format!("/api/{path}"));
    }
    for package in ["root.1.0", "middle.1.0", "leaf.1.0", "lost.1.0", "other.1.0"] {
        check("/api/packages/{package}", &format!("/api/packages/{package}"));
    }
    for run in runs["runs"].as_array().unwrap() {
        check("/api/runs/{run}", &format!("/api/runs/{}", run["runId"].as_str().unwrap()));
    }
    check("/api/maintainers/{maintainer}", "/api/maintainers/ana@example.org");
    check("/api/compare", &format!("/api/compare{query}"));
    assert!(described.keys().eq(&asked), "{described:?}");
    for (address, status) in [
        ("/api/packages/nobody.1.0", 404),
        ("/api/maintainers/nobody@example.org", 404),
        ("/api/runs/2020-01-01-000000", 404),
        ("/api/packages/..", 400),
        ("/api/packages?sort=wrong", 400),
        ("/api/compare?base=x", 400),
    ] {
        let answer = server.get(address);
        assert_eq!(
            (answer.status, answer.json()["error"].is_string()),
            (status, true),
            "{address}"
        );
    }
}

#[test]
fn what_a_browser_has_is_not_sent_again() {
    let set = broken_set();
    let server = Server::of(&set);
    let tag = server.get("/packages").ok().header("etag").to_owned();
    let ask = |tag: &str| {
        let request = format!(
            "GET /packages HTTP/1.1\r\nhost: x\r\nif-none-match: {tag}\r\nconnection: close\r\n\r\n"
        );
        server.ask(request)
    };
    let same = ask(&tag);
    assert_eq!((same.status, same.body.len()), (304, 0));
    // As a proxy calls it that compresses what it passes on.
    assert_eq!(ask(&format!("\"other\", W/{tag}")).status, 304);
    assert_eq!(ask("\"other\"").status, 200);
    // What a run changes is seen, and has another tag.
    set.file("sources/root.1.0/state", "good again");
    set.larder(&["batch"]).ends_with(1);
    let changed = loop {
        let answer = ask(&tag);
        if answer.status == 200 {
            break answer;
        }
    };
    assert_ne!(changed.header("etag"), tag);
    assert_eq!(server.get("/api/overview").ok().json()["numbers"]["workedPackages"], 4);
}
