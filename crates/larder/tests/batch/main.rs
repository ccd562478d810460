//! `larder batch` and what belongs to it, on small sets of real packages.

mod bisect;
mod compare;
mod docs;
mod example;
mod first;
mod interrupted;
mod reports;
mod results;
mod runs;
mod since;
mod support;
mod torture;
mod what_if;
