//! What a list of header fields may be made of, and names of headers.

use core::convert::Infallible;

/// Both are in a CORS-preflight request (Fetch standard).
pub(crate) const PREFLIGHT: [&str; 2] = ["origin", "access-control-request-method"];

/// By these a request becomes a connection, or another request.
pub(crate) const BEYOND_ONE_REQUEST: [&[u8]; 7] = [
    b"upgrade",
    b"http2-settings",
    b"x-http-method",
    b"x-http-method-override",
    b"x-method-override",
    b"x-original-url",
    b"x-rewrite-url",
];

/// These belong to the connection or to the message itself (RFC 9110 sections 7.2 and 7.6.1): a
/// host changes or drops them, so that none can carry a credential or a name.
pub(crate) const OF_THE_MESSAGE: [&[u8]; 10] = [
    b"host",
    b"connection",
    b"content-length",
    b"transfer-encoding",
    b"te",
    b"trailer",
    b"expect",
    b"keep-alive",
    b"proxy-connection",
    b"upgrade",
];

/// Whether two names are the same up to ASCII case and to `_` and `.` for `-`: many servers hand all
/// three to an application as one (RFC 3875 section 4.1.18).
pub(crate) fn spells(name: &[u8], other: &[u8]) -> bool {
    let folded = |byte: &u8| match byte {
        b'_' | b'.' => b'-',
        byte => byte.to_ascii_lowercase(),
    };
    // From the end: many names begin alike.
    let same = |(a, b): (&u8, &u8)| folded(a) == folded(b);
    name.len() == other.len() && name.iter().zip(other).rev().all(same)
}

pub(crate) fn spells_one_of(name: &[u8], names: &[impl AsRef<[u8]>]) -> bool {
    names.iter().any(|own| spells(name, own.as_ref()))
}

/// RFC 9110 section 5.6.2, `tchar`.
pub(crate) const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

/// A header field: a name and a value, as received.
///
/// It is there for pairs of anything that is bytes, which covers `("x-api-key", "...")`, what
/// `http::HeaderMap` iterates over and what most parsers return, and with the feature `httparse`
/// for `httparse::Header`.
///
/// ```
/// # use keygate::{AuthMode, Config, Policy};
/// # let policy = Policy::new(&Config::new(AuthMode::Strict).api_key("sk-example"))?;
/// let mut map = http::HeaderMap::new();
/// map.insert("authorization", http::HeaderValue::from_static("Bearer sk-example"));
/// assert!(policy.decide("GET", "/", &map).is_allow());
/// # Ok::<(), keygate::ConfigError>(())
/// ```
pub trait Header {
    /// The field name, in any case.
    fn name(&self) -> &[u8];
    /// The field value; white space around it does no harm.
    fn value(&self) -> &[u8];
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> Header for (N, V) {
    fn name(&self) -> &[u8] {
        self.0.as_ref()
    }

    fn value(&self) -> &[u8] {
        self.1.as_ref()
    }
}

impl<H: Header + ?Sized> Header for &H {
    fn name(&self) -> &[u8] {
        (**self).name()
    }

    fn value(&self) -> &[u8] {
        (**self).value()
    }
}

/// A header field of which each string is checked when it is first looked at.
pub(crate) trait Field {
    type Error;
    type Value: AsRef<[u8]>;

    /// Its place among the others.
    fn index(&self) -> usize;
    fn name_len(&self) -> usize;
    fn name(&self) -> Result<&[u8], Self::Error>;
    fn value(self) -> Result<Self::Value, Self::Error>;
}

/// A header that is sound as it is, and its place.
pub(crate) struct Sound<H>(pub(crate) usize, pub(crate) H);

pub(crate) struct Value<H>(H);

impl<H: Header> AsRef<[u8]> for Value<H> {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        self.0.value()
    }
}

impl<H: Header> Field for Sound<H> {
    type Error = Infallible;
    type Value = Value<H>;

    #[inline]
    fn index(&self) -> usize {
        self.0
    }

    #[inline]
    fn name_len(&self) -> usize {
        self.1.name().len()
    }

    #[inline]
    fn name(&self) -> Result<&[u8], Infallible> {
        Ok(self.1.name())
    }

    #[inline]
    fn value(self) -> Result<Value<H>, Infallible> {
        Ok(Value(self.1))
    }
}

#[cfg(feature = "httparse")]
impl Header for httparse::Header<'_> {
    fn name(&self) -> &[u8] {
        self.name.as_bytes()
    }

    fn value(&self) -> &[u8] {
        self.value
    }
}
