//! What the explanation finds, by name, one code after the other as the rules list them.

use super::decision::{decide, path, read, trim};
use super::{Config, Prefix, Request};

const UNREAD: &str = "api-key apikey x-api-key x-goog-api-key x-google-api-key x-apikey x-auth-token x-access-token x-auth-key x-auth xi-api-key token key proxy-authorization authorization authentication authorisation x-authorization x-litellm-api-key cf-aig-authorization x-bf-vk x-portkey-api-key ocp-apim-subscription-key";
const PARAMETERS: &str = "key api_key api-key apikey access_token auth_token token";
const PROBES: &str = "/health /healthy /livez /readyz /live /ready /liveness /readiness /ping /status /metrics /api/health /-/healthy";
const FOREIGN: &str =
    "sk-ant-oat sk-ant- sk-proj- sk-or- AIza ya29. ghp_ github_pat_ gsk_ hf_ xai- eyJ";
/// How much of a request is searched for keys.
const SEARCHED: usize = 65536;

fn lower(bytes: &[u8]) -> String {
    text(&bytes.to_ascii_lowercase())
}

/// One character for each byte, so that text functions can be used.
pub(crate) fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

pub(crate) fn quoted(text: &str) -> Option<&str> {
    let quotes = ['"', '\'', '`'];
    let stripped = |quote| text.strip_prefix(quote)?.strip_suffix(quote);
    quotes.into_iter().find_map(stripped)
}

pub(crate) fn is_placeholder(value: &str) -> bool {
    let small = value.to_ascii_lowercase();
    let held = "replace_with your_ your- changeme change_me no-key not-needed *** ...";
    let words = "undefined null none nil empty dummy test xxx";
    let wrapped =
        |(left, right)| value.len() >= 2 && value.starts_with(left) && value.ends_with(right);
    let masked = |rest: &str| !rest.is_empty() && rest.chars().all(|c| "x.-*".contains(c));
    held.split(' ').any(|part| small.contains(part))
        || ["$", "{{", "#{"]
            .iter()
            .any(|begin| value.starts_with(begin))
        || [('<', '>'), ('{', '}'), ('%', '%')]
            .into_iter()
            .any(wrapped)
        || words.split(' ').any(|word| word == small)
        || small == "[object object]"
        || small.ends_with("_api_key")
        || small.strip_prefix("sk-").is_some_and(masked)
}

/// What may be searched still of what comes next.
struct Search {
    keys: Vec<String>,
    left: usize,
}

impl Search {
    fn finds(&mut self, haystack: &[u8]) -> bool {
        self.finds_in(haystack.len(), &text(haystack))
    }

    fn finds_decoded(&mut self, haystack: &str) -> bool {
        let decoded = decoded(haystack);
        self.finds_in(haystack.chars().count(), &decoded)
    }

    /// Of a text that is counted as so long.
    fn finds_in(&mut self, len: usize, haystack: &str) -> bool {
        let taken = len.min(self.left);
        self.left -= taken;
        let haystack: String = haystack.chars().take(taken).collect();
        self.keys.iter().any(|key| haystack.contains(key.as_str()))
    }
}

fn decoded(path: &str) -> String {
    let mut pieces = path.split('%');
    let mut decoded = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        match piece.get(..2).map(|hex| (hex, u8::from_str_radix(hex, 16))) {
            Some((hex, Ok(byte))) if !hex.starts_with('+') => {
                decoded.push(char::from(byte));
                decoded.push_str(&piece[2..]);
            }
            _ => {
                decoded.push('%');
                decoded.push_str(piece);
            }
        }
    }
    decoded
}

#[expect(clippy::too_many_lines, reason = "the rules' table from top to bottom")]
pub(crate) fn find(config: &Config, request: &Request) -> Vec<&'static str> {
    let outcome = decide(config, request);
    let mut found = Vec::new();
    let mut note = |code, applies: bool| {
        if applies {
            found.push(code);
        }
    };
    note("auto_resolved", config.auth_mode == "auto");
    note("no_key_configured", outcome.reason == "no_key_configured");
    if !outcome.reason.starts_with("credential_") && !outcome.reason.starts_with("key_") {
        return found;
    }

    let is_key = |candidate: &str| config.keys.iter().any(|key| text(key) == candidate);
    let source_of = |name: &[u8]| {
        let same = |(source, _): &(String, Prefix)| source.to_ascii_lowercase() == lower(name);
        config.sources.iter().position(same)
    };
    let mut others = request.headers.clone();
    let deciding = outcome.header.map(|header| others.remove(header).1);
    // A header of another source than the deciding one, with a right key in it.
    let shadowed = |name: &[u8], value: &[u8]| {
        let source = source_of(name).filter(|source| Some(*source) != outcome.source);
        let credential = |source: usize| text(read(&config.sources[source].1, value).0);
        let speaks = config.match_mode == "first" && outcome.source.is_some();
        source
            .filter(|_| speaks)
            .map(|source| is_key(&credential(source)))
    };
    let shadows: Vec<bool> = others
        .iter()
        .filter_map(|(name, value)| shadowed(name, value))
        .collect();
    note("shadowed_match", shadows.contains(&true));
    let all_wrong = !shadows.is_empty() && !shadows.contains(&true);
    note("shadowed_present", all_wrong);
    let again = |(name, _): &(Vec<u8>, Vec<u8>)| source_of(name) == outcome.source;
    note(
        "duplicate_ignored",
        outcome.source.is_some() && others.iter().any(again),
    );
    if outcome.allow {
        return found;
    }

    let prefix = outcome
        .source
        .map_or(&Prefix::None, |source| &config.sources[source].1);
    let scheme = match prefix {
        Prefix::Scheme(name) => name.to_ascii_lowercase(),
        _ => String::new(),
    };
    let strips = *prefix == Prefix::Bearer || scheme == "bearer";
    let exactly = *prefix == Prefix::Bearer;
    let raw = trim(deciding.as_deref().unwrap_or_default());
    let value = text(raw);
    let small = value.to_ascii_lowercase();
    let blank = |c: char| c == ' ' || c == '\t';

    let rest = if small.starts_with("bearer") {
        &value[6..]
    } else {
        ""
    };
    let run: String = rest.chars().take_while(|c| blank(*c)).collect();
    let no_space = strips && !rest.is_empty() && !rest.contains(blank);
    let written = value.starts_with("Bearer");
    let bearer = [
        ("bearer_no_space", no_space),
        (
            "bearer_case",
            exactly && !written && (no_space || rest.starts_with(' ')),
        ),
        (
            "bearer_extra_space",
            strips && (written || !exactly) && (run.contains('\t') || exactly && run.len() > 1),
        ),
        (
            "bearer_doubled",
            strips
                && !run.is_empty()
                && rest[run.len()..]
                    .to_ascii_lowercase()
                    .starts_with("bearer "),
        ),
        (
            "bearer_in_key_header",
            outcome.source.is_some() && !strips && small.starts_with("bearer "),
        ),
    ];
    let mut remainder = text(read(prefix, raw).0);
    if bearer.iter().any(|(_, applies)| *applies) {
        remainder.clone_from(&value);
        while remainder.to_ascii_lowercase().starts_with("bearer") {
            remainder = remainder[6..].trim_start_matches(blank).to_owned();
        }
    }
    for (code, applies) in bearer {
        note(code, applies);
    }
    let word = small.split(' ').next().unwrap();
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let spaced = config.keys.iter().any(|key| key.contains(&b' '));
    note(
        "other_scheme",
        *prefix != Prefix::None
            && small.contains(' ')
            && (1..=16).contains(&word.len())
            && word.chars().all(token)
            && word != "bearer"
            && word != scheme
            && !spaced,
    );
    note("quoted", quoted(&remainder).is_some());
    let mut search = Search {
        keys: config
            .keys
            .iter()
            .map(|key| text(key))
            .filter(|key| key.len() >= 8)
            .collect(),
        left: SEARCHED,
    };
    let in_value = search.finds(raw);
    let bare = strips && small == "bearer";
    note(
        "placeholder",
        !in_value && (bare || is_placeholder(&remainder)),
    );

    let unread = |name: &[u8]| {
        let plain = lower(name).replace(['_', '.'], "-");
        UNREAD.split(' ').any(|known| known == plain) && source_of(name).is_none()
    };
    note(
        "unread_header",
        request.headers.iter().any(|(name, _)| unread(name)),
    );
    let target = text(&request.target);
    let no_fragment = target.split('#').next().unwrap();
    let query = no_fragment.split_once('?').map_or("", |(_, query)| query);
    let named = |pair: &str| {
        let name = pair.split('=').next().unwrap().to_ascii_lowercase();
        PARAMETERS.split(' ').any(|known| known == name)
    };
    let in_query = query.split('&').any(named);
    note("key_in_query", in_query);

    let goes_on = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let overlong = config.keys.iter().map(|key| text(key)).any(|key| {
        let rest = remainder.strip_prefix(key.as_str());
        key.len() >= 8 && rest.is_some_and(|rest| rest.starts_with(goes_on))
    });
    let cut = config.keys.iter().map(|key| text(key)).any(|key| {
        remainder.chars().count() >= 8 && key != remainder && key.starts_with(&remainder)
    });
    note("truncated", overlong || cut);

    let plain_path = path(&request.target);
    let open = request.method == b"GET" || request.method == b"HEAD";
    let exempt = config.exempt.iter().any(|exempt| exempt == plain_path);
    let effective = outcome.effective_mode;
    note(
        "health_in_strict",
        effective == "strict" && open && exempt && !target.contains('#'),
    );
    let near = |exempt: &Vec<u8>| normal(exempt).is_some() && normal(exempt) == normal(plain_path);
    note(
        "health_near_miss",
        effective == "all_except_health"
            && plain_path.len() <= 1024
            && config.exempt.iter().any(near),
    );
    note(
        "options_case",
        lower(&request.method) == "options" && request.method != b"OPTIONS",
    );

    let whole = [
        Some(value.as_str()),
        quoted(&value),
        Some(&remainder),
        quoted(&remainder),
    ]
    .into_iter()
    .flatten()
    .any(is_key);
    note("key_surrounded", in_value && !whole && !overlong);
    let mut in_header = false;
    for (name, value) in &others {
        let holds = search.finds(trim(value));
        let told = unread(name) || shadowed(name, value) == Some(true);
        in_header |= holds && !told;
    }
    let (before, behind) = target.split_once('?').unwrap_or((&target, ""));
    let bytes = |text: &str| -> Vec<u8> { text.chars().map(|c| c as u8).collect() };
    let places = [
        search.finds(&bytes(behind)) && !in_query,
        search.finds(&bytes(before)),
        search.finds_decoded(behind) && !in_query,
        search.finds_decoded(before),
    ];
    note("key_elsewhere", in_header || places.contains(&true));
    let fits = |prefix: &&str| {
        let dots = remainder.matches('.').count();
        remainder.starts_with(*prefix) && (*prefix != "eyJ" || dots == 2)
    };
    let foreign = FOREIGN
        .split(' ')
        .filter(fits)
        .max_by_key(|prefix| prefix.len());
    let ours = |prefix: &str| config.keys.iter().any(|key| text(key).starts_with(prefix));
    note(
        "foreign_credential",
        foreign.is_some_and(|prefix| !ours(prefix)),
    );
    note(
        "probe_path",
        effective == "all_except_health"
            && open
            && PROBES
                .split(' ')
                .any(|probe| probe.as_bytes() == plain_path)
            && !target.contains('#')
            && !exempt,
    );
    note("preflight_guarded", request.method == b"OPTIONS");
    let credential = text(read(prefix, raw).0);
    let suspect = config.keys.iter().map(|key| text(key)).any(|key| {
        let assigned = key.split_once('=').filter(|(name, value)| {
            let upper = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
            let first = name.starts_with(|c: char| c.is_ascii_uppercase());
            first && name.chars().all(upper) && !value.is_empty() && !value.starts_with('=')
        });
        let begins = key.to_ascii_lowercase().starts_with("bearer ");
        let inner = [
            quoted(&key),
            begins.then(|| &key[7..]),
            assigned.map(|(_, value)| value),
        ];
        is_placeholder(&key) || !credential.is_empty() && inner.contains(&Some(&credential))
    });
    note(
        "gate_key_suspect",
        outcome.reason == "key_mismatch" && suspect,
    );
    found
}

/// A path percent-decoded, without parameters, empty and dot segments and a trailing slash, in
/// lower case.
fn normal(path: &[u8]) -> Option<Vec<String>> {
    let decoded = decoded(&text(path));
    let mut segments = Vec::new();
    for segment in decoded.strip_prefix('/')?.split('/') {
        match segment.split(';').next()? {
            "" | "." => {}
            ".." => drop(segments.pop()),
            segment => segments.push(segment.to_ascii_lowercase()),
        }
    }
    Some(segments)
}
