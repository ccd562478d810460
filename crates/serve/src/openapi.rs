//! The description of the JSON, as programs read it.
//!
//! It is made from the types that the JSON is written from: a field that one has, the other has too, with the same words
//! about it.

use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use crate::model::{
    compare::Compare,
    docs::Docs,
    locks::Locks,
    maintainers::{Maintainer, Maintainers},
    overview::Overview,
    package::Package,
    packages::Packages,
    run::{Run, Runs},
    store::Cache,
};

/// Where a value stands in an address.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// In the path: it has to be there.
    Path,
    /// In the query, where it has to be.
    Query,
    /// In the query, where it may be left out.
    Filter,
}

/// A value in an address: its name, its place, and what it is.
type Parameter = (&'static str, Place, &'static str);

/// The parameters of a list of packages.
const FILTERS: [Parameter; 7] = [
    ("q", Place::Filter, "A part of the name or of the error."),
    ("status", Place::Filter, "`worked`, `failed`, `blocked` or `unsolved`."),
    ("category", Place::Filter, "The kind of a failure, such as `build_failure`."),
    ("compiler", Place::Filter, "A compiler that they fail with."),
    (
        "maintainer",
        Place::Filter,
        "Somebody who maintains them, by the name that stands in addresses.",
    ),
    ("sort", Place::Filter, "`name`, `state`, `blocks` or `since`."),
    ("page", Place::Filter, "Which page, counted from 1."),
];

const PACKAGE: Parameter = ("package", Place::Path, "A package version: `<name>.<version>`.");
const RUN: Parameter = ("run", Place::Path, "The id of a run.");
const MAINTAINER: Parameter = (
    "maintainer",
    Place::Path,
    "Somebody who maintains packages, by the name that stands in addresses.",
);
const SIDES: [Parameter; 2] =
    [("base", Place::Query, "The run that was."), ("candidate", Place::Query, "The run that is.")];

/// An OpenAPI document, version 3.1.
pub fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let mut types =
        settings.with(|it| it.definitions_path = "/components/schemas".into()).into_generator();
    let types = &mut types;
    let paths = [
        get::<Overview>(types, "/overview", "How the ecosystem stands", &[]),
        get::<Packages>(types, "/packages", "Packages that pass a filter, 200 a page", &FILTERS),
        get::<Package>(types, "/packages/{package}", "A package version", &[PACKAGE]),
        get::<Runs>(types, "/runs", "The runs, newest first", &[]),
        get::<Run>(types, "/runs/{run}", "A run", &[RUN]),
        get::<Compare>(types, "/compare", "Two runs beside each other", &SIDES),
        get::<Maintainers>(types, "/maintainers", "Everybody who maintains packages", &[]),
        get::<Maintainer>(
            types,
            "/maintainers/{maintainer}",
            "The packages of somebody",
            &[MAINTAINER],
        ),
        get::<Cache>(
            types,
            "/cache",
            "The artifact cache of the machine, and that of the team",
            &[],
        ),
        get::<Locks>(types, "/locks", "Who works on what", &[]),
        get::<Docs>(types, "/docs", "The documentation that is published", &[]),
    ];
    let paths: Map<String, Value> = paths.into_iter().collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "larder serve",
            "version": "1",
            "description": "The content of every page of the dashboard, for programs. Times are RFC 3339 in UTC, \
                            durations in seconds or milliseconds as their names say, sizes in bytes. More fields may come.",
        },
        "paths": paths,
        "components": { "schemas": types.take_definitions(true) },
    })
}

/// A path with the description of what a GET of it is answered with.
fn get<T: JsonSchema>(
    types: &mut SchemaGenerator,
    path: &str,
    summary: &str,
    parameters: &[Parameter],
) -> (String, Value) {
    let mut responses = Map::new();
    let schema = types.subschema_for::<T>();
    responses.insert("200".to_owned(), answer(summary, &schema));
    let refusal = types.subschema_for::<Refusal>();
    if !parameters.is_empty() {
        responses.insert("400".to_owned(), answer("A value that cannot be", &refusal));
    }
    if parameters.iter().any(|(_, place, _)| !matches!(place, Place::Filter)) {
        responses.insert("404".to_owned(), answer("There is none", &refusal));
    }
    let parameters: Vec<Value> = parameters.iter().map(parameter).collect();
    let get = json!({ "summary": summary, "parameters": parameters, "responses": responses });
    (format!("/api{path}"), json!({ "get": get }))
}

fn answer(description: &str, schema: &Schema) -> Value {
    json!({ "description": description, "content": { "application/json": { "schema": schema } } })
}

fn parameter((name, place, description): &Parameter) -> Value {
    json!({
        "name": name,
        "in": if matches!(place, Place::Path) { "path" } else { "query" },
        "required": !matches!(place, Place::Filter),
        "description": description,
        "schema": { "type": "string" },
    })
}

/// Why there is no answer.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it only describes")]
struct Refusal {
    /// What is wrong.
    error: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::Filter;

    #[test]
    fn every_filter_that_is_described_is_one() {
        for (name, ..) in FILTERS {
            let read =
                ["failed", "since", "2"].map(|value| Filter::parse(&format!("{name}={value}")));
            let counts = |filter: &Filter| *filter != Filter::default();
            assert!(read.into_iter().flatten().any(|filter| counts(&filter)), "{name}");
        }
    }
}
