//! The answer to a denied request.

use http::{HeaderName, HeaderValue, Response, StatusCode};
use keygate::{Decision, Denial, Policy};

pub(crate) fn denied(
    policy: &Policy,
    decision: &Decision,
    denial: Denial,
) -> Response<&'static str> {
    let mut response = Response::new(denial.body());
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
