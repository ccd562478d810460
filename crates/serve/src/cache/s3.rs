//! What the server does of S3: for which requests, for whom, and how.

use std::{
    collections::HashMap,
    ops::Range,
    sync::{Arc, atomic::Ordering},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use s3s::{
    S3, S3Error, S3Request, S3Response, S3Result,
    access::{S3Access, S3AccessContext},
    auth::{Credentials, S3Auth, SecretKey},
    dto::*,
    s3_error,
};

use super::{
    Error, Reads, Replayed, Shared, blocking,
    check::{self, Refusal},
    directory::{CommitError, Condition, Incoming, Object as Found, touch},
    download::Content,
    keys::now,
    list::{Page, Query, list},
    names::Name,
    parts::{Draft, JoinError, Joined, Parts, copy, joint_tag},
    record::Record,
    room::Reserved,
    unavailable,
    upload::{Promised, Upload, hex, receive},
    waiting,
};

/// The server as the crate that speaks S3 sees it.
pub struct Api(pub Arc<Shared>);

/// Requests that read.
const READS: [&str; 7] = [
    "GetBucketLocation",
    "GetObject",
    "HeadBucket",
    "HeadObject",
    "ListBuckets",
    "ListObjects",
    "ListObjectsV2",
];
/// Requests that write.
const WRITES: [&str; 9] = [
    "AbortMultipartUpload",
    "CompleteMultipartUpload",
    "CopyObject",
    "CreateBucket",
    "CreateMultipartUpload",
    "DeleteObject",
    "DeleteObjects",
    "PutObject",
    "UploadPart",
];
/// A page of a list is no longer.
const LONGEST_PAGE: i32 = 1000;
/// There are no more parts of an object.
const MOST_PARTS: i32 = 10_000;

#[async_trait]
impl S3Auth for Api {
    async fn get_secret_key(&self, id: &str) -> S3Result<SecretKey> {
        let (shared, id) = (self.0.clone(), id.to_owned());
        let found = waiting(move || shared.keys.find(&id)).await?.map_err(no_keys)?;
        found.map(|(_, secret)| secret).ok_or_else(|| s3_error!(InvalidAccessKeyId))
    }
}

#[async_trait]
impl S3Access for Api {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        let operation = context.s3_op().name();
        let is_known = context.credentials().is_some();
        if READS.contains(&operation) {
            match is_known || self.0.reads == Reads::Anonymous {
                true => Ok(()),
                false => Err(s3_error!(AccessDenied, "reads have to be signed")),
            }
        } else if WRITES.contains(&operation) {
            match is_known {
                true => Ok(()),
                false => Err(s3_error!(AccessDenied, "writes have to be signed")),
            }
        } else {
            Err(s3_error!(NotImplemented, "this server does not do {operation}"))
        }
    }
}

/// What is written: an object's name and record, as far as known, and on what the write depends.
struct Write {
    name: Name,
    record: Record,
    condition: Condition,
    /// Whether the very request was done before.
    replayed: bool,
}

impl Api {
    fn bucket(&self, bucket: &str) -> S3Result<()> {
        match bucket == self.0.bucket {
            true => Ok(()),
            false => Err(s3_error!(NoSuchBucket, "the bucket is called {}", self.0.bucket)),
        }
    }

    fn name(&self, bucket: &str, key: &str) -> S3Result<Name> {
        self.bucket(bucket)?;
        Name::parse(key).map_err(|error| s3_error!(InvalidArgument, "the name {error}"))
    }

    /// The name of an object that who signed a request may write, and the id of the key.
    fn writable<T>(
        &self,
        request: &S3Request<T>,
        bucket: &str,
        key: &str,
    ) -> S3Result<(Name, String)> {
        let name = self.name(bucket, key)?;
        let id = key_of(request.credentials.as_ref())?;
        match self.0.keys.may_write(&id, &name).map_err(no_keys)? {
            true => Ok((name, id)),
            false => Err(s3_error!(AccessDenied, "the key may not write {name}")),
        }
    }

    async fn open(&self, name: Name) -> S3Result<Found> {
        let shared = self.0.clone();
        let found = blocking(move || {
            let found = shared.directory.find(&name)?;
            if let Some(found) = &found {
                touch(&found.file)?;
            }
            Ok(found)
        });
        found.await?.ok_or_else(|| {
            self.0.counts.misses.fetch_add(1, Ordering::Relaxed);
            s3_error!(NoSuchKey)
        })
    }

    async fn reserve(&self, length: Option<i64>) -> S3Result<(u64, Reserved)> {
        let length = length.and_then(|length| u64::try_from(length).ok());
        let length = length.ok_or_else(|| s3_error!(MissingContentLength))?;
        Ok((length, self.make_room(length).await?))
    }

    async fn make_room(&self, length: u64) -> S3Result<Reserved> {
        if length > self.0.largest {
            return Err(s3_error!(
                EntityTooLarge,
                "objects are at most {} bytes here",
                self.0.largest
            ));
        }
        let shared = self.0.clone();
        let (reserved, removed) = blocking(move || shared.room.reserve(length))
            .await?
            .ok_or_else(|| s3_error!(EntityTooLarge, "there is no room for it within the quota"))?;
        self.0.counts.removed.fetch_add(removed.objects, Ordering::Relaxed);
        self.0.counts.removed_bytes.fetch_add(removed.bytes, Ordering::Relaxed);
        Ok(reserved)
    }

    /// Holds content against its name, and lets it be seen.
    async fn finish(&self, write: Write, incoming: Incoming) -> S3Result<Record> {
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

    async fn find_parts(&self, name: &Name, id: String, key: &str) -> S3Result<Option<Arc<Parts>>> {
        let (shared, name, key) = (self.0.clone(), name.clone(), key.to_owned());
        let found = blocking(move || Parts::find(&shared.directory, &id, &name, &key)).await?;
        Ok(found.map(Arc::new))
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

    async fn page(&self, query: Query) -> S3Result<Page> {
        let shared = self.0.clone();
        blocking(move || list(&shared.directory, &query)).await
    }
}

fn key_of(credentials: Option<&Credentials>) -> S3Result<String> {
    credentials.map(|it| it.access_key.clone()).ok_or_else(|| s3_error!(AccessDenied))
}

fn no_keys(error: Error) -> S3Error {
    tracing::warn!("{error}");
    s3_error!(ServiceUnavailable, "the server cannot use its keys")
}

fn done_before() -> S3Error {
    s3_error!(AccessDenied, "this very request was done before, and what it wrote is not there now")
}

fn is_replayed<T>(request: &S3Request<T>) -> bool {
    request.extensions.get::<Replayed>().is_some()
}

fn tag(record: &Record) -> ETag {
    ETag::Strong(record.etag.clone())
}

fn written(record: &Record) -> Timestamp {
    // S3 knows whole seconds.
    (SystemTime::UNIX_EPOCH + Duration::from_secs(record.written / 1000)).into()
}

fn length(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

fn metadata(record: &Record) -> Option<HashMap<String, String>> {
    (!record.metadata.is_empty()).then(|| record.metadata.clone().into_iter().collect())
}

/// Whether what a client has, or expects, lets it read.
fn check_conditions(
    record: &Record,
    if_match: Option<&IfMatch>,
    if_none_match: Option<&IfNoneMatch>,
    if_modified_since: Option<&Timestamp>,
    if_unmodified_since: Option<&Timestamp>,
) -> S3Result<()> {
    let is_it = |condition: &ETagCondition| match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(tag) => tag.value() == record.etag,
    };
    let failed = match (if_match, if_unmodified_since) {
        (Some(condition), _) => !is_it(condition),
        (None, Some(since)) => written(record) > *since,
        (None, None) => false,
    };
    if failed {
        return Err(s3_error!(PreconditionFailed));
    }
    let unchanged = match (if_none_match, if_modified_since) {
        (Some(condition), _) => is_it(condition),
        (None, Some(since)) => written(record) <= *since,
        (None, None) => false,
    };
    if unchanged {
        let mut error = s3_error!(NotModified);
        if let Ok(value) = tag(record).to_http_header() {
            error.set_headers([(axum::http::header::ETAG, value)].into_iter().collect());
        }
        return Err(error);
    }
    Ok(())
}

/// On what a write depends.
fn condition(if_match: Option<IfMatch>, if_none_match: Option<IfNoneMatch>) -> S3Result<Condition> {
    match (if_match, if_none_match) {
        (None, None) => Ok(Condition::None),
        (None, Some(ETagCondition::Any)) => Ok(Condition::Absent),
        (Some(ETagCondition::Any), None) => Ok(Condition::Present(None)),
        (Some(ETagCondition::ETag(tag)), None) => Ok(Condition::Present(Some(tag.into_value()))),
        _ => Err(s3_error!(NotImplemented, "a write depends on If-Match, or on If-None-Match: *")),
    }
}

/// Names in lists, encoded where the client asked for that.
fn shown(name: &str, encoding: Option<&EncodingType>) -> String {
    if encoding.is_none_or(|encoding| encoding.as_str() != EncodingType::URL) {
        return name.to_owned();
    }
    let mut text = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => {
                text.push(char::from(byte));
            }
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

fn objects(page: &Page, encoding: Option<&EncodingType>) -> Vec<Object> {
    let object = |(name, record): &(String, Record)| Object {
        key: Some(shown(name, encoding)),
        size: Some(length(record.size)),
        e_tag: Some(tag(record)),
        last_modified: Some(written(record)),
        storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
        ..Object::default()
    };
    page.objects.iter().map(object).collect()
}

fn groups(page: &Page, encoding: Option<&EncodingType>) -> Vec<CommonPrefix> {
    let groups = page.groups.iter();
    groups.map(|group| CommonPrefix { prefix: Some(shown(group, encoding)) }).collect()
}

fn most(asked: Option<i32>) -> S3Result<i32> {
    match asked.unwrap_or(LONGEST_PAGE) {
        ..0 => Err(s3_error!(InvalidArgument, "max-keys is less than nothing")),
        most => Ok(most.min(LONGEST_PAGE)),
    }
}

#[async_trait]
impl S3 for Api {
    async fn list_buckets(
        &self,
        _: S3Request<ListBucketsInput>,
    ) -> S3Result<S3Response<ListBucketsOutput>> {
        let bucket = Bucket { name: Some(self.0.bucket.clone()), ..Bucket::default() };
        let bucket = Bucket { creation_date: Some(SystemTime::UNIX_EPOCH.into()), ..bucket };
        let owner = Some(Owner { id: Some("larder".to_owned()), ..Owner::default() });
        let output = ListBucketsOutput { buckets: Some(vec![bucket]), owner, ..Default::default() };
        Ok(S3Response::new(output))
    }

    async fn head_bucket(
        &self,
        request: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        self.bucket(&request.input.bucket)?;
        Ok(S3Response::new(HeadBucketOutput::default()))
    }

    async fn get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        self.bucket(&request.input.bucket)?;
        Ok(S3Response::new(GetBucketLocationOutput::default()))
    }

    async fn create_bucket(
        &self,
        request: S3Request<CreateBucketInput>,
    ) -> S3Result<S3Response<CreateBucketOutput>> {
        match self.bucket(&request.input.bucket) {
            Ok(()) => Err(s3_error!(BucketAlreadyOwnedByYou)),
            Err(_) => Err(s3_error!(AccessDenied, "there is one bucket, {}", self.0.bucket)),
        }
    }

    async fn get_object(
        &self,
        request: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        let input = request.input;
        let name = self.name(&input.bucket, &input.key)?;
        let Found { file, record, .. } = self.open(name).await?;
        check_conditions(
            &record,
            input.if_match.as_ref(),
            input.if_none_match.as_ref(),
            input.if_modified_since.as_ref(),
            input.if_unmodified_since.as_ref(),
        )?;
        let (range, content_range) = part_of(&record, input.range)?;
        let size = range.end - range.start;
        let content = blocking(move || Content::open(file, range)).await?;
        self.0.counts.hits.fetch_add(1, Ordering::Relaxed);
        self.0.counts.read_bytes.fetch_add(size, Ordering::Relaxed);
        Ok(S3Response::new(GetObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            body: Some(StreamingBlob::new(content)),
            content_length: Some(length(size)),
            content_range,
            content_type: record.content_type.clone(),
            content_encoding: record.content_encoding.clone(),
            e_tag: Some(tag(&record)),
            last_modified: Some(written(&record)),
            metadata: metadata(&record),
            ..GetObjectOutput::default()
        }))
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = request.input;
        let name = self.name(&input.bucket, &input.key)?;
        let record = self.open(name).await?.record;
        check_conditions(
            &record,
            input.if_match.as_ref(),
            input.if_none_match.as_ref(),
            input.if_modified_since.as_ref(),
            input.if_unmodified_since.as_ref(),
        )?;
        let (range, content_range) = part_of(&record, input.range)?;
        Ok(S3Response::new(HeadObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            content_length: Some(length(range.end - range.start)),
            content_range,
            content_type: record.content_type.clone(),
            content_encoding: record.content_encoding.clone(),
            e_tag: Some(tag(&record)),
            last_modified: Some(written(&record)),
            metadata: metadata(&record),
            ..HeadObjectOutput::default()
        }))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = request.input;
        self.bucket(&input.bucket)?;
        let after = match &input.continuation_token {
            Some(token) => {
                let decoded = BASE64_URL_SAFE_NO_PAD.decode(token).ok();
                decoded.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(|| {
                    s3_error!(InvalidArgument, "the token is not one of this server")
                })?
            }
            None => input.start_after.clone().unwrap_or_default(),
        };
        let max_keys = most(input.max_keys)?;
        let query = Query {
            prefix: input.prefix.clone().unwrap_or_default(),
            delimiter: input.delimiter.clone().unwrap_or_default(),
            after,
            most: max_keys as usize,
        };
        let page = self.page(query).await?;
        let encoding = input.encoding_type.as_ref();
        let show = |text: Option<String>| text.map(|text| shown(&text, encoding));
        Ok(S3Response::new(ListObjectsV2Output {
            contents: Some(objects(&page, encoding)),
            common_prefixes: Some(groups(&page, encoding)),
            key_count: Some((page.objects.len() + page.groups.len()) as i32),
            is_truncated: Some(page.next.is_some()),
            next_continuation_token: page.next.map(|next| BASE64_URL_SAFE_NO_PAD.encode(next)),
            continuation_token: input.continuation_token,
            max_keys: Some(max_keys),
            name: Some(input.bucket),
            prefix: show(input.prefix),
            delimiter: show(input.delimiter),
            start_after: show(input.start_after),
            encoding_type: input.encoding_type.clone(),
            ..ListObjectsV2Output::default()
        }))
    }

    async fn list_objects(
        &self,
        request: S3Request<ListObjectsInput>,
    ) -> S3Result<S3Response<ListObjectsOutput>> {
        let input = request.input;
        self.bucket(&input.bucket)?;
        let max_keys = most(input.max_keys)?;
        let query = Query {
            prefix: input.prefix.clone().unwrap_or_default(),
            delimiter: input.delimiter.clone().unwrap_or_default(),
            after: input.marker.clone().unwrap_or_default(),
            most: max_keys as usize,
        };
        let page = self.page(query).await?;
        let encoding = input.encoding_type.as_ref();
        let show = |text: Option<String>| text.map(|text| shown(&text, encoding));
        Ok(S3Response::new(ListObjectsOutput {
            contents: Some(objects(&page, encoding)),
            common_prefixes: Some(groups(&page, encoding)),
            is_truncated: Some(page.next.is_some()),
            next_marker: show(page.next),
            max_keys: Some(max_keys),
            name: Some(input.bucket),
            prefix: show(input.prefix),
            delimiter: show(input.delimiter),
            marker: show(input.marker),
            encoding_type: input.encoding_type.clone(),
            ..ListObjectsOutput::default()
        }))
    }

    async fn put_object(
        &self,
        request: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let replayed = is_replayed(&request);
        let (name, key) = self.writable(&request, &request.input.bucket, &request.input.key)?;
        let input = request.input;
        let condition = condition(input.if_match, input.if_none_match)?;
        let (length, reserved) = self.reserve(input.content_length).await?;
        let promised = Promised { length, md5: input.content_md5 };
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

    async fn copy_object(
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

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let (name, _) = self.writable(&request, &request.input.bucket, &request.input.key)?;
        self.remove(name, is_replayed(&request)).await?;
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        self.bucket(&request.input.bucket)?;
        let (mut deleted, mut errors) = (Vec::new(), Vec::new());
        for object in &request.input.delete.objects {
            let key = Some(object.key.clone());
            let removed = match self.writable(&request, &request.input.bucket, &object.key) {
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

    async fn create_multipart_upload(
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

    async fn upload_part(
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
        let (counting, promised) = (parts.clone(), Promised { length, md5: input.content_md5 });
        if blocking(move || counting.length()).await?.saturating_add(length) > self.0.largest {
            return Err(s3_error!(EntityTooLarge));
        }
        let upload = receive(&self.0.directory, input.body, promised, reserved).await?;
        let tag = blocking(move || parts.add(number, upload)).await?;
        let output = UploadPartOutput { e_tag: Some(ETag::Strong(tag)), ..Default::default() };
        Ok(S3Response::new(output))
    }

    async fn complete_multipart_upload(
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

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let (name, key) = self.writable(&request, &request.input.bucket, &request.input.key)?;
        let parts = self.find_parts(&name, request.input.upload_id, &key).await?;
        let parts = parts.ok_or_else(|| s3_error!(NoSuchUpload))?;
        blocking(move || parts.end()).await?;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }
}

impl Api {
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

/// What of an object's content is asked for, and how the answer calls that.
fn part_of(
    record: &Record,
    range: Option<s3s::dto::Range>,
) -> S3Result<(Range<u64>, Option<String>)> {
    let Some(range) = range else { return Ok((0..record.size, None)) };
    let range = range.check(record.size)?;
    let shown = format!("bytes {}-{}/{}", range.start, range.end - 1, record.size);
    Ok((range, Some(shown)))
}
