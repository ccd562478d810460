//! `--remote`: the same build on servers of the Remote Execution API.

mod casd;
mod faults;
mod many;
mod sets;
mod settings;
mod support;
