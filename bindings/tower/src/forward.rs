//! What of an allowed request goes on, and what is told of it. The core says what does not.

use http::header::{CONNECTION, TRAILER};
use http::{HeaderMap, HeaderName, HeaderValue, Request};

use crate::{Allowed, RequestBody};

pub(crate) fn passed<B>(allowed: Allowed, mut request: Request<B>) -> Request<RequestBody<B>> {
    let headers = request.headers_mut();
    strip(&allowed, headers);
    tell(&allowed, headers);
    request.extensions_mut().insert(allowed.clone());
    request.map(|body| RequestBody::new(body, allowed))
}

pub(crate) fn tell(allowed: &Allowed, headers: &mut HeaderMap) {
    if let (Some(name), Some(label)) = (allowed.policy.identity_header(), allowed.key_label()) {
        // Always: both are sound, or there would be no such policy.
        if let (Ok(name), Ok(label)) = (HeaderName::try_from(name), HeaderValue::try_from(label)) {
            headers.insert(name, label);
        }
    }
}

pub(crate) fn strip(allowed: &Allowed, headers: &mut HeaderMap) {
    Drops(allowed).strip(headers);
}

/// What must not be forwarded after a decision, of headers and of trailers.
struct Drops<'a>(&'a Allowed);

impl Drops<'_> {
    fn strip(&self, headers: &mut HeaderMap) {
        // First the options, since they go with the headers that they name.
        for list in [CONNECTION, TRAILER] {
            self.strip_options(headers, &list);
        }
        let dropped = headers
            .iter()
            .filter(|(name, value)| self.header(name.as_ref(), value.as_ref()));
        let mut names: Vec<_> = dropped.map(|(name, _)| name.clone()).collect();
        names.dedup(); // those of one name follow each other
        for name in names {
            let kept = headers.get_all(&name).iter();
            let kept: Vec<_> = kept
                .filter(|value| !self.header(name.as_ref(), value.as_ref()))
                .cloned()
                .collect();
            headers.remove(&name);
            for value in kept {
                headers.append(&name, value);
            }
        }
    }

    fn header(&self, name: &[u8], value: &[u8]) -> bool {
        let Allowed { policy, decision } = self.0;
        policy.name_lengths >> (name.len() % 64) & 1 == 1 && policy.drops(decision, name, value)
    }

    /// Takes the names of what is dropped out of a list of names.
    fn strip_options(&self, headers: &mut HeaderMap, list: &HeaderName) {
        let named = |value: &HeaderValue| options(value).any(|option| self.whole(headers, option));
        if !headers.get_all(list).iter().any(named) {
            return;
        }
        let mut kept = Vec::new();
        for value in headers.get_all(list) {
            let options = options(value).filter(|option| !self.whole(headers, option));
            let options = options.collect::<Vec<_>>().join(&b", "[..]);
            kept.extend(
                HeaderValue::try_from(options)
                    .ok()
                    .filter(|options| !options.is_empty()),
            );
        }
        headers.remove(list);
        for value in kept {
            headers.append(list, value);
        }
    }

    /// Whether nothing of a header is kept. One that is not there has no value.
    fn whole(&self, headers: &HeaderMap, name: &[u8]) -> bool {
        if self.0.policy.name_lengths >> (name.len() % 64) & 1 == 0 {
            return false;
        }
        let mut values = std::str::from_utf8(name)
            .map(|name| headers.get_all(name))
            .into_iter()
            .flatten()
            .peekable();
        match values.peek() {
            None => self.header(name, b""),
            Some(_) => values.all(|value| self.header(name, value.as_ref())),
        }
    }
}

/// The options of a list. Where white space alone is between them they are none, but somebody may read
/// them as such.
fn options(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    let is_between = |byte: &u8| matches!(byte, b',' | b' ' | b'\t');
    let options = value.as_bytes().split(is_between);
    options.filter(|option| !option.is_empty())
}
