//! Inputs that change while a command runs: what was made of them is used and not recorded.

use std::fs;

use larder_engine::{
    action::{Action, Output, Piece, text},
    artifact::Artifact,
    builds::*,
    event::Status,
    job::{Job, collect},
    step::Work,
};

use crate::support::*;

/// Builds `used` from an output that a command makes from `input`, which changes `edited` on its way.
/// Gives what was built, and what `used` holds.
fn build(here: &Here, input: impl Fn(&Owner) -> Job<Artifact>) -> (Vec<String>, String) {
    // What it reads is what was hashed; what it leaves is an edit.
    let script = "cat \"$1\" \"$1\"/* > $0 2> /dev/null; if [ -e edit ]; then mv edit in/file; fi";
    let build = here.build();
    let inputs = input(&build.owner).map(|built| {
        let trace = nothing().mix(built.trace.clone());
        Ok(larder_engine::job::Built { value: vec![built.value.clone()], trace })
    });
    let made = build_command(
        build.owner(),
        Output::file(out("made")),
        Vec::new(),
        [inputs],
        shell(script),
    );
    let first = made.map(|made| {
        let (value, trace) = (made.value[0].clone(), (*made.trace.parts()[0]).clone());
        Ok(larder_engine::job::Built { value, trace })
    });
    let used =
        build_file_after_dep(build.owner(), out("used"), &first, nothing, rewrite(|t| t), false);
    build.run(&used).unwrap_or_else(|_| panic!("{:?}", build.said()));
    (build.with(Status::Built), here.read("used"))
}

#[test]
fn a_file_or_directory_that_changes_under_a_command_is_read_again() {
    for directory in [false, true] {
        let here = Here::new();
        let input = |owner: &Owner| match directory {
            true => input_dir(owner, own("in"), false),
            false => input_bin_file(owner, own("in/file")),
        };
        here.file("in/file", "old\n").file("edit", "new\n");
        settle();
        let all = ["made", "used"].map(str::to_owned).to_vec();
        assert_eq!(build(&here, input), (all.clone(), "old\n".to_owned()));
        // The edit is undone: what was made is of the same input, and still nobody vouches for it.
        here.file("in/file", "old\n");
        settle();
        assert_eq!(build(&here, input), (vec!["made".to_owned()], "old\n".to_owned()));
        assert_eq!(build(&here, input), (vec![], "old\n".to_owned()));
        here.file("edit", "new\n").file("in/file", "older\n");
        settle();
        assert_eq!(build(&here, input), (all.clone(), "older\n".to_owned()));
        // Or it stays.
        assert_eq!(build(&here, input), (all, "new\n".to_owned()));
        settle();
        assert_eq!(build(&here, input), (vec![], "new\n".to_owned()));
    }
}

/// Compiles `x.c` after `gen.h` is there, with a compiler that changes `gen.h` when there is `edit`.
fn compiled(here: &Here) -> (Vec<String>, String) {
    let build = here.build();
    let compile = Compile::new(
        tool_at(here.root.join("cc")),
        Dialect::Other,
        vec![text("weak")],
        Vec::new(),
        nothing(),
    );
    let header = collect(&build.cx.scheduler, [input_bin_file(&build.owner, own("gen.h"))]);
    let source = input_bin_file(&build.owner, own("x.c"));
    let object = build_o(build.owner(), out("x.o"), &source, compile.into(), Some(&header));
    build.run(&object).unwrap_or_else(|_| panic!("{:?}", build.said()));
    (build.with(Status::Built), here.read("x.o"))
}

#[test]
fn a_prerequisite_that_changes_under_a_compiler_is_read_again() {
    let here = Here::new();
    here.file("x.c", "code\n").file("gen.h", "old\n").file("edit", "new\n");
    here.script("cc", "cat gen.h x.c > \"$3\"; if [ -e edit ]; then mv edit gen.h; fi\n");
    settle();
    let built = vec!["x.o".to_owned()];
    assert_eq!(compiled(&here), (built.clone(), "old\ncode\n".to_owned()));
    here.file("gen.h", "old\n");
    settle();
    assert_eq!(compiled(&here), (built.clone(), "old\ncode\n".to_owned()));
    assert_eq!(compiled(&here), (vec![], "old\ncode\n".to_owned()));
    fs::write(here.root.join("gen.h"), "newer\n").unwrap();
    assert_eq!(compiled(&here), (built, "newer\ncode\n".to_owned()));
}

#[test]
fn an_input_that_is_the_same_when_looked_at_again_is_no_change() {
    // Many read one file at once, some of them before its times tell that it is settled.
    let here = Here::new();
    here.file("a", "a");
    let run = || {
        let build = here.build();
        let input = input_bin_file(&build.owner, own("a"));
        let jobs = (0..40).map(|number| {
            let work = Work::Action(Box::new(move |step, cx, inputs| {
                let name = step.portable(cx, &inputs.artifacts[0]);
                let script = format!("sleep 0.0{}; cp {name} $0", number % 5);
                let arguments = vec![text("-c"), text(script), vec![Piece::Output(0)]];
                Action { response_file: None, ..step.action(cx, inputs, &tool("sh"), arguments) }
            }));
            build_file_after_dep(
                build.owner(),
                out(&format!("o{number}")),
                &input,
                nothing,
                work,
                false,
            )
        });
        build.run(&collect(&build.cx.scheduler, jobs)).unwrap();
        build.with(Status::Built).len()
    };
    assert_eq!(run(), 40);
    assert_eq!(run(), 0);
}
