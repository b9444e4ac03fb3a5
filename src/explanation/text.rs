//! The explanation in words.

use core::fmt::{self, Write};

use super::{Explanation, Finding, Findings};
use crate::decision::{Reason, Verdict};
use crate::{AuthMode, EffectiveMode};

/// A language that explanations are written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Language {
    /// English.
    #[default]
    En,
    /// Simplified Chinese.
    Zh,
}

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
        match language {
            Language::En => en,
            Language::Zh => zh,
        }
    }
}

/// Where [`Explanation::render`] writes: it begins a section and then writes that section's text,
/// which has no line break in it.
pub trait Sink: Write {
    /// A new section, to which the text that follows belongs.
    ///
    /// # Errors
    ///
    /// Where the sink takes no more; rendering stops.
    fn section(&mut self, section: Section) -> fmt::Result;
}

/// A section a line: the label, a colon and the text.
struct Lines<W> {
    to: W,
    language: Language,
}

impl<W: Write> Write for Lines<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.to.write_str(text)
    }
}

impl<W: Write> Sink for Lines<W> {
    fn section(&mut self, section: Section) -> fmt::Result {
        if section != Section::Verdict {
            self.to.write_str("\n")?;
        }
        self.to.write_str(section.label(self.language))?;
        self.to.write_str(": ")
    }
}

impl fmt::Display for Explanation<'_> {
    /// English, a section a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(Language::En, f)
    }
}

/// A text in both languages. `{name}` stands for what [`Explanation::slot`] writes.
struct Text {
    en: &'static str,
    zh: &'static str,
}

const fn text(en: &'static str, zh: &'static str) -> Text {
    Text { en, zh }
}

/// What a finding says: where it belongs, what it is, and what to do about it.
struct Advice {
    section: Section,
    what: Text,
    fix: Text,
}

#[allow(clippy::too_many_lines)] // a table
const fn advice(finding: Finding) -> Option<Advice> {
    let (section, what, fix) = match finding {
        // The mode line says it.
        Finding::AutoResolved => return None,
        Finding::NoKeyConfigured => (
            Section::Problem,
            text(
                "the gate has no key to compare with (api_key is empty), so no credential can be right",
                "网关没有可比对的 key(api_key 为空),因此任何凭据都不会通过",
            ),
            text(
                "set a non-empty api_key in the gate's configuration, then send that key",
                "在网关配置中设置非空的 api_key,然后在请求中带上它",
            ),
        ),
        Finding::ShadowedMatch => (
            Section::Ignored,
            text(
                "{shadows}: holds a right key, but {source} is present and comes first, so it alone decides",
                "{shadows}:其中的 key 是对的,但请求里还有优先级更高的 {source},只看后者",
            ),
            text(
                "remove {source} from the request, or put the right key in it",
                "从请求中删掉 {source},或者把正确的 key 放进去",
            ),
        ),
        Finding::ShadowedPresent => (
            Section::Ignored,
            text(
                "{shadows}: sent too, but {source} comes first and alone decides; no right key there either",
                "{shadows}:也出现在请求里,但 {source} 优先,只看后者;前者里也没有正确的 key",
            ),
            text(
                "send one key header only, with a key you are sure of",
                "只保留一个 key 请求头,并确认其中的 key 正确",
            ),
        ),
        Finding::DuplicateIgnored => (
            Section::Ignored,
            text(
                "{source} occurs {duplicates} more; only the first occurrence counts",
                "{source} 重复出现(另有 {duplicates});只看第一个",
            ),
            text("send {source} once", "{source} 只发送一次"),
        ),
        Finding::BearerNoSpace => (
            Section::Problem,
            text(
                "there is no space after Bearer, so the whole value was taken for the key",
                "Bearer 后面少了空格,整个值被当成了 key",
            ),
            text(
                "write {source}: Bearer <key>, with one space{mended}",
                "写成 {source}: Bearer <key>,中间一个空格{mended}",
            ),
        ),
        Finding::BearerCase => (
            Section::Problem,
            text(
                "the word Bearer has wrong capital or small letters, so it was not removed and was taken for part of the key",
                "Bearer 的大小写不对,所以没有被去掉,而是被当成了 key 的一部分",
            ),
            text(
                "write {source}: Bearer <key>, with a capital B and the rest in lower case{mended}",
                "写成 {source}: Bearer <key>,首字母大写、其余小写{mended}",
            ),
        ),
        Finding::BearerExtraSpace => (
            Section::Problem,
            text(
                "more than one space, or a tab, stands after Bearer; exactly one space is removed",
                "Bearer 后面有多个空格或制表符;只会去掉一个空格",
            ),
            text(
                "write {source}: Bearer <key>, with exactly one space{mended}",
                "写成 {source}: Bearer <key>,中间恰好一个空格{mended}",
            ),
        ),
        Finding::BearerDoubled => (
            Section::Problem,
            text(
                "Bearer stands twice and is removed once; often the client adds it by itself",
                "Bearer 写了两次,只会去掉一次;常见原因是客户端会自动添加",
            ),
            text(
                "write Bearer once, or give the client the bare key{mended}",
                "Bearer 只写一次,或者只把 key 本身交给客户端{mended}",
            ),
        ),
        Finding::BearerInKeyHeader => (
            Section::Problem,
            text(
                "{source} takes the bare key; Bearer was taken for part of it",
                "{source} 里只应放 key 本身;Bearer 被当成了 key 的一部分",
            ),
            text(
                "drop the word Bearer and the space from {source}{mended}",
                "去掉 {source} 中的 Bearer 和空格{mended}",
            ),
        ),
        Finding::OtherScheme => (
            Section::Problem,
            text(
                "the value starts with another word than Bearer (Basic, Token or the like), which was taken for part of the key",
                "值以 Bearer 以外的方案名开头(如 Basic、Token),它被当成了 key 的一部分",
            ),
            text(
                "write {source}: Bearer <key>; with curl use -H, not -u",
                "写成 {source}: Bearer <key>;用 curl 时请用 -H,不要用 -u",
            ),
        ),
        Finding::Quoted => (
            Section::Problem,
            text(
                "the value is wrapped in quotes, which were taken for part of the key",
                "值外面带了引号,引号被当成了 key 的一部分",
            ),
            text(
                "remove the quotes; look at the .env or settings file that the key comes from{mended}",
                "去掉引号,并检查 key 所在的 .env 或配置文件{mended}",
            ),
        ),
        Finding::Placeholder => (
            Section::Problem,
            text(
                "the value looks like an example that was never replaced, or a variable that was never expanded",
                "值看起来是没有替换的示例文字,或没有展开的变量",
            ),
            text(
                "put the real key in its place; for a shell variable, set it and use double quotes",
                "换成真正的 key;如果用的是 shell 变量,请先设置它并使用双引号",
            ),
        ),
        Finding::UnreadHeader => (
            Section::Ignored,
            text(
                "{unread}: looks like a key header, but the gate reads only {sources}",
                "{unread}:像是 key 请求头,但网关只读取 {sources}",
            ),
            text(
                "send the key as {example}, not in {unread}{mended}",
                "用 {example} 发送 key,不要用 {unread}{mended}",
            ),
        ),
        Finding::KeyInQuery => (
            Section::Ignored,
            text(
                "the query parameter {parameter}: no key is read from a URL, since logs keep URLs",
                "查询参数 {parameter}:网关不从 URL 中读取 key,因为日志会记录 URL",
            ),
            text(
                "take {parameter} out of the URL and send the key as {example}",
                "从 URL 中去掉 {parameter},用 {example} 发送 key",
            ),
        ),
        Finding::Truncated => (
            Section::Problem,
            text(
                "the credential ({credential_len}) {part}",
                "凭据({credential_len}){part}",
            ),
            text(
                "copy the key again, whole and with nothing after it",
                "重新复制 key:要完整,后面也不要多出内容",
            ),
        ),
        Finding::HealthInStrict => (
            Section::Problem,
            text(
                "{exempt} is open only in all_except_health; strict guards it like every other path",
                "{exempt} 只在 all_except_health 下放行;strict 模式下它和其他路径一样需要 key",
            ),
            text(
                "to open {exempt} to everyone, set auth_mode to all_except_health",
                "如果要让 {exempt} 对所有人放行,把 auth_mode 设为 all_except_health",
            ),
        ),
        Finding::HealthNearMiss => (
            Section::Problem,
            text(
                "the request comes near the open path {exempt} but is not the same: the path is compared byte for byte, and only GET and HEAD are open",
                "请求和放行路径 {exempt} 相近但不相同:路径逐字节比较,而且只放行 GET 和 HEAD",
            ),
            text(
                "request exactly GET {exempt}",
                "把请求改成恰好是 GET {exempt}",
            ),
        ),
        Finding::OptionsCase => (
            Section::Problem,
            text(
                "the method is not written OPTIONS, in capitals; methods are case-sensitive, so this is no CORS preflight",
                "方法名没有写成大写的 OPTIONS;方法名区分大小写,因此不算 CORS 预检请求",
            ),
            text(
                "for a preflight, write OPTIONS in capitals",
                "如果要发预检请求,把方法名写成大写的 OPTIONS",
            ),
        ),
    };
    Some(Advice { section, what, fix })
}

impl Explanation<'_> {
    /// Writes the explanation, a section a line, without a line break at its end.
    ///
    /// # Errors
    ///
    /// Where `to` takes no more.
    pub fn write(&self, language: Language, to: &mut impl Write) -> fmt::Result {
        self.render(language, &mut Lines { to, language })
    }

    /// Gives the explanation to a sink, section by section.
    ///
    /// # Errors
    ///
    /// Where the sink takes no more.
    pub fn render(&self, language: Language, to: &mut impl Sink) -> fmt::Result {
        Renderer {
            explanation: self,
            language,
            to,
        }
        .all()
    }

    fn advice(&self) -> impl Iterator<Item = Advice> {
        self.findings.iter().filter_map(advice)
    }
}

struct Renderer<'e, 'p, W> {
    explanation: &'e Explanation<'p>,
    language: Language,
    to: &'e mut W,
}

impl<W: Sink> Renderer<'_, '_, W> {
    fn all(&mut self) -> fmt::Result {
        let explanation = self.explanation;
        self.verdict()?;
        self.section(Section::Mode, &self.mode())?;
        self.section(Section::DecidedBy, &self.decided_by())?;
        if explanation.decision.is_allow() {
            for advice in explanation.advice() {
                self.section(advice.section, &self.on_allow(advice.what))?;
            }
            return Ok(());
        }
        self.advice(Section::Problem)?;
        if let Some((problem, _)) = self.plain_problem() {
            self.section(Section::Problem, &problem)?;
        }
        self.advice(Section::Ignored)?;
        for advice in explanation.advice() {
            self.section(Section::Fix, &advice.fix)?;
        }
        if let Some((_, Some(fix))) = self.plain_problem() {
            self.section(Section::Fix, &fix)?;
        }
        if explanation.decision.reason == Reason::CredentialMissing
            && explanation.policy.auth_mode == AuthMode::Auto
        {
            self.section(Section::Fix, &AUTO_FIX)?;
        }
        Ok(())
    }

    fn advice(&mut self, section: Section) -> fmt::Result {
        for advice in self.explanation.advice() {
            if advice.section == section {
                self.section(section, &advice.what)?;
            }
        }
        Ok(())
    }

    fn section(&mut self, section: Section, text: &Text) -> fmt::Result {
        self.to.section(section)?;
        self.text(text)
    }

    fn verdict(&mut self) -> fmt::Result {
        let reason = self.explanation.decision.reason;
        self.section(
            Section::Verdict,
            match reason.verdict() {
                Verdict::Allow => &Text {
                    en: "allowed, {reason} (rule {rule}): ",
                    zh: "放行,{reason}(规则 {rule}):",
                },
                Verdict::Deny => &Text {
                    en: "denied with 401, {reason} (rule {rule}): ",
                    zh: "拒绝(401),{reason}(规则 {rule}):",
                },
            },
        )?;
        self.text(&text(reason.text(), reason_zh(reason)))
    }

    fn mode(&self) -> Text {
        let policy = self.explanation.policy;
        match (policy.auth_mode, policy.effective_mode) {
            (AuthMode::Auto, EffectiveMode::Off) => text(
                "auto, which means off because allow_lan_access is false: no request needs a key",
                "auto;因为 allow_lan_access 为 false,实际生效 off:任何请求都不需要 key",
            ),
            (AuthMode::Auto, _) => text(
                "auto, which means all_except_health because allow_lan_access is true: every request needs a key except {open}",
                "auto;因为 allow_lan_access 为 true,实际生效 all_except_health:除 {open} 外都需要 key",
            ),
            (_, EffectiveMode::Off) => {
                text("off: no request needs a key", "off:任何请求都不需要 key")
            }
            (_, EffectiveMode::Strict) => text(
                "strict: every request needs a key except OPTIONS",
                "strict:除 OPTIONS 外都需要 key",
            ),
            (_, EffectiveMode::AllExceptHealth) => text(
                "all_except_health: every request needs a key except {open}",
                "all_except_health:除 {open} 外都需要 key",
            ),
        }
    }

    fn decided_by(&self) -> Text {
        match self.explanation.decision.reason {
            Reason::Preflight => text(
                "the method alone; no header was read",
                "仅凭请求方法;没有读取请求头",
            ),
            Reason::AuthOff => text(
                "the mode alone; no header was read",
                "仅凭模式;没有读取请求头",
            ),
            Reason::Health => text(
                "the method and the path; no header was read",
                "仅凭方法和路径;没有读取请求头",
            ),
            Reason::NoKeyConfigured | Reason::InvalidCall => text(
                "the configuration alone; no header was read",
                "仅凭配置;没有读取请求头",
            ),
            Reason::CredentialMissing => text(
                "no header: a key is read from {sources}, and the request has none of them ({headers} in all)",
                "没有可用的请求头:key 只从 {sources} 读取,而请求(共 {headers})里没有",
            ),
            _ if self.explanation.value.len == 0 => text(
                "{source}, header {nth} of {headers}: its value is empty",
                "{source}(第 {nth} 个,共 {headers}):值为空",
            ),
            _ if self.explanation.decision.bearer_stripped() => text(
                "{source}, header {nth} of {headers}: {len}; the credential is the {credential_len} after \"Bearer \"",
                "{source}(第 {nth} 个,共 {headers}):{len},凭据是 \"Bearer \" 之后的 {credential_len}",
            ),
            _ => text(
                "{source}, header {nth} of {headers}: {len}, all taken as the credential",
                "{source}(第 {nth} 个,共 {headers}):{len},全部作为凭据",
            ),
        }
    }

    /// On an allow, nothing that was not read is at fault.
    fn on_allow(&self, what: Text) -> Text {
        let findings = self.explanation.findings;
        if !what.en.starts_with("{shadows}") {
            return what;
        }
        if findings.contains(Finding::ShadowedMatch) {
            text(
                "{shadows}: holds a right key too; {source} comes first and alone decides",
                "{shadows}:其中的 key 也是对的;{source} 优先,只看后者",
            )
        } else {
            text(
                "{shadows}: sent too, without a right key; {source} comes first and alone decides",
                "{shadows}:也出现在请求里,其中没有正确的 key;{source} 优先,只看后者",
            )
        }
    }

    /// What to say where the reason itself is the problem.
    fn plain_problem(&self) -> Option<(Text, Option<Text>)> {
        let explanation = self.explanation;
        let findings = explanation.findings;
        match explanation.decision.reason {
            Reason::CredentialMissing if findings.contains(Finding::UnreadHeader) => None,
            Reason::CredentialMissing if explanation.policy.sources.is_empty() => Some((
                text(
                    "the gate is configured to read no header at all (sources is empty)",
                    "网关的配置不读取任何请求头(sources 为空)",
                ),
                Some(text(
                    "list a header in sources, or leave sources out for the default ones",
                    "在 sources 中列出请求头,或删去 sources 以使用默认值",
                )),
            )),
            Reason::CredentialMissing => Some((
                text("the request carries no key", "请求没有带 key"),
                if findings.contains(Finding::KeyInQuery) {
                    None // said already
                } else {
                    Some(text(
                        "{or}send the key as {example}",
                        "{or}用 {example} 发送 key",
                    ))
                },
            )),
            Reason::CredentialUnusable if explanation.value.credential_len == 0 => Some((
                text(
                    "{source} is there but empty, and it decides even so",
                    "{source} 存在但值为空,而它仍然决定结果",
                ),
                Some(text(
                    "put the key in {source}, or do not send that header; look for a variable that is not set",
                    "把 key 放进 {source},或者不要发送它;检查是否有未设置的变量",
                )),
            )),
            Reason::CredentialUnusable => Some((
                text(
                    "{source} holds a byte that is neither a space, a tab nor visible ASCII, which no key has",
                    "{source} 中含有空格、制表符和可见 ASCII 以外的字节,key 中不可能有",
                ),
                Some(text(
                    "copy the key again as plain text; a line break, a curly quote or an invisible character often comes along",
                    "以纯文本重新复制 key;常见的是混入了换行、弯引号或不可见字符",
                )),
            )),
            Reason::KeyMismatch if explanation.value.bare_bearer => Some((
                text(
                    "nothing stands after Bearer, so the word itself was taken for the key",
                    "Bearer 后面什么也没有,这个词本身被当成了 key",
                ),
                Some(text(
                    "put the key after Bearer; look for a variable that is not set",
                    "在 Bearer 后面写上 key;检查是否有未设置的变量",
                )),
            )),
            Reason::KeyMismatch if !findings.intersects(Findings::OF_VALUE) => Some((
                text(
                    "the credential is well formed, but equals none of the keys in the gate's configuration ({keys})",
                    "凭据格式没有问题,但与网关配置中的 key({keys})都不相同",
                ),
                if findings.contains(Finding::ShadowedMatch) {
                    None // the right key is there, in the wrong place
                } else {
                    Some(text(
                        "{or}compare the key that the client sends with the one in the configuration this gate runs with",
                        "{or}核对客户端发送的 key 与该网关当前配置中的 key 是否一致",
                    ))
                },
            )),
            _ => None,
        }
    }

    /// Writes a text, with what its slots stand for.
    fn text(&mut self, text: &Text) -> fmt::Result {
        let mut rest = match self.language {
            Language::En => text.en,
            Language::Zh => text.zh,
        };
        while let Some((before, after)) = rest.split_once('{') {
            let (slot, after) = after.split_once('}').unwrap_or((after, ""));
            self.to.write_str(before)?;
            self.slot(slot)?;
            rest = after;
        }
        self.to.write_str(rest)
    }

    fn either(&mut self, en: &'static str, zh: &'static str) -> fmt::Result {
        self.text(&text(en, zh))
    }

    fn slot(&mut self, slot: &str) -> fmt::Result {
        let explanation = self.explanation;
        let (policy, decision) = (explanation.policy, explanation.decision);
        match slot {
            "reason" => self.to.write_str(decision.reason.name()),
            "rule" => self.number(usize::from(decision.reason.rule().unwrap_or(0))),
            "source" => {
                let name = decision
                    .source_index()
                    .and_then(|index| policy.source_name(index));
                self.to.write_str(name.unwrap_or_default())
            }
            "nth" => self.number(
                decision
                    .header_index()
                    .map_or(0, |index| index.saturating_add(1)),
            ),
            "headers" => self.count(explanation.headers, "header", "个请求头"),
            "duplicates" => self.count(explanation.duplicates, "time", "次"),
            "keys" => self.count(policy.keys.len(), "key", "个"),
            "len" => self.count(explanation.value.len, "byte", "字节"),
            "credential_len" => self.count(explanation.value.credential_len, "byte", "字节"),
            "or" if explanation.findings.intersects(Findings::OPENING) => {
                self.either("or ", "或者:")
            }
            "sources" => self.sources(!0),
            "shadows" if explanation.right_shadows != 0 => self.sources(explanation.right_shadows),
            "shadows" => self.sources(explanation.shadows),
            "example" => self.example(),
            "unread" => self.bytes(&explanation.unread),
            "parameter" => self.to.write_str(explanation.parameter),
            "exempt" => {
                let exempt = policy.exempt_paths().nth(explanation.exempt);
                self.bytes(exempt.unwrap_or_default())
            }
            "open" => self.open(),
            "part" if explanation.value.overlong => self.either(
                "begins with a configured key and goes on after it",
                "以已配置的 key 开头,但后面还有多余内容",
            ),
            "part" => self.either(
                "is the beginning of a configured key; the rest is missing",
                "只是已配置的 key 的开头,后面缺了一部分",
            ),
            "mended" if explanation.mended => {
                self.either("; with that, the key matches", ";这样改过之后 key 就能匹配")
            }
            "mended" => self.either(
                "; and check the key itself, which matches none even so",
                ";另外请检查 key 本身:这样改过之后它仍与任何 key 不符",
            ),
            _ => Ok(()),
        }
    }

    /// The names of the sources in a set, with a note where Bearer belongs.
    fn sources(&mut self, set: u32) -> fmt::Result {
        let policy = self.explanation.policy;
        let mut first = true;
        for index in (0..policy.sources.len()).filter(|index| set >> index & 1 == 1) {
            self.separate(&mut first)?;
            self.to
                .write_str(policy.source_name(index).unwrap_or_default())?;
        }
        if first {
            return self.either("none", "无");
        }
        Ok(())
    }

    fn separate(&mut self, first: &mut bool) -> fmt::Result {
        if core::mem::take(first) {
            return Ok(());
        }
        self.either(", ", "、")
    }

    /// How to send a key, in the first source.
    fn example(&mut self) -> fmt::Result {
        let policy = self.explanation.policy;
        self.to
            .write_str(policy.source_name(0).unwrap_or_default())?;
        let bearer = policy.strips_bearer(0);
        self.to
            .write_str(if bearer { ": Bearer <key>" } else { ": <key>" })
    }

    /// What `all_except_health` leaves open.
    fn open(&mut self) -> fmt::Result {
        self.to.write_str("OPTIONS")?;
        for exempt in self.explanation.policy.exempt_paths() {
            self.either(", GET/HEAD ", "、GET/HEAD ")?;
            self.bytes(exempt)?;
        }
        Ok(())
    }

    /// A path of the configuration or a name of `UNREAD`: visible ASCII.
    fn bytes(&mut self, bytes: &[u8]) -> fmt::Result {
        self.to
            .write_str(core::str::from_utf8(bytes).unwrap_or_default())
    }

    fn count(&mut self, count: usize, en: &str, zh: &str) -> fmt::Result {
        self.number(count)?;
        match self.language {
            Language::En => {
                self.to.write_str(" ")?;
                self.to.write_str(en)?;
                self.to.write_str(if count == 1 { "" } else { "s" })
            }
            Language::Zh => {
                self.to.write_str(" ")?;
                self.to.write_str(zh)
            }
        }
    }

    /// In decimal. `core::fmt` would bring formatting code that firmware has no room for.
    fn number(&mut self, number: usize) -> fmt::Result {
        if number >= 10 {
            self.number(number / 10)?;
        }
        let digit = u8::try_from(number % 10).unwrap_or(0);
        self.to.write_char(char::from(b'0' + digit))
    }
}

const AUTO_FIX: Text = text(
    "or, where only this machine uses the gate, set allow_lan_access to false: auto then means off",
    "或者,如果只有本机使用该网关,把 allow_lan_access 设为 false:auto 就会变成 off",
);

const fn reason_zh(reason: Reason) -> &'static str {
    match reason {
        Reason::AuthOff => "实际生效模式为 off,任何请求都不需要 key",
        Reason::Preflight => "OPTIONS(CORS 预检)不需要 key",
        Reason::Health => "放行路径的 GET 和 HEAD 不需要 key",
        Reason::KeyMatched => "凭据与已配置的 key 相同",
        // Operators search their logs for this very line.
        Reason::NoKeyConfigured => Reason::NoKeyConfigured.text(),
        Reason::CredentialMissing => "请求中没有任何用来读取 key 的请求头",
        Reason::CredentialUnusable => "起决定作用的请求头,其值为空或含有 key 中不可能出现的字节",
        Reason::KeyMismatch => "起决定作用的请求头,其值与任何已配置的 key 都不相同",
        Reason::InvalidCall => "调用网关时参数无效,拒绝请求",
    }
}
