//! Servers on this machine, as good and as bad as those of others.

mod files;
mod proxy;
mod s3;
mod travel;

pub use files::FileServer;
pub use proxy::{Faults, Proxy};
pub use s3::S3;
pub use travel::{config_at, open, revision};
