//! The [keygate](https://docs.rs/keygate) API-key gate as a [`Layer`]: for axum, hyper and
//! whatever else is built of `http` and tower.
//!
//! ```
//! use http::{Request, Response, StatusCode};
//! use keygate_tower::Gate;
//! use tower::{Service, ServiceBuilder, ServiceExt};
//!
//! # type Body = http_body_util::Full<bytes::Bytes>;
//! # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
//! # runtime.block_on(async {
//! let gate = Gate::parse(r#"{"auth_mode": "strict", "api_key": "sk-example"}"#, None)?;
//! let mut service = ServiceBuilder::new()
//!     .layer(gate.layer())
//!     .service_fn(async |_: Request<_>| Ok::<_, std::convert::Infallible>(Response::new(Body::from("models"))));
//!
//! let request = Request::builder().uri("/v1/models").body(Body::default())?;
//! let response = service.ready().await?.call(request).await?;
//! assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
//!
//! // A new key takes effect with the next request; what cannot work is refused, and changes nothing.
//! gate.reload(r#"{"auth_mode": "strict", "api_key": "sk-new"}"#, None)?;
//! assert!(gate.reload("{}", None).is_err());
//! let request = Request::builder().header("x-api-key", "sk-new").body(Body::default())?;
//! assert_eq!(service.ready().await?.call(request).await?.status(), StatusCode::OK);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What is denied is answered at once with 401, and its body is not looked at. What is allowed goes to
//! the service behind without the headers and trailers that must not be forwarded, with the identity
//! header where there is one, and with [`Allowed`] in its extensions.
//!
//! # Where to put it
//!
//! - **Outermost**, before whatever changes the target (`nest`, `NormalizePath`): the target that
//!   decides must be the one that was received. With the feature `axum` it is, behind `nest` too.
//! - In axum, routes that are added after `.layer(...)` are not guarded.
//! - The bodies of the requests behind it are [`RequestBody`]s. `axum::middleware::from_fn` takes no
//!   such request from a `ServiceBuilder`; from a `.layer(...)` of its own it does.
//!
//! # What it tells
//!
//! Each decision is one [`tracing`] event with the target `keygate`: the decision record of keygate's
//! hosts. It holds no byte of a key, a header or a target. What is probably a mistake in a
//! configuration is a warning there, when it is put in force.
//!
//! # Features
//!
//! None is on by default. `axum`: see above. `tokio`: [`Drain`].

#![forbid(unsafe_code)]

mod answer;
mod body;
#[cfg(feature = "tokio")]
mod drain;
mod forward;
mod record;

use std::borrow::Cow;
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arc_swap::{ArcSwap, Guard};
use http::{HeaderMap, Method, Request, Response, Uri, Version};
use keygate::{ConfigError, Decision, Key, Policy};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

pub use body::{RequestBody, ResponseBody};
#[cfg(feature = "tokio")]
pub use drain::{Drain, Drained};
pub use keygate;

/// The policy in force. Its clones, and the layers and services that are made of it, have it in
/// common.
///
/// Swapping it locks no request out: each is decided by one policy or the other.
#[derive(Clone, Debug)]
pub struct Gate(Arc<ArcSwap<InForce>>);

/// A policy, and what is asked of it for every request.
#[derive(Debug)]
struct InForce {
    policy: Arc<Policy>,
    name_lengths: u64,
}

impl InForce {
    fn new(policy: Policy) -> Arc<Self> {
        record::lints(&policy);
        let name_lengths = policy.name_lengths();
        let policy = Arc::new(policy);
        Arc::new(Self {
            policy,
            name_lengths,
        })
    }
}

impl Deref for InForce {
    type Target = Policy;

    fn deref(&self) -> &Policy {
        &self.policy
    }
}

impl Gate {
    /// Puts a policy in force.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self(Arc::new(ArcSwap::new(InForce::new(policy))))
    }

    /// [`new`](Self::new) with the policy of a configuration in JSON, which [`Policy::parse`] reads.
    ///
    /// # Errors
    ///
    /// Those of [`Policy::parse`].
    pub fn parse(text: impl AsRef<[u8]>, keys: Option<&[Key<'_>]>) -> Result<Self, ConfigError> {
        Policy::parse(text, keys).map(Self::new)
    }

    /// Puts another policy in force.
    pub fn swap(&self, policy: Policy) {
        self.0.store(InForce::new(policy));
    }

    /// [`swap`](Self::swap) to the policy of a configuration in JSON.
    ///
    /// # Errors
    ///
    /// Those of [`Policy::parse`]. The policy before stays in force.
    pub fn reload(
        &self,
        text: impl AsRef<[u8]>,
        keys: Option<&[Key<'_>]>,
    ) -> Result<(), ConfigError> {
        Policy::parse(text, keys).map(|policy| self.swap(policy))
    }

    /// The policy in force.
    #[must_use]
    pub fn policy(&self) -> Arc<Policy> {
        self.0.load().policy.clone()
    }

    /// Guards a service.
    #[must_use]
    pub fn layer(&self) -> GateLayer {
        GateLayer {
            gate: self.clone(),
            explains: false,
        }
    }
}

/// Makes a [`GateService`] of a service.
#[derive(Clone, Debug)]
pub struct GateLayer {
    gate: Gate,
    explains: bool,
}

impl GateLayer {
    /// Whether each event has the codes of the explanation as well. They tell the reader of the log
    /// something about wrong keys.
    #[must_use]
    pub fn explain(self, explains: bool) -> Self {
        Self { explains, ..self }
    }

    /// Decides by itself, for a server that is built otherwise: the target is the one that was received,
    /// and the error is the answer. Before an allowed request is forwarded, [`Allowed::strip`] its
    /// headers and trailers, and [`tell`](Allowed::tell) whose key it was.
    ///
    /// # Errors
    ///
    /// The 401, where the request is denied.
    #[allow(clippy::result_large_err)] // it is the answer, and sent at once
    pub fn decide(
        &self,
        method: &Method,
        target: impl AsRef<[u8]>,
        headers: &HeaderMap,
    ) -> Result<Allowed, Response<&'static str>> {
        let policy = self.gate.0.load();
        let decision = policy.decide(method.as_str(), &target, headers);
        let explain = || policy.explain(method.as_str(), &target, headers).findings();
        let explain = self.explains.then_some(explain);
        record::decision(&policy, &decision, method, explain);
        if let Some(denial) = decision.denial() {
            return Err(answer::denied(&policy, &decision, denial));
        }
        let policy = Guard::into_inner(policy);
        Ok(Allowed { policy, decision })
    }
}

impl<S> Layer<S> for GateLayer {
    type Service = GateService<S>;

    fn layer(&self, inner: S) -> GateService<S> {
        GateService {
            inner,
            layer: self.clone(),
        }
    }
}

/// Hands allowed requests to the service behind it and answers the others.
#[derive(Clone, Debug)]
pub struct GateService<S> {
    inner: S,
    layer: GateLayer,
}

impl<S, B, R> Service<Request<B>> for GateService<S>
where
    S: Service<Request<RequestBody<B>>, Response = Response<R>>,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = GateFuture<S::Future, R>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let decided = self
            .layer
            .decide(request.method(), &*target(&request), request.headers());
        let answer = match decided {
            Ok(allowed) => Answer::Inner {
                future: self.inner.call(forward::passed(allowed, request)),
            },
            Err(denied) => Answer::Denial {
                response: Some(denied.map(ResponseBody::denial)),
            },
        };
        GateFuture { answer }
    }
}

/// The request target as received. Of HTTP/2 and 3 that is the path and the query: `http` keeps the
/// scheme and the authority, which come in fields of their own, with them. A target in another form
/// than `/...` is whole, so that it is no path.
fn target<B>(request: &Request<B>) -> Cow<'_, str> {
    let uri = original(request);
    let is_whole = uri.scheme().is_some() || uri.authority().is_some();
    if is_whole && request.version() < Version::HTTP_2 {
        return uri.to_string().into();
    }
    uri.path_and_query()
        .map_or("", |target| target.as_str())
        .into()
}

fn original<B>(request: &Request<B>) -> &Uri {
    #[cfg(feature = "axum")]
    if let Some(original) = request.extensions().get::<axum::extract::OriginalUri>() {
        return &original.0;
    }
    request.uri()
}

/// How a request came to be allowed: what a [`GateService`] puts into its extensions.
///
/// A service that must know that a key was presented compares the decision's reason with
/// [`KeyMatched`](keygate::Reason::KeyMatched): a preflight passes without one.
#[derive(Clone, Debug)]
pub struct Allowed {
    policy: Arc<InForce>,
    decision: Decision,
}

impl Allowed {
    /// The decision.
    pub fn decision(&self) -> Decision {
        self.decision
    }

    /// The label of the key that matched, if one did and has a label.
    #[must_use]
    pub fn key_label(&self) -> Option<&str> {
        let label = self.policy.key_label(self.decision.key_index()?)?;
        std::str::from_utf8(label).ok() // always: it is visible ASCII
    }

    /// Drops what must not be forwarded of headers, or of trailers. A [`GateService`] has done so.
    pub fn strip(&self, headers: &mut HeaderMap) {
        forward::strip(self, headers);
    }

    /// Adds the identity header, where there is one and the key has a label. A [`GateService`] has done
    /// so.
    pub fn tell(&self, headers: &mut HeaderMap) {
        forward::tell(self, headers);
    }
}

pin_project! {
    /// What a [`GateService`] answers.
    #[must_use = "a future does nothing unless it is polled"]
    pub struct GateFuture<F, R> {
        #[pin]
        answer: Answer<F, R>,
    }
}

pin_project! {
    #[project = Projected]
    enum Answer<F, R> {
        Inner { #[pin] future: F },
        // Until it is taken.
        Denial { response: Option<Response<ResponseBody<R>>> },
    }
}

impl<F, R, E> Future for GateFuture<F, R>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = Result<Response<ResponseBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().answer.project() {
            Projected::Inner { future } => {
                let response = future.poll(context);
                response.map_ok(|response| response.map(ResponseBody::inner))
            }
            Projected::Denial { response } => match response.take() {
                Some(response) => Poll::Ready(Ok(response)),
                None => Poll::Pending, // it has been taken
            },
        }
    }
}

#[cfg(all(doctest, feature = "axum", feature = "tokio"))]
#[doc = include_str!("../README.md")]
struct Readme;
