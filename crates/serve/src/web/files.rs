//! Published documentation, as it was published.

use std::fs::File;

use axum::{
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use larder_runs::file;

use super::{App, blocking, headers, logs::body, no_page, problem};

/// A file of documentation, by its path below `html`.
pub async fn documentation(State(app): State<App>, Path(path): Path<String>) -> Response {
    let Some(path) = inside(&path) else {
        return problem(&app, StatusCode::NOT_FOUND, "there is no such documentation", false);
    };
    let html = app.site.ecosystem().data.html();
    let kind = content_type(&path);
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
        (header::CONTENT_SECURITY_POLICY, headers::DOCUMENTATION),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, body(file)).into_response()
}

/// A path of blessed or other documentation: below `p` or `u`, with no part that leads elsewhere or is hidden. A
/// directory stands for its index.
fn inside(path: &str) -> Option<String> {
    let parts: Vec<&str> = path.trim_end_matches('/').split('/').collect();
    let plain =
        |part: &&str| !part.is_empty() && !part.starts_with('.') && !part.contains(['\0', '\\']);
    if !matches!(parts[..], ["p" | "u", _, ..]) || !parts.iter().all(plain) {
        return None;
    }
    let path = parts.join("/");
    let is_file = parts.last().is_some_and(|name| KINDS.iter().any(|(end, _)| name.ends_with(end)));
    Some(if is_file { path } else { format!("{path}/index.html") })
}

/// The types of files by the ends of their names: a file of another kind is not shown.
const KINDS: [(&str, &str); 12] = [
    (".html", "text/html; charset=utf-8"),
    (".css", "text/css; charset=utf-8"),
    (".js", "text/javascript; charset=utf-8"),
    (".json", "application/json"),
    (".txt", "text/plain; charset=utf-8"),
    (".md", "text/plain; charset=utf-8"),
    (".svg", "image/svg+xml"),
    (".png", "image/png"),
    (".gif", "image/gif"),
    (".jpg", "image/jpeg"),
    (".woff2", "font/woff2"),
    (".ico", "image/x-icon"),
];

fn content_type(path: &str) -> &'static str {
    let found = KINDS.iter().find(|(end, _)| path.ends_with(end));
    found.map_or("application/octet-stream", |(_, kind)| kind)
}
