//! Servers on this machine, as good and as bad as those of others.

#[cfg(feature = "services")]
mod files;
#[cfg(feature = "services")]
mod proxy;
#[cfg(feature = "services")]
mod s3;
#[cfg(feature = "mail")]
mod smtp;
#[cfg(feature = "services")]
mod travel;
#[cfg(feature = "services")]
mod web;

#[cfg(feature = "services")]
pub use files::FileServer;
#[cfg(feature = "services")]
pub use proxy::{Faults, Proxy};
#[cfg(feature = "services")]
pub use s3::S3;
#[cfg(feature = "mail")]
pub use smtp::{Mail, SmtpServer};
#[cfg(feature = "services")]
pub use travel::{config_at, open, revision};
#[cfg(feature = "services")]
pub use web::{Manners, Web};
