package keygate_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/keygate/keygate/bindings/go"
)

// anyHeader is a header as net/http makes it or as only a program can: keys in any spelling, several
// spellings of one name, names without values, nil.
func anyHeader(r *rand.Rand) http.Header {
	if r.IntN(20) == 0 {
		return nil
	}
	names := []string{
		"Authorization", "authorization", "AUTHORIZATION", "X-Api-Key", "x-api-key", "X-API-KEY", "X_api_key", "X.Api.Key",
		"X-Goog-Api-Key", "x-goog-api-key", "Origin", "Access-Control-Request-Method", "Host", "host", "HOST", "Api-Key", "api-key", "", "X Api Key", "Accept",
	}
	values := []string{right, "Bearer " + right, "bearer " + right, "Bearer" + right, "wrong", "", " ", "\xff"}
	h := http.Header{}
	for range r.IntN(6) {
		var list []string
		for range r.IntN(4) {
			list = append(list, values[r.IntN(len(values))])
		}
		h[names[r.IntN(len(names))]] = list
	}
	return h
}

var verdict = regexp.MustCompile(`^(Allowed|Denied): .* \((?:401, )?(\w+), rule \d\)\n`)

// explained is the decision that an explanation speaks of.
func explained(t *testing.T, text string) string {
	t.Helper()
	found := verdict.FindStringSubmatch(text)
	if found == nil {
		t.Fatalf("no verdict: %q", text)
	}
	return fmt.Sprint(found[1] == "Allowed", " ", found[2])
}

func decided(d keygate.Decision) string { return fmt.Sprint(d.Allow, " ", d.Reason) }

// Whatever is in an http.Header, and however one asks, there is one decision. What net/http would
// not put into one takes no part in it, and is stripped all the same.
func TestEveryWayOfAskingAgrees(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var policies []*keygate.Policy
	for _, sources := range []string{
		"", `,"sources":[{"name":"X-API-key","bearer":true},{"name":"x-goog-api-key"}]`, `,"sources":[]`, `,"match":"any"`,
		`,"preflight":"cors"`, `,"match":"any","preflight":"cors","sources":[{"name":"x-api-key"},{"name":"authorization","scheme":"BEARER"}]`,
	} {
		for _, mode := range []string{"strict", "all_except_health", "off"} {
			policies = append(policies, policyOf(t, fmt.Sprintf(`{"auth_mode":%q,"api_key":%q%s}`, mode, right, sources)))
		}
	}
	policies = append(policies, nil)
	seen := map[string]int{}
	for range 20_000 {
		policy, h := policies[r.IntN(len(policies))], anyHeader(r)
		method := []string{"GET", "POST", "OPTIONS"}[r.IntN(3)]
		target := []string{"/healthz", "/v1", "/healthz#"}[r.IntN(3)]
		server := &http.Request{Method: method, RequestURI: target, Header: h, Host: []string{"", right, "wrong"}[r.IntN(3)]}

		received, request := http.Header{}, http.Header{}
		for name, values := range h {
			if name == http.CanonicalHeaderKey(name) {
				received[name], request[name] = values, values
			}
		}
		if server.Host != "" {
			request["Host"] = []string{server.Host}
		}
		before := fmt.Sprintf("%q", h)
		for _, c := range []struct {
			of          string
			as          http.Header
			decision    keygate.Decision
			explanation string
			findings    []keygate.Finding
		}{
			{"header", received, policy.Decide(method, target, h), policy.Explain(method, target, h, keygate.English), policy.Findings(method, target, h)},
			{"request", request, policy.DecideRequest(server), policy.ExplainRequest(server, keygate.English), policy.FindingsRequest(server)},
		} {
			seen[decided(c.decision)]++
			if want := policy.Decide(method, target, c.as); c.decision != want {
				t.Errorf("%s %s, %q, host %q: %+v, want %+v", method, target, h, server.Host, c.decision, want)
			}
			if policy == nil { // which the library cannot explain
				continue
			}
			if got := explained(t, c.explanation); got != decided(c.decision) {
				t.Errorf("%s: %s %s, %q, host %q: %s is explained as %s", c.of, method, target, h, server.Host, decided(c.decision), got)
			}
			if c.explanation != policy.Explain(method, target, c.as, keygate.English) || !slices.Equal(c.findings, policy.Findings(method, target, c.as)) {
				t.Errorf("%s: %s %s, %q, host %q: not explained as %q", c.of, method, target, h, server.Host, c.as)
			}
		}
		if after := fmt.Sprintf("%q", h); after != before {
			t.Fatalf("%s has become %s", before, after)
		}

		d := policy.Decide(method, target, h)
		h = h.Clone()
		policy.Strip(d, h)
		for name := range h {
			plain := strings.NewReplacer("_", "-", ".", "-").Replace(strings.ToLower(name))
			if !d.Allow || policy.Drops(d, name, "") || d.Source != "" && d.Source == plain {
				t.Errorf("%q is left after %+v", name, d)
			}
		}
		if d.Allow && policy.Decide(method, target, h).Source != "" {
			t.Errorf("a credential is left in %q", h)
		}
		if t.Failed() {
			return
		}
	}
	if len(seen) < 8 {
		t.Errorf("only these decisions were made: %v", seen)
	}
}
