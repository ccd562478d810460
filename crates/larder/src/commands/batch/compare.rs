//! `batch --compare` and `batch --what-if`: two sides, and what the change does to each package.

use std::{collections::HashSet, path::PathBuf, str::FromStr, sync::Arc};

use larder_batch::{
    catalogue::Replacement,
    compare::pairs::{Comparison, of_compilers, of_sets},
    event::Reporter,
    revision::{Repository, Revision},
    run::{self, Request},
};
use larder_engine::session::Session;
use larder_runs::{
    comparison::{Judged, Outcome, Replaced, SideName, Verdict},
    name::{HashName, Named, PackageName},
    result::{RunKind, Stage},
};
use serde_json::json;

use super::{
    BatchOptions, memory, request,
    show::{Show, of_outlook, print_outlook},
    summarize, write_report,
};
use crate::{
    commands::{App, records::event},
    describe::comparison,
    exit::{Exit, Failure},
    report::of_comparison,
    table::{Cell, Table, Tone},
};

/// `NAME=PATH`
#[derive(Debug, Clone)]
pub struct WhatIf(Replacement);

impl FromStr for WhatIf {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, path) = text.split_once('=').ok_or("it is no NAME=PATH")?;
        let package = name.parse::<Named>().map_err(|error| error.to_string())?;
        if path.is_empty() {
            return Err("the path is empty".to_owned());
        }
        Ok(Self(Replacement { package, path: PathBuf::from(path) }))
    }
}

/// Compares two compilers or two revisions of the set.
pub fn perform_compare(
    app: &App,
    options: &BatchOptions,
    packages: &[Named],
    sides: [&str; 2],
) -> Result<Exit, Failure> {
    let mut request = request(app, options, RunKind::Compare, packages)?;
    let sides = Sides::of(&request, sides)?;
    app.ends_commands()?;
    let session = app.session(options.jobs);
    let comparison = match sides {
        Sides::Compilers([base, candidate]) => {
            of_compilers(&session, &request, [&base, &candidate], memory(options))?
        }
        Sides::Revisions(sides) => {
            let prepare = |side: &Revision| {
                let all = Request { packages: Vec::new(), ..side.request(&request) };
                run::prepare(&session, &all, memory(options))
            };
            let prepared = [prepare(&sides[0])?, prepare(&sides[1])?];
            let names = [0, 1].map(|side: usize| SideName::Revision {
                name: sides[side].asked.clone(),
                commit: sides[side].commit.to_string(),
            });
            request.set_revision = Some(sides[1].commit.to_string());
            of_sets(names, prepared, packages)?
        }
    };
    carry_out(app, options, &request, &session, &comparison)
}

/// Compares the set with what it would be with checkouts in the place of packages.
pub fn perform_what_if(
    app: &App,
    options: &BatchOptions,
    packages: &[Named],
    what_if: &[WhatIf],
) -> Result<Exit, Failure> {
    let request = request(app, options, RunKind::Compare, packages)?;
    app.ends_commands()?;
    let session = app.session(options.jobs);
    let memory = memory(options);
    let replacements: Vec<Replacement> = what_if.iter().map(|WhatIf(it)| it.clone()).collect();
    let all = Request { packages: Vec::new(), ..request.clone() };
    let catalogue = run::read(&all, memory)?;
    let reading = run::reading(&all, memory);
    let (with, names) = catalogue.with(&all.set, &all.directory, &reading, &replacements)?;
    let replaced = names.into_iter().zip(replacements);
    let replaced = replaced.map(|(package, with)| Replaced { package, path: with.path }).collect();
    let prepared = [
        run::prepare_catalogue(&session, &all, catalogue, memory)?,
        run::prepare_catalogue(&session, &all, with, memory)?,
    ];
    let names = [SideName::Set, SideName::WhatIf { replaced }];
    let comparison = of_sets(names, prepared, packages)?;
    carry_out(app, options, &request, &session, &comparison)
}

/// What is compared.
enum Sides {
    Compilers([PackageName; 2]),
    Revisions(Box<[Revision; 2]>),
}

impl Sides {
    fn of(request: &Request, named: [&str; 2]) -> Result<Self, Failure> {
        let known: Vec<&str> = request.set.compilers.keys().map(String::as_str).collect();
        let compilers = || format!("the compilers of the set are {}", known.join(", "));
        let [base, candidate] = named;
        match named.map(|name| known.contains(&name)) {
            [true, true] if base == candidate => {
                Err(Failure::wrong(format!("both sides are {base}")).hint(compilers()))
            }
            [true, true] => {
                let parsed = |name: &str| name.parse::<PackageName>().map_err(Failure::wrong);
                Ok(Self::Compilers([parsed(base)?, parsed(candidate)?]))
            }
            [false, false] => {
                let repository = Repository::of(&request.directory).ok().flatten();
                let side = |name: &str| -> Result<Revision, Failure> {
                    let neither = || {
                        let message =
                            format!("`{name}` is neither a compiler nor a revision of the set");
                        Failure::wrong(message).hint(compilers())
                    };
                    let repository = repository.as_ref().ok_or_else(neither)?;
                    repository.commit(name).map_err(|_| neither())?;
                    Ok(repository.check_out(&request.data, name)?)
                };
                Ok(Self::Revisions(Box::new([side(base)?, side(candidate)?])))
            }
            [first, _] => {
                let (one, other) = if first { (base, candidate) } else { (candidate, base) };
                let message = format!("{one} is a compiler of the set, and `{other}` is not");
                Err(Failure::wrong(message).hint(compilers()))
            }
        }
    }
}

/// Compares, or says what would be built for that.
fn carry_out(
    app: &App,
    options: &BatchOptions,
    request: &Request,
    session: &Arc<Session>,
    comparison: &Comparison,
) -> Result<Exit, Failure> {
    if session.processes.interrupted() {
        return Ok(Exit::Interrupted);
    }
    let Comparison { base, candidate, pairs, .. } = comparison;
    let differ = pairs.iter().filter(|pair| pair.may_differ()).count();
    let all = comparison::total(pairs.iter().map(|pair| &pair.subject));
    app.ui.status(&format!("comparing {base} with {candidate}: {differ} of {all} may differ"));
    if options.dry_run {
        show_outlook(app, request, comparison)?;
        return Ok(Exit::Done);
    }
    let show = Arc::new(Show::new(app.ui.clone()));
    let reporter: Arc<dyn Reporter> = show.clone();
    let compared = run::compare(session, request, comparison, &reporter);
    show.finish();
    let compared = compared?;
    let Some(outcome) = &compared.outcome else {
        return summarize(app, &compared.report);
    };
    let exit = if outcome.counts.regressed > 0 { Exit::Failed } else { Exit::Done };
    let mut object = event("compared", outcome);
    object["exitCode"] = json!(exit.code());
    app.ui.event_json(&object);
    print(app, outcome);
    write_report(app, options, || Ok(of_comparison::report(&request.data, outcome)))?;
    Ok(exit)
}

/// Prints what first attempts would build, for which side and why.
fn show_outlook(app: &App, request: &Request, comparison: &Comparison) -> Result<(), Failure> {
    let builds = &comparison.prepared.builds;
    let of_side = |side: usize| -> HashSet<&HashName> {
        let own = comparison.pairs.iter().filter_map(|pair| Some(pair.builds()?[side]));
        let all = own.flat_map(|id| builds.get(id).closure.iter().copied().chain([id]));
        all.map(|id| &builds.get(id).hash).collect()
    };
    let sides = [of_side(0), of_side(1)];
    let mut table = Table::new(["PACKAGE", "COMPILER", "SIDE", "WOULD BE", "BECAUSE"]);
    for outlook in run::outlook(request, &comparison.prepared, &[Stage::Build, Stage::Test])? {
        let hash = &outlook.task.build_hash;
        let side = match [0, 1].map(|side: usize| sides[side].contains(hash)) {
            [true, true] => "both",
            [true, false] => "before",
            _ => "now",
        };
        let mut object = of_outlook(&outlook);
        object["side"] = side.into();
        app.ui.event_json(&object);
        table.row([
            outlook.task.package.as_str().into(),
            outlook.task.compiler.as_str().into(),
            side.into(),
            outlook.verb().into(),
            outlook.reason().into(),
        ]);
    }
    print_outlook(app, &table);
    Ok(())
}

/// Prints what was found out: what is worth reading as a table, and how many there are of the rest.
fn print(app: &App, outcome: &Outcome) {
    let mut table =
        Table::new(["PACKAGE", "COMPILER", "VERDICT", "BEFORE", "NOW", "CATEGORY", "ERROR"]);
    let worth = |judged: &&Judged| !matches!(judged.verdict, Verdict::Same | Verdict::BrokenBefore);
    for judged in outcome.packages.iter().filter(worth) {
        let tone = match judged.verdict {
            Verdict::Regressed => Tone::Bad,
            Verdict::Fixed => Tone::Good,
            _ => Tone::Plain,
        };
        let compiler = judged.subject.compiler.as_ref();
        let (category, error) = comparison::reason(judged);
        table.row([
            judged.subject.package.as_str().into(),
            compiler.map_or("", |compiler| compiler.as_str()).into(),
            Cell::new(judged.verdict.words(), tone),
            comparison::evidence(&judged.base).into(),
            comparison::evidence(&judged.candidate).into(),
            category.into(),
            error.into(),
        ]);
    }
    table.print(&app.ui);
    for (what, subjects) in [("added", &outcome.added), ("removed", &outcome.removed)] {
        let names: Vec<&str> = subjects.iter().map(|it| it.package.as_str()).collect();
        let mut names: Vec<&str> = names;
        names.dedup();
        if !names.is_empty() {
            app.ui.status(&format!("{what}: {}", names.join(", ")));
        }
    }
    app.ui.status(&comparison::in_a_line(outcome));
    if outcome.counts.regressed + outcome.counts.fixed + outcome.counts.flaky > 0 {
        app.ui.status(&format!("logs: larder log {} PACKAGE", outcome.run_id));
    }
}
