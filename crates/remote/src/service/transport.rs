//! Every HTTP request to a service, and every answer: watched, authorised, and made what the stores
//! above expect.

use std::{
    collections::HashSet,
    error::Error,
    fmt,
    sync::{
        Arc, LazyLock, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::BytesMut;
use futures_util::StreamExt;
use object_store::{
    ClientConfigKey, ClientOptions, Result,
    client::{
        HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
        HttpResponseBody, HttpService,
    },
};
use reqwest::{
    Certificate, Method, StatusCode, Url,
    header::{AUTHORIZATION, CONTENT_LENGTH, HeaderValue, RETRY_AFTER},
    redirect,
};

use super::{
    bodies::{Incoming, Outgoing, Received, SLOWEST, transport_failed},
    denial::{ACCESS_DENIED, Code, Denials, NO_BUCKET, NO_CONTAINER},
    ranges,
};
use crate::{
    retry::{Health, Patience},
    throttle::Throttle,
};

/// A failure that is not a server's own word.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// Nothing came.
    #[error("no answer within {} s", .0.as_secs())]
    NoAnswer(Duration),
    /// Too little came, or went.
    #[error("less than {} bytes in {} s", SLOWEST * .0.as_secs(), .0.as_secs())]
    Stalled(Duration),
    /// Nobody waits for it any more.
    #[error("{0}; it is not asked again")]
    GivenUp(String),
    /// Another part of the object came than was asked for.
    #[error("another range came than was asked for")]
    OtherRange,
}

/// `error` as one of object_store's; by its kind that retries some by itself.
pub fn failure(kind: HttpErrorKind, error: TransportError) -> HttpError {
    HttpError::new(kind, error)
}

fn given_up(reason: &str) -> HttpError {
    // Of this kind, it is not retried.
    failure(HttpErrorKind::Unknown, TransportError::GivenUp(reason.to_owned()))
}

/// Whether the server sent another range than it was asked for.
pub fn is_other_range(error: &object_store::Error) -> bool {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(own) = error.downcast_ref::<TransportError>() {
            return *own == TransportError::OtherRange;
        }
        cause = error.source();
    }
    false
}

/// The kinds of services that differ in how they are talked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// S3, and Google's, which answers as S3 does.
    S3,
    /// Azure's.
    Azure,
    /// Plain HTTP and WebDAV.
    Http,
}

/// Makes HTTP clients for one service.
#[derive(Debug, Clone)]
pub struct Connector {
    pub service: String,
    pub dialect: Dialect,
    pub throttle: Throttle,
    pub denials: Denials,
    /// The paths of collections that were made where a server did not say why it took nothing there.
    pub collections: Arc<Mutex<HashSet<String>>>,
    pub health: Health,
    pub answer: Duration,
    pub stall: Duration,
    /// Sent with each request. reqwest does not send it on to another host.
    pub authorization: Option<HeaderValue>,
    /// Trusted besides the system's.
    pub certificates: Vec<Certificate>,
}

/// Within how long a cloud's metadata server answers, and how object_store asks for a client for it.
const METADATA_ANSWER: Duration = Duration::from_secs(1);
static METADATA: LazyLock<ClientOptions> =
    LazyLock::new(|| ClientOptions::new().with_connect_timeout(METADATA_ANSWER));

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> Result<HttpClient> {
        let is_set = |key| options.get_config_value(&key).is_some_and(|value| value == "true");
        let allow_http = is_set(ClientConfigKey::AllowHttp);
        let mut settings = self.clone();
        let connect = options.get_config_value(&ClientConfigKey::ConnectTimeout);
        if connect == METADATA.get_config_value(&ClientConfigKey::ConnectTimeout) {
            // The metadata server of a cloud, which is nearby or nowhere, is not the service.
            settings.answer = METADATA_ANSWER;
            settings.health = Health::new(&self.service, &Arc::default(), Patience::Transfer);
            settings.authorization = None;
        }
        let connections = options.get_config_value(&ClientConfigKey::PoolMaxIdlePerHost);
        let connections = connections.and_then(|n| n.parse().ok()).unwrap_or(16);
        let client = |redirects| {
            let client = reqwest::Client::builder()
                .user_agent(concat!("larder/", env!("CARGO_PKG_VERSION")))
                .pool_max_idle_per_host(connections)
                .tls_certs_merge(self.certificates.iter().cloned())
                .https_only(!allow_http)
                .redirect(redirects)
                .build();
            client.map_err(|error| object_store::Error::Generic {
                store: "HTTP",
                source: Box::new(error.without_url()),
            })
        };
        let reads = client(redirects(self.dialect))?;
        let writes = client(redirect::Policy::none())?;
        Ok(HttpClient::new(Transport { reads, writes, settings }))
    }
}

/// Redirects are followed; from a provider's to another host, they are not, since its credentials are
/// in more headers than those that are taken off.
fn redirects(dialect: Dialect) -> redirect::Policy {
    if dialect == Dialect::Http {
        return redirect::Policy::limited(5);
    }
    redirect::Policy::custom(|attempt| {
        let origin = |url: &Url| url.origin();
        let from = attempt.previous().last().map(origin);
        let stays = from == Some(attempt.url().origin()) && attempt.previous().len() <= 5;
        if stays { attempt.follow() } else { attempt.stop() }
    })
}

/// How fast a server keeps what was sent to it at the least, in bytes a second.
const KEEPING: u64 = 1 << 20;

/// Makes a collection, as WebDAV calls directories.
const MKCOL: &str = "MKCOL";

struct Transport {
    reads: reqwest::Client,
    /// For all that is not a read: redirected, it would become one, and a success would mean nothing.
    writes: reqwest::Client,
    settings: Connector,
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Transport({})", self.settings.service)
    }
}

#[async_trait]
impl HttpService for Transport {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let Connector { throttle, health, authorization, .. } = &self.settings;
        tokio::select! {
            biased;
            reason = health.until_given_up() => return Err(given_up(reason)),
            () = throttle.wait() => {}
        }
        throttle.count();
        if let Some(authorization) = authorization {
            request.headers_mut().insert(AUTHORIZATION, authorization.clone());
        }
        let asked = Asked::of(&request);
        let response = self.send(request).await?;
        if response.status().is_client_error() || response.status().is_server_error() {
            return Ok(self.refused(response, &asked).await);
        }
        self.answered(response, &asked)
    }
}

/// The part of a request that decides how its answer is read.
struct Asked {
    method: Method,
    path: String,
    is_object: bool,
    range: Option<std::ops::Range<u64>>,
}

impl Asked {
    fn of(request: &HttpRequest) -> Self {
        let range = ranges::asked(request);
        // Lists and uploads in parts have queries.
        let is_object = request.uri().query().is_none();
        let path = request.uri().path().to_owned();
        Self { method: request.method().clone(), path, is_object, range }
    }

    /// The path of the collection.
    fn parent(&self) -> String {
        self.path.rsplit_once('/').map(|(parent, _)| parent.to_owned()).unwrap_or_default()
    }

    fn is(&self, method: &Method) -> bool {
        self.is_object && self.method == method
    }
}

impl Transport {
    /// Sends a request, and waits for the beginning of an answer as long as it gets on.
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let mut url = parts.uri.to_string();
        if parts.method.as_str() == MKCOL && !url.ends_with('/') {
            // nginx makes collections only under such names.
            url.push('/');
        }
        let url = url.parse::<Url>();
        let url = url.map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))?;
        let client = if parts.method.is_safe() { &self.reads } else { &self.writes };
        let mut outgoing = reqwest::Request::new(parts.method, url);
        *outgoing.headers_mut() = parts.headers;
        let length = body.content_length() as u64;
        let (body, sent) = Outgoing::new(body);
        if length > 0 {
            *outgoing.body_mut() = Some(reqwest::Body::wrap(body));
        }
        let response = tokio::select! {
            response = client.execute(outgoing) => response.map_err(transport_failed)?,
            late = self.late(length, &sent) => {
                return Err(failure(HttpErrorKind::Timeout, late));
            }
            reason = self.settings.health.until_given_up() => return Err(given_up(reason)),
        };
        let (status, headers) = (response.status(), response.headers().clone());
        let body = Received(reqwest::Body::from(response));
        let mut response = HttpResponse::new(HttpResponseBody::new(body));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }

    /// Ends when an answer is late: when it has not begun, or a body of `length` bytes does not leave.
    async fn late(&self, length: u64, sent: &Arc<AtomicU64>) -> TransportError {
        let Connector { health, answer, stall, .. } = &self.settings;
        let mut before = 0;
        loop {
            let was_sending = before < length;
            let window = match was_sending {
                true => *stall.max(answer),
                // It may keep what came before it says so.
                false => *answer + Duration::from_secs(length / KEEPING),
            };
            tokio::time::sleep(window).await;
            let now = sent.load(Ordering::Relaxed);
            let enough = (SLOWEST * window.as_secs()).min(length - before);
            if was_sending && now - before >= enough {
                before = now;
                continue;
            }
            let late = match was_sending {
                true => TransportError::Stalled(window),
                false => TransportError::NoAnswer(window),
            };
            health.late(window, &late.to_string());
            return late;
        }
    }

    /// An answer that says no. A server's words may quote the request, its signature and key
    /// included; nothing is kept of them but a code that is known.
    async fn refused(&self, response: HttpResponse, asked: &Asked) -> HttpResponse {
        let Connector { service, dialect, throttle, denials, collections, health, answer, .. } =
            &self.settings;
        if let Some(after) = response.headers().get(RETRY_AFTER).and_then(|it| it.to_str().ok()) {
            let delay = throttle.heed(after);
            health.told_to_wait(delay, *answer);
        }
        let (mut parts, body) = response.into_parts();
        let mut code = None;
        if *dialect != Dialect::Http
            && parts.status == StatusCode::NOT_FOUND
            && asked.method != Method::HEAD
        {
            let found = Code::in_body(&self.beginning(body).await);
            code = found.filter(|code| [NO_BUCKET, NO_CONTAINER].contains(code));
        } else if *dialect == Dialect::S3 && parts.status == StatusCode::FORBIDDEN {
            code = Code::in_body(&self.beginning(body).await);
            if asked.is(&Method::GET) && code == Some(ACCESS_DENIED) {
                denials.hide_what_is_missing(service);
                parts.status = StatusCode::NOT_FOUND;
            } else if asked.is(&Method::HEAD) && denials.do_hide_what_is_missing() {
                parts.status = StatusCode::NOT_FOUND;
            }
        } else if *dialect == Dialect::S3 && parts.status == StatusCode::BAD_REQUEST {
            let found = Code::in_body(&self.beginning(body).await);
            code = found.filter(|code| code.refusal().is_some());
        }
        // nginx says so where the collection is missing, for which others have 409 (Conflict). That
        // makes the store above make it, once.
        if asked.method == Method::PUT
            && *dialect == Dialect::Http
            && parts.status == StatusCode::INTERNAL_SERVER_ERROR
            && collections.lock().unwrap_or_else(PoisonError::into_inner).insert(asked.parent())
        {
            parts.status = StatusCode::CONFLICT;
        }
        // There already, for all who cannot make it: what needs it will say so.
        if asked.method.as_str() == MKCOL && parts.status == StatusCode::METHOD_NOT_ALLOWED {
            parts.status = StatusCode::OK;
        }
        let code = code.map(|code| code.to_string()).unwrap_or_default();
        parts.headers.remove(CONTENT_LENGTH);
        HttpResponse::from_parts(parts, code.into())
    }

    /// The first bytes of a body, as far as they arrive.
    async fn beginning(&self, body: HttpResponseBody) -> BytesMut {
        const ENOUGH: usize = 16 << 10;
        let mut bytes = BytesMut::new();
        let mut body = self.watched(body).bytes_stream();
        while bytes.len() < ENOUGH
            && let Some(Ok(more)) = body.next().await
        {
            bytes.extend_from_slice(&more);
        }
        bytes
    }

    fn watched(&self, body: HttpResponseBody) -> HttpResponseBody {
        let Connector { stall, health, .. } = &self.settings;
        HttpResponseBody::new(Incoming::new(body, *stall, health.clone()))
    }

    /// An answer that says yes, or redirects.
    fn answered(&self, response: HttpResponse, asked: &Asked) -> Result<HttpResponse, HttpError> {
        let (mut parts, body) = response.into_parts();
        let is_read = asked.method == Method::GET || asked.method == Method::HEAD;
        if is_read && asked.range.is_none() && !parts.headers.contains_key(CONTENT_LENGTH) {
            // Who sends in chunks knows no length. Who reads everything needs none, and one that is wrong
            // makes no pack look as if it were there.
            parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(0));
        }
        let response = HttpResponse::from_parts(parts, self.watched(body));
        match &asked.range {
            Some(range) if asked.method == Method::GET && response.status().is_success() => {
                let other = || failure(HttpErrorKind::Unknown, TransportError::OtherRange);
                ranges::made_exact(response, range).ok_or_else(other)
            }
            _ => Ok(response),
        }
    }
}
