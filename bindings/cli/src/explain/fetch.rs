//! `fetch(...)` as browsers copy it: a URL and an object of plain values.

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use super::curl::Request;
use super::note::Notes;
use super::paste::Pasted;
use super::url::{self, Url};
use crate::failure::{Failure, fail};

#[derive(Deserialize)]
struct Call(String, #[serde(default)] Init);

#[derive(Default, Deserialize)]
struct Init {
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    headers: Headers,
}

/// Names and values in their order.
#[derive(Default)]
struct Headers(Vec<(Vec<u8>, Vec<u8>)>);

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Headers;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object of strings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Headers, A::Error> {
                let mut headers = Headers::default();
                while let Some((name, value)) = map.next_entry::<String, String>()? {
                    headers.0.push((name.into_bytes(), value.into_bytes()));
                }
                Ok(headers)
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

/// What stands between the parentheses of the first `fetch(...)`, if the text is one.
pub(super) fn arguments(text: &[u8]) -> Option<&[u8]> {
    let mut at = text;
    for word in [
        "const response =",
        "let response =",
        "await",
        "window.",
        "return",
    ] {
        at = at
            .strip_prefix(word.as_bytes())
            .unwrap_or(at)
            .trim_ascii_start();
    }
    let inside = at.strip_prefix(b"fetch(")?;
    let (mut quote, mut escaped, mut depth) = (None, false, 0_usize);
    for (index, byte) in inside.iter().enumerate() {
        match (quote, byte) {
            _ if escaped => escaped = false,
            (Some(_), b'\\') => escaped = true,
            (Some(open), byte) if open == *byte => quote = None,
            (None, b'"' | b'\'' | b'`') => quote = Some(*byte),
            (None, b'(') => depth += 1,
            (None, b')') if depth == 0 => return inside.get(..index),
            (None, b')') => depth -= 1,
            _ => {}
        }
    }
    Some(inside)
}

pub(super) fn read(arguments: &[u8]) -> Result<Pasted, Failure> {
    let array = [b"[", arguments, b"]"].concat();
    let array = str::from_utf8(&array).ok();
    let Some(Call(address, init)) = array.and_then(|array| json5::from_str(array).ok()) else {
        return Err(fail(
            "this looks like fetch(...), but what stands in it is no plain URL with an object of plain strings; \
             copy the request in the browser's network panel with \"Copy as fetch\" or \"Copy as cURL\"",
            "这看起来是 fetch(...),但其中不是 URL 加上由普通字符串组成的对象;\
             请在浏览器的网络面板中用“复制为 fetch”或“复制为 cURL”",
        ));
    };
    let bad = url::bad("fetch(...), its URL", "fetch(...) 的 URL");
    let url = Url::parse(address.as_bytes(), true).map_err(bad)?;
    let mut headers = vec![(b"Host".to_vec(), url.host.clone())];
    headers.extend(init.headers.0);
    Ok(Pasted {
        requests: vec![Request {
            method: init.method.unwrap_or_else(|| "GET".to_owned()).into_bytes(),
            target: url.target(),
            headers,
        }],
        notes: Notes::default(),
    })
}
