//! Support for the tests of all crates, one job a module. Everything is done with real processes, files and
//! sockets, in temporary directories that are gone with the test.
//!
//! Everything here fails a test by panicking, at the line that called it where that helps.

#[cfg(feature = "reapi")]
pub mod clusters;
pub mod ecosystem;
pub mod events;
pub mod files;
pub mod git;
pub mod installed;
pub mod machine;
pub mod mounts;
pub mod nginx;
pub mod processes;
pub mod project;
pub mod run;
pub mod server;
#[cfg(any(feature = "mail", feature = "services"))]
pub mod services;
#[cfg(feature = "sets")]
pub mod set;
pub mod stores;
pub mod tools;
pub mod wait;
