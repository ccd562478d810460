//! The site as files.

use std::{collections::BTreeSet, fs, path::Path};

use larder_testkit::{files, server::Server};

use super::client::{Client, broken_set};

/// The addresses in the attributes of a page that lead to other files.
fn links(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    for attribute in ["href=\"", "src=\"", "action=\""] {
        for rest in page.split(attribute).skip(1) {
            let address = rest.split('"').next().unwrap();
            found.push(address.replace("&amp;", "&"));
        }
    }
    found
}

/// Checks that every link of an export leads to one of its files; returns how many pages there are.
fn check_links(site: &Path) -> usize {
    let mut pages = 0;
    for (path, content) in &files::contents(site) {
        let is_page = matches!(path.extension().and_then(|it| it.to_str()), Some("html" | "atom"));
        // What others wrote leads where it leads.
        if !is_page || path.starts_with("docs/p") || path.starts_with("docs/u") {
            continue;
        }
        pages += 1;
        let page = String::from_utf8(content.clone()).unwrap();
        for address in links(&page) {
            let file = address.split(['#', '?']).next().unwrap();
            let here = path.display();
            assert!(!file.starts_with('/') && !file.contains("://"), "{here}: {address}");
            if file.is_empty() {
                continue;
            }
            let target =
                site.join(path.strip_prefix(site).unwrap_or(path)).parent().unwrap().join(file);
            assert!(target.is_file(), "{here} leads to {address}");
        }
    }
    pages
}

#[test]
fn no_link_leads_to_what_was_collected() {
    let set = broken_set();
    for time in 0..3 {
        set.file("sources/root.1.0/README", &format!("edit {time}"));
        set.larder(&["batch"]).ends_with(1);
    }
    let runs = || fs::read_dir(set.data.runs()).unwrap().count();
    let before = runs();
    set.larder(&["gc", "--keep-runs", "1"]).ok();
    assert!(runs() < before, "{before} runs");
    let server = Server::of(&set);
    let (mut seen, mut open) = (BTreeSet::new(), vec!["/".to_owned()]);
    while let Some(address) = open.pop() {
        let path = address.split('#').next().unwrap().to_owned();
        if !path.starts_with('/') || !seen.insert(path.clone()) {
            continue;
        }
        let answer = server.get(&path);
        assert!(answer.status < 400, "{path}: {}", answer.status);
        // What others wrote leads where it leads.
        if answer.header("content-type").starts_with("text/html") && !path.starts_with("/docs/") {
            open.extend(links(answer.text()));
        }
    }
    assert!(seen.len() > 30, "{seen:?}");
    let site = set.outside().join("site");
    set.larder(&["serve", "--export", site.to_str().unwrap()]).ok();
    assert!(check_links(&site) > 15);
}

#[test]
fn every_link_of_an_export_leads_to_one_of_its_files() {
    let set = broken_set();
    let site = set.outside().join("site");
    let export = || {
        let run = set.larder(&["serve", "--json", "--export", site.to_str().unwrap()]).ok();
        let event = run.events().pop().unwrap();
        assert_eq!(event["event"], "exported");
        ["files", "written", "removed"].map(|name| event[name].as_u64().unwrap())
    };
    let [all, written, removed] = export();
    assert_eq!((all, removed), (written, 0));
    let there = files::contents(&site);
    let count = there.keys().filter(|path| site.join(path).is_file()).count() as u64;
    assert_eq!(count, all + 1, "all files and their list");
    let pages = check_links(&site);
    assert!(pages > 15, "{pages}");
    for file in [
        "index.html",
        "packages/root.1.0/index.html",
        "packages/root.1.0/badge.svg",
        "api/overview.json",
        "api/packages/root.1.0.json",
        "feed.atom",
        "api/openapi.json",
    ] {
        assert!(site.join(file).is_file(), "{file}");
    }
    // The log of what fails is there, with the line that decided.
    let root = fs::read_to_string(site.join("packages/root.1.0/index.html")).unwrap();
    assert!(root.contains(".log.html#L"), "{root}");

    // What has not changed is not written again.
    let times = |directory: &Path| -> BTreeSet<_> {
        files::tree(directory).into_iter().map(|(path, (_, time, _))| (path, time)).collect()
    };
    let before = times(&site);
    assert_eq!(export(), [all, 0, 0]);
    assert_eq!(times(&site), before);

    // What is no more goes, and nothing else does.
    fs::write(site.join("CNAME"), "example.org").unwrap();
    let run = set.last_run();
    fs::remove_dir_all(set.data.runs().join(&run)).unwrap();
    let [_, written, removed] = export();
    assert!(written > 0 && removed > 0, "{written} {removed}");
    assert!(!site.join("runs").join(&run).exists());
    assert!(site.join("CNAME").is_file());
}

#[test]
fn documentation_of_an_export_runs_nothing() {
    let set = broken_set();
    let html = set.data.html();
    let hostile = "\u{feff}<html><head><script>document.title = 'ran'</script></head>";
    for (path, content) in [
        ("p/middle/1.0/hostile.html", hostile),
        ("p/middle/1.0/style.css", "p { color: red }"),
        ("p/middle/1.0/runs.js", "alert(1)"),
        ("p/middle/1.0/runs.svg", "<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"),
        ("p/middle/1.0/.hidden.html", "<p>"),
        ("p/middle/1.0/unknown.xhtml", "<p>"),
        ("u/abc/middle/1.0/index.html", "<p>other"),
    ] {
        fs::create_dir_all(html.join(path).parent().unwrap()).unwrap();
        fs::write(html.join(path), content).unwrap();
    }
    std::os::unix::fs::symlink("/etc/passwd", html.join("p/middle/1.0/passwd.txt")).unwrap();
    let site = set.outside().join("site");
    set.larder(&["serve", "--export", site.to_str().unwrap()]).ok();
    let there = files::contents(&site.join("docs"));
    let there: Vec<&str> = there.keys().filter_map(|it| it.to_str()).collect();
    let there: Vec<&str> =
        there.into_iter().filter(|it| site.join("docs").join(it).is_file()).collect();
    let expected = [
        "index.html",
        "p/middle/1.0/hostile.html",
        "p/middle/1.0/index.html",
        "p/middle/1.0/style.css",
        "u/abc/middle/1.0/index.html",
    ];
    assert_eq!(there, expected);
    let page = fs::read_to_string(site.join("docs/p/middle/1.0/hostile.html")).unwrap();
    let policy = page.find("Content-Security-Policy").unwrap();
    assert!(policy < page.find("<script>").unwrap() && !page.contains('\u{feff}'), "{page}");
    let list = fs::read_to_string(site.join("docs/index.html")).unwrap();
    for link in ["../docs/p/middle/1.0/index.html", "../docs/u/abc/middle/1.0/index.html"] {
        assert!(list.contains(link), "{list}");
    }
}

#[test]
fn an_export_takes_no_directory_that_is_used_for_something_else() {
    let set = broken_set();
    set.file("mine/index.html", "mine");
    let run = set.larder(&["serve", "--export", "mine"]).ends_with(2);
    run.mentions(&["has files that no export wrote", "name a new directory"]);
    assert_eq!(fs::read_to_string(set.root.join("mine/index.html")).unwrap(), "mine");
    set.larder(&["serve", "--export", "x", "--listen", "127.0.0.1:0"]).ends_with(2);
    set.larder(&["serve", "--listen", "nowhere"]).ends_with(2);
}
