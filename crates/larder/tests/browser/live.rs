//! A run is followed while it goes on.

use std::{fs, path::PathBuf};

use larder_runs::run_log;
use larder_testkit::{
    processes::spawn,
    run::Run,
    server::Server,
    set::{Package, Set},
    wait::wait_until,
};

use crate::browser::{Browser, Manner};

/// A package that says things when files appear.
fn slow(set: &Set, name: &'static str, words: &[&str]) -> Package {
    words.iter().fold(Package::new(name), |package, word| {
        let gate = gate(set, name, word);
        // It ends with the test, however that ends.
        let (there, gate) = (set.outside().display(), gate.display());
        let waits = format!("while test -d {there} && ! test -e {gate}; do sleep 0.05; done");
        package.line(waits).line(format!("echo {name} is {word} now"))
    })
}

fn gate(set: &Set, name: &str, word: &str) -> PathBuf {
    set.outside().join(format!("{name}.{word}"))
}

#[test]
fn a_run_is_followed_while_it_goes_on() {
    let Some(browser) = Browser::start(Manner::Impatient) else { return };
    let set = Set::with_file("");
    set.write(&[
        slow(&set, "early.1.0", &["whole"]),
        slow(&set, "late.1.0", &["half", "whole"]).needs("early", "1"),
    ]);
    let open = |name: &str, word: &str| fs::write(gate(&set, name, word), "").unwrap();
    let batch = spawn(set.command(&["batch", "--no-sandbox", "-j", "1"]));
    let ids = || run_log::run_ids(&set.data.runs()).unwrap_or_default();
    wait_until("the run is there", || !ids().is_empty());
    let run = ids()[0].to_string();
    let server = Server::of(&set);
    wait_until("the overview has the package", || {
        browser.open(&server.at("/"));
        browser.texts("section[aria-labelledby=now] tbody th") == ["early.1.0"]
    });
    assert!(browser.texts("section[aria-labelledby=now]").concat().contains(&run));

    browser.open(&server.at(&format!("/runs/{run}")));
    browser.waits_for("early.1.0");
    assert!(browser.text().contains("0 of 2 builds"), "{}", browser.text());
    browser.execute("window.same = true");
    open("early.1.0", "whole");
    wait_until("the page has the next package", || browser.texts("#live tbody th") == ["late.1.0"]);
    assert!(browser.text().contains("1 of 2 builds"), "{}", browser.text());
    assert_eq!(browser.value("window.same"), true, "it is the page that was opened");

    let page = browser.window();
    let log = browser.value("document.querySelector('#live tbody td a').href");
    let log = log.as_str().unwrap().to_owned();
    browser.another_window();
    browser.open(&log);
    browser.waits_for("late.1.0");
    assert!(!browser.text().contains("late.1.0 is half now\n"), "{}", browser.text());
    open("late.1.0", "half");
    browser.waits_for("late.1.0 is half now\n");
    assert_eq!(browser.value("document.readyState"), "loading");
    open("late.1.0", "whole");
    browser.waits_for("Made by larder");
    assert_eq!(browser.value("document.readyState"), "complete");
    assert!(browser.text().contains("late.1.0 is whole now\n"));

    Run::of(batch.wait_with_output().unwrap()).ok();
    browser.switch_to(page);
    browser.waits_for("full run, finished");
    assert_eq!(browser.texts("#live"), [""; 0]);
    assert_eq!(browser.console(), [""; 0]);
}
