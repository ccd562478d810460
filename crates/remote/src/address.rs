//! URLs of services: taken apart, checked, and shown without what may be secret in them.

use reqwest::Url;

/// Why a URL is refused, without any of it.
pub fn refusal(url: &str) -> Option<&'static str> {
    let Some((scheme, rest)) = url.split_once("://") else { return Some("that is not a URL") };
    let authority = authority(rest);
    if authority.contains('@') {
        return Some(
            "the URL contains credentials; put them in LARDER_CACHE_KEY or LARDER_CACHE_TOKEN",
        );
    }
    if !has_good_port(authority) {
        return Some(
            "the port in the URL is no number; credentials belong in LARDER_CACHE_KEY or \
             LARDER_CACHE_TOKEN",
        );
    }
    if scheme != "file" && rest.contains(['?', '#']) {
        return Some("the URL has a query or a fragment; leave it out");
    }
    None
}

fn authority(rest: &str) -> &str {
    rest.split('/').next().unwrap_or_default()
}

/// False also of a password, where a slash in it hides the `@`.
fn has_good_port(authority: &str) -> bool {
    let port = authority.rsplit_once(':').map(|(_, port)| port);
    port.is_none_or(|port| port.ends_with(']') || port.bytes().all(|b| b.is_ascii_digit()))
}

/// The URL as it may be shown: without what stands before an `@`, and without query and fragment.
pub fn shown(url: &str) -> String {
    let (scheme, separator, rest) = match url.split_once("://") {
        Some((scheme, rest)) => (scheme, "://", rest),
        None => ("", "", url),
    };
    let authority = authority(rest);
    let may_hide = authority.contains('@') || !has_good_port(authority);
    let rest = match rest.rsplit_once('@') {
        Some((_, rest)) if may_hide => format!("…@{rest}"),
        None if may_hide => "…".to_owned(),
        _ => rest.to_owned(),
    };
    let rest = match rest.split_once(['?', '#']) {
        Some((rest, _)) if scheme != "file" => format!("{rest}?…"),
        _ => rest,
    };
    format!("{scheme}{separator}{rest}")
}

/// A text without what may be secret in the URLs of its lines.
pub fn scrubbed(text: &str) -> String {
    let line = |line: &str| match (line.find("://"), line.rfind('@')) {
        (Some(from), Some(to)) if from < to => format!("{}://…{}", &line[..from], &line[to..]),
        _ => line.to_owned(),
    };
    text.split_inclusive('\n').map(line).collect()
}

/// Whether a plain HTTP server is meant.
pub fn is_http(url: &str) -> bool {
    url.starts_with("http://") || url.starts_with("https://")
}

/// The server or bucket that a URL names, with its scheme; `None` of a directory's.
pub fn host(url: &str) -> Option<&str> {
    if url.starts_with("file://") {
        return None;
    }
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url.get(start..)?.find('/').map_or(url.len(), |at| start + at);
    url.get(..end)
}

/// Whether what is sent there can be read by nobody else: it is encrypted or stays on this machine.
pub fn is_private(url: &Url) -> bool {
    url.scheme() == "https"
        || match url.host_str().unwrap_or_default().trim_matches(['[', ']']) {
            "localhost" => true,
            host => host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback()),
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_in_urls_are_refused_and_not_shown() {
        for (url, expected) in [
            ("https://user:hunter2@example.org/x", "https://…@example.org/x"),
            ("https://hunter2@example.org", "https://…@example.org"),
            ("http://user:hun/ter2@example.org/x", "http://…@example.org/x"),
            ("http://user:hunter2%40example.org/x", "http://…"),
            ("s3://id:hunter2@bucket/x", "s3://…@bucket/x"),
            ("https://user:hunter2/", "https://…"),
            ("user:hunter2@example.org", "…@example.org"),
            ("https://example.org/x?sig=hunter2", "https://example.org/x?…"),
            ("https://example.org/x#hunter2", "https://example.org/x?…"),
        ] {
            assert!(refusal(url).is_some(), "{url}");
            assert_eq!(shown(url), expected);
        }
        for url in [
            "s3://bucket/team@example",
            "https://example.org:8443/x",
            "http://[::1]:80/@",
            "file:///srv/a@b?",
        ] {
            assert_eq!((refusal(url), shown(url)), (None, url.to_owned()));
        }
    }

    #[test]
    fn urls_in_messages_are_scrubbed() {
        assert_eq!(scrubbed("1 | 'http://u:hunt er2@e.org'\n"), "1 | 'http://…@e.org'\n");
        let text = "url = \"https://u:hunter2@e.org/\"\n  ^ wrong 'x'";
        assert_eq!(scrubbed(text), "url = \"https://…@e.org/\"\n  ^ wrong 'x'");
    }

    #[test]
    fn what_stays_on_the_machine_is_private() {
        let private = |url: &str| is_private(&url.parse().unwrap());
        assert!(private("https://a.example") && private("http://127.0.0.1:80/x"));
        assert!(private("http://[::1]/") && private("http://localhost:8080"));
        assert!(!private("http://a.example") && !private("http://localhost.a.example"));
        assert!(!private("http://127.0.0.1.a.example/"));
    }
}
