//! `tower-http`'s bearer validation, run as the layer that it is.
#![expect(
    deprecated,
    reason = "deprecated for being too basic, and still what services use"
)]

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use fixture::Case;
use http::{Request, Response};
use tower_http::auth::require_authorization::Bearer;
use tower_http::validate_request::{ValidateRequestHeader, ValidateRequestHeaderLayer};
use tower_layer::Layer;
use tower_service::Service;

/// Answers with the request itself, so that one serves for every call.
#[derive(Clone)]
pub struct Echo;

type Body = Option<Request<()>>;

impl Service<Request<()>> for Echo {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        ready(Ok(Response::new(Some(request))))
    }
}

pub struct Gate(ValidateRequestHeader<Echo, Bearer<Body>>);

impl Gate {
    #[must_use]
    pub fn new(case: &Case) -> Self {
        Self(ValidateRequestHeaderLayer::bearer(&case.keys[0]).layer(Echo))
    }

    /// Takes the request and puts it back where it was let through.
    pub fn allows(&mut self, request: &mut Body) -> bool {
        let Some(taken) = request.take() else {
            return false;
        };
        let mut context = Context::from_waker(Waker::noop());
        match pin!(self.0.call(taken)).poll(&mut context) {
            Poll::Ready(Ok(response)) => *request = response.into_body(),
            Poll::Pending => {}
        }
        request.is_some()
    }
}
