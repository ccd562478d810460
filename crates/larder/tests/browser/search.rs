//! Finding packages, with scripts and without.

use larder_testkit::wait::wait_until;

use crate::{
    browser::{Browser, Manner},
    scene::{Scene, Server},
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
    browser.type_into("input[data-rows]", "new");
    let rows = "#changes tbody tr:not([hidden]) th";
    wait_until("only those are shown", || browser.texts(rows) == ["clock.1.2", "clock.1.2"]);
    assert_eq!(browser.console(), [""; 0]);
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
