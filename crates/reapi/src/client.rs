//! A server, as far as one build talks to it.

use std::time::Duration;

use tokio::sync::OnceCell;

use crate::{
    channel::{self, ConnectError, Connection},
    digest::Digest,
    error::Error,
    fetch::Waiting,
    retry::Breaker,
    settings::Settings,
    wire::{
        bytestream::byte_stream_client::ByteStreamClient,
        longrunning::operations_client::OperationsClient,
        re::{
            self, action_cache_client::ActionCacheClient, capabilities_client::CapabilitiesClient,
            content_addressable_storage_client::ContentAddressableStorageClient,
            digest_function::Value as Function, execution_client::ExecutionClient,
        },
    },
};

/// The largest message that is sent where the server does not say what it takes: less than the 4 MiB that gRPC's
/// libraries take.
const MESSAGE: usize = (4 << 20) - (64 << 10);

/// The largest message that is taken.
const MOST_TAKEN: usize = 32 << 20;

/// A server, and what is known of it.
pub struct Client {
    connection: Connection,
    pub(crate) instance: String,
    pub(crate) patience: Duration,
    pub(crate) breaker: Breaker,
    abilities: OnceCell<Abilities>,
    pub(crate) waiting: Waiting,
}

/// What a server can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Abilities {
    /// Whether it runs actions.
    pub executes: bool,
    /// Whether whoever asks may write to its action cache.
    pub takes_results: bool,
    /// How many bytes of contents one message may have.
    pub message: usize,
}

impl Client {
    /// A server to be asked. Nothing is sent yet.
    ///
    /// # Errors
    /// The settings cannot be used.
    pub fn new(settings: &Settings) -> Result<Self, ConnectError> {
        Ok(Self {
            connection: channel::open(settings)?,
            instance: settings.instance.clone(),
            patience: settings.patience,
            breaker: Breaker::default(),
            abilities: OnceCell::new(),
            waiting: Waiting::default(),
        })
    }

    pub(crate) fn contents(&self) -> ContentAddressableStorageClient<Connection> {
        let client = ContentAddressableStorageClient::new(self.connection.clone());
        client.max_decoding_message_size(MOST_TAKEN)
    }

    pub(crate) fn streams(&self) -> ByteStreamClient<Connection> {
        ByteStreamClient::new(self.connection.clone()).max_decoding_message_size(MOST_TAKEN)
    }

    pub(crate) fn executions(&self) -> ExecutionClient<Connection> {
        ExecutionClient::new(self.connection.clone()).max_decoding_message_size(MOST_TAKEN)
    }

    pub(crate) fn operations(&self) -> OperationsClient<Connection> {
        OperationsClient::new(self.connection.clone())
    }

    fn results(&self) -> ActionCacheClient<Connection> {
        ActionCacheClient::new(self.connection.clone()).max_decoding_message_size(MOST_TAKEN)
    }

    /// Returns what the server can do, asked once.
    ///
    /// # Errors
    /// It does not answer, or is of no use: it knows no SHA-256.
    pub async fn abilities(&self) -> Result<Abilities, Error> {
        let ask = async || {
            let instance_name = self.instance.clone();
            let answer = self.breaker.ask("GetCapabilities", self.patience, async || {
                let request = re::GetCapabilitiesRequest { instance_name: instance_name.clone() };
                CapabilitiesClient::new(self.connection.clone()).get_capabilities(request).await
            });
            Abilities::of(answer.await?)
        };
        self.abilities.get_or_try_init(ask).await.copied()
    }

    /// Returns what is known to come of an action, if that is known. The server may send the contents of the outputs at
    /// `paths` with it.
    ///
    /// # Errors
    /// The server does not answer, or does not let whoever asks.
    pub async fn result(
        &self,
        action: Digest,
        paths: &[String],
    ) -> Result<Option<re::ActionResult>, Error> {
        let answer = self.breaker.ask("GetActionResult", self.patience, async || {
            let request = re::GetActionResultRequest {
                instance_name: self.instance.clone(),
                action_digest: Some(action.to_wire()),
                inline_stdout: true,
                inline_stderr: true,
                inline_output_files: paths.to_vec(),
                ..Default::default()
            };
            self.results().get_action_result(request).await
        });
        match answer.await {
            Ok(result) => Ok(Some(result)),
            Err(Error::Missing(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes down what comes of an action.
    ///
    /// # Errors
    /// The server does not answer, or does not let whoever asks.
    pub async fn keep_result(
        &self,
        action: Digest,
        result: &re::ActionResult,
    ) -> Result<(), Error> {
        let answer = self.breaker.ask("UpdateActionResult", self.patience, async || {
            let request = re::UpdateActionResultRequest {
                instance_name: self.instance.clone(),
                action_digest: Some(action.to_wire()),
                action_result: Some(result.clone()),
                digest_function: Function::Sha256.into(),
                ..Default::default()
            };
            self.results().update_action_result(request).await
        });
        answer.await.map(drop)
    }
}

impl Abilities {
    fn of(said: re::ServerCapabilities) -> Result<Self, Error> {
        let cache = said.cache_capabilities.unwrap_or_default();
        if !cache.digest_functions.contains(&Function::Sha256.into()) {
            let text = "it does not know SHA-256, by which larder names contents";
            return Err(Error::Refused(text.to_owned()));
        }
        let executes = said.execution_capabilities.is_some_and(|execution| execution.exec_enabled);
        let updates = cache.action_cache_update_capabilities;
        Ok(Self {
            executes,
            takes_results: updates.is_some_and(|updates| updates.update_enabled),
            message: usize::try_from(cache.max_batch_total_size_bytes)
                .ok()
                .filter(|most| *most > 0)
                .map_or(MESSAGE, |most| most.min(MESSAGE)),
        })
    }
}
