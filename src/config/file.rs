//! The configuration as JSON.
//!
//! No error repeats what was read: any of it may be a key that was put in the wrong place.

use hifijson::escape::Lex as _;
use hifijson::num::Lex as _;
use hifijson::token::Lex as _;
use hifijson::{Read as _, SliceLexer};
use zeroize::Zeroize;

use super::error::{ByteClass, ConfigError, ConfigErrorKind, ConfigField};
use super::{BYTE_ORDER_MARK, Draft, Exempt, Filler, Key, Rules, Source};
use crate::limits::{
    MAX_EXEMPT_LEN, MAX_KEY_LEN, MAX_LABEL_LEN, MAX_ORIGIN_LEN, MAX_SCHEME_LEN, MAX_SOURCE_NAME_LEN,
};
use crate::mode::{AuthMode, MatchMode, Preflight, Strip};

/// How deep the JSON may be nested: as many levels as a word has bits.
const MAX_DEPTH: u32 = u64::BITS;
/// More bytes than any name of ours has.
const NAME_ROOM: usize = 32;

type Read<T> = Result<T, ConfigError>;

/// What a text may be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// The object, or one that holds it under `proxy`.
    File,
    /// The object alone.
    Object,
}

/// Reads a configuration into a draft. `keys` are from elsewhere; the text must then have none.
pub(crate) fn read(
    text: &[u8],
    form: Form,
    keys: Option<&[Key<'_>]>,
    draft: &mut impl Draft,
) -> Read<()> {
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let mut reader = Reader::new(text);
    let has_proxy = reader.scan();
    let has_proxy = has_proxy.map_err(|error| reader.located(error))? && form == Form::File;
    let mut reader = Reader::new(text);
    let mut section = Section {
        to: Filler { draft },
        elsewhere: keys.is_some(),
        inside_proxy: has_proxy,
        seen: 0,
        rules: Rules::new(AuthMode::Strict),
        identity_mark: 0,
    };
    let done = if has_proxy {
        reader.members(
            ConfigField::Config,
            &mut |reader, name| match name.meaning() {
                Meaning::Proxy => section.read(reader, ConfigField::Proxy),
                Meaning::Other => reader.skip(),
                Meaning::Ours(field) | Meaning::Misspelt(field) => {
                    Err(ConfigError::new(ConfigErrorKind::BesideProxy, field))
                }
            },
        )
    } else {
        section.read(&mut reader, ConfigField::Config)
    };
    done.map_err(|error| reader.located(error))?;
    for (index, key) in keys.unwrap_or(&[]).iter().enumerate() {
        section.to.key(key, ConfigField::Key, Some(index))?; // not in this text, so without a line
    }
    Ok(())
}

/// The object with our fields.
struct Section<'d, D> {
    to: Filler<'d, D>,
    /// Whether there are keys from elsewhere.
    elsewhere: bool,
    /// Fields that are not ours belong to another product there.
    inside_proxy: bool,
    /// The fields that were given, as bits.
    seen: u32,
    rules: Rules,
    /// Where the identity header is named.
    identity_mark: usize,
}

impl<D: Draft> Section<'_, D> {
    fn read(&mut self, reader: &mut Reader<'_>, at: ConfigField) -> Read<()> {
        reader.members(at, &mut |reader, name| match name.meaning() {
            Meaning::Ours(field) => self.field(reader, field),
            Meaning::Misspelt(field) => {
                Err(ConfigError::new(ConfigErrorKind::FieldMisspelt, field))
            }
            Meaning::Proxy | Meaning::Other if self.inside_proxy => reader.skip(),
            Meaning::Proxy | Meaning::Other => {
                Err(ConfigError::new(ConfigErrorKind::FieldUnknown, at))
            }
        })?;
        if !self.has(ConfigField::AuthMode) {
            let kind = ConfigErrorKind::FieldMissing;
            return Err(ConfigError::new(kind, ConfigField::AuthMode));
        }
        if !self.has(ConfigField::Sources) {
            self.to.default_sources()?;
        }
        if !self.has(ConfigField::Exempt) {
            self.to.default_exempt()?;
        }
        self.to
            .rules(&self.rules)
            .inspect_err(|_| reader.mark = self.identity_mark)
    }

    fn has(&self, field: ConfigField) -> bool {
        self.seen >> field.code() & 1 != 0
    }

    fn field(&mut self, reader: &mut Reader<'_>, field: ConfigField) -> Read<()> {
        let wrong = |kind| Err(ConfigError::new(kind, field));
        if self.has(field) {
            return wrong(ConfigErrorKind::FieldTwice);
        }
        self.seen |= 1 << field.code();
        if matches!(field, ConfigField::ApiKey | ConfigField::Keys) {
            if self.elsewhere {
                return wrong(ConfigErrorKind::KeysElsewhere);
            }
            if self.has(ConfigField::ApiKey) && self.has(ConfigField::Keys) {
                return wrong(ConfigErrorKind::ApiKeyAndKeys);
            }
        }
        match field {
            ConfigField::AuthMode => {
                self.rules.auth_mode = reader.choice(field, AuthMode::from_bytes)?;
            }
            ConfigField::Match => {
                self.rules.match_mode = reader.choice(field, MatchMode::from_bytes)?;
            }
            ConfigField::Preflight => {
                self.rules.preflight = reader.choice(field, Preflight::from_bytes)?;
            }
            ConfigField::Strip => self.rules.strip = reader.choice(field, Strip::from_bytes)?,
            ConfigField::AllowLanAccess => {
                self.rules.allow_lan_access = reader.flag(field, None)?;
            }
            ConfigField::IdentityHeader => {
                let mut name = Buffer::<HEADER_ROOM>::default();
                reader.string(field, None, &mut name)?;
                self.identity_mark = reader.mark;
                self.to.identity_header(name.beginning())?;
            }
            ConfigField::AllowOrigin => {
                let mut origin = Buffer::<ORIGIN_ROOM>::default();
                reader.string(field, None, &mut origin)?;
                self.to.allow_origin(origin.beginning())?;
            }
            ConfigField::ApiKey => {
                let mut secret = Buffer::<SECRET_ROOM>::default();
                reader.string(field, None, &mut secret)?;
                if !secret.is_empty() {
                    self.to.key(&Key::new(secret.beginning()), field, None)?;
                }
            }
            ConfigField::Keys => {
                reader.items(field, &mut |reader, index| self.key(reader, index))?;
            }
            ConfigField::Sources => {
                reader.items(field, &mut |reader, index| self.source(reader, index))?;
            }
            ConfigField::Exempt => reader.items(field, &mut |reader, index| {
                let mut path = Buffer::<PATH_ROOM>::default();
                reader.string(field, Some(index), &mut path)?;
                self.to.exempt(&Exempt::new(path.beginning()), index)
            })?,
            // Not a field of the section.
            _ => return wrong(ConfigErrorKind::FieldUnknown),
        }
        Ok(())
    }

    fn key(&mut self, reader: &mut Reader<'_>, index: usize) -> Read<()> {
        let entry = Entry {
            list: ConfigField::Keys,
            index,
        };
        let (mut has_secret, mut has_label) = (false, false);
        let mut secret = Buffer::<SECRET_ROOM>::default();
        let mut label = Buffer::<LABEL_ROOM>::default();
        entry.read(reader, &mut |reader, name| match name {
            b"key" => {
                let field = entry.once(&mut has_secret, ConfigField::Key)?;
                reader.string(field, Some(index), &mut secret)
            }
            b"label" => {
                let field = entry.once(&mut has_label, ConfigField::Label)?;
                reader.string(field, Some(index), &mut label)
            }
            _ => Err(entry.error(ConfigErrorKind::FieldUnknown, entry.list)),
        })?;
        if !has_secret {
            return Err(entry.error(ConfigErrorKind::FieldMissing, ConfigField::Key));
        }
        let key = Key::new(secret.beginning()).label(label.beginning());
        self.to.key(&key, ConfigField::Key, Some(index))
    }

    fn source(&mut self, reader: &mut Reader<'_>, index: usize) -> Read<()> {
        let entry = Entry {
            list: ConfigField::Sources,
            index,
        };
        let (mut has_name, mut has_bearer, mut has_scheme) = (false, false, false);
        let mut bearer = false;
        let mut name = Buffer::<HEADER_ROOM>::default();
        let mut scheme = Buffer::<SCHEME_ROOM>::default();
        entry.read(reader, &mut |reader, own| match own {
            b"name" => {
                let field = entry.once(&mut has_name, ConfigField::SourceName)?;
                reader.string(field, Some(index), &mut name)
            }
            b"bearer" => {
                let field = entry.once(&mut has_bearer, ConfigField::Bearer)?;
                bearer = reader.flag(field, Some(index))?;
                Ok(())
            }
            b"scheme" => {
                let field = entry.once(&mut has_scheme, ConfigField::Scheme)?;
                reader.string(field, Some(index), &mut scheme)
            }
            _ => Err(entry.error(ConfigErrorKind::FieldUnknown, entry.list)),
        })?;
        if !has_name {
            return Err(entry.error(ConfigErrorKind::FieldMissing, ConfigField::SourceName));
        }
        // What is written is meant.
        if has_scheme && scheme.is_empty() {
            return Err(entry.error(ConfigErrorKind::SchemeNotToken, ConfigField::Scheme));
        }
        let (name, scheme) = (name.beginning(), scheme.beginning());
        let source = Source {
            name,
            bearer,
            scheme,
        };
        self.to.source(&source, index)
    }
}

// One more than fits, so that what is too long shows.
const SECRET_ROOM: usize = MAX_KEY_LEN + 1;
const LABEL_ROOM: usize = MAX_LABEL_LEN + 1;
const HEADER_ROOM: usize = MAX_SOURCE_NAME_LEN + 1;
const PATH_ROOM: usize = MAX_EXEMPT_LEN + 1;
const SCHEME_ROOM: usize = MAX_SCHEME_LEN + 1;
const ORIGIN_ROOM: usize = MAX_ORIGIN_LEN + 1;

/// An object in a list.
#[derive(Clone, Copy)]
struct Entry {
    list: ConfigField,
    index: usize,
}

impl Entry {
    const fn error(self, kind: ConfigErrorKind, field: ConfigField) -> ConfigError {
        ConfigError::new(kind, field).at(Some(self.index))
    }

    /// Reads the members, and puts the mark at the beginning.
    fn read(
        self,
        reader: &mut Reader<'_>,
        member: &mut dyn FnMut(&mut Reader<'_>, &[u8]) -> Read<()>,
    ) -> Read<()> {
        reader.peek();
        let start = reader.mark;
        let members = reader.members(self.list, &mut |reader, name| {
            member(reader, name.exact.bytes().unwrap_or(&[]))
        });
        members.map_err(|error| ConfigError {
            index: error.index.or(Some(self.index)),
            ..error
        })?;
        reader.mark = start;
        Ok(())
    }

    /// Notes that a field is given.
    fn once(self, seen: &mut bool, field: ConfigField) -> Read<ConfigField> {
        if core::mem::replace(seen, true) {
            return Err(self.error(ConfigErrorKind::FieldTwice, field));
        }
        Ok(field)
    }
}

/// The bytes that a string stands for, as many as there is room for; wiped when done.
struct Buffer<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Default for Buffer<N> {
    fn default() -> Self {
        Self {
            bytes: [0; N],
            len: 0,
        }
    }
}

impl<const N: usize> Drop for Buffer<N> {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

impl<const N: usize> Buffer<N> {
    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.len) {
            *place = byte;
        }
        self.len = self.len.saturating_add(1);
    }

    const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All bytes, where they had room.
    fn bytes(&self) -> Option<&[u8]> {
        self.bytes.get(..self.len)
    }

    /// As many as had room.
    fn beginning(&self) -> &[u8] {
        self.bytes().unwrap_or(&self.bytes)
    }
}

/// The name of a member, exactly and folded: in lower case, without `_`, `-` and one final `s`.
#[derive(Default)]
struct Name {
    exact: Buffer<NAME_ROOM>,
    folded: Buffer<NAME_ROOM>,
}

enum Meaning {
    Ours(ConfigField),
    /// Somebody meant ours.
    Misspelt(ConfigField),
    Proxy,
    Other,
}

const OURS: [ConfigField; 11] = [
    ConfigField::AuthMode,
    ConfigField::AllowLanAccess,
    ConfigField::ApiKey,
    ConfigField::Keys,
    ConfigField::Sources,
    ConfigField::Exempt,
    ConfigField::Match,
    ConfigField::Preflight,
    ConfigField::Strip,
    ConfigField::IdentityHeader,
    ConfigField::AllowOrigin,
];

impl Name {
    fn push(&mut self, character: u32) {
        // What is no byte is no part of a name of ours: any byte that is none either will do.
        let byte = u8::try_from(character).unwrap_or(0);
        self.exact.push(byte);
        if !matches!(byte, b'_' | b'-') {
            self.folded.push(byte.to_ascii_lowercase());
        }
    }

    fn meaning(&self) -> Meaning {
        let exact = self.exact.bytes().unwrap_or(&[]);
        if exact == b"proxy" {
            return Meaning::Proxy;
        }
        let folded = without_s(self.folded.bytes().unwrap_or(&[]));
        for field in OURS {
            let own = field.name();
            if own.as_bytes() == exact {
                return Meaning::Ours(field);
            }
        }
        for field in OURS {
            let own = field.name();
            let own = without_s(own.as_bytes())
                .iter()
                .filter(|byte| **byte != b'_');
            if own.eq(folded) {
                return Meaning::Misspelt(field);
            }
        }
        Meaning::Other
    }
}

fn without_s(name: &[u8]) -> &[u8] {
    name.strip_suffix(b"s").unwrap_or(name)
}

struct Reader<'t> {
    text: &'t [u8],
    lexer: SliceLexer<'t>,
    /// Where an error is, if there is one.
    mark: usize,
}

impl<'t> Reader<'t> {
    fn new(text: &'t [u8]) -> Self {
        Self {
            text,
            lexer: SliceLexer::new(text),
            mark: 0,
        }
    }

    fn offset(&self) -> usize {
        self.text.len().saturating_sub(self.lexer.as_slice().len())
    }

    /// The error with the line and the column of the mark.
    fn located(&self, error: ConfigError) -> ConfigError {
        let before = self.text.get(..self.mark).unwrap_or(self.text);
        let (mut line, mut column) = (1_usize, 1_usize);
        for byte in before {
            match byte {
                b'\n' => (line, column) = (line.saturating_add(1), 1),
                0x80..=0xbf => {} // the same character goes on
                _ => column = column.saturating_add(1),
            }
        }
        ConfigError {
            line,
            column,
            ..error
        }
    }

    /// Holds the whole text to be one object of JSON in UTF-8, and says whether `proxy` is one of
    /// its members.
    fn scan(&mut self) -> Read<bool> {
        let broken = |kind| Err(ConfigError::new(kind, ConfigField::Config));
        if let Err(error) = core::str::from_utf8(self.text) {
            self.mark = error.valid_up_to();
            return broken(ConfigErrorKind::Encoding);
        }
        let mut has_proxy = false;
        self.members(ConfigField::Config, &mut |reader, name| {
            if matches!(name.meaning(), Meaning::Proxy) && core::mem::replace(&mut has_proxy, true)
            {
                let kind = ConfigErrorKind::FieldTwice;
                return Err(ConfigError::new(kind, ConfigField::Proxy));
            }
            reader.skip()
        })?;
        if self.peek().is_some() {
            return broken(ConfigErrorKind::TextAfter);
        }
        Ok(has_proxy)
    }

    /// The next byte that is no white space, at which the mark is put.
    fn peek(&mut self) -> Option<u8> {
        let next = self.lexer.ws_peek();
        self.mark = self.offset();
        next
    }

    fn broken<T>(&mut self) -> Read<T> {
        self.mark = self.offset();
        Err(ConfigError::new(ConfigErrorKind::Json, ConfigField::Config))
    }

    /// Takes the next byte that is no white space, where it is this one.
    fn take(&mut self, byte: u8) -> Read<()> {
        if self.peek() != Some(byte) {
            return self.broken();
        }
        self.lexer.take_next();
        Ok(())
    }

    /// After an item: whether another one follows.
    fn goes_on(&mut self, end: u8) -> Read<bool> {
        match self.peek() {
            Some(b',') => {
                self.lexer.take_next();
                Ok(true)
            }
            Some(byte) if byte == end => {
                self.lexer.take_next();
                Ok(false)
            }
            _ => self.broken(),
        }
    }

    /// Whether a list or an object that was just opened is empty, and so ends here.
    fn is_empty(&mut self, end: u8) -> bool {
        let ends = self.peek() == Some(end);
        if ends {
            self.lexer.take_next();
        }
        ends
    }

    /// Reads an object. The mark is at the name while `member` reads the value.
    fn members(
        &mut self,
        at: ConfigField,
        member: &mut dyn FnMut(&mut Self, &Name) -> Read<()>,
    ) -> Read<()> {
        if self.peek() != Some(b'{') {
            return self.wrong_type(at, None);
        }
        self.lexer.take_next();
        if self.is_empty(b'}') {
            return Ok(());
        }
        loop {
            self.peek();
            let start = self.mark;
            let mut name = Name::default();
            self.characters(&mut |character| name.push(character))?;
            self.take(b':')?;
            self.mark = start;
            member(self, &name)?;
            if !self.goes_on(b'}')? {
                return Ok(());
            }
        }
    }

    /// Reads a list.
    fn items(
        &mut self,
        at: ConfigField,
        item: &mut dyn FnMut(&mut Self, usize) -> Read<()>,
    ) -> Read<()> {
        if self.peek() != Some(b'[') {
            return self.wrong_type(at, None);
        }
        self.lexer.take_next();
        if self.is_empty(b']') {
            return Ok(());
        }
        let mut index = 0_usize;
        loop {
            item(self, index)?;
            if !self.goes_on(b']')? {
                return Ok(());
            }
            index = index.saturating_add(1);
        }
    }

    /// Another value than was wanted, or none at all.
    fn wrong_type<T>(&mut self, at: ConfigField, index: Option<usize>) -> Read<T> {
        match self.peek() {
            Some(b'{' | b'[' | b'"' | b'-' | b'0'..=b'9' | b'n' | b't' | b'f') => {
                Err(ConfigError::new(ConfigErrorKind::FieldType, at).at(index))
            }
            _ => self.broken(),
        }
    }

    fn flag(&mut self, at: ConfigField, index: Option<usize>) -> Read<bool> {
        if !matches!(self.peek(), Some(b't' | b'f')) {
            return self.wrong_type(at, index);
        }
        match self.lexer.null_or_bool() {
            Some(Some(flag)) => Ok(flag),
            _ => self.broken(),
        }
    }

    /// Reads the name of what an operator chooses.
    fn choice<T>(&mut self, at: ConfigField, named: fn(&[u8]) -> Option<T>) -> Read<T> {
        let mut name = Buffer::<NAME_ROOM>::default();
        self.string(at, None, &mut name)?;
        let kind = match at {
            ConfigField::Match => ConfigErrorKind::UnknownMatch,
            ConfigField::Preflight => ConfigErrorKind::UnknownPreflight,
            ConfigField::Strip => ConfigErrorKind::UnknownStrip,
            _ => ConfigErrorKind::UnknownMode,
        };
        let chosen = name.bytes().and_then(named);
        chosen.ok_or_else(|| ConfigError::new(kind, at))
    }

    /// Reads a string, each of whose characters stands for one byte.
    fn string<const N: usize>(
        &mut self,
        at: ConfigField,
        index: Option<usize>,
        to: &mut Buffer<N>,
    ) -> Read<()> {
        if self.peek() != Some(b'"') {
            return self.wrong_type(at, index);
        }
        let start = self.mark;
        let mut beyond = None;
        self.characters(&mut |character| match u8::try_from(character) {
            Ok(byte) => to.push(byte),
            Err(_) => {
                beyond.get_or_insert(character);
            }
        })?;
        self.mark = start;
        let Some(character) = beyond else {
            return Ok(());
        };
        let is_key = matches!(at, ConfigField::Key | ConfigField::ApiKey);
        let error = |kind| ConfigError::new(kind, at).at(index);
        Err(if is_key {
            ConfigError {
                byte_class: Some(match character {
                    0x200b => ByteClass::ZeroWidthSpace,
                    0xfeff => ByteClass::ByteOrderMark,
                    _ => ByteClass::NotAscii,
                }),
                ..error(ConfigErrorKind::KeyByte)
            }
        } else {
            error(ConfigErrorKind::Character)
        })
    }

    /// Reads a string, character by character.
    fn characters(&mut self, each: &mut dyn FnMut(u32)) -> Read<()> {
        self.take(b'"')?;
        loop {
            match self.lexer.take_next() {
                Some(b'"') => return Ok(()),
                Some(b'\\') => {
                    let kind = self.lexer.take_next().unwrap_or(0);
                    match self.lexer.escape(kind) {
                        Ok(character) => each(character.into()),
                        Err(_) => return self.broken(),
                    }
                }
                Some(byte @ 0x20..=0x7f) => each(byte.into()),
                Some(byte @ 0x80..) => each(self.rest_of(byte)),
                _ => return self.broken(),
            }
        }
    }

    /// The character that begins with this byte, in a text that is UTF-8.
    fn rest_of(&mut self, first: u8) -> u32 {
        let (bits, more) = match first {
            0..0xe0 => (first & 0x1f, 1),
            0xe0..0xf0 => (first & 0x0f, 2),
            _ => (first & 0x07, 3),
        };
        let mut value = u32::from(bits);
        for _ in 0..more {
            value = value << 6 | u32::from(self.lexer.take_next().unwrap_or(0) & 0x3f);
        }
        value
    }

    /// Reads any value and forgets it.
    fn skip(&mut self) -> Read<()> {
        // A bit a level that is open: 1 for an object.
        let (mut objects, mut depth) = (0_u64, 0_u32);
        loop {
            match self.peek() {
                Some(open @ (b'{' | b'[')) => {
                    self.lexer.take_next();
                    if depth == MAX_DEPTH {
                        let kind = ConfigErrorKind::TooDeep;
                        return Err(ConfigError::new(kind, ConfigField::Config));
                    }
                    let is_object = open == b'{';
                    if !self.is_empty(if is_object { b'}' } else { b']' }) {
                        objects = objects << 1 | u64::from(is_object);
                        depth += 1;
                        if is_object {
                            self.skip_name()?;
                        }
                        continue;
                    }
                }
                Some(b'"') => self.characters(&mut |_| ())?,
                Some(b'-' | b'0'..=b'9') => {
                    if self.lexer.num_ignore().validate().is_err() {
                        return self.broken();
                    }
                }
                Some(b'n' | b't' | b'f') => {
                    if self.lexer.null_or_bool().is_none() {
                        return self.broken();
                    }
                }
                _ => return self.broken(),
            }
            loop {
                if depth == 0 {
                    return Ok(());
                }
                let is_object = objects & 1 == 1;
                if self.goes_on(if is_object { b'}' } else { b']' })? {
                    if is_object {
                        self.skip_name()?;
                    }
                    break;
                }
                objects >>= 1;
                depth -= 1;
            }
        }
    }

    fn skip_name(&mut self) -> Read<()> {
        self.characters(&mut |_| ())?;
        self.take(b':')
    }
}
