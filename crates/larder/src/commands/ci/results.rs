//! `larder ci probe`, `done` and `undone`: whether the result of a key is known.

use std::{
    fmt,
    sync::OnceLock,
    time::{Duration, SystemTime},
};

use clap::Args;
use larder_project::{age::Age, ci::plan::Probe, manifest::Document, workspace::Workspace};
use larder_remote::{
    Access, ConfigError, Recorded, RemoteError, ResultKey, ResultState, Service, TakenBack,
    look_up_result, record_result, take_back_result,
};
use larder_store::Ref;
use serde_json::json;

use super::super::{App, here};
use crate::{
    exit::{Exit, Failure},
    table::age,
};

/// Ask a service whether it has the result of a key; exit with 0 if so, 1 if not, 2 if unknown
#[derive(Args)]
pub struct ProbeKey {
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    service: ServiceArgs,
}

/// Tell a service that the result of a key exists
#[derive(Args)]
pub struct Done {
    #[command(flatten)]
    key: KeyArgs,
    /// For how long that counts, such as 30d [default: what the job of the key has in the manifest, else for ever]
    #[arg(long, value_name = "AGE")]
    expires: Option<Age>,
    #[command(flatten)]
    service: ServiceArgs,
}

/// Take back that the result of a key exists
#[derive(Args)]
pub struct Undone {
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    service: ServiceArgs,
}

/// Which key.
#[derive(Args)]
struct KeyArgs {
    /// The key, as `larder ci key` prints it
    #[arg(value_name = "KEY")]
    key: ResultKey,
}

/// Which service.
#[derive(Args)]
pub struct ServiceArgs {
    /// The service, by its name in the configuration
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// The ref that was built: `done` signs it, and with trusted keys only results of it count
    #[arg(long = "ref", value_name = "REF")]
    reference: Option<Ref>,
}

/// Prints what a service says of a key.
pub fn probe(app: &App, arguments: &ProbeKey) -> Result<Exit, Failure> {
    let key = &arguments.key.key;
    let answer = match open(app, &arguments.service) {
        Ok(service) => ask(&service, key),
        Err(reason) => Probe::Unknown(reason.to_string()),
    };
    app.ui.event_json(&json!({
        "event": "probe",
        "key": key.as_str(),
        "probe": answer.as_str(),
        "reason": answer.reason(),
    }));
    app.ui.result(answer.as_str());
    let what = named(key);
    match &answer {
        Probe::Unknown(reason) => {
            app.ui.status(&format!("could not tell whether {what} is done: {reason}"));
        }
        Probe::Lapsed(reason) => app.ui.status(&format!("{what} {reason}")),
        Probe::Hit | Probe::Miss => {}
    }
    Ok(match answer {
        Probe::Hit => Exit::Done,
        Probe::Miss | Probe::Lapsed(_) => Exit::Failed,
        Probe::Unknown(_) => Exit::Wrong,
    })
}

/// Records the result of a key.
pub fn done(app: &App, arguments: &Done) -> Result<Exit, Failure> {
    let key = &arguments.key.key;
    let service = open_to_write(app, &arguments.service)?;
    let until = match expiry(key, arguments.expires.as_ref())? {
        Some(age) if age.is_zero() => {
            return Err(Failure::wrong(
                "what expires at once is not done; give a longer --expires",
            ));
        }
        // What does not fit lies beyond any time that matters.
        Some(age) => Some(now().saturating_add(u64::try_from(age.as_millis()).unwrap_or(u64::MAX))),
        None => None,
    };
    let recorded =
        record_result(&service, key, until, arguments.service.reference.as_ref(), now())?;
    let (service, what) = (service.name(), named(key));
    app.ui.status(&match &recorded {
        Recorded::New => format!("service {service} now has {what}"),
        Recorded::Already => format!("service {service} already had {what}"),
        Recorded::Renewed => format!("service {service} had {what}, which now counts anew"),
        Recorded::Repaired(reason) => format!("service {service} now has {what}: before, {reason}"),
    });
    let new = matches!(recorded, Recorded::New | Recorded::Repaired(_));
    app.ui
        .event_json(&json!({ "event": "done", "key": key.as_str(), "new": new, "expires": until }));
    Ok(Exit::Done)
}

/// Takes the result of a key back.
pub fn undone(app: &App, arguments: &Undone) -> Result<Exit, Failure> {
    let key = &arguments.key.key;
    let service = open_to_write(app, &arguments.service)?;
    let taken = take_back_result(&service, key, now())?;
    let (service, what) = (service.name(), named(key));
    app.ui.status(&match taken {
        TakenBack::NotKnown => format!("service {service} did not have {what}"),
        TakenBack::Deleted => format!("service {service} no longer has {what}"),
        TakenBack::Marked => {
            format!("service {service} does not delete; {what} is marked there as undone")
        }
    });
    let had = taken != TakenBack::NotKnown;
    app.ui.event_json(&json!({ "event": "undone", "key": key.as_str(), "had": had }));
    Ok(Exit::Done)
}

/// What asks a service for one key after the other.
///
/// # Errors
/// When the service that is asked for is none of those that are configured.
pub fn prober(
    app: &App,
    arguments: &ServiceArgs,
) -> Result<impl Fn(&str) -> Probe + Sync + use<>, Failure> {
    let service = match open(app, arguments) {
        Err(NoService::Config(error @ ConfigError::UnknownService { .. })) => {
            return Err(error.into());
        }
        Err(reason) => Err(reason.to_string()),
        Ok(service) => Ok(service),
    };
    // A service that did not answer once is not waited for again.
    let gone = OnceLock::new();
    Ok(move |key: &str| match (&service, key.parse()) {
        (Ok(service), _) if gone.get().is_some() => {
            let name = service.name();
            Probe::Unknown(format!("service {name} failed before, and was not asked again"))
        }
        (Ok(service), Ok(key)) => state(service, &key).unwrap_or_else(|error| {
            _ = gone.set(());
            Probe::Unknown(error.to_string())
        }),
        (Err(reason), _) => Probe::Unknown(reason.clone()),
        (_, Err(error)) => Probe::Unknown(error.to_string()),
    })
}

/// For how long the result of `key` counts: as `given`, else as its job in the manifest here says.
fn expiry(key: &ResultKey, given: Option<&Age>) -> Result<Option<Duration>, Failure> {
    if let Some(given) = given {
        return Ok(Some(given.duration()));
    }
    // A job that uploads has no checkout.
    let Some((job, root)) = key.job().zip(Workspace::find_root(here()).ok()) else {
        return Ok(None);
    };
    let jobs = Document::read(&root)?.ci.jobs.into_iter();
    let expires = jobs.filter(|known| *known.name == job).find_map(|job| job.expires);
    Ok(expires.map(|age| age.duration()))
}

/// The key, and the job that it is of, in words.
fn named(key: &ResultKey) -> String {
    match key.job() {
        Some(job) => format!("job `{job}` ({key})"),
        None => key.to_string(),
    }
}

/// Milliseconds since 1970.
fn now() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

const OFFLINE: &str = "--offline or LARDER_OFFLINE forbids asking a service";

/// Why there is nobody to ask.
enum NoService {
    Offline,
    Config(ConfigError),
    Remote(RemoteError),
}

impl fmt::Display for NoService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Offline => f.write_str(OFFLINE),
            Self::Config(error) => error.fmt(f),
            Self::Remote(error) => error.fmt(f),
        }
    }
}

/// A service that one can do without: the job then runs.
fn open(app: &App, arguments: &ServiceArgs) -> Result<Service, NoService> {
    if app.resolution.offline {
        return Err(NoService::Offline);
    }
    let config = app.store.services().map_err(NoService::Config)?;
    let config = config.for_ref(arguments.reference.clone());
    let service = config.service(arguments.service.as_deref()).map_err(NoService::Config)?;
    Service::open_for_a_question(service).map_err(NoService::Remote)
}

fn open_to_write(app: &App, arguments: &ServiceArgs) -> Result<Service, Failure> {
    if app.resolution.offline {
        return Err(Failure::failed(OFFLINE));
    }
    let config = app.store.services()?;
    let config = config.upload_service(arguments.service.as_deref())?;
    Ok(Service::open(config, Access::Write)?)
}

fn ask(service: &Service, key: &ResultKey) -> Probe {
    state(service, key).unwrap_or_else(|error| Probe::Unknown(error.to_string()))
}

fn state(service: &Service, key: &ResultKey) -> Result<Probe, RemoteError> {
    let now = now();
    Ok(match look_up_result(service, key, now)? {
        ResultState::Done { .. } => Probe::Hit,
        ResultState::Absent => Probe::Miss,
        ResultState::Expired(at) => {
            let ago = age(now.saturating_sub(at) / 1000);
            Probe::Lapsed(format!("was done, and that expired {ago} ago"))
        }
        ResultState::Undone => {
            Probe::Lapsed("was done, and that was taken back (`larder ci undone`)".to_owned())
        }
        ResultState::Untrusted(distrust) => Probe::Lapsed(format!("does not count: {distrust}")),
        ResultState::Unclear(reason) => {
            Probe::Unknown(format!("service {}: {reason}", service.name()))
        }
    })
}
