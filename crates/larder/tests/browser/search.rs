//! Finding packages, with scripts and without.

use larder_testkit::{server::Server, wait::wait_until};

use crate::{
    browser::{Browser, Manner},
    scene::{HOSTILE, Scene},
};

/// The packages of the list that are shown.
fn listed(browser: &Browser) -> Vec<String> {
    browser.texts("#packages tbody tr:not([hidden]) th")
}

#[test]
fn packages_are_found_as_one_types() {
    let Some(browser) = Browser::start(Manner::Usual) else { return };
    let scene = Scene::build("expected ';'");
    let server = Server::of(&scene.set);
    browser.open(&server.at("/packages"));
    assert_eq!(listed(&browser).len(), 21);
    browser.execute("window.same = true");
    browser.type_into("input[name=q]", "er.");
    let found =
        ["exporter.0.2", "mixer.1.1", "parser.0.9", "player.1.1", "reader.3.1", "viewer.2.0"];
    wait_until("only those are listed", || listed(&browser) == found);
    assert!(browser.address().ends_with("/packages?q=er."), "{}", browser.address());
    browser.type_into("select[name=status]", "bl");
    let blocked = ["exporter.0.2", "mixer.1.1", "player.1.1", "reader.3.1"];
    wait_until("blocked ones are listed", || listed(&browser) == blocked);
    assert_eq!(browser.value("window.same"), true, "it is the page that was opened");
    // The address leads to the same again.
    let before = listed(&browser);
    browser.open(&browser.address());
    assert_eq!(listed(&browser), before);

    // So are the rows of a comparison.
    let (base, candidate) = scene.last_two();
    browser.open(&server.at(&format!("/compare?base={base}&candidate={candidate}")));
    let rows = || browser.texts("#changes tbody tr:not([hidden]) th");
    let all = rows();
    assert!(
        all.contains(&"parser.0.9".to_owned()) && all.contains(&"clock.1.2".to_owned()),
        "{all:?}"
    );
    browser.execute("window.same = true");
    browser.type_into("select[name=change]", "new");
    wait_until("only those are shown", || rows() == ["clock.1.2"]);
    let asked = format!("/compare?base={base}&candidate={candidate}&change=new-failure");
    assert!(browser.address().ends_with(&asked), "{}", browser.address());
    browser.click("select[name=change] option[value='']");
    browser.type_into("input[name=q]", "Expected ';'");
    wait_until("those with the error are shown", || rows() == ["parser.0.9"]);
    assert_eq!(browser.value("window.same"), true, "it is the page that was opened");
    // And the verdicts of one with evidence.
    browser.open(&server.at(&format!("/runs/{}", scene.comparison)));
    browser.type_into("input[name=q]", "V8SI");
    let verdicts = || browser.texts("#verdicts tbody tr:not([hidden]) th");
    wait_until("only those are shown", || verdicts() == ["codec.2.4"]);
    assert_eq!(browser.console(), [""; 0]);
}

/// What somebody may have written into an address is shown as what it is.
#[test]
fn a_query_runs_nothing() {
    let Some(browser) = Browser::start(Manner::Usual) else { return };
    let scene = Scene::build("expected ';'");
    let server = Server::of(&scene.set);
    let (base, candidate) = scene.last_two();
    let hostile: String =
        url::form_urlencoded::byte_serialize(format!("\">{HOSTILE}").as_bytes()).collect();
    for (page, kind) in [
        (format!("/compare?base={base}&candidate={candidate}&"), "change"),
        (format!("/runs/{}?", scene.comparison), "verdict"),
    ] {
        let keys = ["q", kind, "category", "compiler", "maintainer", "differ", "sort", "page"];
        for key in keys {
            browser.open(&server.at(&format!("{page}{key}={hostile}")));
            assert_eq!(browser.texts("main img, .harmed"), [""; 0], "{page}{key}");
            assert_eq!(browser.value("window.harmed === undefined"), true, "{page}{key}");
            // It was asked for, or it was refused: either way the text is there.
            let shown = browser.value("document.querySelector('main').outerHTML");
            assert!(shown.as_str().unwrap().contains("window.harmed=1"), "{page}{key}: {shown}");
        }
    }
}

#[test]
fn packages_are_found_without_scripts() {
    let Some(browser) = Browser::start(Manner::WithoutScripts) else { return };
    let scene = Scene::build("expected ';'");
    let server = Server::of(&scene.set);
    browser.open("data:text/html,<title>before</title><script>document.title = 'ran'</script>");
    assert_eq!(browser.title(), "before");
    browser.open(&server.at("/packages"));
    browser.type_into("input[name=q]", "er.");
    browser.click("select[name=status] option[value=failed]");
    assert_eq!(listed(&browser).len(), 21);
    browser.click("form.filter button");
    wait_until("the answer is there", || browser.address().contains("q=er."));
    assert_eq!(listed(&browser), ["parser.0.9"]);
    browser.click("#packages th a");
    browser.waits_for("Why it does not work");
}

#[test]
fn rows_of_comparisons_are_found_without_scripts() {
    let Some(browser) = Browser::start(Manner::WithoutScripts) else { return };
    let scene = Scene::build("expected ';'");
    let server = Server::of(&scene.set);
    let (base, candidate) = scene.last_two();
    let sides = format!("base={base}&candidate={candidate}");
    browser.open(&server.at(&format!("/compare?{sides}")));
    let rows = || browser.texts("#changes tbody th");
    assert!(rows().len() > 5, "{:?}", rows());
    assert_eq!(browser.texts("#changes thead tr")[0].matches(".1").count(), 2, "two compilers");
    browser.type_into("input[name=q]", "clock");
    browser.click("select[name=change] option[value=new-failure]");
    browser.click("form.filter button");
    wait_until("the answer is there", || browser.address().contains("q=clock"));
    assert!(browser.address().contains(&sides), "{}", browser.address());
    assert_eq!(rows(), ["clock.1.2"]);
    assert_eq!(browser.texts("#changes h2"), ["New failures"]);
    browser.click("#changes td a");
    browser.waits_for("too few arguments");

    browser.open(&server.at(&format!("/runs/{}", scene.comparison)));
    browser.click("select[name=verdict] option[value=regressed]");
    browser.click("form.filter button");
    wait_until("the answer is there", || browser.address().contains("verdict=regressed"));
    assert_eq!(browser.texts("#verdicts tbody th"), ["codec.2.4"]);
    assert_eq!(
        browser.texts("#verdicts > pre.command"),
        ["larder batch --no-sandbox --compare cc.1 gcc.1 codec.2.4"]
    );
}
