//! A configuration and a request from a fuzzer's bytes: groups that end in 0xFF, of items that end
//! in 0xFE. `seeds.py` writes the same form.

use crate::model::{Config, Prefix, Request};

const MODES: [&str; 4] = ["off", "strict", "all_except_health", "auto"];

pub(crate) fn read(data: &[u8]) -> Option<(Config, Request)> {
    let mut groups = data.split(|byte| *byte == 0xff).map(|group| {
        let items: Vec<Vec<u8>> = group.split(|byte| *byte == 0xfe).map(Into::into).collect();
        if group.is_empty() { vec![] } else { items }
    });
    let mut next = || groups.next().unwrap_or_default();
    let mode = next().concat().first().copied().unwrap_or(0);
    let source = |item: Vec<u8>| {
        let (prefix, name) = item.split_first()?;
        let prefix = match prefix {
            b'b' => Prefix::Bearer,
            b's' => Prefix::Scheme("bearer".to_owned()),
            b't' => Prefix::Scheme("Token".to_owned()),
            _ => Prefix::None,
        };
        Some((str::from_utf8(name).ok()?.to_owned(), prefix))
    };
    let chosen = |names: &[&str], shift: u8| {
        let number = usize::from(mode >> shift & 3);
        names[number % names.len()].to_owned()
    };
    let config = Config {
        auth_mode: MODES[usize::from(mode % 4)].to_owned(),
        allow_lan_access: mode & 4 != 0,
        keys: next(),
        sources: next().into_iter().map(source).collect::<Option<_>>()?,
        exempt: next(),
        match_mode: chosen(&["first", "any"], 3),
        preflight: chosen(&["options", "cors", "none"], 4),
        strip: chosen(&["sources", "matched", "off"], 6),
        identity_header: (mode & 8 != 0).then(|| "x-user".to_owned()),
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
