//! The calls of the server that fails as it is told to.

use std::{pin::Pin, sync::Arc};

use bazel_remote_apis::{
    build::bazel::remote::execution::v2::{
        self as re, ActionResult, action_cache_server::ActionCache,
        capabilities_server::Capabilities,
        content_addressable_storage_server::ContentAddressableStorage, execution_server::Execution,
    },
    google::{
        bytestream::{self as bs, byte_stream_server::ByteStream},
        longrunning::{self as lr, Operation, operations_server::Operations},
        protobuf::{Any, Empty},
        rpc,
    },
};
use futures_util::{Stream, StreamExt, stream};
use prost::Message;
use tonic::{Code, Request, Response, Status, Streaming, async_trait};

use super::faulty::{State, hash, lock};

type Reply<T> = Result<Response<T>, Status>;
type Replies<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[derive(Clone)]
pub(super) struct Service(pub Arc<State>);

fn status(code: Code) -> Option<rpc::Status> {
    Some(rpc::Status { code: code as i32, ..Default::default() })
}

#[async_trait]
impl Capabilities for Service {
    async fn get_capabilities(
        &self,
        request: Request<re::GetCapabilitiesRequest>,
    ) -> Reply<re::ServerCapabilities> {
        self.0.enter("GetCapabilities", &request, &request.get_ref().instance_name).await?;
        let behaviour = self.0.behaviour();
        let sha256 = re::digest_function::Value::Sha256 as i32;
        Ok(Response::new(re::ServerCapabilities {
            cache_capabilities: Some(re::CacheCapabilities {
                digest_functions: vec![sha256],
                action_cache_update_capabilities: Some(re::ActionCacheUpdateCapabilities {
                    update_enabled: behaviour.takes_results,
                }),
                max_batch_total_size_bytes: behaviour.max_batch,
                ..Default::default()
            }),
            execution_capabilities: Some(re::ExecutionCapabilities {
                digest_function: sha256,
                exec_enabled: behaviour.executes,
                ..Default::default()
            }),
            ..Default::default()
        }))
    }
}

#[async_trait]
impl ContentAddressableStorage for Service {
    async fn find_missing_blobs(
        &self,
        request: Request<re::FindMissingBlobsRequest>,
    ) -> Reply<re::FindMissingBlobsResponse> {
        self.0.enter("FindMissingBlobs", &request, &request.get_ref().instance_name).await?;
        let blobs = lock(&self.0.blobs);
        let mut asked = request.into_inner().blob_digests;
        asked.retain(|digest| !blobs.contains_key(&digest.hash));
        Ok(Response::new(re::FindMissingBlobsResponse { missing_blob_digests: asked }))
    }

    async fn batch_update_blobs(
        &self,
        request: Request<re::BatchUpdateBlobsRequest>,
    ) -> Reply<re::BatchUpdateBlobsResponse> {
        self.0.enter("BatchUpdateBlobs", &request, &request.get_ref().instance_name).await?;
        let responses = request.into_inner().requests.into_iter().map(|one| {
            let right = one.digest.as_ref().is_some_and(|digest| digest.hash == hash(&one.data));
            let code = if right { Code::Ok } else { Code::InvalidArgument };
            if right {
                self.0.put(one.data);
            }
            re::batch_update_blobs_response::Response { digest: one.digest, status: status(code) }
        });
        Ok(Response::new(re::BatchUpdateBlobsResponse { responses: responses.collect() }))
    }

    async fn batch_read_blobs(
        &self,
        request: Request<re::BatchReadBlobsRequest>,
    ) -> Reply<re::BatchReadBlobsResponse> {
        self.0.enter("BatchReadBlobs", &request, &request.get_ref().instance_name).await?;
        let responses = request.into_inner().digests.into_iter().map(|digest| {
            let (data, code) = match self.0.content(&digest.hash) {
                Some(data) => (data, Code::Ok),
                None => (Vec::new(), Code::NotFound),
            };
            re::batch_read_blobs_response::Response {
                digest: Some(digest),
                data,
                status: status(code),
                ..Default::default()
            }
        });
        Ok(Response::new(re::BatchReadBlobsResponse { responses: responses.collect() }))
    }

    type GetTreeStream = Replies<re::GetTreeResponse>;

    async fn get_tree(&self, _: Request<re::GetTreeRequest>) -> Reply<Self::GetTreeStream> {
        Err(Status::unimplemented("nobody asks for it"))
    }

    async fn split_blob(&self, _: Request<re::SplitBlobRequest>) -> Reply<re::SplitBlobResponse> {
        Err(Status::unimplemented("nobody asks for it"))
    }

    async fn splice_blob(
        &self,
        _: Request<re::SpliceBlobRequest>,
    ) -> Reply<re::SpliceBlobResponse> {
        Err(Status::unimplemented("nobody asks for it"))
    }

    type GetChunkMappingStream = Replies<re::GetChunkMappingResponse>;

    async fn get_chunk_mapping(
        &self,
        _: Request<re::GetChunkMappingRequest>,
    ) -> Reply<Self::GetChunkMappingStream> {
        Err(Status::unimplemented("nobody asks for it"))
    }

    async fn register_chunk_mapping(
        &self,
        _: Request<Streaming<re::RegisterChunkMappingRequest>>,
    ) -> Reply<re::RegisterChunkMappingResponse> {
        Err(Status::unimplemented("nobody asks for it"))
    }
}

/// The instance in the name of a resource, and the rest of it.
fn resource<'a>(name: &'a str, mark: &str) -> (&'a str, &'a str) {
    match name.find(mark) {
        Some(0) | None => ("", name),
        Some(at) => (name[..at].trim_end_matches('/'), &name[at..]),
    }
}

#[async_trait]
impl ByteStream for Service {
    type ReadStream = Replies<bs::ReadResponse>;

    async fn read(&self, request: Request<bs::ReadRequest>) -> Reply<Self::ReadStream> {
        let name = request.get_ref().resource_name.clone();
        let (instance, rest) = resource(&name, "blobs/");
        self.0.enter("Read", &request, instance).await?;
        let hash = rest.split('/').nth(1).unwrap_or_default();
        let bytes = self.0.content(hash).ok_or_else(|| Status::not_found("no such content"))?;
        let offset = request.get_ref().read_offset as usize;
        let bytes = bytes.get(offset..).unwrap_or_default().to_vec();
        let pieces =
            bytes.chunks(64 << 10).map(|data| Ok(bs::ReadResponse { data: data.to_vec() }));
        let mut pieces: Vec<Result<_, Status>> = pieces.collect();
        if self.0.happens(self.0.behaviour().cuts) {
            pieces.truncate(pieces.len() / 2);
            pieces.push(Err(Status::unavailable("cut off")));
        }
        Ok(Response::new(stream::iter(pieces).boxed()))
    }

    async fn write(
        &self,
        request: Request<Streaming<bs::WriteRequest>>,
    ) -> Reply<bs::WriteResponse> {
        let (metadata, extensions, mut pieces) = request.into_parts();
        let mut name = String::new();
        while let Some(piece) = pieces.message().await? {
            if name.is_empty() {
                name.clone_from(&piece.resource_name);
                let request = Request::from_parts(metadata.clone(), extensions.clone(), ());
                let (instance, _) = resource(&name, "uploads/");
                self.0.enter("Write", &request, instance).await?;
            }
            let mut uploads = lock(&self.0.uploads);
            let bytes = uploads.entry(name.clone()).or_default();
            if piece.write_offset as usize != bytes.len() {
                return Err(Status::invalid_argument("that is not where it goes on"));
            }
            bytes.extend(piece.data);
            let committed_size = bytes.len() as i64;
            if piece.finish_write {
                let bytes = uploads.remove(&name).unwrap();
                let wanted = name.rsplit('/').nth(1).unwrap_or_default();
                if hash(&bytes) != wanted {
                    return Err(Status::invalid_argument("these are other bytes"));
                }
                self.0.put(bytes);
                return Ok(Response::new(bs::WriteResponse { committed_size }));
            }
            drop(uploads);
            if self.0.happens(self.0.behaviour().cuts) {
                return Err(Status::unavailable("cut off"));
            }
        }
        Err(Status::cancelled("it did not end"))
    }

    async fn query_write_status(
        &self,
        request: Request<bs::QueryWriteStatusRequest>,
    ) -> Reply<bs::QueryWriteStatusResponse> {
        let name = request.get_ref().resource_name.clone();
        self.0.enter("QueryWriteStatus", &request, resource(&name, "uploads/").0).await?;
        let committed = lock(&self.0.uploads).get(&name).map(Vec::len);
        let committed = committed.ok_or_else(|| Status::not_found("no such upload"))?;
        let committed_size = committed as i64;
        Ok(Response::new(bs::QueryWriteStatusResponse { committed_size, complete: false }))
    }
}

#[async_trait]
impl ActionCache for Service {
    async fn get_action_result(
        &self,
        request: Request<re::GetActionResultRequest>,
    ) -> Reply<ActionResult> {
        self.0.enter("GetActionResult", &request, &request.get_ref().instance_name).await?;
        let action = request.into_inner().action_digest.unwrap_or_default().hash;
        let result = lock(&self.0.results).get(&action).cloned();
        result.map(Response::new).ok_or_else(|| Status::not_found("no result"))
    }

    async fn update_action_result(
        &self,
        request: Request<re::UpdateActionResultRequest>,
    ) -> Reply<ActionResult> {
        self.0.enter("UpdateActionResult", &request, &request.get_ref().instance_name).await?;
        if !self.0.behaviour().takes_results {
            return Err(Status::permission_denied("nobody may write here"));
        }
        let request = request.into_inner();
        let result = request.action_result.unwrap_or_default();
        let action = request.action_digest.unwrap_or_default().hash;
        lock(&self.0.results).insert(action, result.clone());
        Ok(Response::new(result))
    }
}

#[async_trait]
impl Execution for Service {
    type ExecuteStream = Replies<Operation>;

    async fn execute(&self, request: Request<re::ExecuteRequest>) -> Reply<Self::ExecuteStream> {
        self.0.enter("Execute", &request, &request.get_ref().instance_name).await?;
        let request = request.into_inner();
        let action = request.action_digest.unwrap_or_default().hash;
        let state = self.0.clone();
        let queued = Operation { name: action.clone(), ..Default::default() };
        let done = async move {
            let response = state.execute(&action, request.skip_cache_lookup).await;
            let value = response.encode_to_vec();
            let any = Any { type_url: "type.googleapis.com/ExecuteResponse".to_owned(), value };
            let result = Some(lr::operation::Result::Response(any));
            Ok(Operation { name: action, done: true, result, ..Default::default() })
        };
        let operations = stream::iter([Ok(queued)]).chain(stream::once(done));
        if self.0.happens(self.0.behaviour().cuts) {
            let cut = stream::once(async { Err(Status::unavailable("cut off")) });
            return Ok(Response::new(operations.take(1).chain(cut).boxed()));
        }
        Ok(Response::new(operations.boxed()))
    }

    type WaitExecutionStream = Replies<Operation>;

    async fn wait_execution(
        &self,
        _: Request<re::WaitExecutionRequest>,
    ) -> Reply<Self::WaitExecutionStream> {
        Err(Status::unimplemented("nobody asks for it"))
    }
}

#[async_trait]
impl Operations for Service {
    async fn list_operations(
        &self,
        _: Request<lr::ListOperationsRequest>,
    ) -> Reply<lr::ListOperationsResponse> {
        Err(Status::unimplemented("nobody asks for it"))
    }

    async fn get_operation(&self, _: Request<lr::GetOperationRequest>) -> Reply<Operation> {
        Err(Status::unimplemented("it does not tell"))
    }

    async fn delete_operation(&self, _: Request<lr::DeleteOperationRequest>) -> Reply<Empty> {
        Err(Status::unimplemented("nobody asks for it"))
    }

    async fn cancel_operation(&self, _: Request<lr::CancelOperationRequest>) -> Reply<Empty> {
        *lock(&self.0.counts).calls.entry("CancelOperation").or_default() += 1;
        Ok(Response::new(Empty::default()))
    }

    async fn wait_operation(&self, _: Request<lr::WaitOperationRequest>) -> Reply<Operation> {
        Err(Status::unimplemented("nobody asks for it"))
    }
}
