// Package keygate decides whether an HTTP request carries a right API key.
//
// All of the policy is in the keygate library, which is linked in through cgo. This package
// translates: one C call for a decision, and no allocation.
package keygate

/*
#cgo CFLAGS: -I${SRCDIR}
#cgo linux,amd64 LDFLAGS: ${SRCDIR}/libkeygate_linux_amd64.a
#cgo linux,arm64 LDFLAGS: ${SRCDIR}/libkeygate_linux_arm64.a
#cgo noescape decide
#cgo nocallback decide
#cgo noescape drops
#cgo nocallback drops

#include "library.h"

// With this in it, the package changes whenever the library does, and so is linked anew.
static const char library[] __attribute__((used)) = KEYGATE_LIBRARY;

static keygate_str text(_GoString_ s) {
	return (keygate_str){_GoStringPtr(s), _GoStringLen(s)};
}

// Of the headers, the only one that matters, where count is 1.
static void decide(const keygate_policy *policy, _GoString_ method, _GoString_ target,
		size_t count, _GoString_ name, _GoString_ value, keygate_decision *decision) {
	keygate_header header = {text(name), text(value)};
	keygate_request request = {sizeof request, text(method), text(target), &header, count};
	decision->size = sizeof *decision;
	keygate_decide(policy, &request, decision);
}

static bool drops(const keygate_policy *policy, keygate_decision decision, _GoString_ name, _GoString_ value) {
	return keygate_policy_drops(policy, &decision, text(name), text(value));
}
*/
import "C"

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"unsafe"
)

// Language is what texts for the operator are written in. The zero value is English.
type Language int32

const (
	// English is the language of Error.
	English Language = C.KEYGATE_LANGUAGE_EN
	// Chinese is simplified.
	Chinese Language = C.KEYGATE_LANGUAGE_ZH
)

// MatchMode says which of several credentials decides. The zero value is MatchFirst.
type MatchMode int32

const (
	// MatchFirst: that of the first source that is present.
	MatchFirst MatchMode = C.KEYGATE_MATCH_FIRST
	// MatchAny: a right key in any source is enough.
	MatchAny MatchMode = C.KEYGATE_MATCH_ANY
)

// PreflightMode says which requests pass as a preflight. The zero value is PreflightOptions.
type PreflightMode int32

const (
	// PreflightOptions: every OPTIONS request.
	PreflightOptions PreflightMode = C.KEYGATE_PREFLIGHT_OPTIONS
	// PreflightCORS: an OPTIONS request with both Origin and Access-Control-Request-Method.
	PreflightCORS PreflightMode = C.KEYGATE_PREFLIGHT_CORS
	// PreflightNone: none.
	PreflightNone PreflightMode = C.KEYGATE_PREFLIGHT_NONE
)

// StripMode says which of the sources' headers are dropped before a request is forwarded. The zero
// value is StripSources.
type StripMode int32

const (
	// StripSources: all of them.
	StripSources StripMode = C.KEYGATE_STRIP_SOURCES
	// StripMatched: those whose value holds one of the gate's keys.
	StripMatched StripMode = C.KEYGATE_STRIP_MATCHED
	// StripOff: none.
	StripOff StripMode = C.KEYGATE_STRIP_OFF
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
	Strict AuthMode = C.KEYGATE_MODE_STRICT
	// Off: no request needs a key.
	Off AuthMode = C.KEYGATE_MODE_OFF
	// AllExceptHealth: every request needs a key but OPTIONS, and GET or HEAD of an exempt path.
	AllExceptHealth AuthMode = C.KEYGATE_MODE_ALL_EXCEPT_HEALTH
	// Auto resolves to AllExceptHealth with Config.AllowLANAccess and to Off without.
	Auto AuthMode = C.KEYGATE_MODE_AUTO
)

// String gives the name that the mode has in a configuration.
func (m AuthMode) String() string { return C.GoString(C.keygate_mode_name(C.keygate_mode(m))) }

// MarshalText gives the mode's name.
func (m AuthMode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText takes a mode's name. The text is not repeated in an error: it may be a key.
func (m *AuthMode) UnmarshalText(name []byte) error {
	var pins runtime.Pinner
	defer pins.Unpin()
	var mode C.keygate_mode
	status := Status(C.keygate_mode_parse(pinned(&pins, string(name)), &mode))
	if status != ok {
		return status
	}
	*m = AuthMode(mode)
	return nil
}

// Reason says which rule decided.
type Reason int32

// The reasons. The first four allow, the others deny.
const (
	AuthOff            Reason = C.KEYGATE_REASON_AUTH_OFF
	Preflight          Reason = C.KEYGATE_REASON_PREFLIGHT
	Health             Reason = C.KEYGATE_REASON_HEALTH
	KeyMatched         Reason = C.KEYGATE_REASON_KEY_MATCHED
	NoKeyConfigured    Reason = C.KEYGATE_REASON_NO_KEY_CONFIGURED
	CredentialMissing  Reason = C.KEYGATE_REASON_CREDENTIAL_MISSING
	CredentialUnusable Reason = C.KEYGATE_REASON_CREDENTIAL_UNUSABLE
	KeyMismatch        Reason = C.KEYGATE_REASON_KEY_MISMATCH
	InvalidCall        Reason = C.KEYGATE_REASON_INVALID_CALL
)

// String gives the reason's name, "key_mismatch" for example.
func (r Reason) String() string { return C.GoString(C.keygate_reason_name(C.keygate_reason(r))) }

// Text is one sentence for the operator's log.
func (r Reason) Text(language Language) string {
	return C.GoString(C.keygate_reason_text(C.keygate_reason(r), C.keygate_language(language)))
}

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

func (d Decision) c() C.keygate_decision {
	decision := C.keygate_decision{
		size:           C.sizeof_keygate_decision,
		reason:         C.keygate_reason(d.Reason),
		effective_mode: C.keygate_mode(d.EffectiveMode),
	}
	if d.Allow {
		decision.verdict = C.KEYGATE_ALLOW
	}
	return decision
}

// Body is what a denied request is answered with, of type application/json.
func (d Decision) Body() string {
	decision := d.c()
	return C.GoString(C.keygate_denial_body(&decision))
}

// Policy decides. It never changes, any number of goroutines may use it, and a copy is the same
// policy. A nil or zero Policy denies everything. Its keys are wiped once nothing refers to it.
type Policy struct {
	made *made
}

// made is what the copies of a Policy share. The storage is an object of its own, so that it can
// outlive this one until it is wiped.
type made struct {
	storage *C.keygate_policy
	wanted  []wanted
	sources []string
	labels  []string
	// identity is the name of the identity header, or "".
	identity string
	// firstDecides says that nothing matters but the first of wanted that is present.
	firstDecides bool
	// lengths has bit n % 64 set where a header that may have to be dropped has a name of n bytes.
	lengths uint64
}

// wanted is a header that may matter for a decision.
type wanted struct {
	name string // in lower case
	key  string // as in an http.Header
}

func newPolicy(build func(*C.keygate_policy, *C.keygate_config_error) C.keygate_status) (*Policy, error) {
	if err := checkABI(); err != nil {
		return nil, err
	}
	storage := new(C.keygate_policy)
	from := C.keygate_config_error{size: C.sizeof_keygate_config_error}
	if err := refused(build(storage, &from), &from); err != nil {
		return nil, err
	}
	m := &made{
		storage:      storage,
		firstDecides: bool(C.keygate_policy_first_decides(storage)),
		lengths:      uint64(C.keygate_policy_name_lengths(storage)),
		identity:     copied(C.keygate_policy_identity_header(storage)),
	}
	for i := range C.keygate_policy_wanted_count(storage) {
		name := copied(C.keygate_policy_wanted_name(storage, i))
		m.wanted = append(m.wanted, wanted{name, http.CanonicalHeaderKey(name)})
	}
	for i := C.size_t(0); ; i++ {
		name := C.keygate_policy_source_name(storage, i)
		if name.len == 0 {
			break
		}
		m.sources = append(m.sources, copied(name))
	}
	for i := range C.keygate_policy_key_count(storage) {
		m.labels = append(m.labels, copied(C.keygate_policy_key_label(storage, i)))
	}
	runtime.AddCleanup(m, func(storage *C.keygate_policy) { C.keygate_policy_wipe(storage) }, storage)
	return &Policy{m}, nil
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
func (p *Policy) AuthMode() AuthMode {
	m := p.shared()
	defer runtime.KeepAlive(m)
	return AuthMode(C.keygate_policy_auth_mode(m.storage))
}

// EffectiveMode gives the mode in force, Auto being resolved. With Off, nobody is asked for a key.
func (p *Policy) EffectiveMode() AuthMode {
	m := p.shared()
	defer runtime.KeepAlive(m)
	return AuthMode(C.keygate_policy_effective_mode(m.storage))
}

// Decide decides about a request from its method, its target as received (neither normalised nor
// decoded, with its query) and its headers.
//
// The keys of h are in canonical form, as net/http makes them; another spelling, put in by hand,
// was not received, and no call of this package that reads headers reads it. An http.Header does
// not say in which order headers of different names came. That order decides nothing: the first
// occurrence of the first source that is present does.
func (p *Policy) Decide(method, target string, h http.Header) Decision {
	m := p.shared()
	var d C.keygate_decision
	if m.firstDecides {
		name, value, count := m.first(h)
		C.decide(m.storage, method, target, count, name, value, &d)
		runtime.KeepAlive(m)
	} else {
		d = p.decideWhole(strings.Clone(method), strings.Clone(target), h)
	}
	decision := Decision{
		Allow:          d.verdict == C.KEYGATE_ALLOW,
		Reason:         Reason(d.reason),
		EffectiveMode:  AuthMode(d.effective_mode),
		Key:            int(d.key),
		BearerStripped: d.flags&C.KEYGATE_BEARER_STRIPPED != 0,
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
func (m *made) first(h http.Header) (name, value string, count C.size_t) {
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
func (p *Policy) decideWhole(method, target string, h http.Header) (d C.keygate_decision) {
	d.size = C.sizeof_keygate_decision
	wanted := http.Header{}
	for _, header := range p.shared().wanted {
		if values := h[header.key]; len(values) > 0 {
			wanted[header.key] = values
		}
	}
	p.withRequest(method, target, wanted, func(policy *C.keygate_policy, request *C.keygate_request) {
		C.keygate_decide(policy, request, &d)
	})
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
	drops := bool(C.drops(m.storage, d.c(), name, value))
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
	decision := d.c()
	h := http.Header{}
	for i := C.size_t(0); ; i++ {
		var header C.keygate_header // a fresh one: it may come to hold a pointer into the policy
		if !C.keygate_denial_header(m.storage, &decision, i, &header) {
			break
		}
		h.Add(copied(header.name), copied(header.value))
	}
	runtime.KeepAlive(m)
	return h
}

// GenerateKey makes a fresh key: "sk-" and 32 hexadecimal digits.
func GenerateKey() Secret {
	var random [16]byte
	readRandom(random[:])
	var buffer [C.KEYGATE_GENERATED_KEY_SIZE]byte
	n := C.keygate_generate_key((*C.uint8_t)(&random[0]), (*C.char)(unsafe.Pointer(&buffer[0])), C.size_t(len(buffer)))
	return NewSecret(string(buffer[:n]))
}

// Version is the version of the library.
func Version() string { return C.GoString(C.keygate_version()) }

func checkABI() error {
	if v := C.keygate_abi_version(); v != C.KEYGATE_ABI_VERSION {
		return fmt.Errorf("%w: the library has interface %d, this package needs %d", ErrConfig, v, C.KEYGATE_ABI_VERSION)
	}
	return nil
}
