//! What both examples need: a configuration in a file, and the end of a program.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use keygate_tower::Gate;
use tokio::signal::unix::{SignalKind, signal};

const MAX: u64 = 16 << 20;
const INTERVAL: Duration = Duration::from_millis(200);

/// Logs to standard error, a line of JSON for each event.
pub(crate) fn log() {
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_writer(std::io::stderr)
        .init();
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let problem = |error: std::io::Error| format!("the configuration cannot be read: {error}");
    // To open a FIFO would wait for its writer.
    if !std::fs::metadata(path).map_err(problem)?.is_file() {
        return Err("the configuration is not a regular file".to_owned());
    }
    let mut text = Vec::new();
    let file = File::open(path).map_err(problem)?;
    file.take(MAX + 1).read_to_end(&mut text).map_err(problem)?;
    if text.len() as u64 > MAX {
        return Err(format!("the configuration is longer than {MAX} bytes"));
    }
    Ok(text)
}

/// Puts the configuration in a file in force, and every change of the file. At SIGHUP it is read at
/// once.
pub(crate) fn gate(path: PathBuf) -> Result<Gate, String> {
    let text = read(&path)?;
    let gate = Gate::parse(&text, None).map_err(|error| error.to_string())?;
    let mut hangups = signal(SignalKind::hangup()).map_err(|error| error.to_string())?;
    let kept = gate.clone();
    tokio::spawn(async move {
        let mut tried = Ok(text.clone());
        let mut last = Ok(text);
        loop {
            let told = tokio::select! {
                _ = hangups.recv() => true,
                () = tokio::time::sleep(INTERVAL) => false,
            };
            let now = read(&path);
            // A change counts when it is read twice: a file may be half written.
            if told || now == last && now != tried {
                let problem = match &now {
                    Ok(text) => kept.reload(text, None).map_err(|error| error.to_string()),
                    Err(problem) => Err(problem.clone()),
                };
                match problem {
                    Ok(()) => tracing::info!("configuration in force"),
                    Err(error) => {
                        tracing::error!("{error}; the configuration before stays in force");
                    }
                }
                tried = now.clone();
            }
            last = now;
        }
    });
    Ok(gate)
}

/// When the program is told to end.
pub(crate) async fn end() {
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signals) => signals.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = terminated => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
