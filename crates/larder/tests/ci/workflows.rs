//! `larder ci init`: workflows that are valid, that work, and that the documentation shows.

use std::{
    env, fs,
    path::Path,
    process::{Command, Stdio},
};

use larder_testkit::{
    files::write,
    run::{Run, binary, larder_in, run},
};
use saphyr::{LoadableYamlNode, Yaml};
use tempfile::TempDir;

use super::Project;

const JOBS: &str = "[ci.jobs.image]\ncontext = \"docker files\"\ncontainerfile = \"it's\"\n\
    build-args = { BASE = \"gcc:14 #1\", \"X-1\" = \"$(id)\" }\npass-build-args = [\"REV\"]\n\
    toolchain = false\n\
    [ci.jobs.build]\ninputs = [\"src\"]\nneeds = [\"image\"]\ntoolchain = false\n\
    run = [\"true\", \"echo 'a: b' # c\", \"- x\", \"{ make; }\", \"echo \\\"${{ github.sha }}\\\"\", \"make é\"]\n\
    [ci.jobs.test-all]\ninputs = [\"tests\"]\nneeds = [\"build\"]\nexpires = \"2 w\"\ntoolchain = false\n\
    matrix = { os = [\"a-24.04\", \"b\"], cc = [\"gcc\", \"clang/18\"] }\n\
    [ci.jobs.lint]\ninputs = [\"src\"]\n";

fn with_jobs(jobs: &str) -> Project {
    let project = Project::new();
    let manifest = format!("[package]\nname = \"app\"\n{jobs}");
    write(&project.root.join("larder.toml"), manifest.as_bytes());
    write(&project.root.join("docker files/x"), b"");
    write(&project.root.join("it's"), b"FROM scratch\n");
    project
}

fn printed(project: &Project, forge: &str) -> String {
    let (code, out, err) = run(project.larder(&["ci", "init", forge, "--print"])).parts();
    assert_eq!(code, 0, "{err}");
    out
}

fn parse(text: &str) -> Yaml<'_> {
    let mut documents = Yaml::load_from_str(text).unwrap_or_else(|e| panic!("{e}:\n{text}"));
    assert_eq!(documents.len(), 1);
    documents.remove(0)
}

/// What a mapping has under a key, where it has that.
fn get<'y>(yaml: &'y Yaml<'y>, key: &str) -> Option<&'y Yaml<'y>> {
    let mut entries = yaml.as_mapping()?.iter();
    entries.find_map(|(name, value)| (name.as_str() == Some(key)).then_some(value))
}

/// The lines of a script of GitLab.
fn script<'y>(pipeline: &'y Yaml<'y>, job: &str) -> Vec<&'y str> {
    let lines = pipeline[job]["script"].as_sequence().unwrap().iter();
    lines.map(|line| line.as_str().expect("a line of a script is a string")).collect()
}

/// The steps of a job of GitHub.
fn steps<'y>(workflow: &'y Yaml<'y>, job: &str) -> Vec<&'y Yaml<'y>> {
    workflow["jobs"][job]["steps"].as_sequence().unwrap().iter().collect()
}

/// A shell with larder on its path, in the directory of the project.
fn shell(project: &Project, program: &str, lines: &str) -> Command {
    let mut command = Command::new(program);
    command.args(["-e", "-c", lines]).current_dir(&project.root).stdin(Stdio::null());
    command
        .env_clear()
        .envs(larder_in(&project.root).get_envs().filter_map(|(k, v)| Some((k, v?))));
    let path = format!("{}:{}", binary().parent().unwrap().display(), env::var("PATH").unwrap());
    command.env("PATH", path);
    command
}

#[test]
fn a_pipeline_of_gitlab_skips_what_is_done() {
    let project = with_jobs(JOBS);
    let text = printed(&project, "gitlab");
    let pipeline = parse(&text);
    let config = project.temp.path().join("config.toml");
    let in_shell = |lines: &[&str], values: &[(&str, &str)]| -> Run {
        let mut command = shell(&project, "sh", &lines.join("\n"));
        command.env("LARDER_CONFIG", &config).env("LARDER_SERVICE", &config);
        run(command.envs(values.iter().copied()))
    };
    in_shell(&script(&pipeline, "larder-keys"), &[]).ok();
    let keys = fs::read_dir(project.root.join("larder-keys")).unwrap().count();
    assert_eq!(keys, 3 + 4);
    let tag = fs::read_to_string(project.root.join("images.env")).unwrap();
    assert_eq!(tag.trim(), format!("TAG_image={}", project.key("image")));

    let commands = script(&pipeline, "build");
    let (skip, rest) = commands.split_first().unwrap();
    let said =
        ["true", "echo 'a: b' # c", "- x", "{ make; }", "echo \"${{ github.sha }}\"", "make é"];
    assert_eq!(rest, said);
    let runs = |skip: &str, values: &[(&str, &str)]| {
        in_shell(&[skip, "echo it runs"], values).ok().stdout.contains("it runs")
    };
    let leg = script(&pipeline, "test-all")[0];
    let values = [("os", "b"), ("cc", "clang/18")];
    assert!(runs(skip, &[]) && runs(leg, &values));
    let marks = script(&pipeline, "larder-done");
    assert_eq!(marks.iter().filter(|line| line.contains("--expires '2 w'")).count(), 4);
    in_shell(&marks, &[]).ok();
    assert!(!runs(skip, &[]) && !runs(leg, &values));
    assert!(get(&pipeline["larder-done"], "rules").is_some());
    let mut matrix: Vec<&str> = Vec::new();
    for (name, _) in pipeline["test-all"]["parallel"]["matrix"][0].as_mapping().unwrap() {
        matrix.push(name.as_str().unwrap());
    }
    matrix.sort_unstable();
    assert_eq!(matrix, ["cc", "os"]);
}

#[test]
fn a_workflow_of_github_uses_what_there_is() {
    let project = with_jobs(JOBS);
    let text = printed(&project, "github");
    let workflow = parse(&text);
    let jobs = workflow["jobs"].as_mapping().unwrap();
    let names: Vec<&str> = jobs.iter().map(|(name, _)| name.as_str().unwrap()).collect();
    assert_eq!(
        names,
        ["larder-keys", "build", "image", "larder-image-fork", "lint", "test-all", "larder-done"]
    );
    // What jobs need is there, and so is every output that is used.
    for name in &names {
        if let Some(needs) = get(&workflow["jobs"][*name], "needs").and_then(Yaml::as_sequence) {
            assert!(needs.iter().all(|need| names.contains(&need.as_str().unwrap())), "{name}");
        }
    }
    let outputs = project.temp.path().join("outputs");
    let plan = |arguments: &[&str]| {
        let flag = format!("--github-output={}", outputs.display());
        run(project.larder(&["ci", "plan", "--offline", &flag]).args(arguments)).ok();
    };
    plan(&[]);
    plan(&["--job", "test-all", "--matrix", "os=b", "--matrix", "cc=gcc"]);
    let given = fs::read_to_string(&outputs).unwrap();
    let used = text.split("steps.plan.outputs.").skip(1);
    let used: Vec<&str> = used.map(|after| after.split([' ', '}']).next().unwrap()).collect();
    assert!(used.len() > 9);
    for name in used {
        assert!(
            given.lines().any(|line| line.split(['=', '<']).next() == Some(name)),
            "{name}: {given}"
        );
    }
    // The shell that runs a command sees it as the manifest has it.
    let commands: Vec<&str> =
        steps(&workflow, "build").iter().filter_map(|step| get(step, "run")?.as_str()).collect();
    assert_eq!(commands.len(), 6);
    assert_eq!(commands[..3], ["true", "echo 'a: b' # c", "- x"]);
    let build = steps(&workflow, "image")[1]["run"].as_str().unwrap();
    assert_eq!(
        build,
        "buildah build --file 'it'\\''s' --build-arg 'BASE=gcc:14 #1' --build-arg 'X-1=$(id)' \
         --build-arg REV --tag \"$TAG\" 'docker files'"
    );
    // No job has both a secret for the service and code of the project.
    for name in names {
        let steps = steps(&workflow, name);
        let has = |key: &str| {
            steps.iter().any(|step| get(step, "env").is_some_and(|env| get(env, key).is_some()))
        };
        assert_eq!(has("LARDER_CACHE_KEY"), name == "larder-done", "{name}");
    }
    let done = steps(&workflow, "larder-done");
    let checkout = |step: &&Yaml<'_>| {
        get(step, "uses").and_then(Yaml::as_str).is_some_and(|uses| uses.contains("checkout"))
    };
    assert!(!done.iter().any(checkout));
    assert!(workflow["jobs"]["larder-done"]["if"].as_str().unwrap().contains("== 'push'"));
}

#[test]
fn the_install_step_takes_the_binary_that_it_was_told_and_no_other() {
    let project = with_jobs(JOBS);
    let text = printed(&project, "github");
    let workflow = parse(&text);
    let install = steps(&workflow, "lint")[1]["run"].as_str().unwrap();
    let home = TempDir::new().unwrap();
    let arch = run(Command::new("uname").arg("-m")).ok().stdout;
    let served = home.path().join(format!("larder-{}", arch.trim()));
    fs::copy(binary(), &served).unwrap();
    let sum = run(Command::new("sha256sum").arg(&served)).ok().stdout;
    let sum = sum.split(' ').next().unwrap();
    let paths = home.path().join("paths");
    let with = |sums: &str, url: &str| {
        _ = fs::remove_file(&paths);
        let mut command = shell(&project, "bash", install);
        command.env("HOME", home.path()).env("GITHUB_PATH", &paths);
        run(command.env("LARDER_SHA256", sums).env("LARDER_URL", url))
    };
    let url = format!("file://{}/larder-{{arch}}", home.path().display());
    with(&format!("{} {sum}", "0".repeat(64)), &url).ok();
    let installed = Path::new(fs::read_to_string(&paths).unwrap().trim()).join("larder");
    run(Command::new(&installed).arg("--version")).ok();
    let refused = with(&"0".repeat(64), &url);
    assert!(refused.code == Some(1) && refused.stdout.contains("LARDER_SHA256"), "{refused:?}");
    let unset = with(sum, "");
    assert!(unset.code != Some(0) && unset.stderr.contains("LARDER_URL"), "{unset:?}");
    assert!(!paths.exists());
}

#[test]
fn a_workflow_that_is_there_is_not_replaced_unasked() {
    for (forge, file) in [("github", ".github/workflows/larder.yml"), ("gitlab", ".gitlab-ci.yml")]
    {
        let project = with_jobs(JOBS);
        let file = project.root.join(file);
        let init = |options: &[&str]| run(project.larder(&["ci", "init", forge]).args(options));
        init(&[]).ok().says("is written");
        assert_eq!(fs::read_to_string(&file).unwrap(), printed(&project, forge));
        init(&[]).ok().says("is up to date");
        write(&file, b"mine\n");
        init(&[]).ends_with(2).says("is there already").says("--force");
        assert_eq!(fs::read(&file).unwrap(), b"mine\n");
        init(&["--force"]).ok();
        assert_eq!(fs::read_to_string(&file).unwrap(), printed(&project, forge));
    }
}

#[test]
fn workflows_that_cannot_be() {
    for (jobs, words) in [
        ("", "no jobs under [ci.jobs]"),
        ("[ci.jobs.larder-x]\ninputs = [\"src\"]\n", "has a name that a workflow needs"),
        (
            "[ci.jobs.x]\ncontext = \".\"\nmatrix = { os = [\"a\"] }\n",
            "makes an image and has a matrix",
        ),
        ("[ci.jobs.x]\ninputs = [\"src\"]\nmatrix = { os = [\"$(id)\"] }\n", "cannot pass on"),
        ("[ci.jobs.x]\ncontext = \".\"\nrun = [\"true\"]\n", "makes an image and runs commands"),
        ("[ci.jobs.x]\ninputs = [\"src\"]\nrun = [\"a\\nb\"]\n", "one line of text"),
    ] {
        let project = with_jobs(jobs);
        for forge in ["github", "gitlab"] {
            run(project.larder(&["ci", "init", forge])).ends_with(2).says(words);
        }
        assert!(
            !project.root.join(".github").exists() && !project.root.join(".gitlab-ci.yml").exists()
        );
    }
    let project = with_jobs(JOBS);
    run(project.larder(&["ci", "init", "jenkins"])).ends_with(2).says("`github` or `gitlab`");
    fs::create_dir(project.temp.path().join(".git")).unwrap();
    run(project.larder(&["ci", "init", "github"])).ends_with(2).says("top of its repository");
}

/// The indented block of `page` that follows the line `after`.
fn block(page: &str, after: &str) -> String {
    let (_, rest) = page.split_once(&format!("\n{after}\n\n")).unwrap_or_else(|| panic!("{after}"));
    let lines = rest.lines().take_while(|line| line.starts_with("    ") || line.is_empty());
    let text: String = lines.map(|line| format!("{}\n", line.get(4..).unwrap_or(""))).collect();
    format!("{}\n", text.trim_end())
}

#[test]
fn the_documentation_shows_what_init_writes() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/ci.md");
    let page = fs::read_to_string(page).unwrap();
    let project = with_jobs(&block(&page, "Of these jobs"));
    for (forge, after) in [
        ("github", "`larder ci init github` makes `.github/workflows/larder.yml`:"),
        ("gitlab", "`larder ci init gitlab` makes `.gitlab-ci.yml`:"),
    ] {
        let (shown, made) = (block(&page, after), printed(&project, forge));
        assert_eq!(shown, made, "docs/ci.md shows something else; it should have:\n{made}");
    }
}
