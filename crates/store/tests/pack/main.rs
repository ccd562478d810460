//! Packs: what goes in comes out, equal content makes equal bytes, and nothing else is accepted.

mod hostile;
mod laws;
mod support;
