//! `larder cache gc --service`: removes old revisions on a service, and what only they refer to.

use larder_engine::cache::user_store;
use larder_remote::{Access, CollectionReport, Retention, Service};
use serde_json::json;

use super::{
    super::App,
    Gc, package_name,
    report::{Reporter, bytes, count},
};
use crate::exit::{Exit, Failure};

/// Collects one scope on a service.
pub fn gc(app: &App, reporter: &Reporter<'_>, args: Gc) -> Result<Exit, Failure> {
    if args.keep_revisions.is_none() && args.max_age.is_none() {
        let message = "`cache gc --service` removes revisions for good: say which are kept";
        return Err(Failure::wrong(message).hint("give --keep-revisions N, --max-age AGE or both"));
    }
    let scope = match args.place.scope.spelled_out()? {
        Some(scope) => scope,
        None => package_name()?,
    };
    let config = app.store.services()?;
    let config = config.upload_service(args.place.service.as_deref())?;
    let service = Service::open(config, Access::Write)?;
    let retention = Retention { newest: args.keep_revisions.unwrap_or(1), max_age: args.max_age };
    let store = user_store(&app.store)?;
    let report = larder_remote::collect(&service, &scope, &store, retention)?;
    say_collected(reporter, &service, &report);
    Ok(Exit::Done)
}

fn say_collected(reporter: &Reporter<'_>, service: &Service, report: &CollectionReport) {
    let held_up = match report.held_up {
        true => "; an upload is under way, so something was left for the next time",
        false => "",
    };
    let text = format!(
        "service {}: removed {}, {} and {}, {}; {} left{held_up}",
        service.name(),
        count(report.revisions, "revision"),
        count(report.packs, "pack"),
        count(report.snapshots, "snapshot"),
        bytes(report.freed),
        count(report.left, "revision"),
    );
    let event = json!({
        "event": "collected",
        "service": service.name(),
        "revisions": report.revisions,
        "packs": report.packs,
        "snapshots": report.snapshots,
        "freed": report.freed,
        "left": report.left,
        "heldUp": report.held_up,
    });
    reporter.result(text, event);
}
