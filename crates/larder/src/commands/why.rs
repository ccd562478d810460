//! `why`: what changed since the last build, or since what a service has was built.

use std::{str::FromStr, sync::Arc};

use clap::Args;
use larder_engine::{
    context::Mode,
    event::Reporter,
    ninja::NinjaRequest,
    uploads::Uploads,
    why::{self, Cause, Explanation},
};
use larder_project::name::TargetName;
use larder_remote::{Service, git};
use larder_runs::sanitise;
use larder_store::{Revision, Scope};
use serde_json::json;

use super::{
    App,
    build::{BuildOptions, request},
    cache::{self, ScopeArgs},
    here,
};
use crate::{
    choices::ChoiceArgs,
    exit::{Exit, Failure},
};

/// Say what changed since targets were last built, down to the file
#[derive(Args)]
pub struct Why {
    /// Targets, [@PACKAGE/]TARGET[:FACET] [default: the package's default targets]
    #[arg(value_name = "TARGET")]
    targets: Vec<TargetName>,
    /// Trust no saved hash: read and hash every file
    #[arg(short = 'H', long)]
    rehash: bool,
    /// Say instead why the targets would not be got from a service [default: the nearest commit that it
    /// has, or else its newest revision]
    #[arg(long, value_name = "SERVICE[@REV]")]
    against: Option<Against>,
    #[command(flatten)]
    scope: ScopeArgs,
    #[command(flatten)]
    choices: ChoiceArgs,
}

/// A service by its name in the configuration, and a revision there.
#[derive(Debug, Clone)]
struct Against {
    service: String,
    revision: Option<Revision>,
}

impl FromStr for Against {
    type Err = larder_store::NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (service, revision) = match text.split_once('@') {
            Some((service, revision)) => (service, Some(revision.parse()?)),
            None => (text, None),
        };
        Ok(Self { service: service.to_owned(), revision })
    }
}

/// Runs `larder why`.
pub fn why(app: &App, arguments: &Why) -> Result<Exit, Failure> {
    let options = BuildOptions::default().choosing(&arguments.choices);
    let mut request = request(app, &arguments.targets, &options, Mode::DryRun);
    request.options.rehash = arguments.rehash;
    let spelled_out = arguments.scope.spelled_out()?;
    let words = match &arguments.against {
        Some(against) => {
            request.cache.uploads = Some(Arc::new(uploads(app, against, spelled_out)?));
            AGAINST_SERVICE
        }
        None if spelled_out.is_some() => {
            return Err(Failure::wrong("a scope is of a service: name that with --against"));
        }
        None => SINCE_LAST_BUILD,
    };
    let reporter: Arc<dyn Reporter> = app.ui.clone();
    let explained = why::why(&app.session(None), &request, &reporter);
    app.ui.clear();
    let (explanation, report) = explained?;
    tell(app, &explanation, report.succeeded(), &words);
    Ok(if report.counts.failed > 0 { Exit::Failed } else { Exit::Done })
}

/// Runs `larder ninja -t why`.
pub fn why_of_ninja(app: &App, request: &NinjaRequest) -> Result<Exit, Failure> {
    let reporter: Arc<dyn Reporter> = app.ui.clone();
    let explained = why::why_of_ninja(&app.session(None), request, &reporter);
    app.ui.clear();
    let (explanation, report) = explained?;
    tell(app, &explanation, report.planned.is_empty(), &SINCE_LAST_BUILD);
    Ok(if report.counts.failed > 0 { Exit::Failed } else { Exit::Done })
}

fn tell(app: &App, explanation: &Explanation, nothing: bool, words: &Words) {
    for cause in &explanation.causes {
        say(app, cause, words);
    }
    if !explanation.dependents.is_empty() {
        let names = explanation.dependents.iter().map(String::as_str).collect();
        app.ui.result(&format!("and what needs them: {}", fold(app, names)));
    }
    if nothing && explanation.causes.is_empty() {
        app.ui.result(words.nothing);
    }
}

/// The words for what is found out.
struct Words {
    /// What outputs are for a cause.
    are: &'static str,
    /// That there is no cause.
    nothing: &'static str,
}

const SINCE_LAST_BUILD: Words = Words {
    are: "out of date",
    nothing: "everything is up to date: nothing changed since the last build",
};

const AGAINST_SERVICE: Words = Words {
    are: "missed",
    nothing: "everything would be got: the service has what is made from these inputs",
};

fn say(app: &App, cause: &Cause, words: &Words) {
    // What a service has may have been written by anybody.
    let what = sanitise::line(&cause.what);
    let outputs = cause.outputs.iter();
    let outputs = outputs.map(|(target, output)| json!({ "target": target, "output": output }));
    app.ui.event_json(&json!({
        "event": "cause",
        "cause": what,
        "outputs": outputs.collect::<Vec<_>>(),
    }));
    let names = cause.outputs.iter().map(|(_, output)| output.as_str()).collect();
    let (count, are) = (cause.outputs.len(), words.are);
    app.ui.result(&format!("{what}: {count} {are}: {}", fold(app, names)));
}

/// What the service has of the revision that was named, or else of the nearest.
fn uploads(app: &App, against: &Against, scope: Option<Scope>) -> Result<Uploads, Failure> {
    let scope = match scope {
        Some(scope) => scope,
        None => cache::package_name()?,
    };
    let config = app.store.services()?;
    let service = Service::open_for_a_build(config.service(Some(&against.service))?)?;
    let found = match &against.revision {
        Some(revision) => Some(revision.clone()),
        None => {
            // Without Git, there is no nearest.
            let commits = git::history(here(), 100).unwrap_or_default();
            larder_remote::nearest(&service, &scope, &commits)?
        }
    };
    let name = service.name();
    let Some(revision) = found else {
        return Err(Failure::failed(format!("service {name} has no revision of {scope}")));
    };
    let store = app.store.open_local()?;
    match larder_remote::held(&service, &scope, &revision, &store)? {
        Some(held) => {
            app.ui.status(&format!("against revision {revision} of {scope} on service {name}"));
            Ok(Uploads::new(held.mappings))
        }
        None => Err(Failure::failed(format!(
            "service {name} does not have revision {revision} of {scope}"
        ))),
    }
}

/// Names for people: the first few, unless more was asked for.
fn fold(app: &App, names: Vec<&str>) -> String {
    const SHOWN: usize = 3;
    // Two more would take as much room as saying so.
    match names.len() - SHOWN.min(names.len()) {
        hidden if hidden > 1 && app.global.verbose == 0 => {
            format!("{} and {hidden} more", names[..SHOWN].join(", "))
        }
        _ => names.join(", "),
    }
}
