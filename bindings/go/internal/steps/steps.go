// Package steps goes through a troubleshooting guide for 401 with curl: every command in it, every
// row of its tables, and a change of the key while the proxy runs.
package steps

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/keygate/keygate/bindings/go/internal/host"
)

const (
	key      = "sk-4f6a1c09b2d84e7795c3aa10de5b8f21"
	next     = "sk-90c7e55ad3b14b0f8a6d2e71f4c3b826"
	emptyKey = "Proxy auth is enabled but api_key is empty; denying request"
)

func config(mode string, lan bool, key string) string {
	return fmt.Sprintf(`{"proxy":{"auth_mode":%q,"allow_lan_access":%t,"api_key":%q,"port":8045,"enabled":true}}`, mode, lan, key)
}

// A step is a command, after a change of the configuration where there is one.
type step struct {
	title    string
	config   string
	path     string
	curl     []string
	status   string
	mode     string
	findings string
	log      string
}

func header(text string) []string { return []string{"-H", text} }

func all() []step {
	const models, health = "/v1/models", "/healthz"
	s := []step{
		{title: "Step 1: /healthz, all_except_health", config: config("all_except_health", false, key), path: health, status: "200", mode: "all_except_health"},
		{title: "Step 1: /healthz, auto with allow_lan_access", config: config("auto", true, key), path: health, status: "200", mode: "all_except_health", findings: "auto_resolved"},
		{title: "Step 1: /healthz, strict", config: config("strict", false, key), path: health, status: "401", mode: "strict", findings: "health_in_strict"},
	}
	for _, row := range []struct {
		mode         string
		lan          bool
		effective    string
		status, code string
	}{
		{"off", false, "off", "200", ""},
		{"strict", false, "strict", "401", ""},
		{"all_except_health", false, "all_except_health", "401", ""},
		{"auto", false, "off", "200", "auto_resolved"},
		{"auto", true, "all_except_health", "401", "auto_resolved"},
	} {
		s = append(s, step{title: fmt.Sprintf("Step 2: effective mode of %s, allow_lan_access=%t, no key sent", row.mode, row.lan),
			config: config(row.mode, row.lan, key), path: models, status: row.status, mode: row.effective, findings: row.code})
	}
	bearer := header("Authorization: Bearer " + key)
	return append(s,
		step{title: "Step 3: api_key is empty", config: config("strict", false, ""), path: models, curl: bearer, status: "401", findings: "no_key_configured", log: emptyKey},
		step{title: "Step 3: api_key is set", config: config("strict", false, key), path: models, curl: bearer, status: "200"},
		step{title: "Step 3: a new api_key counts at once: the old key", config: config("strict", false, next), path: models, curl: bearer, status: "401"},
		step{title: "Step 3: a new api_key counts at once: the new key", path: models, curl: header("Authorization: Bearer " + next), status: "200"},
		step{title: "Step 4: the guide's command as it stands", config: config("all_except_health", false, key), path: models, curl: header("Authorization: Bearer sk-REPLACE_WITH_YOUR_PROXY_API_KEY"), status: "401", findings: "placeholder"},
		step{title: "Step 4: Authorization with Bearer", path: models, curl: bearer, status: "200"},
		step{title: "Step 4: Authorization without Bearer", path: models, curl: header("Authorization: " + key), status: "200"},
		step{title: "Step 4: the guide's x-api-key as it stands", path: models, curl: header("x-api-key: sk-REPLACE_WITH_YOUR_PROXY_API_KEY"), status: "401", findings: "placeholder"},
		step{title: "Step 4: x-api-key", path: models, curl: header("x-api-key: " + key), status: "200"},
		step{title: "Step 4: x-goog-api-key", path: models, curl: header("x-goog-api-key: " + key), status: "200"},
		step{title: "Step 4: x-api-key before x-goog-api-key", path: models, curl: append(header("x-goog-api-key: "+key), header("x-api-key: sk-other")...), status: "401", findings: "shadowed_match"},
		step{title: "Pitfall 1: auto with allow_lan_access, no key", config: config("auto", true, key), path: models, status: "401", mode: "all_except_health", findings: "auto_resolved"},
		step{title: "Pitfall 1, mended: with the key", path: models, curl: bearer, status: "200", findings: "auto_resolved"},
		step{title: "Pitfall 1, mended: without allow_lan_access", config: config("auto", false, key), path: models, status: "200", mode: "off", findings: "auto_resolved"},
		step{title: "Pitfall 2: x-api-key beside a wrong Authorization", config: config("all_except_health", false, key), path: models, curl: append(header("Authorization: Bearer sk-other"), header("x-api-key: "+key)...), status: "401", findings: "shadowed_match"},
		step{title: "Pitfall 2, mended: x-api-key alone", path: models, curl: header("x-api-key: " + key), status: "200"},
		step{title: "Pitfall 3: Bearer<key>", path: models, curl: header("Authorization: Bearer" + key), status: "401", findings: "bearer_no_space"},
		step{title: "Pitfall 3, mended: Bearer <key>", path: models, curl: bearer, status: "200"},
		step{title: "Pitfall 4: api_key is empty: /v1/models", config: config("strict", false, ""), path: models, curl: bearer, status: "401", findings: "no_key_configured", log: emptyKey},
		step{title: "Pitfall 4: api_key is empty: /healthz", path: health, status: "401", findings: "no_key_configured", log: emptyKey},
		step{title: "Pitfall 4, mended: api_key is set", config: config("strict", false, key), path: models, curl: bearer, status: "200"},
		step{title: "A CORS preflight passes without a key", path: models, curl: []string{"-X", "OPTIONS"}, status: "200"},
	)
}

// Run goes through the steps and prints each with its answer. It gives the first that went wrong.
func Run(binary string, out io.Writer) error {
	if err := os.Unsetenv("KEYGATE_API_KEY"); err != nil { // each configuration has its own
		return err
	}
	upstream := host.NewUpstream()
	defer upstream.Close()
	proxy, err := host.Start(binary, config("off", false, key), upstream.URL, "--explain")
	if err != nil {
		return err
	}
	defer proxy.Stop()
	for _, s := range all() {
		if err := s.run(proxy, upstream, out); err != nil {
			return fmt.Errorf("%s: %w", s.title, err)
		}
	}
	_, err = fmt.Fprintf(out, "%d steps, each answered as the guide says.\n", len(all()))
	return err
}

func (s step) run(proxy *host.Proxy, upstream *host.Upstream, out io.Writer) error {
	fmt.Fprintf(out, "== %s\n", s.title)
	if s.config != "" {
		since := time.Now()
		if err := proxy.Set(s.config); err != nil {
			return err
		}
		if took := time.Since(since); took > time.Second {
			return fmt.Errorf("a change of the configuration took %v", took)
		}
		fmt.Fprintf(out, "   config: %s\n", s.config)
	}
	_, before := upstream.Last()
	mark := proxy.Mark()
	arguments := append([]string{"-s", "-i", "--max-time", "10", "http://" + proxy.Addr + s.path}, s.curl...)
	answer, err := exec.Command("curl", arguments...).Output()
	if err != nil {
		return fmt.Errorf("curl: %w", err)
	}
	fmt.Fprintf(out, "   $ curl -i http://%s%s", proxy.Addr, s.path)
	for _, argument := range s.curl {
		if strings.ContainsAny(argument, " :") {
			argument = `"` + argument + `"`
		}
		fmt.Fprint(out, " ", argument)
	}
	fmt.Fprintln(out)
	for line := range strings.SplitSeq(strings.TrimSpace(string(answer)), "\n") {
		line = strings.TrimRight(line, "\r")
		if !strings.HasPrefix(line, "Date:") && line != "" {
			fmt.Fprintf(out, "   %s\n", line)
		}
	}
	record, err := proxy.Decision(mark)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "   log: %v reason=%v findings=%v\n\n", record["msg"], record["reason"], record["findings"])
	last, after := upstream.Last()
	forwarded := s.status == "200" && s.path != "/healthz"
	switch {
	case !strings.HasPrefix(string(answer), "HTTP/1.1 "+s.status+" "):
		return fmt.Errorf("not answered with %s", s.status)
	case s.mode != "" && record["effective_mode"] != s.mode:
		return fmt.Errorf("the effective mode is %v, not %s", record["effective_mode"], s.mode)
	case record["findings"] != s.findings:
		return fmt.Errorf("the findings are %v, not %s", record["findings"], s.findings)
	case s.log != "" && (record["msg"] != s.log || record["level"] != "ERROR"):
		return fmt.Errorf("the log says %v", record["msg"])
	case s.status == "401" && !strings.Contains(string(answer), `Www-Authenticate: Bearer realm="keygate"`):
		return fmt.Errorf("the answer has no challenge")
	case forwarded != (after == before+1):
		return fmt.Errorf("%d requests reached the upstream", after-before)
	case forwarded && len(last.Header["Authorization"])+len(last.Header["X-Api-Key"])+len(last.Header["X-Goog-Api-Key"]) > 0:
		return fmt.Errorf("a key reached the upstream")
	case strings.Contains(proxy.Text(), key) || strings.Contains(proxy.Text(), next):
		return fmt.Errorf("a key is in the log")
	}
	return nil
}
