//! What can be wrong with a configuration, in one table.

use core::fmt::{self, Write};

use crate::text::{Language, Text, number, numbered, plain, text, worded};

/// A row a kind: the pinned number, the name for programs, and the sentence in both languages.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $code:literal, $name:literal, $en:literal, $zh:literal;)*) => {
        numbered! {
            /// What is wrong with a configuration. The numbers are the status codes of the C interface.
            ConfigErrorKind: i32 {
                $($(#[$doc])* $kind = $code,)*
            }
        }

        worded! {
            ConfigErrorKind { $($kind: $name, $en, $zh;)* }
        }
    };
}

kinds! {
    /// The mode is unknown.
    UnknownMode = -5, c"unknown_mode",
        c"must be \"off\", \"strict\", \"all_except_health\" or \"auto\"",
        c"必须是 \"off\"、\"strict\"、\"all_except_health\" 或 \"auto\"";
    /// `api_key` and `keys` are both given.
    ApiKeyAndKeys = -16, c"api_key_and_keys",
        c"api_key and keys are both given; give only one of them",
        c"api_key 和 keys 不能同时给出,只保留一个";
    /// More than 8 keys.
    TooManyKeys = -17, c"too_many_keys",
        c"there are more than 8 keys",
        c"key 超过 8 个";
    /// A key in `keys` is empty.
    KeyEmpty = -18, c"key_empty",
        c"the key is empty; a key has 1 to 256 bytes",
        c"key 为空;key 的长度为 1 到 256 字节";
    /// A key is longer than 256 bytes.
    KeyTooLong = -19, c"key_too_long",
        c"the key is longer than 256 bytes",
        c"key 超过 256 字节";
    /// A key holds a byte that no header value can carry. [`ByteClass`] says which.
    KeyByte = -20, c"key_byte",
        c"the key contains a byte that no header value can carry; allowed are space, tab and 0x21 to 0x7E",
        c"key 中含有请求头的值无法携带的字节;只允许空格、制表符和 0x21 到 0x7E";
    /// A key starts or ends with a space or a tab, which a header value would lose.
    KeyEdge = -21, c"key_edge",
        c"the key starts or ends with a space or a tab, which is lost in a header value",
        c"key 的开头或结尾是空格或制表符,放进请求头后会丢失";
    /// A label is longer than 32 bytes.
    LabelTooLong = -22, c"label_too_long",
        c"the label is longer than 32 bytes",
        c"label 超过 32 字节";
    /// More than 8 sources.
    TooManySources = -23, c"too_many_sources",
        c"there are more than 8 sources",
        c"来源(sources)超过 8 个";
    /// A source's name is longer than 32 bytes.
    SourceTooLong = -24, c"source_too_long",
        c"the header name is longer than 32 bytes",
        c"请求头名超过 32 字节";
    /// A source's name is empty or not a token.
    SourceNotToken = -25, c"source_not_token",
        c"this is not a valid HTTP header name",
        c"不是合法的 HTTP 请求头名";
    /// A source's name is listed twice.
    SourceTwice = -26, c"source_twice",
        c"this header name is listed twice; header names are compared without regard to case",
        c"该请求头名列出了两次;请求头名不区分大小写";
    /// More than 8 exempt paths.
    TooManyExempt = -27, c"too_many_exempt",
        c"there are more than 8 exempt paths",
        c"放行路径(exempt)超过 8 个";
    /// An exempt path is longer than 64 bytes.
    ExemptTooLong = -28, c"exempt_too_long",
        c"the exempt path is longer than 64 bytes",
        c"放行路径超过 64 字节";
    /// An exempt path does not start with `/`.
    ExemptNoSlash = -29, c"exempt_no_slash",
        c"the exempt path does not start with /",
        c"放行路径没有以 / 开头";
    /// An exempt path holds `?` or `#`.
    ExemptNotPath = -30, c"exempt_not_path",
        c"the exempt path contains ? or #, which end a path",
        c"放行路径中含有 ? 或 #,它们不属于路径";
    /// A key is a variable that nothing has expanded.
    KeyVariable = -31, c"key_variable",
        c"the key is a variable that was not expanded; anyone who sends that text would be let in",
        c"key 是没有展开的变量;任何发送这段文字的人都会被放行";
    /// A label holds a byte outside 0x21 to 0x7E.
    LabelByte = -32, c"label_byte",
        c"the label contains a byte outside 0x21 to 0x7E",
        c"label 中含有 0x21 到 0x7E 以外的字节";
    /// An exempt path holds a byte outside 0x21 to 0x7E.
    ExemptByte = -33, c"exempt_byte",
        c"the exempt path contains a byte outside 0x21 to 0x7E",
        c"放行路径中含有 0x21 到 0x7E 以外的字节";
    /// A field is unknown.
    FieldUnknown = -35, c"field_unknown",
        c"unknown field (not shown, since it could be a key)",
        c"未知字段(不显示其名称,因为它可能是 key)";
    /// A field's name is written differently.
    FieldMisspelt = -36, c"field_misspelt",
        c"the name of this field is spelled differently",
        c"该字段的名称写法不对";
    /// A field is given twice.
    FieldTwice = -37, c"field_twice",
        c"this field is given twice",
        c"该字段给出了两次";
    /// A field that must be there is missing.
    FieldMissing = -38, c"field_missing",
        c"this field is missing",
        c"缺少该字段";
    /// A field has a value of the wrong type.
    FieldType = -39, c"field_type",
        c"the value has the wrong type",
        c"值的类型不对";
    /// A field stands beside `proxy`.
    BesideProxy = -40, c"beside_proxy",
        c"this field stands beside \"proxy\"; move it into \"proxy\"",
        c"该字段与 \"proxy\" 并列;请移到 \"proxy\" 里面";
    /// A string holds a character that stands for no byte.
    Character = -41, c"character",
        c"the string contains a character beyond U+00FF; each character stands for one byte",
        c"字符串中含有 U+00FF 以外的字符;每个字符代表一个字节";
    /// The text is not JSON.
    Json = -42, c"json",
        c"this is not valid JSON",
        c"不是合法的 JSON";
    /// The text is nested too deeply.
    TooDeep = -43, c"too_deep",
        c"the JSON is nested more than 64 levels deep",
        c"JSON 嵌套超过 64 层";
    /// Something follows the object.
    TextAfter = -44, c"text_after",
        c"there is text after the end of the object",
        c"对象结束之后还有内容";
    /// The text is not UTF-8.
    Encoding = -45, c"encoding",
        c"the text is not UTF-8",
        c"文本不是 UTF-8 编码";
    /// The text has keys, and keys were given beside it.
    KeysElsewhere = -46, c"keys_elsewhere",
        c"keys are given here and from elsewhere; give them in only one place",
        c"这里和别处都给出了 key;只在一处给出";
    /// A label in a key file is empty.
    LabelEmpty = -47, c"label_empty",
        c"the label is empty",
        c"label 为空";
    /// A header that belongs to the message itself is no source and no identity header.
    HeaderReserved = -48, c"header_reserved",
        c"this header belongs to the HTTP message itself and cannot be used here",
        c"该请求头属于 HTTP 报文本身,不能用在这里";
    /// The identity header is one that the gate reads or drops.
    IdentityTaken = -49, c"identity_taken",
        c"the gate itself reads or drops this header; choose another name",
        c"网关自身会读取或删除该请求头;请换一个名称";
    /// `match` is unknown.
    UnknownMatch = -50, c"unknown_match",
        c"must be \"first\" or \"any\"",
        c"必须是 \"first\" 或 \"any\"";
    /// `preflight` is unknown.
    UnknownPreflight = -51, c"unknown_preflight",
        c"must be \"options\", \"cors\" or \"none\"",
        c"必须是 \"options\"、\"cors\" 或 \"none\"";
    /// `strip` is unknown.
    UnknownStrip = -52, c"unknown_strip",
        c"must be \"sources\", \"matched\" or \"off\"",
        c"必须是 \"sources\"、\"matched\" 或 \"off\"";
    /// A source has `bearer` and a scheme.
    BearerAndScheme = -53, c"bearer_and_scheme",
        c"bearer and scheme are both given; give only one of them",
        c"bearer 和 scheme 不能同时给出,只保留一个";
    /// A scheme is longer than 16 bytes.
    SchemeTooLong = -54, c"scheme_too_long",
        c"the scheme is longer than 16 bytes",
        c"scheme 超过 16 字节";
    /// A scheme is empty or not a token.
    SchemeNotToken = -55, c"scheme_not_token",
        c"this is not a valid auth-scheme; write the bare word, \"Token\" for example",
        c"不是合法的认证方案名;请只写方案名本身,例如 \"Token\"";
    /// `allow_origin` is empty or longer than 128 bytes.
    OriginLength = -56, c"origin_length",
        c"must be \"*\" or an origin of 1 to 128 bytes",
        c"必须是 \"*\" 或 1 到 128 字节的来源(origin)";
    /// `allow_origin` holds a byte outside 0x21 to 0x7E.
    OriginByte = -57, c"origin_byte",
        c"the origin contains a byte outside 0x21 to 0x7E",
        c"来源(origin)中含有 0x21 到 0x7E 以外的字节";
}

impl ConfigErrorKind {
    /// The name for programs, `key_too_long` for example.
    #[must_use]
    pub const fn name(self) -> &'static str {
        plain(self.c_name())
    }

    /// What is wrong, in one sentence without the field.
    #[must_use]
    pub const fn text(self, language: Language) -> &'static str {
        self.texts().get(language)
    }
}

/// A row a field: the pinned number, the name, and what its value must be.
macro_rules! fields {
    ($($(#[$doc:meta])* $field:ident = $code:literal, $name:literal, $en:literal, $zh:literal;)*) => {
        numbered! {
            /// A field of a configuration. The numbers are those of the C interface.
            ConfigField: i32 {
                $($(#[$doc])* $field = $code,)*
            }
        }

        worded! {
            ConfigField { $($field: $name, $en, $zh;)* }
        }
    };
}

fields! {
    /// The object itself.
    Config = 0, c"", c"must be an object", c"必须是对象";
    /// `auth_mode`
    AuthMode = 1, c"auth_mode", c"must be a string", c"必须是字符串";
    /// `allow_lan_access`
    AllowLanAccess = 2, c"allow_lan_access", c"must be true or false", c"必须是 true 或 false";
    /// `api_key`
    ApiKey = 3, c"api_key", c"must be a string", c"必须是字符串";
    /// `keys`, or an entry of it
    Keys = 4, c"keys",
        c"must be a list of objects like {\"key\": \"...\", \"label\": \"...\"}",
        c"必须是由 {\"key\": \"...\", \"label\": \"...\"} 这样的对象组成的列表";
    /// `key` in an entry of `keys`
    Key = 5, c"keys.key", c"must be a string", c"必须是字符串";
    /// `label` in an entry of `keys`
    Label = 6, c"keys.label", c"must be a string", c"必须是字符串";
    /// `sources`, or an entry of it
    Sources = 7, c"sources",
        c"must be a list of objects like {\"name\": \"...\", \"bearer\": true}",
        c"必须是由 {\"name\": \"...\", \"bearer\": true} 这样的对象组成的列表";
    /// `name` in an entry of `sources`
    SourceName = 8, c"sources.name", c"must be a string", c"必须是字符串";
    /// `bearer` in an entry of `sources`
    Bearer = 9, c"sources.bearer", c"must be true or false", c"必须是 true 或 false";
    /// `exempt`, or an entry of it
    Exempt = 10, c"exempt", c"must be a list of strings", c"必须是由字符串组成的列表";
    /// `proxy`
    Proxy = 11, c"proxy", c"must be an object", c"必须是对象";
    /// `match`
    Match = 12, c"match", c"must be a string", c"必须是字符串";
    /// `preflight`
    Preflight = 13, c"preflight", c"must be a string", c"必须是字符串";
    /// `strip`
    Strip = 14, c"strip", c"must be a string", c"必须是字符串";
    /// `identity_header`
    IdentityHeader = 15, c"identity_header", c"must be a string", c"必须是字符串";
    /// `allow_origin`
    AllowOrigin = 16, c"allow_origin", c"must be a string", c"必须是字符串";
    /// `scheme` in an entry of `sources`
    Scheme = 17, c"sources.scheme", c"must be a string", c"必须是字符串";
}

impl ConfigField {
    /// Its name: `auth_mode`, or `keys.label` for a part of an entry. Empty for the object itself.
    #[must_use]
    pub const fn name(self) -> &'static str {
        plain(self.c_name())
    }

    /// The field, and the part of an entry where it is a list.
    pub(crate) fn place(self) -> (&'static str, &'static str) {
        self.name().split_once('.').unwrap_or((self.name(), ""))
    }
}

/// A row a class of bytes that people paste into keys without seeing them.
macro_rules! classes {
    ($($(#[$doc:meta])* $class:ident = $code:literal, $en:literal, $zh:literal;)*) => {
        numbered! {
            /// What kind of byte a key must not hold. The numbers are those of the C interface.
            ByteClass: i32 {
                $($(#[$doc])* $class = $code,)*
            }
        }

        impl ByteClass {
            const fn texts(self) -> Text {
                match self {
                    $(Self::$class => text($en, $zh),)*
                }
            }
        }
    };
}

classes! {
    /// LF
    LineFeed = 1, c"a line feed", c"换行符(LF)";
    /// CR
    CarriageReturn = 2, c"a carriage return", c"回车符(CR)";
    /// NUL
    Nul = 3, c"a NUL byte", c"NUL 字节";
    /// U+00A0 in UTF-8
    NoBreakSpace = 4, c"a no-break space", c"不换行空格(U+00A0)";
    /// U+200B in UTF-8
    ZeroWidthSpace = 5, c"a zero-width space", c"零宽空格(U+200B)";
    /// U+FEFF in UTF-8
    ByteOrderMark = 6, c"a byte order mark", c"字节顺序标记(BOM)";
    /// Any other byte of 0x80 to 0xFF
    NotAscii = 7, c"a character that is not ASCII", c"非 ASCII 字符";
    /// Any other byte below 0x20, or 0x7F
    Control = 8, c"a control character", c"控制字符";
}

impl ByteClass {
    /// The class of the first byte that no header value can carry.
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        let at = bytes
            .iter()
            .position(|byte| !crate::credential::is_field_byte(*byte))?;
        Some(match bytes.get(at..)? {
            [b'\n', ..] => Self::LineFeed,
            [b'\r', ..] => Self::CarriageReturn,
            [0, ..] => Self::Nul,
            // In UTF-8, and in a string of which each character is one byte.
            [0xc2, 0xa0, ..] | [0xa0, ..] => Self::NoBreakSpace,
            [0xe2, 0x80, 0x8b, ..] => Self::ZeroWidthSpace,
            [0xef, 0xbb, 0xbf, ..] => Self::ByteOrderMark,
            [0x80..=0xff, ..] => Self::NotAscii,
            _ => Self::Control,
        })
    }
}

/// What is wrong, in which field, in which entry of it, and where in the text. It holds no byte of
/// what was configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConfigError {
    pub(crate) kind: ConfigErrorKind,
    pub(crate) field: ConfigField,
    pub(crate) index: Option<usize>,
    pub(crate) byte_class: Option<ByteClass>,
    /// From 1; 0 where there is no text.
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl ConfigError {
    pub(crate) const fn new(kind: ConfigErrorKind, field: ConfigField) -> Self {
        Self {
            kind,
            field,
            index: None,
            byte_class: None,
            line: 0,
            column: 0,
        }
    }

    /// The same for one entry of the list.
    pub(crate) const fn at(self, index: Option<usize>) -> Self {
        Self { index, ..self }
    }

    /// What is wrong.
    #[must_use]
    pub const fn kind(&self) -> ConfigErrorKind {
        self.kind
    }

    /// The field it is about.
    #[must_use]
    pub const fn field(&self) -> ConfigField {
        self.field
    }

    /// The entry of the list it is about. `None` for the list itself and for other fields.
    #[must_use]
    pub const fn index(&self) -> Option<usize> {
        self.index
    }

    /// Which byte it is, with [`ConfigErrorKind::KeyByte`].
    #[must_use]
    pub const fn byte_class(&self) -> Option<ByteClass> {
        self.byte_class
    }

    /// The line of the text, from 1. `None` where there was no text.
    #[must_use]
    pub const fn line(&self) -> Option<usize> {
        match self.line {
            0 => None,
            line => Some(line),
        }
    }

    /// The column in that line, in characters from 1.
    #[must_use]
    pub const fn column(&self) -> Option<usize> {
        match self.column {
            0 => None,
            column => Some(column),
        }
    }

    /// Writes the sentence: the line and column where there are any, the field, and what is wrong.
    ///
    /// # Errors
    ///
    /// Where `to` takes no more.
    pub fn write(&self, language: Language, to: &mut impl Write) -> fmt::Result {
        self.write_place(language, to)?;
        match (self.kind, self.byte_class) {
            (ConfigErrorKind::KeyByte, Some(class)) => {
                say(to, language, "the key contains ", "key 中含有")?;
                to.write_str(class.texts().get(language))?;
                say(
                    to,
                    language,
                    ", which no header value can carry",
                    ",请求头的值无法携带它",
                )
            }
            (ConfigErrorKind::FieldType, _) => to.write_str(self.field.texts().get(language)),
            (ConfigErrorKind::FieldUnknown, _) => {
                to.write_str(self.kind.text(language))?;
                say(to, language, "; known are ", ";已知的字段有 ")?;
                to.write_str(match self.field {
                    ConfigField::Keys => "key, label",
                    ConfigField::Sources => "name, bearer, scheme",
                    _ => {
                        "auth_mode, allow_lan_access, api_key, keys, sources, exempt, match, preflight, \
                         strip, identity_header, allow_origin"
                    }
                })
            }
            (kind, _) => to.write_str(kind.text(language)),
        }
    }

    /// Writes where it is, up to the colon.
    pub(crate) fn write_place(&self, language: Language, to: &mut impl Write) -> fmt::Result {
        if self.line != 0 {
            say(to, language, "line ", "第 ")?;
            number(to, self.line)?;
            say(to, language, "", " 行")?;
            if self.column != 0 {
                say(to, language, ", column ", "第 ")?;
                number(to, self.column)?;
                say(to, language, "", " 列")?;
            }
            say(to, language, ": ", ":")?;
        }
        let (list, part) = self.field.place();
        if list.is_empty() {
            return Ok(());
        }
        to.write_str(list)?;
        if let Some(index) = self.index {
            to.write_str("[")?;
            number(to, index)?;
            to.write_str("]")?;
        }
        if !part.is_empty() {
            to.write_str(".")?;
            to.write_str(part)?;
        }
        say(to, language, ": ", ":")
    }
}

fn say(to: &mut impl Write, language: Language, en: &str, zh: &str) -> fmt::Result {
    to.write_str(language.pick(en, zh))
}

impl fmt::Display for ConfigError {
    /// English.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(Language::En, f)
    }
}

impl core::error::Error for ConfigError {}
