//! Headers that keep what others wrote from doing anything, and servers in between from holding anything back.

use axum::{
    http::{HeaderName, HeaderValue, header},
    response::Response,
};

/// Pages load what they need from their own server, and nothing else.
const PAGES: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
                     connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Asks a web server in between to pass on each piece of an answer when it comes, as nginx understands it.
pub fn piece_by_piece(mut answer: Response) -> Response {
    let name = HeaderName::from_static("x-accel-buffering");
    answer.headers_mut().insert(name, HeaderValue::from_static("no"));
    answer
}

/// Adds what every answer has, where it does not say otherwise.
pub async fn secure(mut answer: Response) -> Response {
    let headers = answer.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, PAGES),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    answer
}
