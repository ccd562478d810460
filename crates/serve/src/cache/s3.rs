//! What the server does of S3: for which requests, for whom, and how.

mod multipart;
mod read;
mod undone;
mod write;

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use s3s::{
    S3, S3Error, S3Request, S3Response, S3Result,
    access::{S3Access, S3AccessContext},
    auth::{Credentials, S3Auth, SecretKey},
    dto::*,
    s3_error,
};

use super::{
    Error, Reads, Shared, blocking,
    directory::{Object as Found, touch},
    names::Name,
    record::Record,
    room::Reserved,
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
        if let Some(what) = undone::undone(operation, context.headers(), context.uri()) {
            return Err(s3_error!(NotImplemented, "this server does not do {what}"));
        }
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
}

fn key_of(credentials: Option<&Credentials>) -> S3Result<String> {
    credentials.map(|it| it.access_key.clone()).ok_or_else(|| s3_error!(AccessDenied))
}

fn no_keys(error: Error) -> S3Error {
    tracing::warn!("{error}");
    s3_error!(ServiceUnavailable, "the server cannot use its keys")
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
        self.get(request).await
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        self.head(request).await
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        self.list_v2(request).await
    }

    async fn list_objects(
        &self,
        request: S3Request<ListObjectsInput>,
    ) -> S3Result<S3Response<ListObjectsOutput>> {
        self.list_v1(request).await
    }

    async fn put_object(
        &self,
        request: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        self.put(request).await
    }

    async fn copy_object(
        &self,
        request: S3Request<CopyObjectInput>,
    ) -> S3Result<S3Response<CopyObjectOutput>> {
        self.copy(request).await
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        self.delete(request).await
    }

    async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        self.delete_many(request).await
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        self.begin(request).await
    }

    async fn upload_part(
        &self,
        request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        self.add_part(request).await
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        self.finish_parts(request).await
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        self.give_up(request).await
    }
}
