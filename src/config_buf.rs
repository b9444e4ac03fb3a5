//! The configuration as it stands in a file, for serde.
//!
//! No message here repeats what it was given: any of it may be a key that was put in the wrong
//! place. That is why every visitor refuses what it does not want by itself.

use core::fmt;
use core::marker::PhantomData;

use heapless::{String, Vec};
use serde_core::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use crate::config::{AuthMode, Config, ConfigError, ConfigErrorKind, Exempt, Key, Source};
use crate::policy::{Policy, wipe, wipe_list};
use crate::{
    MAX_EXEMPT, MAX_EXEMPT_LEN, MAX_KEY_LEN, MAX_KEYS, MAX_LABEL_LEN, MAX_SOURCE_NAME_LEN,
    MAX_SOURCES,
};

/// A configuration that owns its bytes, in fixed buffers that are wiped on drop; moving it, out of
/// the reader to begin with, can leave copies behind. Feature `serde`.
///
/// Its fields are those of a `proxy` section: `auth_mode` (which must be there),
/// `allow_lan_access`, `api_key`, and keygate's own `keys` (`[{"key": "...", "label": "..."}]`),
/// `sources` (`[{"name": "...", "bearer": true}]`) and `exempt` (`["/healthz"]`). Other fields
/// are ignored, so the section loads as it is; so does a whole file that holds it under `proxy`.
/// Each character of a string stands for one byte, U+0000 to U+00FF.
///
/// ```
/// let file = r#"{"proxy": {"enabled": true, "port": 8045, "auth_mode": "auto",
///     "allow_lan_access": true, "api_key": "sk-example"}}"#;
/// let config: keygate::ConfigBuf = serde_json::from_str(file)?;
/// let policy = config.policy()?;
/// assert!(!policy.decide("GET", "/v1/models", [("x-api-key", "sk-other")]).is_allow());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ConfigBuf {
    auth_mode: AuthMode,
    allow_lan_access: bool,
    api_key: Option<SecretBuf>,
    keys: Option<Vec<KeyBuf, MAX_KEYS>>,
    sources: Option<Vec<SourceBuf, MAX_SOURCES>>,
    exempt: Option<Vec<Text<MAX_EXEMPT_LEN>, MAX_EXEMPT>>,
}

impl ConfigBuf {
    /// Checks the configuration and makes a policy of it.
    ///
    /// # Errors
    ///
    /// Those of [`Policy::new`].
    pub fn policy(&self) -> Result<Policy, ConfigError> {
        let keys = self
            .keys
            .as_ref()
            .map(|keys| list::<_, MAX_KEYS>(keys.iter().map(KeyBuf::borrow)));
        let sources = self
            .sources
            .as_ref()
            .map(|sources| list::<_, MAX_SOURCES>(sources.iter().map(SourceBuf::borrow)));
        let exempt = self
            .exempt
            .as_ref()
            .map(|exempt| list::<_, MAX_EXEMPT>(exempt.iter().map(Exempt::new)));
        Policy::new(&Config {
            auth_mode: self.auth_mode,
            allow_lan_access: self.allow_lan_access,
            api_key: self.api_key.as_ref().map(|secret| secret.0.as_slice()),
            keys: keys.as_deref(),
            sources: sources.as_deref(),
            exempt: exempt.as_deref(),
        })
    }
}

/// As many as there are: both sides have the same capacity.
fn list<T, const N: usize>(items: impl Iterator<Item = T>) -> Vec<T, N> {
    let mut list = Vec::new();
    for item in items {
        if list.push(item).is_err() {
            break;
        }
    }
    list
}

impl fmt::Debug for ConfigBuf {
    /// Shows how many keys there are and nothing else of them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigBuf")
            .field("auth_mode", &self.auth_mode)
            .field("allow_lan_access", &self.allow_lan_access)
            .field("api_key", &self.api_key.is_some())
            .field("keys", &self.keys.as_deref().map(<[_]>::len))
            .finish_non_exhaustive()
    }
}

impl<'de> Deserialize<'de> for ConfigBuf {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Field::new("config").deserialize(deserializer)
    }
}

/// A [`ConfigBuf`] of which every field must be known: no others are ignored, and the section
/// stands alone. Feature `serde`.
#[derive(Debug)]
pub struct ExactConfigBuf(pub ConfigBuf);

impl<'de> Deserialize<'de> for ExactConfigBuf {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Field::new("config").deserialize(deserializer)
    }
}

impl Drop for ConfigBuf {
    /// Wipes all the room there is: what is not in use can hold a key that stood there before a
    /// configuration was moved to the place.
    fn drop(&mut self) {
        self.api_key.get_or_insert_default();
        let keys = self.keys.get_or_insert_default();
        wipe_list(keys, |key| wipe(&mut key.label));
        let sources = self.sources.get_or_insert_default();
        wipe_list(sources, |source| wipe(&mut source.name));
        wipe_list(self.exempt.get_or_insert_default(), wipe);
    }
}

type Text<const N: usize> = Vec<u8, N, u16>;

#[derive(Default)]
struct SecretBuf(Text<MAX_KEY_LEN>);

impl Drop for SecretBuf {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

#[derive(Default)]
struct KeyBuf {
    secret: SecretBuf,
    label: Text<MAX_LABEL_LEN>,
}

impl KeyBuf {
    fn borrow(&self) -> Key<'_> {
        Key::new(&self.secret.0).label(&self.label)
    }
}

#[derive(Default)]
struct SourceBuf {
    name: Text<MAX_SOURCE_NAME_LEN>,
    bearer: bool,
}

impl SourceBuf {
    fn borrow(&self) -> Source<'_> {
        Source {
            name: &self.name,
            bearer: self.bearer,
        }
    }
}

/// A message about a field.
struct Complaint(&'static str, &'static str);

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0, self.1)
    }
}

/// Without the name: it may be a key that was put in the wrong place.
const UNKNOWN: &str =
    "unknown field; known are auth_mode, allow_lan_access, api_key, keys, sources and exempt";

/// The name of a field, where it can be one of ours. `None` where it is longer than any.
struct FieldName(Option<String<32>>);

impl FieldName {
    fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }
}

impl<'de> Deserialize<'de> for FieldName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;

        impl Visitor<'_> for Name {
            type Value = FieldName;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a field")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<FieldName, E> {
                Ok(FieldName(String::try_from(name).ok()))
            }
        }

        deserializer.deserialize_identifier(Name)
    }
}

/// What a field can be made of. Each refuses what it does not know.
trait Value: Sized {
    const EXPECTED: &'static str;

    fn from_bool(_: bool) -> Result<Self, &'static str> {
        Err(Self::EXPECTED)
    }

    fn from_text(_: &str) -> Result<Self, &'static str> {
        Err(Self::EXPECTED)
    }

    fn from_list<'de, A: SeqAccess<'de>>(field: &'static str, _: A) -> Result<Self, A::Error> {
        Err(A::Error::custom(Complaint(field, Self::EXPECTED)))
    }

    fn from_object<'de, A: MapAccess<'de>>(field: &'static str, _: A) -> Result<Self, A::Error> {
        Err(A::Error::custom(Complaint(field, Self::EXPECTED)))
    }
}

/// Reads the value of a named field.
struct Field<T>(&'static str, PhantomData<T>);

impl<T> Field<T> {
    const fn new(name: &'static str) -> Self {
        Self(name, PhantomData)
    }

    /// Reads the field into its place, once.
    fn read<'de, A: MapAccess<'de>>(
        self,
        place: &mut Option<T>,
        map: &mut A,
    ) -> Result<(), A::Error>
    where
        T: Value,
    {
        if place.is_some() {
            return Err(A::Error::custom(Complaint(self.0, "given twice")));
        }
        *place = Some(map.next_value_seed(self)?);
        Ok(())
    }
}

impl<'de, T: Value> DeserializeSeed<'de> for Field<T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<T: Value> Field<T> {
    fn refuse<E: Error>(&self) -> Result<T, E> {
        Err(E::custom(Complaint(self.0, T::EXPECTED)))
    }
}

impl<'de, T: Value> Visitor<'de> for Field<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Complaint(self.0, T::EXPECTED), f)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<T, E> {
        T::from_bool(value).map_err(|problem| E::custom(Complaint(self.0, problem)))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<T, E> {
        T::from_text(value).map_err(|problem| E::custom(Complaint(self.0, problem)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<T, A::Error> {
        T::from_list(self.0, list)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::from_object(self.0, map)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<T, E> {
        self.refuse()
    }

    fn visit_i128<E: Error>(self, _: i128) -> Result<T, E> {
        self.refuse()
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<T, E> {
        self.refuse()
    }

    fn visit_u128<E: Error>(self, _: u128) -> Result<T, E> {
        self.refuse()
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<T, E> {
        self.refuse()
    }

    fn visit_char<E: Error>(self, _: char) -> Result<T, E> {
        self.refuse()
    }

    fn visit_bytes<E: Error>(self, _: &[u8]) -> Result<T, E> {
        self.refuse()
    }

    fn visit_none<E: Error>(self) -> Result<T, E> {
        self.refuse()
    }

    fn visit_unit<E: Error>(self) -> Result<T, E> {
        self.refuse()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Value for bool {
    const EXPECTED: &'static str = "must be true or false";

    fn from_bool(value: bool) -> Result<Self, &'static str> {
        Ok(value)
    }
}

impl Value for AuthMode {
    const EXPECTED: &'static str = "must be \"off\", \"strict\", \"all_except_health\" or \"auto\"";

    fn from_text(text: &str) -> Result<Self, &'static str> {
        text.parse().map_err(|_| Self::EXPECTED)
    }
}

impl<const N: usize> Value for Text<N> {
    const EXPECTED: &'static str = "must be a string";

    fn from_text(text: &str) -> Result<Self, &'static str> {
        const TOO_LONG: [(usize, ConfigErrorKind); 3] = [
            (MAX_KEY_LEN, ConfigErrorKind::KeyTooLong),
            (MAX_EXEMPT_LEN, ConfigErrorKind::ExemptTooLong),
            (MAX_LABEL_LEN, ConfigErrorKind::LabelTooLong),
        ];
        let too_long = TOO_LONG.iter().find(|(len, _)| *len == N);
        let mut bytes = Self::new();
        for character in text.chars() {
            let byte = u8::try_from(character)
                .map_err(|_| "holds a character beyond U+00FF; each character stands for a byte")?;
            bytes
                .push(byte)
                .map_err(|_| too_long.map_or("too long", |(_, kind)| kind.text()))?;
        }
        Ok(bytes)
    }
}

impl Value for SecretBuf {
    const EXPECTED: &'static str = <Text<MAX_KEY_LEN> as Value>::EXPECTED;

    fn from_text(text: &str) -> Result<Self, &'static str> {
        Text::from_text(text).map(Self)
    }
}

impl Value for KeyBuf {
    const EXPECTED: &'static str =
        "each entry must be {\"key\": \"...\"} or {\"key\": \"...\", \"label\": \"...\"}";

    fn from_object<'de, A: MapAccess<'de>>(
        field: &'static str,
        mut map: A,
    ) -> Result<Self, A::Error> {
        let (mut secret, mut label) = (None, None);
        while let Some(name) = map.next_key::<FieldName>()? {
            match name.as_str() {
                "key" => Field::new("key").read(&mut secret, &mut map)?,
                "label" => Field::new("label").read(&mut label, &mut map)?,
                _ => return Err(A::Error::custom(Complaint(field, Self::EXPECTED))),
            }
        }
        Ok(Self {
            secret: secret.ok_or_else(|| A::Error::custom(Complaint(field, Self::EXPECTED)))?,
            label: label.unwrap_or_default(),
        })
    }
}

impl Value for SourceBuf {
    const EXPECTED: &'static str =
        "each entry must be {\"name\": \"...\"} or {\"name\": \"...\", \"bearer\": true}";

    fn from_object<'de, A: MapAccess<'de>>(
        field: &'static str,
        mut map: A,
    ) -> Result<Self, A::Error> {
        let (mut name, mut bearer) = (None, None);
        while let Some(own) = map.next_key::<FieldName>()? {
            match own.as_str() {
                "name" => Field::new("name").read(&mut name, &mut map)?,
                "bearer" => Field::new("bearer").read(&mut bearer, &mut map)?,
                _ => return Err(A::Error::custom(Complaint(field, Self::EXPECTED))),
            }
        }
        Ok(Self {
            name: name.ok_or_else(|| A::Error::custom(Complaint(field, Self::EXPECTED)))?,
            bearer: bearer.unwrap_or(false),
        })
    }
}

/// A list of at most `N`.
struct List<T, const N: usize>(Vec<T, N>);

impl<T: Value, const N: usize> Value for List<T, N> {
    const EXPECTED: &'static str = "must be a list of at most 8";

    fn from_list<'de, A: SeqAccess<'de>>(
        field: &'static str,
        mut list: A,
    ) -> Result<Self, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(Field::new(field))? {
            items
                .push(item)
                .map_err(|_| A::Error::custom(Complaint(field, Self::EXPECTED)))?;
        }
        Ok(Self(items))
    }
}

const _: () = assert!(MAX_KEYS == 8 && MAX_SOURCES == 8 && MAX_EXEMPT == 8);

impl Value for ConfigBuf {
    const EXPECTED: &'static str = "must be an object with auth_mode and api_key";

    fn from_object<'de, A: MapAccess<'de>>(field: &'static str, map: A) -> Result<Self, A::Error> {
        read_section(field, map, Form::File)
    }
}

impl Value for ExactConfigBuf {
    const EXPECTED: &'static str = ConfigBuf::EXPECTED;

    fn from_object<'de, A: MapAccess<'de>>(field: &'static str, map: A) -> Result<Self, A::Error> {
        read_section(field, map, Form::Exact).map(Self)
    }
}

/// What is inside `proxy`. A `proxy` in there is a field like any other that is not ours.
struct Section(ConfigBuf);

impl Value for Section {
    const EXPECTED: &'static str = ConfigBuf::EXPECTED;

    fn from_object<'de, A: MapAccess<'de>>(field: &'static str, map: A) -> Result<Self, A::Error> {
        read_section(field, map, Form::Inner).map(Self)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// The section, or what holds it under `proxy`. Other fields are ignored.
    File,
    /// What is under `proxy`. Other fields are ignored.
    Inner,
    /// The section, and no field that is not known.
    Exact,
}

fn read_section<'de, A: MapAccess<'de>>(
    field: &'static str,
    mut map: A,
    form: Form,
) -> Result<ConfigBuf, A::Error> {
    let (exact, outer) = (form == Form::Exact, form == Form::File);
    let (mut auth_mode, mut allow_lan_access, mut api_key) = (None, None, None);
    let (mut keys, mut sources, mut exempt) = (None, None, None);
    let (mut proxy, mut own) = (None, false);
    while let Some(name) = map.next_key::<FieldName>()? {
        let map = &mut map;
        let known = !(outer && name.as_str() == "proxy");
        match name.as_str() {
            "auth_mode" => Field::new("auth_mode").read(&mut auth_mode, map)?,
            "allow_lan_access" => {
                Field::new("allow_lan_access").read(&mut allow_lan_access, map)?;
            }
            "api_key" => Field::new("api_key").read(&mut api_key, map)?,
            "keys" => Field::new("keys").read(&mut keys, map)?,
            "sources" => Field::new("sources").read(&mut sources, map)?,
            "exempt" => Field::new("exempt").read(&mut exempt, map)?,
            "proxy" if outer => Field::<Section>::new("proxy").read(&mut proxy, map)?,
            _ if exact => return Err(A::Error::custom(UNKNOWN)),
            _ => {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
        }
        own |= known;
    }
    match proxy {
        Some(_) if own => Err(A::Error::custom(
            "proxy: given beside fields of the section itself; put all of them into proxy",
        )),
        Some(Section(proxy)) => Ok(proxy),
        None => Ok(ConfigBuf {
            auth_mode: auth_mode.ok_or_else(|| {
                A::Error::custom(Complaint(field, "auth_mode is missing; choose one"))
            })?,
            allow_lan_access: allow_lan_access.unwrap_or(false),
            api_key,
            keys: keys.map(|List(keys)| keys),
            sources: sources.map(|List(sources)| sources),
            exempt: exempt.map(|List(exempt)| exempt),
        }),
    }
}
