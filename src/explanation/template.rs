//! Texts with slots.

/// A text in both languages. `{name}` stands for what the [`Slot`] of that name writes.
#[derive(Clone, Copy)]
pub(super) struct Template {
    pub(super) en: &'static str,
    pub(super) zh: &'static str,
}

impl Template {
    /// Does not compile where a slot is unknown: call it by `say!`.
    pub(super) const fn checked(en: &'static str, zh: &'static str) -> Self {
        Slot::check(en);
        Slot::check(zh);
        Self { en, zh }
    }
}

macro_rules! say {
    ($en:literal, $zh:literal $(,)?) => {
        const { $crate::explanation::template::Template::checked($en, $zh) }
    };
}
pub(super) use say;

macro_rules! slots {
    ($($slot:ident $name:literal,)*) => {
        /// What a template leaves open.
        #[derive(Clone, Copy)]
        pub(super) enum Slot {
            $($slot,)*
        }

        impl Slot {
            const NAMES: &'static [(&'static str, Self)] = &[$(($name, Self::$slot),)*];
        }
    };
}

slots! {
    Reason "reason",
    Rule "rule",
    Source "source",
    Nth "nth",
    Headers "headers",
    Duplicates "duplicates",
    Keys "keys",
    Len "len",
    CredentialLen "credential_len",
    RemainderLen "remainder_len",
    Or "or",
    Sources "sources",
    Shadows "shadows",
    Example "example",
    Unread "unread",
    Parameter "parameter",
    Exempt "exempt",
    Open "open",
    Needed "needed",
    Scheme "scheme",
    Part "part",
    Mended "mended",
    MendedUnread "mended_unread",
    Written "written",
    Placeholder "placeholder",
    Reads "reads",
    Before "before",
    After "after",
    Joined "joined",
    Elsewhere "elsewhere",
    Foreign "foreign",
    Probe "probe",
    Guarded "guarded",
    Suspect "suspect",
    Searched "searched",
    Cause "cause",
}

impl Slot {
    pub(super) fn named(name: &str) -> Option<Self> {
        let found = Self::NAMES.iter().find(|(own, _)| *own == name);
        found.map(|(_, slot)| *slot)
    }

    /// Panics, while it is compiled, where the text has a slot that is none of these.
    const fn check(text: &str) {
        let mut rest = text.as_bytes();
        while let [first, after @ ..] = rest {
            rest = after;
            if *first == b'{' {
                assert!(Self::begins(rest), "an unknown slot");
            }
        }
    }

    /// Whether the text begins with a name of ours and `}`.
    const fn begins(text: &[u8]) -> bool {
        let mut row = 0;
        while row < Self::NAMES.len() {
            let name = Self::NAMES[row].0.as_bytes();
            let mut at = 0;
            while at < name.len() && at < text.len() && name[at] == text[at] {
                at += 1;
            }
            if at == name.len() && at < text.len() && text[at] == b'}' {
                return true;
            }
            row += 1;
        }
        false
    }
}
