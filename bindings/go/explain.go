package keygate

import (
	"maps"
	"net/http"
	"runtime"
	"slices"
)

// Explain says why a request is decided as it is, in lines. It is for the operator and never for
// the client: what it finds out about a wrong key shows in the text and in the time it takes. It
// holds header names and lengths, and no byte of a key or of a credential.
func (p *Policy) Explain(method, target string, h http.Header, language Language) string {
	m := p.shared()
	defer runtime.KeepAlive(m)
	return explain(m.storage, newRequest(method, target, h), language)
}

// Finding is one of the things that Explain finds, a row in the table of findings of keygate.h.
type Finding uint32

// String gives the finding's name, "bearer_no_space" for example.
func (f Finding) String() string { return findingName(f) }

// MarshalText gives the finding's name.
func (f Finding) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// Text is what the finding means, in one sentence.
func (f Finding) Text(language Language) string { return findingText(f, language) }

// Lint is one of the things that are probably a mistake in a configuration, a row in the table of lints
// of keygate.h.
type Lint uint32

// String gives the lint's name, "key_short" for example.
func (l Lint) String() string { return lintName(l) }

// MarshalText gives the lint's name.
func (l Lint) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// Text is what is wrong and what to change, in one sentence.
func (l Lint) Text(language Language) string { return lintText(l, language) }

// Lints gives what is probably a mistake in the configuration. Log each as a warning, when the program
// starts and when it reloads.
func (p *Policy) Lints() []Lint {
	found := []Lint{}
	for bits := p.shared().lints; bits != 0; bits &= bits - 1 {
		found = append(found, Lint(bits&-bits))
	}
	return found
}

// Findings gives what Explain finds, as codes. It is for the operator too.
func (p *Policy) Findings(method, target string, h http.Header) []Finding {
	m := p.shared()
	defer runtime.KeepAlive(m)
	found := []Finding{}
	for bits := findings(m.storage, newRequest(method, target, h)); bits != 0; bits &= bits - 1 {
		found = append(found, Finding(bits&-bits))
	}
	return found
}

// ExplainRequest is Explain for a request that a server received. It also says where a request has
// no RequestURI, as one has that no server received.
func (p *Policy) ExplainRequest(r *http.Request, language Language) string {
	text := p.Explain(r.Method, r.RequestURI, withHost(r.Header, r.Host), language)
	switch {
	case r.RequestURI != "":
	case language == Chinese:
		text += "\n说明: 该请求没有 RequestURI(只有服务器会设置它),所以没有路径:不会按放行路径放行"
	default:
		text += "\nnote: the request has no RequestURI, which only a server sets, so it has no path and none is exempt"
	}
	return text
}

// FindingsRequest is Findings for a request that a server received.
func (p *Policy) FindingsRequest(r *http.Request) []Finding {
	return p.Findings(r.Method, r.RequestURI, withHost(r.Header, r.Host))
}

// withHost puts the Host header back where net/http took it from.
func withHost(h http.Header, host string) http.Header {
	if host == "" {
		return h
	}
	with := http.Header{}
	maps.Copy(with, h)
	with["Host"] = []string{host}
	return with
}

// request is a whole request, in the order of the names.
type request struct {
	method, target string
	fields         [][2]string
}

// newRequest leaves out keys that are not canonical, as Decide does: net/http makes none, so no client
// sent them.
func newRequest(method, target string, h http.Header) *request {
	r := &request{method: method, target: target}
	for _, name := range slices.Sorted(maps.Keys(h)) {
		if name != http.CanonicalHeaderKey(name) {
			continue
		}
		for _, value := range h[name] {
			r.fields = append(r.fields, [2]string{name, value})
		}
	}
	return r
}
