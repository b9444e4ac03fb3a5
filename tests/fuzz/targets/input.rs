//! A configuration and a request from a fuzzer's bytes: groups that end in 0xFF, of items that end
//! in 0xFE. `seeds.py` writes the same form.

use crate::model::{Config, Request};

const MODES: [&str; 4] = ["off", "strict", "all_except_health", "auto"];

pub(crate) fn read(data: &[u8]) -> Option<(Config, Request)> {
    let mut groups = data.split(|byte| *byte == 0xff).map(|group| {
        let items: Vec<Vec<u8>> = group.split(|byte| *byte == 0xfe).map(Into::into).collect();
        if group.is_empty() { vec![] } else { items }
    });
    let mut next = || groups.next().unwrap_or_default();
    let mode = next().concat().first().copied().unwrap_or(0);
    let source = |item: Vec<u8>| {
        let (bearer, name) = item.split_first()?;
        Some((str::from_utf8(name).ok()?.to_owned(), *bearer == b'b'))
    };
    let config = Config {
        auth_mode: MODES[usize::from(mode % 4)].to_owned(),
        allow_lan_access: mode & 4 != 0,
        keys: next(),
        sources: next().into_iter().map(source).collect::<Option<_>>()?,
        exempt: next(),
    };
    let [method, target] = [next().concat(), next().concat()];
    let mut items = next().into_iter();
    let mut headers = Vec::new();
    while let (Some(name), Some(value)) = (items.next(), items.next()) {
        headers.push((name, value));
    }
    let request = Request {
        method,
        target,
        headers,
    };
    Some((config, request))
}
