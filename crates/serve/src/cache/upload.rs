//! Content on its way in: to a file that nobody sees, hashed as it comes.

use std::{io::Write, sync::Arc};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use futures_util::StreamExt;
use s3s::{
    S3Result, StdError,
    checksum::ChecksumHasher,
    crypto::{Checksum, Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256},
    dto::{self, StreamingBlob},
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
    /// Its checksums.
    pub checksum: dto::Checksum,
}

/// Makes the checksums that were promised.
fn hasher(promised: &dto::Checksum) -> ChecksumHasher {
    ChecksumHasher {
        crc32: promised.checksum_crc32.as_ref().map(|_| Crc32::new()),
        crc32c: promised.checksum_crc32c.as_ref().map(|_| Crc32c::new()),
        sha1: promised.checksum_sha1.as_ref().map(|_| Sha1::new()),
        sha256: promised.checksum_sha256.as_ref().map(|_| Sha256::new()),
        crc64nvme: promised.checksum_crc64nvme.as_ref().map(|_| Crc64Nvme::new()),
    }
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
    let checksum = hasher(&promised.checksum);
    let mut writer = Writer { incoming, size: 0, md5: Md5::new(), checksum };
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
    let Writer { incoming, size, md5, checksum } = writer;
    if size != promised.length {
        return Err(s3_error!(IncompleteBody, "the body is shorter than was said"));
    }
    let md5 = md5.finalize();
    if promised.md5.is_some_and(|promised| promised != BASE64_STANDARD.encode(md5)) {
        return Err(s3_error!(BadDigest, "the content is not that of Content-MD5"));
    }
    if checksum.finalize() != promised.checksum {
        return Err(s3_error!(BadDigest, "the content is not that of its checksum"));
    }
    Ok(Upload { incoming, size, md5, reserved })
}

struct Writer {
    incoming: Incoming,
    size: u64,
    md5: Md5,
    checksum: ChecksumHasher,
}

async fn write(mut writer: Writer, mut batch: Vec<Bytes>) -> S3Result<(Writer, Vec<Bytes>)> {
    blocking(move || {
        for bytes in batch.drain(..) {
            writer.incoming.file.write_all(&bytes)?;
            writer.md5.update(&bytes);
            writer.checksum.update(&bytes);
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
