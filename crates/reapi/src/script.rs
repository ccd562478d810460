//! The shell's script of an action: only a shell on the other machine knows where it runs.
//!
//! Before the tool it sees that its inputs are what they were here, and that the system has the same files there as here, so
//! that nothing is made from others; after it, it tells of what nobody knew before.

use std::fmt::Write as _;

use larder_engine::action::{Action, Program, RunsIn};

use crate::{
    digest::Digest,
    layout::{BESIDE, HERE, OUTPUTS, TEMPORARY},
    request::{INPUTS, OTHER_SYSTEM, SCRIPT, SUMS, Written},
    words::Word,
};

/// What makes a script.
pub struct Script<'a> {
    pub action: &'a Action,
    /// Whether the program and all that it starts stay in the directory that they begin in.
    pub stays: bool,
    pub words: &'a [Word],
    pub environment: &'a [(String, Word)],
    pub outputs: &'a [Written],
    /// The list of all inputs.
    pub inputs: Digest,
    /// Whether files of the system are to be looked at before.
    pub checks: bool,
    /// Whether those that were read are to be told of.
    pub tells: bool,
}

/// Says how much time of processors went by so far: the difference of two of them is what is between. See
/// [`Times`](crate::times::Times).
const TIMES: &str = "times >&2";

/// The exit code of a command whose inputs are not what they were when they were sent.
const DAMAGED: i32 = 122;

/// Returns the command that runs a script, if it is what it was when it was sent.
pub fn first(script: Digest) -> String {
    format!("{} && exec /bin/sh {SCRIPT}", check(script, SCRIPT))
}

/// A command that succeeds when a file is what its digest says.
fn check(digest: Digest, path: &str) -> String {
    format!("printf '%s  %s\\n' {} {path} | sha256sum --check --status", digest.hex())
}

/// Returns the text of a script.
pub fn script(of: &Script<'_>) -> String {
    let mut text = String::new();
    // Who the tools are is part of the key.
    for tool in std::iter::once(&of.action.program).chain(&of.action.tools) {
        if let Program::Tool { name, identity } = tool {
            let name = name.replace(|letter: char| letter.is_control(), " ");
            _ = writeln!(text, "# {name} {identity}");
        }
    }
    let listed = check(of.inputs, INPUTS);
    _ = writeln!(text, "{listed} || exit {DAMAGED}");
    _ = writeln!(
        text,
        "[ ! -s {INPUTS} ] || sha256sum --check --status {INPUTS} || exit {DAMAGED}"
    );
    match of.stays {
        true => _ = writeln!(text, "H={HERE}\nR={BESIDE}"),
        false => text += "R=$(pwd -P)\nR=${R%/}\nH=$R\n",
    }
    let mut directories: Vec<&str> = vec![TEMPORARY, OUTPUTS];
    for output in of.outputs {
        let is_directory =
            matches!(output, Written::Output(number, _) if of.action.outputs[*number].directory);
        match output.path().rsplit_once('/') {
            _ if is_directory => directories.push(output.path()),
            Some((above, _)) => directories.push(above),
            None => {}
        }
    }
    directories.sort_unstable();
    directories.dedup();
    let directories: Vec<String> =
        directories.into_iter().map(|directory| Word::text(directory).quoted()).collect();
    _ = writeln!(text, "mkdir -p {} || exit", directories.join(" "));
    if of.checks {
        _ = writeln!(text, "sha256sum --check --status {SUMS} || exit {OTHER_SYSTEM}");
    }
    let environment: Vec<String> =
        of.environment.iter().map(|(name, value)| format!("{name}={}", value.quoted())).collect();
    let words: Vec<String> = of.words.iter().map(Word::quoted).collect();
    let scratch = match of.action.runs_in {
        RunsIn::Package => String::new(),
        RunsIn::Scratch => format!("cd {OUTPUTS} && "),
    };
    _ = writeln!(text, "{TIMES}");
    _ = writeln!(text, "({scratch}exec env -i {} {}) 2>&1", environment.join(" "), words.join(" "));
    _ = writeln!(text, "s=$?\n{TIMES}");
    if !of.stays {
        text += "printf 'R=%s\\n' \"$R\" >&2\n";
    }
    if of.tells {
        let depfiles = of.outputs.iter().filter(|it| !matches!(it, Written::Output(..)));
        let depfiles: Vec<&str> = depfiles.map(Written::path).collect();
        _ = writeln!(
            text,
            "[ $s != 0 ] || cat {} | tr ' \\\\' '\\n\\n' | grep ^/ | grep -v ^/proc/ | sort -u | \
             xargs -r sha256sum >&2",
            depfiles.join(" ")
        );
    }
    text += "exit $s\n";
    text
}
