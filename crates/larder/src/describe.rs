//! Results, as people read of them.

pub mod comparison;
pub mod run;
