//! The commands that talk to services.

use std::collections::BTreeMap;

use larder_engine::{cache::user_store, published::Publisher};
use larder_remote::{
    Access, Config, Destination, GetReport, Lost, Missing, Origin, Outcome, PutReport, Search,
    Service, StagedError, Transfer,
    git::{self, Shallow},
};
use larder_store::{
    Mappings, Store,
    pack::{self, Pack},
    packing,
};
use serde_json::json;

use super::{
    super::{App, here},
    Add, Get, Put, PutStaged, Scopes,
    packs::{advance, say_unpacked},
    read_service,
    report::{Reporter, bytes, count},
    scopes,
    stage::{leave_out_published, publishers},
};
use crate::exit::{Exit, Failure};

/// `cache get`: from a service, before which the offline store is asked; where no service answers,
/// from the offline store alone.
pub fn get(app: &App, reporter: &Reporter<'_>, args: Get) -> Result<Exit, Failure> {
    if args.mappings.is_some() && args.mappings_only {
        let message = "--mappings-only fetches mappings, but MAPPINGS was given";
        return Err(Failure::wrong(message).hint("`larder cache add` records them"));
    }
    let scopes = scopes(&args.place.scope, &args.package)?;
    let store = user_store(&app.store)?;
    if app.resolution.offline {
        return get_offline(reporter, &args, &scopes, &store);
    }
    let config = app.store.services()?.for_ref(args.reference.clone());
    let is_baked = store.bakes().any(|(_, bake, _)| bake.package == scopes.local);
    if is_baked && args.place.service.is_none() && config.cache.services.is_empty() {
        return get_offline(reporter, &args, &scopes, &store);
    }
    let service = read_service(&config, &args.place)?;
    let service = match is_baked {
        true => Service::open_for_a_build(&service)?,
        false => Service::open(&service, Access::Read)?,
    };
    match get_online(reporter, &args, &scopes, &store, &service) {
        Ok(exit) if args.mappings.is_none() => {
            let dependencies = get_dependencies(reporter, &args, &config, &store)?;
            Ok(if dependencies == Exit::Done { exit } else { dependencies })
        }
        Err(failure) if is_baked && failure.exit == Exit::Failed => {
            tracing::info!("{failure}; using what the offline store has");
            get_offline(reporter, &args, &scopes, &store)
        }
        done => done,
    }
}

fn get_online(
    reporter: &Reporter<'_>,
    args: &Get,
    scopes: &Scopes,
    store: &Store,
    service: &Service,
) -> Result<Exit, Failure> {
    let bar = reporter.bar();
    let progress = |progress| bar.advance(progress);
    let request = larder_remote::Get {
        service,
        store,
        scope: &scopes.remote,
        local_scope: &scopes.local,
        mappings_only: args.mappings_only,
        force: args.force_download,
        progress: &progress,
    };
    let report = match (&args.mappings, &args.rev) {
        (Some(mappings), _) => larder_remote::get_mappings(&request, &Mappings::read(mappings)?)?,
        (None, rev) => {
            let revisions = match rev {
                Some(rev) => vec![rev.clone()],
                None => git::history(here(), args.max_revs)?,
            };
            let search = larder_remote::get(&request, &revisions)?;
            bar.finish();
            say_passed(reporter, service, &search);
            search.report.ok_or_else(|| {
                let (service, scope) = (service.name(), &scopes.remote);
                let text = match revisions.as_slice() {
                    [only] if !search.passed.is_empty() => {
                        format!("revision {only} of {scope} on service {service} cannot be used")
                    }
                    [only] => format!("service {service} does not have revision {only} of {scope}"),
                    several => {
                        let asked = count(several.len(), "revision");
                        let usable = if search.passed.is_empty() { "" } else { ", or none of use" };
                        format!("service {service} does not have any of {asked} of {scope}{usable}")
                    }
                };
                let walked = rev.is_none().then_some(revisions.as_slice());
                match walked.and_then(|walked| git::shallow(here(), walked, args.max_revs)) {
                    Some(cut) => Failure::failed(format!("{text}; {cut}")).hint(Shallow::ADVICE),
                    None => Failure::failed(text),
                }
            })?
        }
    };
    bar.finish();
    say_got(reporter, &report, args.mappings_only);
    Ok(missing(reporter, "did not arrive", &report.missing))
}

/// Gets what dependencies publish by themselves. What they do not publish is built.
fn get_dependencies(
    reporter: &Reporter<'_>,
    args: &Get,
    config: &Config,
    store: &Store,
) -> Result<Exit, Failure> {
    let mut exit = Exit::Done;
    for publisher in publishers(config)? {
        let Publisher { package, service, scope, revision } = publisher;
        let service = Service::open_for_a_build(&service)?;
        let bar = reporter.bar();
        let request = larder_remote::Get {
            service: &service,
            store,
            scope: &scope,
            local_scope: &package,
            mappings_only: args.mappings_only,
            force: args.force_download,
            progress: &|progress| bar.advance(progress),
        };
        let search = larder_remote::get(&request, std::slice::from_ref(&revision));
        bar.finish();
        match search {
            Ok(search) => {
                say_passed(reporter, &service, &search);
                let Some(report) = search.report else {
                    let name = service.name();
                    tracing::info!("service {name} does not have {revision} of {scope}");
                    continue;
                };
                say_got(reporter, &report, args.mappings_only);
                if missing(reporter, "did not arrive", &report.missing) != Exit::Done {
                    exit = Exit::Failed;
                }
            }
            Err(error) => tracing::info!("{error}"),
        }
    }
    Ok(exit)
}

/// How many revisions are named that are of no use for the same reason.
const SAID: usize = 3;

/// Says which revisions were there and of no use, or not of full use.
fn say_passed(reporter: &Reporter<'_>, service: &Service, search: &Search) {
    let mut said = BTreeMap::<&str, usize>::new();
    for (revision, reason) in &search.passed {
        let text = format!("service {}: revision {revision}: {reason}", service.name());
        let event = json!({ "event": "passed", "revision": revision, "reason": reason });
        let times = said.entry(reason).or_default();
        *times += 1;
        // The same of many is said once.
        match *times <= SAID {
            true => reporter.done(text, event),
            false => reporter.event(event),
        }
    }
    for (reason, times) in said.into_iter().filter(|(_, times)| *times > SAID) {
        let more = count(times - SAID, "more revision");
        let text = format!("service {}: {more}: {reason}", service.name());
        reporter.done(text, json!({ "event": "passedMore", "revisions": times - SAID }));
    }
}

/// `cache get` from `$LARDER_OFFLINE_STORE` and nowhere else.
fn get_offline(
    reporter: &Reporter<'_>,
    args: &Get,
    scopes: &Scopes,
    store: &Store,
) -> Result<Exit, Failure> {
    let mappings = match (&args.mappings, &args.rev) {
        (Some(file), _) => Some(Mappings::read(file)?),
        (None, Some(rev)) => {
            Mappings::read_if_present(&store.layout().revision(&scopes.remote, rev))?
        }
        (None, None) => None,
    };
    let Some(mappings) = mappings else {
        let bar = reporter.bar();
        let mut reports = Vec::new();
        for (_, bake, pack) in store.bakes().filter(|(_, bake, _)| bake.package == scopes.local) {
            bar.advance(Transfer::Planned { artifacts: bake.artifacts, bytes: content(pack) });
            let progress = |progress| advance(&bar, progress);
            reports.push(packing::unpack(store, &scopes.local, pack, progress)?);
        }
        bar.finish();
        reports.iter().for_each(|report| say_unpacked(reporter, report));
        return match reports.is_empty() {
            false => Ok(Exit::Done),
            true => Err(Failure::failed(format!(
                "the network is forbidden, and no offline store (LARDER_OFFLINE_STORE) has {}",
                scopes.local
            ))),
        };
    };
    let mut report = GetReport {
        revision: args.rev.clone(),
        mappings: mappings.len(),
        fetched: 0,
        present: 0,
        missing: Missing::new(),
    };
    for (hash, artifact) in mappings.artifacts() {
        match store.is_intact(&hash, artifact.size) || store.holds_offline(&hash) {
            true => report.present += 1,
            false => {
                let reason = "not in the offline store, and the network is forbidden".to_owned();
                report.missing.insert(hash, Lost { path: artifact.path, reason });
            }
        }
    }
    store.record_all(&scopes.local, &mappings)?;
    say_got(reporter, &report, false);
    Ok(missing(reporter, "not available", &report.missing))
}

fn content(pack: &Pack) -> u64 {
    pack.index().artifacts().iter().map(pack::Member::size).sum()
}

fn say_got(reporter: &Reporter<'_>, report: &GetReport, mappings_only: bool) {
    let mappings = count(report.mappings, "mapping");
    let from = match &report.revision {
        Some(revision) => format!(" of {revision}"),
        None => String::new(),
    };
    let artifacts = count(report.fetched, "artifact");
    let text = match mappings_only {
        true => format!("got {mappings}{from}; their artifacts are fetched on demand"),
        false => format!("got {mappings}{from}, {artifacts} ({} present)", report.present),
    };
    let event = json!({
        "event": "got",
        "revision": report.revision,
        "mappings": report.mappings,
        "fetched": report.fetched,
        "present": report.present,
        "missing": report.missing.len(),
    });
    reporter.done(text, event);
}

/// `cache put`.
pub fn put(app: &App, reporter: &Reporter<'_>, args: Put) -> Result<Exit, Failure> {
    let scopes = scopes(&args.place.scope, &args.package)?;
    let mut mappings = Mappings::read(&args.mappings)?;
    let store = user_store(&app.store)?;
    leave_out_published(app, &mut mappings, &store)?;
    let revision = match args.rev {
        Some(rev) => rev,
        None => git::head(here())?,
    };
    if git::is_dirty(here()).unwrap_or(false) {
        reporter.warning(&format!(
            "the work tree has changes that are not committed; what is uploaded as {revision} may \
             not be what that revision builds"
        ));
    }
    let reference = args.reference.or_else(|| git::branch(here())?.parse().ok());
    let config = app.store.services()?;
    let service = config.upload_service(args.place.service.as_deref())?;
    let service = Service::open(service, Access::Write)?;
    let bar = reporter.bar();
    // What was uploaded of the commits before this one is likely to be much the same.
    let similar = git::history(here(), 100).unwrap_or_default();
    let to = Destination {
        service: &service,
        scope: &scopes.remote,
        revision: &revision,
        reference: reference.as_ref(),
        similar: &similar,
        overwrite: args.overwrite.policy(),
        progress: &|progress| bar.advance(progress),
    };
    let report = larder_remote::put_stored(&to, &store, &mappings)?;
    bar.finish();
    say_put(reporter, revision.as_str(), &report);
    reporter.missing("could not be read", &report.unreadable);
    reporter.missing("could not be uploaded", &report.refused);
    Ok(if report.is_complete() { Exit::Done } else { Exit::Failed })
}

/// `cache put-staged`: reads no manifest and runs nothing.
pub fn put_staged(app: &App, reporter: &Reporter<'_>, args: PutStaged) -> Result<Exit, Failure> {
    let scope =
        args.place.scope.spelled_out()?.ok_or_else(|| {
            Failure::wrong("put-staged reads no manifest: give --scope or --repo")
        })?;
    let config = app.store.services()?;
    let service = config.upload_service(args.place.service.as_deref())?;
    let service = Service::open(service, Access::Write)?;
    let bar = reporter.bar();
    let to = Destination {
        service: &service,
        scope: &scope,
        revision: &args.rev,
        reference: args.reference.as_ref(),
        similar: &[],
        overwrite: args.overwrite.policy(),
        progress: &|progress| bar.advance(progress),
    };
    match larder_remote::put_staged(&to, &args.staged) {
        Ok(report) => {
            bar.finish();
            say_put(reporter, args.rev.as_str(), &report);
            Ok(Exit::Done)
        }
        Err(error) => {
            bar.finish();
            match &error {
                StagedError::Remote(_) => {}
                StagedError::Refused(refusals) => {
                    let refusals: Vec<_> = refusals
                        .iter()
                        .map(|r| (r.name.escape_debug().to_string(), r.reason.to_string()))
                        .collect();
                    reporter.failures("refused", &refusals);
                }
                StagedError::Changed(report) => {
                    reporter.missing("changed", &report.unreadable);
                }
                StagedError::Lacking(report) => {
                    reporter.missing("neither staged nor on the service", &report.unreadable);
                }
                StagedError::NotTaken(report) => {
                    reporter.missing("could not be uploaded", &report.refused);
                    reporter.missing("changed", &report.unreadable);
                }
            }
            Err(error.into())
        }
    }
}

fn say_put(reporter: &Reporter<'_>, revision: &str, report: &PutReport) {
    let sent = format!(
        "{} sent ({}), {} already there",
        count(report.sent, "artifact"),
        bytes(report.sent_bytes),
        report.reused
    );
    let text = match report.outcome {
        Outcome::LeftAlone => format!("{revision} is already there; left as it is"),
        Outcome::Withheld => {
            format!("{revision} was not written, since it would be incomplete: {sent}")
        }
        Outcome::Written => {
            format!("put {} as {revision}: {sent}", count(report.mappings, "mapping"))
        }
    };
    let event = json!({
        "event": "put",
        "revision": revision,
        "written": report.outcome == Outcome::Written,
        "leftAlone": report.outcome == Outcome::LeftAlone,
        "mappings": report.mappings,
        "sent": report.sent,
        "sentBytes": report.sent_bytes,
        "reused": report.reused,
        "missing": report.unreadable.len() + report.refused.len(),
    });
    reporter.done(text, event);
}

/// Lists what is missing. Returns the exit code: failed, if anything is.
fn missing(reporter: &Reporter<'_>, what: &str, missing: &Missing) -> Exit {
    reporter.missing(what, missing);
    if missing.is_empty() { Exit::Done } else { Exit::Failed }
}

/// `cache add`.
pub fn add(app: &App, reporter: &Reporter<'_>, args: Add) -> Result<Exit, Failure> {
    let scopes = scopes(&args.place.scope, &args.package)?;
    let mappings = Mappings::read(&args.mappings)?;
    let config = app.store.services()?;
    let service = read_service(&config, &args.place)?.name;
    let store = user_store(&app.store)?;
    let origin = Origin {
        service: service.clone(),
        scope: scopes.remote,
        revision: args.rev,
        local_scope: Some(scopes.local.clone()),
    };
    larder_remote::add(&store, &origin, &mappings, None)?;
    store.record_all(&scopes.local, &mappings)?;
    let text = format!(
        "added {}; their artifacts are fetched from {service} on demand",
        count(mappings.len(), "mapping")
    );
    let event = json!({ "event": "added", "mappings": mappings.len(), "service": service });
    reporter.done(text, event);
    Ok(Exit::Done)
}
