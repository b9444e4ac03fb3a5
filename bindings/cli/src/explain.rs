//! Explanations of what people paste.

mod cmd;
#[cfg(feature = "terminal")]
pub(crate) mod command;
mod curl;
mod fetch;
mod har;
mod httpie;
mod json;
mod note;
#[cfg(feature = "terminal")]
mod output;
mod paste;
mod powershell;
mod raw;
mod shell;
mod tool;
mod url;
mod wget;

use keygate::{Language, Policy};
use serde::Serialize;

use crate::lints;
use json::Json;

/// What there is to say of a configuration and of what somebody has pasted.
#[derive(Default, Serialize)]
struct Answer {
    /// Why there is nothing else.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Refused>,
    /// As `keygate explain --json` prints each.
    requests: Vec<Json>,
    /// As `keygate lint` prints each.
    lints: Vec<String>,
}

#[derive(Serialize)]
struct Refused {
    /// `config` or `request`.
    of: &'static str,
    text: String,
}

/// Reads a configuration in JSON and whatever `keygate explain` reads, and answers in JSON, as the page
/// about 401 shows it. Without a paste, only the configuration is looked at.
#[must_use]
pub fn answer(config: &[u8], paste: &[u8], language: Language) -> String {
    let answer = answered(config, paste, language).unwrap_or_else(|error| Answer {
        error: Some(error),
        ..Answer::default()
    });
    json::text(&answer)
}

fn answered(config: &[u8], paste: &[u8], language: Language) -> Result<Answer, Refused> {
    let policy = Policy::parse(config, None).map_err(|error| {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = error.write(language, &mut text);
        Refused { of: "config", text }
    })?;
    let mut answer = Answer::default();
    let lints = policy.lints();
    let lints = lints.iter().map(|lint| lints::line(lint, language));
    answer.lints.extend(lints);
    if paste.trim_ascii().is_empty() {
        return Ok(answer);
    }
    let pasted = paste::of_text(paste).map_err(|failure| Refused {
        of: "request",
        text: failure.text(language).to_owned(),
    })?;
    let notes: Vec<_> = pasted.all_notes().iter().collect();
    answer
        .requests
        .extend(pasted.requests.iter().map(|request| {
            let explanation = policy.explain(&request.method, &request.target, &request.headers);
            Json::new(&policy, &explanation, &notes, language)
        }));
    Ok(answer)
}
