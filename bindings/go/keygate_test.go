package keygate_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/keygate/keygate/bindings/go"
	"github.com/keygate/keygate/bindings/go/internal/vectors"
)

const right = "sk-0123456789abcdef0123456789abcdef"

func policyOf(t testing.TB, config string) *keygate.Policy {
	t.Helper()
	parsed, err := keygate.ParseConfig([]byte(config))
	if err != nil {
		t.Fatal(err)
	}
	policy, err := keygate.New(parsed)
	if err != nil {
		t.Fatal(err)
	}
	return policy
}

// check compares a decision with a vector, in all its fields.
func check(t *testing.T, v vectors.Vector, got keygate.Decision, findings []string) {
	t.Helper()
	index := func(want *int) int {
		if want == nil {
			return -1
		}
		return *want
	}
	source, first := "", -1
	if v.Want.Source != nil {
		source = *v.Want.Source
	}
	if got.Source != "" {
		first = v.FirstOf(got.Source)
	}
	if got.Allow != (v.Want.Verdict == "allow") || got.Reason.String() != v.Want.Reason ||
		got.EffectiveMode.String() != v.Want.EffectiveMode || got.Source != source ||
		got.Key != index(v.Want.KeyIndex) || first != index(v.Want.HeaderIndex) {
		t.Errorf("%s: %+v, first header %d; want %+v", v.Name, got, first, v.Want)
	}
	if !slices.Equal(findings, v.Want.Findings) {
		t.Errorf("%s: findings %v, want %v", v.Name, findings, v.Want.Findings)
	}
}

func TestVectors(t *testing.T) {
	all := vectors.Load(t)
	refused := 0
	for _, v := range all {
		config, err := keygate.ParseConfig(v.Config)
		var policy *keygate.Policy
		if err == nil {
			policy, err = keygate.New(config)
		}
		if v.Want.Error {
			if !errors.Is(err, keygate.ErrConfig) {
				t.Errorf("%s: the configuration was taken: %v", v.Name, err)
			}
			refused++
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", v.Name, err)
			continue
		}
		h := v.Header()
		check(t, v, policy.Decide(v.Method, v.Target, h), policy.Findings(v.Method, v.Target, h))

		// The same request as a server has it.
		r := &http.Request{Method: v.Method, RequestURI: v.Target, Header: h.Clone()}
		r.Host = h.Get("Host")
		r.Header.Del("Host")
		if len(h["Host"]) < 2 { // a server refuses more
			check(t, v, policy.DecideRequest(r), policy.FindingsRequest(r))
		}

		decision := policy.Decide(v.Method, v.Target, h)
		policy.Strip(decision, h)
		for name := range h {
			if policy.Drops(decision, name, "") {
				t.Errorf("%s: %q is left after stripping", v.Name, name)
			}
		}
	}
	t.Logf("%d vectors, %d of them configurations that are refused", len(all), refused)
}

// Values beyond those that are passed as they are go through a buffer: the same ones, in order.
func TestManyValues(t *testing.T) {
	policy := policyOf(t, `{"auth_mode":"strict","api_key":"k","sources":[{"name":"a"},{"name":"b","bearer":true}]}`)
	for n := range 12 {
		var before, after []string
		for i := range n {
			before = append(before, heap(fmt.Sprint("wrong", i)))
			after = append(after, "wrong")
		}
		for _, c := range []struct {
			h    http.Header
			want keygate.Reason
		}{
			{http.Header{"A": append(before, "k")}, map[bool]keygate.Reason{true: keygate.KeyMatched, false: keygate.KeyMismatch}[n == 0]},
			{http.Header{"A": append([]string{"k"}, after...)}, keygate.KeyMatched},
			{http.Header{"A": append([]string{""}, after...), "B": {"k"}}, keygate.CredentialUnusable},
			{http.Header{"B": append([]string{"Bearer k"}, after...)}, keygate.KeyMatched},
			{http.Header{"B": append([]string{"Bearer k"}, after...), "A": {"no"}}, keygate.KeyMismatch},
		} {
			if d := policy.Decide("GET", "/", c.h); d.Reason != c.want {
				t.Errorf("%d values: %v, want %v", n, d.Reason, c.want)
			}
		}
	}
}

// A third value only shows in a verdict where it is the first of its source. More than two headers
// before it need sources of their own.
func TestLateSource(t *testing.T) {
	policy := policyOf(t, `{"auth_mode":"strict","api_key":"k","sources":[
		{"name":"a"},{"name":"b"},{"name":"c"},{"name":"d"},{"name":"e"},{"name":"f"},{"name":"g"},{"name":"h"}]}`)
	for i, name := range strings.Split("ABCDEFGH", "") {
		d := policy.Decide("GET", "/", http.Header{name: {"k"}})
		if !d.Allow || d.Source != strings.ToLower(name) {
			t.Errorf("source %d: %+v", i, d)
		}
	}
	h := http.Header{}
	for _, name := range strings.Split("ABCDEFGH", "") {
		h[name] = []string{"wrong", "k"}
	}
	if d := policy.Decide("GET", "/", h); d.Allow || d.Source != "a" {
		t.Errorf("%+v", d)
	}
}

func TestNoAllocation(t *testing.T) {
	policy := benchPolicy(t)
	many := http.Header{}
	for range 40 {
		many.Add("X-Api-Key", heap("wrong"))
	}
	for name, h := range map[string]http.Header{"twelve": twelve(), "none": {}, "many": many} {
		// As a caller has them that parses bytes: the strings must not escape.
		method, target := []byte("POST"), []byte("/v1/chat/completions")
		if n := testing.AllocsPerRun(1000, func() { policy.Decide(string(method), string(target), h) }); n > 0 && !raceEnabled {
			t.Errorf("%s: %v allocations a decision", name, n)
		}
	}
}

func TestNilAndZeroDeny(t *testing.T) {
	var gate keygate.Gate
	h := http.Header{"Authorization": {"Bearer " + right}}
	for name, policy := range map[string]*keygate.Policy{"nil": nil, "zero": {}, "gate": gate.Policy()} {
		for _, method := range []string{"GET", "OPTIONS"} {
			if d := policy.Decide(method, "/healthz", h); d.Allow || d.Reason != keygate.InvalidCall {
				t.Errorf("%s policy: %+v", name, d)
			}
		}
		if !policy.Drops(keygate.Decision{Allow: true, Reason: keygate.KeyMatched}, "accept", "") || policy.Findings("GET", "/", h) == nil {
			t.Errorf("%s policy", name)
		}
	}
	if (keygate.Decision{}).Allow {
		t.Error("a zero decision allows")
	}
}

// Whatever prints a value of this package shows no byte of a key.
func TestNothingShowsAKey(t *testing.T) {
	const secret = "s3cr3t-k3y"
	config := keygate.Config{AuthMode: keygate.Strict, APIKey: keygate.NewSecret(secret)}
	list := keygate.Config{Keys: []keygate.Key{{Key: keygate.NewSecret(secret), Label: "laptop"}}}
	policy, err := keygate.New(config)
	if err != nil {
		t.Fatal(err)
	}
	gate, err := keygate.NewGate(list)
	if err != nil {
		t.Fatal(err)
	}
	hidden := struct{ config keygate.Config }{config} // whose methods fmt cannot call
	decision := policy.Decide("GET", "/", http.Header{"X-Api-Key": {secret}})
	h := http.Header{"X-Api-Key": {"Bearer " + secret}}
	texts := map[string]string{"explain": policy.Explain("GET", "/?key="+secret, h)}
	for name, value := range map[string]any{
		"config": config, "&config": &config, "list": list, "key": list.Keys[0], "secret": config.APIKey,
		"policy": policy, "*policy": *policy, "gate": gate, "hidden": hidden, "decision": decision,
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
			texts[name+verb] = fmt.Sprintf(verb, value)
		}
		if text, err := json.Marshal(value); err == nil {
			texts[name+" json"] = string(text)
		}
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("", "value", value)
		slog.New(slog.NewJSONHandler(&log, nil)).Info("", "value", value)
		texts[name+" slog"] = log.String()
	}
	for name, text := range texts {
		if text == "" && name != "explain" {
			continue
		}
		for _, form := range []string{secret, fmt.Sprintf("%x", secret), fmt.Sprintf("%X", secret), "s3cr", fmt.Sprint([]byte(secret)[:4])[1:10]} {
			if strings.Contains(text, form) {
				t.Errorf("%s shows the key", name)
			}
		}
	}
	if text, err := json.Marshal(config); err != nil || !bytes.Contains(text, []byte(`"api_key":""`)) {
		t.Errorf("%s, %v: a marshalled key must be none", text, err)
	}
}

func TestConfigErrors(t *testing.T) {
	key := func(text string) keygate.Key { return keygate.Key{Key: keygate.NewSecret(text)} }
	keys := slices.Repeat([]keygate.Key{key("k")}, 9)
	for _, c := range []struct {
		config keygate.Config
		status keygate.Status
		where  string
	}{
		{keygate.Config{AuthMode: 77}, keygate.ErrMode, ""},
		{keygate.Config{AuthMode: -1}, keygate.ErrMode, ""},
		{keygate.Config{APIKey: keygate.NewSecret("k"), Keys: keys[:1]}, keygate.ErrAPIKeyAndKeys, ""},
		{keygate.Config{APIKey: keygate.NewSecret(""), Keys: []keygate.Key{}}, keygate.ErrAPIKeyAndKeys, ""},
		{keygate.Config{Keys: keys}, keygate.ErrTooManyKeys, "keys[8]: "},
		{keygate.Config{Keys: []keygate.Key{key("k"), key("k"), key("")}}, keygate.ErrKeyEmpty, "keys[2]: "},
		{keygate.Config{APIKey: keygate.NewSecret(strings.Repeat("k", 257))}, keygate.ErrKeyTooLong, ""},
		{keygate.Config{Keys: []keygate.Key{key("k"), key("s3cr3t\n")}}, keygate.ErrKeyByte, "keys[1]: "},
		{keygate.Config{APIKey: keygate.NewSecret("s3cr3t ")}, keygate.ErrKeyEdge, ""},
		{keygate.Config{Keys: []keygate.Key{key("k"), key("${s3cr3t}")}}, keygate.ErrKeyVariable, "keys[1]: "},
		{keygate.Config{Keys: []keygate.Key{{Key: keygate.NewSecret("k"), Label: strings.Repeat("l", 33)}}}, keygate.ErrLabelTooLong, "keys[0]: "},
		{keygate.Config{Keys: []keygate.Key{{Key: keygate.NewSecret("k"), Label: "a b"}}}, keygate.ErrLabelByte, "keys[0]: "},
		{keygate.Config{Sources: []keygate.Source{{Name: "a"}, {Name: "A"}}}, keygate.ErrSourceTwice, "sources[1]: "},
		{keygate.Config{Sources: []keygate.Source{{Name: ""}}}, keygate.ErrSourceNotToken, "sources[0]: "},
		{keygate.Config{Sources: []keygate.Source{{Name: strings.Repeat("n", 33)}}}, keygate.ErrSourceTooLong, "sources[0]: "},
		{keygate.Config{Sources: make([]keygate.Source, 9)}, keygate.ErrTooManySources, "sources[8]: "},
		{keygate.Config{Exempt: []string{"/a", "b"}}, keygate.ErrExemptNoSlash, "exempt[1]: "},
		{keygate.Config{Exempt: []string{"/a?b"}}, keygate.ErrExemptNotPath, "exempt[0]: "},
		{keygate.Config{Exempt: []string{"/a b"}}, keygate.ErrExemptByte, "exempt[0]: "},
		{keygate.Config{Exempt: []string{"/" + strings.Repeat("p", 64)}}, keygate.ErrExemptTooLong, "exempt[0]: "},
		{keygate.Config{Exempt: make([]string, 9)}, keygate.ErrTooManyExempt, "exempt[8]: "},
	} {
		policy, err := keygate.New(c.config)
		var configError *keygate.ConfigError
		if policy != nil || !errors.Is(err, keygate.ErrConfig) || !errors.Is(err, c.status) || !errors.As(err, &configError) {
			t.Errorf("%v: %v, %v", c.status, policy, err)
			continue
		}
		if want := c.where + c.status.Error(); err.Error() != want {
			t.Errorf("%q, want %q", err, want)
		}
		if strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%v shows the key", err)
		}
	}
}

func TestListsNilAndEmpty(t *testing.T) {
	header := http.Header{"Authorization": {"Bearer k"}}
	for _, c := range []struct {
		config string
		target string
		want   keygate.Reason
	}{
		{`{"auth_mode":"all_except_health","api_key":"k"}`, "/", keygate.KeyMatched},
		{`{"auth_mode":"all_except_health","api_key":"k","sources":[]}`, "/", keygate.CredentialMissing},
		{`{"auth_mode":"all_except_health"}`, "/healthz", keygate.Health},
		{`{"auth_mode":"all_except_health","exempt":[]}`, "/healthz", keygate.NoKeyConfigured},
	} {
		if d := policyOf(t, c.config).Decide("GET", c.target, header); d.Reason != c.want {
			t.Errorf("%s: %v, want %v", c.config, d.Reason, c.want)
		}
	}
}

func TestParseErrors(t *testing.T) {
	const sections = `,"keys":[{"key":"a","label":"b"}],"sources":[{"name":"n","bearer":true}],"exempt":["/x"]`
	for _, text := range []string{
		`{"auth_mode":"auto"` + sections + `}`,
		`{"proxy":{"proxy":{"keys":1},"auth_mode":"auto","port":8045,"deep":{"a":[1,{"api_key":2}]}` + sections + `},"auto_start":true}`,
		"\n{\"API_KEY\": 1, \"auth_mode\": \"off\"}\n",
	} {
		if _, err := keygate.ParseConfig([]byte(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for text, want := range map[string]string{
		``:                       "line 1: here or below, this is not JSON",
		`s3cr3t`:                 "line 1: here or below, this is not JSON",
		`{"auth_mode":"off"`:     "line 1: here or below, this is not JSON",
		`{"auth_mode":"off"} s3`: "line 1: something follows after the object",
		`{"auth_mode":"off"}{}`:  "line 1: something follows after the object",
		`["s3cr3t"]`:             "line 1: config: must be an object",
		`null`:                   "line 1: config: must be an object",
		`{}`:                     "line 1: config: auth_mode is missing; choose one",
		`{"proxy":{"proxy":{"auth_mode":"off"}}}`: "line 1: proxy: auth_mode is missing; choose one",
		`{"proxy":{}}`:                            "line 1: proxy: auth_mode is missing; choose one",
		"{\n\"auth_mode\":\"s3\"}":                "line 2: auth_mode: ",
		"{\"auth_mode\":\n\nnull}":                "line 3: auth_mode: must be a string",
		`{"Auth_mode":"off"}`:                     "line 1: config: auth_mode is missing; choose one",
		`{"api_key":123456}`:                      "line 1: api_key: must be a string",
		`{"api_key":null}`:                        "line 1: api_key: must be a string",
		`{"api_key":["s3cr3t"]}`:                  "line 1: api_key: must be a string",
		`{"api_key":"\u0100s3"}`:                  "line 1: api_key: holds a character beyond U+00FF; each character stands for a byte",
		"{\"api_key\":\"s3\xff\"}":                "line 1: api_key: holds a character beyond U+00FF; each character stands for a byte",
		`{"api_key":"a","api_key":"b"}`:           "line 1: api_key: given twice",
		`{"allow_lan_access":"s3cr3t"}`:           "line 1: allow_lan_access: must be true or false",
		`{"keys":"s3cr3t"}`:                       "line 1: keys: must be a list",
		`{"keys":["s3cr3t"]}`:                     "line 1: keys: each entry must be ",
		`{"keys":[{"label":"l"}]}`:                "line 1: keys: each entry must be ",
		`{"keys":[{"key":"k","s3cr3t":1}]}`:       "line 1: keys: each entry must be ",
		`{"keys":[{"key":1}]}`:                    "line 1: keys: key: must be a string",
		`{"sources":[{"bearer":true}]}`:           "line 1: sources: each entry must be ",
		`{"sources":[{"name":"n","bearer":1}]}`:   "line 1: sources: bearer: must be true or false",
		`{"exempt":[1]}`:                          "line 1: exempt: must be a string",
		`{"proxy":{"auth_mode":"off"},"keys":[]}`: "line 1: proxy: given beside fields of the section itself; put all of them into proxy",
	} {
		_, err := keygate.ParseConfig([]byte(text))
		var parseError *keygate.ParseError
		if !errors.Is(err, keygate.ErrConfig) || !errors.As(err, &parseError) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
			continue
		}
		if strings.Contains(err.Error(), "s3") || strings.Contains(err.Error(), "123456") {
			t.Errorf("%q: %v repeats a value", text, err)
		}
	}
	var config keygate.Config
	if err := json.Unmarshal([]byte(`{"auth_mode":"strict","api_key":"k"}`), &config); err != nil || config.APIKey.Reveal() != "k" {
		t.Errorf("%v", err)
	}
}

func TestHostAsSource(t *testing.T) {
	policy := policyOf(t, `{"auth_mode":"strict","api_key":"k.example","sources":[{"name":"host"}]}`)
	var seen *http.Request
	server := httptest.NewServer(policy.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = r })))
	defer server.Close()
	for host, status := range map[string]int{"k.example": 200, "other.example": 401} {
		r, _ := http.NewRequest("GET", server.URL, nil)
		r.Host = host
		if got := roundTrip(t, r); got.StatusCode != status {
			t.Errorf("%s: %d", host, got.StatusCode)
		}
	}
	if seen == nil || seen.Host != "" {
		t.Error("the host that is a key was handed on")
	}
}

func roundTrip(t testing.TB, r *http.Request) *http.Response {
	t.Helper()
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	response.Body = io.NopCloser(bytes.NewReader(body))
	return response
}

func TestMiddleware(t *testing.T) {
	policy := policyOf(t, `{"auth_mode":"all_except_health","keys":[{"key":"`+right+`","label":"laptop"}]}`)
	gate := new(keygate.Gate)
	gate.Swap(policy)
	for _, keep := range []bool{false, true} {
		handler := &keygate.Handler{Gate: gate, KeepCredentials: keep, Next: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			d, ok := keygate.FromContext(r.Context())
			fmt.Fprint(w, ok, " ", d.Reason, " ", d.KeyLabel, " ", len(r.Header["X-Api-Key"])+len(r.Header["X_api_key"]), " ", r.Header.Get("Accept"))
		})}
		server := httptest.NewServer(handler)
		for _, c := range []struct {
			method, key  string
			status       int
			body, prefix string
		}{
			{"GET", right, 200, map[bool]string{false: "true key_matched laptop 0 text/plain", true: "true key_matched laptop 2 text/plain"}[keep], ""},
			{"OPTIONS", "wrong", 200, map[bool]string{false: "true preflight  0 text/plain", true: "true preflight  2 text/plain"}[keep], ""},
			{"GET", "wrong", 401, keygate.Decision{Reason: keygate.KeyMismatch}.Body(), `Bearer realm="keygate", error="invalid_token"`},
			{"GET", "", 401, keygate.Decision{Reason: keygate.CredentialMissing}.Body(), `Bearer realm="keygate"`},
		} {
			r, _ := http.NewRequest(c.method, server.URL+"/v1/models", nil)
			r.Header.Set("Accept", "text/plain")
			if c.key != "" {
				r.Header.Set("X-Api-Key", c.key)
				r.Header.Set("X_api_key", c.key)
			}
			got := roundTrip(t, r)
			body, _ := io.ReadAll(got.Body)
			if got.StatusCode != c.status || string(body) != c.body || got.Header.Get("WWW-Authenticate") != c.prefix {
				t.Errorf("%s %q: %d %q %q", c.method, c.key, got.StatusCode, body, got.Header.Get("WWW-Authenticate"))
			}
			if c.status == 401 && got.Header.Get("Content-Type") != "application/json" {
				t.Error(got.Header)
			}
		}
		server.Close()
	}
	if _, ok := keygate.FromContext(context.Background()); ok {
		t.Error("a decision from nowhere")
	}
}

// While policies are swapped, each decision is by one of them whole.
func TestGateSwap(t *testing.T) {
	configs := []string{
		`{"auth_mode":"strict","api_key":"key-a","sources":[{"name":"x-a"}]}`,
		`{"auth_mode":"strict","api_key":"key-b","sources":[{"name":"x-b"}]}`,
	}
	var gate keygate.Gate
	gate.Swap(policyOf(t, configs[0]))
	bad, err := keygate.ParseConfig([]byte(`{"auth_mode":"off","exempt":["x"]}`))
	if err != nil {
		t.Fatal(err)
	}
	both := http.Header{"X-A": {heap("key-a")}, "X-B": {heap("key-b")}}
	crossed := http.Header{"X-A": {heap("key-b")}, "X-B": {heap("key-a")}}
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Add(1)
		go func() {
			defer readers.Done()
			for {
				select {
				case <-stop:
					return
				default:
				}
				if !gate.Policy().Decide("GET", "/", both).Allow || gate.Policy().Decide("GET", "/", crossed).Allow {
					t.Error("a mixture of two policies decided")
					return
				}
			}
		}()
	}
	for i := range 2000 {
		if i%3 == 0 {
			if gate.Reload(bad) == nil {
				t.Fatal("a bad configuration was taken")
			}
			continue
		}
		config, err := keygate.ParseConfig([]byte(configs[i%2]))
		if err == nil {
			err = gate.Reload(config)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	readers.Wait()
}

func TestGenerateKey(t *testing.T) {
	a, b := keygate.GenerateKey().Reveal(), keygate.GenerateKey().Reveal()
	if len(a) != 35 || !strings.HasPrefix(a, "sk-") || a == b {
		t.Error("not a fresh key")
	}
}

func FuzzDecide(f *testing.F) {
	for _, v := range vectors.Load(f) {
		var lines []string
		for _, field := range v.Headers {
			lines = append(lines, field[0]+":"+field[1])
		}
		f.Add([]byte(v.Config), v.Method, v.Target, strings.Join(lines, "\n"))
	}
	f.Fuzz(func(t *testing.T, text []byte, method, target, lines string) {
		config, err := keygate.ParseConfig(text)
		if err != nil {
			return
		}
		policy, err := keygate.New(config)
		if err != nil {
			return
		}
		h := http.Header{}
		for line := range strings.SplitSeq(lines, "\n") {
			name, value, _ := strings.Cut(line, ":")
			h.Add(name, value)
		}
		got := policy.Decide(method, target, h)
		keys := config.Keys
		if config.Keys == nil {
			keys = []keygate.Key{{Key: config.APIKey}}
		}
		if want := specified(config, keys, method, target, h); got.Allow != want {
			t.Fatalf("%+v, the page says allow=%v", got, want)
		}
		for _, key := range keys {
			if secret := key.Key.Reveal(); len(secret) > 16 && strings.Contains(policy.Explain(method, target, h), secret) {
				t.Fatal("the explanation shows a key")
			}
		}
		if !got.Allow {
			got = keygate.Decision{Allow: true, Reason: keygate.AuthOff}
		}
		policy.Strip(got, h)
		if left := policy.Decide(method, target, h); left.Source != "" {
			t.Fatalf("a credential is left: %+v", left)
		}
	})
}

// specified is the policy as one reads it, to compare with.
func specified(config keygate.Config, keys []keygate.Key, method, target string, h http.Header) bool {
	mode := config.AuthMode
	if mode == keygate.Auto {
		mode = keygate.Off
		if config.AllowLANAccess {
			mode = keygate.AllExceptHealth
		}
	}
	exempt, sources := config.Exempt, config.Sources
	if exempt == nil {
		exempt = []string{"/healthz"}
	}
	if sources == nil {
		sources = []keygate.Source{{Name: "authorization", Bearer: true}, {Name: "x-api-key"}, {Name: "x-goog-api-key"}}
	}
	path, _, _ := strings.Cut(target, "?")
	if strings.Contains(target, "#") {
		path = ""
	}
	if method == "OPTIONS" || mode == keygate.Off ||
		mode == keygate.AllExceptHealth && (method == "GET" || method == "HEAD") && slices.Contains(exempt, path) {
		return true
	}
	for _, source := range sources {
		values := h.Values(source.Name)
		if len(values) == 0 {
			continue
		}
		value := strings.Trim(values[0], " \t")
		if source.Bearer {
			value = strings.TrimPrefix(value, "Bearer ")
		}
		return value != "" && slices.ContainsFunc(keys, func(key keygate.Key) bool { return key.Key.Reveal() == value })
	}
	return false
}
