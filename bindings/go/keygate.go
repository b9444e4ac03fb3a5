// Package keygate decides whether an HTTP request carries a right API key.
//
// All of the policy is in the keygate library, and this package translates. With cgo on linux/amd64 the
// library is linked in (archive.go); everywhere else it is WebAssembly that wazero runs (wasm.go). Either
// way a decision is one call of the library, and no allocation.
package keygate

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"runtime"
	"strings"
)

// Language is what texts for the operator are written in. The zero value is English.
type Language int32

const (
	// English is the language of Error.
	English Language = keygateLanguageEn
	// Chinese is simplified.
	Chinese Language = keygateLanguageZh
)

// MatchMode says which of several credentials decides. The zero value is MatchFirst.
type MatchMode int32

const (
	// MatchFirst: that of the first source that is present.
	MatchFirst MatchMode = keygateMatchFirst
	// MatchAny: a right key in any source is enough.
	MatchAny MatchMode = keygateMatchAny
)

// PreflightMode says which requests pass as a preflight. The zero value is PreflightOptions.
type PreflightMode int32

const (
	// PreflightOptions: every OPTIONS request.
	PreflightOptions PreflightMode = keygatePreflightOptions
	// PreflightCORS: an OPTIONS request with both Origin and Access-Control-Request-Method.
	PreflightCORS PreflightMode = keygatePreflightCors
	// PreflightNone: none.
	PreflightNone PreflightMode = keygatePreflightNone
)

// StripMode says which of the sources' headers are dropped before a request is forwarded. The zero
// value is StripSources.
type StripMode int32

const (
	// StripSources: all of them.
	StripSources StripMode = keygateStripSources
	// StripMatched: those whose value holds one of the gate's keys.
	StripMatched StripMode = keygateStripMatched
	// StripOff: none.
	StripOff StripMode = keygateStripOff
)

// named gives the name that a choice has in a configuration.
func named[N ~int32](number N, names ...string) ([]byte, error) {
	if number < 0 || int(number) >= len(names) {
		return nil, fmt.Errorf("%w: there is no choice %d", ErrConfig, number)
	}
	return []byte(names[number]), nil
}

// MarshalText gives the name that the choice has in a configuration.
func (m MatchMode) MarshalText() ([]byte, error) { return named(m, "first", "any") }

// MarshalText gives the name that the choice has in a configuration.
func (m PreflightMode) MarshalText() ([]byte, error) { return named(m, "options", "cors", "none") }

// MarshalText gives the name that the choice has in a configuration.
func (m StripMode) MarshalText() ([]byte, error) { return named(m, "sources", "matched", "off") }

// AuthMode says how requests are guarded. The zero value is Strict.
type AuthMode int32

const (
	// Strict: every request but OPTIONS needs a key.
	Strict AuthMode = keygateModeStrict
	// Off: no request needs a key.
	Off AuthMode = keygateModeOff
	// AllExceptHealth: every request needs a key but OPTIONS, and GET or HEAD of an exempt path.
	AllExceptHealth AuthMode = keygateModeAllExceptHealth
	// Auto resolves to AllExceptHealth with Config.AllowLANAccess and to Off without.
	Auto AuthMode = keygateModeAuto
)

// String gives the name that the mode has in a configuration.
func (m AuthMode) String() string { return modeName(m) }

// MarshalText gives the mode's name.
func (m AuthMode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText takes a mode's name. The text is not repeated in an error: it may be a key.
func (m *AuthMode) UnmarshalText(name []byte) error {
	mode, status := parseMode(string(name))
	if status != ok {
		return status
	}
	*m = mode
	return nil
}

// Reason says which rule decided.
type Reason int32

// The reasons. The first four allow, the others deny.
const (
	AuthOff            Reason = keygateReasonAuthOff
	Preflight          Reason = keygateReasonPreflight
	Health             Reason = keygateReasonHealth
	KeyMatched         Reason = keygateReasonKeyMatched
	NoKeyConfigured    Reason = keygateReasonNoKeyConfigured
	CredentialMissing  Reason = keygateReasonCredentialMissing
	CredentialUnusable Reason = keygateReasonCredentialUnusable
	KeyMismatch        Reason = keygateReasonKeyMismatch
	InvalidCall        Reason = keygateReasonInvalidCall
)

// String gives the reason's name, "key_mismatch" for example.
func (r Reason) String() string { return reasonName(r) }

// Text is one sentence for the operator's log.
func (r Reason) Text(language Language) string { return reasonText(r, language) }

// Decision is what was decided and why. It holds no byte of a key or of a credential. The zero
// value denies.
type Decision struct {
	Allow         bool
	Reason        Reason
	EffectiveMode AuthMode
	// Source is the lower-case name of the header that decided, or "".
	Source string
	// Key is the lowest index of a key that matched, or -1.
	Key int
	// KeyLabel is that key's label, or "".
	KeyLabel string
	// BearerStripped says that "Bearer ", or the source's scheme, was not taken as a part of the credential.
	BearerStripped bool
}

// Body is what a denied request is answered with, of type application/json.
func (d Decision) Body() string { return denialBody(d.c()) }

// Policy decides. It never changes, any number of goroutines may use it, and a copy is the same
// policy. A nil or zero Policy denies everything. Its keys are wiped once nothing refers to it.
type Policy struct {
	made *made
}

// made is what the copies of a Policy share. The storage is an object of its own, so that it can
// outlive this one until it is wiped.
type made struct {
	storage *storage
	wanted  []wanted
	sources []string
	labels  []string
	// identity is the name of the identity header, or "".
	identity string
	// firstDecides says that nothing matters but the first of wanted that is present.
	firstDecides bool
	// lengths has bit n % 64 set where a header that may have to be dropped has a name of n bytes.
	lengths uint64
	// The modes, as configured and in force, and the lints.
	authMode, effectiveMode AuthMode
	lints                   uint32
}

// wanted is a header that may matter for a decision.
type wanted struct {
	name string // in lower case
	key  string // as in an http.Header
}

func newPolicy(build func(*storage, *configError) Status) (*Policy, error) {
	if err := usable(); err != nil {
		return nil, err
	}
	m := &made{storage: new(storage)}
	var from configError
	if err := refused(build(m.storage, &from), &from); err != nil {
		return nil, err
	}
	if err := refused(m.look(&from), &from); err != nil {
		wipe(m.storage)
		return nil, err
	}
	runtime.AddCleanup(m, wipe, m.storage)
	return &Policy{m}, nil
}

func (m *made) want(name string) {
	m.wanted = append(m.wanted, wanted{name, http.CanonicalHeaderKey(name)})
}

func (p *Policy) shared() *made {
	if p == nil || p.made == nil {
		return &none
	}
	return p.made
}

// none is what the library refuses to decide with, whatever the headers. It is asked about names of
// any length.
var none = made{firstDecides: true, lengths: ^uint64(0)}

// String says what it is and nothing of what it holds.
func (p *Policy) String() string { return "keygate.Policy" }

// KeyCount says how many keys there are. With none, whatever needs one is denied.
func (p *Policy) KeyCount() int { return len(p.shared().labels) }

// AuthMode gives the mode as configured. It is Strict for a nil or zero Policy.
func (p *Policy) AuthMode() AuthMode { return p.shared().authMode }

// EffectiveMode gives the mode in force, Auto being resolved. With Off, nobody is asked for a key.
func (p *Policy) EffectiveMode() AuthMode { return p.shared().effectiveMode }

// Decide decides about a request from its method, its target as received (neither normalised nor
// decoded, with its query) and its headers.
//
// The keys of h are in canonical form, as net/http makes them; another spelling, put in by hand,
// was not received, and no call of this package that reads headers reads it. An http.Header does
// not say in which order headers of different names came. That order decides nothing: the first
// occurrence of the first source that is present does.
func (p *Policy) Decide(method, target string, h http.Header) Decision {
	m := p.shared()
	var d outcome
	if m.firstDecides {
		name, value, count := m.first(h)
		decideFirst(m.storage, method, target, count, name, value, &d)
		runtime.KeepAlive(m)
	} else {
		d = p.decideWhole(strings.Clone(method), strings.Clone(target), h)
	}
	decision := Decision{
		Allow:          d.verdict == keygateAllow,
		Reason:         Reason(d.reason),
		EffectiveMode:  AuthMode(d.effective_mode),
		Key:            int(d.key),
		BearerStripped: d.flags&keygateBearerStripped != 0,
	}
	if i := int(d.source); i >= 0 && i < len(m.sources) {
		decision.Source = m.sources[i]
	}
	if i := int(d.key); i >= 0 && i < len(m.labels) {
		decision.KeyLabel = m.labels[i]
	}
	return decision
}

// DecideRequest decides about a request that a server received, by its RequestURI and not by its
// URL, which is decoded. A request without a RequestURI has no path, so that none is exempt.
func (p *Policy) DecideRequest(r *http.Request) Decision {
	return p.Decide(r.Method, r.RequestURI, r.Header)
}

// first gives the first value of the first wanted header that is present.
func (m *made) first(h http.Header) (name, value string, count int) {
	for i := range m.wanted {
		wanted := &m.wanted[i]
		if values := h[wanted.key]; len(values) > 0 {
			return wanted.name, values[0], 1
		}
	}
	return "", "", 0
}

// decideWhole decides where every wanted header may matter. The texts are the caller's copies: those of
// Decide must not escape.
func (p *Policy) decideWhole(method, target string, h http.Header) outcome {
	m := p.shared()
	wanted := http.Header{}
	for _, header := range m.wanted {
		if values := h[header.key]; len(values) > 0 {
			wanted[header.key] = values
		}
	}
	d := decideWhole(m.storage, newRequest(method, target, wanted))
	runtime.KeepAlive(m)
	return d
}

// Drops says whether a header must be dropped before a request is forwarded, after this decision: as
// Config.Strip says, every spelling of a source's name; every spelling of the identity header; and
// after a Preflight or Health, which let pass a request and not a connection, also what could make
// another request or a tunnel of it. After a deny it is everything.
func (p *Policy) Drops(d Decision, name, value string) bool {
	m := p.shared()
	if d.Allow && m.lengths>>(len(name)&63)&1 == 0 {
		return false
	}
	drops := drops(m.storage, d.c(), name, value)
	runtime.KeepAlive(m)
	return drops
}

// Identity gives the header that tells what a request is forwarded to whose key it came with, and that
// key's label. Without such a header, or a label, name is "". A Handler sets it.
func (p *Policy) Identity(d Decision) (name, label string) {
	if m := p.shared(); d.Allow && d.Reason == KeyMatched && d.KeyLabel != "" && m.identity != "" {
		return http.CanonicalHeaderKey(m.identity), d.KeyLabel
	}
	return "", ""
}

// DenialHeader gives the headers that a denied request is answered with, beside status 401 and Body.
func (p *Policy) DenialHeader(d Decision) http.Header {
	m := p.shared()
	h := http.Header{}
	denialHeaders(m.storage, d.c(), h.Add)
	runtime.KeepAlive(m)
	return h
}

// GenerateKey makes a fresh key: "sk-" and 32 hexadecimal digits.
func GenerateKey() Secret {
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails: where the system has no randomness, it ends the program
	return NewSecret(generateKey(random))
}

// Version is the version of the library.
func Version() string { return version() }
