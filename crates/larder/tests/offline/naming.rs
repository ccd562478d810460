//! What `LARDER_OFFLINE_STORE` may name, and who may read what was baked.

use std::{fs, os::unix::fs::chown, process::Stdio};

use larder_testkit::{
    files::set_mode,
    run::{from_copy, under},
};

use super::support::*;

const NOBODY: u32 = 65534;

#[test]
fn an_offline_store_that_cannot_be_one_is_refused() {
    let machine = Machine::new();
    fs::create_dir(machine.path("nothing-in-it")).unwrap();
    write(&machine.path("file"), "");
    for (value, why) in [
        (machine.path("nowhere"), "there is no such directory"),
        (machine.path("nothing-in-it"), "there is nothing in it"),
        (machine.path("file"), "it is not a directory"),
        ("work".into(), "relative"),
        ("".into(), "it is set to nothing"),
    ] {
        for arguments in [&["build"][..], &["cache", "get"], &["cache", "stats"]] {
            let mut command = machine.larder(arguments);
            command.env("LARDER_OFFLINE_STORE", &value);
            run(command).ends_with(2).mentions(&["LARDER_OFFLINE_STORE", why]);
        }
    }
    // Where there is none yet, a bake makes one, though the variable names it already.
    let offline = machine.offline();
    let mut command = machine.larder(&["cache", "bake", offline.to_str().unwrap()]);
    command.env("LARDER_OFFLINE_STORE", &offline);
    run(command).ok();
    machine.build_elsewhere("user", &[]).all_restored();
}

/// Whether commands can be run as another user here.
fn can_be_nobody() -> bool {
    let mut command = std::process::Command::new("setpriv");
    command.args(AS_NOBODY.get(1..).unwrap()).arg("true").stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

const AS_NOBODY: [&str; 4] = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];

#[test]
fn what_was_baked_under_any_umask_can_be_read_by_all() {
    let machine = Machine::new();
    let offline = machine.path("made/by/root");
    for _ in 0..2 {
        // Once more, over what is there and has been closed.
        let inner = machine.larder(&["cache", "bake", offline.to_str().unwrap()]);
        run(under(&["sh", "-c", "umask 077; exec \"$0\" \"$@\""], &inner)).ok();
        let all = tree(&offline).into_keys().map(|name| offline.join(name));
        for path in all.chain(["made", "made/by", "made/by/root"].map(|name| machine.path(name))) {
            use std::os::unix::fs::PermissionsExt;
            let metadata = fs::metadata(&path).unwrap();
            let wanted = if metadata.is_dir() { 0o555 } else { 0o444 };
            let mode = metadata.permissions().mode();
            assert_eq!(mode & wanted, wanted, "{} is {mode:o}", path.display());
        }
        set_mode(&offline, 0o700);
        set_mode(&offline.join("packs"), 0o700);
    }
    set_mode(&offline.join("packs"), 0o755);
    // Closed, it is an error, to others than root.
    let refused = |nobody: bool| {
        let mut inner = machine.larder_in("user", &["build"]);
        inner.env("LARDER_OFFLINE_STORE", &offline);
        let inner = from_copy(&machine.path("larder"), &inner);
        let command = if nobody { under(&AS_NOBODY, &inner) } else { inner };
        run(command).ends_with(2).mentions(&["LARDER_OFFLINE_STORE", "you may not read all of it"]);
    };
    machine.packages("user");
    if can_be_nobody() {
        chown(machine.path("user"), Some(NOBODY), Some(NOBODY)).unwrap();
        for name in tree(&machine.path("user")).keys() {
            chown(machine.path("user").join(name), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        refused(true);
    } else {
        set_mode(&offline, 0o300);
        refused(false);
    }
    set_mode(&offline, 0o755);
    let mut inner = machine.larder_in("user", &["--json", "build"]);
    inner.env("LARDER_OFFLINE_STORE", &offline);
    let inner = from_copy(&machine.path("larder"), &inner);
    let command = if can_be_nobody() { under(&AS_NOBODY, &inner) } else { inner };
    machine.built("user", command).all_restored();
}
