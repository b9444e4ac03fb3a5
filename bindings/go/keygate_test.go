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
	"time"

	"github.com/keygate/keygate/bindings/go"
	"github.com/keygate/keygate/bindings/go/internal/vectors"
)

const right = "sk-0123456789abcdef0123456789abcdef"

func policyOf(t testing.TB, config string) *keygate.Policy {
	t.Helper()
	policy, err := keygate.Parse([]byte(config))
	if err != nil {
		t.Fatal(err)
	}
	return policy
}

// check compares a decision with a vector, in all its fields.
func check(t *testing.T, v vectors.Vector, got keygate.Decision, findings []keygate.Finding) {
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
	if !slices.Equal(names(findings), v.Want.Findings) {
		t.Errorf("%s: findings %v, want %v", v.Name, findings, v.Want.Findings)
	}
}

func names(findings []keygate.Finding) []string {
	list := []string{}
	for _, finding := range findings {
		list = append(list, finding.String())
	}
	return list
}

func TestVectors(t *testing.T) {
	all := vectors.Load(t)
	refused := 0
	for _, v := range all {
		policy, err := keygate.Parse(v.Config)
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
		for name, values := range h {
			if slices.ContainsFunc(values, func(value string) bool { return policy.Drops(decision, name, value) }) {
				t.Errorf("%s: %q is left after stripping", v.Name, name)
			}
		}
		for i, field := range v.Headers {
			if v.Want.Drop != nil && policy.Drops(decision, field[0], field[1]) != slices.Contains(v.Want.Drop, i) {
				t.Errorf("%s: header %d, %q", v.Name, i, field[0])
			}
		}
		if v.Want.Lint != nil && fmt.Sprint(policy.Lints()) != fmt.Sprint(v.Want.Lint) {
			t.Errorf("%s: %v", v.Name, policy.Lints())
		}
	}
	t.Logf("%d vectors, %d of them configurations that are refused", len(all), refused)
}

// Of many values of a name the first decides, whatever is behind it.
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

// A source that comes late is read, and one that comes early decides.
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
	texts := map[string]string{"explain": policy.Explain("GET", "/?key="+secret, h, keygate.English)}
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

// place is where an error is, as its sentence has it.
func place(e *keygate.ConfigError) string {
	text := ""
	if e.Line > 0 {
		text = fmt.Sprintf("line %d", e.Line)
		if e.Column > 0 {
			text += fmt.Sprintf(", column %d", e.Column)
		}
		text += ": "
	}
	list, part, _ := strings.Cut(e.Field, ".")
	if text += list; e.Index >= 0 {
		text += fmt.Sprintf("[%d]", e.Index)
	}
	if part != "" {
		text += "." + part
	}
	if e.Field != "" {
		text += ": "
	}
	return text
}

// refused checks that an error says all it can of where it is, and shows no key.
func refused(t *testing.T, what string, err error, want keygate.ConfigError) {
	t.Helper()
	var got *keygate.ConfigError
	if !errors.Is(err, keygate.ErrConfig) || !errors.Is(err, want.Status) || !errors.As(err, &got) {
		t.Errorf("%s: %v, want %s", what, err, want.Status.Name())
		return
	}
	if got.Status != want.Status || got.Field != want.Field || got.Index != want.Index || got.Line != want.Line || got.Column != want.Column {
		t.Errorf("%s: %+v, want %+v", what, *got, want)
	}
	if !strings.HasPrefix(err.Error(), place(&want)) || len(err.Error()) < len(place(&want))+10 || err.Error() != got.Text(keygate.English) {
		t.Errorf("%s: %q, want %q and why", what, err, place(&want))
	}
	if got.Text(keygate.Chinese) == err.Error() || !strings.Contains(got.Text(keygate.Chinese), ":") {
		t.Errorf("%s: %q in Chinese", what, got.Text(keygate.Chinese))
	}
	for _, language := range []keygate.Language{keygate.English, keygate.Chinese} {
		if text := got.Text(language); strings.Contains(text, "s3cr3t") || strings.Contains(text, "123456") {
			t.Errorf("%s: %q shows what may be a key", what, text)
		}
	}
}

func TestConfigErrors(t *testing.T) {
	key := func(text string) keygate.Key { return keygate.Key{Key: keygate.NewSecret(text)} }
	keys := slices.Repeat([]keygate.Key{key("k")}, 9)
	for _, c := range []struct {
		config keygate.Config
		status keygate.Status
		field  string
		index  int
	}{
		{keygate.Config{AuthMode: 77}, keygate.ErrMode, "auth_mode", -1},
		{keygate.Config{AuthMode: -1}, keygate.ErrMode, "auth_mode", -1},
		{keygate.Config{APIKey: keygate.NewSecret("k"), Keys: keys[:1]}, keygate.ErrAPIKeyAndKeys, "api_key", -1},
		{keygate.Config{Keys: keys}, keygate.ErrTooManyKeys, "keys", -1},
		{keygate.Config{Keys: []keygate.Key{key("k"), key("k"), key("")}}, keygate.ErrKeyEmpty, "keys.key", 2},
		{keygate.Config{APIKey: keygate.NewSecret(strings.Repeat("k", 257))}, keygate.ErrKeyTooLong, "api_key", -1},
		{keygate.Config{Keys: []keygate.Key{key("k"), key("s3cr3t\n")}}, keygate.ErrKeyByte, "keys.key", 1},
		{keygate.Config{APIKey: keygate.NewSecret("s3cr3t ")}, keygate.ErrKeyEdge, "api_key", -1},
		{keygate.Config{Keys: []keygate.Key{key("k"), key("${s3cr3t}")}}, keygate.ErrKeyVariable, "keys.key", 1},
		{keygate.Config{Keys: []keygate.Key{{Key: keygate.NewSecret("k"), Label: strings.Repeat("l", 33)}}}, keygate.ErrLabelTooLong, "keys.label", 0},
		{keygate.Config{Keys: []keygate.Key{{Key: keygate.NewSecret("k"), Label: "s3cr3t b"}}}, keygate.ErrLabelByte, "keys.label", 0},
		{keygate.Config{Sources: []keygate.Source{{Name: "a"}, {Name: "A"}}}, keygate.ErrSourceTwice, "sources.name", 1},
		{keygate.Config{Sources: []keygate.Source{{Name: ""}}}, keygate.ErrSourceNotToken, "sources.name", 0},
		{keygate.Config{Sources: []keygate.Source{{Name: strings.Repeat("n", 33)}}}, keygate.ErrSourceTooLong, "sources.name", 0},
		{keygate.Config{Sources: make([]keygate.Source, 9)}, keygate.ErrTooManySources, "sources", -1},
		{keygate.Config{Exempt: []string{"/a", "b"}}, keygate.ErrExemptNoSlash, "exempt", 1},
		{keygate.Config{Exempt: []string{"/a?b"}}, keygate.ErrExemptNotPath, "exempt", 0},
		{keygate.Config{Exempt: []string{"/a b"}}, keygate.ErrExemptByte, "exempt", 0},
		{keygate.Config{Exempt: []string{"/" + strings.Repeat("p", 64)}}, keygate.ErrExemptTooLong, "exempt", 0},
		{keygate.Config{Exempt: make([]string, 9)}, keygate.ErrTooManyExempt, "exempt", -1},
	} {
		policy, err := keygate.New(c.config)
		if policy != nil {
			t.Errorf("%s: a policy was made", c.status.Name())
		}
		refused(t, c.status.Name(), err, keygate.ConfigError{Status: c.status, Field: c.field, Index: c.index})
	}
	_, err := keygate.New(keygate.Config{Keys: []keygate.Key{key("k"), key("s3cr3t\u200b")}})
	var configError *keygate.ConfigError
	if !errors.As(err, &configError) || err.Error() != "keys[1].key: the key contains a zero-width space, which no header value can carry" ||
		configError.Text(keygate.Chinese) != "keys[1].key:key 中含有零宽空格(U+200B),请求头的值无法携带它" {
		t.Error(err)
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

func TestParse(t *testing.T) {
	const sections = `,"keys":[{"key":"k","label":"laptop"}],"sources":[{"name":"n","bearer":true}],"exempt":["/x"]`
	for name, text := range map[string]string{
		"plain":             `{"auth_mode":"strict"` + sections + `}`,
		"a byte order mark": "\xef\xbb\xbf" + `{"auth_mode":"strict"` + sections + `}`,
		"CR LF":             "\r\n{\r\n\"auth_mode\":\r\n\"strict\"\r\n" + strings.ReplaceAll(sections, ",", "\r\n,") + "\r\n}\r\n",
		"in a proxy":        `{"proxy":{"proxy":{"keys":1},"auth_mode":"strict","port":8045,"deep":{"a":[1,{"api_key":2}]}` + sections + `},"auto_start":true}`,
	} {
		policy, err := keygate.Parse([]byte(text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if d := policy.Decide("GET", "/x", http.Header{"N": {"Bearer k"}}); !d.Allow || d.KeyLabel != "laptop" || policy.KeyCount() != 1 {
			t.Errorf("%s: %+v, %d keys", name, d, policy.KeyCount())
		}
	}
	for _, c := range []struct {
		config              string
		configured, inForce keygate.AuthMode
	}{
		{`{"auth_mode":"auto"}`, keygate.Auto, keygate.Off},
		{`{"auth_mode":"auto","allow_lan_access":true}`, keygate.Auto, keygate.AllExceptHealth},
		{`{"auth_mode":"strict"}`, keygate.Strict, keygate.Strict},
	} {
		if policy := policyOf(t, c.config); policy.AuthMode() != c.configured || policy.EffectiveMode() != c.inForce || policy.KeyCount() != 0 {
			t.Errorf("%s: %v, %v, %d keys", c.config, policy.AuthMode(), policy.EffectiveMode(), policy.KeyCount())
		}
	}
	var config keygate.Config
	if json.Unmarshal([]byte(`{"auth_mode":"off"}`), &config) == nil || config.AuthMode == keygate.Off {
		t.Error("there is a second reader of JSON")
	}
}

func TestParseErrors(t *testing.T) {
	for text, want := range map[string]keygate.ConfigError{
		``:                                {Status: keygate.ErrJSON, Index: -1, Line: 1, Column: 1},
		`s3cr3t`:                          {Status: keygate.ErrJSON, Index: -1, Line: 1, Column: 1},
		`{"auth_mode":"off"`:              {Status: keygate.ErrJSON, Index: -1, Line: 1, Column: 19},
		`{"auth_mode":"off"} s3`:          {Status: keygate.ErrTextAfter, Index: -1, Line: 1, Column: 21},
		`{"auth_mode":"off"}{}`:           {Status: keygate.ErrTextAfter, Index: -1, Line: 1, Column: 20},
		`["s3cr3t"]`:                      {Status: keygate.ErrFieldType, Index: -1, Line: 1, Column: 1},
		`{}`:                              {Status: keygate.ErrFieldMissing, Field: "auth_mode", Index: -1, Line: 1, Column: 2},
		`{"a":` + strings.Repeat("[", 99): {Status: keygate.ErrTooDeep, Index: -1, Line: 1, Column: 70},
		"{\n\"auth_mode\":\"s3cr3t\"}":    {Status: keygate.ErrMode, Field: "auth_mode", Index: -1, Line: 2, Column: 13},
		"\xef\xbb\xbf{\r\n\r\n\"auth_mode\":null}":             {Status: keygate.ErrFieldType, Field: "auth_mode", Index: -1, Line: 3, Column: 13},
		`{"Auth_mode":"off"}`:                                  {Status: keygate.ErrFieldMisspelt, Field: "auth_mode", Index: -1, Line: 1, Column: 2},
		`{"proxy":{"apiKey":"s3cr3t"}}`:                        {Status: keygate.ErrFieldMisspelt, Field: "api_key", Index: -1, Line: 1, Column: 11},
		`{"auth-mode":"off"}`:                                  {Status: keygate.ErrFieldMisspelt, Field: "auth_mode", Index: -1, Line: 1, Column: 2},
		`{"s3cr3t":1}`:                                         {Status: keygate.ErrFieldUnknown, Index: -1, Line: 1, Column: 2},
		`{"api_key":123456}`:                                   {Status: keygate.ErrFieldType, Field: "api_key", Index: -1, Line: 1, Column: 12},
		`{"api_key":"\u0100s3cr3t"}`:                           {Status: keygate.ErrKeyByte, Field: "api_key", Index: -1, Line: 1, Column: 12},
		`{"exempt":["\u0100s3cr3t"]}`:                          {Status: keygate.ErrCharacter, Field: "exempt", Index: 0, Line: 1, Column: 12},
		"{\"api_key\":\"s3\xff\"}":                             {Status: keygate.ErrEncoding, Index: -1, Line: 1, Column: 15},
		`{"api_key":"a","api_key":"b"}`:                        {Status: keygate.ErrFieldTwice, Field: "api_key", Index: -1, Line: 1, Column: 16},
		`{"auth_mode":"off","api_key":"a","keys":[]}`:          {Status: keygate.ErrAPIKeyAndKeys, Field: "keys", Index: -1, Line: 1, Column: 34},
		`{"allow_lan_access":"s3cr3t"}`:                        {Status: keygate.ErrFieldType, Field: "allow_lan_access", Index: -1, Line: 1, Column: 21},
		`{"keys":"s3cr3t"}`:                                    {Status: keygate.ErrFieldType, Field: "keys", Index: -1, Line: 1, Column: 9},
		`{"keys":["s3cr3t"]}`:                                  {Status: keygate.ErrFieldType, Field: "keys", Index: 0, Line: 1, Column: 10},
		"{\"keys\":[{\"key\":\"k\"},\n{\"label\":\"l\"}]}":     {Status: keygate.ErrFieldMissing, Field: "keys.key", Index: 1, Line: 2, Column: 1},
		`{"keys":[{"key":"k"},{"key":"k","s3cr3t":1}]}`:        {Status: keygate.ErrFieldUnknown, Field: "keys", Index: 1, Line: 1, Column: 33},
		"{\"keys\":[{\"key\":\"k\"},\n{\"key\":\"s3cr3t \"}]}": {Status: keygate.ErrKeyEdge, Field: "keys.key", Index: 1, Line: 2, Column: 1},
		`{"keys":[{"key":1}]}`:                                 {Status: keygate.ErrFieldType, Field: "keys.key", Index: 0, Line: 1, Column: 17},
		`{"sources":[{"bearer":true}]}`:                        {Status: keygate.ErrFieldMissing, Field: "sources.name", Index: 0, Line: 1, Column: 13},
		`{"sources":[{"name":"n","bearer":1}]}`:                {Status: keygate.ErrFieldType, Field: "sources.bearer", Index: 0, Line: 1, Column: 34},
		`{"exempt":["/a",1]}`:                                  {Status: keygate.ErrFieldType, Field: "exempt", Index: 1, Line: 1, Column: 17},
		`{"proxy":{"auth_mode":"off"},"keys":[]}`:              {Status: keygate.ErrBesideProxy, Field: "keys", Index: -1, Line: 1, Column: 30},
	} {
		policy, err := keygate.Parse([]byte(text))
		if policy != nil {
			t.Errorf("%q: a policy was made", text)
		}
		refused(t, fmt.Sprintf("%q", text), err, want)
	}
}

// Keys from a key file count beside a configuration without any, and nowhere else.
func TestKeyFile(t *testing.T) {
	for name, text := range map[string]string{
		"LF":                "# laptops\nk-1 label=alice\n\nk-2\nk 3 label=bob",
		"CR LF":             "# laptops\r\nk-1 label=alice\r\n\r\nk-2\r\nk 3 label=bob\r\n",
		"a byte order mark": "\xef\xbb\xbfk-1 label=alice\nk-2\nk 3 label=bob\n",
	} {
		keys, err := keygate.ParseKeyFile([]byte(text))
		if err != nil || len(keys) != 3 {
			t.Errorf("%s: %v, %v", name, keys, err)
			continue
		}
		policy, err := keygate.Parse([]byte(`{"auth_mode":"strict"}`), keys...)
		if err != nil || policy.KeyCount() != 3 {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for i, want := range []keygate.Key{{Key: keygate.NewSecret("k-1"), Label: "alice"}, {Key: keygate.NewSecret("k-2")}, {Key: keygate.NewSecret("k 3"), Label: "bob"}} {
			if d := policy.Decide("GET", "/", http.Header{"X-Api-Key": {want.Key.Reveal()}}); !d.Allow || d.Key != i || d.KeyLabel != want.Label {
				t.Errorf("%s: %+v", name, d)
			}
		}
		for _, own := range []string{`"api_key":"s3cr3t"`, `"keys":[]`} {
			_, err := keygate.Parse([]byte(`{"auth_mode":"strict",`+own+`}`), keys...)
			refused(t, own, err, keygate.ConfigError{Status: keygate.ErrKeysElsewhere, Field: strings.Split(own, `"`)[1], Index: -1, Line: 1, Column: 23})
		}
	}
	// A file without a key is no reason to look elsewhere.
	for _, text := range []string{"", "# k\n", "\r\n"} {
		keys, err := keygate.ParseKeyFile([]byte(text))
		if err != nil || keys == nil || len(keys) > 0 {
			t.Errorf("%q: %v, %v", text, keys, err)
		}
		if _, err := keygate.Parse([]byte(`{"auth_mode":"strict","api_key":"k"}`), keys...); !errors.Is(err, keygate.ErrKeysElsewhere) {
			t.Errorf("%q: %v", text, err)
		}
		if policy, err := keygate.Parse([]byte(`{"auth_mode":"strict"}`), keys...); err != nil || policy.Decide("GET", "/", nil).Reason != keygate.NoKeyConfigured {
			t.Errorf("%q: %v", text, err)
		}
	}
	for text, want := range map[string]keygate.ConfigError{
		"k\n\ns3cr3t \n":                          {Status: keygate.ErrKeyEdge, Field: "keys.key", Index: 1, Line: 3},
		"s3cr3t\xc2\xa0\n":                        {Status: keygate.ErrKeyByte, Field: "keys.key", Index: 0, Line: 1},
		"k\n${s3cr3t}":                            {Status: keygate.ErrKeyVariable, Field: "keys.key", Index: 1, Line: 2},
		"s3cr3t label=":                           {Status: keygate.ErrLabelEmpty, Field: "keys.label", Index: 0, Line: 1},
		"s3cr3t label=s3cr3t s3cr3t":              {Status: keygate.ErrLabelByte, Field: "keys.label", Index: 0, Line: 1},
		"# a\r\n" + strings.Repeat("k", 257):      {Status: keygate.ErrKeyTooLong, Field: "keys.key", Index: 0, Line: 2},
		"s3cr3t label=" + strings.Repeat("l", 33): {Status: keygate.ErrLabelTooLong, Field: "keys.label", Index: 0, Line: 1},
	} {
		keys, err := keygate.ParseKeyFile([]byte(text))
		if keys != nil {
			t.Errorf("%q: %v", text, keys)
		}
		refused(t, fmt.Sprintf("%q", text), err, want)
	}
	var gate keygate.Gate
	if err := gate.ReloadJSON([]byte(`{"auth_mode":"strict"}`), keygate.Key{Key: keygate.NewSecret("k")}); err != nil {
		t.Fatal(err)
	}
	if gate.ReloadJSON([]byte(`{"auth_mode":"strict","api_key":"other"}`), keygate.Key{Key: keygate.NewSecret("other")}) == nil ||
		!gate.Policy().Decide("GET", "/", http.Header{"X-Api-Key": {"k"}}).Allow {
		t.Error("the policy before is not in force")
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
	for strip, keep := range map[string]bool{"sources": false, "matched": false, "off": true} {
		gate := new(keygate.Gate)
		gate.Swap(policyOf(t, fmt.Sprintf(`{"auth_mode":"all_except_health","strip":%q,"keys":[{"key":%q,"label":"laptop"}]}`, strip, right)))
		handler := &keygate.Handler{Gate: gate, Next: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
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
			{"OPTIONS", "wrong", 200, map[bool]string{false: "true preflight  0 text/plain", true: "true preflight  2 text/plain"}[strip != "sources"], ""},
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

// An answer of one's own to a denied request has the headers of a denial, and is sent at once.
func TestOnDeny(t *testing.T) {
	policy := policyOf(t, `{"auth_mode":"strict","api_key":"`+right+`"}`)
	gate := new(keygate.Gate)
	gate.Swap(policy)
	handler := &keygate.Handler{Gate: gate, Next: http.NotFoundHandler(), OnDeny: func(w http.ResponseWriter, r *http.Request, d keygate.Decision) {
		if r.Body != http.NoBody { // one could wait for it
			t.Errorf("it gets the body")
		}
		w.Header().Set("Content-Type", "text/plain")
		if r.URL.Path == "/forbidden" {
			w.WriteHeader(http.StatusForbidden)
			w.WriteHeader(http.StatusOK)
		}
		if r.URL.Path != "/empty" {
			fmt.Fprint(w, "no: ", d.Reason)
		}
	}}
	server := httptest.NewServer(handler)
	defer server.Close()
	for _, c := range []struct {
		path, key  string
		status     int
		body, kind string
	}{
		{"/", "", 401, "no: credential_unusable", "text/plain"},
		{"/", "wrong", 401, "no: key_mismatch", "text/plain"},
		{"/forbidden", "wrong", 403, "no: key_mismatch", "text/plain"},
		{"/empty", "wrong", 401, "", "text/plain"},
		{"/", right, 404, "404 page not found\n", "text/plain; charset=utf-8"},
	} {
		client := dial(t, server.Listener.Addr().String())
		// A body that does not come.
		fmt.Fprintf(client, "POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\nX-Api-Key: %s\r\n\r\nx", c.path, c.key)
		if c.key == right {
			_, _ = io.WriteString(client, strings.Repeat("x", 999))
		}
		since := time.Now()
		answer := client.answer(t, "POST")
		body, _ := io.ReadAll(answer.Body)
		if answer.StatusCode != c.status || string(body) != c.body || answer.Header.Get("Content-Type") != c.kind || time.Since(since) > soon {
			t.Errorf("%s %q: %d %q %q after %v", c.path, c.key, answer.StatusCode, body, answer.Header, time.Since(since))
		}
		want := ""
		if c.key != right {
			want = policy.DenialHeader(policy.Decide("POST", "/", http.Header{"X-Api-Key": {c.key}})).Get("WWW-Authenticate")
		}
		if answer.Header.Get("WWW-Authenticate") != want || want == "" && c.key != right {
			t.Errorf("%s %q: %q, want %q", c.path, c.key, answer.Header, want)
		}
		client.Close()
	}
}

// A handler can be tested without a gate.
func TestNewContext(t *testing.T) {
	want := keygate.Decision{Allow: true, Reason: keygate.KeyMatched, Key: 1, KeyLabel: "laptop"}
	if got, is := keygate.FromContext(keygate.NewContext(context.Background(), want)); !is || got != want {
		t.Errorf("%+v", got)
	}
}

// A request that no server received is explained as what it is taken for.
func TestExplainWithoutRequestURI(t *testing.T) {
	policy := policyOf(t, `{"auth_mode":"all_except_health","api_key":"k"}`)
	client, _ := http.NewRequest("GET", "http://a/healthz", nil)
	server := httptest.NewRequest("GET", "http://a/healthz", nil)
	for language, want := range map[keygate.Language]string{keygate.English: "\nnote: the request has no RequestURI", keygate.Chinese: "\n说明: 该请求没有 RequestURI"} {
		if text := policy.ExplainRequest(client, language); !strings.Contains(text, want) {
			t.Error(text)
		}
		if text := policy.ExplainRequest(server, language); strings.Contains(text, "RequestURI") {
			t.Error(text)
		}
	}
}

// Names are for programs and texts for people, in two languages.
func TestNamesAndTexts(t *testing.T) {
	policy := policyOf(t, `{"auth_mode":"strict","api_key":"k"}`)
	findings := policy.Findings("GET", "/", http.Header{"Authorization": {"Bearerk"}})
	if !slices.Equal(names(findings), []string{"bearer_no_space"}) {
		t.Fatal(names(findings))
	}
	for name, text := range map[string]func(keygate.Language) string{
		keygate.KeyMismatch.String():    keygate.KeyMismatch.Text,
		keygate.ErrKeyTooLong.Name():    keygate.ErrKeyTooLong.Text,
		keygate.ErrFieldMisspelt.Name(): keygate.ErrFieldMisspelt.Text,
		findings[0].String():            findings[0].Text,
		"explained":                     func(l keygate.Language) string { return policy.Explain("GET", "/", nil, l) },
	} {
		english, chinese := text(keygate.English), text(keygate.Chinese)
		if strings.ContainsAny(name, " ") || name == "unknown" || !strings.Contains(english, " ") || len(english) != len([]rune(english)) || len(chinese) == len([]rune(chinese)) {
			t.Errorf("%s: %q, %q", name, english, chinese)
		}
	}
	if name, err := json.Marshal(findings); err != nil || string(name) != `["bearer_no_space"]` {
		t.Errorf("%s, %v", name, err)
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
			if gate.ReloadJSON([]byte(`{"auth_mode":"off","exempt":["x"]}`)) == nil {
				t.Fatal("a bad configuration was taken")
			}
			continue
		}
		if err := gate.ReloadJSON([]byte(configs[i%2])); err != nil {
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

// jsonOf writes a configuration as Parse reads it: each byte as the character of its number.
func jsonOf(t testing.TB, config keygate.Config) []byte {
	text := func(raw string) string {
		characters := make([]rune, 0, len(raw))
		for _, b := range []byte(raw) {
			characters = append(characters, rune(b))
		}
		return string(characters)
	}
	object := map[string]any{"auth_mode": config.AuthMode, "allow_lan_access": config.AllowLANAccess}
	if key := config.APIKey.Reveal(); key != "" {
		object["api_key"] = text(key)
	}
	if config.Keys != nil {
		keys := []map[string]string{}
		for _, key := range config.Keys {
			keys = append(keys, map[string]string{"key": text(key.Key.Reveal()), "label": text(key.Label)})
		}
		object["keys"] = keys
	}
	if config.Sources != nil {
		sources := []keygate.Source{}
		for _, source := range config.Sources {
			sources = append(sources, keygate.Source{Name: text(source.Name), Bearer: source.Bearer})
		}
		object["sources"] = sources
	}
	if config.Exempt != nil {
		exempt := []string{}
		for _, path := range config.Exempt {
			exempt = append(exempt, text(path))
		}
		object["exempt"] = exempt
	}
	written, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	return written
}

// fuzzed makes a configuration of lines. Of a list, "" is nil and "-" is empty.
func fuzzed(mode uint8, lan bool, keys, sources, exempt string) keygate.Config {
	list := func(lines string) []string {
		switch lines {
		case "":
			return nil
		case "-":
			return []string{}
		}
		return strings.Split(lines, "\n")
	}
	config := keygate.Config{AuthMode: keygate.AuthMode(mode % 4), AllowLANAccess: lan, Exempt: list(exempt)}
	for _, line := range list(keys) {
		key, label, _ := strings.Cut(line, "|")
		config.Keys = append(config.Keys, keygate.Key{Key: keygate.NewSecret(key), Label: label})
	}
	if len(config.Keys) == 1 && config.Keys[0].Label == "" {
		config.APIKey, config.Keys = config.Keys[0].Key, nil
	}
	if lines := list(sources); lines != nil {
		config.Sources = []keygate.Source{}
		for _, line := range lines {
			name, bearer := strings.CutSuffix(line, "|bearer")
			config.Sources = append(config.Sources, keygate.Source{Name: name, Bearer: bearer})
		}
	}
	return config
}

func FuzzDecide(f *testing.F) {
	for i, v := range vectors.Load(f) {
		var lines []string
		for _, field := range v.Headers {
			lines = append(lines, field[0]+":"+field[1])
		}
		keys := []string{"", right, "k-1|a\nk-2|b"}[i%3]
		sources := []string{"", "-", "x-key\nauthorization|bearer"}[i/3%3]
		exempt := []string{"", "-", "/a\n/b"}[i/9%3]
		f.Add(uint8(i), i%2 == 0, keys, sources, exempt, v.Method, v.Target, strings.Join(lines, "\n"))
	}
	f.Fuzz(func(t *testing.T, mode uint8, lan bool, keyLines, sourceLines, exemptLines, method, target, lines string) {
		config := fuzzed(mode, lan, keyLines, sourceLines, exemptLines)
		policy, err := keygate.New(config)
		parsed, parseError := keygate.Parse(jsonOf(t, config))
		if (err == nil) != (parseError == nil) {
			t.Fatalf("made: %v; from JSON: %v", err, parseError)
		}
		if err != nil {
			return
		}
		h := http.Header{}
		for line := range strings.SplitSeq(lines, "\n") {
			name, value, _ := strings.Cut(line, ":")
			h.Add(name, value)
		}
		got := policy.Decide(method, target, h)
		if read := parsed.Decide(method, target, h); got != read {
			t.Fatalf("made: %+v; from JSON: %+v", got, read)
		}
		keys := config.Keys
		if config.Keys == nil {
			keys = []keygate.Key{{Key: config.APIKey}}
		}
		if want := specified(config, keys, method, target, h); got.Allow != want {
			t.Fatalf("%+v, the page says allow=%v", got, want)
		}
		for _, key := range keys {
			if secret := key.Key.Reveal(); len(secret) > 16 && strings.Contains(policy.Explain(method, target, h, keygate.English), secret) {
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
