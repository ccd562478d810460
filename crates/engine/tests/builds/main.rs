//! Builds and jobs as a build program of one's own calls them, and what the engine promises about them.

mod actions;
mod chains;
mod changes;
mod common;
mod functions;
mod jobs;
mod panics;
mod sessions;
mod support;
