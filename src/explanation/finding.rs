//! What can be found and what is said of it, in one table.

use core::fmt;

use super::template::{Template, say};
use crate::text::{Language, numbered, worded};

/// A part of an explanation. They come in this order; problems and fixes can be several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Section {
    /// The verdict, the reason and the rule.
    Verdict,
    /// The mode, and what `auto` came to.
    Mode,
    /// The deciding header.
    DecidedBy,
    /// What is wrong.
    Problem,
    /// What was sent and not consulted.
    Ignored,
    /// What to change.
    Fix,
}

impl Section {
    /// What stands before the text.
    #[must_use]
    pub const fn label(self, language: Language) -> &'static str {
        let (en, zh) = match self {
            Self::Verdict => ("verdict", "结论"),
            Self::Mode => ("mode", "模式"),
            Self::DecidedBy => ("decided by", "依据"),
            Self::Problem => ("problem", "问题"),
            Self::Ignored => ("not read", "未读取"),
            Self::Fix => ("fix", "解决"),
        };
        language.pick(en, zh)
    }
}

/// A row a finding: its number, its name, one sentence in both languages, the sets that it belongs to,
/// and what an explanation says of it. What has no `what` is said by the line about the mode.
macro_rules! findings {
    ($($(#[$doc:meta])* $finding:ident = $bit:literal, $name:literal, $en:literal, $zh:literal, [$($set:ident)*] { $($key:ident: $value:tt),* $(,)? })*) => {
        numbered! {
            /// A thing worth telling the operator. Its number is its bit in [`Findings`].
            #[derive(PartialOrd, Ord)]
            Finding: u8 {
                $($(#[$doc])* $finding = $bit,)*
            }
        }

        worded! {
            Finding { $($finding: $name, $en, $zh;)* }
        }

        impl Finding {
            pub(super) const fn advice(self) -> Option<Advice> {
                match self {
                    $(Self::$finding => advice!($($key: $value),*),)*
                }
            }

            const fn is_in(self, set: Set) -> bool {
                match self {
                    $(Self::$finding => false $(|| matches!(set, Set::$set))*,)*
                }
            }
        }
    };
}

/// What a finding is about.
#[derive(Clone, Copy)]
enum Set {
    /// A form of Bearer.
    Bearer,
    /// A value that is tried once mended.
    Mendable,
    /// What is wrong with the deciding value.
    Value,
    /// How the request could have passed without a key.
    Opening,
    /// Where else the key was sent.
    Sent,
}

macro_rules! advice {
    () => {
        None
    };
    (section: $section:tt, what: $what:tt, $(on_allow: $on_allow:tt,)? fix: $fix:tt) => {
        Some(Advice {
            section: Section::$section,
            what: say! $what,
            on_allow: [$(Some(say! $on_allow),)? None][0],
            fix: say! $fix,
        })
    };
}

/// What a finding says: where it belongs, what it is, and what to do about it.
pub(super) struct Advice {
    pub(super) section: Section,
    pub(super) what: Template,
    /// In place of `what` where the request is allowed all the same.
    pub(super) on_allow: Option<Template>,
    pub(super) fix: Template,
}

findings! {
    /// `auth_mode` is `auto`; the text says what it came to, and by which `allow_lan_access`.
    AutoResolved = 0, c"auto_resolved",
        c"auth_mode is auto; allow_lan_access says what it resolves to",
        c"auth_mode 为 auto;实际模式由 allow_lan_access 决定", [] {}
    /// There is no key to compare with.
    NoKeyConfigured = 1, c"no_key_configured",
        c"the gate has no key configured",
        c"网关没有配置 key", [] {
        section: Problem,
        what: ("the gate has no key to compare with (api_key is empty), so no credential can be right",
            "网关没有可比对的 key(api_key 为空),因此任何凭据都不会通过"),
        fix: ("set a non-empty api_key in the gate's configuration, then send that key",
            "在网关配置中设置非空的 api_key,然后在请求中带上它"),
    }
    /// A header that was not consulted holds a right key.
    ShadowedMatch = 2, c"shadowed_match",
        c"a header that was not consulted holds a right key",
        c"没有被采用的请求头里有正确的 key", [] {
        section: Ignored,
        what: ("{shadows}: holds a right key, but {source} is present and comes first, so it alone decides",
            "{shadows}:其中的 key 是对的,但请求里还有优先级更高的 {source},只看后者"),
        on_allow: ("{shadows}: holds a right key too; {source} comes first and alone decides",
            "{shadows}:其中的 key 也是对的;{source} 优先,只看后者"),
        fix: ("remove {source} from the request, or put the right key in it; where the client cannot, set match to any in the gate's configuration",
            "从请求中删掉 {source},或者把正确的 key 放进去;如果客户端做不到,在网关配置中把 match 设为 any"),
    }
    /// A header that was not consulted holds something else.
    ShadowedPresent = 3, c"shadowed_present",
        c"a header that was not consulted was sent too",
        c"还发送了没有被采用的请求头", [] {
        section: Ignored,
        what: ("{shadows}: sent too, but {source} comes first and alone decides; no right key there either",
            "{shadows}:也出现在请求里,但 {source} 优先,只看后者;前者里也没有正确的 key"),
        on_allow: ("{shadows}: sent too, without a right key; {source} comes first and alone decides",
            "{shadows}:也出现在请求里,其中没有正确的 key;{source} 优先,只看后者"),
        fix: ("send one key header only, with a key you are sure of",
            "只保留一个 key 请求头,并确认其中的 key 正确"),
    }
    /// The deciding name occurs again.
    DuplicateIgnored = 4, c"duplicate_ignored",
        c"the deciding header was sent more than once",
        c"起决定作用的请求头发送了不止一次", [] {
        section: Ignored,
        what: ("{source} occurs {duplicates} more; only the first occurrence counts",
            "{source} 重复出现(另有 {duplicates});只看第一个"),
        fix: ("send {source} once",
            "{source} 只发送一次"),
    }
    /// `Bearer<key>`, without the space.
    BearerNoSpace = 5, c"bearer_no_space",
        c"there is no space after Bearer",
        c"Bearer 后面少了空格", [Bearer Mendable Value] {
        section: Problem,
        what: ("there is no space after Bearer, so the whole value was taken for the key",
            "Bearer 后面少了空格,整个值被当成了 key"),
        fix: ("write {source}: Bearer <key>, with one space{mended}",
            "写成 {source}: Bearer <key>,中间一个空格{mended}"),
    }
    /// `bearer <key>` or `BEARER <key>`.
    BearerCase = 6, c"bearer_case",
        c"Bearer is not written with a capital B and small letters",
        c"Bearer 的大小写不对", [Bearer Mendable Value] {
        section: Problem,
        what: ("the word Bearer has wrong capital or small letters, so it was not removed and was taken for part of the key",
            "Bearer 的大小写不对,所以没有被去掉,而是被当成了 key 的一部分"),
        fix: ("write {source}: Bearer <key>, with a capital B and the rest in lower case, or have the gate accept any case (scheme: Bearer for this source){mended}",
            "写成 {source}: Bearer <key>,首字母大写、其余小写,或者让网关接受任意大小写(为该来源设置 scheme: Bearer){mended}"),
    }
    /// More than one space, or a tab, after `Bearer`.
    BearerExtraSpace = 7, c"bearer_extra_space",
        c"there is more than one space, or a tab, after Bearer",
        c"Bearer 后面有多个空格或制表符", [Bearer Mendable Value] {
        section: Problem,
        what: ("more than one space, or a tab, stands after Bearer; exactly one space is removed",
            "Bearer 后面有多个空格或制表符;只会去掉一个空格"),
        fix: ("write {source}: Bearer <key>, with exactly one space{mended}",
            "写成 {source}: Bearer <key>,中间恰好一个空格{mended}"),
    }
    /// `Bearer Bearer <key>`.
    BearerDoubled = 8, c"bearer_doubled",
        c"Bearer is there twice",
        c"Bearer 写了两次", [Bearer Mendable Value] {
        section: Problem,
        what: ("Bearer is there twice and is removed once; many clients add it themselves",
            "Bearer 写了两次,只会去掉一次;常见原因是客户端会自动添加"),
        fix: ("write Bearer once, or give the client the bare key{mended}",
            "Bearer 只写一次,或者只把 key 本身交给客户端{mended}"),
    }
    /// `Bearer <key>` in a header that takes the bare key.
    BearerInKeyHeader = 9, c"bearer_in_key_header",
        c"Bearer was sent in a header that takes the bare key",
        c"只应放 key 的请求头里写了 Bearer", [Bearer Mendable Value] {
        section: Problem,
        what: ("no Bearer is removed from {source}; the word was taken for part of the key",
            "{source} 中的 Bearer 不会被去掉,而是被当成了 key 的一部分"),
        fix: ("drop the word Bearer and the space from {source}{mended}",
            "去掉 {source} 中的 Bearer 和空格{mended}"),
    }
    /// `Basic ...`, `Token ...` and the like.
    OtherScheme = 10, c"other_scheme",
        c"the value starts with a scheme that the gate does not remove",
        c"值以网关不会去掉的方案名开头", [Value] {
        section: Problem,
        what: ("the value starts with a scheme (Basic, Token or the like) that is not removed from {source}, so the word was taken for part of the key",
            "值以 {source} 不会去掉的方案名开头(如 Basic、Token),这个词被当成了 key 的一部分"),
        fix: ("write {written}, or name the client's scheme in the gate's configuration (scheme); with curl use -H, not -u",
            "写成 {written},或者在网关配置中为该来源写上客户端所用的方案名(scheme);用 curl 时请用 -H,不要用 -u"),
    }
    /// The credential is wrapped in quotes.
    Quoted = 11, c"quoted",
        c"the credential is wrapped in quotes",
        c"凭据外面带了引号", [Mendable Value] {
        section: Problem,
        what: ("the value is wrapped in quotes, which were taken for part of the key",
            "值外面带了引号,引号被当成了 key 的一部分"),
        fix: ("remove the quotes; look at the .env or settings file that the key comes from{mended}",
            "去掉引号,并检查 key 所在的 .env 或配置文件{mended}"),
    }
    /// The credential is an example that was never replaced, or a variable never expanded.
    Placeholder = 12, c"placeholder",
        c"the credential is an example that was never replaced, or a variable that was never expanded",
        c"凭据是没有替换的示例文字,或没有展开的变量", [Value] {
        section: Problem,
        what: ("the value {placeholder}",
            "值{placeholder}"),
        fix: ("put the real key in its place; for a shell variable, set it and use double quotes",
            "换成真正的 key;如果用的是 shell 变量,请先设置它并使用双引号"),
    }
    /// A key-like header that is not a source.
    UnreadHeader = 13, c"unread_header",
        c"a key-like header was sent that the gate does not read",
        c"发送了像 key 请求头、但网关不读取的请求头", [Sent] {
        section: Ignored,
        what: ("{unread}: looks like a key header, but the gate reads {reads}",
            "{unread}:像是 key 请求头,但网关{reads}"),
        fix: ("send the key as {example}, not in {unread}{mended_unread}",
            "用 {example} 发送 key,不要用 {unread}{mended_unread}"),
    }
    /// A key-like parameter in the query.
    KeyInQuery = 14, c"key_in_query",
        c"a key-like parameter is in the query",
        c"查询参数里有像 key 的参数", [Sent] {
        section: Ignored,
        what: ("the query parameter {parameter}: no key is read from a URL, since logs keep URLs",
            "查询参数 {parameter}:网关不从 URL 中读取 key,因为日志会记录 URL"),
        fix: ("take {parameter} out of the URL and send the key as {example}",
            "从 URL 中去掉 {parameter},用 {example} 发送 key"),
    }
    /// The credential is the beginning of a key or begins with one: 8 bytes or more are shared.
    Truncated = 15, c"truncated",
        c"the credential is part of a key, or a key is part of it",
        c"凭据是 key 的一部分,或者 key 是凭据的一部分", [Value] {
        section: Problem,
        what: ("what was sent as the key ({remainder_len}) {part}",
            "作为 key 发送的内容({remainder_len}){part}"),
        fix: ("copy the key again, whole and with nothing after it",
            "重新复制 key:要完整,后面也不要多出内容"),
    }
    /// An exempt path, in `strict`.
    HealthInStrict = 16, c"health_in_strict",
        c"an exempt path was requested, but strict guards it too",
        c"请求的是放行路径,但 strict 模式下它也需要 key", [Opening] {
        section: Problem,
        what: ("{exempt} is open only in all_except_health; strict guards it like every other path",
            "{exempt} 只在 all_except_health 下放行;strict 模式下它和其他路径一样需要 key"),
        fix: ("to open {exempt} to everyone, set auth_mode to all_except_health",
            "如果要让 {exempt} 对所有人放行,把 auth_mode 设为 all_except_health"),
    }
    /// Nearly an exempt path, or one with another method than GET or HEAD.
    HealthNearMiss = 17, c"health_near_miss",
        c"the request is almost one of an exempt path",
        c"请求和放行路径相近但不相同", [Opening] {
        section: Problem,
        what: ("the request comes near the open path {exempt} but is not the same: the path is compared byte for byte, and only GET and HEAD are open",
            "请求和放行路径 {exempt} 相近但不相同:路径逐字节比较,而且只放行 GET 和 HEAD"),
        fix: ("request exactly GET {exempt}",
            "把请求改成恰好是 GET {exempt}"),
    }
    /// `options` in another case than upper.
    OptionsCase = 18, c"options_case",
        c"the method is OPTIONS in another case",
        c"方法名是 OPTIONS,但大小写不对", [Opening] {
        section: Problem,
        what: ("the method is not written OPTIONS, in capitals; methods are case-sensitive, so this is no CORS preflight",
            "方法名没有写成大写的 OPTIONS;方法名区分大小写,因此不算 CORS 预检请求"),
        fix: ("for a preflight, write OPTIONS in capitals",
            "如果要发预检请求,把方法名写成大写的 OPTIONS"),
    }
    /// The deciding value holds a right key and something around it.
    KeySurrounded = 19, c"key_surrounded",
        c"the value has the right key in it, with something else around it",
        c"值里有正确的 key,但周围还有别的内容", [Value] {
        section: Problem,
        what: ("a configured key stands in the value of {source}, {before} before it and {after} after it, all taken for the key{joined}",
            "{source} 的值里有一个已配置的 key,它前面还有 {before},后面还有 {after},全都被当成了 key{joined}"),
        fix: ("send nothing but {written}; with that, the key matches",
            "只发送 {written};这样改过之后 key 就能匹配"),
    }
    /// A right key stands where none is read.
    KeyElsewhere = 20, c"key_elsewhere",
        c"the right key was sent where it is not read",
        c"正确的 key 出现在网关没有读取的地方", [Sent] {
        section: Ignored,
        what: ("{elsewhere}: a configured key stands there, but it is not read there",
            "{elsewhere}:里面有一个已配置的 key,但网关没有读取它"),
        fix: ("send that key as {example}; with that, it matches",
            "改用 {example} 发送这个 key;这样改过之后就能匹配"),
    }
    /// The deciding value looks like somebody else's credential.
    ForeignCredential = 21, c"foreign_credential",
        c"the credential looks like one for another service",
        c"凭据看起来属于别的服务", [Value] {
        section: Problem,
        what: ("the value of {source} looks like {foreign}, not like a key of this gate",
            "{source} 的值看起来是{foreign},而不是该网关的 key"),
        fix: ("send the gate's key there; where the client needs both, set match to any and strip to matched in the gate's configuration and send the gate's key in another source",
            "在那里发送网关的 key;如果客户端两者都需要,在网关配置中把 match 设为 any、strip 设为 matched,并在另一个来源里发送网关的 key"),
    }
    /// A path that health checks use, and that is not exempt.
    ProbePath = 22, c"probe_path",
        c"the path is one that health checks use, and it is not exempt",
        c"请求的是健康检查常用的路径,但它不是放行路径", [Opening] {
        section: Problem,
        what: ("{probe} is a path that health checks use, but it is not among the open paths ({open})",
            "{probe} 是健康检查常用的路径,但它不在放行之列({open})"),
        fix: ("to open {probe} to everyone, list it in exempt",
            "如果要让 {probe} 对所有人放行,把它列入 exempt"),
    }
    /// An OPTIONS request that is not let pass as a preflight.
    PreflightGuarded = 23, c"preflight_guarded",
        c"this OPTIONS request does not pass as a preflight",
        c"这个 OPTIONS 请求不能作为预检请求放行", [Opening] {
        section: Problem,
        what: ("{guarded}", "{guarded}"),
        fix: ("to let every OPTIONS request pass, set preflight to options in the gate's configuration",
            "如果要放行所有 OPTIONS 请求,在网关配置中把 preflight 设为 options"),
    }
    /// A configured key looks wrong.
    GateKeySuspect = 24, c"gate_key_suspect",
        c"a key in the gate's configuration looks wrong",
        c"网关配置中的 key 看起来不对", [] {
        section: Problem,
        what: ("{suspect}", "{suspect}"),
        fix: ("correct the key in the gate's configuration; keygate lint lists what is odd about it",
            "更正网关配置中的 key;keygate lint 会列出可疑之处"),
    }
}

impl Finding {
    /// The name for logs and programs, `bearer_no_space` for example.
    #[must_use]
    pub const fn name(self) -> &'static str {
        crate::text::plain(self.c_name())
    }

    /// One sentence, without what this request is about.
    #[must_use]
    pub const fn text(self, language: Language) -> &'static str {
        self.texts().get(language)
    }

    pub(crate) const fn bit(self) -> u32 {
        1 << self.code()
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of [`Finding`]s.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Findings(u32);

impl Findings {
    pub(crate) const OF_BEARER: Self = Self::of(Set::Bearer);
    pub(crate) const MENDABLE: Self = Self::of(Set::Mendable);
    pub(crate) const OF_VALUE: Self = Self::of(Set::Value);
    pub(crate) const OPENING: Self = Self::of(Set::Opening);
    pub(crate) const SENT: Self = Self::of(Set::Sent);

    const fn of(set: Set) -> Self {
        let (mut found, mut row) = (Self(0), 0);
        while row < Finding::ALL.len() {
            if Finding::ALL[row].is_in(set) {
                found.insert(Finding::ALL[row]);
            }
            row += 1;
        }
        found
    }

    pub(crate) const fn insert(&mut self, finding: Finding) {
        self.0 |= finding.bit();
    }

    pub(crate) const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether the finding is among them.
    #[must_use]
    pub const fn contains(self, finding: Finding) -> bool {
        self.0 & finding.bit() != 0
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Bit i is the finding with the number i.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// The findings, in order of their numbers.
    pub fn iter(self) -> impl Iterator<Item = Finding> {
        Finding::ALL
            .iter()
            .copied()
            .filter(move |finding| self.contains(*finding))
    }
}

impl fmt::Debug for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
