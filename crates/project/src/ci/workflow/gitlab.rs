//! A pipeline for GitLab CI/CD.

use super::{Lines, choices, commands, expires, image_of, image_options, shell, yaml};
use crate::{ci::variant::Matrix, manifest::CiJob};

const HEAD: &str = r#"# Written by `larder ci init gitlab` from the jobs under [ci.jobs] in larder.toml.
#
# Set under Settings, CI/CD, Variables:
#   LARDER_IMAGE      an image with larder, the tools of the jobs, git and a shell, by digest
#   BUILDAH_IMAGE     an image with buildah, where a job makes an image
#   LARDER_CACHE_KEY  protected and masked: the key to the service
#   LARDER_SERVICE    a file: the configuration of the service, for the job that writes
# .gitlab/larder.toml configures the service, with anonymous reads. Pipelines of forks run in the fork and have
# none of these secrets.
stages: [keys, run, done]

default:
  image: $LARDER_IMAGE

variables:
  LARDER_CONFIG: .gitlab/larder.toml

workflow:
  rules:
    - if: $CI_PIPELINE_SOURCE == "merge_request_event"
    - if: $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH
"#;

/// The pipeline, in YAML.
pub fn workflow(jobs: &[CiJob]) -> String {
    let mut lines = Lines(HEAD.to_owned());
    keys(&mut lines, jobs);
    for job in jobs {
        match &job.context {
            Some(context) => image(&mut lines, job, context),
            None => run(&mut lines, job, jobs),
        }
    }
    done(&mut lines, jobs);
    lines.0
}

/// The name of the file with a key: of the job, and of its choice of the matrix's values.
fn file(job: &CiJob, matrix: &Matrix) -> String {
    let values: String =
        matrix.values().map(|value| format!(",{}", value.replace('/', "_"))).collect();
    format!("larder-keys/{}{values}", *job.name)
}

/// The options that choose the matrix's values.
fn options(matrix: &Matrix) -> String {
    matrix
        .iter()
        .map(|(name, value)| format!(" --matrix {}", shell(&format!("{name}={value}"))))
        .collect()
}

/// The name of the variable with the tag of a job's image.
fn tag(job: &CiJob) -> String {
    format!("TAG_{}", job.name.replace('-', "_"))
}

/// The job that makes all keys, before any code of the project runs.
fn keys(lines: &mut Lines, jobs: &[CiJob]) {
    lines.add(0, "\n# Every key is made in this one place, before any code of the project runs.\nlarder-keys:");
    lines.add(1, "stage: keys\nscript:");
    lines.add(2, "- mkdir -p larder-keys");
    for job in jobs {
        for matrix in choices(job) {
            let command = format!("larder ci key --job {}{}", *job.name, options(&matrix));
            lines.add(
                2,
                &format!("- {}", yaml(&format!("{command} > {}", shell(&file(job, &matrix))))),
            );
        }
    }
    let images: Vec<&CiJob> = jobs.iter().filter(|job| job.context.is_some()).collect();
    for job in &images {
        let key = file(job, &Matrix::new());
        let line = format!("echo \"{}=$(cat {key})\" >> images.env", tag(job));
        lines.add(2, &format!("- {}", yaml(&line)));
    }
    lines.add(1, "artifacts:\n  paths: [larder-keys]");
    if !images.is_empty() {
        lines.add(2, "reports:\n  dotenv: images.env");
    }
}

fn needs(lines: &mut Lines, job: &CiJob) {
    let all = job.needs.iter().map(|need| need.value.as_str());
    let all: Vec<&str> = std::iter::once("larder-keys").chain(all).collect();
    lines.add(1, &format!("needs: [{}]", all.join(", ")));
}

/// Ends a script early where the result of the key in `file` is known.
fn skip(file: &str) -> String {
    yaml(&format!("if larder ci probe \"$(cat {file})\"; then echo 'done already'; exit 0; fi"))
}

/// A job that makes an image.
fn image(lines: &mut Lines, job: &CiJob, context: &str) {
    let tag = format!("$CI_REGISTRY_IMAGE:${}", tag(job));
    lines.add(0, &format!("\n{}:", *job.name));
    lines.add(1, "stage: run\nimage: $BUILDAH_IMAGE");
    needs(lines, job);
    lines.add(1, "script:");
    let login = "echo \"$CI_REGISTRY_PASSWORD\" | buildah login --username \"$CI_REGISTRY_USER\" \
                 --password-stdin \"$CI_REGISTRY\"";
    let there = format!("if buildah pull --quiet \"{tag}\"; then echo 'done already'; exit 0; fi");
    let (options, context) = (image_options(job), shell(context));
    let build = format!("buildah build {options}--tag \"{tag}\" {context}");
    for line in [login, &there, &build, &format!("buildah push \"{tag}\"")] {
        lines.add(2, &format!("- {}", yaml(line)));
    }
}

/// A job that runs commands.
fn run(lines: &mut Lines, job: &CiJob, jobs: &[CiJob]) {
    lines.add(0, &format!("\n{}:", *job.name));
    lines.add(1, "stage: run");
    if let Some(image) = image_of(job, jobs) {
        lines.add(1, &format!("image: $CI_REGISTRY_IMAGE:${} # has larder", tag(image)));
    }
    needs(lines, job);
    let mut key = format!("larder-keys/{}", *job.name);
    if !job.matrix.is_empty() {
        lines.add(1, "parallel:\n  matrix:");
        for (at, name) in job.matrix.keys().enumerate() {
            let values: Vec<String> = job.values(name).map(|value| format!("{value:?}")).collect();
            let item = if at == 0 { "-" } else { " " };
            lines.add(3, &format!("{item} {name}: [{}]", values.join(", ")));
            key.push_str(&format!(",$(echo \"${name}\" | tr / _)"));
        }
    }
    lines.add(1, "cache:");
    lines.add(2, "key: $CI_JOB_NAME_SLUG\npaths: [.larder]");
    lines.add(1, "script:");
    lines.add(2, &format!("- {}", skip(&key)));
    for command in commands(job) {
        lines.add(2, &format!("- {}", yaml(command)));
    }
}

/// The job that says what is done. It alone holds the key to the service.
fn done(lines: &mut Lines, jobs: &[CiJob]) {
    lines.add(
        0,
        "\n# Says what is done. It holds the key to the service, and runs none of the project's code.\nlarder-done:",
    );
    lines.add(1, "stage: done\nrules:\n  - if: $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH");
    lines.add(1, "needs:\n  - job: larder-keys\n    artifacts: true");
    for job in jobs {
        lines.add(2, &format!("- job: {}\n  artifacts: false", *job.name));
    }
    lines.add(1, "environment: cache\nvariables:");
    lines.add(2, "GIT_STRATEGY: none # what a project configures could send the key elsewhere");
    lines.add(1, "script:");
    lines.add(2, "- export LARDER_CONFIG=\"$LARDER_SERVICE\"");
    for job in jobs {
        for matrix in choices(job) {
            let file = shell(&file(job, &matrix));
            let line = format!("larder ci done \"$(cat {file})\"{}", expires(job));
            lines.add(2, &format!("- {}", yaml(&line)));
        }
    }
}
