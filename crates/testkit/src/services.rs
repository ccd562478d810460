//! Servers on this machine, as good and as bad as those of others.

#[cfg(feature = "services")]
mod canned;
#[cfg(feature = "services")]
mod files;
#[cfg(feature = "services")]
mod http;
#[cfg(feature = "services")]
mod nginx;
#[cfg(feature = "services")]
mod programs;
#[cfg(feature = "services")]
mod proxy;
mod python;
#[cfg(feature = "services")]
mod s3;
#[cfg(feature = "mail")]
mod smtp;
#[cfg(feature = "services")]
mod travel;
#[cfg(feature = "services")]
mod web;

#[cfg(feature = "services")]
pub use canned::{Answer, Canned};
#[cfg(feature = "services")]
pub use files::FileServer;
#[cfg(feature = "services")]
pub use nginx::{Collections, nginx};
#[cfg(feature = "services")]
pub use programs::{Program, moto, rclone, rclone_s3, rclone_webdav};
#[cfg(feature = "services")]
pub use proxy::{Faults, Proxy};
pub use python::environment as python_environment;
#[cfg(feature = "services")]
pub use s3::{Policy, S3};
#[cfg(feature = "mail")]
pub use smtp::{Mail, SmtpServer};
#[cfg(feature = "services")]
pub use travel::{config_at, open, revision};
#[cfg(feature = "services")]
pub use web::{Manners, Web};
