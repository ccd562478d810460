//! Keys: who signed what, and what becomes of it when a key is no longer believed.

use std::{
    collections::BTreeSet,
    fs::OpenOptions,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Args;
use larder_engine::{
    build,
    cache::{CacheOptions, user_store},
    context::Mode,
    event::{self, Event},
};
use larder_project::name::TargetName;
use larder_remote::{KeyId, Provenance, SigningKey, Trust};
use larder_store::{Mappings, Revision};
use larder_trace::{atomic, describe_io};
use serde_json::{Value, json};

use super::{
    super::{App, build::BuildOptions},
    PackageArgs, Place,
    report::{Reporter, count},
    scopes, server,
};
use crate::{
    choices::ChoiceArgs,
    exit::{Exit, Failure},
};

/// Say who built targets, and from which revision; with --server, who wrote objects.
#[derive(Args)]
pub struct Blame {
    #[command(flatten)]
    choices: ChoiceArgs,
    /// Targets, [@PACKAGE/]TARGET[:FACET] [default: the package's default targets]; with --server, objects or directories of
    /// them [default: all]
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    #[command(flatten)]
    of: server::Args,
}

/// Make a key that uploads are signed with.
#[derive(Args)]
pub struct Keygen {
    /// Who will have it
    name: String,
    /// The file for the secret half [default: NAME.key]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Believe nothing any more that a key signed.
#[derive(Args)]
pub struct Revoke {
    /// The key: its name in the configuration, its id, or the public key; with --server, its id or its name there
    key: String,
    #[command(flatten)]
    of: server::Args,
}

/// Write down where the artifacts of a fetched revision came from.
#[derive(Args)]
pub struct Export {
    /// The revision that `larder cache get` fetched
    #[arg(long, value_name = "REV")]
    rev: Revision,
    /// As a statement of provenance: in-toto's, with SLSA's predicate
    #[arg(long, required = true)]
    provenance: bool,
    /// The file to write [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    package: PackageArgs,
}

/// `cache keygen`.
pub fn keygen(reporter: &Reporter<'_>, args: &Keygen) -> Result<Exit, Failure> {
    let name = &args.name;
    if name.is_empty() || name.chars().any(|c| c.is_control() || c == '/' || c == '"' || c == '\\')
    {
        return Err(Failure::wrong(format!("{name:?} is no name for a key")));
    }
    let path = args.output.clone().unwrap_or_else(|| PathBuf::from(format!("{name}.key")));
    let (key, secret, public) =
        SigningKey::generate(&format!("larder key of {name}")).map_err(Failure::failed)?;
    write_secret(&path, &secret)?;
    reporter.note(&format!(
        "{} holds the secret half: keep it where uploads are made, as LARDER_SIGNING_KEY",
        path.display()
    ));
    let text = format!("[[cache.trust]]\nname = \"{name}\"\nkey = \"{public}\"");
    let event = json!({
        "event": "keygen", "name": name, "key": public.to_string(), "id": key.id(), "file": path,
    });
    reporter.result(text, event);
    Ok(Exit::Done)
}

/// Writes a file that only its owner can read, and that was not there.
fn write_secret(path: &Path, secret: &str) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(secret.as_bytes())).map_err(|error| {
        Failure::failed(format!("cannot write {}: {}", path.display(), describe_io(&error)))
    })
}

/// `cache revoke`.
pub fn revoke(app: &App, reporter: &Reporter<'_>, args: &Revoke) -> Result<Exit, Failure> {
    if let Some(place) = args.of.place() {
        return server::revoke(reporter, &place, &args.key);
    }
    let config = app.store.services()?;
    let trust = Trust::new(config.cache.trusted.clone(), BTreeSet::new());
    let key: KeyId = match trust.find(&args.key) {
        Some(key) => key,
        None => args.key.parse().map_err(Failure::wrong)?,
    };
    let forgotten = larder_remote::revoke(&user_store(&app.store)?, key)?;
    for provenance in &forgotten.revisions {
        let Provenance { service, scope, revision, .. } = provenance;
        let event = json!({
            "event": "forgot", "service": service, "scope": scope, "revision": revision,
        });
        reporter.result(format!("forgot {revision} of {scope} from service {service}"), event);
    }
    for output in &forgotten.outputs {
        reporter.result(format!("  {output}"), json!({ "event": "affected", "output": output }));
    }
    let outputs = count(forgotten.outputs.len(), "output");
    let revisions = count(forgotten.revisions.len(), "revision");
    let advice = match forgotten.outputs.is_empty() {
        true => "",
        false => "; work trees that restored them have them until `larder clean`",
    };
    let text = format!("revoked {key}: it had signed {revisions} here, with {outputs}{advice}");
    let event = json!({
        "event": "revoked",
        "key": key,
        "revisions": forgotten.revisions.len(),
        "outputs": forgotten.outputs.len(),
    });
    reporter.done(text, event);
    Ok(Exit::Done)
}

/// `cache blame`.
pub fn blame(app: &App, reporter: &Reporter<'_>, args: &Blame) -> Result<Exit, Failure> {
    if let Some(place) = args.of.place() {
        return server::blame(reporter, &place, &args.targets);
    }
    let targets = args.targets.iter().map(|target| target.parse().map_err(Failure::wrong));
    let targets = targets.collect::<Result<Vec<TargetName>, _>>()?;
    let options = BuildOptions::with_jobs(None).choosing(&args.choices);
    let mut request = super::super::build::request(app, &targets, &options, Mode::DryRun);
    request.cache = CacheOptions { collect: true, ..request.cache };
    let session = app.session(None);
    let store = user_store(&app.store)?;
    let silent: Arc<dyn event::Reporter> = Arc::new(Silent);
    let built = build::build(&session, &request, &silent)?;
    let mappings = built.mappings.unwrap_or_default();
    let dep_hashes = mappings.iter().map(|(dep_hash, _)| *dep_hash).collect();
    let origins = larder_remote::origins_of(store.layout(), &dep_hashes);
    let mut lines = Vec::new();
    for (dep_hash, outputs) in mappings.iter() {
        let Some(output) = outputs.outputs.first() else { continue };
        let origins = origins.get(dep_hash).map(Vec::as_slice).unwrap_or_default();
        lines.push((output.path.clone(), dep_hash, origins));
    }
    lines.sort_by(|a, b| a.0.cmp(&b.0));
    for (output, dep_hash, origins) in lines {
        let event = json!({
            "event": "blame", "output": output, "depHash": dep_hash, "origins": origins,
        });
        let text = match origins {
            [] => "built here, or put into the store by hand".to_owned(),
            origins => origins.iter().map(describe).collect::<Vec<_>>().join("; "),
        };
        reporter.result(format!("{output}: {text}"), event);
    }
    let out_of_date = built.counts.out_of_date;
    if out_of_date > 0 {
        let text = format!("{out_of_date} out of date: nobody has built them as they are now");
        reporter.done(text, json!({ "event": "outOfDate", "steps": out_of_date }));
    }
    Ok(Exit::Done)
}

/// Hears of a build that is only looked at.
struct Silent;

impl event::Reporter for Silent {
    fn event(&self, _: &Event<'_>) {}
}

fn describe(provenance: &Provenance) -> String {
    let Provenance { service, scope, revision, signer, .. } = provenance;
    let signed = match signer {
        Some(signer) => {
            let from = signer.reference.as_ref().map(|it| format!(", from {it}"));
            format!("signed by {} ({}){}", signer.name, signer.key, from.unwrap_or_default())
        }
        None => "not signed by anybody who was asked for".to_owned(),
    };
    format!("revision {revision} of {scope} on service {service}, {signed}")
}

/// `cache export --provenance`.
pub fn export(app: &App, reporter: &Reporter<'_>, args: &Export) -> Result<Exit, Failure> {
    debug_assert!(args.provenance, "the one thing that is exported");
    let scopes = scopes(&args.place.scope, &args.package)?;
    let store = user_store(&app.store)?;
    let file = store.layout().revision(&scopes.remote, &args.rev);
    let known = Provenance::all(store.layout());
    let provenance = known.into_iter().find(|(path, _)| *path == file).map(|(_, it)| it);
    let mappings = Mappings::read_if_present(&file)?;
    let (Some(provenance), Some(mappings)) = (provenance, mappings) else {
        return Err(Failure::failed(format!(
            "{} of {} was not fetched here",
            args.rev, scopes.remote
        ))
        .hint("`larder cache get --rev` fetches it"));
    };
    let statement = statement(&provenance, &mappings);
    match &args.output {
        None => reporter.result(format!("{statement:#}"), statement),
        Some(path) => {
            let text = format!("{statement:#}\n");
            atomic::write_if_changed(path, text.as_bytes()).map_err(|error| {
                let error = describe_io(&error);
                Failure::failed(format!("cannot write {}: {error}", path.display()))
            })?;
        }
    }
    Ok(Exit::Done)
}

/// An in-toto statement (<https://in-toto.io/Statement/v1>) with SLSA's predicate of provenance
/// (<https://slsa.dev/provenance/v1>).
fn statement(provenance: &Provenance, mappings: &Mappings) -> Value {
    let artifacts = mappings.artifacts();
    let subjects = artifacts
        .iter()
        .map(|(hash, artifact)| json!({ "name": artifact.path, "digest": { "blake3": hash } }));
    let dep_hashes =
        mappings.iter().map(|(dep_hash, _)| json!({ "digest": { "blake3": dep_hash } }));
    let builder = match &provenance.signer {
        Some(signer) => format!("minisign:{}", signer.key),
        None => "unknown".to_owned(),
    };
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subjects.collect::<Vec<_>>(),
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "urn:larder:revision:1",
                "externalParameters": {
                    "scope": provenance.scope,
                    "revision": provenance.revision,
                    "ref": provenance.signer.as_ref().and_then(|signer| signer.reference.clone()),
                },
                "resolvedDependencies": dep_hashes.collect::<Vec<_>>(),
            },
            "runDetails": { "builder": { "id": builder } },
        },
    })
}
