//! Connections to servers.

use std::{
    fs, io,
    path::{Path, PathBuf},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use hyper_util::rt::TokioIo;
use prost::Message;
use tokio::net::UnixStream;
use tonic::{
    Request, Status,
    metadata::{AsciiMetadataKey, AsciiMetadataValue, BinaryMetadataValue, MetadataMap},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity, Uri},
};

use crate::{address::Address, settings::Settings, wire::re};

/// A connection whose requests have the headers of the settings.
pub type Connection = InterceptedService<Channel, Headers>;

/// Why a server cannot be asked at all.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// A file of certificates or keys cannot be read.
    #[error("cannot read {}: {}", path.display(), larder_trace::describe_io(source))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A header is none.
    #[error("the header {0:?} cannot be sent")]
    Header(String),
    /// The address or the certificates are not what they should be.
    #[error("{0}")]
    Transport(String),
}

/// How often a silent connection is asked whether anybody is there.
const PING: Duration = Duration::from_secs(5);

/// Opens a connection to a server, which is made when something is asked.
///
/// # Errors
/// When the settings cannot be used.
pub fn open(settings: &Settings) -> Result<Connection, ConnectError> {
    let transport = |error: tonic::transport::Error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
        ConnectError::Transport(format!("{error}{}", cause.unwrap_or_default()))
    };
    let url = match &settings.address {
        Address::Plain(host) => format!("http://{host}"),
        Address::Tls(host) => format!("https://{host}"),
        Address::Unix(_) => "http://localhost".to_owned(),
    };
    let mut endpoint = Endpoint::from_shared(url)
        .map_err(transport)?
        .connect_timeout(settings.patience)
        .http2_keep_alive_interval(PING)
        .keep_alive_timeout(settings.patience)
        .tcp_nodelay(true)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(16 << 20);
    if let Address::Tls(_) = settings.address {
        endpoint = endpoint.tls_config(tls(settings)?).map_err(transport)?;
    }
    let channel = match &settings.address {
        Address::Unix(path) => endpoint.connect_with_connector_lazy(Socket(path.clone())),
        Address::Plain(_) | Address::Tls(_) => endpoint.connect_lazy(),
    };
    Ok(InterceptedService::new(channel, Headers::new(settings)?))
}

fn tls(settings: &Settings) -> Result<ClientTlsConfig, ConnectError> {
    let read = |path: &Path| {
        fs::read(path).map_err(|source| ConnectError::Unreadable { path: path.to_owned(), source })
    };
    let mut tls = ClientTlsConfig::new().with_native_roots();
    if let Some(path) = &settings.ca_certificates {
        tls = tls.ca_certificate(Certificate::from_pem(read(path)?));
    }
    if let Some((certificate, key)) = &settings.identity {
        tls = tls.identity(Identity::from_pem(read(certificate)?, read(key)?));
    }
    Ok(tls)
}

/// Headers that every request has.
#[derive(Clone)]
pub struct Headers(MetadataMap);

impl Headers {
    fn new(settings: &Settings) -> Result<Self, ConnectError> {
        let mut map = MetadataMap::new();
        for (name, value) in &settings.headers {
            // Its value may be a secret.
            let wrong = || ConnectError::Header(name.clone());
            let key = AsciiMetadataKey::from_bytes(name.to_ascii_lowercase().as_bytes());
            let mut value = AsciiMetadataValue::try_from(value.as_str()).map_err(|_| wrong())?;
            value.set_sensitive(true);
            map.append(key.map_err(|_| wrong())?, value);
        }
        let tool = re::ToolDetails {
            tool_name: "larder".to_owned(),
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let metadata = re::RequestMetadata { tool_details: Some(tool), ..Default::default() };
        let value = BinaryMetadataValue::from_bytes(&metadata.encode_to_vec());
        map.insert_bin("build.bazel.remote.execution.v2.requestmetadata-bin", value);
        Ok(Self(map))
    }
}

impl Interceptor for Headers {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let mut all = std::mem::take(request.metadata_mut()).into_headers();
        all.extend(self.0.clone().into_headers());
        *request.metadata_mut() = MetadataMap::from_headers(all);
        Ok(request)
    }
}

/// A socket of this machine.
struct Socket(PathBuf);

impl tower_service::Service<Uri> for Socket {
    type Response = TokioIo<UnixStream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let path = self.0.clone();
        Box::pin(async move { Ok(TokioIo::new(UnixStream::connect(path).await?)) })
    }
}
