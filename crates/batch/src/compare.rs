//! Comparing two sides: the same packages with two compilers, at two revisions of a set, or with a checkout in the place of
//! one of them.

pub mod evidence;
pub mod pairs;
#[cfg(test)]
mod tests;
pub mod trial;
