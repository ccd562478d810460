//! Offline means offline: where there is no network, from a store that belongs to somebody else.

use std::{
    os::unix::fs::chown,
    path::Path,
    process::{Child, Command, Stdio},
};

use larder_testkit::{
    processes::spawn,
    run::{from_copy, under},
    tools::skip,
};

use super::support::*;

const NOBODY: u32 = 65534;

/// Returns the words that run a command in a network namespace of its own, as another user where that
/// can be.
pub fn isolated() -> Option<Vec<String>> {
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let works = |words: &[String]| {
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).arg("true").stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let as_nobody =
        words(&format!("unshare -n setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups"));
    let found = [as_nobody, words("unshare -r -n")].into_iter().find(|words| works(words));
    if found.is_none() {
        skip("no network namespace can be made here (`unshare -n` is refused)");
    }
    found
}

/// larder in the package below `name`, there.
fn isolated_larder(machine: &Machine, within: &[String], name: &str, args: &[&str]) -> Command {
    let mut inner = machine.larder_in(name, args);
    inner.env("LARDER_OFFLINE_STORE", machine.offline());
    let within: Vec<&str> = within.iter().map(String::as_str).collect();
    under(&within, &from_copy(&machine.path("larder"), &inner))
}

/// Gives everything below `path`, and `path`, to the user that `within` makes.
pub fn give_away(path: &Path, within: &[String]) {
    if within[0] == "unshare" && within[1] == "-n" {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
        for name in tree(path).keys() {
            chown(path.join(name), Some(NOBODY), Some(NOBODY)).unwrap();
        }
    }
}

#[test]
fn everything_is_restored_without_a_network_by_somebody_else() {
    let Some(within) = isolated() else { return };
    let machine = Machine::new();
    // Asked, it would take long to fail.
    machine.configure("url = \"http://192.0.2.1/\"");
    run(machine.larder(&["--offline", "cache", "bake", machine.offline().to_str().unwrap()])).ok();
    set_read_only(&machine.offline(), true);
    let before = tree(&machine.offline());

    for (name, arguments) in [("one", &["build"][..]), ("two", &["--offline", "build"])] {
        machine.packages(name);
        give_away(&machine.path(name), &within);
        let mut command = isolated_larder(&machine, &within, name, &["--json"]);
        command.args(arguments);
        machine.built(name, command).all_restored();
    }
    let offline = machine.offline();
    let verify = ["cache", "verify", offline.to_str().unwrap()];
    run(isolated_larder(&machine, &within, "one", &verify))
        .ok()
        .mentions(&["5 mappings and 5 artifacts", "in order"]);

    // Into the store, and then without the offline store at all.
    machine.packages("three");
    give_away(&machine.path("three"), &within);
    run(isolated_larder(&machine, &within, "three", &["--offline", "cache", "get"]))
        .ok()
        .mentions(&["unpacked 5 mappings and 5 artifacts"]);
    let mut command = isolated_larder(&machine, &within, "three", &["--json", "build"]);
    command.env_remove("LARDER_OFFLINE_STORE");
    machine.built("three", command).all_restored();
    assert_eq!(tree(&machine.offline()), before, "nothing was written to it");
    set_read_only(&machine.offline(), false);

    // And whatever was changed is built; it makes the same object, so nothing else is.
    write(&machine.path("one/app/src/who.c"), "const char *who(void) { return \"world\"; } //\n");
    give_away(&machine.path("one"), &within);
    let command = isolated_larder(&machine, &within, "one", &["--json", "build"]);
    assert_eq!(machine.built("one", command).built().len(), 1);
}

#[test]
fn any_number_of_users_share_an_offline_store() {
    let machine = Machine::new();
    machine.bake();
    set_read_only(&machine.offline(), true);
    let names: Vec<String> = (0..6).map(|n| format!("user{n}")).collect();
    let start = |name: &String| {
        machine.packages(name);
        let mut command = machine.larder_in(name, &["--json", "build"]);
        command.env("LARDER_OFFLINE_STORE", machine.offline());
        spawn(command)
    };
    let users: Vec<Child> = names.iter().map(start).collect();
    for (user, name) in users.into_iter().zip(&names) {
        Built::of(&Run::of(user.wait_with_output().unwrap()).ok()).all_restored();
        assert!(machine.path(name).join("app/.larder/build/app").exists());
    }
    set_read_only(&machine.offline(), false);
}
