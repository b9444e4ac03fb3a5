// Package host runs keygate-proxy in front of a tiny upstream, for the tests.
package host

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

const (
	patience = 10 * time.Second
	pause    = 2 * time.Millisecond
)

// Record is a line of the proxy's log.
type Record map[string]any

// Proxy is a running keygate-proxy.
type Proxy struct {
	Addr   string
	Config string
	folder string
	cmd    *exec.Cmd
	read   chan struct{} // closed at the end of the log

	mutex   sync.Mutex
	records []Record
	text    []byte
}

// Start runs the proxy with the configuration in a file of its own, mode 0600. Without one, there
// is no file.
func Start(binary, config, upstream string, arguments ...string) (*Proxy, error) {
	folder, err := os.MkdirTemp("", "keygate-")
	if err != nil {
		return nil, err
	}
	p := &Proxy{Config: filepath.Join(folder, "proxy.json"), folder: folder, read: make(chan struct{})}
	if config != "" {
		if err := os.WriteFile(p.Config, []byte(config), 0o600); err != nil {
			return nil, err
		}
	}
	p.cmd = exec.Command(binary, append([]string{"--config", p.Config, "--upstream", upstream, "--listen", "127.0.0.1:0"}, arguments...)...)
	log, err := p.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go p.follow(log)
	started, err := p.Wait(0, func(r Record) bool { return r["msg"] == "listening" })
	if err != nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
		return nil, fmt.Errorf("the proxy did not start: %w\n%s", err, p.Text())
	}
	p.Addr, _ = started["address"].(string)
	return p, nil
}

func (p *Proxy) follow(log io.Reader) {
	defer close(p.read)
	lines := bufio.NewScanner(log)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var record Record
		_ = json.Unmarshal(lines.Bytes(), &record) // what is no JSON stays in the text
		p.mutex.Lock()
		p.records = append(p.records, record)
		p.text = append(append(p.text, lines.Bytes()...), '\n')
		p.mutex.Unlock()
	}
}

// Mark is the place of the next line in the log.
func (p *Proxy) Mark() int {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return len(p.records)
}

// Text is the log so far.
func (p *Proxy) Text() string {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return string(p.text)
}

// Wait waits for a line of the log.
func (p *Proxy) Wait(from int, is func(Record) bool) (Record, error) {
	ended := false
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(pause) {
		p.mutex.Lock()
		for _, record := range p.records[from:] {
			if is(record) {
				p.mutex.Unlock()
				return record, nil
			}
		}
		p.mutex.Unlock()
		if ended {
			return nil, errors.New("the log ended")
		}
		select {
		case <-p.read:
			ended = true
		default:
		}
	}
	return nil, errors.New("no such line in the log")
}

// Decision waits for a line about a decision.
func (p *Proxy) Decision(from int) (Record, error) {
	return p.Wait(from, func(r Record) bool { return r["verdict"] != nil })
}

// Signal sends a signal.
func (p *Proxy) Signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }

// Ended waits for the end and gives the exit status.
func (p *Proxy) Ended() int {
	<-p.read
	_ = p.cmd.Wait()
	return p.cmd.ProcessState.ExitCode()
}

// Stop ends the proxy and removes its files.
func (p *Proxy) Stop() {
	_ = p.cmd.Process.Kill()
	p.Ended()
	_ = os.RemoveAll(p.folder)
}

// Upstream is a service that answers everything and keeps what it was last sent.
type Upstream struct {
	*httptest.Server
	mutex sync.Mutex
	last  *http.Request
	count int
}

// NewUpstream starts one.
func NewUpstream() *Upstream {
	u := new(Upstream)
	u.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		u.mutex.Lock()
		u.last, u.count = r, u.count+1
		u.mutex.Unlock()
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"object":"list","data":[]}`)
	}))
	u.Config.DisableGeneralOptionsHandler = true
	u.Start()
	return u
}

// Last is the request that came last, and how many came.
func (u *Upstream) Last() (*http.Request, int) {
	u.mutex.Lock()
	defer u.mutex.Unlock()
	return u.last, u.count
}

// Raw sends bytes over a new connection and gives what comes back until it is closed.
func Raw(addr string, request []byte) ([]byte, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	// A server may refuse and close while a request is still being sent.
	_, _ = c.Write(request)
	return io.ReadAll(c)
}
