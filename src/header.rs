//! What a list of header fields may be made of.

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

#[cfg(feature = "httparse")]
impl Header for httparse::Header<'_> {
    fn name(&self) -> &[u8] {
        self.name.as_bytes()
    }

    fn value(&self) -> &[u8] {
        self.value
    }
}
