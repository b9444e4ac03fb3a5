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

#include <string.h>
#include "keygate.h"

// With this in it, the package changes whenever the library does, and so is linked anew.
static const char library[] __attribute__((used)) = KEYGATE_LIBRARY;

// The names of the sources, by place.
typedef struct { struct { char text[32]; uint32_t len; } source[8]; } names;

static keygate_str text(_GoString_ s) {
	return (keygate_str){_GoStringPtr(s), _GoStringLen(s)};
}

static keygate_str name(const names *names, uint64_t place) {
	return (keygate_str){names->source[place].text, names->source[place].len};
}

enum { DIRECT = 2 };

// The wanted headers, `count` of them: the first ones' values as they are, with the places of their
// sources; those of the others in `rest`, each as place, length and bytes.
static void decide(const keygate_policy *policy, const names *names, _GoString_ method, _GoString_ target,
		size_t count, _GoString_ a, uint64_t place_a, _GoString_ b, uint64_t place_b, _GoString_ rest,
		keygate_decision *decision) {
	keygate_header direct[DIRECT] = {{name(names, place_a), text(a)}, {name(names, place_b), text(b)}};
	decision->size = sizeof *decision;
	if (count <= DIRECT) {
		keygate_request request = {sizeof request, text(method), text(target), direct, count};
		keygate_decide(policy, &request, decision);
		return;
	}
	keygate_evaluation evaluation;
	keygate_evaluation_begin(&evaluation, sizeof evaluation, policy, text(method), text(target));
	for (size_t i = 0; i < DIRECT; i++)
		keygate_evaluation_push(&evaluation, direct[i].name, direct[i].value);
	const char *at = _GoStringPtr(rest), *end = at + _GoStringLen(rest);
	while (at < end) {
		uint64_t head[2]; // place, length
		memcpy(head, at, sizeof head);
		at += sizeof head;
		keygate_evaluation_push(&evaluation, name(names, head[0]), (keygate_str){at, head[1]});
		at += head[1];
	}
	keygate_evaluation_finish(&evaluation, decision);
}

static bool drops(const keygate_policy *policy, keygate_decision decision, _GoString_ name, _GoString_ value) {
	return keygate_policy_drops(policy, &decision, text(name), text(value));
}
*/
import "C"

import (
	"encoding/binary"
	"fmt"
	"net/http"
	"runtime"
	"sync"
	"unsafe"
)

// AuthMode says how requests are guarded. The zero value is Strict.
type AuthMode int32

const (
	// Strict: every request but OPTIONS needs a key.
	Strict AuthMode = C.KEYGATE_MODE_STRICT
	// Off: no request needs a key.
	Off AuthMode = C.KEYGATE_MODE_OFF
	// AllExceptHealth: every request needs a key but OPTIONS, and GET or HEAD of an exempt path.
	AllExceptHealth AuthMode = C.KEYGATE_MODE_ALL_EXCEPT_HEALTH
	// Auto is AllExceptHealth where Config.AllowLANAccess is set and Off where it is not.
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
func (r Reason) Text() string { return C.GoString(C.keygate_reason_text(C.keygate_reason(r))) }

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
	// BearerStripped says that "Bearer " was not taken as a part of the credential.
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

// Challenge is the WWW-Authenticate value that a denied request is answered with.
func (d Decision) Challenge() string {
	decision := d.c()
	return C.GoString(C.keygate_denial_challenge(&decision))
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
	names   C.names
	sources []source
	labels  []string
	// lengths has bit n % 64 set where a header that may have to be dropped has a name of n bytes.
	lengths uint64
}

type source struct {
	place C.uint64_t // in the policy
	name  string     // in lower case
	key   string     // as in an http.Header
}

// New makes a policy. A Config without any key is not wrong: its policy denies whatever needs one.
//
// The error is a *ConfigError.
func New(config Config) (*Policy, error) {
	storage := new(C.keygate_policy)
	if err := config.build(storage); err != nil {
		return nil, err
	}
	m := &made{storage: storage, lengths: uint64(C.keygate_policy_name_lengths(storage))}
	for i := range C.keygate_policy_source_count(storage) {
		name := copied(C.keygate_policy_source_name(storage, i))
		m.sources = append(m.sources, source{C.uint64_t(i), name, http.CanonicalHeaderKey(name)})
		of := &m.names.source[i]
		of.len = C.uint32_t(copy(unsafe.Slice((*byte)(unsafe.Pointer(&of.text[0])), len(of.text)), name))
	}
	for i := range max(len(config.Keys), 1) {
		m.labels = append(m.labels, copied(C.keygate_policy_key_label(storage, C.size_t(i))))
	}
	runtime.AddCleanup(m, func(storage *C.keygate_policy) { C.keygate_policy_wipe(storage) }, storage)
	return &Policy{m}, nil
}

func copied(text C.keygate_str) string {
	return string(unsafe.Slice((*byte)(unsafe.Pointer(text.ptr)), text.len))
}

func (p *Policy) shared() *made {
	if p == nil || p.made == nil {
		return &none
	}
	return p.made
}

// none is what the library refuses to decide with. It is asked about names of any length.
var none = made{lengths: ^uint64(0)}

// String says what it is and nothing of what it holds.
func (p *Policy) String() string { return "keygate.Policy" }

// Decide decides about a request from its method, its target as received (neither normalised nor
// decoded, with its query) and its headers.
//
// The keys of h are in canonical form, as net/http makes them; another spelling, put in by hand,
// was not received, and no call of this package that reads headers reads it. An http.Header does
// not say in which order headers of different names came. That order decides nothing: the first
// occurrence of the first source that is present does.
func (p *Policy) Decide(method, target string, h http.Header) Decision {
	return p.decide(method, target, h, "")
}

// DecideRequest decides about a request that a server received, by its RequestURI and not by its
// URL, which is decoded. A request without a RequestURI has no path, so that none is exempt.
//
// net/http moves the Host header from r.Header to r.Host, so a source "host" is read from there,
// and from r.Header only where r.Host is empty.
func (p *Policy) DecideRequest(r *http.Request) Decision {
	return p.decide(r.Method, r.RequestURI, r.Header, r.Host)
}

func (p *Policy) decide(method, target string, h http.Header, host string) (decision Decision) {
	m := p.shared()
	var w wanted
	for i := range m.sources {
		source := &m.sources[i]
		if source.key == "Host" && host != "" {
			w.add(source.place, host)
			continue
		}
		for _, value := range h[source.key] {
			w.add(source.place, value)
		}
	}
	var d C.keygate_decision
	C.decide(m.storage, &m.names, method, target, C.size_t(w.count),
		w.direct[0], w.places[0], w.direct[1], w.places[1], w.restText(), &d)
	runtime.KeepAlive(m)
	if w.rest != nil {
		w.free()
	}
	decision.Allow = d.verdict == C.KEYGATE_ALLOW
	decision.Reason = Reason(d.reason)
	decision.EffectiveMode = AuthMode(d.effective_mode)
	decision.Key = int(d.key)
	decision.BearerStripped = d.flags&C.KEYGATE_BEARER_STRIPPED != 0
	if i := int(d.source); i >= 0 && i < len(m.sources) {
		decision.Source = m.sources[i].name
	}
	if i := int(d.key); i >= 0 && i < len(m.labels) {
		decision.KeyLabel = m.labels[i]
	}
	return decision
}

// wanted gathers the values of the headers that the policy wants. C may not be given a Go array
// of Go pointers, so a few values are passed as they are and the rest in one flat buffer.
type wanted struct {
	count  int
	direct [C.DIRECT]string
	places [C.DIRECT]C.uint64_t
	rest   *[]byte
}

// maxKept bounds the buffers that are kept for the next request, in bytes.
const maxKept = 64 << 10

var buffers = sync.Pool{New: func() any { return new([]byte) }}

func (w *wanted) add(place C.uint64_t, value string) {
	if i := w.count; i < len(w.direct) {
		w.direct[i] = value
		w.places[i] = place
	} else {
		w.addToRest(place, value)
	}
	w.count++
}

func (w *wanted) addToRest(place C.uint64_t, value string) {
	if w.rest == nil {
		w.rest = buffers.Get().(*[]byte)
	}
	*w.rest = binary.NativeEndian.AppendUint64(*w.rest, uint64(place))
	*w.rest = binary.NativeEndian.AppendUint64(*w.rest, uint64(len(value)))
	*w.rest = append(*w.rest, value...)
}

func (w *wanted) restText() string {
	if w.rest == nil {
		return ""
	}
	return unsafe.String(unsafe.SliceData(*w.rest), len(*w.rest))
}

// free wipes what was copied.
func (w *wanted) free() {
	clear(*w.rest)
	*w.rest = (*w.rest)[:0]
	if cap(*w.rest) <= maxKept {
		buffers.Put(w.rest)
	}
}

// Drops says whether a header must be dropped before a request is forwarded, after this decision:
// every spelling of a source's name, and after a Preflight or Health, which let pass a request and
// not a connection, also what could make another request or a tunnel of it. After a deny it is
// everything.
func (p *Policy) Drops(d Decision, name, value string) bool {
	m := p.shared()
	if d.Allow && m.lengths>>(len(name)&63)&1 == 0 {
		return false
	}
	drops := bool(C.drops(m.storage, d.c(), name, value))
	runtime.KeepAlive(m)
	return drops
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
