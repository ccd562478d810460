//! `cache services`: the configured services, and whether they work.

use clap::Args;
use larder_remote::{Check, Finding, ServiceConfig, check};
use serde_json::{Value, json};

use super::{super::App, report::Reporter};
use crate::exit::{Exit, Failure};

/// List the configured services.
#[derive(Args)]
pub struct Services {
    /// Try what each can do, and say what is missing; fails when one cannot be read
    #[arg(long)]
    check: bool,
    /// With --check: also write an object, read a part of it, and delete it
    #[arg(long, requires = "check")]
    write: bool,
}

/// `cache services`.
pub fn services(app: &App, reporter: &Reporter<'_>, args: &Services) -> Result<Exit, Failure> {
    let config = app.store.services()?;
    let default = config.service(None).ok().map(|service| service.name.clone());
    let upload = config.upload_service(None).ok().map(|service| service.name.clone());
    if config.cache.services.is_empty() {
        let path = config.path.display();
        reporter.warning(&format!("no service is configured in {path}"));
    }
    let width = config.cache.services.iter().map(|s| s.name.len()).max().unwrap_or(0);
    let mut exit = Exit::Done;
    for service in &config.cache.services {
        let is = |name: &Option<String>| name.as_ref() == Some(&service.name);
        let mut notes = Vec::new();
        notes.extend(is(&default).then_some("default"));
        notes.extend(is(&upload).then_some("uploads"));
        notes.extend(service.anonymous_reads.then_some("anonymous reads"));
        let notes = notes.join(", ");
        let url = service.shown_url();
        let text = format!("{:width$}  {url}  {notes}", service.name);
        let event = json!({
            "name": service.name,
            "url": url,
            "endpoint": service.shown_endpoint(),
            "default": is(&default),
            "defaultUpload": is(&upload),
            "anonymousReads": service.anonymous_reads,
        });
        reporter.result(text.trim_end(), event);
        if args.check && !is_readable(app, reporter, service, args.write) {
            exit = Exit::Failed;
        }
    }
    Ok(exit)
}

/// Tries what a service can do, and says it. Returns whether it can be read.
fn is_readable(app: &App, reporter: &Reporter<'_>, service: &ServiceConfig, write: bool) -> bool {
    if app.resolution.offline && !service.url.starts_with("file://") {
        reporter.warning("the network is forbidden; nothing was tried");
        return false;
    }
    let found = match check(service, write) {
        Ok(found) => found,
        Err(error) => {
            let reason = error.to_string();
            let takes = "a configuration without this mistake";
            say(reporter, &service.name, "open", &Finding::Fails { reason, takes });
            return false;
        }
    };
    let Check { reach, read, ranges, list, write } = &found;
    let all =
        [("reach", reach), ("read", read), ("ranges", ranges), ("list", list), ("write", write)];
    for (what, finding) in all {
        say(reporter, &service.name, what, finding);
    }
    *read == Finding::Works
}

fn say(reporter: &Reporter<'_>, service: &str, what: &str, finding: &Finding) {
    let (text, outcome) = match finding {
        Finding::Works => ("works".to_owned(), json!({ "outcome": "works" })),
        Finding::Untried(why) => {
            (format!("not tried: {why}"), json!({ "outcome": "untried", "reason": why }))
        }
        Finding::Fails { reason, takes } => (
            format!("fails: {reason}; takes {takes}"),
            json!({ "outcome": "fails", "reason": reason, "takes": takes }),
        ),
    };
    let mut event = json!({ "event": "checked", "service": service, "check": what });
    if let (Value::Object(event), Value::Object(outcome)) = (&mut event, outcome) {
        event.extend(outcome);
    }
    reporter.result(format!("  {what:6}  {text}"), event);
}
