//! The description of the JSON, as programs read it.

/// An OpenAPI document, version 3.1.
pub const DOCUMENT: &str = include_str!("assets/openapi.json");
