//go:build !cgo || !linux || !amd64 || keygate_wasm

package keygate

import (
	"bytes"
	"errors"
	"math"
	"net/http"
	"strings"
	"testing"
)

// fresh begins without instances, and gives those that are kept.
func fresh(t *testing.T) (all func() []*instance) {
	before := instances
	instances = make(chan *instance, cap(before))
	t.Cleanup(func() { instances = before })
	return func() (kept []*instance) {
		for range len(instances) {
			i := <-instances
			kept = append(kept, i)
			instances <- i
		}
		return kept
	}
}

const secret = "s3cr3t-0123456789abcdef"

// After any call, what was in it is nowhere in a module's memory, the module's own stack included.
func TestNothingIsKept(t *testing.T) {
	all := fresh(t)
	clean := func(after string) {
		t.Helper()
		if len(all()) == 0 {
			t.Fatal("no instance is kept")
		}
		for _, i := range all() {
			for _, part := range []string{secret[:8], secret[len(secret)-8:]} {
				if at := bytes.Index(i.bytes, []byte(part)); at >= 0 {
					t.Errorf("after %s, a key is at %d of %d", after, at, len(i.bytes))
				}
			}
		}
	}
	keys, err := ParseKeyFile([]byte(secret + " label=laptop\n"))
	if err != nil {
		t.Fatal(err)
	}
	clean("ParseKeyFile")
	// So long that a memory grows, and moves, while keys are in it.
	long := strings.Repeat(" ", 3*page)
	policies := map[string]func() (*Policy, error){
		"New":   func() (*Policy, error) { return New(Config{Keys: keys}) },
		"Parse": func() (*Policy, error) { return Parse([]byte(`{"auth_mode":"strict","api_key":"` + secret + `"}`)) },
		"Parse of a long text": func() (*Policy, error) {
			return Parse([]byte(`{"auth_mode":"strict","api_key":"` + secret + `"}` + long))
		},
		"Parse with keys beside": func() (*Policy, error) { return Parse([]byte(`{"auth_mode":"strict"}`), keys...) },
	}
	for name, make := range policies {
		policy, err := make()
		if err != nil {
			t.Fatal(err)
		}
		clean(name)
		for _, value := range []string{secret, "x" + secret, secret[1:]} {
			h := http.Header{"X-Api-Key": {value}, "Accept": {value + long}}
			d := policy.Decide("GET", "/"+secret, h)
			if d.Allow != (value == secret) {
				t.Errorf("%+v", d)
			}
			clean("Decide")
			policy.Drops(d, "x-api-key", value)
			clean("Drops")
			policy.Findings("GET", "/?key="+secret, h)
			clean("Findings")
			policy.Explain("GET", "/?key="+secret, h, English)
			clean("Explain")
			policy.DenialHeader(d)
			clean("DenialHeader")
		}
	}
	for _, text := range []string{`{"api_key":"` + secret + `"`, `{"` + secret + `":1}`, `{"auth_mode":"` + secret + `"}`} {
		if _, err := Parse([]byte(text)); err == nil {
			t.Fatal(text)
		}
		clean("a bad configuration")
	}
	var mode AuthMode
	_ = mode.UnmarshalText([]byte(secret))
	clean("UnmarshalText")
	key := GenerateKey().Reveal()
	for _, i := range all() {
		if bytes.Contains(i.bytes, []byte(key[3:])) {
			t.Error("a key that was generated is kept")
		}
	}
}

// What the module cannot do ends in a deny, and the instance that it happened in decides no more.
func TestTrapDenies(t *testing.T) {
	fresh(t)
	policy, err := New(Config{AuthMode: AllExceptHealth, APIKey: NewSecret(secret)})
	if err != nil {
		t.Fatal(err)
	}
	i := lend(policy.made.storage)
	request := i.take(sizeofRequest)
	i.request(request, "GET", "/x")
	// One header, where there is no memory.
	i.word(request+atRequestHeaders, math.MaxUint32&^(page-1)-page)
	i.word(request+atRequestHeaderCount, 1)
	d := i.decided(request)
	if i.failed != keygateErrState {
		t.Fatalf("there was no trap: %+v", d)
	}
	if d != (outcome{reason: keygateReasonInvalidCall, source: -1, key: -1}) {
		t.Errorf("%+v", d)
	}
	if again := i.decided(request); again != d {
		t.Errorf("%+v", again)
	}
	i.release()
	if !i.module.IsClosed() || bytes.ContainsFunc(i.bytes, func(r rune) bool { return r != 0 }) {
		t.Error("it is not closed and empty")
	}
	for range 10 {
		if d := policy.Decide("GET", "/healthz", nil); !d.Allow || d.Reason != Health {
			t.Fatalf("%+v", d)
		}
	}
}

// A policy of which not all is known, such as which headers it has dropped, is none.
func TestHalfMadeIsRefused(t *testing.T) {
	fresh(t)
	good := []*instance{lend(nil), lend(nil)}
	for _, i := range good {
		i.release()
	}
	broken := newInstance()
	broken.failed = keygateErrState
	instances <- broken // after the one that looks at the library and the one that makes the policy
	policy, err := New(Config{AuthMode: Off, IdentityHeader: "x-user"})
	var refusal *ConfigError
	if policy != nil || !errors.As(err, &refusal) || refusal.Text(English) == "" {
		t.Errorf("%v %v", policy, err)
	}
	if len(instances) != len(good) {
		t.Error("another one broke")
	}
}

// What needs more memory than an instance may have is denied, dropped or an error, and nothing of it is kept.
func TestTooLarge(t *testing.T) {
	fresh(t)
	policy, err := New(Config{AuthMode: Off, Match: MatchAny})
	if err != nil {
		t.Fatal(err)
	}
	huge := strings.Repeat("x", most)
	large := huge[:most/4]
	for text, fits := range map[string]bool{large: true, huge: false} {
		for name, d := range map[string]Decision{
			"target": policy.Decide("GET", "/"+text, nil),
			"header": policy.Decide("GET", "/", http.Header{"X-Api-Key": {text}, "Authorization": {text}}),
		} {
			if d.Allow != fits || !fits && d.Reason != InvalidCall {
				t.Errorf("%s of %d bytes: %+v", name, len(text), d)
			}
		}
		allowed := Decision{Allow: true, Reason: KeyMatched}
		if got := policy.Drops(allowed, "upgrade", text); got == fits {
			t.Errorf("a value of %d bytes: dropped: %v", len(text), got)
		}
		if got := policy.Explain("GET", "/"+text, nil, English); (got != "") != fits {
			t.Errorf("a target of %d bytes is explained: %q", len(text), got)
		}
	}
	for name, err := range map[string]error{
		"New":          func() error { _, err := New(Config{APIKey: NewSecret(huge)}); return err }(),
		"Parse":        func() error { _, err := Parse([]byte(`{"auth_mode":"off"}` + huge)); return err }(),
		"ParseKeyFile": func() error { _, err := ParseKeyFile([]byte(huge)); return err }(),
	} {
		if err == nil || !strings.Contains(err.Error(), " ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A memory that has grown is wiped where it was, and not kept.
func TestGrownMemory(t *testing.T) {
	fresh(t)
	i := lend(nil)
	lay(i, i.take(sizeofStr), secret)
	before := i.bytes
	i.take(kept)
	if i.failed != ok || !bytes.Contains(i.bytes, []byte(secret)) {
		t.Fatal("it has not grown")
	}
	if &before[0] != &i.bytes[0] && bytes.Contains(before, []byte(secret)) {
		t.Error("the key is where the memory was")
	}
	if i.release(); !i.module.IsClosed() || bytes.Contains(i.bytes, []byte(secret)) {
		t.Error("it is kept")
	}
}

// However many calls there are at once, only so many instances are left afterwards.
func TestInstancesAreClosed(t *testing.T) {
	all := fresh(t)
	var lent []*instance
	for range 3 * cap(instances) {
		lent = append(lent, lend(nil))
	}
	for _, i := range lent {
		i.release()
	}
	for n, i := range lent {
		if i.module.IsClosed() != (n >= cap(instances)) {
			t.Errorf("instance %d: closed: %v", n, i.module.IsClosed())
		}
	}
	if len(all()) != cap(instances) {
		t.Errorf("%d are kept", len(all()))
	}
}

// BenchmarkCompile measures what the first call of a program waits for.
func BenchmarkCompile(b *testing.B) {
	for b.Loop() {
		if _, err := compile(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkInstance measures what a call waits for where no instance is left.
func BenchmarkInstance(b *testing.B) {
	for b.Loop() {
		i := newInstance()
		i.failed = keygateErrState // not kept
		i.release()
	}
}
