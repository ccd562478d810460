//! What people see: the dashboard of an ecosystem, and the cache of a team.

pub mod cache;
pub mod server;
