//! How it travels: remote cache services.
//!
//! A [`Service`] is an object store that [`Config`] names: S3 and what speaks like it, Google Cloud
//! Storage, Azure, plain HTTP, a directory. [`get`] brings a revision's mappings and artifacts into
//! a local store, [`put`] sends them, [`on_demand`] fetches single artifacts while a build runs.
//! Artifacts travel in packs, read by ranges; `docs/formats-cache.md` has the layout.
//!
//! All functions block; what runs concurrently inside is this crate's own business.

mod address;
mod catalogue;
mod config;
mod credentials;
mod error;
mod fetch;
mod get;
pub mod git;
mod known;

mod on_demand;
mod paths;
mod plan;
mod put;
mod results;
mod retry;
mod service;
mod source;
mod throttle;

pub use catalogue::{Catalogue, CatalogueError, RemotePack};
pub use config::{CacheConfig, Config, ConfigError, ServiceConfig};
pub use credentials::{Credentials, Key};
pub use error::RemoteError;
pub use fetch::{Missing, Transfer};
pub use get::{Get, GetReport, get, get_mappings};
pub use on_demand::{Origin, add, on_demand};
pub use put::{OpenArtifact, Overwrite, PutReport, Upload, put};
pub use results::{ParseKeyError, ResultKey, has_result, record_result};
pub use retry::Outlook;
pub use service::{Access, Check, Finding, Service, check};
pub use source::{Destination, StagedError, put_staged, put_stored};
