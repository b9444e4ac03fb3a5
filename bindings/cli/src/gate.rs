//! The gate that the options tell of.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};

use keygate::{AuthMode, Config, ConfigError, Key, KeyFile, Language, Policy};

use crate::failure::{Failure, fail};

const KEY_VARIABLE: &str = "KEYGATE_API_KEY";
/// The most bytes read of a configuration or of a key file, 16 MiB.
const MAX_FILE: u64 = 16 << 20;

/// How the gate is configured.
#[derive(clap::Args)]
#[allow(clippy::doc_markdown)] // they are help texts
pub(crate) struct Gate {
    /// The gate's configuration in JSON: the proxy section, or a file that holds one
    #[arg(long, value_name = "FILE")]
    config: Option<OsString>,
    /// off, strict, all_except_health or auto
    #[arg(long, value_name = "MODE")]
    auth_mode: Option<OsString>,
    /// Makes auto mean all_except_health and not off
    #[arg(long)]
    allow_lan_access: bool,
    /// The gate's key; better in the variable KEYGATE_API_KEY or in a file, since process
    /// lists show arguments
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    api_key: Option<OsString>,
    /// A key file: one key a line, with " label=NAME" behind it or not
    #[arg(long, value_name = "FILE")]
    api_key_file: Option<OsString>,
    /// en or zh; without it, what LC_ALL, LC_MESSAGES or LANG says
    #[arg(long, value_name = "LANGUAGE")]
    lang: Option<OsString>,
}

impl Gate {
    /// What the texts are written in.
    pub(crate) fn language(&self) -> Result<Language, Failure> {
        match self.lang.as_ref().map(|lang| lang.to_str()) {
            None => Ok(crate::program::language_of_the_user()),
            Some(Some("en")) => Ok(Language::En),
            Some(Some("zh")) => Ok(Language::Zh),
            Some(_) => Err(fail("--lang must be en or zh", "--lang 必须是 en 或 zh")),
        }
    }
}

pub(crate) fn read(arguments: &Gate) -> Result<Policy, Failure> {
    let variable = std::env::var_os(KEY_VARIABLE).filter(|key| !key.is_empty());
    let places = [
        ("--api-key", arguments.api_key.is_some()),
        ("--api-key-file", arguments.api_key_file.is_some()),
        (KEY_VARIABLE, variable.is_some()),
    ];
    let mut given = places.iter().filter(|(_, given)| *given);
    let place = given.next().map(|(place, _)| *place);
    if let (Some(first), Some((second, _))) = (place, given.next()) {
        return Err(fail(
            format!("{first} and {second} both say which key the gate has; give one of them"),
            format!("{first} 和 {second} 都指定了网关的 key;请只给其中一个"),
        ));
    }
    let file = match &arguments.api_key_file {
        Some(file) => read_file(file, MAX_FILE, "--api-key-file")?,
        None => Vec::new(),
    };
    let one = arguments.api_key.as_ref().or(variable.as_ref());
    let one = one.map(|key| key.as_encoded_bytes()).unwrap_or_default();
    let mut keys = Vec::new();
    if arguments.api_key_file.is_some() {
        let mut lines = KeyFile::new(&file);
        keys.extend(lines.by_ref());
        lines.end().map_err(|error| {
            refused(
                "the key file (--api-key-file)",
                "key 文件(--api-key-file)",
                &error,
            )
        })?;
    } else if !one.is_empty() {
        keys.push(Key::new(one));
    }
    let Some(config) = &arguments.config else {
        return from_options(arguments, &keys);
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
    let text = read_file(config, MAX_FILE, "--config")?;
    Policy::parse(&text, place.is_some().then_some(&*keys)).map_err(|error| {
        let beside = place.filter(|_| error.kind() == keygate::ConfigErrorKind::KeysElsewhere);
        let (en, zh) = beside.map_or_else(Default::default, |place| {
            (format!(", beside {place}"), format!(",另见 {place}"))
        });
        refused(
            &format!("the configuration (--config{en})"),
            &format!("配置(--config{zh})"),
            &error,
        )
    })
}

fn from_options(arguments: &Gate, keys: &[Key<'_>]) -> Result<Policy, Failure> {
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
    let config = Config::new(mode)
        .allow_lan_access(arguments.allow_lan_access)
        .keys(keys);
    Policy::new(&config).map_err(|error| refused("the gate's configuration", "网关的配置", &error))
}

fn refused(en: &str, zh: &str, error: &ConfigError) -> Failure {
    let sentence = |language| {
        let mut text = String::new();
        let written = error.write(language, &mut text);
        debug_assert!(written.is_ok(), "a string takes everything");
        text
    };
    fail(
        format!("{en} cannot be used: {}", sentence(Language::En)),
        format!("{zh}无法使用:{}", sentence(Language::Zh)),
    )
}

/// Reads what an option names. The name is repeated where it looks like a path: anything else may be
/// a key in the wrong place.
pub(crate) fn read_file(name: &OsString, most: u64, option: &str) -> Result<Vec<u8>, Failure> {
    let mut content = Vec::new();
    let result = File::open(name)
        .and_then(|file| file.take(most.saturating_add(1)).read_to_end(&mut content));
    let result = result.and_then(|len| match u64::try_from(len) {
        Ok(len) if len <= most => Ok(()),
        _ => Err(io::ErrorKind::FileTooLarge.into()),
    });
    result.map_err(|error| {
        let kind = error.kind();
        let shown = name.to_str().filter(|name| {
            let is_path = ["/", "./", "../"]
                .iter()
                .any(|begin| name.starts_with(begin));
            is_path && !name.contains(|character: char| character.is_control())
        });
        let (en, zh) = match shown {
            Some(name) => (format!(" {name}"), format!(" {name}")),
            None => (
                " (not shown, since it may be a key)".to_owned(),
                "(不显示,因为可能是 key)".to_owned(),
            ),
        };
        fail(
            format!("the file{en} given with {option} cannot be read: {kind}"),
            format!("无法读取 {option} 指定的文件{zh}:{kind}"),
        )
    })?;
    Ok(content)
}
