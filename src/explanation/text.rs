//! The explanation in words.

use core::fmt::{self, Write};

use super::finding::{Advice, Finding, Findings, Section};
use super::search::has_short_keys;
use super::template::{Slot, Template, say};
use super::{Elsewhere, Explanation, FOREIGN};
use crate::decision::{Reason, Verdict};
use crate::header::PREFLIGHT;
use crate::mode::{AuthMode, EffectiveMode, Preflight};
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

/// A section a line: the label, a colon and the text; of the verdict the text alone.
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
        if section == Section::Verdict {
            return Ok(()); // the first line, which says so itself
        }
        self.to.write_str("\n")?;
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

    fn advice(&self) -> impl Iterator<Item = (Finding, Advice)> {
        let advice = |finding: Finding| Some((finding, finding.advice()?));
        self.findings.iter().filter_map(advice)
    }

    /// The index of the deciding source.
    fn source(&self) -> usize {
        self.decision.source_index().unwrap_or(0)
    }

    /// Whether the deciding value would match, were it mended as a finding says.
    fn is_mendable(&self) -> bool {
        self.value.matches_mended && self.findings.intersects(Findings::MENDABLE)
    }

    /// The finding that says best why the request is denied.
    fn cause(&self) -> Option<Finding> {
        let found = |finding: Finding| self.findings.contains(finding);
        let value = Finding::ALL
            .iter()
            .copied()
            .find(|finding| found(*finding) && Findings::MENDABLE.contains(*finding));
        let certain = [
            found(Finding::NoKeyConfigured).then_some(Finding::NoKeyConfigured),
            value.filter(|_| self.is_mendable()),
            found(Finding::KeySurrounded).then_some(Finding::KeySurrounded),
            found(Finding::ShadowedMatch).then_some(Finding::ShadowedMatch),
            found(Finding::KeyElsewhere).then_some(Finding::KeyElsewhere),
            Some(Finding::UnreadHeader).filter(|_| self.unread_matches),
        ];
        let probable = [
            Finding::GateKeySuspect,
            Finding::Truncated,
            Finding::Placeholder,
            Finding::ForeignCredential,
            Finding::OtherScheme,
        ];
        let possible = [
            Finding::UnreadHeader,
            Finding::KeyInQuery,
            Finding::HealthInStrict,
            Finding::HealthNearMiss,
            Finding::ProbePath,
            Finding::PreflightGuarded,
            Finding::OptionsCase,
        ];
        let mut rest = probable.into_iter().chain(value).chain(possible);
        let mut certain = certain.into_iter().flatten();
        certain
            .next()
            .or_else(|| rest.find(|finding| found(*finding)))
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
            for (_, advice) in explanation.advice() {
                self.section(advice.section, &advice.on_allow.unwrap_or(advice.what))?;
            }
            return Ok(());
        }
        self.advice(Section::Problem)?;
        for problem in self.plain_problems().into_iter().flatten() {
            self.section(Section::Problem, &problem)?;
        }
        self.advice(Section::Ignored)?;
        // Where nothing is read, there is no place to send a key in.
        let reads_nothing = explanation.policy.sources.is_empty();
        for (finding, advice) in explanation.advice() {
            if !reads_nothing || !Findings::SENT.contains(finding) {
                self.section(Section::Fix, &advice.fix)?;
            }
        }
        if let Some(fix) = self.plain_fix() {
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
        for (_, advice) in self.explanation.advice() {
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
        let text = match self.explanation.decision.verdict() {
            Verdict::Allow => say!(
                "Allowed: {cause} ({reason}, rule {rule})",
                "已放行:{cause}({reason},规则 {rule})",
            ),
            Verdict::Deny => say!(
                "Denied: {cause} (401, {reason}, rule {rule})",
                "已拒绝:{cause}(401,{reason},规则 {rule})",
            ),
        };
        self.section(Section::Verdict, &text)
    }

    /// Why, in few words.
    fn cause(&mut self) -> fmt::Result {
        let explanation = self.explanation;
        let decision = &explanation.decision;
        // What no request could mend comes first.
        let reads_nothing = explanation.policy.sources.is_empty();
        let found = explanation.cause().filter(|_| !decision.is_allow());
        match found.filter(|_| !reads_nothing) {
            Some(Finding::Placeholder) if explanation.value.bare_bearer => {
                return self.either("nothing stands after Bearer", "Bearer 后面什么也没有");
            }
            Some(finding) => return self.to.write_str(finding.text(self.language)),
            None => {}
        }
        let text = match decision.reason {
            Reason::AuthOff => say!(
                "the effective mode is off, so no request needs a key",
                "实际生效模式为 off,任何请求都不需要 key",
            ),
            Reason::Preflight => {
                say!("a CORS preflight needs no key", "CORS 预检请求不需要 key")
            }
            Reason::Health => say!(
                "this path is open to GET and HEAD",
                "该路径对 GET 和 HEAD 放行",
            ),
            Reason::KeyMatched => say!("the key is right", "key 正确"),
            Reason::NoKeyConfigured => {
                say!("the gate has no key configured", "网关没有配置 key")
            }
            Reason::CredentialMissing if explanation.policy.sources.is_empty() => say!(
                "the gate is configured to read no header at all",
                "网关的配置不读取任何请求头",
            ),
            Reason::CredentialMissing => say!(
                "the request has no header that a key is read from",
                "请求中没有任何用来读取 key 的请求头",
            ),
            Reason::CredentialUnusable if explanation.value.len == 0 => {
                say!("{source} is empty", "{source} 的值为空")
            }
            Reason::CredentialUnusable => say!(
                "{source} holds a byte that no key can have",
                "{source} 中含有 key 不可能有的字节",
            ),
            Reason::KeyMismatch => say!(
                "the key in {source} is none of the gate's keys",
                "{source} 中的 key 与网关的 key 都不相同",
            ),
            Reason::InvalidCall => {
                say!("the gate was called wrongly", "调用网关的方式不对")
            }
        };
        self.text(&text)
    }

    fn mode(&self) -> Template {
        let policy = self.explanation.policy;
        match (policy.auth_mode, policy.effective_mode) {
            (AuthMode::Auto, EffectiveMode::Off) => say!(
                "auto, which means off because allow_lan_access is false: no request needs a key",
                "auto;因为 allow_lan_access 为 false,实际生效 off:任何请求都不需要 key",
            ),
            (AuthMode::Auto, _) => say!(
                "auto, which means all_except_health because allow_lan_access is true: {needed}",
                "auto;因为 allow_lan_access 为 true,实际生效 all_except_health:{needed}",
            ),
            (_, EffectiveMode::Off) => {
                say!("off: no request needs a key", "off:任何请求都不需要 key")
            }
            (_, EffectiveMode::Strict) => say!("strict: {needed}", "strict:{needed}"),
            (_, EffectiveMode::AllExceptHealth) => {
                say!("all_except_health: {needed}", "all_except_health:{needed}")
            }
        }
    }

    fn decided_by(&self) -> Template {
        match self.explanation.decision.reason {
            Reason::Preflight => say!(
                "the method, and what makes it a preflight; no key was read",
                "请求方法,以及构成预检请求的条件;没有读取 key",
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
            Reason::CredentialMissing if self.explanation.policy.sources.is_empty() => {
                say!(
                    "no header, since none is read",
                    "没有可用的请求头,因为一个也不读取"
                )
            }
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
                    "{source}, header {nth} of {headers}: {len}; the credential is the {credential_len} after \"{scheme} \"",
                    "{source}(第 {nth} 个,共 {headers}):{len},凭据是 \"{scheme} \" 之后的 {credential_len}",
                )
            }
            Reason::KeyMatched | Reason::CredentialUnusable | Reason::KeyMismatch => say!(
                "{source}, header {nth} of {headers}: {len}, all taken as the credential",
                "{source}(第 {nth} 个,共 {headers}):{len},全部作为凭据",
            ),
        }
    }

    /// What to say where the reason itself is the problem.
    fn plain_problems(&self) -> [Option<Template>; 2] {
        let explanation = self.explanation;
        let findings = explanation.findings;
        let searched = say!("{searched}", "{searched}");
        match explanation.decision.reason {
            Reason::CredentialMissing if explanation.policy.sources.is_empty() => [
                Some(say!(
                    "the gate is configured to read no header at all (sources is empty)",
                    "网关的配置不读取任何请求头(sources 为空)",
                )),
                None,
            ],
            Reason::CredentialMissing => [Some(searched).filter(|_| !self.has_found_key()), None],
            Reason::CredentialUnusable if explanation.value.credential_len == 0 => [
                Some(say!(
                    "{source} is there but empty, and it decides even so",
                    "{source} 存在但值为空,而它仍然决定结果",
                )),
                None,
            ],
            Reason::CredentialUnusable => [
                Some(say!(
                    "{source} holds a byte that is neither a space, a tab nor visible ASCII, which no key has",
                    "{source} 中含有空格、制表符和可见 ASCII 以外的字节,key 中不可能有",
                )),
                None,
            ],
            Reason::KeyMismatch if !findings.intersects(Findings::OF_VALUE) => [
                Some(say!(
                    "what was sent in {source} equals none of the keys in the gate's configuration ({keys})",
                    "{source} 中的内容与网关配置中的 key({keys})都不相同",
                )),
                Some(searched).filter(|_| !self.has_found_key()),
            ],
            _ => [None, None],
        }
    }

    /// Whether a right key was found somewhere in the request.
    fn has_found_key(&self) -> bool {
        let explanation = self.explanation;
        explanation.found
            || explanation.unread_matches
            || explanation.findings.contains(Finding::ShadowedMatch)
            || explanation.findings.contains(Finding::GateKeySuspect)
    }

    fn plain_fix(&self) -> Option<Template> {
        let explanation = self.explanation;
        let findings = explanation.findings;
        match explanation.decision.reason {
            Reason::CredentialMissing if explanation.policy.sources.is_empty() => Some(say!(
                "list a header in sources, or leave sources out for the default ones",
                "在 sources 中列出请求头,或删去 sources 以使用默认值",
            )),
            Reason::CredentialMissing if findings.intersects(Findings::SENT) => None,
            Reason::CredentialMissing => Some(say!(
                "{or}send the key as {example}",
                "{or}用 {example} 发送 key",
            )),
            Reason::CredentialUnusable if explanation.value.credential_len == 0 => Some(say!(
                "put the key in {source}, or do not send that header; look for a variable that is not set",
                "把 key 放进 {source},或者不要发送它;检查是否有未设置的变量",
            )),
            Reason::CredentialUnusable => Some(say!(
                "copy the key again as plain text; a line break, a curly quote or an invisible character often comes along",
                "以纯文本重新复制 key;常见的是混入了换行、弯引号或不可见字符",
            )),
            Reason::KeyMismatch
                if !findings.intersects(Findings::OF_VALUE) && !self.has_found_key() =>
            {
                Some(say!(
                    "{or}compare the key that the client sends with the one in the configuration this gate runs with",
                    "{or}核对客户端发送的 key 与该网关当前配置中的 key 是否一致",
                ))
            }
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

    #[allow(clippy::too_many_lines)] // a line or two for each slot
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
            Slot::Or
                if explanation.findings.intersects(Findings::OPENING)
                    || explanation.findings.contains(Finding::GateKeySuspect) =>
            {
                self.either("or ", "或者:")
            }
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
            Slot::Needed => self.needed(),
            Slot::Cause => self.cause(),
            Slot::RemainderLen => self.count(explanation.value.remainder_len, "byte", "字节"),
            Slot::Scheme => self.scheme(explanation.source()),
            Slot::Written => self.form(explanation.source()),
            Slot::Before => {
                let place = explanation.value.place;
                self.count(place.map_or(0, |place| place.before), "byte", "字节")
            }
            Slot::After => {
                let place = explanation.value.place;
                self.count(place.map_or(0, |place| place.after), "byte", "字节")
            }
            Slot::Joined if explanation.value.joined => self.either(
                "; the comma beside it shows that a proxy joined two headers",
                ";旁边的逗号说明有代理把两个请求头合并成了一个",
            ),
            Slot::Or | Slot::Joined => Ok(()),
            Slot::Elsewhere => self.elsewhere(),
            Slot::Foreign => {
                let (_, en, zh) = FOREIGN.get(explanation.value.foreign).copied().unwrap_or_default();
                self.either(en, zh)
            }
            Slot::Probe => self.to.write_str(explanation.probe),
            Slot::Placeholder if explanation.value.bare_bearer => self.either(
                "is the word Bearer alone, with nothing after it; the variable behind it may be empty",
                "只有 Bearer 这个词,后面什么也没有;其后的变量可能为空",
            ),
            Slot::Placeholder => self.either(
                "looks like an example that was never replaced, or a variable that was never expanded",
                "看起来是没有替换的示例文字,或没有展开的变量",
            ),
            Slot::Guarded => self.guarded(),
            Slot::Suspect if explanation.value.gate_has_placeholder => self.either(
                "a key in the gate's configuration looks like an example that was never replaced",
                "网关配置中的某个 key 看起来是没有替换的示例文字",
            ),
            Slot::Suspect => self.either(
                "what was sent is a configured key but for what stands around it in the gate's configuration (quotes, Bearer or NAME=)",
                "发送的内容与一个已配置的 key 只差后者在网关配置中多出的引号、Bearer 或 NAME=",
            ),
            Slot::Reads if policy.sources.is_empty() => {
                self.either("no header at all", "不读取任何请求头")
            }
            Slot::Reads => {
                self.either("only ", "只读取 ")?;
                self.sources(!0)
            }
            Slot::Searched => self.searched(),
            Slot::Part if explanation.value.overlong => self.either(
                "begins with a configured key and goes on after it",
                "以已配置的 key 开头,但后面还有多余内容",
            ),
            Slot::Part => self.either(
                "is the beginning of a configured key; the rest is missing",
                "只是已配置的 key 的开头,后面缺了一部分",
            ),
            Slot::Mended => self.mended(explanation.value.matches_mended),
            Slot::MendedUnread => self.mended(explanation.unread_matches),
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

    fn mended(&mut self, matches: bool) -> fmt::Result {
        if matches {
            return self.either("; with that, the key matches", ";这样改过之后 key 就能匹配");
        }
        self.either(
            "; and check the key itself, which matches none even so",
            ";另外请检查 key 本身:这样改过之后它仍与任何 key 不符",
        )
    }

    /// How to send a key, in the first source.
    fn example(&mut self) -> fmt::Result {
        self.form(0)
    }

    /// How to send a key in a source.
    fn form(&mut self, source: usize) -> fmt::Result {
        let policy = self.explanation.policy;
        self.to
            .write_str(policy.source_name(source).unwrap_or_default())?;
        self.to.write_str(": ")?;
        if policy.strips_bearer(source) || !policy.scheme(source).is_empty() {
            self.scheme(source)?;
            self.to.write_str(" ")?;
        }
        self.to.write_str("<key>")
    }

    fn scheme(&mut self, source: usize) -> fmt::Result {
        match self.explanation.policy.scheme(source) {
            [] => self.to.write_str("Bearer"),
            scheme => self.bytes(scheme),
        }
    }

    /// What needs a key.
    fn needed(&mut self) -> fmt::Result {
        if self.is_nothing_open() {
            return self.either("every request needs a key", "所有请求都需要 key");
        }
        self.either("every request needs a key except ", "除 ")?;
        self.open()?;
        self.either("", " 外都需要 key")
    }

    fn is_nothing_open(&self) -> bool {
        let policy = self.explanation.policy;
        let has_open_paths = policy.effective_mode == EffectiveMode::AllExceptHealth
            && policy.exempt_paths().next().is_some();
        policy.preflight == Preflight::None && !has_open_paths
    }

    /// What is open.
    fn open(&mut self) -> fmt::Result {
        let policy = self.explanation.policy;
        if self.is_nothing_open() {
            return self.either("none", "无");
        }
        let mut first = true;
        match policy.preflight {
            Preflight::None => {}
            Preflight::Options => {
                self.separate(&mut first)?;
                self.to.write_str("OPTIONS")?;
            }
            Preflight::Cors => {
                self.separate(&mut first)?;
                self.either("CORS preflights", "CORS 预检请求")?;
            }
        }
        if policy.effective_mode == EffectiveMode::AllExceptHealth {
            for exempt in policy.exempt_paths() {
                self.separate(&mut first)?;
                self.to.write_str("GET/HEAD ")?;
                self.bytes(exempt)?;
            }
        }
        Ok(())
    }

    /// Where a key stands that is read from nowhere.
    fn elsewhere(&mut self) -> fmt::Result {
        match &self.explanation.elsewhere {
            None => Ok(()),
            Some(Elsewhere::Header(name, _)) if !name.is_empty() => {
                self.either("the header ", "请求头 ")?;
                self.bytes(name)
            }
            Some(Elsewhere::Header(_, index)) => {
                self.either("header ", "第 ")?;
                number(self.to, index.saturating_add(1))?;
                self.either(" of the request", " 个请求头")
            }
            Some(Elsewhere::Query) => self.either("the query", "查询字符串"),
            Some(Elsewhere::Path) => self.either("the path", "路径"),
        }
    }

    /// Why an OPTIONS request does not pass.
    fn guarded(&mut self) -> fmt::Result {
        let explanation = self.explanation;
        if explanation.policy.preflight != Preflight::Cors {
            return self.either(
                "the gate lets no OPTIONS request pass without a key (preflight is none)",
                "网关不放行任何没有 key 的 OPTIONS 请求(preflight 为 none)",
            );
        }
        self.either(
            "an OPTIONS request passes without a key only as a CORS preflight (preflight is cors); this one lacks ",
            "OPTIONS 请求只有作为 CORS 预检请求才能不带 key 放行(preflight 为 cors);这个请求缺少 ",
        )?;
        let mut first = true;
        for (bit, name) in PREFLIGHT.iter().enumerate() {
            if explanation.preflight_lacks >> bit & 1 == 1 {
                self.separate(&mut first)?;
                self.to.write_str(name)?;
            }
        }
        Ok(())
    }

    /// That no key is in the request, as far as was looked.
    fn searched(&mut self) -> fmt::Result {
        let explanation = self.explanation;
        let (left_out, short) = (
            explanation.search.left_out,
            has_short_keys(explanation.policy),
        );
        if !left_out && !short {
            return self.either(
                "none of the gate's keys stands anywhere in the request",
                "整个请求里都没有网关的 key",
            );
        }
        self.either(
            "none of the gate's keys was found in the request",
            "在请求里没有找到网关的 key",
        )?;
        if left_out {
            self.either(
                ", of which the first 64 KiB were searched",
                ",只查找了前 64 KiB",
            )?;
        }
        if short {
            self.either(
                "; keys of fewer than 8 bytes are not searched for",
                ";不足 8 字节的 key 不在查找之列",
            )?;
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
