package keygate

// #include "keygate.h"
import "C"

import (
	"crypto/rand"
	"errors"
	"fmt"
	"runtime"
	"unsafe"
)

// Config is what a policy is made from. ParseConfig reads one from a file.
type Config struct {
	// AuthMode must be chosen; the zero value is Strict.
	AuthMode AuthMode `json:"auth_mode"`
	// AllowLANAccess is what Auto comes to. Other modes take no notice of it.
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

// What can be wrong with a configuration. Error says it in words.
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
	ErrTooManySources Status = C.KEYGATE_ERR_TOO_MANY_SOURCES
	ErrSourceTooLong  Status = C.KEYGATE_ERR_SOURCE_TOO_LONG
	ErrSourceNotToken Status = C.KEYGATE_ERR_SOURCE_NOT_TOKEN
	ErrSourceTwice    Status = C.KEYGATE_ERR_SOURCE_TWICE
	ErrTooManyExempt  Status = C.KEYGATE_ERR_TOO_MANY_EXEMPT
	ErrExemptTooLong  Status = C.KEYGATE_ERR_EXEMPT_TOO_LONG
	ErrExemptNoSlash  Status = C.KEYGATE_ERR_EXEMPT_NO_SLASH
	ErrExemptNotPath  Status = C.KEYGATE_ERR_EXEMPT_NOT_PATH
	ErrExemptByte     Status = C.KEYGATE_ERR_EXEMPT_BYTE
)

// Error is the library's own text.
func (s Status) Error() string { return C.GoString(C.keygate_status_text(C.keygate_status(s))) }

// ConfigError says why no policy could be made. It is ErrConfig and its Status for errors.Is, and
// holds no byte of a key.
type ConfigError struct {
	Status Status
	// Field is "keys", "sources" or "exempt" where an entry of that list is to blame, or "".
	Field string
	// Index is that entry's place in the list, or -1.
	Index int
}

// Error is the field, where it is known, and the library's text.
func (e *ConfigError) Error() string {
	if e.Field == "" {
		return e.Status.Error()
	}
	return fmt.Sprintf("%s[%d]: %s", e.Field, e.Index, e.Status.Error())
}

// Unwrap gives ErrConfig and the Status.
func (e *ConfigError) Unwrap() []error { return []error{ErrConfig, e.Status} }

func (c Config) build(storage *C.keygate_policy) error {
	if err := checkABI(); err != nil {
		return err
	}
	status := c.try(storage)
	if status == ok {
		return nil
	}
	// The library says what is wrong. Where, is how much of a list it takes to be so.
	at := func(field string, length int, cut func(*Config, int)) *ConfigError {
		for n := range length + 1 {
			part := c
			cut(&part, n)
			if part.try(new(C.keygate_policy)) != status {
				continue
			}
			if n == 0 {
				return nil
			}
			return &ConfigError{status, field, n - 1}
		}
		return nil
	}
	for _, found := range []*ConfigError{
		at("keys", len(c.Keys), func(part *Config, n int) { part.Keys = c.Keys[:n] }),
		at("sources", len(c.Sources), func(part *Config, n int) { part.Sources = c.Sources[:n] }),
		at("exempt", len(c.Exempt), func(part *Config, n int) { part.Exempt = c.Exempt[:n] }),
	} {
		if found != nil {
			return found
		}
	}
	return &ConfigError{status, "", -1}
}

func (c Config) try(storage *C.keygate_policy) Status {
	// The C struct cannot tell an empty key from none.
	if c.APIKey.text != nil && c.Keys != nil {
		return ErrAPIKeyAndKeys
	}
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
	config.keys, config.key_count = lent(&pins, c.Keys, func(key Key) C.keygate_key {
		return C.keygate_key{secret: pinned(&pins, key.Key.Reveal()), label: pinned(&pins, key.Label)}
	})
	config.sources, config.source_count = lent(&pins, c.Sources, func(source Source) C.keygate_source {
		s := C.keygate_source{name: pinned(&pins, source.Name)}
		if source.Bearer {
			s.flags = C.KEYGATE_SOURCE_BEARER
		}
		return s
	})
	config.exempt, config.exempt_count = lent(&pins, c.Exempt, func(path string) C.keygate_str {
		return pinned(&pins, path)
	})
	return Status(C.keygate_policy_init(storage, C.sizeof_keygate_policy, &config))
}

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

// readRandom never fails: where the system has no randomness, crypto/rand ends the program.
func readRandom(to []byte) { _, _ = rand.Read(to) }
