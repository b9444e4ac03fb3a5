package keygate

// #include "keygate.h"
import "C"

import (
	"maps"
	"net/http"
	"runtime"
	"slices"
	"unsafe"
)

// Explain says in English why a request is decided as it is, in lines. It is for the operator and
// never for the client: what it finds out about a wrong key shows in the text and in the time it
// takes. It holds header names and lengths, and no byte of a key or of a credential.
func (p *Policy) Explain(method, target string, h http.Header) string {
	var text string
	p.withRequest(method, target, h, func(policy *C.keygate_policy, request *C.keygate_request) {
		buffer := make([]byte, C.keygate_explain(policy, request, nil, 0)+1)
		C.keygate_explain(policy, request, (*C.char)(unsafe.Pointer(&buffer[0])), C.size_t(len(buffer)))
		text = string(buffer[:len(buffer)-1])
	})
	return text
}

// Findings gives the codes of what Explain says, "bearer_no_space" for example. It is for the
// operator too.
func (p *Policy) Findings(method, target string, h http.Header) []string {
	found := []string{}
	p.withRequest(method, target, h, func(policy *C.keygate_policy, request *C.keygate_request) {
		for bits := C.keygate_findings(policy, request); bits != 0; bits &= bits - 1 {
			found = append(found, C.GoString(C.keygate_finding_text(bits&-bits)))
		}
	})
	return found
}

// ExplainRequest is Explain for a request that a server received.
func (p *Policy) ExplainRequest(r *http.Request) string {
	return p.Explain(r.Method, r.RequestURI, withHost(r))
}

// FindingsRequest is Findings for a request that a server received.
func (p *Policy) FindingsRequest(r *http.Request) []string {
	return p.Findings(r.Method, r.RequestURI, withHost(r))
}

// withHost puts the Host header back where net/http took it from.
func withHost(r *http.Request) http.Header {
	if r.Host == "" {
		return r.Header
	}
	h := http.Header{}
	maps.Copy(h, r.Header)
	h["Host"] = []string{r.Host}
	return h
}

// withRequest lends the whole request to C, in the order of the names. Keys that are not canonical
// are left out here as they are in Decide: net/http makes none, so no client sent them.
func (p *Policy) withRequest(method, target string, h http.Header, do func(*C.keygate_policy, *C.keygate_request)) {
	m := p.shared()
	var pins runtime.Pinner
	defer pins.Unpin()
	var fields [][2]string
	for _, name := range slices.Sorted(maps.Keys(h)) {
		if name != http.CanonicalHeaderKey(name) {
			continue
		}
		for _, value := range h[name] {
			fields = append(fields, [2]string{name, value})
		}
	}
	request := C.keygate_request{size: C.sizeof_keygate_request, method: pinned(&pins, method), target: pinned(&pins, target)}
	request.headers, request.header_count = lent(&pins, fields, func(field [2]string) C.keygate_header {
		return C.keygate_header{name: pinned(&pins, field[0]), value: pinned(&pins, field[1])}
	})
	do(m.storage, &request)
	runtime.KeepAlive(m)
}
