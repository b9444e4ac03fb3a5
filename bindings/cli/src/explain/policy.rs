//! The policy that the options ask for.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};

use keygate::{AuthMode, Config, ConfigBuf, Policy};

use super::Arguments;
use crate::failure::{Failure, fail};

const KEY_VARIABLE: &str = "KEYGATE_API_KEY";
/// The most bytes read of a configuration, 16 MiB.
const MAX_CONFIG: u64 = 16 << 20;
/// The most bytes read of a file with a key, far more than a key has.
const MAX_KEY_FILE: u64 = 4096;

pub(super) fn read(arguments: &Arguments) -> Result<Policy, Failure> {
    let variable = std::env::var_os(KEY_VARIABLE).filter(|key| !key.is_empty());
    let places = [
        ("--config", arguments.config.is_some()),
        ("--api-key", arguments.api_key.is_some()),
        ("--api-key-file", arguments.api_key_file.is_some()),
        (KEY_VARIABLE, variable.is_some()),
    ];
    let mut given = places.iter().filter(|(_, given)| *given);
    if let (Some((first, _)), Some((second, _))) = (given.next(), given.next()) {
        return Err(fail(
            format!("{first} and {second} both say which key the gate has; give one of them"),
            format!("{first} 和 {second} 都指定了网关的 key;请只给其中一个"),
        ));
    }
    let Some(config) = &arguments.config else {
        return from_options(arguments, variable.as_ref());
    };
    let beside = [
        ("--auth-mode", arguments.auth_mode.is_some()),
        ("--allow-lan-access", arguments.allow_lan_access),
    ];
    if let Some((option, _)) = beside.iter().find(|(_, given)| *given) {
        return Err(fail(
            format!("--config and {option} both set the mode; give one of them"),
            format!("--config 和 {option} 都设置了模式;请只给其中一个"),
        ));
    }
    let text = read_file(config, MAX_CONFIG, "--config")?;
    // Editors on Windows write a byte order mark.
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&text);
    let config: ConfigBuf = serde_json::from_slice(text).map_err(|error| {
        fail(
            format!("the configuration (--config) cannot be used: {error}"),
            format!("无法使用配置(--config):{error}"),
        )
    })?;
    config.policy().map_err(refused)
}

fn from_options(arguments: &Arguments, variable: Option<&OsString>) -> Result<Policy, Failure> {
    let mode: AuthMode = match &arguments.auth_mode {
        None => {
            return Err(fail(
                "choose how the gate is configured: --config FILE, or --auth-mode off, strict, \
                 all_except_health or auto",
                "请选择网关的配置:--config FILE,或 --auth-mode off、strict、all_except_health、auto",
            ));
        }
        Some(mode) => mode.to_string_lossy().parse().map_err(|_| {
            fail(
                "--auth-mode must be off, strict, all_except_health or auto",
                "--auth-mode 必须是 off、strict、all_except_health 或 auto",
            )
        })?,
    };
    let key = match (&arguments.api_key_file, &arguments.api_key, variable) {
        (Some(file), _, _) => {
            let mut key = read_file(file, MAX_KEY_FILE, "--api-key-file")?;
            for end in [b'\n', b'\r'] {
                key.pop_if(|last| *last == end);
            }
            key
        }
        (None, Some(key), _) | (None, None, Some(key)) => key.as_encoded_bytes().to_vec(),
        (None, None, None) => Vec::new(),
    };
    let config = Config::new(mode)
        .allow_lan_access(arguments.allow_lan_access)
        .api_key(&key);
    Policy::new(&config).map_err(refused)
}

fn refused(error: keygate::ConfigError) -> Failure {
    fail(
        format!("the gate's configuration can never work: {error}"),
        format!("网关的配置不可用:{error}"),
    )
}

/// Reads what an option names. The name is not repeated: it may be a key in the wrong place.
pub(super) fn read_file(name: &OsString, most: u64, option: &str) -> Result<Vec<u8>, Failure> {
    let mut content = Vec::new();
    let result = File::open(name)
        .and_then(|file| file.take(most.saturating_add(1)).read_to_end(&mut content));
    let result = result.and_then(|len| match u64::try_from(len) {
        Ok(len) if len <= most => Ok(()),
        _ => Err(io::ErrorKind::FileTooLarge.into()),
    });
    result.map_err(|error| {
        let kind = error.kind();
        fail(
            format!("the file given with {option} cannot be read: {kind}"),
            format!("无法读取 {option} 指定的文件:{kind}"),
        )
    })?;
    Ok(content)
}
