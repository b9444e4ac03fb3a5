//! What is probably a mistake in a configuration that works.

use core::fmt;

use crate::mode::{AuthMode, EffectiveMode};
use crate::policy::Policy;
use crate::policy::doubt::Wrapping;
use crate::text::{Language, numbered, plain, worded};

/// From how many bytes on a key is not called short.
const LONG: usize = 16;

/// A row a lint: its number, its name, and what is wrong and what to change in both languages.
macro_rules! lints {
    ($($(#[$doc:meta])* $lint:ident = $bit:literal, $name:literal, $en:literal, $zh:literal;)*) => {
        numbered! {
            /// What is probably a mistake in a configuration. Its number is its bit in [`Lints`].
            #[derive(PartialOrd, Ord)]
            Lint: u8 {
                $($(#[$doc])* $lint = $bit,)*
            }
        }

        worded! {
            Lint { $($lint: $name, $en, $zh;)* }
        }
    };
}

lints! {
    /// A key is an example, or a variable that was not expanded.
    KeyPlaceholder = 0, c"key_placeholder",
        c"a key looks like an example that was never replaced; configure a real key, from keygate keygen for example",
        c"有一个 key 看起来是没有替换的示例文字;请配置真正的 key,例如用 keygate keygen 生成";
    /// A key is wrapped in quotes.
    KeyQuoted = 1, c"key_quoted",
        c"a key is wrapped in quotes, which clients would have to send too; remove the quotes",
        c"有一个 key 外面带了引号,客户端也得发送引号才能匹配;请去掉引号";
    /// A key begins with `Bearer `.
    KeyBearer = 2, c"key_bearer",
        c"a key begins with Bearer and a space, which are not part of a key; configure what follows them",
        c"有一个 key 以 Bearer 加空格开头,它们不是 key 的一部分;请只配置后面的内容";
    /// A key looks like `NAME=value`, or like an object of JSON.
    KeyAssignment = 3, c"key_assignment",
        c"a key looks like a whole line NAME=value or a JSON object; configure the value alone",
        c"有一个 key 看起来是整行 NAME=value 或一个 JSON 对象;请只配置其中的值";
    /// A key has fewer than 16 bytes.
    KeyShort = 4, c"key_short",
        c"a key has fewer than 16 bytes and may be guessed; use a longer one, from keygate keygen for example",
        c"有一个 key 不足 16 字节,可能被猜中;请换一个更长的,例如用 keygate keygen 生成";
    /// Two keys are equal.
    KeyRepeated = 5, c"key_repeated",
        c"two keys are equal, so retiring one of them retires nothing; remove one",
        c"有两个相同的 key,停用其中一个不起作用;请删除一个";
    /// There is no key, and the mode asks for one.
    NoKey = 6, c"no_key",
        c"no key is configured, so every request that needs one is denied; set api_key or keys",
        c"没有配置 key,所有需要 key 的请求都会被拒绝;请设置 api_key 或 keys";
    /// The mode is off, and there is a key.
    Open = 7, c"open",
        c"a key is configured, but the effective mode is off, so no request needs it; choose another auth_mode to guard anything",
        c"配置了 key,但实际生效模式为 off,任何请求都不需要它;如需保护,请改用其他 auth_mode";
    /// `auto` resolves to off.
    AutoOpen = 8, c"auto_open",
        c"auth_mode is auto and allow_lan_access is false, so everything is open to whoever reaches the port; choose strict or all_except_health to guard it",
        c"auth_mode 为 auto 且 allow_lan_access 为 false,任何能访问该端口的人都不受限制;如需保护,请选择 strict 或 all_except_health";
    /// A source's name holds `_` or `.`.
    SourceUnderscore = 9, c"source_underscore",
        c"a source's name contains _ or ., and many servers drop such headers; use a name with hyphens",
        c"有一个来源的名称含有 _ 或 .,许多服务器会丢弃这样的请求头;请改用带连字符的名称";
    /// An exempt path looks like a pattern.
    ExemptPattern = 10, c"exempt_pattern",
        c"an exempt path contains * or ends in /, but paths are compared exactly; list each path",
        c"有一个放行路径含有 * 或以 / 结尾,但路径是精确比较的;请逐个列出路径";
}

impl Lint {
    /// The name for logs and programs, `key_short` for example.
    #[must_use]
    pub const fn name(self) -> &'static str {
        plain(self.c_name())
    }

    /// What is wrong and what to change, in one sentence.
    #[must_use]
    pub const fn text(self, language: Language) -> &'static str {
        self.texts().get(language)
    }

    pub(crate) const fn bit(self) -> u32 {
        1 << self.code()
    }
}

impl fmt::Display for Lint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of [`Lint`]s.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Lints(u32);

impl Lints {
    fn note(&mut self, lint: Lint, applies: bool) {
        if applies {
            self.0 |= lint.bit();
        }
    }

    /// Whether the lint is among them.
    #[must_use]
    pub const fn contains(self, lint: Lint) -> bool {
        self.0 & lint.bit() != 0
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Bit i is the lint with the number i.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// The lints, in order of their numbers.
    pub fn iter(self) -> impl Iterator<Item = Lint> {
        Lint::ALL
            .iter()
            .copied()
            .filter(move |lint| self.contains(*lint))
    }
}

impl fmt::Debug for Lints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl Policy {
    /// What is probably a mistake. For the operator: hosts log each as a warning when they start and
    /// when they reload.
    ///
    /// ```
    /// # use keygate::{AuthMode, Config, Lint, Policy};
    /// let policy = Policy::new(&Config::new(AuthMode::Strict).api_key("sk-short"))?;
    /// assert!(policy.lints().contains(Lint::KeyShort));
    /// # Ok::<(), keygate::ConfigError>(())
    /// ```
    #[must_use]
    pub fn lints(&self) -> Lints {
        let mut found = Lints::default();
        for (index, key) in self.keys.iter().enumerate() {
            let is = |wrapping| key.doubts.wrapping == Some(wrapping);
            found.note(Lint::KeyPlaceholder, key.doubts.placeholder);
            found.note(Lint::KeyQuoted, is(Wrapping::Quotes));
            found.note(Lint::KeyBearer, is(Wrapping::Bearer));
            found.note(
                Lint::KeyAssignment,
                is(Wrapping::Assignment) || is(Wrapping::Object),
            );
            found.note(Lint::KeyShort, key.secret.len() < LONG);
            let mut before = self.keys.iter().take(index);
            found.note(
                Lint::KeyRepeated,
                before.any(|other| other.secret.is_same(&key.secret)),
            );
        }
        let has_key = !self.keys.is_empty();
        let is_off = self.effective_mode == EffectiveMode::Off;
        found.note(Lint::NoKey, !has_key && !is_off);
        found.note(Lint::Open, has_key && is_off);
        found.note(Lint::AutoOpen, self.auth_mode == AuthMode::Auto && is_off);
        let is_spelled = |byte: &u8| matches!(byte, b'_' | b'.');
        for source in &self.sources {
            let name = source.lower_case();
            found.note(Lint::SourceUnderscore, name.iter().any(is_spelled));
        }
        for path in self.exempt_paths() {
            let is_folder = path.len() > 1 && path.ends_with(b"/");
            found.note(Lint::ExemptPattern, is_folder || path.contains(&b'*'));
        }
        found
    }
}
