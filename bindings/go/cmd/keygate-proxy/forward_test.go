package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/keygate/keygate/bindings/go"
	"github.com/keygate/keygate/bindings/go/internal/host"
)

const (
	first  = "sk-11111111111111111111111111111111"
	second = "sk-22222222222222222222222222222222"
	always = "sk-00000000000000000000000000000000"
)

func strict(keys ...string) string {
	var list []string
	for i, key := range keys {
		list = append(list, fmt.Sprintf(`{"key":%q,"label":"key-%d"}`, key, i))
	}
	return fmt.Sprintf(`{"proxy":{"auth_mode":"strict","keys":[%s]}}`, strings.Join(list, ","))
}

func start(t *testing.T, config, upstream string, arguments ...string) *host.Proxy {
	t.Helper()
	proxy, err := host.Start(binary, config, upstream, arguments...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Stop)
	return proxy
}

// replace writes a whole file at once: one that is written in place is empty for a moment, and may
// be read then.
func replace(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func newUpstream(t *testing.T) *host.Upstream {
	u := host.NewUpstream()
	t.Cleanup(u.Close)
	return u
}

func serve(t *testing.T, handler http.HandlerFunc) string {
	server := httptest.NewUnstartedServer(handler)
	server.Config.DisableGeneralOptionsHandler = true
	server.Start()
	t.Cleanup(server.Close)
	return server.URL
}

// status asks with a key and gives the status, 0 where there is no answer.
func status(client *http.Client, proxy *host.Proxy, key string) int {
	r, _ := http.NewRequest("GET", "http://"+proxy.Addr+"/v1/models", nil)
	r.Header.Set("Authorization", "Bearer "+key)
	answer, err := client.Do(r)
	if err != nil {
		return 0
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return 0
	}
	return answer.StatusCode
}

// The upstream gets the target that was decided on, byte for byte.
func TestTargetIsForwardedAsReceived(t *testing.T) {
	upstream := newUpstream(t)
	for _, prefix := range []string{"", "/base"} {
		proxy := start(t, strict(always), upstream.URL+prefix)
		for target, want := range map[string]string{
			"/v1/models": "", "/": "", "//healthz": "", "//a//b/": "", "/a/../healthz": "", "/./a": "",
			"/%68ealthz": "", "/a%2Fb%2e%2E": "", "/a|b": "", "/a;b=1?c;d&e=%zz": "", "/?": "", "/a?b?c": "", "/\xc3\xa9": "",
			"http://other.example/v1?x=1": "/v1?x=1", "http://other.example": "/", "http://other.example?q": "/?q",
			"/a?u=http://b/c": "",
		} {
			if want == "" {
				want = target
			}
			_, before := upstream.Last()
			answer, err := host.Raw(proxy.Addr, []byte("POST "+target+" HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Api-Key: "+always+"\r\n\r\n"))
			if err != nil || !bytes.HasPrefix(answer, []byte("HTTP/1.1 200 ")) {
				t.Errorf("%q: %.60q, %v", target, answer, err)
				continue
			}
			if r, after := upstream.Last(); after != before+1 || r.RequestURI != prefix+want {
				t.Errorf("%q: arrived as %q", target, r.RequestURI)
			}
		}
	}
}

// What is no target, and what leads out of the upstream's own path, is answered 400 and not
// forwarded.
func TestTargetsThatAreRefused(t *testing.T) {
	upstream := newUpstream(t)
	const keyed = "POST "
	anywhere := []string{
		"OPTIONS x:/admin", "OPTIONS x:admin", "OPTIONS x:", "OPTIONS a?://b/c", "OPTIONS x:/a://b", "OPTIONS http:/admin", "OPTIONS ://a/b", "OPTIONS 1_x://a/b",
		"OPTIONS http:///admin", "OPTIONS http://?a", "OPTIONS http://", "OPTIONS /a#b", "OPTIONS http://a/b#c", "OPTIONS *a", "OPTIONS *?a", "OPTIONS #", "OPTIONS a:1",
		keyed + "x:/admin", keyed + "*", "GET *", "GET /healthz#", "GET /healthz#/../private", "CONNECT a:1", "CONNECT /a", "CONNECT http://a/b", "PRI *",
	}
	outOfPrefix := []string{
		"OPTIONS *", "OPTIONS /../admin", "OPTIONS /..", "OPTIONS /../", "OPTIONS /..?a", "OPTIONS /a/../../admin", "OPTIONS /./../admin", "OPTIONS //../admin",
		"OPTIONS /a//../../admin", "OPTIONS http://a/../admin", "OPTIONS http://a/..", "OPTIONS /../base/a",
		"OPTIONS /%2e%2e/admin", "OPTIONS /.%2E/admin", "OPTIONS /%2e./admin", "OPTIONS /a/%2e%2e/%2e%2e/admin",
		"OPTIONS /..%2fadmin", "OPTIONS /..%2Fadmin", "OPTIONS /%2e%2e%2fadmin", "OPTIONS /a%2f..%2f../admin", "OPTIONS /a%2fb/../../admin",
		`OPTIONS /..\admin`, `OPTIONS /a\..\..\admin`, `OPTIONS /a\b/../../admin`, `OPTIONS /a%2fb\..\..\admin`, "OPTIONS /..%5cadmin", "OPTIONS /a%5c..%5C..%5cadmin",
		"OPTIONS /%252e%252e/admin", "OPTIONS /%252e%252e%252fadmin", "OPTIONS /%25252e%25252e/admin", "OPTIONS /..;/admin", "OPTIONS /..;a=b/admin", "OPTIONS /..%3b/admin", "OPTIONS /..%00/admin",
		"OPTIONS /%2525252525252e./admin", "OPTIONS /%2525252525",
		keyed + "/../admin", keyed + "/%2e%2e/admin",
	}
	for prefix, requests := range map[string][]string{"": anywhere, "/base": append(outOfPrefix, anywhere...), "/base/": outOfPrefix, "/a/b": outOfPrefix} {
		proxy := start(t, strict(always), upstream.URL+prefix)
		for _, request := range requests {
			_, before := upstream.Last()
			answer, err := host.Raw(proxy.Addr, []byte(request+" HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Api-Key: "+always+"\r\n\r\n"))
			if r, after := upstream.Last(); err != nil || !bytes.HasPrefix(answer, []byte("HTTP/1.1 400 ")) || after != before {
				t.Errorf("%s, prefix %q: %.60q, %v, %d forwarded", request, prefix, answer, err, after-before)
				if after != before {
					t.Errorf("as %q", r.RequestURI)
				}
			}
		}
	}
	// Dots that stay within, or are no segments, pass.
	proxy := start(t, strict(always), upstream.URL+"/base")
	for _, target := range []string{
		"/a/..", "/a/../b", "/a/b/../../c", "/./a", "/a/%2e%2e/b", "/...", "/..a", "/a..", "/.../../a", "/a/..;/b", "/a?b=/../../c", "/a?%2e%2e/../..", "/%2541", "/a%20b/%c3%a9", "/%252525",
		"/.well-known/a", "/v1/models/a:b", "/a%2fb", `/a\b`,
	} {
		_, before := upstream.Last()
		answer, err := host.Raw(proxy.Addr, []byte("GET "+target+" HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Api-Key: "+always+"\r\n\r\n"))
		if r, after := upstream.Last(); err != nil || after != before+1 || r.RequestURI != "/base"+target {
			t.Errorf("%s: %.60q, %v, arrived as %q", target, answer, err, r.RequestURI)
		}
	}
	// An upstream without a path may be asked about as a whole.
	if answer, err := host.Raw(start(t, strict(always), upstream.URL+"/").Addr, []byte("OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")); !bytes.HasPrefix(answer, []byte("HTTP/1.1 200 ")) {
		t.Errorf("%.60q, %v", answer, err)
	}
	if r, _ := upstream.Last(); r.RequestURI != "*" {
		t.Errorf("* arrived as %q", r.RequestURI)
	}
}

func TestStripping(t *testing.T) {
	upstream := newUpstream(t)
	request := "POST /v1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTE: trailers\r\nTrailer: X-Api-Key\r\nTransfer-Encoding: chunked\r\n" +
		"Authorization: Bearer " + always + "\r\nX-Api-Key: one\r\nx-api-key: two\r\nX_Api_Key: three\r\nx.goog.api.key: four\r\nX-Goog-Api-Key: five\r\nAccept: */*\r\nX-Kept: yes\r\n\r\n" +
		"3\r\nabc\r\n0\r\nX-Api-Key: " + always + "\r\n\r\n"
	off := fmt.Sprintf(`{"auth_mode":"off","api_key":%q}`, always)
	for _, c := range []struct {
		config string
		left   int
	}{{strict(always), 0}, {off, 0}, {fmt.Sprintf(`{"auth_mode":"strict","api_key":%q,"strip":"off"}`, always), 6}} {
		proxy := start(t, c.config, upstream.URL)
		answer, err := host.Raw(proxy.Addr, []byte(request))
		if err != nil || !bytes.HasPrefix(answer, []byte("HTTP/1.1 200 ")) {
			t.Fatalf("%.60q, %v", answer, err)
		}
		r, _ := upstream.Last()
		left := 0
		for name, values := range r.Header {
			if plain := strings.NewReplacer("_", "-", ".", "-").Replace(strings.ToLower(name)); plain == "authorization" || plain == "x-api-key" || plain == "x-goog-api-key" {
				left += len(values)
			}
		}
		if left != c.left || r.Header.Get("X-Kept") != "yes" || r.Header.Get("X-Forwarded-For") != "127.0.0.1" {
			t.Errorf("%s: %d credential headers are left, want %d", c.config, left, c.left)
		}
		for name, values := range r.Trailer {
			if c.left == 0 || strings.Join(values, "") != "" {
				t.Errorf("a trailer arrived: %s", name)
			}
		}
		if strings.Contains(proxy.Text(), always) {
			t.Error("a key is in the log")
		}
	}
}

// An upstream answers before it has taken the body: the rest must still pass, both ways.
func TestAnswerBeforeTheBody(t *testing.T) {
	upstream := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		_, _ = io.Copy(w, r.Body)
	})
	proxy := start(t, strict(always), upstream)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	body, writer := io.Pipe()
	defer body.Close()
	r, _ := http.NewRequestWithContext(ctx, "POST", "http://"+proxy.Addr+"/", body)
	r.Header.Set("X-Api-Key", always)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	go func() {
		_, _ = io.WriteString(writer, "late")
		writer.Close()
	}()
	if text, err := io.ReadAll(answer.Body); err != nil || string(text) != "late" {
		t.Fatalf("%q, %v", text, err)
	}
}

// However a file changes, and whatever is wrong with it, the gate stays shut.
func TestConfigChanges(t *testing.T) {
	upstream := newUpstream(t)
	proxy := start(t, strict(first), upstream.URL)
	client := &http.Client{Timeout: 10 * time.Second}
	expect := func(what string, right, wrong string) {
		t.Helper()
		if got := status(client, proxy, right); got != 200 {
			t.Errorf("%s: the right key: %d", what, got)
		}
		if got := status(client, proxy, wrong); got != 401 {
			t.Errorf("%s: the wrong key: %d", what, got)
		}
	}
	inForce := func(r host.Record) bool { return r["msg"] == "configuration in force" }
	refused := func(r host.Record) bool {
		return r["msg"] == "the configuration is refused; the one before stays in force"
	}
	write := func(content string) {
		if err := os.WriteFile(proxy.Config, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	wait := func(from int, is func(host.Record) bool) host.Record {
		t.Helper()
		record, err := proxy.Wait(from, is)
		if err != nil {
			t.Fatalf("%v\n%s", err, proxy.Text())
		}
		return record
	}
	expect("at the start", first, second)

	mark := proxy.Mark()
	replace(t, proxy.Config, strict(second))
	wait(mark, inForce)
	expect("renamed", second, first)

	for what, bad := range map[string]string{
		"empty": "", "half": strict(first)[:40], "wrong type": `{"auth_mode":"off","api_key":7}`,
		"unknown mode": `{"auth_mode":"` + first + `"}`, "bad key": `{"auth_mode":"strict","api_key":" ` + first + `"}`,
		"long": strings.Repeat(" ", maxFile+1),
	} {
		mark := proxy.Mark()
		replace(t, proxy.Config, bad)
		if record := wait(mark, refused); record["level"] != "ERROR" || record["error"] == "" {
			t.Errorf("%s: %v", what, record)
		}
		expect(what, second, first)
	}
	mark = proxy.Mark()
	if err := os.Remove(proxy.Config); err != nil {
		t.Fatal(err)
	}
	wait(mark, refused)
	expect("removed", second, first)

	mark = proxy.Mark()
	write(strict(first)) // of the same length as the one before
	wait(mark, inForce)
	expect("written in place", first, second)

	mark = proxy.Mark()
	write(strict(second))
	wait(mark, inForce)
	expect("in place again", second, first)

	mark = proxy.Mark()
	if err := os.Chmod(proxy.Config, 0o644); err != nil {
		t.Fatal(err)
	}
	write(strict(first))
	wait(mark, func(r host.Record) bool { return r["level"] == "WARN" && r["mode"] == "-rw-r--r--" })
	for _, key := range []string{first, second} {
		if strings.Contains(proxy.Text(), key) {
			t.Error("a key is in the log")
		}
	}
}

// A file that is valid at each moment, but not at rest, does not count.
func TestConfigAtRest(t *testing.T) {
	file := &configFile{log: slog.New(slog.DiscardHandler)}
	for i, step := range []struct {
		content string
		want    keygate.Reason
	}{
		{`{"auth_mode":"off"}`, keygate.InvalidCall},
		{`{"auth_mode":"off","n":1}`, keygate.InvalidCall},
		{`{"auth_mode":"off"}`, keygate.InvalidCall},
		{strict(first), keygate.InvalidCall},
		{strict(first), keygate.CredentialMissing},
		{`{"auth_mode":"off"}`, keygate.CredentialMissing},
		{`{"auth_mode":"off"`, keygate.CredentialMissing},
		{`{"auth_mode":"off"`, keygate.CredentialMissing},
		{`{"auth_mode":"off"}`, keygate.CredentialMissing},
		{`{"auth_mode":"off"}`, keygate.AuthOff},
	} {
		file.see(readings{config: reading{content: []byte(step.content)}})
		if got := file.gate.Policy().Decide("GET", "/", nil).Reason; got != step.want {
			t.Errorf("reading %d: %v, want %v", i, got, step.want)
		}
	}
}

func TestFirstStart(t *testing.T) {
	upstream := newUpstream(t)
	proxy := start(t, "", upstream.URL)
	info, err := os.Stat(proxy.Config)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	content, err := os.ReadFile(proxy.Config)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(content), `"api_key": "`)
	key, _, _ := strings.Cut(rest, `"`)
	if len(key) != 35 || !strings.HasPrefix(key, "sk-") || strings.Contains(proxy.Text(), key[3:]) {
		t.Error("no fresh key, or it is in the log")
	}
	if _, err := proxy.Wait(0, func(r host.Record) bool {
		return r["msg"] == "wrote a configuration with a fresh key" && r["file"] == proxy.Config
	}); err != nil {
		t.Error("the log does not say where the file is")
	}
	if status(http.DefaultClient, proxy, key) != 200 || status(http.DefaultClient, proxy, "sk-other") != 401 {
		t.Error("the fresh key does not decide")
	}
	folder, err := os.ReadDir(strings.TrimSuffix(proxy.Config, "/proxy.json"))
	if err != nil || len(folder) != 1 {
		t.Errorf("%v, %v: other files are left", folder, err)
	}
}

func TestHealthz(t *testing.T) {
	upstream := newUpstream(t)
	proxy := start(t, `{"auth_mode":"all_except_health","api_key":"`+always+`","exempt":["/healthz","/ready"]}`, upstream.URL)
	answer, err := http.Get("http://" + proxy.Addr + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(answer.Body)
	answer.Body.Close()
	if _, count := upstream.Last(); answer.StatusCode != 200 || string(body) != `{"status":"ok"}` || answer.Header.Get("Content-Type") != "application/json" || count != 0 {
		t.Errorf("%d %q, %d forwarded", answer.StatusCode, body, count)
	}
	if answer, err = http.Get("http://" + proxy.Addr + "/ready"); err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if _, count := upstream.Last(); answer.StatusCode != 200 || count != 1 {
		t.Error("another exempt path is not forwarded")
	}
}

// A request under way is answered after SIGTERM, and then the proxy ends.
func TestGracefulShutdown(t *testing.T) {
	arrived, proceed := make(chan struct{}), make(chan struct{})
	upstream := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-proceed
		_, _ = io.WriteString(w, "done")
	})
	proxy := start(t, strict(always), upstream)
	answered := make(chan int, 1)
	go func() { answered <- status(http.DefaultClient, proxy, always) }()
	<-arrived
	if err := proxy.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if _, err := proxy.Wait(0, func(r host.Record) bool { return r["msg"] == "shutting down" }); err != nil {
		t.Fatal(err)
	}
	for range 100 { // until the listener is closed
		c, err := net.Dial("tcp", proxy.Addr)
		if errors.Is(err, syscall.ECONNREFUSED) {
			break
		}
		if err == nil {
			c.Close()
		}
		time.Sleep(10 * time.Millisecond)
	}
	close(proceed)
	if got := <-answered; got != 200 {
		t.Errorf("the request under way: %d", got)
	}
	if code := proxy.Ended(); code != 0 {
		t.Errorf("exit status %d", code)
	}
}

func TestUpstreamDown(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	proxy := start(t, strict(always), "http://"+listener.Addr().String())
	if got := status(http.DefaultClient, proxy, always); got != 502 {
		t.Errorf("%d", got)
	}
	if got := status(http.DefaultClient, proxy, first); got != 401 {
		t.Errorf("%d", got)
	}
}

func TestUsage(t *testing.T) {
	folder := t.TempDir()
	config := folder + "/proxy.json"
	if err := os.WriteFile(folder+"/bad.json", []byte(`{"auth_mode":"s3cr3t"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		arguments string
		status    int
		says      string
	}{
		{"--help", 0, "Usage: keygate-proxy"},
		{"--version", 0, "keygate-proxy 0."},
		{"", 2, "--upstream is missing"},
		{"--nonsense", 2, "-nonsense"},
		{"--upstream http://127.0.0.1:1 extra", 2, "no flags"},
		{"--upstream 127.0.0.1:1", 2, "--upstream must be"},
		{"--upstream ftp://a", 2, "--upstream must be"},
		{"--upstream http://u:s3cr3t@a", 2, "--upstream must be"},
		{"--upstream http://s3cr3t%zz", 2, "--upstream must be"},
		{"--upstream http://a?s3cr3t", 2, "--upstream must be"},
		{"--upstream http://127.0.0.1:1 --config " + config + " --listen nowhere", 1, "--listen"},
		{"--upstream http://127.0.0.1:1 --config " + folder + "/bad.json", 1, "bad.json: line 1, column 14: auth_mode: "},
	} {
		var output bytes.Buffer
		command := exec.Command(binary, strings.Fields(c.arguments)...)
		command.Stdout, command.Stderr = &output, &output
		_ = command.Run()
		if got := command.ProcessState.ExitCode(); got != c.status || !strings.Contains(output.String(), c.says) || strings.Contains(output.String(), "s3cr3t") {
			t.Errorf("%q: status %d, want %d\n%s", c.arguments, got, c.status, output.String())
		}
	}
}
