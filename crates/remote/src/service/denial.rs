//! Answers of 403 and 404 by S3 and what speaks like it, which mean different things.
//!
//! Who may not list a bucket is not told what it lacks: the answer is 403 with the code
//! `AccessDenied`, as it is for what one may not read. A key that is wrong has other codes. So a read
//! that is answered by `AccessDenied` found nothing. An answer to `HEAD` has no code; what it means is
//! found out by a `GET`, until one has told. An answer of 404 may be for want of the bucket, in which nothing can be
//! put then.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// The provider's own word for why it refuses: one of those that are known, since a server may quote
/// anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code(&'static str);

/// The key is known, and may not do this.
pub const ACCESS_DENIED: Code = Code("AccessDenied");

/// There is no bucket in which anything could be.
pub const NO_BUCKET: Code = Code("NoSuchBucket");

/// The same, as Azure says it.
pub const NO_CONTAINER: Code = Code("ContainerNotFound");

/// The content is not what it was said to be.
pub const BAD_DIGEST: Code = Code("BadDigest");

/// It is larger than what is taken.
pub const TOO_LARGE: Code = Code("EntityTooLarge");

/// It cannot be done as it is asked for: a revision, say, names what is not there.
pub const INVALID_REQUEST: Code = Code("InvalidRequest");

/// All codes that are known.
const CODES: [Code; 19] = [
    ACCESS_DENIED,
    Code("AccountProblem"),
    Code("AllAccessDisabled"),
    Code("AuthorizationHeaderMalformed"),
    BAD_DIGEST,
    TOO_LARGE,
    Code("ExpiredToken"),
    Code("InvalidAccessKeyId"),
    Code("InvalidClientTokenId"),
    INVALID_REQUEST,
    Code("InvalidSecurity"),
    Code("InvalidToken"),
    NO_BUCKET,
    NO_CONTAINER,
    Code("NotSignedUp"),
    Code("RequestExpired"),
    Code("RequestTimeTooSkewed"),
    Code("SignatureDoesNotMatch"),
    Code("TokenRefreshRequired"),
];

impl Code {
    /// The code in the body of an error: `<Code>…</Code>`.
    pub fn in_body(body: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(body);
        let (code, _) = text.split_once("<Code>")?.1.split_once("</Code>")?;
        CODES.into_iter().find(|known| known.0 == code.trim())
    }

    /// Why an object is refused that would be refused again; `None` for what is not about the object.
    pub fn refusal(self) -> Option<&'static str> {
        match self {
            BAD_DIGEST => {
                Some("the service says that its content is not what it should be (BadDigest)")
            }
            TOO_LARGE => {
                Some("it is larger than what the service takes, or has room for (EntityTooLarge)")
            }
            INVALID_REQUEST => Some(
                "the service refuses it, perhaps as it needs what is not there (InvalidRequest)",
            ),
            _ => None,
        }
    }

    /// The code at the end of an error's message, where [`fmt::Display`] put it.
    pub fn in_message(message: &str) -> Option<Self> {
        CODES.into_iter().find(|known| message.ends_with(known.0))
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// What is known of a service's refusals. Shared by all requests to it.
#[derive(Debug, Clone, Default)]
pub struct Denials(Arc<AtomicBool>);

impl Denials {
    /// Notes that `service` refuses reads of what it does not have.
    pub fn hide_what_is_missing(&self, service: &str) {
        if !self.0.swap(true, Ordering::Relaxed) {
            tracing::debug!(
                "service {service}: access denied, taken for missing; if it should be there, \
                 `larder cache services --check` says what the key may do"
            );
        }
    }

    /// Whether that was noted.
    pub fn do_hide_what_is_missing(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_codes_are_passed_on() {
        let code = |body: &str| Code::in_body(body.as_bytes()).map(|code| code.to_string());
        let error = "<?xml version=\"1.0\"?>\n<Error><Code>AccessDenied</Code><Key>x</Key></Error>";
        assert_eq!(code(error).as_deref(), Some("AccessDenied"));
        assert_eq!(code("<Code>hunter2</Code>"), None);
        assert_eq!(code("<Code>AccessDenied"), None);
        assert_eq!(code(""), None);
        let message = "Server returned non-2xx status code: 403 Forbidden: SignatureDoesNotMatch";
        assert_eq!(Code::in_message(message).unwrap().to_string(), "SignatureDoesNotMatch");
    }
}
