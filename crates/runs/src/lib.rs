//! What happened: run data of a package ecosystem.
