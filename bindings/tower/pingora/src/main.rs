//! The gate in Pingora: `keygate-pingora-example CONFIG HOST:PORT LISTEN`.
//!
//! Pingora is no tower service. So the gate decides in `request_filter` and strips in
//! `upstream_request_filter`; the rest is as in the proxy of `../examples`.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderMap;
use keygate_tower::{Allowed, GateLayer};
use pingora_core::ErrorType::{HTTPStatus, InternalError};
use pingora_core::server::Server;
use pingora_core::server::configuration::ServerConf;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::{Error, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::{ProxyHttp, Session, http_proxy_service};

#[allow(dead_code)] // Pingora ends by itself
#[path = "../../examples/shared/mod.rs"]
mod shared;

const DRAIN: Duration = Duration::from_secs(5);

struct Guarded {
    gate: GateLayer,
    upstream: String,
}

#[async_trait]
impl ProxyHttp for Guarded {
    type CTX = Option<Allowed>;

    fn new_ctx(&self) -> Self::CTX {
        None
    }

    async fn request_filter(&self, session: &mut Session, allowed: &mut Self::CTX) -> Result<bool> {
        let head = session.req_header();
        let denied = match self
            .gate
            .decide(&head.method, head.raw_path(), &head.headers)
        {
            Ok(found) => {
                *allowed = Some(found);
                return Ok(false);
            }
            Err(denied) => denied,
        };
        // What is left of the body is read for so long, and the connection goes on.
        session.set_total_drain_timeout(Some(DRAIN));
        session.set_close_on_response_before_downstream_finish(false);
        let body = *denied.body();
        let mut answer = ResponseHeader::build(denied.status(), None)?;
        for (name, value) in denied.headers() {
            answer.append_header(name, value)?;
        }
        answer.append_header("Content-Length", body.len())?;
        session
            .write_response_header(Box::new(answer), false)
            .await?;
        session
            .write_response_body(Some(Bytes::from_static(body.as_bytes())), true)
            .await?;
        Ok(true)
    }

    async fn upstream_peer(&self, _: &mut Session, _: &mut Self::CTX) -> Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(
            &self.upstream,
            false,
            String::new(),
        )))
    }

    async fn upstream_request_filter(
        &self,
        _: &mut Session,
        request: &mut RequestHeader,
        allowed: &mut Self::CTX,
    ) -> Result<()> {
        let Some(allowed) = allowed else {
            return Error::e_explain(InternalError, "nobody decided");
        };
        // Of the absolute form, what an origin is asked for.
        if !request.raw_path().starts_with(b"/") {
            let target = request
                .uri
                .path_and_query()
                .map(|target| target.as_str().to_owned());
            let target = target.filter(|target| target.starts_with('/'));
            let target = target.ok_or_else(|| Error::explain(HTTPStatus(400), "no target"))?;
            request.set_raw_path(target.as_bytes())?;
        }
        let mut headers = request.headers.clone();
        allowed.strip(&mut headers);
        allowed.tell(&mut headers);
        put(request, &headers)
    }
}

/// Gives a request these headers. Pingora keeps the spelling of names beside them.
fn put(request: &mut RequestHeader, headers: &HeaderMap) -> Result<()> {
    let names: Vec<_> = request
        .headers
        .keys()
        .chain(headers.keys())
        .cloned()
        .collect();
    for name in names {
        let (now, then) = (request.headers.get_all(&name), headers.get_all(&name));
        if now == then {
            continue;
        }
        request.remove_header(&name);
        for value in headers.get_all(&name) {
            request.append_header(&name, value)?;
        }
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    shared::log();
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [config, upstream, listen] = arguments.as_slice() else {
        return Err("Usage: keygate-pingora CONFIG HOST:PORT LISTEN".into());
    };
    // Of its own: it follows the file for as long as the server runs.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let gate = runtime.block_on(async { shared::gate(config.into()) })?;
    let mut server = Server::new_with_opt_and_conf(
        None,
        ServerConf {
            grace_period_seconds: Some(0),
            graceful_shutdown_timeout_seconds: Some(5),
            ..ServerConf::default()
        },
    );
    server.bootstrap();
    let guarded = Guarded {
        gate: gate.layer().explain(true),
        upstream: upstream.clone(),
    };
    let mut proxy = http_proxy_service(&server.configuration, guarded);
    proxy.add_tcp(listen);
    server.add_service(proxy);
    server.run_forever();
}
