//! What `larder ninja` says of a build: why, what was printed, and what is doubtful.

use larder_testkit::project::Project;

use crate::ninja::{CAT, built, ninja, project};

#[test]
fn why_names_what_changed_and_what_needs_it() {
    let project = project(&format!("{CAT}build b: cat a\nbuild c: cat b | x\nbuild d: cat a\n"));
    project.file("a", "1").file("x", "x");
    let why =
        |arguments: &[&str]| ninja(&project, &[&["-t", "why"], arguments].concat()).ok().stdout;
    assert!(why(&[]).starts_with("not built yet: 2 out of date: b, d"), "{}", why(&[]));
    assert!(!project.path(".larder").exists(), "nothing is touched");
    built(&project);
    assert!(why(&[]).contains("everything is up to date"));
    project.file("a", "2");
    assert_eq!(why(&[]), "a changed: 2 out of date: b, d\nand what needs them: c\n");
    assert_eq!(why(&["d"]), "a changed: 1 out of date: d\n");
    assert_eq!(project.read("b"), "1");
    project.file("x", "y").file("a", "1");
    assert_eq!(why(&["c"]), "x changed: 1 out of date: c\n");
    project.replace("build.ninja", "cat $in >", "cat < $in >");
    assert!(why(&["c"]).contains("command changed"), "{}", why(&["c"]));
    ninja(&project, &["-t", "why", "gone"]).ends_with(2).says("there is no target `gone`");
}

#[test]
fn why_says_that_the_build_file_is_out_of_date() {
    let text = "rule gen\n  command = cp in.ninja build.ninja\n  generator = 1\nbuild build.ninja: gen in.ninja\nrule say\n  command = echo 1 > $out\nbuild o: say\n";
    let project = Project::new("");
    project.file("in.ninja", text).file("build.ninja", text);
    built(&project);
    let why = || ninja(&project, &["-t", "why"]).ok();
    assert!(!why().stderr.contains("out of date"));
    project.file("in.ninja", format!("{text}# more\n"));
    why().says("build.ninja is out of date: a build makes it anew before all else");
    assert_eq!(project.read("build.ninja"), text);
}

#[test]
fn what_commands_printed_is_shown_again_when_asked_for() {
    let project = project(
        "rule say\n  command = echo of $out && cp a $out\nbuild b: say a\nbuild c: say b\nrule q\n  command = cp a $out\nbuild quiet: q a\n",
    );
    project.file("a", "1");
    let log =
        |arguments: &[&str]| ninja(&project, &[&["-t", "log"], arguments].concat()).ok().stdout;
    assert_eq!(log(&[]), "");
    built(&project);
    assert_eq!(log(&[]), "b:\nof b\nc:\nof c\n");
    assert_eq!(log(&["b"]), "b:\nof b\n");
}

#[test]
fn a_doubtful_build_file_is_warned_of_or_refused() {
    let project = project(&format!("{CAT}build x: phony x\nbuild b: cat a\n"));
    project.file("a", "1").file("x", "");
    ninja(&project, &["b"]).ok().says("`x` names itself as an input");
    ninja(&project, &["-w", "phonycycle=warn", "b"]).ok().says("`x` names itself");
    ninja(&project, &["-w", "phonycycle=err", "b"]).ends_with(2).says("`x` names itself");
    assert!(ninja(&project, &["-w", "list"]).ok().stdout.contains("phonycycle={err,warn}"));
    ninja(&project, &["-w", "dupbuild=err", "b"]).ok();
    ninja(&project, &["-w", "dupbuild=warn", "b"]).ends_with(2);
}
