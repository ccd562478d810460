//! Jobs whose clone has not all of the history.

use std::path::Path;

use larder_testkit::{
    files::write,
    git::git,
    run::{Run, run},
};

use super::Project;

const MANIFEST: &str = "[package]\nname = \"app\"\n[[command]]\nname = \"made\"\n\
    run = [\"sh\", \"-c\", \"echo 1 > $1\", \"sh\", \"{out}\"]\noutputs = [\"made\"]\n";

#[test]
fn a_shallow_clone_is_said_where_history_is_walked() {
    let project = Project::new();
    let larder = |directory: &Path, arguments: &[&str]| -> Run {
        run(project.larder(arguments).current_dir(directory))
    };
    write(&project.root.join("larder.toml"), MANIFEST.as_bytes());
    write(&project.root.join(".gitignore"), b"outputs.jsonl\n.cache\n.larder\n");
    git(&project.root, &["init", "--quiet", "--initial-branch=main"]);
    let commit = |message: &str| {
        git(&project.root, &["add", "."]);
        git(&project.root, &["commit", "--quiet", "--allow-empty", "--message", message]);
    };
    commit("one");
    larder(&project.root, &["build", "--outputs", "outputs.jsonl"]).ok();
    larder(&project.root, &["cache", "put", "outputs.jsonl"]).ok();
    commit("two");
    commit("three");
    let clone = project.temp.path().join("clone");
    let (url, to) = (format!("file://{}", project.root.display()), clone.display().to_string());
    git(project.temp.path(), &["clone", "--quiet", "--depth=2", &url, &to]);

    let said = larder(&clone, &["cache", "get"]).ends_with(1);
    let said = said.says("the clone is shallow: its history ends after 2 commits");
    said.says("git fetch --deepen=100").says("fetch-depth");
    // As many as were asked for were there, or one was named: more history would not help.
    for arguments in [&["--max-revs", "1"][..], &["--rev", "v1"]] {
        let said = larder(&clone, &[&["cache", "get"], arguments].concat()).ends_with(1);
        assert!(!said.stderr.contains("shallow"), "{said:?}");
    }
    git(&clone, &["fetch", "--quiet", "--deepen=100"]);
    larder(&clone, &["cache", "get"]).ok();
    // Keys need no history.
    write(&clone.join("src/a.c"), b"");
    larder(&clone, &["ci", "key", "--input", "src"]).ok();
}
