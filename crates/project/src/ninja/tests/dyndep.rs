//! Files that tell of inputs and outputs while things are built.

use std::fs;

use super::super::*;
use super::{maker, names};
use crate::diagnostic::{Diagnostic, SourceText};

pub fn dyndep(text: &str) -> Result<Vec<Dyndep>, Diagnostic> {
    Dyndep::parse(&SourceText { path: "dd".into(), text: text.into() })
}

#[test]
fn edges_are_told_of_further_inputs_and_outputs() {
    let place = tempfile::tempdir().unwrap();
    let text = "rule cc\n  command = cc $in\n  dyndep = dd\nbuild a.o: cc a.c || dd\nbuild b.o: cc b.c || dd\n";
    fs::write(place.path().join("build.ninja"), text).unwrap();
    let write = |text: &str| fs::write(place.path().join("dd"), text).unwrap();
    let load = || {
        let mut graph = Graph::load(place.path(), "build.ninja").unwrap();
        let node = graph.find("dd").unwrap();
        graph.load_dyndep(node).map(|()| graph)
    };
    write(
        "ninja_dyndep_version = 1\nbuild a.o | a.mod: dyndep\nbuild ./b.o: dyndep | a.mod\n  restat = 1\n",
    );
    let graph = load().unwrap();
    let (a, b) = (maker(&graph, "a.mod"), maker(&graph, "b.o"));
    assert_eq!(names(&graph, &graph.edge(a).outputs), ["a.o", "a.mod"]);
    assert_eq!(names(&graph, graph.edge(b).deciding_inputs()), ["b.c", "a.mod"]);
    assert_eq!(names(&graph, graph.edge(b).order_only_inputs()), ["dd"]);
    assert_eq!((graph.flag(a, "restat"), graph.flag(b, "restat")), (false, true));
    assert_eq!(graph.edge(a).dyndep, None);
    assert_eq!(graph.closure(&[graph.find("b.o").unwrap()]).unwrap(), [a, b]);
    write("ninja_dyndep_version = 1\nbuild a.o: dyndep\n");
    assert!(load().unwrap_err().message.contains("does not tell of `b.o`"));
    write("ninja_dyndep_version = 1\nbuild a.o: dyndep\nbuild a.o: dyndep\n");
    assert!(load().unwrap_err().message.contains("is told of twice"));
    write("ninja_dyndep_version = 1\nbuild x: dyndep\n");
    assert!(load().unwrap_err().to_string().contains("dd:2:7: `x` does not take"));
    write("ninja_dyndep_version = 1\nbuild a.o | m: dyndep\nbuild b.o | m: dyndep\n");
    assert!(load().unwrap_err().message.contains("`m` is made twice"));
}

#[test]
fn mistakes_in_what_tells_of_edges_are_said() {
    for (text, said) in [
        ("", "expected `ninja_dyndep_version = 1`"),
        ("build a: dyndep\n", "expected `ninja_dyndep_version = 1`"),
        ("ninja_dyndep_version = 2\n", "expected `ninja_dyndep_version = 1`"),
        ("x = 1\n", "expected `ninja_dyndep_version = 1`"),
        ("ninja_dyndep_version = 1\nrule x\n", "expected `build`, found `rule`"),
        ("ninja_dyndep_version = 1\nbuild\n", "expected one output"),
        ("ninja_dyndep_version = 1\nbuild a b: dyndep\n", "expected one output"),
        ("ninja_dyndep_version = 1\nbuild a: cc\n", "expected `dyndep`"),
        ("ninja_dyndep_version = 1\nbuild a: dyndep x\n", "explicit inputs have no place here"),
        (
            "ninja_dyndep_version = 1\nbuild a: dyndep || x\n",
            "order-only inputs have no place here",
        ),
        ("ninja_dyndep_version = 1\nbuild a: dyndep\n  x = 1\n", "expected `restat`, found `x`"),
    ] {
        assert_eq!(dyndep(text).unwrap_err().message, said, "{text:?}");
    }
    assert_eq!(dyndep("\nninja_dyndep_version = 1.0-x\n\n").unwrap(), []);
}
