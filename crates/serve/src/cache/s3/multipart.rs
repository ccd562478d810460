//! Writes in parts.

use std::sync::Arc;

use s3s::{S3Request, S3Response, S3Result, dto::*, s3_error};

use super::{
    Api, tag,
    write::{Write, condition},
};
use crate::cache::{
    blocking,
    directory::Condition,
    names::Name,
    parts::{Draft, JoinError, Joined, Parts, joint_tag},
    record::Record,
    unavailable,
    upload::{Promised, receive},
    waiting,
};

/// There are no more parts of an object.
const MOST_PARTS: i32 = 10_000;

impl Api {
    pub(super) async fn begin(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let (name, key) = self.writable(&request, &request.input.bucket, &request.input.key)?;
        let input = request.input;
        let record = Record {
            key,
            content_type: input.content_type,
            content_encoding: input.content_encoding,
            metadata: input.metadata.unwrap_or_default().into_iter().collect(),
            ..Record::default()
        };
        let draft = Draft { name: name.to_string(), record };
        let shared = self.0.clone();
        let id = blocking(move || Parts::begin(&shared.directory, &draft)).await?;
        Ok(S3Response::new(CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(id),
            ..CreateMultipartUploadOutput::default()
        }))
    }

    pub(super) async fn add_part(
        &self,
        request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let (name, key) = self.writable(&request, &request.input.bucket, &request.input.key)?;
        let input = request.input;
        let parts = self.find_parts(&name, input.upload_id, &key).await?;
        let parts = parts.ok_or_else(|| s3_error!(NoSuchUpload))?;
        let number = match input.part_number {
            number @ 1..=MOST_PARTS => number as u32,
            _ => {
                return Err(s3_error!(
                    InvalidArgument,
                    "parts have numbers from 1 to {MOST_PARTS}"
                ));
            }
        };
        let (length, reserved) = self.reserve(input.content_length).await?;
        let checksum = Checksum {
            checksum_crc32: input.checksum_crc32,
            checksum_crc32c: input.checksum_crc32c,
            checksum_crc64nvme: input.checksum_crc64nvme,
            checksum_sha1: input.checksum_sha1,
            checksum_sha256: input.checksum_sha256,
            ..Checksum::default()
        };
        let promised = Promised { length, md5: input.content_md5, checksum };
        let counting = parts.clone();
        if blocking(move || counting.length()).await?.saturating_add(length) > self.0.largest {
            return Err(s3_error!(EntityTooLarge));
        }
        let upload = receive(&self.0.directory, input.body, promised, reserved).await?;
        let tag = blocking(move || parts.add(number, upload)).await?;
        let output = UploadPartOutput { e_tag: Some(ETag::Strong(tag)), ..Default::default() };
        Ok(S3Response::new(output))
    }

    pub(super) async fn finish_parts(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let (name, key) = self.writable(&request, &request.input.bucket, &request.input.key)?;
        let input = request.input;
        let condition = condition(input.if_match, input.if_none_match)?;
        let mut wanted = Vec::new();
        for part in input.multipart_upload.and_then(|it| it.parts).unwrap_or_default() {
            let number = part.part_number.and_then(|number| u32::try_from(number).ok());
            match (number, part.e_tag) {
                (Some(number), Some(tag)) => wanted.push((number, tag.into_value())),
                _ => return Err(s3_error!(InvalidPart, "a part has no number, or no tag")),
            }
        }
        let record = match self.find_parts(&name, input.upload_id, &key).await? {
            Some(parts) => self.complete(parts, name.clone(), &wanted, condition).await?,
            None => None,
        };
        let record = match record {
            Some(record) => record,
            None => {
                // Somebody may have completed it, and not have heard of that.
                let shared = self.0.clone();
                let found = blocking(move || shared.directory.find(&name)).await?;
                let tag = joint_tag(&wanted);
                let record = found.map(|it| it.record);
                let same = record.filter(|it| Some(&it.etag) == tag.as_ref() && it.key == key);
                same.ok_or_else(|| s3_error!(NoSuchUpload))?
            }
        };
        Ok(S3Response::new(CompleteMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            e_tag: Some(tag(&record)),
            ..CompleteMultipartUploadOutput::default()
        }))
    }

    pub(super) async fn give_up(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let (name, key) = self.writable(&request, &request.input.bucket, &request.input.key)?;
        let parts = self.find_parts(&name, request.input.upload_id, &key).await?;
        let parts = parts.ok_or_else(|| s3_error!(NoSuchUpload))?;
        blocking(move || parts.end()).await?;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }

    async fn find_parts(&self, name: &Name, id: String, key: &str) -> S3Result<Option<Arc<Parts>>> {
        let (shared, name, key) = (self.0.clone(), name.clone(), key.to_owned());
        let found = blocking(move || Parts::find(&shared.directory, &id, &name, &key)).await?;
        Ok(found.map(Arc::new))
    }

    /// Makes an object of parts; `None` where somebody else has.
    async fn complete(
        &self,
        parts: Arc<Parts>,
        name: Name,
        wanted: &[(u32, String)],
        condition: Condition,
    ) -> S3Result<Option<Record>> {
        let locking = parts.clone();
        let Some(lock) = blocking(move || locking.lock()).await? else { return Ok(None) };
        let measuring = parts.clone();
        let total = blocking(move || measuring.length()).await?;
        let _reserved = self.make_room(total).await?;
        let (joining, wanted) = (parts.clone(), wanted.to_vec());
        let joined = waiting(move || joining.join(&wanted)).await?;
        let Joined { incoming, size, etag } = joined.map_err(|error| match error {
            JoinError::Part(_) => s3_error!(InvalidPart, "{error}"),
            JoinError::Order => s3_error!(InvalidPartOrder, "{error}"),
            JoinError::Io(error) => unavailable(error),
        })?;
        let record = Record { size, etag, ..parts.draft.record.clone() };
        let write = Write { name, record, condition, replayed: false };
        let record = self.finish(write, incoming).await?;
        blocking(move || parts.end()).await?;
        drop(lock);
        Ok(Some(record))
    }
}
