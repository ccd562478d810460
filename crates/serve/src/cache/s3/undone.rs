//! What a request asks for beside its operation, and this server does not do. It is refused: who asked for it relies on it.

use hyper::{HeaderMap, Uri};

/// Headers that ask for something, by how they begin.
const HEADERS: [&str; 8] = [
    "x-amz-bypass-governance",
    "x-amz-grant-",
    "x-amz-if-match-",
    "x-amz-mfa",
    "x-amz-object-lock-",
    "x-amz-server-side-encryption",
    "x-amz-tagging",
    "x-amz-website-redirect-location",
];

/// The lists of who may do what that change nothing here.
const OWN: [&str; 3] = ["private", "bucket-owner-read", "bucket-owner-full-control"];

/// Returns what of a request is not done here; `None` where all is.
pub(super) fn undone(operation: &str, headers: &HeaderMap, uri: &Uri) -> Option<String> {
    let names = headers.keys().map(hyper::header::HeaderName::as_str);
    let asks = |name: &&str| HEADERS.iter().any(|beginning| name.starts_with(beginning));
    if let Some(name) = { names }.find(asks) {
        return Some(name.to_owned());
    }
    let acl = headers.get("x-amz-acl");
    if acl.is_some_and(|acl| !OWN.iter().any(|own| acl == own)) {
        return Some("x-amz-acl".to_owned());
    }
    // Of copies and deletions: those of writes and of reads are heeded.
    let conditional = matches!(operation, "CopyObject" | "DeleteObject" | "DeleteObjects");
    let conditions = ["if-match", "if-none-match"];
    if let Some(name) = conditions.iter().find(|it| conditional && headers.contains_key(**it)) {
        return Some(format!("{name} of {operation}"));
    }
    let query = uri.query().unwrap_or_default().as_bytes();
    let has = |key: &str| form_urlencoded::parse(query).any(|(name, _)| name == key);
    if has("versionId") {
        return Some("versionId".to_owned());
    }
    (has("partNumber") && !has("uploadId")).then(|| "partNumber".to_owned())
}
