package keygate

import (
	"errors"
	"fmt"
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

const ok Status = keygateOk

// What can be wrong with a configuration or a key file. Text says it in words.
const (
	ErrMode           Status = keygateErrMode
	ErrAPIKeyAndKeys  Status = keygateErrApiKeyAndKeys
	ErrTooManyKeys    Status = keygateErrTooManyKeys
	ErrKeyEmpty       Status = keygateErrKeyEmpty
	ErrKeyTooLong     Status = keygateErrKeyTooLong
	ErrKeyByte        Status = keygateErrKeyByte
	ErrKeyEdge        Status = keygateErrKeyEdge
	ErrKeyVariable    Status = keygateErrKeyVariable
	ErrLabelTooLong   Status = keygateErrLabelTooLong
	ErrLabelByte      Status = keygateErrLabelByte
	ErrLabelEmpty     Status = keygateErrLabelEmpty
	ErrTooManySources Status = keygateErrTooManySources
	ErrSourceTooLong  Status = keygateErrSourceTooLong
	ErrSourceNotToken Status = keygateErrSourceNotToken
	ErrSourceTwice    Status = keygateErrSourceTwice
	ErrTooManyExempt  Status = keygateErrTooManyExempt
	ErrExemptTooLong  Status = keygateErrExemptTooLong
	ErrExemptNoSlash  Status = keygateErrExemptNoSlash
	ErrExemptNotPath  Status = keygateErrExemptNotPath
	ErrExemptByte     Status = keygateErrExemptByte
	ErrFieldUnknown   Status = keygateErrFieldUnknown
	ErrFieldMisspelt  Status = keygateErrFieldMisspelt
	ErrFieldTwice     Status = keygateErrFieldTwice
	ErrFieldMissing   Status = keygateErrFieldMissing
	ErrFieldType      Status = keygateErrFieldType
	ErrBesideProxy    Status = keygateErrBesideProxy
	ErrCharacter      Status = keygateErrCharacter
	ErrJSON           Status = keygateErrJson
	ErrTooDeep        Status = keygateErrTooDeep
	ErrTextAfter      Status = keygateErrTextAfter
	ErrEncoding       Status = keygateErrEncoding
	ErrKeysElsewhere  Status = keygateErrKeysElsewhere
	ErrHeaderReserved Status = keygateErrHeaderReserved
	ErrIdentityTaken  Status = keygateErrIdentityTaken
	ErrMatch          Status = keygateErrMatch
	ErrPreflight      Status = keygateErrPreflight
	ErrStrip          Status = keygateErrStrip
	ErrSchemeTwice    Status = keygateErrBearerAndScheme
	ErrSchemeTooLong  Status = keygateErrSchemeTooLong
	ErrSchemeNotToken Status = keygateErrSchemeNotToken
	ErrOriginLength   Status = keygateErrOriginLength
	ErrOriginByte     Status = keygateErrOriginByte
)

// Name gives the status's name, "key_too_long" for example.
func (s Status) Name() string { return statusName(s) }

// Text is what is wrong, in words. That of a ConfigError says more.
func (s Status) Text(language Language) string { return statusText(s, language) }

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

	from configError
}

// Text is one sentence: line and column, the field and the entry, and what is wrong.
func (e *ConfigError) Text(language Language) string { return e.from.text(language) }

// Error is Text in English.
func (e *ConfigError) Error() string { return e.Text(English) }

// Unwrap gives ErrConfig and the Status.
func (e *ConfigError) Unwrap() []error { return []error{ErrConfig, e.Status} }

// refused makes an error of what the library found.
func refused(status Status, from *configError) error {
	if status == ok {
		return nil
	}
	err := &ConfigError{Status: status, from: *from}
	from.set(err)
	return err
}

// New makes a policy. A Config without any key is not wrong: its policy denies whatever needs one.
//
// The error is a *ConfigError.
func New(config Config) (*Policy, error) {
	return newPolicy(func(s *storage, err *configError) Status { return initialise(s, config, err) })
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
	return newPolicy(func(s *storage, err *configError) Status { return parse(s, json, keys, err) })
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
	if err := usable(); err != nil {
		return nil, err
	}
	var from configError
	keys, status := readKeyFile(text, &from)
	if err := refused(status, &from); err != nil {
		return nil, err
	}
	return keys, nil
}

// flags are those of a keygate_config.
func (c Config) flags() (flags uint32) {
	if c.AllowLANAccess {
		flags |= keygateAllowLanAccess
	}
	if c.Sources != nil && len(c.Sources) == 0 {
		flags |= keygateNoSources
	}
	if c.Exempt != nil && len(c.Exempt) == 0 {
		flags |= keygateNoExempt
	}
	return flags
}

// flags are those of a keygate_source.
func (s Source) flags() uint32 {
	if s.Bearer {
		return keygateSourceBearer
	}
	return 0
}
