//! Packages of a set, built on a server by `larder batch`.

use larder_testkit::{
    clusters::{Behaviour, Faulty},
    set::Set,
};

/// A set of two packages, one of which needs the other.
fn set() -> Set {
    let set = Set::with_file("");
    let compilers = std::fs::read_to_string(set.root.join("larder-set.toml")).unwrap();
    set.file("larder-set.toml", &format!("[set]\npackages = [\"packages/*\"]\n\n{compilers}"));
    let library = |name: &str, needs: &str| {
        format!(
            "[package]\nname = \"{name}\"\nversion = \"1.0\"\n\n{needs}[[library]]\nname = \"{name}\"\n\
             sources = [\"*.c\"]\n"
        )
    };
    let headers = "headers = [\"base.h\"]\nincludes = [\".\"]\n";
    set.file("packages/base/larder.toml", &(library("base", "") + headers));
    set.file("packages/base/base.h", "#define BASE 4\nint base(void);\n");
    set.file("packages/base/base.c", "#include <base.h>\nint base(void) { return BASE; }\n");
    let needs = "[dependencies]\nbase = \"1\"\n\n";
    let user = library("user", needs) + "libraries = [\"@base/base\"]\n";
    set.file("packages/user/larder.toml", &user);
    set.file("packages/user/user.c", "#include <base.h>\nint user(void) { return BASE; }\n");
    set
}

#[test]
fn what_takes_too_long_there_is_built_here_within_the_limits_of_the_set() {
    let programs = tempfile::tempdir().unwrap();
    // It stands for compiles that never come to an end there.
    let script = "case \"$*\" in *\" -c \"*) exec sleep 600;; esac; exec /usr/bin/env \"$@\"\n";
    larder_testkit::files::script(&programs.path().join("env"), script);
    let programs = Some(programs.path().to_owned());
    let server = Faulty::start(Behaviour { programs, ..Behaviour::default() });
    let set = set();
    let file = std::fs::read_to_string(set.root.join("larder-set.toml")).unwrap();
    set.file("larder-set.toml", &format!("{file}\n[limits]\ntime = \"4s\"\n"));
    set.larder(&["batch", "--remote", &server.url()]).ok();
    for package in ["base.1.0", "user.1.0"] {
        assert_eq!(set.last(package), "success built", "{package}");
    }
    let counts = server.counts();
    assert_eq!(counts.calls.get("CancelOperation"), Some(&2), "{counts:?}");
}

#[test]
fn packages_of_a_set_are_built_there_and_found_there() {
    let server = Faulty::start(Behaviour::default());
    for (last, place) in [("built", "(remotely)"), ("restored", "(known remotely)")] {
        let set = set();
        set.larder(&["batch", "--remote", &server.url()]).ok();
        for package in ["base.1.0", "user.1.0"] {
            assert_eq!(set.last(package), format!("success {last}"), "{package}");
            let log = set.larder(&["log", package]).ok().stdout;
            assert!(log.contains(&format!(".o {place}")), "{package}: {log}");
        }
    }
    assert!(server.counts().executed >= 4);
}
