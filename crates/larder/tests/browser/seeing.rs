//! What is seen of each page, and by whom.

use fantoccini::key::Key;
use larder_testkit::{installed::from_npm, server::Server};

use crate::{
    browser::{Browser, Manner},
    pages::{self, pages},
    scene::{HOSTILE, Scene},
};

/// The text of hostile pages did nothing and became nothing.
#[track_caller]
fn nothing_ran(browser: &Browser, path: &str) {
    let harmed = browser.value("window.harmed === undefined");
    assert_eq!(harmed, true, "a script of others ran on {path}");
}

#[test]
fn every_page_says_what_it_should_and_runs_nothing_of_others() {
    let Some(browser) = Browser::start(Manner::Usual) else { return };
    let scene = Scene::build(HOSTILE);
    let server = Server::of(&scene.set);
    let own = |address: &String| address.starts_with(&server.at("/"));
    for page in pages(&scene) {
        browser.open(&server.at(&page.path));
        let text = browser.text();
        for fact in &page.facts {
            assert!(text.contains(fact), "{} does not say {fact:?}: {text}", page.name);
        }
        assert!(!text.contains('\u{202e}'), "{} may read backwards", page.name);
        assert_eq!(browser.texts("h1"), [page.heading], "{}", page.name);
        assert_eq!(browser.console(), [""; 0], "{}", page.name);
        let requests = browser.requests();
        assert!(requests.contains(&server.at(&page.path)), "{requests:?}");
        assert!(requests.iter().all(own), "{} asks others: {requests:?}", page.name);
        nothing_ran(&browser, &page.path);
        assert_eq!(browser.texts("main img:not(.badge), .harmed"), [""; 0], "{}", page.name);
    }

    browser.open(&server.at("/docs/p/zlib/1.3.1/index.html"));
    assert_eq!(browser.texts("h1, p"), ["zlib", "Compresses."]);
    assert_eq!(browser.console(), [""; 0]);
    // It may be any page; it is shut in.
    browser.open(&server.at("/docs/p/notes/0.3/index.html"));
    assert_eq!(browser.texts("h1"), ["Notes"]);
    assert_eq!(browser.value("origin"), "null");
    nothing_ran(&browser, "documentation");
    assert!(browser.requests().iter().all(own));
}

#[test]
fn lines_of_a_log_follow_each_other_and_the_marked_one_is_marked_as_far_as_it_goes() {
    let Some(browser) = Browser::start(Manner::Usual) else { return };
    let scene = Scene::build(&"long ".repeat(100));
    let server = Server::of(&scene.set);
    browser.open(&server.at(&scene.hostile_log()));
    let place = |line: &str, side: &str| {
        let place = format!("document.getElementById('{line}').getBoundingClientRect().{side}");
        browser.value(&place).as_f64().unwrap()
    };
    assert_eq!(place("L1", "bottom"), place("L2", "top"));
    assert_eq!(browser.texts("pre.log .marked > a"), ["13"]);
    assert!(place("L13", "width") > 3_000.0, "{}", place("L13", "width"));
    browser.click("main p a[href='#L13']");
    assert!(browser.address().ends_with("#L13"));
}

/// Finds what is wrong for those who cannot see a page well.
const AXE: &str = "return axe.run(document, { resultTypes: ['violations'] }).then((found) => found.violations
    .filter((it) => ['serious', 'critical'].includes(it.impact))
    .map((it) => `${it.id}: ${it.nodes.map((node) => `${node.html} ${node.failureSummary}`).join('\\n')}`))";

#[test]
fn every_page_can_be_read_by_everybody() {
    let Some(browser) = Browser::start(Manner::Usual) else { return };
    let Some(axe) = from_npm("axe-core", "4.11.1") else { return };
    let axe = std::fs::read_to_string(axe.join("axe.min.js")).unwrap();
    let scene = Scene::build(HOSTILE);
    let server = Server::of(&scene.set);
    let mut wrong = Vec::new();
    for page in pages(&scene) {
        browser.open(&server.at(&page.path));
        browser.execute("document.querySelectorAll('details').forEach((it) => it.open = true)");
        browser.execute(&axe);
        for scheme in ["light", "dark"] {
            browser.prefer(scheme);
            let found = browser.execute(AXE);
            let found = found.as_array().unwrap().iter();
            wrong.extend(found.map(|it| format!("{}, {scheme}: {it:#}", page.name)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn pages_suit_the_dark_a_phone_and_a_keyboard() {
    let Some(browser) = Browser::start(Manner::Usual) else { return };
    let scene = Scene::build(HOSTILE);
    let server = Server::of(&scene.set);
    let ground = "getComputedStyle(document.body).backgroundColor";
    browser.resize(360, 740);
    for page in pages(&scene) {
        browser.open(&server.at(&page.path));
        browser.execute("document.querySelectorAll('details').forEach((it) => it.open = true)");
        let width = browser.value("document.documentElement.scrollWidth");
        assert_eq!(width, 360, "{} scrolls sideways", page.name);
        browser.prefer("light");
        assert_eq!(browser.value(ground), "rgb(255, 255, 255)", "{}", page.name);
        browser.prefer("dark");
        assert_eq!(browser.value(ground), "rgb(20, 24, 28)", "{}", page.name);
    }

    browser.open(&server.at("/"));
    let focused = || browser.value("document.activeElement.textContent");
    browser.press(Key::Tab);
    assert_eq!(focused(), "Skip to the content");
    assert_eq!(browser.value("document.activeElement.getBoundingClientRect().left >= 0"), true);
    browser.press(Key::Tab);
    assert_eq!(focused(), "Harbour");
    for name in pages::NAVIGATION {
        browser.press(Key::Tab);
        assert_eq!(focused(), name);
    }
    browser.open(&server.at("/"));
    browser.press(Key::Tab);
    browser.press(Key::Enter);
    assert!(browser.address().ends_with("/#content"), "{}", browser.address());
    // What is in the content comes next, not the navigation.
    browser.press(Key::Tab);
    assert_eq!(browser.value("document.activeElement.closest('main') !== null"), true);
}
