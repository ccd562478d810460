//! Content on its way in: to a file that nobody sees, hashed as it comes.

use std::{io::Write, sync::Arc};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use futures_util::StreamExt;
use s3s::{
    S3Result, StdError,
    crypto::{Checksum, Md5},
    dto::StreamingBlob,
    s3_error,
};

use super::{
    blocking,
    directory::{Directory, Incoming},
    room::Reserved,
};

/// How much is written at once, in bytes.
const BATCH: usize = 1 << 20;

/// Content that has arrived.
pub struct Upload {
    /// Where it is.
    pub incoming: Incoming,
    /// Its length in bytes.
    pub size: u64,
    /// Its MD5.
    pub md5: [u8; 16],
    /// The room that it takes.
    pub reserved: Reserved,
}

/// What the client says of content before it comes.
pub struct Promised {
    /// Its length in bytes.
    pub length: u64,
    /// Its MD5, in base64.
    pub md5: Option<String>,
}

/// Takes in all of `body`.
///
/// # Errors
/// When it is not what was promised or signed, or does not arrive.
pub async fn receive(
    directory: &Arc<Directory>,
    body: Option<StreamingBlob>,
    promised: Promised,
    reserved: Reserved,
) -> S3Result<Upload> {
    let making = directory.clone();
    let incoming = blocking(move || making.incoming()).await?;
    let mut writer = Writer { incoming, size: 0, md5: Md5::new() };
    let mut batch = Vec::new();
    let mut length = 0;
    if let Some(mut body) = body {
        while let Some(bytes) = body.next().await {
            let bytes: Bytes = bytes.map_err(refusal)?;
            length += bytes.len();
            if writer.size + length as u64 > promised.length {
                return Err(s3_error!(IncompleteBody, "the body is longer than was said"));
            }
            batch.push(bytes);
            if length >= BATCH {
                (writer, batch) = write(writer, std::mem::take(&mut batch)).await?;
                length = 0;
            }
        }
    }
    (writer, _) = write(writer, batch).await?;
    let Writer { incoming, size, md5 } = writer;
    if size != promised.length {
        return Err(s3_error!(IncompleteBody, "the body is shorter than was said"));
    }
    let md5 = md5.finalize();
    if promised.md5.is_some_and(|promised| promised != BASE64_STANDARD.encode(md5)) {
        return Err(s3_error!(BadDigest, "the content is not that of Content-MD5"));
    }
    Ok(Upload { incoming, size, md5, reserved })
}

struct Writer {
    incoming: Incoming,
    size: u64,
    md5: Md5,
}

async fn write(mut writer: Writer, mut batch: Vec<Bytes>) -> S3Result<(Writer, Vec<Bytes>)> {
    blocking(move || {
        for bytes in batch.drain(..) {
            writer.incoming.file.write_all(&bytes)?;
            writer.md5.update(&bytes);
            writer.size += bytes.len() as u64;
        }
        Ok((writer, batch))
    })
    .await
}

/// What to answer to who sent a body that broke off, or is not what was signed. The crate that checks signatures
/// says which of these only in words.
fn refusal(error: StdError) -> s3s::S3Error {
    let said = format!("{error:?} {error}");
    let has = |word: &str| said.contains(word);
    if has("Stalled") {
        s3_error!(RequestTimeout, "the body arrived too slowly")
    } else if has("Sha256Mismatch") {
        s3_error!(BadDigest, "the content is not what was signed")
    } else if has("SignatureMismatch") {
        s3_error!(SignatureDoesNotMatch, "the content is not what was signed")
    } else {
        s3_error!(IncompleteBody, "the body broke off")
    }
}

/// An MD5 as tags have it.
pub fn hex(md5: &[u8; 16]) -> String {
    md5.iter().map(|byte| format!("{byte:02x}")).collect()
}
