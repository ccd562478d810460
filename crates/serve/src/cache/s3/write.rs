//! Writes of whole objects.

use std::sync::atomic::Ordering;

use s3s::{S3Error, S3Request, S3Response, S3Result, dto::*, s3_error};

use super::{Api, read::check_conditions, tag, written};
use crate::cache::{
    Replayed, blocking,
    check::{self, Refusal},
    directory::{CommitError, Condition, Incoming, Object as Found},
    keys::now,
    names::Name,
    parts::copy,
    record::Record,
    unavailable,
    upload::{Promised, Upload, hex, receive},
    waiting,
};

/// What is written: an object's name and record, as far as known, and on what the write depends.
pub(super) struct Write {
    pub name: Name,
    pub record: Record,
    pub condition: Condition,
    /// Whether the very request was done before.
    pub replayed: bool,
}

impl Api {
    pub(super) async fn put(
        &self,
        request: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let replayed = is_replayed(&request);
        let (name, key) = self.writable(&request, &request.input.bucket, &request.input.key)?;
        let input = request.input;
        let condition = condition(input.if_match, input.if_none_match)?;
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
        let upload = receive(&self.0.directory, input.body, promised, reserved).await?;
        let Upload { incoming, size, md5, reserved: _reserved } = upload;
        let record = Record {
            size,
            etag: hex(&md5),
            key,
            content_type: input.content_type,
            content_encoding: input.content_encoding,
            metadata: input.metadata.unwrap_or_default().into_iter().collect(),
            ..Record::default()
        };
        let record = self.finish(Write { name, record, condition, replayed }, incoming).await?;
        let output = PutObjectOutput { e_tag: Some(tag(&record)), ..PutObjectOutput::default() };
        Ok(S3Response::new(output))
    }

    pub(super) async fn copy(
        &self,
        request: S3Request<CopyObjectInput>,
    ) -> S3Result<S3Response<CopyObjectOutput>> {
        let replayed = is_replayed(&request);
        let (name, key) = self.writable(&request, &request.input.bucket, &request.input.key)?;
        let input = request.input;
        let CopySource::Bucket { bucket, key: source, .. } = &input.copy_source else {
            return Err(s3_error!(NotImplemented, "a copy is one of an object here"));
        };
        let Found { file, record: from, .. } = self.open(self.name(bucket, source)?).await?;
        check_conditions(
            &from,
            input.copy_source_if_match.as_ref(),
            input.copy_source_if_none_match.as_ref(),
            input.copy_source_if_modified_since.as_ref(),
            input.copy_source_if_unmodified_since.as_ref(),
        )
        .map_err(|_| s3_error!(PreconditionFailed))?;
        let replaces = input.metadata_directive.as_ref().map(MetadataDirective::as_str)
            == Some(MetadataDirective::REPLACE);
        let record = match replaces {
            true => Record {
                content_type: input.content_type,
                content_encoding: input.content_encoding,
                metadata: input.metadata.unwrap_or_default().into_iter().collect(),
                ..from
            },
            false => from,
        };
        let record = Record { key, needs: Vec::new(), ..record };
        let _reserved = self.make_room(record.size).await?;
        let (shared, size) = (self.0.clone(), record.size);
        let incoming = blocking(move || copy(&shared.directory, file, size)).await?;
        let write = Write { name, record, condition: Condition::None, replayed };
        let record = self.finish(write, incoming).await?;
        let copied = CopyObjectResult {
            e_tag: Some(tag(&record)),
            last_modified: Some(written(&record)),
            ..CopyObjectResult::default()
        };
        let output = CopyObjectOutput { copy_object_result: Some(copied), ..Default::default() };
        Ok(S3Response::new(output))
    }

    pub(super) async fn delete(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let (name, _) = self.writable(&request, &request.input.bucket, &request.input.key)?;
        self.remove(name, is_replayed(&request)).await?;
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    pub(super) async fn delete_many(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        self.bucket(&request.input.bucket)?;
        let (mut deleted, mut errors) = (Vec::new(), Vec::new());
        for object in &request.input.delete.objects {
            let key = Some(object.key.clone());
            let ObjectIdentifier { e_tag, last_modified_time, size, version_id, .. } = object;
            let depends = e_tag.is_some() || last_modified_time.is_some() || size.is_some();
            let removed = match self.writable(&request, &request.input.bucket, &object.key) {
                Ok(_) if depends || version_id.is_some() => {
                    Err(s3_error!(NotImplemented, "deletions have no conditions here"))
                }
                Ok((name, _)) => self.remove(name, is_replayed(&request)).await,
                Err(error) => Err(error),
            };
            match removed {
                Ok(()) => deleted.push(DeletedObject { key, ..DeletedObject::default() }),
                Err(error) => errors.push(s3s::dto::Error {
                    key,
                    code: Some(error.code().as_str().to_owned()),
                    message: error.message().map(str::to_owned),
                    ..Default::default()
                }),
            }
        }
        let quiet = request.input.delete.quiet.unwrap_or_default();
        Ok(S3Response::new(DeleteObjectsOutput {
            deleted: (!quiet).then_some(deleted),
            errors: Some(errors),
            ..DeleteObjectsOutput::default()
        }))
    }

    /// Holds content against its name, and lets it be seen.
    pub(super) async fn finish(&self, write: Write, incoming: Incoming) -> S3Result<Record> {
        let Write { name, mut record, condition, replayed } = write;
        let shared = self.0.clone();
        if replayed {
            // Whoever sends it again because no answer came has what was wanted; others get nothing.
            let found = blocking(move || shared.directory.find(&name)).await?;
            let same =
                found.filter(|it| it.record.etag == record.etag && it.record.key == record.key);
            return same.map(|it| it.record).ok_or_else(done_before);
        }
        let (checked, incoming) = {
            let _turn = self.0.checking.acquire().await.map_err(S3Error::internal_error)?;
            let (shared, name) = (shared.clone(), name.clone());
            waiting(move || (check::check(&shared.directory, &incoming.path, &name), incoming))
                .await?
        };
        record.needs = checked.map_err(|error| match error {
            Refusal::Other(_) => s3_error!(BadDigest, "{error}"),
            Refusal::Missing(_) => s3_error!(InvalidRequest, "{error}"),
            Refusal::Io(error) => unavailable(error),
        })?;
        record.written = now();
        let size = record.size;
        let committed = waiting(move || {
            let may = || shared.keys.may_write(&record.key, &name).is_ok_and(|may| may);
            let committed = shared.directory.commit(&name, incoming, &record, &condition, may);
            committed.map(|()| record)
        });
        let record = committed.await?.map_err(|error| match error {
            CommitError::Condition => s3_error!(PreconditionFailed, "{error}"),
            CommitError::Absent => s3_error!(NoSuchKey, "{error}"),
            CommitError::Missing(_) => s3_error!(InvalidRequest, "{error}"),
            CommitError::Revoked => s3_error!(AccessDenied, "{error}"),
            CommitError::Io(error) => unavailable(error),
        })?;
        self.0.counts.writes.fetch_add(1, Ordering::Relaxed);
        self.0.counts.written_bytes.fetch_add(size, Ordering::Relaxed);
        Ok(record)
    }

    async fn remove(&self, name: Name, replayed: bool) -> S3Result<()> {
        let shared = self.0.clone();
        match replayed {
            true => match blocking(move || shared.directory.find(&name)).await? {
                Some(_) => Err(done_before()),
                None => Ok(()),
            },
            false => blocking(move || shared.directory.remove(&name)).await.map(|_| ()),
        }
    }
}

/// On what a write depends.
pub(super) fn condition(
    if_match: Option<IfMatch>,
    if_none_match: Option<IfNoneMatch>,
) -> S3Result<Condition> {
    match (if_match, if_none_match) {
        (None, None) => Ok(Condition::None),
        (None, Some(ETagCondition::Any)) => Ok(Condition::Absent),
        (Some(ETagCondition::Any), None) => Ok(Condition::Present(None)),
        (Some(ETagCondition::ETag(tag)), None) => Ok(Condition::Present(Some(tag.into_value()))),
        _ => Err(s3_error!(NotImplemented, "a write depends on If-Match, or on If-None-Match: *")),
    }
}

fn done_before() -> S3Error {
    s3_error!(AccessDenied, "this very request was done before, and what it wrote is not there now")
}

fn is_replayed<T>(request: &S3Request<T>) -> bool {
    request.extensions.get::<Replayed>().is_some()
}
