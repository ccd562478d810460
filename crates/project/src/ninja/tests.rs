use std::{fs, path::Path};

use proptest::prelude::*;

use super::*;
use crate::diagnostic::Diagnostic;
use dyndep::dyndep;

mod dyndep;

fn load(text: &str) -> Result<Graph, Diagnostic> {
    Graph::of_text(Path::new("/b"), text)
}

fn graph(text: &str) -> Graph {
    load(text).unwrap_or_else(|error| panic!("{error}"))
}

/// The first edge that makes something of this name.
fn maker(graph: &Graph, output: &str) -> EdgeId {
    graph.node(graph.find(output).unwrap()).made_by.unwrap()
}

fn command(text: &str, output: &str) -> String {
    let graph = graph(text);
    graph.command(maker(&graph, output)).unwrap()
}

fn names(graph: &Graph, nodes: &[NodeId]) -> Vec<String> {
    nodes.iter().map(|node| graph.node(*node).path.to_string()).collect()
}

/// The place and the message of the mistake in a text.
fn mistake(text: &str) -> String {
    let error = load(text).expect_err(text);
    let (line, column) = error.line_column().unwrap_or((0, 0));
    format!("{line}:{column}: {}", error.message)
}

const CAT: &str = "rule cat\n  command = cat $in > $out\n";

#[test]
fn an_edge_has_inputs_and_outputs_of_each_kind() {
    let graph = graph(&format!("{CAT}build a b | c: cat d e | f || g h |@ i\n"));
    let edge = graph.edge(maker(&graph, "c"));
    assert_eq!(names(&graph, edge.explicit_outputs()), ["a", "b"]);
    assert_eq!(names(&graph, &edge.outputs), ["a", "b", "c"]);
    assert_eq!(names(&graph, edge.explicit_inputs()), ["d", "e"]);
    assert_eq!(names(&graph, edge.deciding_inputs()), ["d", "e", "f"]);
    assert_eq!(names(&graph, edge.order_only_inputs()), ["g", "h"]);
    assert_eq!(names(&graph, &edge.validations), ["i"]);
    assert_eq!(graph.command(maker(&graph, "a")).unwrap(), "cat d e > a b");
}

#[test]
fn variables_come_from_the_edge_then_the_rule_then_the_file() {
    let text = "x = file\nrule r\n  command = $x ${x}.c $flags\n  description = $x\n\
                build a: r\n  x = edge\n  flags = -$x\nbuild b: r\nx = later\n";
    // A binding of an edge sees those of the file, as they are where it stands.
    assert_eq!(command(text, "a"), "edge edge.c -file");
    // A rule sees the file's as they are at its end.
    assert_eq!(command(text, "b"), "later later.c ");
    let rules = "rule r\n  command = $description\n  description = of rule\nbuild a: r\n  y = 1\n";
    assert_eq!(command(rules, "a"), "of rule");
    assert_eq!(command(&format!("description = of file\n{rules}"), "a"), "of rule");
    // An edge without bindings shares those of its file.
    let shared = format!("description = of file\n{rules}build b: r\n");
    assert_eq!(command(&shared, "b"), "of file");
}

#[test]
fn values_are_evaluated_where_they_stand() {
    let text = format!("x = 1\ny = $x\nx = 2\n{CAT}build a$y: cat b$x c$y | $y\n  y = 3\n");
    let graph = graph(&text);
    let edge = graph.edge(maker(&graph, "a3"));
    assert_eq!(names(&graph, edge.deciding_inputs()), ["b2", "c3", "3"]);
}

#[test]
fn dollars_escape() {
    let text = "x = a$$b $\n    c$ d $:\nrule r\n  command = [$x] $in $out\nbuild o$ 1: r in$:2 $\n  in$$3\n";
    assert_eq!(command(text, "o 1"), "[a$b c d :] 'in:2' 'in$3' 'o 1'");
    let crlf = "rule r\r\n  command = x $\r\n    y\r\nbuild a: r $\r\n  b\r\n\r\n";
    assert_eq!(command(crlf, "a"), "x y");
    let graph = graph(crlf);
    assert_eq!(names(&graph, &graph.edge(maker(&graph, "a")).inputs), ["b"]);
}

#[test]
fn names_are_quoted_for_shells_and_nowhere_else() {
    let text =
        "rule r\n  command = c $in '$in_newline'\n  depfile = $out.d\nbuild it's: r a b$ c\n";
    let graph = graph(text);
    let id = maker(&graph, "it's");
    assert_eq!(graph.command(id).unwrap(), "c a 'b c' 'a\n'b c''");
    assert_eq!(graph.path_variable(id, "depfile").unwrap().as_deref(), Some("it's.d"));
    assert_eq!(graph.path_variable(id, "rspfile").unwrap(), None);
    assert_eq!(graph.variable(id, "out", Quoting::Shell).unwrap(), "'it'\\''s'");
}

#[test]
fn comments_and_empty_lines_are_no_statements() {
    let text = "# first\n\n   # indented\n   \nrule r # a rule\n  command = x # no comment\n   # one\n  description = d\n\nbuild a: r\n";
    assert!(mistake(text).contains("expected the end of the line"));
    let text = text.replace("rule r # a rule", "rule r");
    assert_eq!(command(&text, "a"), "x # no comment");
}

#[test]
fn paths_are_made_the_same() {
    for (path, same) in [
        ("a", "a"),
        ("./a", "a"),
        ("a//b/", "a/b"),
        ("a/./b", "a/b"),
        ("a/../b", "b"),
        ("../a", "../a"),
        ("../../a/../b", "../../b"),
        ("a/../../b", "../b"),
        ("/..", "/"),
        ("/../a", "/a"),
        ("//a", "/a"),
        ("/", "/"),
        (".", "."),
        ("a/..", "."),
        (".hidden/..x", ".hidden/..x"),
        ("a...", "a..."),
        ("./", "."),
    ] {
        assert_eq!(canonical(path), same, "{path}");
    }
    let graph = graph(&format!("{CAT}build ./a: cat x/../b\nbuild c: cat a .//b\n"));
    assert_eq!(names(&graph, &graph.edge(maker(&graph, "c")).inputs), ["a", "b"]);
    assert_eq!(names(&graph, &graph.edge(maker(&graph, "a")).inputs), ["b"]);
}

#[test]
fn included_files_share_a_scope_and_subninjas_have_their_own() {
    let place = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(place.path().join(name), text).unwrap();
    write(
        "build.ninja",
        "x = top\nrule r\n  command = $x\ninclude inc.ninja\nsubninja sub.ninja\nbuild a: r\n",
    );
    write("inc.ninja", "x = included\nbuild i: r\n");
    write(
        "sub.ninja",
        "x = sub\nrule own\n  command = own $x\nbuild s: r\nbuild o: own\nrule r\n  command = shadow\nbuild t: r\n",
    );
    let graph = Graph::load(place.path(), "build.ninja").unwrap();
    let said = |output: &str| graph.command(maker(&graph, output)).unwrap();
    assert_eq!(said("a"), "included");
    assert_eq!(said("i"), "included");
    assert_eq!(said("s"), "sub");
    assert_eq!(said("o"), "own sub");
    assert_eq!(said("t"), "shadow");
    assert_eq!(graph.files().count(), 3);
    write("sub.ninja", "build z: nothing\n");
    let error = Graph::load(place.path(), "build.ninja").unwrap_err();
    assert!(error.to_string().contains("sub.ninja:1:10: there is no rule `nothing`"), "{error}");
    write("inc.ninja", "include inc.ninja\n");
    let error = Graph::load(place.path(), "build.ninja").unwrap_err();
    assert!(error.message.contains("without an end"), "{error}");
    fs::remove_file(place.path().join("inc.ninja")).unwrap();
    let error = Graph::load(place.path(), "build.ninja").unwrap_err();
    assert_eq!(error.line_column(), Some((4, 9)));
    assert!(error.message.contains("cannot read"), "{error}");
    fs::write(place.path().join("inc.ninja"), b"x = \xff\n").unwrap();
    let error = Graph::load(place.path(), "build.ninja").unwrap_err();
    assert!(error.message.contains("is not UTF-8"), "{error}");
    assert!(Graph::load(place.path(), "gone.ninja").unwrap_err().message.contains("gone.ninja"));
}

#[test]
fn pools_have_depths() {
    let graph = graph("d = 2\npool link\n  depth = $d\npool free\n  depth = 0\n");
    let pools: Vec<_> = graph.pools.iter().map(|(name, depth)| (&**name, *depth)).collect();
    assert_eq!(pools, [("console", 1), ("free", 0), ("link", 2)]);
}

#[test]
fn mistakes_are_said_with_their_place() {
    for (text, said) in [
        ("foobar", "1:7: expected `=`, found the end of the file"),
        ("x 3\n", "1:3: expected `=`, found a name"),
        ("x = 3", "1:6: the file ends in mid-line; end it with a newline"),
        ("x = $", "1:5: bad escape: a dollar sign is written `$$`"),
        ("x = a\0b\n", "1:6: a NUL byte"),
        ("x = a\rb\n", "1:6: a carriage return without a newline after it"),
        ("x = $\n $[\n", "2:2: bad escape: a dollar sign is written `$$`"),
        ("x = a$\n b$\n $\n", "4:1: the file ends in mid-line; end it with a newline"),
        ("x = ${y\n", "1:5: expected a variable's name and `}` after `${`"),
        ("x = ${}\n", "1:5: expected a variable's name and `}` after `${`"),
        ("  x = 1\n", "1:1: expected a statement, found an indented line"),
        ("\tx = 1\n", "1:1: a tab where a statement should begin; lines are indented by blanks"),
        (": x\n", "1:1: expected a statement, found `:`"),
        ("é\n", "1:1: expected a statement, found this"),
        ("build\n", "1:6: expected the path of an output"),
        ("build x: y z\n", "1:10: there is no rule `y`"),
        ("build x:: phony\n", "1:9: expected the name of a rule"),
        ("build x\n", "1:8: expected `:`, found the end of the line (`$:` is a colon in a path)"),
        ("build a|b: phony\nbuild b: phony\n", "2:7: `b` is made twice"),
        ("build a a: phony\n", "1:9: `a` is made twice"),
        ("build $x: phony\n", "1:7: an empty path"),
        ("build a: phony ${x}\n", "1:16: an empty path"),
        ("build a: phony b || c | d\n", "1:23: expected the end of the line, found `|`"),
        ("build a: phony\n  pool = gone\n", "2:10: there is no pool `gone`"),
        ("build a: phony\n  x 1\n", "2:5: expected `=`, found a name"),
        ("rule\n", "1:5: expected a rule's name"),
        ("rule r\n", "1:6: the rule `r` has no `command`"),
        ("rule r\n  command = 1\nrule r\n  command = 2\n", "3:6: there is a rule `r` already"),
        ("rule phony\n  command = 1\n", "1:6: there is a rule `phony` already"),
        ("rule r\n  comand = 1\n", "2:3: rules have no variable `comand`"),
        (
            "rule r\n  command = c\n  rspfile = f\n",
            "1:6: `rspfile` and `rspfile_content` are given together, or neither is",
        ),
        ("rule %\n", "1:6: expected a rule's name"),
        (
            "rule r\n  command = c\nbuild a: r\n  rspfile = $\n",
            "5:1: the file ends in mid-line; end it with a newline",
        ),
        ("pool\n", "1:5: expected a pool's name"),
        ("pool p\n", "1:6: the pool `p` has no `depth`"),
        ("pool p\n  depth = 4\npool p\n", "3:6: there is a pool `p` already"),
        ("pool p\n  depth = -1\n", "2:11: `-1` is no depth of a pool"),
        ("pool p\n  bar = 1\n", "2:9: pools have no variable `bar`"),
        ("default\n", "1:8: expected the name of a target"),
        ("default nix\n", "1:9: there is no target `nix`"),
        ("build a: phony\ndefault a:\n", "2:10: expected the end of the line, found `:`"),
        ("include\n", "1:8: expected the path of a build file"),
        ("include $x\n", "1:9: cannot read /b/: "),
        ("ninja_required_version = 99.1\n", "1:26: this file needs ninja 99.1"),
        (
            "rule r\n  command = c\n  dyndep = dd\nbuild a: r\n",
            "4:1: `dyndep` names `dd`, which is not among the inputs",
        ),
    ] {
        let found = mistake(text);
        assert!(found.starts_with(said), "{text:?}\n says    {found}\n and not {said}");
    }
    assert!(
        load("rule cmp\n  command = c\nbuild a: cp\n").unwrap_err().help.unwrap().contains("cmp")
    );
    graph("ninja_required_version = 1.10.2\n");
}

#[test]
fn rules_whose_variables_need_each_other_are_refused() {
    let graph =
        graph("rule r\n  command = $depfile\n  depfile = $deps\n  deps = $command\nbuild a: r\n");
    let error = graph.command(maker(&graph, "a")).unwrap_err();
    assert!(error.message.ends_with("command -> depfile -> deps -> command"), "{error}");
    assert_eq!(error.line_column(), Some((5, 1)));
}

#[test]
fn an_alias_of_itself_is_let_pass() {
    let graph = graph("build a: phony a\n");
    assert!(graph.edge(maker(&graph, "a")).inputs.is_empty());
    assert_eq!(graph.warnings.len(), 1);
    assert!(graph.closure(&[graph.find("a").unwrap()]).is_ok());
}

#[test]
fn what_is_needed_comes_first_and_cycles_are_refused() {
    let acyclic = graph(&format!(
        "{CAT}build a: cat b c\nbuild b: cat c |@ v\nbuild v: cat a\nbuild c: cat\n"
    ));
    let order = acyclic.closure(&[acyclic.find("a").unwrap()]).unwrap();
    let outputs: Vec<String> =
        order.iter().flat_map(|id| names(&acyclic, &acyclic.edge(*id).outputs)).collect();
    assert_eq!(outputs, ["c", "b", "a", "v"]);
    let cyclic = graph(&format!(
        "{CAT}build x: cat a\nbuild a aa: cat b\nbuild b: cat c\nbuild c: cat || aa\n"
    ));
    let error = cyclic.closure(&[cyclic.find("x").unwrap()]).unwrap_err();
    assert_eq!(error.message, "a cycle: aa -> b -> c -> aa");
    assert!(cyclic.default_targets().is_ok());
    let all = graph(&format!("{CAT}build a: cat b\nbuild b: cat a\n"));
    assert!(all.default_targets().is_err());
}

#[test]
fn a_chain_may_be_as_long_as_a_file() {
    let mut text = CAT.to_owned();
    (0..100_000).for_each(|at| text += &format!("build n{at}: cat n{}\n", at + 1));
    let graph = graph(&text);
    assert_eq!(graph.closure(&graph.default_targets().unwrap()).unwrap().len(), 100_000);
}

#[test]
fn targets_are_paths_or_what_is_made_from_one() {
    let graph = graph(&format!("{CAT}build out/a.o: cat ./a.c\nbuild all: phony out/a.o\n"));
    let target = |name: &str| graph.target(name).map(|id| graph.node(id).path.to_string());
    assert_eq!(target("out//a.o").unwrap(), "out/a.o");
    assert_eq!(target("a.c^").unwrap(), "out/a.o");
    assert_eq!(target("a.c").unwrap(), "a.c");
    assert!(target("all^").unwrap_err().message.contains("nothing is made from"));
    assert!(target("out/a.p").unwrap_err().help.unwrap().contains("out/a.o"));
    assert!(target("clean").unwrap_err().help.unwrap().contains("-t clean"));
    assert!(target("").is_err() && target("^").is_err());
    assert_eq!(names(&graph, &graph.default_targets().unwrap()), ["all"]);
}

#[test]
fn defaults_add_up() {
    let graph =
        graph("build a: phony\nbuild b: phony\nbuild c: phony\nx = c\ndefault a\ndefault b $x\n");
    assert_eq!(names(&graph, &graph.default_targets().unwrap()), ["a", "b", "c"]);
}

#[test]
fn the_tools_tell_of_the_graph() {
    let text = format!(
        "{CAT}rule cc\n  command = cc @$out.rsp -c $in\n  description = CC $out\n  rspfile = $out.rsp\n  \
         rspfile_content = -O2$ -g\nbuild a.o: cc a.c | a.h || gen\nbuild all: phony a.o |@ check\nbuild check: cat a.o\n"
    );
    let graph = graph(&text);
    let all = graph.find("all").unwrap();
    assert_eq!(graph.targets_by_depth(&[all], 1), "all: phony\n");
    assert_eq!(
        graph.targets_by_depth(&[all], 0),
        "all: phony\n  a.o: cc\n    a.c\n    a.h\n    gen\n"
    );
    assert_eq!(graph.all_targets(), "a.o: cc\nall: phony\ncheck: cat\n");
    assert_eq!(graph.targets_of_rule(Some("cc")), "a.o\n");
    assert_eq!(graph.targets_of_rule(None), "a.c\na.h\ngen\n");
    assert_eq!(graph.rule_names(false), "cat\ncc\nphony\n");
    assert_eq!(graph.rule_names(true), "cat\ncc: CC ${out}\nphony\n");
    let shown = graph.neighbours(graph.find("a.o").unwrap());
    assert_eq!(
        shown,
        "a.o:\n  input: cc\n    a.c\n    | a.h\n    || gen\n  outputs:\n    all\n    check\n"
    );
    let order = graph.closure(&[all]).unwrap();
    assert_eq!(graph.commands(&order).unwrap(), "cc @a.o.rsp -c a.c\ncat a.o > check\n");
    assert_eq!(graph.inputs_of(&order), "a.c\na.h\na.o\ngen\n");
    let entries = graph.database(&["cc".to_owned()], true).unwrap();
    assert_eq!(
        entries,
        "[\n  {\"command\":\"cc -O2 -g -c a.c\",\"directory\":\"/b\",\"file\":\"a.c\",\"output\":\"a.o\"}\n]\n"
    );
    assert_eq!(graph.database(&["gone".to_owned()], false).unwrap(), "[\n]\n");
    assert!(graph.dot(&[all]).unwrap().contains("[label=\"cc\", shape=ellipse]"));
}

proptest! {
    #[test]
    fn any_text_is_survived(text in "([a-c$:|@={} \n\r\t#]|build |rule |pool |default |phony|command|\n  |dyndep){0,40}") {
        _ = dyndep(&text);
        if let Ok(graph) = load(&text) {
            _ = graph.default_targets().and_then(|targets| graph.closure(&targets));
            graph.edges().for_each(|id| drop(graph.command(id)));
        }
    }

    #[test]
    fn a_canonical_path_stays(path in "[a./]{1,12}") {
        let once = canonical(&path).into_owned();
        prop_assert_eq!(canonical(&once), once.as_str());
        prop_assert_eq!(path.starts_with('/'), once.starts_with('/'));
    }
}
