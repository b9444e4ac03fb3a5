//! A gate in front of a service: `proxy CONFIG UPSTREAM LISTEN`, for example
//! `proxy config.json http://127.0.0.1:8000 127.0.0.1:8045`.
//!
//! What is allowed is forwarded, bodies and web sockets as they come. Errors are answered in one
//! sentence; nothing of a request is logged but the decision.

use std::convert::Infallible;
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TE, TRANSFER_ENCODING, UPGRADE};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use keygate_tower::keygate::Reason;
use keygate_tower::{Allowed, Drain, Drained, Gate, RequestBody};
use tokio::net::TcpListener;
use tower::ServiceBuilder;

mod shared;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Body = UnsyncBoxBody<Bytes, BoxError>;

/// For a request's head, and an idle connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(8);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_HEADERS: usize = 1000;

#[tokio::main]
async fn main() -> ExitCode {
    shared::log();
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [config, upstream, listen] = arguments.as_slice() else {
        eprintln!("Usage: proxy CONFIG http://HOST:PORT LISTEN");
        return ExitCode::from(2);
    };
    match run(config, upstream, listen).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(config: &str, upstream: &str, listen: &str) -> Result<(), BoxError> {
    let upstream: Authority = upstream
        .strip_prefix("http://")
        .ok_or("the upstream must be http://HOST:PORT")?
        .parse()?;
    let gate = shared::gate(config.into())?;
    let listener = TcpListener::bind(listen).await?;
    let graceful = GracefulShutdown::new();
    let forwarder = Forwarder::new(upstream);
    tokio::select! {
        () = shared::end() => {}
        error = serve(&listener, &gate, &forwarder, &graceful) => return Err(error),
    }
    drop(listener);
    let _ = tokio::time::timeout(SHUTDOWN_TIMEOUT, graceful.shutdown()).await;
    Ok(())
}

async fn serve(
    listener: &TcpListener,
    gate: &Gate,
    forwarder: &Forwarder,
    graceful: &GracefulShutdown,
) -> BoxError {
    let mut server = Builder::new(TokioExecutor::new()).http1_only();
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(MAX_HEADERS)
        .preserve_header_case(true);
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => return error.into(),
        };
        let _ = stream.set_nodelay(true);
        let forwarder = forwarder.clone();
        let service = ServiceBuilder::new()
            .layer(Drain::new())
            .layer(gate.layer().explain(true))
            .service_fn(move |request| forwarder.clone().answer(request));
        let connection = server.serve_connection_with_upgrades(
            TokioIo::new(stream),
            TowerToHyperService::new(service),
        );
        let connection = graceful.watch(connection.into_owned());
        tokio::spawn(async move { connection.await.is_ok() });
    }
}

#[derive(Clone)]
struct Forwarder {
    upstream: Authority,
    client: Client<HttpConnector, Body>,
}

impl Forwarder {
    fn new(upstream: Authority) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let client = Client::builder(TokioExecutor::new())
            .http1_preserve_header_case(true)
            .http1_max_headers(MAX_HEADERS)
            .build(connector);
        Self { upstream, client }
    }

    async fn answer(
        self,
        request: Request<RequestBody<Drained<Incoming>>>,
    ) -> Result<Response<Body>, Infallible> {
        let Some(uri) = self.target(&request) else {
            return Ok(own(
                StatusCode::BAD_REQUEST,
                "This request target cannot be forwarded unchanged.",
            ));
        };
        Ok(self.forward(uri, request).await.unwrap_or_else(|error| {
            tracing::error!("upstream failed: {error}");
            own(
                StatusCode::BAD_GATEWAY,
                "The service behind this proxy cannot be reached.",
            )
        }))
    }

    /// Where to forward to: the target that was decided about, of the absolute form what an origin is
    /// asked for. `None` for what is no target.
    fn target<B>(&self, request: &Request<B>) -> Option<Uri> {
        let uri = request.uri();
        let target = uri.path_and_query()?;
        if request.method() == Method::CONNECT
            || uri.scheme().is_some() != uri.authority().is_some()
        {
            return None;
        }
        let target = match target.as_str() {
            text if text.starts_with('/') => target.clone(),
            text if text.starts_with('?') && uri.scheme().is_some() => {
                PathAndQuery::try_from(format!("/{text}")).ok()?
            }
            _ => return None,
        };
        let uri = Uri::builder().scheme(Scheme::HTTP);
        uri.authority(self.upstream.clone())
            .path_and_query(target)
            .build()
            .ok()
    }

    async fn forward<B>(
        &self,
        uri: Uri,
        mut request: Request<B>,
    ) -> Result<Response<Body>, BoxError>
    where
        B: http_body::Body<Data = Bytes, Error = hyper::Error> + Send + 'static,
    {
        let keyless = request.extensions().get::<Allowed>().is_none_or(|allowed| {
            matches!(
                allowed.decision().reason(),
                Reason::Preflight | Reason::Health
            )
        });
        let upgrades = !keyless && is_websocket(request.headers());
        let client = upgrades.then(|| hyper::upgrade::on(&mut request));

        let (mut head, body) = request.into_parts();
        head.uri = uri;
        let chunked = head.headers.contains_key(TRANSFER_ENCODING);
        of_this_connection_no_more(&mut head.headers);
        head.headers.remove(EXPECT); // hyper has answered it
        head.headers
            .insert(HOST, HeaderValue::from_str(self.upstream.as_str())?);
        if upgrades {
            head.headers
                .insert(CONNECTION, HeaderValue::from_static("upgrade"));
            head.headers
                .insert(UPGRADE, HeaderValue::from_static("websocket"));
        }
        let body = if keyless {
            // Neither a preflight nor a health check has a body, and an upstream that reads none would
            // take it for the next request.
            head.headers.remove(CONTENT_LENGTH);
            Empty::new().map_err(Into::into).boxed_unsync()
        } else {
            if chunked {
                head.headers
                    .insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
            }
            body.map_err(Into::into).boxed_unsync()
        };

        let mut response = self.client.request(Request::from_parts(head, body)).await?;
        of_this_connection_no_more(response.headers_mut());
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Ok(response.map(|body| body.map_err(Into::into).boxed_unsync()));
        }
        let client = client.ok_or("an upgrade that nobody asked for")?;
        let upstream = hyper::upgrade::on(&mut response);
        tokio::spawn(async move {
            let (client, upstream) = tokio::try_join!(client, upstream)?;
            let (mut client, mut upstream) = (TokioIo::new(client), TokioIo::new(upstream));
            tokio::io::copy_bidirectional(&mut client, &mut upstream).await?;
            Ok::<_, BoxError>(())
        });
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        Ok(response.map(|_| Empty::new().map_err(Into::into).boxed_unsync()))
    }
}

/// For a WebSocket and nothing else: any other protocol could carry requests that nobody asks for a
/// key.
fn is_websocket(headers: &HeaderMap) -> bool {
    let mut protocols = headers.get_all(UPGRADE).iter();
    let is = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"websocket");
    protocols.next().is_some_and(is) && protocols.next().is_none()
}

/// Drops what belongs to the connection and not to the message (RFC 9110 section 7.6.1).
fn of_this_connection_no_more(headers: &mut HeaderMap) {
    let named: Vec<_> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::try_from(name.trim()).ok())
        .collect();
    let others = ["keep-alive", "proxy-connection", "http2-settings"].map(HeaderName::from_static);
    for name in named
        .into_iter()
        .chain(others)
        .chain([CONNECTION, TE, TRANSFER_ENCODING, UPGRADE])
    {
        headers.remove(name);
    }
}

fn own(status: StatusCode, text: &str) -> Response<Body> {
    let body = Full::from(format!("{text}\n"));
    let mut response = Response::new(body.map_err(Into::into).boxed_unsync());
    *response.status_mut() = status;
    response
}
