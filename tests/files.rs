//! What a person writes into files: the configuration as JSON, and key files. An error names the
//! line, the field and the entry.

use keygate::ConfigErrorKind as Kind;
use keygate::{ByteClass, ConfigField, Key, KeyFile, Language, Policy};

fn parse(text: &str) -> Result<Policy, keygate::ConfigError> {
    Policy::parse(text, None)
}

fn opens(policy: &Policy, key: &[u8]) -> bool {
    policy.decide("GET", "/", [("x-api-key", key)]).is_allow()
}

#[test]
fn the_object_stands_alone_or_under_proxy_at_the_top() {
    let section = r#""auth_mode":"strict","api_key":"k""#;
    for (text, taken) in [
        (format!("{{{section}}}"), Ok(())),
        (format!("\u{feff} \r\n\t{{{section}}} \n"), Ok(())),
        (format!(r#"{{"proxy":{{{section}}}}}"#), Ok(())),
        (format!(r#"{{"pr\u006fxy":{{{section}}}}}"#), Ok(())),
        (
            format!(r#"{{"port":1,"proxy":{{{section}}},"x":[]}}"#),
            Ok(()),
        ),
        (
            format!(r#"{{"proxy":{{"a":{{"b":[1,{{}}]}},{section},"c":null}}}}"#),
            Ok(()),
        ),
        // A field that is not ours, whatever it holds.
        (
            format!(r#"{{"proxy":{{{section},"proxy":{{"auth_mode":"off"}}}}}}"#),
            Ok(()),
        ),
        (
            r#"{"proxy":{"proxy":{"auth_mode":"off"}}}"#.to_owned(),
            Err((Kind::FieldMissing, ConfigField::AuthMode)),
        ),
        (
            format!(r#"{{"proxy":{{"proxy":{{{section}}}}}}}"#),
            Err((Kind::FieldMissing, ConfigField::AuthMode)),
        ),
        (
            format!(r#"{{"a":{{"proxy":{{{section}}}}}}}"#),
            Err((Kind::FieldUnknown, ConfigField::Config)),
        ),
        (
            format!(r#"{{{section},"port":1}}"#),
            Err((Kind::FieldUnknown, ConfigField::Config)),
        ),
        (
            format!(r#"{{"Proxy":{{{section}}}}}"#),
            Err((Kind::FieldUnknown, ConfigField::Config)),
        ),
        (
            format!(r#"{{"api_key":"k","proxy":{{{section}}}}}"#),
            Err((Kind::BesideProxy, ConfigField::ApiKey)),
        ),
        (
            format!(r#"{{"proxy":{{{section}}},"authMode":"off"}}"#),
            Err((Kind::BesideProxy, ConfigField::AuthMode)),
        ),
        (
            format!(r#"{{"proxy":{{{section}}},"proxy":{{{section}}}}}"#),
            Err((Kind::FieldTwice, ConfigField::Proxy)),
        ),
        (
            r#"{"proxy":null}"#.to_owned(),
            Err((Kind::FieldType, ConfigField::Proxy)),
        ),
        (
            format!("{{{section}}} {{}}"),
            Err((Kind::TextAfter, ConfigField::Config)),
        ),
        (
            format!("[{{{section}}}]"),
            Err((Kind::FieldType, ConfigField::Config)),
        ),
        (String::new(), Err((Kind::Json, ConfigField::Config))),
        (
            "\u{feff}".to_owned(),
            Err((Kind::Json, ConfigField::Config)),
        ),
    ] {
        let parsed = parse(&text);
        let found = parsed
            .as_ref()
            .err()
            .map(|error| (error.kind(), error.field()));
        assert_eq!(found, taken.err(), "{text}");
        if let Ok(policy) = parsed {
            assert!(opens(&policy, b"k") && !opens(&policy, b""), "{text}");
        }
        let alone = Policy::parse_object(&text);
        assert_eq!(
            alone.is_ok(),
            taken.is_ok() && !text.contains("pr"),
            "{text}"
        );
    }
}

#[test]
fn a_misspelt_field_opens_nothing() {
    for name in [
        "apiKey",
        "api-key",
        "APIKEY",
        "api_keys",
        "api__key",
        "apikeys",
        "Api_Key",
        "key",
        "authmode",
        "auth-mode",
        "AuthMode",
        "auth_modes",
        "allowLanAccess",
        "allow-lan-access",
        "source",
        "Sources",
        "exempts",
        "EXEMPT",
        "keyS",
        "_keys",
        "keys_",
    ] {
        for text in [
            format!(r#"{{"auth_mode":"strict","{name}":"k"}}"#),
            format!(r#"{{"proxy":{{"auth_mode":"strict","{name}":"k"}}}}"#),
        ] {
            let error = parse(&text).expect_err(name);
            assert_eq!(error.kind(), Kind::FieldMisspelt, "{name}");
            assert!(error.column().is_some());
        }
    }
    // Near enough to be ours it is not.
    for name in [
        "keyss",
        "api key",
        "apikey2",
        "auth",
        "mode",
        "",
        "allow_lan",
        "k\u{e9}ys",
    ] {
        let text = format!(r#"{{"auth_mode":"strict","{name}":"k"}}"#);
        assert_eq!(
            parse(&text).expect_err(name).kind(),
            Kind::FieldUnknown,
            "{name}"
        );
        let text = format!(r#"{{"proxy":{{"auth_mode":"strict","{name}":"k"}}}}"#);
        assert!(parse(&text).is_ok(), "{name}");
    }
    let long = "allow_lan_access".repeat(3);
    let text = format!(r#"{{"auth_mode":"strict","{long}":true}}"#);
    assert_eq!(parse(&text).expect_err("long").kind(), Kind::FieldUnknown);
}

/// The text, the sentence, and its place.
const SENTENCES: &[(&str, &str)] = &[
    (
        "{\n  \"auth_mode\": \"on\"\n}",
        "line 2, column 16: auth_mode: must be \"off\", \"strict\", \"all_except_health\" or \"auto\"",
    ),
    (
        "{\n  \"auth_mode\": true}",
        "line 2, column 16: auth_mode: must be a string",
    ),
    (
        "{\"auth_mode\":\"strict\",\n\"allow_lan_access\":\"yes\"}",
        "line 2, column 20: allow_lan_access: must be true or false",
    ),
    (
        "{\"auth_mode\":\"strict\",\"api_key\":null}",
        "line 1, column 33: api_key: must be a string",
    ),
    (
        "{\"auth_mode\":\"strict\",\"api_key\":7}",
        "line 1, column 33: api_key: must be a string",
    ),
    (
        "{\"api_key\":\"k\"}",
        "line 1, column 15: auth_mode: this field is missing",
    ),
    (
        "{\"auth_mode\":\"off\",\n \"auth_mode\":\"off\"}",
        "line 2, column 2: auth_mode: this field is given twice",
    ),
    (
        "{\"auth_mode\":\"strict\",\"api_key\":\"k\",\"keys\":[]}",
        "line 1, column 37: keys: api_key and keys are both given; give only one of them",
    ),
    (
        "{\"auth_mode\":\"strict\",\"keys\":[{\"key\":\"k\"},\n{\"key\":\"k \"}]}",
        "line 2, column 1: keys[1].key: the key starts or ends with a space or a tab, which is lost in a header value",
    ),
    (
        "{\"auth_mode\":\"strict\",\"keys\":[{\"key\":\"k\",\"label\":\"a b\"}]}",
        "line 1, column 31: keys[0].label: the label contains a byte outside 0x21 to 0x7E",
    ),
    (
        "{\"auth_mode\":\"strict\",\"keys\":[{\"label\":\"a\"}]}",
        "line 1, column 31: keys[0].key: this field is missing",
    ),
    (
        "{\"auth_mode\":\"strict\",\"keys\":[{\"key\":\"k\",\"note\":\"\"}]}",
        "line 1, column 42: keys[0]: unknown field (not shown, since it could be a key); known are key, label",
    ),
    (
        "{\"auth_mode\":\"strict\",\"keys\":[\"k\"]}",
        "line 1, column 31: keys[0]: must be a list of objects like {\"key\": \"...\", \"label\": \"...\"}",
    ),
    (
        "{\"auth_mode\":\"strict\",\"keys\":[{\"key\":\"k\",\"key\":\"k\"}]}",
        "line 1, column 42: keys[0].key: this field is given twice",
    ),
    (
        "{\"auth_mode\":\"strict\",\"api_key\":\"${KEY}\"}",
        "line 1, column 33: api_key: the key is a variable that was not expanded; anyone who sends that text would be let in",
    ),
    (
        "{\"auth_mode\":\"strict\",\"api_key\":\"k\\n\"}",
        "line 1, column 33: api_key: the key contains a line feed, which no header value can carry",
    ),
    (
        "{\"auth_mode\":\"strict\",\"sources\":[{\"name\":\"a\"},{\"name\":\"A\",\"bearer\":true}]}",
        "line 1, column 47: sources[1].name: this header name is listed twice; header names are compared without regard to case",
    ),
    (
        "{\"auth_mode\":\"strict\",\"sources\":[{\"name\":\"a\",\"bearer\":1}]}",
        "line 1, column 55: sources[0].bearer: must be true or false",
    ),
    (
        "{\"auth_mode\":\"strict\",\"exempt\":[\"/a\",\"b\"]}",
        "line 1, column 38: exempt[1]: the exempt path does not start with /",
    ),
    (
        "{\"auth_mode\":\"strict\",\"exempt\":[\"/\u{101}\"]}",
        "line 1, column 33: exempt[0]: the string contains a character beyond U+00FF; each character stands for one byte",
    ),
    (
        "{\"auth_mode\":\"strict\",\n\"\u{e9}\":1,,}",
        "line 2, column 7: this is not valid JSON",
    ),
    (
        "{\"auth_mode\":\"off\"",
        "line 1, column 19: this is not valid JSON",
    ),
    (
        "{\"auth_mode\":\"off\",}",
        "line 1, column 20: this is not valid JSON",
    ),
    (
        "{'auth_mode':'off'}",
        "line 1, column 2: this is not valid JSON",
    ),
    (
        "{\"auth_mode\":01}",
        "line 1, column 15: this is not valid JSON",
    ),
    (
        "{\"auth_mode\":nul}",
        "line 1, column 15: this is not valid JSON",
    ),
    (
        "{\"auth_mode\":\"\\x\"}",
        "line 1, column 17: this is not valid JSON",
    ),
    (
        "{\"auth_mode\":\"\\ud800\"}",
        "line 1, column 21: this is not valid JSON",
    ),
    (
        "{\"auth_mode\":\"a\nb\"}",
        "line 2, column 1: this is not valid JSON",
    ),
    (
        "{\"auth_mode\":\"off\"}\n]",
        "line 2, column 1: there is text after the end of the object",
    ),
];

#[test]
fn an_error_is_one_sentence_that_names_line_field_and_entry() {
    for (text, sentence) in SENTENCES {
        let error = parse(text).expect_err(text);
        assert_eq!(error.to_string(), *sentence, "{text}");
        let mut chinese = String::new();
        error
            .write(Language::Zh, &mut chinese)
            .expect("a string takes it");
        assert!(
            !chinese.is_ascii() && !chinese.contains("the "),
            "{chinese}"
        );
    }
    let nine = |entry: &str| format!("[{}]", [entry; 9].join(","));
    for (field, entry, kind) in [
        ("keys", r#"{"key":"k"}"#, Kind::TooManyKeys),
        ("exempt", r#""/a""#, Kind::TooManyExempt),
    ] {
        let text = format!(r#"{{"auth_mode":"strict","{field}":{}}}"#, nine(entry));
        let error = parse(&text).expect_err(field);
        assert_eq!((error.kind(), error.index()), (kind, None));
    }
    let names: Vec<_> = (0..9).map(|n| format!(r#"{{"name":"s{n}"}}"#)).collect();
    let text = format!(r#"{{"auth_mode":"off","sources":[{}]}}"#, names.join(","));
    assert_eq!(parse(&text).expect_err("nine").kind(), Kind::TooManySources);
}

#[test]
fn what_is_too_long_is_said_to_be() {
    let strict = r#""auth_mode":"strict""#;
    for (text, kind) in [
        (
            format!(r#"{{{strict},"api_key":"{}"}}"#, "k".repeat(257)),
            Kind::KeyTooLong,
        ),
        (
            format!(
                r#"{{{strict},"keys":[{{"key":"k","label":"{}"}}]}}"#,
                "l".repeat(33)
            ),
            Kind::LabelTooLong,
        ),
        (
            format!(
                r#"{{{strict},"sources":[{{"name":"{}"}}]}}"#,
                "n".repeat(33)
            ),
            Kind::SourceTooLong,
        ),
        (
            format!(r#"{{{strict},"exempt":["/{}"]}}"#, "p".repeat(64)),
            Kind::ExemptTooLong,
        ),
        (
            format!(r#"{{"auth_mode":"{}"}}"#, "strict".repeat(9)),
            Kind::UnknownMode,
        ),
    ] {
        assert_eq!(parse(&text).expect_err("too long").kind(), kind);
    }
    let key = "k".repeat(256);
    let policy = parse(&format!(r#"{{{strict},"api_key":"{key}"}}"#)).expect("it fits");
    assert!(opens(&policy, key.as_bytes()) && !opens(&policy, &key.as_bytes()[1..]));
}

#[test]
fn each_character_stands_for_one_byte() {
    let text = r#"{"auth_mode":"strict","api_key":"\u0061\tb\/\"\\"}"#;
    assert!(opens(&parse(text).expect("a policy"), b"a\tb/\"\\"));
    for (key, class) in [
        ("k\\n", ByteClass::LineFeed),
        ("k\\r", ByteClass::CarriageReturn),
        ("\\u0000k", ByteClass::Nul),
        ("k\u{a0}", ByteClass::NoBreakSpace),
        ("k\\u00c2\\u00a0", ByteClass::NoBreakSpace),
        ("k\u{200b}", ByteClass::ZeroWidthSpace),
        ("\u{feff}k", ByteClass::ByteOrderMark),
        ("k\u{e9}", ByteClass::NotAscii),
        ("k\u{201d}", ByteClass::NotAscii),
        ("k\u{1f511}", ByteClass::NotAscii),
        ("k\\ud83d\\udd11", ByteClass::NotAscii),
        ("k\\u0001", ByteClass::Control),
        ("k\u{7f}", ByteClass::Control),
    ] {
        let error = parse(&format!(r#"{{"auth_mode":"off","api_key":"{key}"}}"#)).expect_err(key);
        assert_eq!(
            (error.kind(), error.byte_class()),
            (Kind::KeyByte, Some(class)),
            "{key}"
        );
    }
}

#[test]
fn no_depth_and_no_size_is_too_much() {
    let deep = |levels: usize| {
        let (open, close) = ("[".repeat(levels), "]".repeat(levels));
        format!(r#"{{"proxy":{{"auth_mode":"strict","x":{open}{close}}}}}"#)
    };
    assert!(parse(&deep(62)).is_ok());
    for levels in [66, 80_000] {
        assert_eq!(
            parse(&deep(levels)).expect_err("deep").kind(),
            Kind::TooDeep
        );
    }
    let nested = format!("{}{}", r#"{"proxy":"#.repeat(80_000), "}".repeat(80_000));
    assert_eq!(parse(&nested).expect_err("deep").kind(), Kind::TooDeep);
    let large = format!(
        r#"{{"x":"{}","proxy":{{"auth_mode":"strict"}}}}"#,
        "x".repeat(16 << 20)
    );
    assert!(parse(&large).is_ok());
}

#[test]
fn other_encodings_are_refused_with_their_place() {
    let utf16: Vec<u8> = "\u{feff}{}"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    for (text, line, column) in [
        (utf16.as_slice(), 1, 1),
        (b"{\n\"auth_mode\":\"\xff\"}".as_slice(), 2, 14),
        (b"{\"a\":\"\xc3\"}".as_slice(), 1, 7),
    ] {
        let error = Policy::parse(text, None).expect_err("refused");
        assert_eq!(error.kind(), Kind::Encoding);
        assert_eq!((error.line(), error.column()), (Some(line), Some(column)));
    }
}

#[test]
fn keys_from_elsewhere_stand_in_for_those_in_the_text() {
    let keys = [Key::new("one"), Key::new("two").label("b")];
    let policy = Policy::parse(r#"{"auth_mode":"strict"}"#, Some(&keys)).expect("a policy");
    assert!(opens(&policy, b"one") && opens(&policy, b"two"));
    assert_eq!(policy.key_label(1), Some(b"b".as_slice()));
    for field in [r#""api_key":"k""#, r#""api_key":"""#, r#""keys":[]"#] {
        for keys in [&keys[..], &[]] {
            let text = format!(r#"{{"auth_mode":"strict",{field}}}"#);
            let error = Policy::parse(&text, Some(keys)).expect_err("both");
            assert_eq!(error.kind(), Kind::KeysElsewhere);
        }
    }
    let error = Policy::parse(r#"{"auth_mode":"strict"}"#, Some(&[Key::new("$KEY")]));
    let error = error.expect_err("a variable");
    assert_eq!((error.field(), error.index()), (ConfigField::Key, Some(0)));
    assert_eq!((error.line(), error.column()), (None, None));
}

fn keys(text: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut file = KeyFile::new(text);
    let policies: Vec<_> = file
        .by_ref()
        .map(|key| {
            let keys = [key];
            Policy::new(&keygate::Config::new(keygate::AuthMode::Strict).keys(&keys))
                .expect("a policy")
        })
        .collect();
    file.end().expect("no error");
    policies
        .iter()
        .map(|policy| policy.key_label(0).unwrap_or_default().to_vec())
        .zip(text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec))
        .collect()
}

#[test]
fn a_key_file_has_one_key_a_line() {
    for (text, labels) in [
        ("", vec![]),
        ("\n\r\n# a comment\n#\r\n", vec![]),
        ("sk-1", vec![""]),
        ("sk-1\n", vec![""]),
        ("sk-1\r\nsk-2\r\n", vec!["", ""]),
        ("\u{feff}sk-1 label=alice\n", vec!["alice"]),
        ("\u{feff}# comment\nsk-1\n", vec![""]),
        ("sk 1 label=a label=b\n", vec!["b"]),
        ("sk-1 label=a=b\n", vec!["a=b"]),
        ("sk-1label=x", vec![""]),
    ] {
        let found: Vec<_> = keys(text.as_bytes())
            .into_iter()
            .map(|(label, _)| label)
            .collect();
        let labels: Vec<_> = labels
            .into_iter()
            .map(|label| label.as_bytes().to_vec())
            .collect();
        assert_eq!(found, labels, "{text:?}");
    }
    let mut file = KeyFile::new("a label=b label=c");
    let key = [file.next().expect("a key")];
    let policy = Policy::new(&keygate::Config::new(keygate::AuthMode::Strict).keys(&key));
    assert!(opens(&policy.expect("a policy"), b"a label=b"));
}

#[test]
fn a_bad_line_of_a_key_file_is_named() {
    for (text, sentence) in [
        (
            "a\n \u{2028}",
            "line 2: keys[1].key: the key contains a character that is not ASCII, which no header value can carry",
        ),
        (
            "# x\n\nsk-1 \n",
            "line 3: keys[0].key: the key starts or ends with a space or a tab, which is lost in a header value",
        ),
        (
            "sk-1\r\r\n",
            "line 1: keys[0].key: the key contains a carriage return, which no header value can carry",
        ),
        (
            "sk-1\0\n",
            "line 1: keys[0].key: the key contains a NUL byte, which no header value can carry",
        ),
        ("sk-1 label=\n", "line 1: keys[0].label: the label is empty"),
        (
            "sk-1 label=a b\n",
            "line 1: keys[0].label: the label contains a byte outside 0x21 to 0x7E",
        ),
        (
            " label=a\n",
            "line 1: keys[0].key: the key is empty; a key has 1 to 256 bytes",
        ),
        (
            "ok\n${KEY}\n",
            "line 2: keys[1].key: the key is a variable that was not expanded; anyone who sends that text would be let in",
        ),
    ] {
        let mut file = KeyFile::new(text);
        while file.next().is_some() {}
        assert_eq!(file.end().expect_err(text).to_string(), sentence);
        assert!(file.next().is_none(), "it stays there");
    }
    // Before the end too: what was read so far was right.
    let mut file = KeyFile::new("a\n \n");
    assert!(file.end().is_ok() && file.next().is_some() && file.end().is_ok());
    assert!(file.next().is_none() && file.end().is_err());
}

/// No text, however broken, is taken with another meaning than a plain reader of JSON gives it, and
/// none is refused without a place.
#[test]
fn every_beginning_of_a_text_is_refused_with_its_place() {
    let text = r#"{"proxy":{"auth_mode":"all_except_health","allow_lan_access":false,"keys":[{"key":"k\u0041","label":"a"}],"sources":[{"name":"x","bearer":true}],"exempt":["/a"],"other":[1.5e3,{"a":[true,null]}]}}"#;
    assert!(parse(text).is_ok());
    for end in 0..text.len() {
        let error = parse(&text[..end]).expect_err("cut");
        assert!(error.line() == Some(1) && error.column().is_some());
        for byte in [b' ', b'"', b'{', b'}', b']', b',', 0, 0xff] {
            let mut bytes = text.as_bytes().to_vec();
            bytes[end] = byte;
            let plain = serde_json::from_slice::<serde_json::Value>(&bytes);
            if let Ok(policy) = Policy::parse(&bytes, None) {
                let plain = plain.expect("JSON for a plain reader too");
                let mode = &plain["proxy"]["auth_mode"];
                assert_eq!(mode, policy.auth_mode().name());
            }
        }
    }
}
