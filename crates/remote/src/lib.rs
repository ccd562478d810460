//! How it travels: remote cache services.
//!
//! A [`Service`] is an object store that [`Config`] names: S3 and what speaks like it, Google Cloud
//! Storage, Azure, plain HTTP, a directory. [`get`] brings a revision's mappings and artifacts into
//! a local store, [`put`] sends them, [`on_demand`] fetches single artifacts while a build runs.
//! Artifacts travel in packs, read by ranges; `docs/formats-cache.md` has the layout.
//!
//! All functions block; what runs concurrently inside is this crate's own business.

mod address;
mod collect;
mod config;
mod credentials;
mod download;
mod error;
mod fetch;
mod get;
pub mod git;
mod given;
mod held;
mod kept;
mod missing;
mod on_demand;
mod plan;
mod provenance;
mod put;
mod recent;
mod results;
mod retry;
mod revision;
mod service;
mod source;
mod throttle;
mod trust;
mod uploads;

pub use collect::{CollectionReport, Retention, collect};
pub use config::{CacheConfig, Config, ConfigError, DependencyConfig, Kind, ServiceConfig};
pub use credentials::{Credentials, Key};
pub use download::download;
pub use error::RemoteError;
pub use fetch::Transfer;
pub use get::{Get, GetReport, Search, get, get_mappings};
pub use given::Given;
pub use held::{Held, held, nearest, newest_of};
pub use missing::{Lost, Missing};
pub use on_demand::{Origin, add, on_demand};
pub use provenance::{Forgotten, Provenance, origins_of, revoke, revoked};
pub use put::{OpenArtifact, Outcome, Overwrite, PutReport, Upload, put};
pub use results::{
    ParseKeyError, Recorded, ResultKey, ResultState, TakenBack, look_up_result, record_result,
    take_back_result,
};
pub use retry::Outlook;
pub use service::{Access, Check, Finding, Service, check};
pub use source::{Destination, StagedError, put_staged, put_stored};
pub use trust::{
    Distrust, KeyError, KeyId, PublicKey, Signer, SigningKey, Statement, Trust, TrustedKey,
};
