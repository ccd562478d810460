//! The commands that need no service.

use std::{num::NonZeroUsize, path::Path, thread};

use larder_engine::{cache::user_store, checkouts};
use larder_remote::Transfer;
use larder_store::{
    Store, gc, offline, pack, packing,
    staging::{self, MAPPINGS_NAME, Refusal, StagingDirectory},
    verify,
};
use serde_json::json;

use super::{
    Gc, Unstage, Verify,
    packs::{advance, and_checkouts},
    report::{Bar, Reporter, bytes, count},
    scopes,
};
use crate::{
    commands::App,
    exit::{Exit, Failure},
};

/// `cache unstage`.
pub fn unstage(app: &App, reporter: &Reporter<'_>, args: Unstage) -> Result<Exit, Failure> {
    let scopes = scopes(&args.scope, &args.package)?;
    let report = staging::unstage(&user_store(&app.store)?, &scopes.local, &args.staged)?;
    carried(reporter, "unstaged", &report)
}

pub fn carried(
    reporter: &Reporter<'_>,
    done: &str,
    report: &staging::StagingReport,
) -> Result<Exit, Failure> {
    let left_out = match report.left_out {
        0 => String::new(),
        left_out => format!("; the service has {left_out} more"),
    };
    let text = format!(
        "{done} {} and {} ({}){left_out}",
        count(report.mappings, "mapping"),
        count(report.artifacts, "artifact"),
        bytes(report.bytes)
    );
    let event = json!({
        "event": done,
        "mappings": report.mappings,
        "artifacts": report.artifacts,
        "bytes": report.bytes,
        "leftOut": report.left_out,
        "missing": report.missing.len(),
    });
    reporter.done(text, event);
    Ok(refused(reporter, &format!("not {done}"), &report.missing))
}

/// Lists what was refused. Returns the exit code: failed, if there is any.
pub fn refused(reporter: &Reporter<'_>, what: &str, refusals: &[Refusal]) -> Exit {
    if refusals.is_empty() {
        return Exit::Done;
    }
    let refusals: Vec<_> = refusals
        .iter()
        .map(|refusal| (refusal.name.escape_debug().to_string(), refusal.reason.to_string()))
        .collect();
    reporter.failures(what, &refusals);
    Exit::Failed
}

/// `cache verify`, of whatever stands at the path.
pub fn verify(app: &App, reporter: &Reporter<'_>, args: Verify) -> Result<Exit, Failure> {
    let Some(path) = args.path else {
        return verify_store(reporter, &app.store.open_local()?);
    };
    if path.is_file() {
        verify_pack(reporter, &path)
    } else if offline::is_baked(&path) {
        verify_offline(reporter, &path)
    } else if path.join(MAPPINGS_NAME).symlink_metadata().is_ok() {
        let contents = StagingDirectory::open(&path)?.verify()?;
        let (mappings, artifacts) = (contents.mappings.len(), contents.artifacts.len());
        let left_out = match &contents.since {
            Some(since) => format!("; {} more are those of {since}", contents.left_out.len()),
            None => String::new(),
        };
        let text = format!(
            "{} and {} in order{left_out}",
            count(mappings, "mapping"),
            count(artifacts, "artifact")
        );
        let event = json!({
            "event": "verified",
            "mappings": mappings,
            "artifacts": artifacts,
            "leftOut": contents.left_out.len(),
            "corrupt": contents.refusals.len(),
        });
        reporter.result(text, event);
        Ok(refused(reporter, "not in order", &contents.refusals))
    } else if ["artifacts", "outputs", "revisions"].iter().any(|part| path.join(part).is_dir()) {
        verify_store(reporter, &Store::open(path)?)
    } else {
        let path = path.display();
        Err(Failure::wrong(format!(
            "{path} is not a store, offline store, staging directory or pack"
        )))
    }
}

fn verify_store(reporter: &Reporter<'_>, store: &Store) -> Result<Exit, Failure> {
    let report = verify::verify(store)?;
    let text = format!(
        "{} ({}) and {} in order",
        count(report.artifacts, "artifact"),
        bytes(report.bytes),
        count(report.mappings + report.revisions, "mapping file")
    );
    let event = json!({
        "event": "verified",
        "artifacts": report.artifacts,
        "bytes": report.bytes,
        "mappings": report.mappings,
        "revisions": report.revisions,
        "absent": report.absent.len(),
        "corrupt": report.corrupt.len(),
    });
    reporter.result(text, event);
    if !report.absent.is_empty() {
        let absent = count(report.absent.len(), "artifact");
        reporter.done(
            format!(
                "{absent} mentioned in mappings but not here: removed since, or not fetched yet"
            ),
            json!({ "event": "absent", "artifacts": report.absent }),
        );
    }
    if report.corrupt.is_empty() {
        return Ok(Exit::Done);
    }
    let corrupt: Vec<_> = report
        .corrupt
        .iter()
        .map(|corrupt| (corrupt.path.display().to_string(), corrupt.reason.clone()))
        .collect();
    let quarantine = store.layout().quarantine();
    reporter.failures(&format!("corrupt, moved to {}", quarantine.display()), &corrupt);
    Ok(Exit::Failed)
}

fn verify_pack(reporter: &Reporter<'_>, path: &Path) -> Result<Exit, Failure> {
    let pack = pack::Pack::open(path, &pack::Limits::default())?;
    let mappings = packing::mappings_of(&pack)?.len();
    let artifacts = pack.index().artifacts().len();
    let threads = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let bar = bar_for(reporter, &pack);
    pack.verify(threads, |progress| advance(&bar, progress))?;
    bar.finish();
    let text =
        format!("{} and {} in order", count(mappings, "mapping"), count(artifacts, "artifact"));
    let event = json!({
        "event": "verified",
        "mappings": mappings,
        "artifacts": artifacts,
        "corrupt": 0,
    });
    reporter.result(text, event);
    Ok(Exit::Done)
}

/// A bar for reading all of a pack.
pub fn bar_for(reporter: &Reporter<'_>, pack: &pack::Pack) -> Bar {
    let bar = reporter.bar();
    let artifacts = pack.index().artifacts();
    let bytes = artifacts.iter().map(pack::Member::size).sum();
    bar.advance(Transfer::Planned { artifacts: artifacts.len() as u64, bytes });
    bar
}

fn verify_offline(reporter: &Reporter<'_>, path: &Path) -> Result<Exit, Failure> {
    let report = offline::verify(path, |checkout| checkouts::check(path, checkout), |_| ())?;
    let mappings: u64 = report.complete.iter().map(|bake| bake.mappings).sum();
    let artifacts: u64 = report.complete.iter().map(|bake| bake.artifacts).sum();
    let packages: Vec<&str> = report.complete.iter().map(|bake| bake.package.as_str()).collect();
    let text = format!(
        "{} and {}{} ({}) in order{}{}",
        count(mappings, "mapping"),
        count(artifacts, "artifact"),
        and_checkouts(report.checkouts),
        bytes(report.bytes),
        if packages.is_empty() { "" } else { ": all of " },
        packages.join(", "),
    );
    let event = json!({
        "event": "verified",
        "mappings": mappings,
        "artifacts": artifacts,
        "checkouts": report.checkouts,
        "bytes": report.bytes,
        "bakes": report.complete,
        "corrupt": report.problems.len(),
    });
    reporter.result(text, event);
    if report.problems.is_empty() {
        return Ok(Exit::Done);
    }
    reporter.failures("missing or corrupt; `larder cache bake` makes them again", &report.problems);
    Ok(Exit::Failed)
}

/// `cache gc`.
pub fn gc(app: &App, reporter: &Reporter<'_>, args: Gc) -> Result<Exit, Failure> {
    if args.max_size.is_none() && args.max_age.is_none() {
        reporter.warning("without --max-size or --max-age, only leftovers are removed");
    }
    let policy = gc::Policy { max_size: args.max_size, max_age: args.max_age, keep: args.keep_rev };
    let store = user_store(&app.store)?;
    let report = gc::collect(&store, &policy, || {
        reporter.done(
            "waiting for another `larder cache gc` on this store",
            json!({ "event": "waiting", "for": "larder cache gc" }),
        );
    })?;
    let spared = match report.spared {
        0 => String::new(),
        spared => format!("; {} in use and spared", bytes(spared)),
    };
    let text = format!(
        "removed {} and {}, {}; {} left{spared}",
        count(report.artifacts, "artifact"),
        count(report.mappings, "mapping"),
        bytes(report.freed),
        bytes(report.left),
    );
    let event = json!({
        "event": "collected",
        "artifacts": report.artifacts,
        "mappings": report.mappings,
        "freed": report.freed,
        "left": report.left,
        "spared": report.spared,
    });
    reporter.result(text, event);
    Ok(Exit::Done)
}

/// `cache clean`.
pub fn clean(app: &App, reporter: &Reporter<'_>) -> Result<Exit, Failure> {
    let store = app.store.open_local()?;
    let root = store.layout().root().display().to_string();
    store.clean()?;
    reporter.done(format!("deleted {root}"), json!({ "event": "cleaned", "store": root }));
    Ok(Exit::Done)
}

/// `cache stats`.
pub fn stats(app: &App, reporter: &Reporter<'_>) -> Result<Exit, Failure> {
    let store = user_store(&app.store)?;
    let stats = store.stats()?;
    let mut event = serde_json::to_value(&stats).unwrap_or_default();
    if let Some(event) = event.as_object_mut() {
        event.insert("store".to_owned(), json!(store.layout().root()));
        event.insert("hitRate".to_owned(), json!(stats.counters.hit_rate()));
    }
    let mut lines = vec![
        format!("store        {}", store.layout().root().display()),
        format!("artifacts    {} ({})", stats.artifacts, bytes(stats.artifact_bytes)),
        format!("mappings     {} ({})", stats.mappings, bytes(stats.mapping_bytes)),
        format!("revisions    {}", stats.revisions),
        format!("quarantined  {}", stats.quarantined),
        format!(
            "restored     {} ({})",
            stats.counters.restored,
            bytes(stats.counters.restored_bytes)
        ),
    ];
    let rate = stats.counters.hit_rate();
    lines.push(match rate {
        Some(rate) => format!("hit rate     {:.1} %", rate * 100.0),
        None => "hit rate     no lookups yet".to_owned(),
    });
    for (tier, hits) in &stats.counters.hits {
        lines.push(format!("  hits       {hits:>8}  {tier}"));
    }
    for (reason, misses) in &stats.counters.misses {
        lines.push(format!("  misses     {misses:>8}  {reason}"));
    }
    reporter.result(lines.join("\n"), event);
    Ok(Exit::Done)
}
