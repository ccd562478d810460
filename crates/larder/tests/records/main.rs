//! The commands that read and keep run data, on a small ecosystem.

mod logs;
mod output;
mod reading;
mod support;
mod telling;
mod upkeep;
