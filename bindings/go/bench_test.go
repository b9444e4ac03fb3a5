package keygate_test

import (
	"crypto/subtle"
	"net/http"
	"strings"
	"testing"

	"github.com/keygate/keygate/bindings/go"
)

// heap keeps the compiler from making a constant of it, which cgo would not have to check.
func heap(text string) string { return strings.Clone(text) }

// twelve is a request's headers as an LLM SDK sends them.
func twelve() http.Header {
	h := http.Header{}
	for _, field := range [][2]string{
		{"Accept", "application/json"}, {"Accept-Encoding", "gzip, deflate"}, {"Authorization", "Bearer sk-0123456789abcdef0123456789abcdef"},
		{"Connection", "keep-alive"}, {"Content-Length", "312"}, {"Content-Type", "application/json"},
		{"User-Agent", "OpenAI/Python 1.99.0"}, {"X-Stainless-Arch", "x64"}, {"X-Stainless-Async", "false"},
		{"X-Stainless-Lang", "python"}, {"X-Stainless-Os", "Linux"}, {"X-Stainless-Runtime", "CPython"},
	} {
		h.Add(field[0], heap(field[1]))
	}
	return h
}

func benchPolicy(b testing.TB) *keygate.Policy {
	policy, err := keygate.New(keygate.Config{
		AuthMode: keygate.AllExceptHealth,
		APIKey:   keygate.NewSecret("sk-0123456789abcdef0123456789abcdef"),
	})
	if err != nil {
		b.Fatal(err)
	}
	return policy
}

func BenchmarkDecide(b *testing.B) {
	policy, h := benchPolicy(b), twelve()
	method, target := heap("POST"), heap("/v1/chat/completions")
	b.ReportAllocs()
	for b.Loop() {
		if !policy.Decide(method, target, h).Allow {
			b.Fatal("denied")
		}
	}
}

func BenchmarkDecideParallel(b *testing.B) {
	policy, h := benchPolicy(b), twelve()
	method, target := heap("POST"), heap("/v1/chat/completions")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if !policy.Decide(method, target, h).Allow {
				b.Error("denied")
			}
		}
	})
}

func BenchmarkStrip(b *testing.B) {
	policy, h := benchPolicy(b), twelve()
	decision := policy.Decide("POST", "/", h)
	delete(h, "Authorization") // so that each round is the same
	b.ReportAllocs()
	for b.Loop() {
		policy.Strip(decision, h)
	}
}

// handWritten is what one writes by hand in place of this package: the same order of the sources,
// one key, the health path.
func handWritten(key, method, target string, h http.Header) bool {
	if method == http.MethodOptions {
		return true
	}
	path, _, _ := strings.Cut(target, "?")
	if (method == http.MethodGet || method == http.MethodHead) && path == "/healthz" {
		return true
	}
	var credential string
	if values := h["Authorization"]; len(values) > 0 {
		credential, _ = strings.CutPrefix(values[0], "Bearer ")
	} else if values := h["X-Api-Key"]; len(values) > 0 {
		credential = values[0]
	} else if values := h["X-Goog-Api-Key"]; len(values) > 0 {
		credential = values[0]
	}
	return key != "" && subtle.ConstantTimeCompare([]byte(credential), []byte(key)) == 1
}

func BenchmarkHandWritten(b *testing.B) {
	h, key := twelve(), heap("sk-0123456789abcdef0123456789abcdef")
	method, target := heap("POST"), heap("/v1/chat/completions")
	b.ReportAllocs()
	for b.Loop() {
		if !handWritten(key, method, target, h) {
			b.Fatal("denied")
		}
	}
}
