//! Which change broke a package.

pub mod search;
