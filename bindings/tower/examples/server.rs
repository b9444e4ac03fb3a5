//! A server of models in miniature, with axum: `server CONFIG [LISTEN]`.
//!
//! It has `/healthz`, `/v1/models` and `/v1/chat/completions`, with `"stream": true` as well, and puts
//! every change of the configuration in force.

use std::convert::Infallible;
use std::process::ExitCode;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use bytes::Bytes;
use http_body_util::channel::Channel;
use keygate_tower::{Allowed, Drain, Gate};
use serde_json::{Value, json};
use tokio::net::TcpListener;

pub(crate) mod shared;

#[tokio::main]
async fn main() -> ExitCode {
    shared::log();
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let (config, listen) = match arguments.as_slice() {
        [config] => (config, "127.0.0.1:8045"),
        [config, listen] => (config, listen.as_str()),
        _ => {
            eprintln!("Usage: server CONFIG [LISTEN]");
            return ExitCode::from(2);
        }
    };
    match run(config, listen).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(config: &str, listen: &str) -> Result<(), Box<dyn std::error::Error>> {
    let gate = shared::gate(config.into())?;
    let listener = TcpListener::bind(listen).await?;
    let server = axum::serve(listener, routes(&gate));
    Ok(server.with_graceful_shutdown(shared::end()).await?)
}

/// The layers come last: what is added after them is not guarded.
pub(crate) fn routes(gate: &Gate) -> Router {
    Router::new()
        .route("/healthz", get(async || Json(json!({"status": "ok"}))))
        .route("/v1/models", get(models))
        .route("/v1/chat/completions", post(chat))
        .layer(gate.layer())
        .layer(Drain::new())
}

async fn models() -> Json<Value> {
    let model = json!({"id": "echo", "object": "model", "created": 0, "owned_by": "example"});
    Json(json!({"object": "list", "data": [model]}))
}

/// Says the question again, with the name of who asked where the key has a label.
async fn chat(Extension(allowed): Extension<Allowed>, Json(question): Json<Value>) -> Response {
    let last = question["messages"]
        .as_array()
        .and_then(|messages| messages.last());
    let asked = last
        .and_then(|message| message["content"].as_str())
        .unwrap_or("nothing");
    let text = match allowed.key_label() {
        Some(who) => format!("{who} said: {asked}"),
        None => asked.to_owned(),
    };
    let chat = |kind: &str, part: &str, content: &str| {
        let choice = json!({"index": 0, part: {"role": "assistant", "content": content}});
        json!({"id": "chat-0", "object": kind, "created": 0, "model": "echo", "choices": [choice]})
    };
    if question["stream"] != true {
        return Json(chat("chat.completion", "message", &text)).into_response();
    }
    let words = text.split_inclusive(' ');
    let events = words.map(|word| chat("chat.completion.chunk", "delta", word).to_string());
    stream(events.chain(["[DONE]".to_owned()]).collect()).into_response()
}

/// Server-sent events, one after the other.
fn stream(events: Vec<String>) -> impl IntoResponse {
    let (mut sender, body) = Channel::<Bytes, Infallible>::new(1);
    tokio::spawn(async move {
        for event in events {
            sender
                .send_data(format!("data: {event}\n\n").into())
                .await?;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok::<_, http_body_util::channel::SendError>(())
    });
    ([("content-type", "text/event-stream")], Body::new(body))
}
