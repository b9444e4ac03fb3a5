package keygate

// #include "library.h"
import "C"

import (
	"crypto/rand"
	"errors"
	"fmt"
	"runtime"
	"unsafe"
)

// Config is what New makes a policy from. Parse makes one from JSON.
type Config struct {
	// AuthMode must be chosen; the zero value is Strict.
	AuthMode AuthMode `json:"auth_mode"`
	// AllowLANAccess is what Auto resolves to. Other modes ignore it.
	AllowLANAccess bool `json:"allow_lan_access"`
	// APIKey is the one key, without a label. An empty one is no key.
	APIKey Secret `json:"api_key"`
	// Keys are up to 8 keys instead of APIKey, so that one can be retired after the next is in
	// use.
	Keys []Key `json:"keys"`
	// Sources are up to 8 headers that a credential is read from, in order of precedence. Nil:
	// authorization (Bearer), x-api-key and x-goog-api-key. Empty: none.
	Sources []Source `json:"sources"`
	// Exempt are up to 8 paths of up to 64 bytes of 0x21 to 0x7E that AllExceptHealth leaves open to GET and
	// HEAD. Nil: "/healthz". Empty: none.
	Exempt []string `json:"exempt"`
	// Match says which source decides.
	Match MatchMode `json:"match"`
	// Preflight says which requests pass as a preflight.
	Preflight PreflightMode `json:"preflight"`
	// Strip says which of the sources' headers are dropped before a request is forwarded.
	Strip StripMode `json:"strip"`
	// IdentityHeader, where it is set, is the header that tells what a request is forwarded to the label
	// of its key. It has 1 to 32 bytes and is no spelling of a header that the gate reads or drops.
	IdentityHeader string `json:"identity_header,omitempty"`
	// AllowOrigin, where it is set, is sent with a 401 as Access-Control-Allow-Origin: "*" or an origin
	// of up to 128 bytes.
	AllowOrigin string `json:"allow_origin,omitempty"`
}

// UnmarshalJSON always fails: encoding/json would take other texts than Parse does.
func (*Config) UnmarshalJSON([]byte) error {
	return errors.New("keygate: a Config is not read from JSON; use Parse")
}

// Key is a key that clients may present.
type Key struct {
	// Key has 1 to 256 bytes of space, tab and 0x21 to 0x7E, with no space or tab at an end.
	Key Secret `json:"key"`
	// Label has up to 32 bytes of 0x21 to 0x7E and names the key in logs.
	Label string `json:"label"`
}

// Source is a header that a credential is read from.
type Source struct {
	// Name is an HTTP token of 1 to 32 bytes, in any case.
	Name string `json:"name"`
	// Bearer says that a leading "Bearer " is not part of the credential.
	Bearer bool `json:"bearer"`
	// Scheme, without Bearer, is an auth-scheme of 1 to 16 bytes: in any case, and with the spaces behind
	// it, it is not part of the credential.
	Scheme string `json:"scheme,omitempty"`
}

// Secret holds a key. No form that fmt, log, log/slog or encoding/json give it shows a byte of it,
// also where it stands in a field that is not exported: what it holds is a pointer.
type Secret struct {
	text *string
}

// NewSecret makes a Secret of a key.
func NewSecret(key string) Secret { return Secret{&key} }

// Reveal gives the key.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// String says that there is a key and nothing of it.
func (s Secret) String() string {
	if s.Reveal() == "" {
		return "(no key)"
	}
	return "(key)"
}

// Format writes String for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.String())) }

// MarshalJSON gives an empty string. A text in its place would be taken for a key if it were read
// again; an empty key lets nobody in.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`""`), nil }

// MarshalText gives an empty text, for the same reason.
func (s Secret) MarshalText() ([]byte, error) { return nil, nil }

// ErrConfig is what every error about a configuration is, for errors.Is.
var ErrConfig = errors.New("keygate: bad configuration")

// Status is the library's number for what is wrong with a configuration, and an error itself.
type Status int32

const ok Status = C.KEYGATE_OK

// What can be wrong with a configuration or a key file. Text says it in words.
const (
	ErrMode           Status = C.KEYGATE_ERR_MODE
	ErrAPIKeyAndKeys  Status = C.KEYGATE_ERR_API_KEY_AND_KEYS
	ErrTooManyKeys    Status = C.KEYGATE_ERR_TOO_MANY_KEYS
	ErrKeyEmpty       Status = C.KEYGATE_ERR_KEY_EMPTY
	ErrKeyTooLong     Status = C.KEYGATE_ERR_KEY_TOO_LONG
	ErrKeyByte        Status = C.KEYGATE_ERR_KEY_BYTE
	ErrKeyEdge        Status = C.KEYGATE_ERR_KEY_EDGE
	ErrKeyVariable    Status = C.KEYGATE_ERR_KEY_VARIABLE
	ErrLabelTooLong   Status = C.KEYGATE_ERR_LABEL_TOO_LONG
	ErrLabelByte      Status = C.KEYGATE_ERR_LABEL_BYTE
	ErrLabelEmpty     Status = C.KEYGATE_ERR_LABEL_EMPTY
	ErrTooManySources Status = C.KEYGATE_ERR_TOO_MANY_SOURCES
	ErrSourceTooLong  Status = C.KEYGATE_ERR_SOURCE_TOO_LONG
	ErrSourceNotToken Status = C.KEYGATE_ERR_SOURCE_NOT_TOKEN
	ErrSourceTwice    Status = C.KEYGATE_ERR_SOURCE_TWICE
	ErrTooManyExempt  Status = C.KEYGATE_ERR_TOO_MANY_EXEMPT
	ErrExemptTooLong  Status = C.KEYGATE_ERR_EXEMPT_TOO_LONG
	ErrExemptNoSlash  Status = C.KEYGATE_ERR_EXEMPT_NO_SLASH
	ErrExemptNotPath  Status = C.KEYGATE_ERR_EXEMPT_NOT_PATH
	ErrExemptByte     Status = C.KEYGATE_ERR_EXEMPT_BYTE
	ErrFieldUnknown   Status = C.KEYGATE_ERR_FIELD_UNKNOWN
	ErrFieldMisspelt  Status = C.KEYGATE_ERR_FIELD_MISSPELT
	ErrFieldTwice     Status = C.KEYGATE_ERR_FIELD_TWICE
	ErrFieldMissing   Status = C.KEYGATE_ERR_FIELD_MISSING
	ErrFieldType      Status = C.KEYGATE_ERR_FIELD_TYPE
	ErrBesideProxy    Status = C.KEYGATE_ERR_BESIDE_PROXY
	ErrCharacter      Status = C.KEYGATE_ERR_CHARACTER
	ErrJSON           Status = C.KEYGATE_ERR_JSON
	ErrTooDeep        Status = C.KEYGATE_ERR_TOO_DEEP
	ErrTextAfter      Status = C.KEYGATE_ERR_TEXT_AFTER
	ErrEncoding       Status = C.KEYGATE_ERR_ENCODING
	ErrKeysElsewhere  Status = C.KEYGATE_ERR_KEYS_ELSEWHERE
	ErrHeaderReserved Status = C.KEYGATE_ERR_HEADER_RESERVED
	ErrIdentityTaken  Status = C.KEYGATE_ERR_IDENTITY_TAKEN
	ErrMatch          Status = C.KEYGATE_ERR_MATCH
	ErrPreflight      Status = C.KEYGATE_ERR_PREFLIGHT
	ErrStrip          Status = C.KEYGATE_ERR_STRIP
	ErrSchemeTwice    Status = C.KEYGATE_ERR_BEARER_AND_SCHEME
	ErrSchemeTooLong  Status = C.KEYGATE_ERR_SCHEME_TOO_LONG
	ErrSchemeNotToken Status = C.KEYGATE_ERR_SCHEME_NOT_TOKEN
	ErrOriginLength   Status = C.KEYGATE_ERR_ORIGIN_LENGTH
	ErrOriginByte     Status = C.KEYGATE_ERR_ORIGIN_BYTE
)

// Name gives the status's name, "key_too_long" for example.
func (s Status) Name() string { return C.GoString(C.keygate_status_name(C.keygate_status(s))) }

// Text is what is wrong, in words. That of a ConfigError says more.
func (s Status) Text(language Language) string {
	return C.GoString(C.keygate_status_text(C.keygate_status(s), C.keygate_language(language)))
}

// Error is Text in English.
func (s Status) Error() string { return s.Text(English) }

// ConfigError says why no policy could be made, or why a key file cannot be read. It is ErrConfig
// and its Status for errors.Is, and holds no byte of a key.
type ConfigError struct {
	Status Status
	// Field is the field to blame, "auth_mode" or "keys.label" for example, or "" where it is the
	// whole of the text.
	Field string
	// Index is the entry's place in the field's list, or -1.
	Index int
	// Line and Column are the place in the text, from 1, or 0. Column counts characters.
	Line, Column int

	from C.keygate_config_error
}

// Text is one sentence: line and column, the field and the entry, and what is wrong.
func (e *ConfigError) Text(language Language) string {
	return written(func(buffer *C.char, size C.size_t) C.size_t {
		return C.keygate_config_error_text(&e.from, C.keygate_language(language), buffer, size)
	})
}

// Error is Text in English.
func (e *ConfigError) Error() string { return e.Text(English) }

// Unwrap gives ErrConfig and the Status.
func (e *ConfigError) Unwrap() []error { return []error{ErrConfig, e.Status} }

// refused makes an error of what the library found.
func refused(status C.keygate_status, from *C.keygate_config_error) error {
	if Status(status) == ok {
		return nil
	}
	return &ConfigError{
		Status: Status(status),
		Field:  C.GoString(C.keygate_field_name(from.field)),
		Index:  int(from.index), // SIZE_MAX is -1
		Line:   int(from.line),
		Column: int(from.column),
		from:   *from,
	}
}

// New makes a policy. A Config without any key is not wrong: its policy denies whatever needs one.
//
// The error is a *ConfigError.
func New(config Config) (*Policy, error) {
	return newPolicy(func(storage *C.keygate_policy, err *C.keygate_config_error) C.keygate_status {
		return config.build(storage, err)
	})
}

// Parse makes a policy of a configuration in JSON: the object with "auth_mode" and its other
// fields, or one that has it under "proxy". The part on keygate_policy_parse of keygate.h says what
// it may hold.
//
// Keys are from elsewhere, such as those of ParseKeyFile; the text must then have none. A list that
// is empty and not nil says so too: there are none.
//
// The error is a *ConfigError.
func Parse(json []byte, keys ...Key) (*Policy, error) {
	return newPolicy(func(storage *C.keygate_policy, err *C.keygate_config_error) C.keygate_status {
		var pins runtime.Pinner
		defer pins.Unpin()
		list, count := lentKeys(&pins, keys)
		if keys != nil && list == nil {
			list = new(C.keygate_key)
		}
		return C.keygate_policy_parse(storage, C.sizeof_keygate_policy, pinned(&pins, inPlace(json)), list, count, err)
	})
}

// ParseKeyFile reads a key file: one key a line, each with an optional label.
//
//	# laptops
//	sk-5f0c4b8e21d97a36 label=alice
//
// A line that is empty or begins with '#' has none. The list is never nil where there is no error:
// without a key in the file, Parse makes a policy of it that denies whatever needs one.
//
// The error is a *ConfigError.
func ParseKeyFile(text []byte) ([]Key, error) {
	if err := checkABI(); err != nil {
		return nil, err
	}
	var pins runtime.Pinner
	defer pins.Unpin()
	var file C.keygate_key_file
	C.keygate_key_file_begin(&file, C.sizeof_keygate_key_file, pinned(&pins, inPlace(text)))
	keys := []Key{}
	var key C.keygate_key
	for C.keygate_key_file_next(&file, &key) {
		keys = append(keys, Key{NewSecret(copied(key.secret)), copied(key.label)})
	}
	from := C.keygate_config_error{size: C.sizeof_keygate_config_error}
	if err := refused(C.keygate_key_file_end(&file, &from), &from); err != nil {
		return nil, err
	}
	return keys, nil
}

func (c Config) build(storage *C.keygate_policy, err *C.keygate_config_error) C.keygate_status {
	var pins runtime.Pinner
	defer pins.Unpin()
	var config C.keygate_config
	C.keygate_config_init(&config, C.sizeof_keygate_config)
	config.auth_mode = C.keygate_mode(c.AuthMode)
	if c.AllowLANAccess {
		config.flags |= C.KEYGATE_ALLOW_LAN_ACCESS
	}
	if c.Sources != nil && len(c.Sources) == 0 {
		config.flags |= C.KEYGATE_NO_SOURCES
	}
	if c.Exempt != nil && len(c.Exempt) == 0 {
		config.flags |= C.KEYGATE_NO_EXEMPT
	}
	config.api_key = pinned(&pins, c.APIKey.Reveal())
	config.keys, config.key_count = lentKeys(&pins, c.Keys)
	config.sources, config.source_count = lent(&pins, c.Sources, func(source Source) C.keygate_source {
		s := C.keygate_source{name: pinned(&pins, source.Name), scheme: pinned(&pins, source.Scheme)}
		if source.Bearer {
			s.flags = C.KEYGATE_SOURCE_BEARER
		}
		return s
	})
	config.exempt, config.exempt_count = lent(&pins, c.Exempt, func(path string) C.keygate_str {
		return pinned(&pins, path)
	})
	config.match = C.int32_t(c.Match)
	config.preflight = C.int32_t(c.Preflight)
	config.strip = C.int32_t(c.Strip)
	config.identity_header = pinned(&pins, c.IdentityHeader)
	config.allow_origin = pinned(&pins, c.AllowOrigin)
	return C.keygate_policy_init(storage, C.sizeof_keygate_policy, &config, err)
}

func lentKeys(pins *runtime.Pinner, keys []Key) (*C.keygate_key, C.size_t) {
	return lent(pins, keys, func(key Key) C.keygate_key {
		return C.keygate_key{secret: pinned(pins, key.Key.Reveal()), label: pinned(pins, key.Label)}
	})
}

// inPlace takes bytes for a string without copying a key that is in them.
func inPlace(text []byte) string { return unsafe.String(unsafe.SliceData(text), len(text)) }

// pinned lends a string to C, in place, until it is unpinned.
func pinned(pins *runtime.Pinner, text string) C.keygate_str {
	if text == "" {
		return C.keygate_str{}
	}
	bytes := unsafe.StringData(text)
	pins.Pin(bytes)
	return C.keygate_str{ptr: (*C.char)(unsafe.Pointer(bytes)), len: C.size_t(len(text))}
}

// lent lends a list to C.
func lent[G, T any](pins *runtime.Pinner, from []G, convert func(G) T) (*T, C.size_t) {
	if len(from) == 0 {
		return nil, 0
	}
	to := make([]T, len(from))
	for i, item := range from {
		to[i] = convert(item)
	}
	pins.Pin(&to[0])
	return &to[0], C.size_t(len(to))
}

// copied makes a string of what C shows.
func copied(text C.keygate_str) string {
	return string(unsafe.Slice((*byte)(unsafe.Pointer(text.ptr)), text.len))
}

// written gives a text that C writes as snprintf does.
func written(write func(*C.char, C.size_t) C.size_t) string {
	buffer := make([]byte, write(nil, 0)+1)
	write((*C.char)(unsafe.Pointer(&buffer[0])), C.size_t(len(buffer)))
	return string(buffer[:len(buffer)-1])
}

// readRandom never fails: where the system has no randomness, crypto/rand ends the program.
func readRandom(to []byte) { _, _ = rand.Read(to) }
