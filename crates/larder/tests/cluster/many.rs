//! Many actions, many inputs and large ones.

use std::time::{Duration, Instant};

use larder_testkit::{
    clusters::{Behaviour, Faulty},
    project::Project,
};

use crate::support::build;

/// A package of so many sources.
fn sources(count: usize) -> Project {
    let project = Project::new("[[library]]\nname = \"p\"\nsources = [\"src/*.c\"]\n");
    for number in 0..count {
        project.file(
            &format!("src/f{number}.c"),
            format!("int f{number}(void) {{ return {number}; }}\n"),
        );
    }
    project
}

#[test]
fn results_of_many_actions_are_waited_for_at_once() {
    let server = Faulty::start(Behaviour::default());
    let first = sources(200);
    build(&first, &server.url());
    // So long that it is not the speed of this machine and of an unoptimised build that counts.
    let latency = Duration::from_millis(250);
    server.behave(Behaviour { latency, ..Behaviour::default() });
    server.counts();
    let begun = Instant::now();
    let second = first.elsewhere();
    let outcome = build(&second, &server.url());
    let took = begun.elapsed();
    let known = outcome.with("restored", "remote-cache").len();
    assert!(known >= 200, "{known}");
    // One at a time, each would wait for its result and then for what that names: for 100 seconds in all.
    assert!(took * 20 < latency * 2 * 200, "{took:?}");
    // Contents of many travel in one message.
    let counts = server.counts();
    assert!(counts.calls["BatchReadBlobs"] < 200, "{counts:?}");
}

#[test]
fn two_hundred_actions_are_in_flight_on_a_few_processors() {
    let server = Faulty::start(Behaviour { jobs: 2, ..Behaviour::default() });
    build(&sources(240), &server.url());
    let most = server.counts().in_flight;
    assert!(most >= 200, "{most}");
}

#[test]
fn two_thousand_small_inputs_take_few_calls() {
    let server = Faulty::start(Behaviour::default());
    let project =
        Project::new("[[library]]\nname = \"p\"\nsources = [\"p.c\"]\nincludes = [\"include\"]\n");
    let mut source = String::new();
    for number in 0..2000 {
        project.file(&format!("include/h{number}.h"), format!("int h{number}(void);\n"));
        source += &format!("#include <h{number}.h>\n");
    }
    project.file("p.c", source);
    let outcome = build(&project, &server.url());
    assert_eq!(outcome.with("built", "remote").len(), outcome.steps.len(), "{:?}", outcome.steps);
    let counts = server.counts();
    assert!(counts.all() < 60, "{counts:?}");
}

#[test]
fn a_large_input_travels_as_a_stream_that_goes_on_where_it_was_cut_off() {
    let server = Faulty::start(Behaviour { cuts: 0.05, ..Behaviour::default() });
    let project = Project::new("[[executable]]\nname = \"p\"\nsources = [\"p.c\"]\n");
    let mut text = b"int main(void) { return 0; }\n/*".to_vec();
    text.resize(100 << 20, b'.');
    text.extend(b"*/\n");
    project.file("p.c", text);
    let outcome = build(&project, &server.url());
    assert_eq!(outcome.with("built", "remote").len(), 2, "{:?}", outcome.steps);
    let counts = server.counts();
    assert!(counts.calls["Write"] >= 1, "{counts:?}");
}
