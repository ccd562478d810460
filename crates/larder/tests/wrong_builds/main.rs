//! Builds that came out wrong once: an output that is not what its inputs make is called up to date or
//! is restored. Each test is named after the promise that was broken.

mod support;

mod commands;
mod debug;
mod fixed_toolchain;
mod headers;
mod hostile;
mod inputs;
mod link;
mod old;
mod processes;
mod reproducible;
mod store;
mod toolchain;
mod unfinished;
