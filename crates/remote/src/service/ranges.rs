//! Answers to requests for a range, made what they should be.
//!
//! Servers differ: 206 with the range, 200 with a `Content-Range` (rclone), 200 with everything, a
//! larger or a shorter range than was asked for. Whatever holds the first byte asked for becomes a 206
//! of that range. What they say is not believed further than that: a body that is too short, too long
//! or of another place is found out where its bytes are verified.

use std::{
    ops::Range,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use object_store::client::{HttpError, HttpRequest, HttpResponse, HttpResponseBody};
use reqwest::{
    StatusCode,
    header::{CONTENT_LENGTH, CONTENT_RANGE, HeaderMap, HeaderValue, RANGE},
};

/// The range that a request asks for, if it does.
pub fn asked(request: &HttpRequest) -> Option<Range<u64>> {
    let value = request.headers().get(RANGE)?.to_str().ok()?;
    let (first, last) = value.strip_prefix("bytes=")?.split_once('-')?;
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some(first..last.checked_add(1)?)
}

/// Part of an object that an answer says to be.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    range: Range<u64>,
    /// The object's length, where it is known.
    whole: Option<u64>,
}

/// The answer as one of exactly the range `asked`; `None` where it does not hold its beginning.
pub fn made_exact(response: HttpResponse, asked: &Range<u64>) -> Option<HttpResponse> {
    let part = part(response.status(), response.headers())?;
    if !(part.range.start <= asked.start && asked.start < part.range.end) {
        return None;
    }
    let (mut parts, body) = response.into_parts();
    let end = part.whole.map_or(asked.end, |whole| asked.end.min(whole));
    let unwanted = asked.start - part.range.start;
    let wanted = end.checked_sub(asked.start)?;
    parts.status = StatusCode::PARTIAL_CONTENT;
    let whole = part.whole.unwrap_or(end).max(end);
    let range = format!("bytes {}-{}/{whole}", asked.start, end - 1);
    parts.headers.insert(CONTENT_RANGE, range.parse().ok()?);
    parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(wanted));
    let body = HttpResponseBody::new(Window { body, unwanted, wanted });
    Some(HttpResponse::from_parts(parts, body))
}

fn part(status: StatusCode, headers: &HeaderMap) -> Option<Part> {
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    match (status, headers.get(CONTENT_RANGE)) {
        (StatusCode::OK, None) => {
            Some(Part { range: 0..length.unwrap_or(u64::MAX), whole: length })
        }
        (StatusCode::OK, Some(range)) => {
            let part = content_range(range.to_str().ok()?)?;
            // Everything after all, whatever the other header says.
            let is_whole = length.is_some() && length == part.whole;
            Some(if is_whole { Part { range: 0..length?, ..part } } else { part })
        }
        (StatusCode::PARTIAL_CONTENT, Some(range)) => content_range(range.to_str().ok()?),
        _ => None,
    }
}

/// Parses `bytes 0-9/100` or `bytes 0-9/*`.
fn content_range(value: &str) -> Option<Part> {
    let (range, whole) = value.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    let whole = if whole == "*" { None } else { Some(whole.parse().ok()?) };
    let good = first <= last && whole.is_none_or(|whole| last < whole);
    good.then_some(Part { range: first..last.checked_add(1)?, whole })
}

/// A body without what comes before and after the wanted bytes.
struct Window {
    body: HttpResponseBody,
    unwanted: u64,
    wanted: u64,
}

impl Body for Window {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        while self.wanted > 0 {
            let mut data = match Pin::new(&mut self.body).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => data,
                    Err(_) => continue,
                },
                other => return other,
            };
            // Both are at most the length of what is at hand.
            let dropped = self.unwanted.min(data.len() as u64);
            self.unwanted -= dropped;
            let mut data = data.split_off(dropped as usize);
            data.truncate(self.wanted.min(data.len() as u64) as usize);
            self.wanted -= data.len() as u64;
            if !data.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
        }
        Poll::Ready(None)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The part that is read of an answer to a request for bytes 10 to 19: what it is said to be, and
    /// its bytes, where the object's bytes are their own places.
    fn exact(status: u16, range: Option<&str>, body: Range<u8>) -> Option<(String, Vec<u8>)> {
        let mut response = HttpResponse::new(body.clone().collect::<Vec<u8>>().into());
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        if let Some(range) = range {
            response.headers_mut().insert(CONTENT_RANGE, range.parse().unwrap());
        }
        let exact = made_exact(response, &(10..20))?;
        assert_eq!(exact.status(), 206);
        let range = exact.headers()[CONTENT_RANGE].to_str().unwrap().to_owned();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        Some((range, runtime.block_on(exact.into_body().bytes()).unwrap().to_vec()))
    }

    #[test]
    fn whatever_holds_the_first_byte_is_read() {
        let wanted = |whole| Some((format!("bytes 10-19/{whole}"), (10..20).collect::<Vec<u8>>()));
        assert_eq!(exact(206, Some("bytes 10-19/100"), 10..20), wanted(100));
        // As rclone answers.
        assert_eq!(exact(200, Some("bytes 10-19/100"), 10..20), wanted(100));
        // Without ranges.
        assert_eq!(exact(200, None, 0..100), wanted(100));
        // Everything, and yet a range.
        assert_eq!(exact(200, Some("bytes 10-19/100"), 0..100), wanted(100));
        assert_eq!(exact(206, Some("bytes 0-99/100"), 0..100), wanted(100));
        assert_eq!(exact(206, Some("bytes 5-29/*"), 5..30), wanted(20));
        // The object ends there.
        let short = Some(("bytes 10-14/15".to_owned(), (10..15).collect()));
        assert_eq!(exact(200, None, 0..15), short);
        assert_eq!(exact(206, Some("bytes 10-14/15"), 10..15), short);
        // Less than was asked for: the reader goes on behind it.
        let (_, less) = exact(206, Some("bytes 10-12/100"), 10..13).unwrap();
        assert_eq!(less, [10, 11, 12]);
    }

    #[test]
    fn what_does_not_hold_it_is_not() {
        assert_eq!(exact(206, Some("bytes 11-19/100"), 11..20), None);
        assert_eq!(exact(200, Some("bytes 0-9/100"), 0..10), None);
        assert_eq!(exact(206, None, 10..20), None);
        assert_eq!(exact(200, None, 0..10), None);
        for lie in ["bytes 19-10/100", "bytes 10-19/15", "bytes -", "items 10-19/100", "bytes */9"]
        {
            assert_eq!(exact(206, Some(lie), 10..20), None, "{lie}");
        }
        let lie = format!("bytes 10-{}/*", u64::MAX);
        assert_eq!(exact(206, Some(&lie), 10..20), None);
    }

    #[test]
    fn lengths_that_lie_shorten_or_lengthen_nothing() {
        // Bytes beyond what was asked for are dropped; missing ones are just missing.
        let (_, more) = exact(206, Some("bytes 10-19/100"), 10..30).unwrap();
        assert_eq!(more.len(), 10);
        let (_, less) = exact(206, Some("bytes 10-19/100"), 10..13).unwrap();
        assert_eq!(less.len(), 3);
    }
}
