//! Packages that are really built, into layers.

mod afresh;
mod commands;
mod docs;
mod hostile;
mod moved;
mod packages;
mod stages;
mod support;
mod torn;
