//! A workflow for GitHub Actions.

use super::{Lines, choices, commands, expires, image_of, image_options, yaml};
use crate::manifest::CiJob;

const HEAD: &str = r"# Written by `larder ci init github` from the jobs under [ci.jobs] in larder.toml.
#
# Set under Settings, Variables:
#   LARDER_URL     where the larder binary is; {arch} in it stands for what `uname -m` prints
#   LARDER_SHA256  its SHA-256 sum; where there are several, with blanks between them
#   CI_IMAGE       where images of jobs go, such as REGISTRY/OWNER/NAME
# and the secret LARDER_CACHE_KEY in the environment `cache`. .github/larder.toml configures the service, with
# anonymous reads; LARDER_CONFIG_TOML, a variable, has the same for the job that writes.
name: larder
on:
  push:
    branches: [main]
  pull_request:

permissions:
  contents: read

env:
  LARDER_CONFIG: .github/larder.toml

jobs:
";

const INSTALL: &str = r#"- name: Install larder
  env:
    LARDER_URL: ${{ vars.LARDER_URL }}
    LARDER_SHA256: ${{ vars.LARDER_SHA256 }}
  run: |
    : "${LARDER_URL:?set the variable LARDER_URL to where the larder binary is}"
    mkdir -p "$HOME/.local/bin"
    curl --fail --location --no-progress-meter --retry 3 \
      --output "$HOME/.local/bin/larder" "${LARDER_URL//\{arch\}/$(uname -m)}"
    sum=$(sha256sum "$HOME/.local/bin/larder" | cut -d ' ' -f 1)
    case " $LARDER_SHA256 " in
      *" $sum "*) ;;
      *) echo "::error::LARDER_SHA256 does not have $sum, the sum of what LARDER_URL gives"; exit 1 ;;
    esac
    chmod +x "$HOME/.local/bin/larder"
    echo "$HOME/.local/bin" >> "$GITHUB_PATH"
"#;

/// Who may push an image: whoever is not from a fork.
const NO_FORK: &str = "(github.event_name != 'pull_request' ||
github.event.pull_request.head.repo.full_name == github.repository)";

/// The workflow, in YAML.
pub fn workflow(jobs: &[CiJob]) -> String {
    let mut lines = Lines(HEAD.to_owned());
    keys(&mut lines, jobs);
    for job in jobs {
        match &job.context {
            Some(context) => image(&mut lines, job, jobs, context),
            None => run(&mut lines, job, jobs),
        }
    }
    done(&mut lines, jobs);
    lines.0
}

/// The job that makes the keys of all jobs without a matrix.
fn keys(lines: &mut Lines, jobs: &[CiJob]) {
    lines.add(
        1,
        "# Every key is made in this one place, and all are asked for at once.\nlarder-keys:",
    );
    lines.add(2, "runs-on: ubuntu-latest\noutputs:");
    for job in jobs.iter().filter(|job| job.matrix.is_empty()) {
        for output in ["key", "skip", "near"] {
            let name = format!("{}-{output}", *job.name);
            lines.add(3, &format!("{name}: ${{{{ steps.plan.outputs.{name} }}}}"));
        }
    }
    lines.add(3, "plan: ${{ steps.plan.outputs.plan }}");
    lines.add(2, "steps:");
    lines.add(3, "- uses: actions/checkout@v5");
    lines.add(3, INSTALL);
    lines.add(3, "- id: plan\n  run: larder ci plan --github-output");
}

/// The jobs that `job` comes after.
fn needs(job: &CiJob, jobs: &[CiJob]) -> String {
    let mut needs = vec!["larder-keys".to_owned()];
    for need in &job.needs {
        needs.push(need.value.clone());
        if jobs.iter().any(|job| job.name.value == need.value && job.context.is_some()) {
            needs.push(format!("larder-{}-fork", need.value));
        }
    }
    format!("needs: [{}]", needs.join(", "))
}

/// A job that makes an image, and one that tells a fork that it cannot.
fn image(lines: &mut Lines, job: &CiJob, jobs: &[CiJob], context: &str) {
    let (name, needs) = (job.name.as_str(), needs(job, jobs));
    let is_due = format!("needs.larder-keys.outputs.{}-skip != 'true'", name);
    lines.add(0, "\n");
    lines.add(1, "# Runs only where the image is missing, and only for those who may push it.");
    lines.add(1, &format!("{}:", name));
    lines.add(2, &needs);
    lines.add(2, "if: >-");
    lines.add(3, &format!("!failure() && !cancelled() && {is_due} &&\n{NO_FORK}"));
    lines.add(2, "runs-on: ubuntu-latest\npermissions:\n  contents: read\n  packages: write");
    lines.add(2, "env:");
    lines.add(
        3,
        &format!("TAG: ${{{{ vars.CI_IMAGE }}}}:${{{{ needs.larder-keys.outputs.{}-key }}}}", name),
    );
    for name in &job.pass_build_args {
        lines.add(3, &format!("{0}: ${{{{ vars.{0} }}}}", **name));
    }
    lines.add(2, "steps:");
    lines.add(3, "- uses: actions/checkout@v5");
    let options = image_options(job);
    let context = super::shell(context);
    lines.add(3, "- name: Build");
    lines.add(
        4,
        &format!("run: {}", yaml(&format!("buildah build {options}--tag \"$TAG\" {context}"))),
    );
    lines.add(3, "- name: Push\n  env:\n    TOKEN: ${{ secrets.GITHUB_TOKEN }}");
    lines.add(4, "run: buildah push --creds \"$GITHUB_ACTOR:$TOKEN\" \"$TAG\"");
    lines.add(0, "\n");
    lines.add(
        1,
        "# A fork cannot push an image: it is told so, instead of failing somewhere later.",
    );
    lines.add(1, &format!("larder-{}-fork:", name));
    lines.add(2, "needs: [larder-keys]\nif: >-");
    lines.add(
        3,
        &format!(
            "{is_due} && github.event_name == 'pull_request' &&\n\
             github.event.pull_request.head.repo.full_name != github.repository"
        ),
    );
    lines.add(2, "runs-on: ubuntu-latest\nsteps:");
    lines.add(3, "- run: |");
    lines.add(
        5,
        "echo \"::error::This pull request changes what a CI image is made from. A maintainer has to\" \\\n  \
         \"push its branch to this repository, so that the image is made.\"\nexit 1",
    );
}

/// A job that runs commands.
fn run(lines: &mut Lines, job: &CiJob, jobs: &[CiJob]) {
    let name = job.name.as_str();
    let image = image_of(job, jobs);
    lines.add(0, "\n");
    lines.add(1, &format!("{name}:"));
    lines.add(2, &needs(job, jobs));
    let (plan, condition) = match job.matrix.is_empty() {
        true => ("needs.larder-keys.outputs", ""),
        false => ("steps.plan.outputs", "  if: steps.plan.outputs.JOB-skip != 'true'\n"),
    };
    let condition = condition.replace("JOB", name);
    if job.matrix.is_empty() {
        let is_due = format!("needs.larder-keys.outputs.{name}-skip != 'true'");
        lines.add(2, &format!("if: ${{{{ !failure() && !cancelled() && {is_due} }}}}"));
    } else {
        lines.add(2, "if: ${{ !failure() && !cancelled() }}\nstrategy:\n  matrix:");
        for value in job.matrix.keys() {
            let values: Vec<String> = job.values(value).map(|value| format!("{value:?}")).collect();
            lines.add(4, &format!("{value}: [{}]", values.join(", ")));
        }
    }
    let runner = if job.matrix.contains_key("os") { "${{ matrix.os }}" } else { "ubuntu-latest" };
    lines.add(2, &format!("runs-on: {runner}"));
    if let Some(image) = image {
        let key = format!("needs.larder-keys.outputs.{}-key", *image.name);
        lines.add(2, &format!("container: ${{{{ vars.CI_IMAGE }}}}:${{{{ {key} }}}} # has larder"));
    }
    lines.add(2, "steps:");
    lines.add(3, "- uses: actions/checkout@v5");
    if image.is_none() {
        lines.add(3, INSTALL);
    }
    if !job.matrix.is_empty() {
        plan_leg(lines, job);
    }
    lines.add(3, &format!("- uses: actions/cache@v5\n{condition}  with:"));
    lines.add(5, &format!("path: .larder\nkey: ${{{{ {plan}.{name}-key }}}}"));
    lines.add(5, &format!("restore-keys: ${{{{ {plan}.{name}-near }}}}"));
    for command in commands(job) {
        lines.add(3, &format!("- run: {}\n{condition}", yaml(command)));
    }
}

/// The steps that make the key of one choice of a matrix, before any code of the project runs, and
/// hand it to the job that says what is done.
fn plan_leg(lines: &mut Lines, job: &CiJob) {
    let name = job.name.as_str();
    let values: String = job
        .matrix
        .keys()
        .map(|value| format!(" --matrix \"{value}=${{{{ matrix.{value} }}}}\""))
        .collect();
    lines.add(3, "- id: plan\n  shell: bash");
    lines.add(4, "run: |");
    lines.add(5, &format!("larder ci plan --job {name}{values} --github-output"));
    lines.add(3, "- shell: bash\n  env:");
    lines.add(5, &format!("KEY: ${{{{ steps.plan.outputs.{name}-key }}}}"));
    lines.add(4, "run: echo \"$KEY\" > larder-key");
    lines.add(3, "- uses: actions/upload-artifact@v6\n  with:");
    lines.add(
        5,
        &format!("name: larder-key-{name}-${{{{ strategy.job-index }}}}\npath: larder-key"),
    );
}

/// The job that says what is done. It alone holds the key to the service.
fn done(lines: &mut Lines, jobs: &[CiJob]) {
    let names: Vec<&str> = jobs.iter().map(|job| job.name.as_str()).collect();
    lines.add(0, "\n");
    lines.add(1, "# Says what is done. It holds the key to the service, and runs none of the project's code.");
    lines.add(1, "larder-done:");
    lines.add(2, &format!("needs: [larder-keys, {}]", names.join(", ")));
    lines.add(2, "if: ${{ !cancelled() && github.event_name == 'push' }}");
    lines.add(2, "runs-on: ubuntu-latest\nenvironment: cache\nenv:");
    lines.add(3, "LARDER_CONFIG: ${{ github.workspace }}/config.toml");
    lines.add(2, "steps: # no checkout: what a project configures could send the key elsewhere");
    lines.add(3, INSTALL);
    lines.add(3, "- env:\n    CONFIG: ${{ vars.LARDER_CONFIG_TOML }}");
    lines.add(4, "run: printf '%s\\n' \"$CONFIG\" > \"$LARDER_CONFIG\"");
    for job in jobs {
        let (name, expires) = (job.name.as_str(), expires(job));
        let is_done = format!("- if: needs.{name}.result == 'success'");
        let secret = "LARDER_CACHE_KEY: ${{ secrets.LARDER_CACHE_KEY }}";
        if job.matrix.is_empty() {
            lines.add(3, &is_done);
            lines.add(4, "env:");
            lines
                .add(5, &format!("KEY: ${{{{ needs.larder-keys.outputs.{name}-key }}}}\n{secret}"));
            lines.add(4, &format!("run: larder ci done \"$KEY\"{expires}"));
            continue;
        }
        for index in 0..choices(job).count() {
            lines.add(3, &is_done);
            lines.add(4, "uses: actions/download-artifact@v7\nwith:");
            lines.add(5, &format!("name: larder-key-{name}-{index}\npath: {name}-{index}"));
            lines.add(3, &format!("{is_done}\n  env:\n    {secret}"));
            let file = format!("{name}-{index}/larder-key");
            lines.add(4, &format!("run: larder ci done \"$(cat {file})\"{expires}"));
        }
    }
}
