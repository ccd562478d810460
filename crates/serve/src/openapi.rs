//! The description of the JSON, as programs read it.
//!
//! It is made from the types that the JSON is written from: a field that one has, the other has too, with the same words
//! about it.

use larder_runs::{comparison::Verdict, result::Outcome};
use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use crate::{
    model::{
        compare::{Change, Compare},
        docs::Docs,
        locks::Locks,
        maintainers::{Maintainer, Maintainers},
        overview::Overview,
        package::Package,
        packages::Packages,
        run::{Run, Runs},
        store::Cache,
    },
    site::List,
};

/// A value that has to be in an address: its name, where it stands, and what it is.
type Needed = (&'static str, &'static str, &'static str);

const PACKAGE: Needed = ("package", "path", "A package version: `<name>.<version>`.");
const RUN: Needed = ("run", "path", "The id of a run.");
const MAINTAINER: Needed = (
    "maintainer",
    "path",
    "Somebody who maintains packages, by the name that stands in addresses.",
);
const BASE: Needed = ("base", "query", "The run that was.");
const CANDIDATE: Needed = ("candidate", "query", "The run that is.");

/// An OpenAPI document, version 3.1.
pub fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let mut types =
        settings.with(|it| it.definitions_path = "/components/schemas".into()).into_generator();
    let types = &mut types;
    let paths = [
        get::<Overview>(types, "/overview", "How the ecosystem stands", &[], None),
        get::<Packages>(types, "/packages", "The packages, 200 a page", &[], Some(List::Packages)),
        get::<Package>(types, "/packages/{package}", "A package version", &[PACKAGE], None),
        get::<Runs>(types, "/runs", "The runs, newest first", &[], None),
        get::<Run>(
            types,
            "/runs/{run}",
            "A run; of a comparison the verdicts, 200 a page",
            &[RUN],
            Some(List::Verdicts),
        ),
        get::<Compare>(
            types,
            "/compare",
            "Two runs beside each other, 200 rows a page",
            &[BASE, CANDIDATE],
            Some(List::Changes),
        ),
        get::<Maintainers>(types, "/maintainers", "Everybody who maintains packages", &[], None),
        get::<Maintainer>(
            types,
            "/maintainers/{maintainer}",
            "The packages of somebody",
            &[MAINTAINER],
            None,
        ),
        get::<Cache>(
            types,
            "/cache",
            "The artifact cache of the machine, and that of the team",
            &[],
            None,
        ),
        get::<Locks>(types, "/locks", "Who works on what", &[], None),
        get::<Docs>(types, "/docs", "The documentation that is published", &[], None),
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

/// A path with the description of what a GET of it is answered with: values that it needs, and a list that a query may
/// filter.
fn get<T: JsonSchema>(
    types: &mut SchemaGenerator,
    path: &str,
    summary: &str,
    needed: &[Needed],
    list: Option<List>,
) -> (String, Value) {
    let mut responses = Map::new();
    let schema = types.subschema_for::<T>();
    responses.insert("200".to_owned(), answer(summary, &schema));
    let refusal = types.subschema_for::<Refusal>();
    let mut parameters: Vec<Value> = needed.iter().map(needed_parameter).collect();
    if !needed.is_empty() {
        responses.insert("404".to_owned(), answer("There is none", &refusal));
    }
    if let Some(list) = list {
        parameters.extend(list.keys().iter().map(|key| filter(list, key)));
    }
    if !parameters.is_empty() {
        responses.insert("400".to_owned(), answer("A value that cannot be", &refusal));
    }
    let get = json!({ "summary": summary, "parameters": parameters, "responses": responses });
    (format!("/api{path}"), json!({ "get": get }))
}

fn answer(description: &str, schema: &Schema) -> Value {
    json!({ "description": description, "content": { "application/json": { "schema": schema } } })
}

fn needed_parameter((name, place, description): &Needed) -> Value {
    let schema = json!({ "type": "string" });
    json!({ "name": name, "in": place, "required": true, "description": description, "schema": schema })
}

/// The parameter of a key by which a list is filtered.
fn filter(list: List, key: &str) -> Value {
    let text = json!({ "type": "string" });
    let one_of = |words: Vec<&str>| json!({ "type": "string", "enum": words });
    let (description, schema) = match key {
        "q" => ("A part of the name or of an error.", text),
        "status" => ("How packages stand.", one_of(Outcome::ALL.map(Outcome::name).to_vec())),
        "change" => ("What has changed.", one_of(Change::LISTED.map(Change::name).to_vec())),
        "verdict" => {
            let listed = Verdict::ALL.into_iter().filter(|it| *it != Verdict::Same);
            ("What was found out.", one_of(listed.map(Verdict::name).collect()))
        }
        "category" => ("The kind of a failure, such as `build_failure`.", text),
        "compiler" => ("The compiler with which it is so.", text),
        "maintainer" => {
            ("Somebody who maintains them, by the name that stands in addresses.", text)
        }
        "differ" => ("Only where compilers differ.", one_of(vec!["yes"])),
        "sort" => {
            let orders = list.sorts().iter().map(|(name, _)| *name);
            ("Their order; the first one where nothing is said.", one_of(orders.collect()))
        }
        "page" => ("Which page, counted from 1.", json!({ "type": "integer", "minimum": 1 })),
        _ => ("", text),
    };
    json!({ "name": key, "in": "query", "required": false, "description": description, "schema": schema })
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
    fn every_type_has_a_name_of_its_own() {
        let description = document();
        let types = description["components"]["schemas"].as_object().unwrap();
        let numbered = |name: &&String| name.ends_with(|last: char| last.is_ascii_digit());
        assert_eq!(types.keys().filter(numbered).count(), 0, "{:?}", types.keys());
    }

    #[test]
    fn every_value_of_a_filter_that_is_described_is_one() {
        for list in [List::Packages, List::Changes, List::Verdicts] {
            for key in list.keys() {
                let described = filter(list, key);
                assert_ne!(described["description"], "", "{key}");
                let own = described["schema"]["enum"].as_array().cloned().unwrap_or_default();
                for value in own.iter().filter_map(Value::as_str) {
                    assert!(
                        Filter::parse(list, &format!("{key}={value}")).is_ok(),
                        "{key}={value}"
                    );
                }
                let wrong = Filter::parse(list, &format!("{key}=nothing"));
                let is_open = described["schema"] == json!({ "type": "string" });
                assert_eq!(wrong.is_ok(), is_open, "{key}");
            }
        }
    }
}
