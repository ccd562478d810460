//! Common to all of these commands: where output goes, how wide it is, where data are found.

use std::fs;
use std::path::Path;

use larder_runs::build_lock::{Purpose, acquire};
use larder_runs::result::RunKind;
use larder_runs::run_log::Scope;
use larder_testkit::run::run as run_to_end;

use super::support::{Ecosystem, R2, logged};

#[test]
fn output_that_cannot_be_written_fails() {
    let ecosystem = Ecosystem::new();
    let run = ecosystem.start("2026-03-03", RunKind::Full, Scope::All);
    logged(&run, "fmt.0.9.0", 1, "one\n");
    for arguments in [
        &["status"][..],
        &["status", "--json"],
        &["changes"],
        &["failures"],
        &["history", "fmt"],
        &["runs"],
        &["runs", "show", R2],
        &["log", "fmt"],
        &["log", "fmt", "--json"],
        &["gc", "-n"],
        &["--help"],
    ] {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let error = run_to_end(ecosystem.larder(arguments).stdout(full)).ends_with(1).stderr;
        assert!(!error.contains("os error"), "{arguments:?}: {error}");
        assert!(
            arguments == ["--help"] || error.contains("No space left"),
            "{arguments:?}: {error}"
        );
    }
}

#[test]
fn tables_fit_sixty_columns() {
    let ecosystem = Ecosystem::new();
    let _held = acquire(&ecosystem.data.locks(), Purpose::Build, "fmt.0.9.0", |_| {}).unwrap();
    for (arguments, first) in [
        (&["status"][..], "fmt.0.9.0"),
        (&["changes"], "fmt.0.9.0"),
        (&["failures"], "fmt.0.9.0"),
        (&["failures", "--roots"], "odoc.2.4.0"),
        (&["failures", "--cascades"], "blocked.1"),
        (&["history", "fmt"], "2026-03-02T12:00:00Z"),
        (&["runs"], R2),
        (&["runs", "show", R2], "fmt.0.9.0"),
        (&["locks"], "build"),
        (&["gc", "-n"], "layers"),
    ] {
        let text = run_to_end(ecosystem.larder(arguments).env("COLUMNS", "60")).ok().stdout;
        let rows = text.lines().skip_while(|line| !line.starts_with(char::is_uppercase));
        let long = rows.filter(|line| line.chars().count() > 60 && !line.starts_with("and "));
        assert_eq!(long.collect::<Vec<_>>(), [""; 0], "{arguments:?}");
        assert!(text.lines().any(|line| line.starts_with(first)), "{arguments:?}: {text}");
        for hidden in ["\u{1b}", "\u{202e}"] {
            assert!(!text.contains(hidden), "{arguments:?}: {text:?}");
        }
    }
    let text = ecosystem.shown(&["failures", "--json"]);
    assert!(!text.contains('\u{202e}') && text.contains("\\u202e"), "{text:?}");
}

#[test]
fn the_data_directory_is_found() {
    let ecosystem = Ecosystem::new();
    let elsewhere = tempfile::tempdir().unwrap();
    let larder = |directory: &Path| {
        let mut command = ecosystem.larder(&["failures", "--json"]);
        command.env_remove("LARDER_DATA_DIR").current_dir(directory);
        command
    };
    run_to_end(larder(elsewhere.path())).ends_with(2).mentions(&["no data directory"]);
    run_to_end(larder(elsewhere.path()).args(["--data-dir", "missing"])).ends_with(2);
    let root = ecosystem.data.root();
    run_to_end(larder(elsewhere.path()).arg("--data-dir").arg(root)).ok();

    fs::write(elsewhere.path().join("larder-set.toml"), "").unwrap();
    fs::create_dir_all(elsewhere.path().join(".larder")).unwrap();
    fs::create_dir(elsewhere.path().join("sub")).unwrap();
    std::os::unix::fs::symlink(root, elsewhere.path().join(".larder/data")).unwrap();
    let found = run_to_end(larder(&elsewhere.path().join("sub"))).ok();
    assert_eq!(found.events().len(), 3);
}
