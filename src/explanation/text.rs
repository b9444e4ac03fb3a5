//! The explanation in words.

use core::fmt::{self, Write};

use super::Explanation;
use super::finding::{Advice, Finding, Findings, Section};
use super::template::{Slot, Template, say};
use crate::decision::{Reason, Verdict};
use crate::mode::{AuthMode, EffectiveMode};
use crate::text::{Language, number};

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
        self.findings.iter().filter_map(Finding::advice)
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
                self.section(advice.section, &advice.on_allow.unwrap_or(advice.what))?;
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

    fn section(&mut self, section: Section, text: &Template) -> fmt::Result {
        self.to.section(section)?;
        self.text(text)
    }

    fn verdict(&mut self) -> fmt::Result {
        let reason = self.explanation.decision.reason;
        self.section(
            Section::Verdict,
            match reason.verdict() {
                Verdict::Allow => &say!(
                    "allowed, {reason} (rule {rule}): ",
                    "放行,{reason}(规则 {rule}):",
                ),
                Verdict::Deny => &say!(
                    "denied with 401, {reason} (rule {rule}): ",
                    "拒绝(401),{reason}(规则 {rule}):",
                ),
            },
        )?;
        self.to.write_str(reason.text(self.language))
    }

    fn mode(&self) -> Template {
        let policy = self.explanation.policy;
        match (policy.auth_mode, policy.effective_mode) {
            (AuthMode::Auto, EffectiveMode::Off) => say!(
                "auto, which means off because allow_lan_access is false: no request needs a key",
                "auto;因为 allow_lan_access 为 false,实际生效 off:任何请求都不需要 key",
            ),
            (AuthMode::Auto, _) => say!(
                "auto, which means all_except_health because allow_lan_access is true: every request needs a key except {open}",
                "auto;因为 allow_lan_access 为 true,实际生效 all_except_health:除 {open} 外都需要 key",
            ),
            (_, EffectiveMode::Off) => {
                say!("off: no request needs a key", "off:任何请求都不需要 key")
            }
            (_, EffectiveMode::Strict) => say!(
                "strict: every request needs a key except OPTIONS",
                "strict:除 OPTIONS 外都需要 key",
            ),
            (_, EffectiveMode::AllExceptHealth) => say!(
                "all_except_health: every request needs a key except {open}",
                "all_except_health:除 {open} 外都需要 key",
            ),
        }
    }

    fn decided_by(&self) -> Template {
        match self.explanation.decision.reason {
            Reason::Preflight => say!(
                "the method alone; no header was read",
                "仅凭请求方法;没有读取请求头",
            ),
            Reason::AuthOff => say!(
                "the mode alone; no header was read",
                "仅凭模式;没有读取请求头",
            ),
            Reason::Health => say!(
                "the method and the path; no header was read",
                "仅凭方法和路径;没有读取请求头",
            ),
            Reason::NoKeyConfigured | Reason::InvalidCall => say!(
                "the configuration alone; no header was read",
                "仅凭配置;没有读取请求头",
            ),
            Reason::CredentialMissing => say!(
                "no header: a key is read from {sources}, and the request has none of them ({headers} in all)",
                "没有可用的请求头:key 只从 {sources} 读取,而请求(共 {headers})里没有",
            ),
            Reason::KeyMatched | Reason::CredentialUnusable | Reason::KeyMismatch
                if self.explanation.value.len == 0 =>
            {
                say!(
                    "{source}, header {nth} of {headers}: its value is empty",
                    "{source}(第 {nth} 个,共 {headers}):值为空",
                )
            }
            Reason::KeyMatched | Reason::CredentialUnusable | Reason::KeyMismatch
                if self.explanation.decision.bearer_stripped() =>
            {
                say!(
                    "{source}, header {nth} of {headers}: {len}; the credential is the {credential_len} after \"Bearer \"",
                    "{source}(第 {nth} 个,共 {headers}):{len},凭据是 \"Bearer \" 之后的 {credential_len}",
                )
            }
            Reason::KeyMatched | Reason::CredentialUnusable | Reason::KeyMismatch => say!(
                "{source}, header {nth} of {headers}: {len}, all taken as the credential",
                "{source}(第 {nth} 个,共 {headers}):{len},全部作为凭据",
            ),
        }
    }

    /// What to say where the reason itself is the problem.
    fn plain_problem(&self) -> Option<(Template, Option<Template>)> {
        let explanation = self.explanation;
        let findings = explanation.findings;
        match explanation.decision.reason {
            Reason::CredentialMissing if findings.contains(Finding::UnreadHeader) => None,
            Reason::CredentialMissing if explanation.policy.sources.is_empty() => Some((
                say!(
                    "the gate is configured to read no header at all (sources is empty)",
                    "网关的配置不读取任何请求头(sources 为空)",
                ),
                Some(say!(
                    "list a header in sources, or leave sources out for the default ones",
                    "在 sources 中列出请求头,或删去 sources 以使用默认值",
                )),
            )),
            Reason::CredentialMissing => Some((
                say!("the request carries no key", "请求没有带 key"),
                if findings.contains(Finding::KeyInQuery) {
                    None // said already
                } else {
                    Some(say!(
                        "{or}send the key as {example}",
                        "{or}用 {example} 发送 key",
                    ))
                },
            )),
            Reason::CredentialUnusable if explanation.value.credential_len == 0 => Some((
                say!(
                    "{source} is there but empty, and it decides even so",
                    "{source} 存在但值为空,而它仍然决定结果",
                ),
                Some(say!(
                    "put the key in {source}, or do not send that header; look for a variable that is not set",
                    "把 key 放进 {source},或者不要发送它;检查是否有未设置的变量",
                )),
            )),
            Reason::CredentialUnusable => Some((
                say!(
                    "{source} holds a byte that is neither a space, a tab nor visible ASCII, which no key has",
                    "{source} 中含有空格、制表符和可见 ASCII 以外的字节,key 中不可能有",
                ),
                Some(say!(
                    "copy the key again as plain text; a line break, a curly quote or an invisible character often comes along",
                    "以纯文本重新复制 key;常见的是混入了换行、弯引号或不可见字符",
                )),
            )),
            Reason::KeyMismatch if explanation.value.bare_bearer => Some((
                say!(
                    "nothing stands after Bearer, so the word itself was taken for the key",
                    "Bearer 后面什么也没有,这个词本身被当成了 key",
                ),
                Some(say!(
                    "put the key after Bearer; look for a variable that is not set",
                    "在 Bearer 后面写上 key;检查是否有未设置的变量",
                )),
            )),
            Reason::KeyMismatch if !findings.intersects(Findings::OF_VALUE) => Some((
                say!(
                    "the credential is well formed, but equals none of the keys in the gate's configuration ({keys})",
                    "凭据格式没有问题,但与网关配置中的 key({keys})都不相同",
                ),
                if findings.contains(Finding::ShadowedMatch) {
                    None // the right key is there, in the wrong place
                } else {
                    Some(say!(
                        "{or}compare the key that the client sends with the one in the configuration this gate runs with",
                        "{or}核对客户端发送的 key 与该网关当前配置中的 key 是否一致",
                    ))
                },
            )),
            _ => None,
        }
    }

    /// Writes a text, with what its slots stand for.
    fn text(&mut self, text: &Template) -> fmt::Result {
        let mut rest = self.language.pick(text.en, text.zh);
        while let Some((before, after)) = rest.split_once('{') {
            let (slot, after) = after.split_once('}').unwrap_or((after, ""));
            self.to.write_str(before)?;
            if let Some(slot) = Slot::named(slot) {
                self.slot(slot)?;
            }
            rest = after;
        }
        self.to.write_str(rest)
    }

    fn either(&mut self, en: &'static str, zh: &'static str) -> fmt::Result {
        self.to.write_str(self.language.pick(en, zh))
    }

    fn slot(&mut self, slot: Slot) -> fmt::Result {
        let explanation = self.explanation;
        let (policy, decision) = (explanation.policy, explanation.decision);
        match slot {
            Slot::Reason => self.to.write_str(decision.reason.name()),
            Slot::Rule => number(self.to, usize::from(decision.reason.rule().unwrap_or(0))),
            Slot::Source => {
                let name = decision
                    .source_index()
                    .and_then(|index| policy.source_name(index));
                self.to.write_str(name.unwrap_or_default())
            }
            Slot::Nth => number(
                self.to,
                decision
                    .header_index()
                    .map_or(0, |index| index.saturating_add(1)),
            ),
            Slot::Headers => self.count(explanation.headers, "header", "个请求头"),
            Slot::Duplicates => self.count(explanation.duplicates, "time", "次"),
            Slot::Keys => self.count(policy.keys.len(), "key", "个"),
            Slot::Len => self.count(explanation.value.len, "byte", "字节"),
            Slot::CredentialLen => self.count(explanation.value.credential_len, "byte", "字节"),
            Slot::Or if explanation.findings.intersects(Findings::OPENING) => {
                self.either("or ", "或者:")
            }
            Slot::Or => Ok(()),
            Slot::Sources => self.sources(!0),
            Slot::Shadows if explanation.right_shadows != 0 => {
                self.sources(explanation.right_shadows)
            }
            Slot::Shadows => self.sources(explanation.shadows),
            Slot::Example => self.example(),
            Slot::Unread => self.bytes(&explanation.unread),
            Slot::Parameter => self.to.write_str(explanation.parameter),
            Slot::Exempt => {
                let exempt = policy.exempt_paths().nth(explanation.exempt);
                self.bytes(exempt.unwrap_or_default())
            }
            Slot::Open => self.open(),
            Slot::Part if explanation.value.overlong => self.either(
                "begins with a configured key and goes on after it",
                "以已配置的 key 开头,但后面还有多余内容",
            ),
            Slot::Part => self.either(
                "is the beginning of a configured key; the rest is missing",
                "只是已配置的 key 的开头,后面缺了一部分",
            ),
            Slot::Mended if explanation.mended => {
                self.either("; with that, the key matches", ";这样改过之后 key 就能匹配")
            }
            Slot::Mended => self.either(
                "; and check the key itself, which matches none even so",
                ";另外请检查 key 本身:这样改过之后它仍与任何 key 不符",
            ),
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

    fn count(&mut self, count: usize, en: &'static str, zh: &'static str) -> fmt::Result {
        number(self.to, count)?;
        self.to.write_str(" ")?;
        self.either(en, zh)?;
        self.either(if count == 1 { "" } else { "s" }, "")
    }
}

const AUTO_FIX: Template = say!(
    "or, where only this machine uses the gate, set allow_lan_access to false: auto then means off",
    "或者,如果只有本机使用该网关,把 allow_lan_access 设为 false:auto 就会变成 off",
);
