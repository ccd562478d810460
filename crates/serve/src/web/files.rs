//! Published documentation, as it was published.

use std::fs::File;

use axum::{
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use larder_runs::file;

use super::{App, blocking, logs::body, no_page, problem};
use crate::documentation;

/// A file of documentation, by its path below `html`.
pub async fn documentation_file(State(app): State<App>, Path(path): Path<String>) -> Response {
    let Some(path) = documentation::file_of(&path) else {
        return problem(&app, StatusCode::NOT_FOUND, "there is no such documentation", false);
    };
    let html = app.site.ecosystem().data.html();
    let kind = documentation::content_type(&path);
    let opened = blocking(move || Ok(file::open_below(&html, &path).ok())).await;
    match opened {
        Ok(Some(file)) => served(file, kind),
        Ok(None) => problem(&app, StatusCode::NOT_FOUND, "there is no such documentation", false),
        Err(error) => no_page(&app, &error, false),
    }
}

fn served(file: File, kind: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, documentation::SANDBOX),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, body(file)).into_response()
}
