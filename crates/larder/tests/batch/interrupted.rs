//! Runs that are stopped, killed, or not alone.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
};

use larder_testkit::{
    processes::{send, spawn},
    run::Run,
    wait::wait_until,
};
use rustix::process::Signal;

use super::support::{Package, Set};

/// A package whose build notes that it began, and goes on when it is allowed to.
fn gated(set: &Set, name: &'static str) -> Package {
    let noted = set.noted();
    let gate = set.outside().join("gate");
    Package::new(name)
        .line(format!("echo {name} >> {}", noted.display()))
        .line(format!("while ! test -e {}; do sleep 0.05; done", gate.display()))
}

fn open_gate(set: &Set) {
    fs::write(set.outside().join("gate"), "").unwrap();
}

fn begun(set: &Set, package: &str) {
    wait_until("its build runs", || set.tried().contains_key(package));
}

const ARGUMENTS: [&str; 4] = ["batch", "--no-sandbox", "-j", "1"];

#[test]
fn the_first_interrupt_finishes_what_is_running() {
    let set = Set::with_file("");
    set.write(&[gated(&set, "first.1.0"), Package::new("second.1.0").needs("first", "1")]);
    let mut child = spawn(set.command(&ARGUMENTS));
    begun(&set, "first.1.0");
    send(&child, Signal::INT);
    // It has heard of it; only now may the package go on.
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut before = String::new();
    while !before.contains("stopping") {
        assert_ne!(said.read_line(&mut before).unwrap(), 0, "{before}");
    }
    open_gate(&set);
    let mut output = child.wait_with_output().unwrap();
    said.read_to_end(&mut output.stderr).unwrap();
    let run = Run::of(output);
    run.ends_with(130).says("interrupted: 1 of 2 packages works");
    assert_eq!(set.last("first.1.0"), "success built");
    set.larder(&["runs"]).ok().mentions(&["interrupted", "UNREACHED"]);
    let unreached = "interrupted: nothing is known of 1 package it has not reached";
    set.larder(&["status"]).ok().mentions(&[unreached]);
    set.larder(&["batch", "--no-sandbox"]).ok();
    let events = set.larder(&["status", "--json"]).ok().events();
    assert!(events[0]["newPackages"].as_array().unwrap().is_empty(), "{:?}", events[0]);
    assert_eq!(set.tried()["first.1.0"], 1);
}

#[test]
fn the_second_interrupt_stops_at_once() {
    let set = Set::with_file("");
    set.write(&[gated(&set, "first.1.0")]);
    let child = spawn(set.command(&ARGUMENTS));
    begun(&set, "first.1.0");
    send(&child, Signal::INT);
    send(&child, Signal::TERM);
    let run = Run::of(child.wait_with_output().unwrap());
    run.ends_with(130);
    assert!(set.layers().is_empty());
    open_gate(&set);
    set.larder(&["batch", "--no-sandbox"]).ok();
    assert_eq!(set.tried()["first.1.0"], 2);
}

#[test]
fn a_killed_run_is_resumed() {
    let set = Set::with_file("");
    set.write(&[
        Package::new("zero.1.0").line(format!("echo zero.1.0 >> {}", set.noted().display())),
        gated(&set, "first.1.0").needs("zero", "1"),
    ]);
    let mut child = spawn(set.command(&ARGUMENTS));
    begun(&set, "first.1.0");
    child.kill().unwrap();
    child.wait().unwrap();
    open_gate(&set);
    set.larder(&["batch", "--no-sandbox"]).ok().says("2 of 2 packages work");
    assert_eq!(set.tried()["zero.1.0"], 1, "nothing that was built is built twice");
    assert_eq!(set.tried()["first.1.0"], 2);
    set.larder(&["runs"]).ok().mentions(&["died", "finished"]);
}

#[test]
fn two_runs_at_once_share_the_work() {
    let set = Set::with_file("");
    set.write(&[gated(&set, "first.1.0"), gated(&set, "second.1.0"), gated(&set, "third.1.0")]);
    let runs = [(); 2].map(|()| spawn(set.command(&["batch", "--no-sandbox", "-j", "2"])));
    wait_until("all three run", || set.tried().len() == 3);
    open_gate(&set);
    for run in runs {
        Run::of(run.wait_with_output().unwrap()).ok().says("3 of 3 packages work");
    }
    assert!(set.tried().values().all(|times| *times == 1), "{:?}", set.tried());
    assert_eq!(set.larder(&["runs", "--json"]).ok().events().len(), 2);
}
