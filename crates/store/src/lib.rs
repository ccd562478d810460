//! Where it is kept: the content-addressed store.

pub mod pack;
