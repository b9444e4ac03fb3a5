//! The answer to a denied request.

use http::{HeaderName, HeaderValue, Response, StatusCode};
use keygate::{Decision, Denial, Policy};

use crate::body::ResponseBody;

pub(crate) fn denied<R>(
    policy: &Policy,
    decision: &Decision,
    denial: Denial,
) -> Response<ResponseBody<R>> {
    let mut response = Response::new(ResponseBody::denial(denial));
    if let Ok(status) = StatusCode::from_u16(Denial::STATUS) {
        *response.status_mut() = status;
    }
    for (name, value) in (0..).map_while(|index| policy.denial_header(decision, index)) {
        // Always: the core gives names and values that are sound.
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
}
