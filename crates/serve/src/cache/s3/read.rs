//! Reads and lists.

use std::{collections::HashMap, ops::Range, sync::atomic::Ordering};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use s3s::{S3Request, S3Response, S3Result, dto::*, s3_error};

use super::{Api, length, tag, written};
use crate::cache::{
    blocking,
    directory::Object as Found,
    download::Content,
    list::{Page, Query, list},
    record::Record,
};

/// A page of a list is no longer.
const LONGEST_PAGE: i32 = 1000;

impl Api {
    pub(super) async fn get(
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
        self.0.counts.hits.fetch_add(1, Ordering::Relaxed);
        self.0.counts.read_bytes.fetch_add(size, Ordering::Relaxed);
        Ok(S3Response::new(GetObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            body: Some(StreamingBlob::new(Content::new(file, range))),
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

    pub(super) async fn head(
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

    pub(super) async fn list_v2(
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

    pub(super) async fn list_v1(
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

    async fn page(&self, query: Query) -> S3Result<Page> {
        let shared = self.0.clone();
        blocking(move || list(&shared.directory, &query)).await
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

fn metadata(record: &Record) -> Option<HashMap<String, String>> {
    (!record.metadata.is_empty()).then(|| record.metadata.clone().into_iter().collect())
}

/// Whether what a client has, or expects, lets it read.
pub(super) fn check_conditions(
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
