//! Ninja's build files: read, resolved, and turned into a graph of plain data.
//!
//! [`Graph::load`] reads `build.ninja` and what it includes. [`Graph::command`] and its like say what a
//! variable of an edge comes to. Nothing here looks at outputs or runs anything. Ninja's own manual is the
//! reference for the language; names here are its names.

mod database;
mod dot;
mod dyndep;
mod edge;
mod graph;
mod lexer;
mod parse;
mod path;
mod scope;
mod select;
mod show;
#[cfg(test)]
mod tests;

pub use self::{
    dyndep::Dyndep,
    edge::{Edge, EdgeId},
    graph::{Graph, Node, NodeId},
    path::canonical,
    scope::{Quoting, Rule},
};

/// The version of Ninja whose build files are understood, as `ninja --version` would say it.
pub const VERSION: &str = "1.12.1";

/// The rule that runs nothing.
pub const PHONY: &str = "phony";

/// The pool whose commands have the terminal to themselves.
pub const CONSOLE: &str = "console";
