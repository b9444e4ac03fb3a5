package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keygate/keygate/bindings/go/internal/host"
)

const keyless = `{"proxy":{"auth_mode":"strict"}}`

// Keys in a file of their own, which may change as the configuration may. What is wrong with it is
// said with its name and line, and changes nothing.
func TestKeyFile(t *testing.T) {
	upstream := newUpstream(t)
	path := filepath.Join(t.TempDir(), "keys")
	replace(t, path, "\xef\xbb\xbf# laptops\r\n"+first+" label=alice\r\n")
	proxy := start(t, keyless, upstream.URL, "--api-key-file", path)
	expect := func(when, key, label string) {
		t.Helper()
		mark := proxy.Mark()
		if got := status(http.DefaultClient, proxy, key); got != 200 {
			t.Errorf("%s: %d", when, got)
		}
		if record, err := proxy.Decision(mark); err != nil || record["key_label"] != label {
			t.Errorf("%s: %v, %v", when, record, err)
		}
		if got := status(http.DefaultClient, proxy, always); got != 401 {
			t.Errorf("%s: %d for a wrong key", when, got)
		}
	}
	expect("at the start", first, "alice")
	for _, c := range []struct{ to, text, file, want string }{
		{path, second + " label=bob\n" + first + " label=alice\n", "", ""},
		{path, second + " label=bob\n" + first + " \n", path, "line 2: keys[1].key: "},
		{path, strings.Repeat(first+"\n", 9), path, "keys: there are more than 8 keys"},
		{path, first + " label=\n", path, "line 1: keys[0].label: "},
		{path, "", "", ""},
		{path, second + " label=bob\n", "", ""},
		{proxy.Config, strict(first), proxy.Config, "elsewhere is the file of --api-key-file"},
		{proxy.Config, keyless + "\n", "", ""},
		{path, strings.Repeat("\n", maxFile+1), path, "the file is longer than"},
	} {
		mark := proxy.Mark()
		replace(t, c.to, c.text)
		record, err := proxy.Wait(mark, func(r host.Record) bool {
			return r["msg"] == "configuration in force" || r["level"] == "ERROR" && r["file"] != nil
		})
		if err != nil {
			t.Fatalf("%.60q: %v", c.text, err)
		}
		text, _ := record["error"].(string)
		if (c.file == "") != (record["msg"] == "configuration in force") || c.file != "" && (record["file"] != c.file || !strings.Contains(text, c.want)) {
			t.Errorf("%.60q: %v, want %q of %s", c.text, record, c.want, c.file)
		}
		if c.text != "" {
			expect(c.text[:min(60, len(c.text))], second, "bob")
		} else if got := status(http.DefaultClient, proxy, second); got != 401 || record["keys"] != 0.0 {
			t.Errorf("without a key: %d, %v", got, record)
		}
	}
	mark := proxy.Mark()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := proxy.Wait(mark, func(r host.Record) bool { return r["level"] == "ERROR" && r["file"] == path }); err != nil {
		t.Error(err)
	}
	expect("removed", second, "bob")
	for _, key := range []string{first, second} {
		if strings.Contains(proxy.Text(), key) {
			t.Error("a key is in the log")
		}
	}
}

// The keys come from one place.
func TestPlacesOfKeys(t *testing.T) {
	upstream := newUpstream(t)
	keys := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(keys, []byte(first+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		variable, config string
		arguments        []string
		code             int
		output           string
	}{
		{first, keyless, []string{"--api-key-file", keys}, 2, "--api-key-file and KEYGATE_API_KEY"},
		{first, strict(second), nil, 1, "elsewhere is KEYGATE_API_KEY"},
		{"", strict(second), []string{"--api-key-file", keys}, 1, "elsewhere is the file of --api-key-file"},
		{first + "\n", keyless, nil, 1, "KEYGATE_API_KEY: api_key: the key contains a line feed"},
		{"${KEY}", keyless, nil, 1, "KEYGATE_API_KEY: api_key: the key is a variable"},
		{"", keyless, []string{"--api-key-file", keys + "-none"}, 1, keys + "-none"},
		{"", keyless, []string{"--api-key-file", filepath.Dir(keys)}, 1, "this is not a regular file"},
	} {
		t.Setenv(keyVariable, c.variable)
		code, output := ends(t, append(c.arguments, "--listen", "127.0.0.1:0", "--config", write(t, c.config))...)
		if code != c.code || !strings.Contains(output, c.output) || strings.Contains(output, first) || strings.Contains(output, second) {
			t.Errorf("%q, %s, %v: status %d\n%s", c.variable, c.config, c.arguments, code, output)
		}
	}
	for _, c := range []struct {
		variable  string
		arguments []string
	}{{first, nil}, {"", []string{"--api-key-file", keys}}} {
		for _, config := range []string{keyless, ""} { // and the one that is written
			t.Setenv(keyVariable, c.variable)
			proxy := start(t, config, upstream.URL, c.arguments...)
			if right, wrong := status(http.DefaultClient, proxy, first), status(http.DefaultClient, proxy, second); right != 200 || wrong != 401 {
				t.Errorf("%+v, %q: %d and %d", c, config, right, wrong)
			}
			if content, err := os.ReadFile(proxy.Config); err != nil || strings.Contains(string(content), "api_key") {
				t.Errorf("%+v, %q: %s, %v", c, config, content, err)
			}
		}
	}
}
