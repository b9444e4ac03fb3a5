//! Bodies: of what is allowed, without the trailers that must not be forwarded, and of denials.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::Allowed;

pin_project! {
    /// The body of a request that was allowed: as the client sends it, less the trailers that must not
    /// be forwarded.
    #[derive(Clone, Debug)]
    pub struct RequestBody<B> {
        #[pin]
        body: B,
        allowed: Allowed,
    }
}

impl<B> RequestBody<B> {
    pub(crate) fn new(body: B, allowed: Allowed) -> Self {
        Self { body, allowed }
    }
}

impl<B: Body> Body for RequestBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        loop {
            let mut frame = match ready!(this.body.as_mut().poll_frame(context)) {
                Some(Ok(frame)) => frame,
                other => return Poll::Ready(other),
            };
            if let Some(trailers) = frame.trailers_mut() {
                this.allowed.strip(trailers);
                if trailers.is_empty() {
                    continue;
                }
            }
            return Poll::Ready(Some(Ok(frame)));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

pin_project! {
    /// The body of an answer: that of the service behind the gate, or the gate's own.
    #[derive(Debug)]
    pub struct ResponseBody<B> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[project = Projected]
    #[derive(Debug)]
    enum Kind<B> {
        Inner { #[pin] body: B },
        Denial { text: &'static [u8] },
    }
}

impl<B> ResponseBody<B> {
    pub(crate) fn inner(body: B) -> Self {
        let kind = Kind::Inner { body };
        Self { kind }
    }

    pub(crate) fn denial(text: &'static str) -> Self {
        let text = text.as_bytes();
        let kind = Kind::Denial { text };
        Self { kind }
    }
}

impl<B> Body for ResponseBody<B>
where
    B: Body,
    B::Data: From<&'static [u8]>,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        match self.project().kind.project() {
            Projected::Inner { body } => body.poll_frame(context),
            Projected::Denial { text } => Poll::Ready(match std::mem::take(text) {
                [] => None,
                text => Some(Ok(Frame::data(text.into()))),
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Inner { body } => body.is_end_stream(),
            Kind::Denial { text } => text.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Inner { body } => body.size_hint(),
            Kind::Denial { text } => SizeHint::with_exact(text.len() as u64),
        }
    }
}
