//! Who tools are.

use std::fs;

use larder_engine::tool::Toolchain;
use larder_testkit::files::{script, set_modified};
use larder_trace::StatIndex;

#[test]
fn a_compiler_is_asked_who_it_is_once() {
    let place = tempfile::tempdir().unwrap();
    let index = || StatIndex::open(place.path(), &place.path().join("index"), false).unwrap();
    let calls = place.path().join("calls");
    let compiler = |version: &str| {
        let text = format!(
            "# {version}\necho \"$1\" >> {}\ncase $1 in -dumpmachine) echo test-triple;; *) exit 1;; esac\n",
            calls.display()
        );
        let path = place.path().join("mycc");
        script(&path, &text);
        path.to_str().unwrap().to_owned()
    };
    let name = compiler("1");
    // So that the index trusts what it has seen.
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(60);
    set_modified(&place.path().join("mycc"), old);
    let first = index();
    let one = Toolchain::compiler(&name, "cc", &first).unwrap();
    first.save().unwrap();
    assert_eq!(one.triple.as_deref(), Some("test-triple"));
    let asked = fs::read_to_string(place.path().join("calls")).unwrap();
    let again = Toolchain::compiler(&name, "cc", &index()).unwrap();
    assert_eq!(again.trace.hash(), one.trace.hash());
    assert_eq!(
        fs::read_to_string(place.path().join("calls")).unwrap(),
        asked,
        "no process is started while nothing changed"
    );
    compiler("2");
    let two = Toolchain::compiler(&name, "cc", &index()).unwrap();
    assert_ne!(two.trace.hash(), one.trace.hash());
    assert_ne!(fs::read_to_string(place.path().join("calls")).unwrap(), asked);
    let missing = Toolchain::compiler("no-such-compiler", "cc", &index()).unwrap_err();
    assert!(missing.to_string().contains("`no-such-compiler` was not found on PATH"));
}
