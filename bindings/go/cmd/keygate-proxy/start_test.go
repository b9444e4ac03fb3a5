package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/keygate/keygate/bindings/go/internal/host"
)

const (
	openMode = `{"auth_mode":"off"}`
	openAuto = `{"proxy":{"auth_mode":"auto","api_key":"` + always + `"}}`
)

// ends runs the proxy, which must end by itself, and gives its exit status and its output.
func ends(t *testing.T, arguments ...string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var output bytes.Buffer
	command := exec.CommandContext(ctx, binary, append([]string{"--upstream", "http://127.0.0.1:1"}, arguments...)...)
	command.Stdout, command.Stderr = &output, &output
	_ = command.Run()
	return command.ProcessState.ExitCode(), output.String()
}

func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "proxy.json")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A proxy that asks nobody for a key listens for nobody but its own machine, unless it is told to.
func TestOpenElsewhere(t *testing.T) {
	everywhere := []string{"0.0.0.0:0", ":0"}
	if six, err := net.Listen("tcp6", "[::]:0"); err == nil { // where there is IPv6
		six.Close()
		everywhere = append(everywhere, "[::]:0")
	}
	for _, listen := range everywhere {
		for _, config := range []string{openMode, openAuto} {
			if code, output := ends(t, "--listen", listen, "--config", write(t, config)); code != 1 || !strings.Contains(output, "--allow-open") || strings.Contains(output, `"listening"`) {
				t.Errorf("%s, %s: status %d\n%s", listen, config, code, output)
			}
		}
	}
	upstream := newUpstream(t)
	for _, c := range []struct{ config, arguments string }{
		{openMode, "--listen 127.0.0.1:0"}, {openAuto, "--listen localhost:0"}, {openMode, "--listen 127.8.9.10:0"}, {openMode, "--listen [::ffff:127.0.0.1]:0"},
		{openMode, "--listen 0.0.0.0:0 --allow-open"}, {strict(always), "--listen 0.0.0.0:0"}, {strict(), "--listen :0"},
	} {
		proxy := start(t, c.config, upstream.URL, strings.Fields(c.arguments)...)
		if at, port, err := net.SplitHostPort(proxy.Addr); err == nil && (at == "::" || at == "0.0.0.0") {
			proxy.Addr = net.JoinHostPort("127.0.0.1", port)
		}
		want := 200
		if c.config == strict() {
			want = 401
		}
		if got := status(http.DefaultClient, proxy, always); got != want {
			t.Errorf("%+v: %d", c, got)
		}
		proxy.Stop()
	}
}

// Nor does it open later.
func TestOpenElsewhereAfterAChange(t *testing.T) {
	upstream := newUpstream(t)
	for _, arguments := range []string{"--listen 0.0.0.0:0", "--listen 0.0.0.0:0 --allow-open", ""} {
		proxy := start(t, strict(first), upstream.URL, strings.Fields(arguments)...)
		for _, config := range []string{openMode, openAuto} {
			mark := proxy.Mark()
			replace(t, proxy.Config, config)
			refused := arguments == "--listen 0.0.0.0:0"
			_, err := proxy.Wait(mark, func(r host.Record) bool {
				if refused {
					text, _ := r["error"].(string)
					return r["msg"] == "the configuration is refused; the one before stays in force" && strings.Contains(text, "--allow-open")
				}
				return r["msg"] == "configuration in force"
			})
			want := map[bool]int{true: 401, false: 200}[refused]
			if got := status(http.DefaultClient, proxy, second); err != nil || got != want {
				t.Errorf("%q, %s: %d, %v", arguments, config, got, err)
			}
		}
		if refused := arguments == "--listen 0.0.0.0:0"; refused && status(http.DefaultClient, proxy, first) != 200 {
			t.Error("the configuration before is not in force")
		}
	}
}

// What is no file is none to wait for.
func TestConfigThatIsNoFile(t *testing.T) {
	folder := t.TempDir()
	fifo := filepath.Join(folder, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(folder, "link")
	if err := os.Symlink(fifo, link); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(folder, "socket")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for _, path := range []string{fifo, link, folder, "/dev/zero", "/dev/null"} {
		if code, output := ends(t, "--config", path, "--listen", "127.0.0.1:0"); code != 1 || !strings.Contains(output, path+": this is not a regular file") {
			t.Errorf("%s: status %d\n%s", path, code, output)
		}
	}
	if code, output := ends(t, "--config", socket, "--listen", "127.0.0.1:0"); code != 1 || !strings.Contains(output, socket) {
		t.Errorf("socket: status %d\n%s", code, output)
	}

	// It may also become one under way.
	upstream := newUpstream(t)
	proxy := start(t, strict(first), upstream.URL)
	mark := proxy.Mark()
	if err := os.Rename(fifo, proxy.Config); err != nil {
		t.Fatal(err)
	}
	if _, err := proxy.Wait(mark, func(r host.Record) bool { return r["error"] == "this is not a regular file" }); err != nil {
		t.Error(err)
	}
	if status(http.DefaultClient, proxy, first) != 200 || status(http.DefaultClient, proxy, second) != 401 {
		t.Error("the configuration before is not in force")
	}
	mark = proxy.Mark()
	replace(t, proxy.Config, strict(second))
	if _, err := proxy.Wait(mark, func(r host.Record) bool { return r["msg"] == "configuration in force" }); err != nil {
		t.Error(err)
	}
	if err := proxy.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := proxy.Ended(); code != 0 {
		t.Errorf("exit status %d", code)
	}
}

// SIGHUP: the file is read at once, whether it changed or not, and the process goes on.
func TestHangup(t *testing.T) {
	upstream := newUpstream(t)
	proxy := start(t, strict(first), upstream.URL)
	for i, c := range []struct{ config, message string }{
		{"", "configuration in force"},
		{strict(second), "configuration in force"},
		{"{", "the configuration is refused; the one before stays in force"},
		{strict(second), "configuration in force"},
	} {
		mark := proxy.Mark()
		if c.config != "" {
			if err := os.WriteFile(proxy.Config, []byte(c.config), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := proxy.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		if _, err := proxy.Wait(mark, func(r host.Record) bool { return r["msg"] == c.message }); err != nil {
			t.Fatalf("%d: %v\n%s", i, err, proxy.Text())
		}
		key := second
		if c.config == "" {
			key = first
		}
		if got := status(http.DefaultClient, proxy, key); got != 200 {
			t.Errorf("%d: %d", i, got)
		}
	}
}

// A request under way that does not end is cut within ten seconds of SIGTERM.
func TestTerminationIsBounded(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{})
	upstream := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		close(arrived)
		<-r.Context().Done()
	})
	proxy := start(t, strict(always), upstream)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r, _ := http.NewRequest("GET", "http://"+proxy.Addr+"/", nil)
		r.Header.Set("X-Api-Key", always)
		if answer, err := http.DefaultClient.Do(r); err == nil {
			_, _ = io.Copy(io.Discard, answer.Body)
			answer.Body.Close()
		}
	}()
	<-arrived
	since := time.Now()
	if err := proxy.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := proxy.Ended(); code != 0 || time.Since(since) > 10*time.Second {
		t.Errorf("exit status %d after %v", code, time.Since(since))
	}
	<-ended
}
