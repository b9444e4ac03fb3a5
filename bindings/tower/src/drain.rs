//! What becomes of a body that nobody reads to its end.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Buf;
use http::{Request, Version};
use http_body::{Body, Frame, SizeHint};
use tokio::runtime::Handle;
use tower_layer::Layer;
use tower_service::Service;

/// What is read of a body, and for how long.
const TIME: Duration = Duration::from_secs(5);
const BYTES: usize = 16 << 20;

/// Reads the rest of a request's body that the services behind it have dropped: up to 16 MiB, for up
/// to 5 seconds.
///
/// Put it around the gate. A denial is sent before the body has come, and then hyper closes the
/// connection: a client that is still sending may never see the 401. With this, it has the time to send
/// its body and then reads the 401, and goes on using the connection.
///
/// It spawns a task on tokio's runtime for each such body, and none over HTTP/2, where a stream is
/// reset alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Drain<S = ()> {
    inner: S,
}

impl Drain {
    /// A layer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl<S> Layer<S> for Drain {
    type Service = Drain<S>;

    fn layer(&self, inner: S) -> Drain<S> {
        Drain { inner }
    }
}

impl<S, B> Service<Request<B>> for Drain<S>
where
    S: Service<Request<Drained<B>>>,
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Send,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> S::Future {
        let holds = request.version() < Version::HTTP_2;
        self.inner.call(request.map(|body| Drained {
            body: Some(body),
            rest: if holds { spawn } else { drop },
        }))
    }
}

/// The body of a request behind a [`Drain`].
#[derive(Debug)]
pub struct Drained<B> {
    body: Option<B>,
    /// What becomes of the rest.
    rest: fn(B),
}

fn spawn<B>(body: B)
where
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Send,
{
    if body.is_end_stream() {
        return;
    }
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(tokio::time::timeout(TIME, read(body)));
    }
}

async fn read<B: Body + Unpin>(mut body: B) {
    let mut left = BYTES;
    while let Some(Ok(frame)) =
        std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await
    {
        let len = frame.data_ref().map_or(0, Buf::remaining);
        match left.checked_sub(len) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

impl<B> Drop for Drained<B> {
    fn drop(&mut self) {
        if let Some(body) = self.body.take() {
            (self.rest)(body);
        }
    }
}

impl<B: Body + Unpin> Body for Drained<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let polled = Pin::new(body).poll_frame(context);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.body = None; // there is no rest
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
