//! The site as files, on a web server of others.

use std::{
    collections::BTreeMap,
    fs,
    path::{Component, Path, PathBuf},
    process::Command,
};

use larder_testkit::{
    files::walk,
    server::{Says, Server},
};

use crate::{
    browser::{Browser, Manner},
    pages::pages,
    scene::{HOSTILE, Scene},
};

/// What stands in attributes of a page that lead elsewhere.
fn links(page: &str) -> Vec<&str> {
    let attributes = ["href=\"", "src=\"", "action=\""];
    let found = attributes.iter().flat_map(|attribute| page.split(attribute).skip(1));
    found.map(|rest| rest.split('"').next().unwrap()).collect()
}

/// The file that a link leads to, by the page that it stands on.
fn target(page: &Path, link: &str) -> PathBuf {
    let path = link.split(['?', '#']).next().unwrap();
    let mut file = page.parent().unwrap().to_owned();
    for part in Path::new(path).components() {
        match part {
            Component::ParentDir => assert!(file.pop(), "{link} leads out"),
            Component::Normal(name) => file.push(name),
            other => panic!("{link} has {other:?}"),
        }
    }
    if path.is_empty() { page.to_owned() } else { file }
}

/// A plain web server of others, showing the files of a directory.
fn web_server(directory: &Path) -> Server {
    let mut command = Command::new("python3");
    command.args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory"]);
    command.arg(directory);
    Server::start(command, Says::OnOutput, |line| {
        line.split_once("(http://")?.1.split_once('/')?.0.parse().ok()
    })
}

#[test]
fn files_show_what_the_server_shows() {
    let Some(browser) = Browser::start(Manner::Usual) else { return };
    let scene = Scene::build(HOSTILE);
    let directory = scene.set.outside().join("site");
    let to = directory.to_str().unwrap();
    scene.set.larder(&["serve", "--export", to]).ok();
    let (server, files) = (Server::of(&scene.set), web_server(&directory));
    let own = |address: &String| address.starts_with(&files.at("/"));
    let mut shown = 0;
    for page in pages(&scene) {
        let Some(path) = &page.exported else { continue };
        let headings = |address: &str| {
            browser.open(address);
            (browser.texts("h1"), browser.texts("main h2"), browser.texts("main tbody th"))
        };
        let wanted = headings(&server.at(&page.path));
        assert_eq!(wanted.0, [page.heading], "{}", page.name);
        browser.requests();
        assert_eq!(headings(&files.at(path)), wanted, "{}", page.name);
        let requests = browser.requests();
        assert!(requests.iter().all(own), "{} asks others: {requests:?}", page.name);
        assert_eq!(browser.console(), [""; 0], "{}", page.name);
        assert_eq!(browser.value("window.harmed === undefined"), true, "{}", page.name);
        shown += 1;
    }
    assert!(shown > 8, "{shown}");

    // Whoever serves it: documentation runs nothing, and is shown.
    browser.open(&files.at("/docs/p/notes/0.3/index.html"));
    assert_eq!(browser.texts("h1"), ["Notes"]);
    assert_eq!(browser.value("window.harmed === undefined"), true);
    assert_eq!(browser.value("document.compatMode"), "CSS1Compat");
    assert!(browser.requests().iter().all(own));
    browser.open(&files.at("/docs/p/zlib/1.3.1/index.html"));
    assert_eq!(browser.texts("h1, p"), ["zlib", "Compresses."]);
    assert_eq!(browser.value("document.title"), "zlib");

    // The rows that are there are filtered.
    browser.open(&files.at("/packages/?status=unsolved"));
    assert_eq!(browser.texts("#packages tbody tr:not([hidden]) th"), ["museum.1.0"]);
    // So are those of comparisons: as the server does it.
    let (base, candidate) = scene.last_two();
    let file = format!("/compare/{base}/{candidate}/?");
    let page = format!("/compare?base={base}&candidate={candidate}&");
    let compare = [
        "change=new-failure&compiler=gcc.1",
        "change=still-failing&category=build_failure",
        "maintainer=ana%40example.org",
    ];
    let run = format!("/runs/{}", scene.comparison);
    let verdicts = ["verdict=regressed", "verdict=broken-before&category=build_failure"];
    let lists: [(_, _, _, &[&str]); 2] = [
        ("changes", file, page, &compare),
        ("verdicts", format!("{run}/?"), format!("{run}?"), &verdicts),
    ];
    for (id, file, page, own) in lists {
        let both = ["", "differ=yes", "q=TOO+FEW", "q=codec", "category=odd"];
        for query in own.iter().copied().chain(both) {
            let shown = |address: String| {
                browser.open(&address);
                browser.texts(&format!("#{id} tbody tr:not([hidden]) th"))
            };
            let wanted = shown(server.at(&format!("{page}{query}")));
            assert_eq!(shown(files.at(&format!("{file}{query}"))), wanted, "{page}{query}");
        }
    }
}

#[test]
fn every_link_of_an_export_leads_to_a_file() {
    let scene = Scene::build(HOSTILE);
    let directory = scene.set.outside().join("site");
    scene.set.larder(&["serve", "--export", directory.to_str().unwrap()]).ok();
    let mut broken: BTreeMap<String, PathBuf> = BTreeMap::new();
    let mut seen = 0;
    walk(&directory, &mut |_, page| {
        let is_of_others = page.starts_with(directory.join("docs/p"));
        if page.extension().is_none_or(|kind| kind != "html") || is_of_others {
            return;
        }
        let text = fs::read_to_string(page).unwrap();
        for link in links(&text) {
            seen += 1;
            let file = target(page, link);
            if !file.is_file() {
                broken.insert(link.to_owned(), page.to_owned());
            }
        }
    });
    assert!(seen > 500, "{seen}");
    assert!(broken.is_empty(), "{broken:#?}");
}
