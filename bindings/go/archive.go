//go:build cgo && linux && amd64 && !keygate_wasm

package keygate

// The library as the platform's own code, linked in through cgo. wasm.go has the same calls for all others.

/*
#cgo CFLAGS: -I${SRCDIR}
#cgo LDFLAGS: ${SRCDIR}/libkeygate_linux_amd64.a
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
	"runtime"
	"unsafe"
)

type (
	storage     = C.keygate_policy
	outcome     = C.keygate_decision
	configError struct{ c C.keygate_config_error }
)

// usable says what is wrong with the library.
func usable() error {
	if v := C.keygate_abi_version(); v != keygateAbiVersion {
		return fmt.Errorf("%w: the library has interface %d, this package needs %d", ErrConfig, v, keygateAbiVersion)
	}
	return nil
}

func version() string { return C.GoString(C.keygate_version()) }

func modeName(m AuthMode) string { return C.GoString(C.keygate_mode_name(C.keygate_mode(m))) }

func parseMode(name string) (AuthMode, Status) {
	var pins runtime.Pinner
	defer pins.Unpin()
	var mode C.keygate_mode
	status := C.keygate_mode_parse(pinned(&pins, name), &mode)
	return AuthMode(mode), Status(status)
}

func reasonName(r Reason) string { return C.GoString(C.keygate_reason_name(C.keygate_reason(r))) }

func reasonText(r Reason, l Language) string {
	return C.GoString(C.keygate_reason_text(C.keygate_reason(r), C.keygate_language(l)))
}

func findingName(f Finding) string { return C.GoString(C.keygate_finding_name(C.uint32_t(f))) }

func findingText(f Finding, l Language) string {
	return C.GoString(C.keygate_finding_text(C.uint32_t(f), C.keygate_language(l)))
}

func lintName(l Lint) string { return C.GoString(C.keygate_lint_name(C.uint32_t(l))) }

func lintText(lint Lint, l Language) string {
	return C.GoString(C.keygate_lint_text(C.uint32_t(lint), C.keygate_language(l)))
}

func statusName(s Status) string { return C.GoString(C.keygate_status_name(C.keygate_status(s))) }

func statusText(s Status, l Language) string {
	return C.GoString(C.keygate_status_text(C.keygate_status(s), C.keygate_language(l)))
}

// set fills in what is not the library's to say.
func (e *configError) set(err *ConfigError) {
	err.Field = C.GoString(C.keygate_field_name(e.c.field))
	err.Index = int(e.c.index) // SIZE_MAX is -1
	err.Line, err.Column = int(e.c.line), int(e.c.column)
}

func (e *configError) text(l Language) string {
	return written(func(buffer *C.char, size C.size_t) C.size_t {
		return C.keygate_config_error_text(&e.c, C.keygate_language(l), buffer, size)
	})
}

func (e *configError) out() *C.keygate_config_error {
	e.c.size = C.sizeof_keygate_config_error
	return &e.c
}

func generateKey(random [16]byte) string {
	var buffer [C.KEYGATE_GENERATED_KEY_SIZE]byte
	n := C.keygate_generate_key((*C.uint8_t)(&random[0]), (*C.char)(unsafe.Pointer(&buffer[0])), C.size_t(len(buffer)))
	return string(buffer[:n])
}

func initialise(s *storage, c Config, err *configError) Status {
	var pins runtime.Pinner
	defer pins.Unpin()
	var config C.keygate_config
	C.keygate_config_init(&config, C.sizeof_keygate_config)
	config.auth_mode = C.keygate_mode(c.AuthMode)
	config.flags = C.uint32_t(c.flags())
	config.api_key = pinned(&pins, c.APIKey.Reveal())
	config.keys, config.key_count = lentKeys(&pins, c.Keys)
	config.sources, config.source_count = lent(&pins, c.Sources, func(source Source) C.keygate_source {
		return C.keygate_source{name: pinned(&pins, source.Name), scheme: pinned(&pins, source.Scheme), flags: C.uint32_t(source.flags())}
	})
	config.exempt, config.exempt_count = lent(&pins, c.Exempt, func(path string) C.keygate_str {
		return pinned(&pins, path)
	})
	config.match = C.int32_t(c.Match)
	config.preflight = C.int32_t(c.Preflight)
	config.strip = C.int32_t(c.Strip)
	config.identity_header = pinned(&pins, c.IdentityHeader)
	config.allow_origin = pinned(&pins, c.AllowOrigin)
	return Status(C.keygate_policy_init(s, C.sizeof_keygate_policy, &config, err.out()))
}

func parse(s *storage, json []byte, keys []Key, err *configError) Status {
	var pins runtime.Pinner
	defer pins.Unpin()
	list, count := lentKeys(&pins, keys)
	if keys != nil && list == nil {
		list = new(C.keygate_key)
	}
	return Status(C.keygate_policy_parse(s, C.sizeof_keygate_policy, pinned(&pins, inPlace(json)), list, count, err.out()))
}

func readKeyFile(text []byte, err *configError) ([]Key, Status) {
	var pins runtime.Pinner
	defer pins.Unpin()
	var file C.keygate_key_file
	C.keygate_key_file_begin(&file, C.sizeof_keygate_key_file, pinned(&pins, inPlace(text)))
	keys := []Key{}
	var key C.keygate_key
	for C.keygate_key_file_next(&file, &key) {
		keys = append(keys, Key{NewSecret(copied(key.secret)), copied(key.label)})
	}
	return keys, Status(C.keygate_key_file_end(&file, err.out()))
}

func wipe(s *storage) { C.keygate_policy_wipe(s) }

// look reads what is always so of a policy.
func (m *made) look(*configError) Status {
	m.firstDecides = bool(C.keygate_policy_first_decides(m.storage))
	m.lengths = uint64(C.keygate_policy_name_lengths(m.storage))
	m.identity = copied(C.keygate_policy_identity_header(m.storage))
	m.authMode = AuthMode(C.keygate_policy_auth_mode(m.storage))
	m.effectiveMode = AuthMode(C.keygate_policy_effective_mode(m.storage))
	m.lints = uint32(C.keygate_lints(m.storage))
	for i := range C.keygate_policy_wanted_count(m.storage) {
		m.want(copied(C.keygate_policy_wanted_name(m.storage, i)))
	}
	for i := C.size_t(0); ; i++ {
		name := C.keygate_policy_source_name(m.storage, i)
		if name.len == 0 {
			break
		}
		m.sources = append(m.sources, copied(name))
	}
	for i := range C.keygate_policy_key_count(m.storage) {
		m.labels = append(m.labels, copied(C.keygate_policy_key_label(m.storage, i)))
	}
	return ok
}

func decideFirst(s *storage, method, target string, count int, name, value string, d *outcome) {
	C.decide(s, method, target, C.size_t(count), name, value, d)
}

func decideWhole(s *storage, r *request) outcome {
	d := outcome{size: C.sizeof_keygate_decision}
	r.lend(func(request *C.keygate_request) { C.keygate_decide(s, request, &d) })
	return d
}

func (d Decision) c() outcome {
	decision := outcome{
		size:           C.sizeof_keygate_decision,
		reason:         C.keygate_reason(d.Reason),
		effective_mode: C.keygate_mode(d.EffectiveMode),
	}
	if d.Allow {
		decision.verdict = C.KEYGATE_ALLOW
	}
	return decision
}

func drops(s *storage, d outcome, name, value string) bool {
	return bool(C.drops(s, d, name, value))
}

func denialBody(d outcome) string { return C.GoString(C.keygate_denial_body(&d)) }

func denialHeaders(s *storage, d outcome, add func(name, value string)) {
	for i := C.size_t(0); ; i++ {
		var header C.keygate_header // a fresh one: it may come to hold a pointer into the policy
		if !C.keygate_denial_header(s, &d, i, &header) {
			return
		}
		add(copied(header.name), copied(header.value))
	}
}

func explain(s *storage, r *request, l Language) (text string) {
	r.lend(func(request *C.keygate_request) {
		text = written(func(buffer *C.char, size C.size_t) C.size_t {
			return C.keygate_explain(s, request, C.keygate_language(l), buffer, size)
		})
	})
	return text
}

func findings(s *storage, r *request) (bits uint32) {
	r.lend(func(request *C.keygate_request) { bits = uint32(C.keygate_findings(s, request)) })
	return bits
}

func (r *request) lend(do func(*C.keygate_request)) {
	var pins runtime.Pinner
	defer pins.Unpin()
	request := C.keygate_request{size: C.sizeof_keygate_request, method: pinned(&pins, r.method), target: pinned(&pins, r.target)}
	request.headers, request.header_count = lent(&pins, r.fields, func(field [2]string) C.keygate_header {
		return C.keygate_header{name: pinned(&pins, field[0]), value: pinned(&pins, field[1])}
	})
	do(&request)
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
