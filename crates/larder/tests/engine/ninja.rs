//! `larder ninja` on build files written by hand: what is run when, and what is said.

use std::{fs, os::unix::fs::symlink};

use larder_testkit::{
    project::Project,
    run::{Run, binary, run},
};

pub const CAT: &str = "rule cat\n  command = cat $in > $out\n  description = CAT $out\n";

/// A directory with a build file.
pub fn project(build: &str) -> Project {
    let project = Project::new("");
    project.file("build.ninja", build);
    project
}

pub fn ninja(project: &Project, arguments: &[&str]) -> Run {
    project.larder(&[&["ninja"], arguments].concat())
}

/// What a build that has to succeed did: its lines without counts.
#[track_caller]
pub fn built(project: &Project) -> Vec<String> {
    done(ninja(project, &[]).ok())
}

fn done(run: Run) -> Vec<String> {
    let lines = run.stdout.lines().filter(|line| !line.is_empty());
    lines.map(|line| line.split_once("] ").map_or(line, |(_, rest)| rest).to_owned()).collect()
}

const NOTHING: [&str; 1] = ["ninja: no work to do."];

#[test]
fn what_did_not_change_by_content_is_not_made_again() {
    let project =
        project(&format!("{CAT}build b: cat a\nbuild c: cat b | x || o\nbuild o: cat a\n"));
    project.file("a", "1").file("x", "x");
    assert_eq!(built(&project).len(), 3);
    assert_eq!(project.read("c"), "1");
    assert_eq!(built(&project), NOTHING);
    project.file("a", "1").file("x", "x");
    assert_eq!(built(&project), NOTHING, "touched, and the same");
    project.file("x", "y");
    assert_eq!(built(&project), ["CAT c"]);
    project.remove("b");
    assert_eq!(built(&project), ["CAT b"], "what needs it is the same");
    project.file("c", "not what was made");
    assert_eq!(built(&project), ["CAT c"]);
    project.replace("build.ninja", "cat $in >", "cat < $in >");
    assert_eq!(built(&project).len(), 3, "another command");
    let explained = ninja(&project, &["-d", "explain"]).ok();
    assert_eq!(explained.stderr, "");
    project.file("x", "z");
    ninja(&project, &["-d", "explain"]).ok().says("ninja explain: c: x changed");
}

#[test]
fn an_order_only_input_is_made_first_and_decides_nothing() {
    let project = project(&format!(
        "{CAT}build o: cat a\nrule r\n  command = cat o > $out\nbuild b: r || o\n"
    ));
    project.file("a", "1");
    assert_eq!(built(&project).len(), 2);
    project.file("a", "2");
    assert_eq!(built(&project), ["CAT o"]);
}

#[test]
fn aliases_run_nothing_and_pass_on_what_changes() {
    let text = format!(
        "{CAT}build b: cat a\nbuild all: phony b\nbuild c: cat x | all\nbuild x: phony\nbuild d: cat a | gone\nbuild gone: phony\ndefault c\n"
    );
    let project = project(&text);
    project.file("a", "1").file("x", "x");
    assert_eq!(built(&project), ["CAT b", "CAT c"]);
    assert_eq!(built(&project), NOTHING);
    project.file("a", "2");
    assert_eq!(built(&project), ["CAT b", "CAT c"]);
    // What stands for a file that is not there has whatever needs it made each time.
    for _ in 0..2 {
        assert_eq!(done(ninja(&project, &["d"]).ok()), ["CAT d"]);
    }
}

#[test]
fn a_missing_input_and_a_cycle_are_said_before_anything_is_run() {
    let missing = project(&format!("{CAT}build b: cat a\nbuild c: cat gone\n"));
    missing.file("a", "1");
    ninja(&missing, &[])
        .ends_with(1)
        .says("`gone`, needed by `c`, is missing, and no rule makes it");
    assert!(!missing.path("b").exists());
    ninja(&missing, &["b"]).ok();
    let cyclic = project(&format!("{CAT}build b: cat c\nbuild c: cat b\nbuild d: cat b\n"));
    ninja(&cyclic, &[]).ends_with(2).says("a cycle: b -> c -> b");
    ninja(&cyclic, &["e"]).ends_with(2).says("there is no target `e`");
    let wrong = project("build b: cat a\n");
    ninja(&wrong, &[]).ends_with(2).says("build.ninja:1:10: there is no rule `cat`");
    ninja(&wrong, &["-f", "gone.ninja"]).ends_with(2).says("gone.ninja");
}

#[test]
fn a_failure_stops_what_needs_it_and_as_much_else_as_is_wanted() {
    let text = format!(
        "{CAT}rule no\n  command = echo out of order; exit 3\nbuild x: no\nbuild y: no\nbuild z: no\nbuild u: cat x\nbuild v: cat a\n"
    );
    let project = project(&text);
    project.file("a", "1");
    let one = ninja(&project, &["-j1", "x", "v"]).ends_with(1);
    assert!(one.stdout.contains("FAILED: x\necho out of order; exit 3\nout of order\n"), "{one:?}");
    assert!(one.stdout.contains("ninja: build stopped: subcommand failed."), "{one:?}");
    let failures = |arguments: &[&str]| {
        let run = ninja(&project, &[&["-j1"], arguments].concat()).ends_with(1);
        run.stdout.matches("FAILED").count()
    };
    assert_eq!(failures(&["-k", "2"]), 2);
    assert_eq!(failures(&["-k0"]), 3);
    assert!(project.path("v").exists() && !project.path("u").exists());
}

#[test]
fn a_killed_command_leaves_nothing_that_is_believed() {
    let project = project(
        "rule half\n  command = printf half > $out && kill -9 $$$$\nrule cat\n  command = cat $in > $out\nbuild b: half a\nbuild c: cat b\n",
    );
    project.file("a", "1");
    ninja(&project, &[]).ends_with(1);
    assert_eq!(project.read("b"), "half");
    ninja(&project, &[]).ends_with(1);
    // Marked as unfinished, it does not count, though its command is another now.
    project.replace("build.ninja", " && kill -9 $$$$", "");
    assert_eq!(built(&project).len(), 2);
}

#[test]
fn depfiles_tell_of_further_inputs_and_are_removed_where_they_are_read_once() {
    let text = "rule cc\n  command = cat $in b.h > $out && printf '%s: %s b.h\\n' $out $in > $out.d\n  depfile = $out.d\n  deps = gcc\nbuild o: cc a.c\nrule kept\n  command = cat $in b.h > $out && printf '%s: \\\\\\n %s \\\\\\n  b.h\\n' $out $in > $out.d\n  depfile = $out.d\nbuild k: kept a.c\n";
    let project = project(text);
    project.file("a.c", "1").file("b.h", "2");
    assert_eq!(built(&project).len(), 2);
    assert!(!project.path("o.d").exists() && project.path("k.d").exists());
    assert_eq!(built(&project), NOTHING);
    project.file("b.h", "3");
    assert_eq!(built(&project).len(), 2);
    assert_eq!((project.read("o"), project.read("k")), ("13".into(), "13".into()));
    ninja(&project, &["-t", "deps", "o"]).ok().mentions(&["o: #deps 1", "    b.h"]);
    project.file("b.h", "4");
    ninja(&project, &["-d", "keepdepfile", "o"]).ok();
    assert!(project.path("o.d").exists());
    project.remove("b.h");
    ninja(&project, &[]).ends_with(1);
}

#[test]
fn what_a_compiler_prints_of_its_inputs_is_read_and_not_shown() {
    let text = "rule cl\n  command = echo 'Note: including file:  b.h'; echo shown; cat $in b.h > $out\n  deps = msvc\n  description = CL\nbuild o: cl a.c\nrule cl2\n  description = CL\n  command = echo 'Lit: b.h'; cat b.h > $out\n  deps = msvc\n  msvc_deps_prefix = Lit:\nbuild p: cl2\n";
    let project = project(text);
    project.file("a.c", "1").file("b.h", "2");
    let first = ninja(&project, &[]).ok().stdout;
    assert!(
        first.contains("shown") && !first.contains("including") && !first.contains("Lit: "),
        "{first}"
    );
    assert!(done(ninja(&project, &[]).ok()).contains(&NOTHING[0].to_owned()));
    project.file("b.h", "3");
    ninja(&project, &[]).ok();
    assert_eq!((project.read("o"), project.read("p")), ("13".into(), "3".into()));
}

#[test]
fn response_files_are_written_traced_and_removed() {
    let text = "rule r\n  command = cat d/$out.rsp > $out\n  rspfile = d/$out.rsp\n  rspfile_content = $in $x\nbuild o: r a b\n  x = 1\n";
    let project = project(text);
    project.file("a", "").file("b", "");
    built(&project);
    assert_eq!(project.read("o"), "a b 1");
    assert!(!project.path("d/o.rsp").exists());
    project.replace("build.ninja", "x = 1", "x = 2");
    ninja(&project, &["-d", "keeprsp"]).ok();
    assert_eq!((project.read("o"), project.read("d/o.rsp")), ("a b 2".into(), "a b 2".into()));
}

#[test]
fn what_need_not_change_does_not_have_others_made() {
    let text = format!(
        "{CAT}rule keep\n  command = cmp -s $in $out || cp $in $out\n  restat = 1\nbuild b: keep a | n\nbuild c: cat b\n"
    );
    let project = project(&text);
    project.file("a", "1").file("n", "1");
    built(&project);
    project.file("n", "2");
    assert_eq!(built(&project).len(), 1);
    assert_eq!(built(&project), NOTHING);
}

#[test]
fn an_empty_output_stands_for_what_made_it() {
    let text = "rule stamp\n  command = cat $in > data && touch $out\nrule use\n  command = cat data > $out\nbuild s: stamp a\nbuild o: use | s\n";
    let project = project(text);
    project.file("a", "1");
    built(&project);
    project.file("a", "2");
    assert_eq!(built(&project).len(), 2);
    assert_eq!(project.read("o"), "2");
    assert_eq!(built(&project), NOTHING);
}

#[test]
fn a_command_that_makes_nothing_is_run_each_time() {
    let project = project(
        "rule r\n  command = echo x >> log\nbuild never: r\nrule use\n  command = cp log $out\nbuild o: use | never\n",
    );
    for count in 1..4 {
        assert_eq!(built(&project).len(), 2);
        assert_eq!(project.read("o").lines().count(), count);
    }
}

#[test]
fn the_build_file_is_made_anew_when_its_inputs_have_other_content() {
    let text = "rule gen\n  command = cp in.ninja build.ninja\n  generator = 1\n  description = GEN\nbuild build.ninja: gen in.ninja\nrule say\n  command = echo 1 > $out\nbuild o: say\n";
    let project = Project::new("");
    project.file("in.ninja", text).file("build.ninja", text);
    assert_eq!(built(&project).len(), 1);
    assert_eq!(built(&project), NOTHING);
    project.file("in.ninja", text);
    assert_eq!(built(&project), NOTHING, "touched, and the same");
    project.file("in.ninja", text.replace("echo 1", "echo 2"));
    assert_eq!(built(&project)[0], "GEN");
    assert_eq!(project.read("o"), "2\n");
    assert_eq!(built(&project), NOTHING);
    project.file("in.ninja", "mistake\n");
    ninja(&project, &[]).ends_with(2).says("build.ninja:1:");
    let never = text
        .replace("build.ninja: gen", "build.ninja: gen gone |")
        .replace("rule say", "build gone: phony\nrule say");
    project.file("in.ninja", &never).file("build.ninja", &never);
    ninja(&project, &[]).ends_with(1).says("out of date still after");
}

#[test]
fn a_generator_may_write_what_it_reads() {
    let text = "rule gen\n  command = cp in.ninja build.ninja && date +%N >> cache\n  generator = 1\n  description = GEN\nbuild build.ninja: gen in.ninja cache\nrule say\n  command = echo 1 > $out\nbuild o: say\n";
    let project = Project::new("");
    project.file("in.ninja", text).file("cache", "").file("build.ninja", text);
    assert_eq!(built(&project).len(), 1);
    project.file("in.ninja", text.replace("echo 1", "echo 2"));
    let remade = ninja(&project, &[]).ok();
    assert!(!remade.stderr.contains("next time"), "{remade:?}");
    assert_eq!(project.read("o"), "2\n");
    assert_eq!(built(&project), NOTHING);
}

#[test]
fn pools_bound_how_many_commands_run_at_once() {
    let mut text = "pool p\n  depth = 2\nrule r\n  command = mkdir run/$out && ls run | wc -l > $out && sleep 0.1 && rmdir run/$out\n  pool = p\n".to_owned();
    (0..8).for_each(|at| text += &format!("build o{at}: r\n"));
    let project = project(&text);
    fs::create_dir(project.path("run")).unwrap();
    ninja(&project, &["-j8"]).ok();
    let most =
        (0..8).map(|at| project.read(&format!("o{at}")).trim().parse::<u32>().unwrap()).max();
    assert!(most <= Some(2), "{most:?}");
    let unknown = project.read("build.ninja").replace("pool = p", "pool = q");
    project.file("build.ninja", unknown);
    ninja(&project, &["-j8"]).ends_with(2).says("there is no pool `q`");
}

#[test]
fn a_dry_run_names_all_that_would_be_run_and_touches_nothing() {
    let project = project(&format!("{CAT}build b: cat a\nbuild c: cat b\nbuild d: cat a\n"));
    project.file("a", "1");
    let plan = |arguments: &[&str]| done(ninja(&project, &[&["-n"], arguments].concat()).ok());
    assert_eq!(plan(&[]), ["CAT b", "CAT c", "CAT d"]);
    assert!(!project.path("b").exists() && !project.path(".larder").exists());
    built(&project);
    assert_eq!(plan(&[]), NOTHING);
    project.file("a", "2");
    assert_eq!(plan(&["c", "-v"])[..2], ["cat a > b", "cat b > c"]);
}

#[test]
fn the_status_line_is_what_ninja_status_says() {
    let project = project(&format!("{CAT}build b: cat a\n"));
    project.file("a", "1");
    let mut command = project.command(&["ninja"]);
    let run = run(command.env("NINJA_STATUS", "<%s %f/%t %p %r %u %%> ")).ok();
    assert_eq!(run.stdout, "<1 1/1 100% 0 0 %> CAT b\n");
    project.remove("b");
    assert_eq!(ninja(&project, &["-v"]).ok().stdout, "[1/1] cat a > b\n");
    project.remove("b");
    assert_eq!(ninja(&project, &["-q"]).ok().stdout, "");
}

#[test]
fn numbers_of_the_status_line_come_in_order() {
    let mut text = "rule r\n  command = : > $out\n".to_owned();
    (0..300).for_each(|at| text += &format!("build o{at}: r\n"));
    let project = project(&text);
    let said = ninja(&project, &["-j32"]).ok().stdout;
    let numbers: Vec<&str> = said
        .lines()
        .filter_map(|line| line.strip_prefix('[')?.split_once(']'))
        .map(|it| it.0)
        .collect();
    let right: Vec<String> = (1..=300).map(|at| format!("{at}/300")).collect();
    assert_eq!(numbers, right);
}

#[test]
fn edges_are_told_of_inputs_while_they_are_built() {
    let text = "rule dd\n  command = cp dd.in dd\nbuild dd: dd dd.in\nrule cat\n  command = cat $in b > $out\n  dyndep = dd\nbuild o: cat a || dd\nrule b\n  command = cp b.in b\nbuild b: b b.in\n";
    let project = project(text);
    project
        .file("a", "1")
        .file("b.in", "2")
        .file("dd.in", "ninja_dyndep_version = 1\nbuild o: dyndep | b\n");
    ninja(&project, &["o"]).ok();
    assert_eq!(project.read("o"), "12");
    assert_eq!(done(ninja(&project, &["o"]).ok()), NOTHING);
    project.file("b.in", "3");
    ninja(&project, &["o"]).ok();
    assert_eq!(project.read("o"), "13");
    project.file("dd.in", "ninja_dyndep_version = 1\n");
    ninja(&project, &["o"]).ends_with(2).says("does not tell of `o`");
}

#[test]
fn validations_are_built_too_and_nothing_waits_for_them() {
    let project = project(&format!(
        "{CAT}rule no\n  command = false\nbuild check: no b\nbuild b: cat a |@ check\nbuild c: cat b\n"
    ));
    project.file("a", "1");
    ninja(&project, &["-k0", "c"]).ends_with(1);
    assert!(project.path("c").exists());
}

#[test]
fn outputs_may_lie_anywhere_and_be_links() {
    let text = "rule cp\n  command = cp $in $out\nrule ln\n  command = ln -sf a $out\nbuild ../beside: cp a\nbuild l: ln a\nbuild c: cp ../beside | l\n";
    let project = project(text);
    project.file("a", "1");
    fs::create_dir(project.path("elsewhere")).unwrap();
    symlink("elsewhere", project.path("link")).unwrap();
    assert_eq!(built(&project).len(), 3);
    assert_eq!(built(&project), NOTHING);
    project.file("a", "2");
    assert_eq!(built(&project).len(), 3);
    assert_eq!(project.read("c"), "2");
    project.file("../beside", "edited");
    assert_eq!(built(&project).len(), 1);
}

#[test]
fn tools_answer_without_building() {
    let project = project(&format!("{CAT}build b: cat a\nbuild c: cat b\n"));
    project.file("a", "1");
    let tool = |arguments: &[&str]| ninja(&project, &[&["-t"], arguments].concat());
    assert_eq!(tool(&["targets", "all"]).ok().stdout, "b: cat\nc: cat\n");
    assert_eq!(tool(&["commands", "b"]).ok().stdout, "cat a > b\n");
    assert!(tool(&["list"]).ok().stdout.contains("compdb"));
    tool(&["nothing"]).ends_with(2).says("there is no tool `nothing`");
    tool(&["browse", "b"]).ends_with(2).says("the tool `browse` is not there");
    for quiet in ["recompact", "restat", "cleandead"] {
        tool(&[quiet]).ok();
    }
    built(&project);
    tool(&["clean", "-n"]).ends_with(2).says("the tool `clean` has no option `-n`");
    tool(&["clean", "-r"]).ends_with(2).says("needs the name of a rule");
    tool(&["clean", "-r", "dog"]).ends_with(2).says("there is no rule `dog`");
    assert!(project.path("b").exists());
    assert_eq!(tool(&["clean", "-r", "cat"]).ok().stdout, "Cleaning... 2 files.\n");
    assert!(!project.path("b").exists());
    assert_eq!(built(&project).len(), 2);
    project.file("build.ninja", format!("{CAT}build c: cat a\n"));
    assert_eq!(tool(&["cleandead"]).ok().stdout, "Cleaning... 1 files.\n");
    assert!(!project.path("b").exists() && project.path("c").exists());
}

#[test]
fn by_the_name_of_ninja_larder_is_ninja() {
    let project = project(&format!("{CAT}build b: cat a\n"));
    project.file("a", "1");
    let link = project.path("bin/ninja");
    fs::create_dir(project.path("bin")).unwrap();
    symlink(binary(), &link).unwrap();
    let mut command = std::process::Command::new(&link);
    command.arg("--version").env("LARDER_CACHE_DIR", &project.cache);
    assert_eq!(run(command).ok().stdout, "1.12.1\n");
    let mut command = std::process::Command::new(&link);
    command.args(["-C", project.root.to_str().unwrap()]).env("LARDER_CACHE_DIR", &project.cache);
    let said = run(command).ok().stdout;
    assert!(
        said.starts_with("ninja: Entering directory `/") && said.ends_with("CAT b\n"),
        "{said}"
    );
}
