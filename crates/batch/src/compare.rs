//! Comparing two sides: the same packages with two compilers, toolchains or revisions of a set.

pub mod trial;
