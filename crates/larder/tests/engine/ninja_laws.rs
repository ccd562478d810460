//! Laws of `larder ninja`: whatever is edited, an incremental build leaves what Ninja makes of the same files in an
//! empty directory, and there is nothing to do after it.

use std::{fs, path::Path, process::Command};

use larder_testkit::{project::Project, run::run, tools::require};
use proptest::prelude::*;

/// A build file whose commands write a checksum of all that they read.
#[derive(Debug, Clone)]
struct Build {
    texts: Vec<Text>,
    headers: Vec<Text>,
    edges: Vec<Edge>,
}

/// A file that may name headers, which whoever reads it reads as well.
#[derive(Debug, Clone)]
struct Text {
    value: u8,
    /// Headers that it names, as bits; a header names later ones only.
    uses: u8,
}

/// An edge; what it needs of others are bits, and count where those come before it.
#[derive(Debug, Clone)]
struct Edge {
    word: u8,
    /// Texts among its explicit inputs.
    texts: u8,
    /// Outputs among its explicit, its implicit and its order-only inputs.
    explicit: u8,
    implicit: u8,
    order_only: u8,
    /// Order-only inputs that it reads, and tells of.
    told: u8,
    tells: Tells,
    restat: bool,
    /// Whether it makes a second file, which is empty.
    stamps: bool,
    /// Whether what needs it does so by an alias.
    alias: bool,
}

/// How an edge tells of the headers that it reads.
#[derive(Debug, Clone, Copy)]
enum Tells {
    Depfile,
    DepsGcc,
    DepsMsvc,
}

#[derive(Debug, Clone)]
enum Edit {
    Text(usize, Text),
    Header(usize, Text),
    Edge(usize, Edge),
    Word(usize, u8),
    Swap(usize, usize),
    Touch(usize),
    /// Build some of it first.
    Only(usize),
    Spoil(usize, Spoil),
}

/// Something that may happen to the files that larder left.
#[derive(Debug, Clone, Copy)]
enum Spoil {
    RemoveOutput,
    ChangeOutput,
    RemoveTrace,
    CutTrace,
    RemoveIndex,
    CutIndex,
}

const TEXTS: usize = 3;
const HEADERS: usize = 3;
const EDGES: usize = 6;

fn text() -> impl Strategy<Value = Text> {
    (0..4u8, 0..8u8).prop_map(|(value, uses)| Text { value, uses })
}

fn edge() -> impl Strategy<Value = Edge> {
    let needs = (0..8u8, any::<u8>(), any::<u8>(), any::<u8>(), any::<u8>());
    let tells = prop_oneof![Just(Tells::Depfile), Just(Tells::DepsGcc), Just(Tells::DepsMsvc)];
    (0..4u8, needs, tells, any::<[bool; 3]>()).prop_map(|(word, needs, tells, flags)| {
        let (texts, explicit, implicit, order_only, told) = needs;
        let [restat, stamps, alias] = flags;
        // Few of each kind, so that most of the graph does not hang on one file.
        let (explicit, implicit) = (explicit & implicit, implicit & order_only);
        Edge { word, texts, explicit, implicit, order_only, told, tells, restat, stamps, alias }
    })
}

fn build() -> impl Strategy<Value = Build> {
    (
        prop::collection::vec(text(), TEXTS),
        prop::collection::vec(text(), HEADERS),
        prop::collection::vec(edge(), EDGES),
    )
        .prop_map(|(texts, headers, edges)| Build { texts, headers, edges })
}

fn edit() -> impl Strategy<Value = Edit> {
    let spoil = prop_oneof![
        Just(Spoil::RemoveOutput),
        Just(Spoil::ChangeOutput),
        Just(Spoil::RemoveTrace),
        Just(Spoil::CutTrace),
        Just(Spoil::RemoveIndex),
        Just(Spoil::CutIndex),
    ];
    prop_oneof![
        (0..TEXTS, text()).prop_map(|(i, text)| Edit::Text(i, text)),
        (0..HEADERS, text()).prop_map(|(i, text)| Edit::Header(i, text)),
        (0..EDGES, edge()).prop_map(|(i, edge)| Edit::Edge(i, edge)),
        (0..EDGES, 0..4u8).prop_map(|(i, word)| Edit::Word(i, word)),
        (0..TEXTS, 0..TEXTS).prop_map(|(i, j)| Edit::Swap(i, j)),
        (0..TEXTS + HEADERS).prop_map(Edit::Touch),
        (0..EDGES).prop_map(Edit::Only),
        (any::<usize>(), spoil).prop_map(|(i, spoil)| Edit::Spoil(i, spoil)),
    ]
}

fn bits(bits: u8, count: usize) -> impl Iterator<Item = usize> {
    (0..count).filter(move |at| bits & (1 << at) != 0)
}

/// Reads its inputs, the headers that these name, and so on. What it has nothing new to say of, it leaves as it is
/// where it is told to.
const SCRIPT: &str = "out=$1 tells=$2 restat=$3 word=$4; shift 4
all=
add() { for name in $(sed -n 's/^use //p' \"$1\"); do all=\"$all $name\"; add $name; done; }
for file; do add \"$file\"; done
{ echo \"$word\"; cat /dev/null \"$@\" $all; } | cksum > $out.new
if [ $restat = 1 ] && cmp -s $out.new $out; then rm $out.new; else mv $out.new $out; fi
case $tells in
msvc) for name in $all \"$@\"; do echo \"Note: including file: $name\"; done ;;
*) echo \"$out: $* $all\" > $out.d ;;
esac
";

impl Build {
    fn edit(&mut self, edit: &Edit) {
        match edit {
            Edit::Text(i, text) => self.texts[*i] = text.clone(),
            Edit::Header(i, text) => self.headers[*i] = text.clone(),
            Edit::Edge(i, edge) => self.edges[*i] = edge.clone(),
            Edit::Word(i, word) => self.edges[*i].word = *word,
            Edit::Swap(i, j) => self.texts.swap(*i, *j),
            Edit::Touch(_) | Edit::Only(_) | Edit::Spoil(..) => {}
        }
    }

    /// Whether anything reads a header: one that nothing reads is not there.
    fn uses(&self, header: usize) -> bool {
        let named = |text: &Text| text.uses & (1 << header) != 0;
        self.texts.iter().any(named) || self.headers[..header].iter().any(named)
    }

    fn build_file(&self) -> String {
        let mut text = String::new();
        for (name, settings) in [
            ("depfile", "  depfile = $out.d\n"),
            ("gcc", "  depfile = $out.d\n  deps = gcc\n"),
            ("msvc", "  deps = msvc\n"),
        ] {
            text += &format!(
                "rule {name}\n  command = sh make.sh $out {name} $restat $word $in $more $stamp\n  description = $out\n{settings}"
            );
        }
        for (number, edge) in self.edges.iter().enumerate() {
            let of = |needs: u8| -> Vec<String> {
                let name = |at: usize| {
                    if self.edges[at].alias { format!("a{at}") } else { format!("o{at}") }
                };
                bits(needs, number).map(name).collect()
            };
            let files = |needs: u8| -> Vec<String> {
                bits(needs, number).map(|at| format!("o{at}")).collect()
            };
            let texts = bits(edge.texts, TEXTS).map(|at| format!("t{at}"));
            let explicit: Vec<String> = texts.chain(files(edge.explicit)).collect();
            // What it reads besides: implicit inputs, and those order-only ones that it tells of.
            let more = [files(edge.implicit), files(edge.order_only & edge.told)].concat();
            let rule = match edge.tells {
                Tells::Depfile => "depfile",
                Tells::DepsGcc => "gcc",
                Tells::DepsMsvc => "msvc",
            };
            text += &format!(
                "build o{number}{}: {rule} {} | make.sh {} || {}\n  word = {}\n  more = {}\n  stamp = {}\n  restat = {}\n",
                if edge.stamps { format!(" | s{number}") } else { String::new() },
                explicit.join(" "),
                of(edge.implicit).join(" "),
                of(edge.order_only).join(" "),
                edge.word,
                more.join(" "),
                if edge.stamps { format!("&& : > s{number}") } else { String::new() },
                u8::from(edge.restat),
            );
            if edge.alias {
                text += &format!("build a{number}: phony o{number}\n");
            }
        }
        text
    }

    /// Brings the files on disk to this state, and writes only what differs.
    fn write(&self, project: &Project) {
        let write = |path: &str, content: String| {
            if fs::read_to_string(project.path(path)).ok().as_deref() != Some(&content) {
                project.file(path, content);
            }
        };
        let content = |text: &Text, first: usize| {
            let uses = bits(text.uses, HEADERS).filter(|at| *at >= first);
            let uses: String = uses.map(|at| format!("use h{at}\n")).collect();
            format!("{}\n{uses}", text.value)
        };
        write("build.ninja", self.build_file());
        write("make.sh", SCRIPT.to_owned());
        for (number, text) in self.texts.iter().enumerate() {
            write(&format!("t{number}"), content(text, 0));
        }
        for (number, text) in self.headers.iter().enumerate() {
            let path = format!("h{number}");
            match self.uses(number) {
                true => write(&path, content(text, number + 1)),
                false => fs::remove_file(project.path(&path)).unwrap_or_default(),
            }
        }
    }

    fn outputs(&self) -> impl Iterator<Item = String> {
        let of = |(number, edge): (usize, &Edge)| {
            [Some(format!("o{number}")), edge.stamps.then(|| format!("s{number}"))]
        };
        self.edges.iter().enumerate().flat_map(of).flatten()
    }
}

fn disturb(project: &Project, build: &Build, edit: &Edit) {
    match *edit {
        Edit::Touch(i) => {
            let path = if i < TEXTS { format!("t{i}") } else { format!("h{}", i - TEXTS) };
            if let Ok(file) = fs::File::options().append(true).open(project.path(&path)) {
                file.set_modified(std::time::SystemTime::now()).unwrap();
            }
        }
        Edit::Only(i) => drop(project.larder(&["ninja", "-j2", &format!("o{i}")]).ok()),
        Edit::Spoil(i, spoil) => {
            let outputs: Vec<String> = build.outputs().collect();
            let output = &outputs[i % outputs.len()];
            let trace = project.path(&format!(".larder/traces/{output}.trace"));
            let index = project.path(".larder/index");
            let output = project.path(output);
            let cut = |path: &Path| {
                if let Ok(bytes) = fs::read(path) {
                    fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
                }
            };
            match spoil {
                Spoil::RemoveOutput => fs::remove_file(output).unwrap_or_default(),
                Spoil::ChangeOutput => fs::write(output, "spoiled").unwrap(),
                Spoil::RemoveTrace => fs::remove_file(trace).unwrap_or_default(),
                Spoil::CutTrace => cut(&trace),
                Spoil::RemoveIndex => fs::remove_file(index).unwrap_or_default(),
                Spoil::CutIndex => cut(&index),
            }
        }
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 16, max_shrink_iters: 60, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn an_incremental_build_leaves_what_ninja_makes_of_nothing(
        mut build in build(),
        edits in prop::collection::vec(prop::collection::vec(edit(), 1..4), 1..6),
    ) {
        if !require("ninja") {
            return Ok(());
        }
        let project = Project::new("");
        build.write(&project);
        project.larder(&["ninja", "-j2"]).ok();
        for round in &edits {
            round.iter().for_each(|edit| build.edit(edit));
            build.write(&project);
            round.iter().for_each(|edit| disturb(&project, &build, edit));
            project.larder(&["ninja", "-j2"]).ok();
        }
        let clean = Project::new("");
        build.write(&clean);
        let mut ninja = Command::new("ninja");
        run(ninja.current_dir(&clean.root)).ok();
        for path in build.outputs() {
            prop_assert_eq!(project.read(&path), clean.read(&path), "{}", path);
        }
        let again = project.larder(&["ninja", "-v"]).ok();
        prop_assert!(again.stdout.ends_with("ninja: no work to do.\n"), "{}", again.stdout);
        prop_assert!(!again.stdout.contains("sh make.sh"), "{}", again.stdout);
    }
}
