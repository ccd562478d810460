//! Having the server run an action.

use std::time::Duration;

use prost::Message;
use tokio::sync::watch;
use tonic::{Code, Response, Status, Streaming};

use crate::{
    client::Client,
    digest::Digest,
    error::{Error, Meaning, describe, meaning},
    retry::{Silent, within},
    wire::{
        longrunning::{CancelOperationRequest, GetOperationRequest, Operation, operation},
        re::{self, digest_function::Value as Function},
        rpc,
    },
};

/// How often an execution is asked for in all, when it comes to nothing.
const ATTEMPTS: u32 = 4;

/// How long the server has to take note that nobody wants a result any more.
const FAREWELL: Duration = Duration::from_secs(1);

/// Whether the build is being ended.
pub type Stop = watch::Receiver<bool>;

/// What came of running an action.
#[derive(Debug)]
pub struct Executed {
    /// The result.
    pub result: re::ActionResult,
    /// Whether the server knew it already.
    pub cached: bool,
}

impl Client {
    /// Has an action run, all of whose inputs are there. `again` has it run though its result is known.
    ///
    /// # Errors
    /// The server does not answer, lacks inputs, cannot run it, or the build is being ended: then the server is told.
    pub async fn execute(
        &self,
        action: Digest,
        again: bool,
        stop: &mut Stop,
    ) -> Result<Executed, Error> {
        let mut trouble = String::new();
        for _ in 0..ATTEMPTS {
            if let Some(reason) = self.breaker.given_up() {
                return Err(Error::GivenUp(reason));
            }
            let operations = self.breaker.ask("Execute", self.patience, async || {
                let request = re::ExecuteRequest {
                    instance_name: self.instance.clone(),
                    action_digest: Some(action.to_wire()),
                    skip_cache_lookup: again,
                    digest_function: Function::Sha256.into(),
                    inline_stdout: true,
                    inline_stderr: true,
                    ..Default::default()
                };
                // Servers may refuse it with what is missing before there is a stream.
                match self.executions().execute(request).await {
                    Err(status) if status.code() == Code::FailedPrecondition => {
                        Ok(Response::new(Err(status)))
                    }
                    answer => answer.map(|streamed| Response::new(Ok(streamed.into_inner()))),
                }
            });
            let operations = match operations.await? {
                Ok(operations) => operations,
                Err(status) => return Err(precondition(&status)),
            };
            match self.follow(operations, stop).await {
                Ok(response) => match judged(response) {
                    Ok(executed) => return Ok(executed),
                    Err(Error::Unavailable(text)) => trouble = text,
                    Err(error) => return Err(error),
                },
                Err(Lost::Interrupted) => return Err(Error::Interrupted),
                Err(Lost::Status(status)) => {
                    if status.code() == Code::FailedPrecondition {
                        return Err(precondition(&status));
                    }
                    if meaning(&status) == Meaning::Final {
                        return Err(Error::Refused(describe(&status)));
                    }
                    trouble = describe(&status);
                }
            }
        }
        Err(Error::Unavailable(trouble))
    }

    /// Waits for the end of an operation, however long it takes: while it is silent, the server is asked whether it is
    /// still there.
    async fn follow(
        &self,
        mut operations: Streaming<Operation>,
        stop: &mut Stop,
    ) -> Result<re::ExecuteResponse, Lost> {
        let mut name = String::new();
        loop {
            let next = tokio::select! {
                next = within(self.patience, operations.message()) => next,
                _ = stop.wait_for(|stop| *stop) => {
                    // It may have begun without having said its name yet.
                    if name.is_empty()
                        && let Ok(Ok(Some(begun))) = within(FAREWELL, operations.message()).await
                    {
                        name = begun.name;
                    }
                    self.cancel(name).await;
                    return Err(Lost::Interrupted);
                }
            };
            let operation = match next {
                Ok(Ok(Some(operation))) => {
                    self.breaker.answered();
                    operation
                }
                Ok(Ok(None)) => return Err(Lost::Status(Status::unavailable("it was cut off"))),
                Ok(Err(status)) => return Err(Lost::Status(status)),
                Err(Silent) if name.is_empty() => {
                    return Err(Lost::Status(Status::deadline_exceeded("it does not begin")));
                }
                Err(Silent) => match self.look(&name).await.map_err(Lost::Status)? {
                    Some(operation) => operation,
                    None => continue,
                },
            };
            name.clone_from(&operation.name);
            if operation.done {
                return response(operation).map_err(Lost::Status);
            }
        }
    }

    /// Returns how far an operation is; none where the server is there and does not tell.
    async fn look(&self, name: &str) -> Result<Option<Operation>, Status> {
        let asked = self.breaker.ask("GetOperation", self.patience, async || {
            let request = GetOperationRequest { name: name.to_owned() };
            match self.operations().get_operation(request).await {
                Err(status) if status.code() == Code::Unimplemented => Ok(Response::new(None)),
                answer => answer.map(|operation| Response::new(Some(operation.into_inner()))),
            }
        });
        asked.await.map_err(|error| Status::unavailable(error.to_string()))
    }

    /// Tells the server that nobody wants the result of an operation any more.
    async fn cancel(&self, name: String) {
        if !name.is_empty() {
            let mut operations = self.operations();
            let request = CancelOperationRequest { name };
            // Whether it takes note is its own business.
            let _ = within(FAREWELL, operations.cancel_operation(request)).await;
        }
    }
}

/// Why the end of an operation was not seen.
enum Lost {
    Status(Status),
    Interrupted,
}

/// Returns what an operation that is done says.
fn response(operation: Operation) -> Result<re::ExecuteResponse, Status> {
    match operation.result {
        Some(operation::Result::Response(any)) => re::ExecuteResponse::decode(&*any.value)
            .map_err(|_| Status::internal("its answer is no answer to that")),
        Some(operation::Result::Error(status)) => Err(of_message(&status)),
        None => Err(Status::internal("its operation ended without a result")),
    }
}

fn of_message(status: &rpc::Status) -> Status {
    Status::with_details(
        Code::from_i32(status.code),
        status.message.clone(),
        status.encode_to_vec().into(),
    )
}

/// Returns the result of an execution; one that came to no end is none.
fn judged(response: re::ExecuteResponse) -> Result<Executed, Error> {
    let status = response.status.filter(|status| status.code != 0).map(|it| of_message(&it));
    match (status, response.result) {
        (None, Some(result)) => Ok(Executed { result, cached: response.cached_result }),
        (None, None) => Err(Error::Unavailable("it gave no result".to_owned())),
        (Some(status), _) if status.code() == Code::FailedPrecondition => {
            Err(precondition(&status))
        }
        (Some(status), _) if meaning(&status) == Meaning::Final => {
            Err(Error::Refused(describe(&status)))
        }
        (Some(status), _) => Err(Error::Unavailable(describe(&status))),
    }
}

/// The error of a server that cannot begin: inputs are missing, as a rule.
fn precondition(status: &Status) -> Error {
    let details = rpc::Status::decode(status.details()).unwrap_or_default();
    let failures =
        details.details.iter().filter(|any| any.type_url.ends_with("PreconditionFailure"));
    let subjects = failures.flat_map(|any| {
        let failure = PreconditionFailure::decode(&*any.value).unwrap_or_default();
        failure.violations.into_iter().filter(|it| it.kind == "MISSING").map(|it| it.subject)
    });
    let missing = subjects.filter_map(|subject| {
        let (before, size) = subject.rsplit_once('/')?;
        let hash = before.rsplit_once("blobs/")?.1.to_owned();
        Digest::parse(&re::Digest { hash, size_bytes: size.parse().ok()? })
    });
    // Some do not say which.
    Error::Missing(missing.collect())
}

/// `google.rpc.PreconditionFailure`, of which the generated code has nothing.
#[derive(Clone, PartialEq, Message)]
struct PreconditionFailure {
    #[prost(message, repeated, tag = "1")]
    violations: Vec<Violation>,
}

#[derive(Clone, PartialEq, Message)]
struct Violation {
    #[prost(string, tag = "1")]
    kind: String,
    #[prost(string, tag = "2")]
    subject: String,
    #[prost(string, tag = "3")]
    description: String,
}
