//! Requests and answers: which address is answered by what, and with which headers.
//!
//! Everything is read, and nothing that a request says changes anything: but for the cache of a team, which has rules of its own.

mod files;
mod headers;
mod host;
mod live;
mod logs;

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
pub use host::Hosts;
pub use logs::whole as log_page;
use tokio::{sync::watch, task};

use crate::{
    html::{self, Frame, Links},
    metrics,
    model::NoPage,
    site::{Document, Made, Site},
};

/// What answers need.
#[derive(Debug, Clone)]
pub struct App {
    /// The site.
    pub site: Arc<Site>,
    /// Becomes true when the server ends: answers that would go on for long end then.
    pub ending: watch::Receiver<bool>,
    /// The names that it answers by.
    pub hosts: Hosts,
}

/// The addresses of a site.
pub fn router(app: App) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/metrics", get(numbers))
        .route("/runs/{run}/events", get(live::events))
        .route("/runs/{run}/{*path}", get(logs::log))
        .route("/docs/{*path}", get(files::documentation_file))
        .fallback(document)
        .layer(middleware::map_response(headers::secure))
        .layer(middleware::from_fn_with_state(app.clone(), team_cache))
        .layer(middleware::from_fn_with_state(app.hosts.clone(), host::check))
        .with_state(app)
}

/// Hands what is for the cache of the team to that.
async fn team_cache(State(app): State<App>, request: Request, next: Next) -> Response {
    match &app.site.ecosystem().cache {
        Some(cache) if cache.is_for_cache(&request) => cache.answer(request).await,
        _ => next.run(request).await,
    }
}

/// Any document of the site.
async fn document(State(app): State<App>, request: Request) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refused = StatusCode::METHOD_NOT_ALLOWED.into_response();
        refused.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    let uri = request.uri();
    let is_api = uri.path().starts_with("/api/");
    let document = match Document::parse(uri.path(), uri.query().unwrap_or_default()) {
        Ok(document) => document,
        Err(wrong @ crate::site::WrongAddress::Unknown) => {
            return problem(&app, StatusCode::NOT_FOUND, &wrong.to_string(), is_api);
        }
        Err(wrong) => return problem(&app, StatusCode::BAD_REQUEST, &wrong.to_string(), is_api),
    };
    let made = match app.site.ready(&document) {
        Some(made) => Ok(made),
        None => {
            let (site, document) = (app.site.clone(), document.clone());
            blocking(move || site.document(&document)).await
        }
    };
    match made {
        Ok(made) => answer(request.headers(), &document, &made),
        Err(error) => no_page(&app, &error, is_api),
    }
}

/// A document with what a browser needs to keep it.
fn answer(asked: &HeaderMap, document: &Document, made: &Made) -> Response {
    let known = asked.get(header::IF_NONE_MATCH).and_then(|tag| tag.to_str().ok());
    // A proxy that compresses what it passes on says so by `W/`.
    let same = |tag: &str| tag.trim_start_matches("W/") == made.tag;
    let is_known = known.is_some_and(|tags| tags.split(',').any(|tag| same(tag.trim())));
    let mut answer = match is_known {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => Body::from(made.body.clone()).into_response(),
    };
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(document.content_type()));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(tag) = HeaderValue::from_str(&made.tag) {
        headers.insert(header::ETAG, tag);
    }
    answer
}

/// Why there is no page, for who asked.
fn no_page(app: &App, error: &NoPage, is_api: bool) -> Response {
    let status = match error {
        NoPage::Missing(_) => StatusCode::NOT_FOUND,
        NoPage::Data(error) => {
            tracing::warn!("run data cannot be shown: {error}");
            StatusCode::INTERNAL_SERVER_ERROR
        }
    };
    problem(app, status, &error.to_string(), is_api)
}

/// A page, or JSON, that says why there is no other.
fn problem(app: &App, status: StatusCode, why: &str, is_api: bool) -> Response {
    let title = match status {
        StatusCode::NOT_FOUND => "There is nothing here",
        StatusCode::BAD_REQUEST => "This cannot be asked for",
        _ => "This cannot be shown now",
    };
    let (kind, body) = match is_api {
        true => ("application/json", format!("{}\n", serde_json::json!({ "error": why }))),
        false => {
            let name = app.site.ecosystem().name.as_deref();
            let page =
                html::problem(&Frame { name, links: &Links::Server, kept: None }, title, why);
            ("text/html; charset=utf-8", page.into_string())
        }
    };
    (status, [(header::CONTENT_TYPE, kind)], body).into_response()
}

/// Numbers for Prometheus.
async fn numbers(State(app): State<App>) -> Response {
    let site = app.site.clone();
    match blocking(move || Ok(site.look(metrics::text)?)).await {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
            .into_response(),
        Err(error) => no_page(&app, &error, true),
    }
}

/// Does work that reads files where it holds nobody up.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, NoPage> + Send + 'static,
) -> Result<T, NoPage> {
    task::spawn_blocking(work).await.unwrap_or_else(|error| {
        tracing::warn!("a page could not be made: {error}");
        Err(NoPage::Data(larder_runs::Error::Io {
            action: "make",
            path: "a page".into(),
            source: std::io::Error::other("it panicked"),
        }))
    })
}
