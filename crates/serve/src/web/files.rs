//! Published documentation, as it was published.

use std::fs::File;

use axum::{
    extract::{Path, State},
    http::{StatusCode, Uri, header},
    response::{IntoResponse, Redirect, Response},
};
use larder_runs::file;

use super::{App, blocking, logs::body, no_page, problem};
use crate::documentation;

/// A file of documentation, by its path below `html`.
pub async fn documentation_file(
    State(app): State<App>,
    Path(asked): Path<String>,
    uri: Uri,
) -> Response {
    let Some(path) = documentation::file_of(&asked) else {
        return problem(&app, StatusCode::NOT_FOUND, "there is no such documentation", false);
    };
    let path_of_index = path != asked;
    let html = app.site.ecosystem().data.html();
    let kind = documentation::content_type(&path);
    let opened = blocking(move || Ok(file::open_below(&html, &path).ok())).await;
    match opened {
        // Links of a directory's index begin in it.
        Ok(Some(_)) if path_of_index && !asked.ends_with('/') => {
            let query = uri.query().map_or(String::new(), |query| format!("?{query}"));
            Redirect::permanent(&format!("{}/{query}", uri.path())).into_response()
        }
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
