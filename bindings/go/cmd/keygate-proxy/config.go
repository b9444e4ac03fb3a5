package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/keygate/keygate/bindings/go"
)

const (
	maxConfig = 1 << 20 // bytes
	interval  = 100 * time.Millisecond
)

// errOpen says that a configuration would let everybody in, from anywhere.
var errOpen = errors.New("with this auth_mode (and allow_lan_access) nobody is asked for a key, and --listen is not a loopback address; " +
	"choose another auth_mode, listen on 127.0.0.1, or give --allow-open")

// configFile keeps the gate in step with a file.
type configFile struct {
	path string
	log  *slog.Logger
	gate keygate.Gate
	// shut says that a policy in mode off is refused.
	shut bool
	// last is the reading before, and applied the one that was put in force or refused.
	last, applied reading
}

// reading is what came of reading the file: its content, or why there is none.
type reading struct {
	content []byte
	problem string
	mode    fs.FileMode
}

func (r reading) same(other reading) bool {
	return r.problem == other.problem && bytes.Equal(r.content, other.content)
}

// openConfig writes the file if there is none and puts it in force.
func openConfig(path string, log *slog.Logger) (*configFile, error) {
	if err := writeFirst(path, log); err != nil {
		return nil, fmt.Errorf("--config: %w", err)
	}
	now := read(path)
	file := &configFile{path: path, log: log, last: now, applied: now}
	if err := file.apply(now); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return file, nil
}

func read(path string) reading {
	// To open a FIFO would wait for its writer.
	opened, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if err != nil {
		return reading{problem: err.Error()}
	}
	defer opened.Close()
	info, err := opened.Stat()
	if err != nil {
		return reading{problem: err.Error()}
	}
	if !info.Mode().IsRegular() {
		return reading{problem: "this is not a regular file"}
	}
	content, err := io.ReadAll(io.LimitReader(opened, maxConfig+1))
	if err != nil {
		return reading{problem: err.Error()}
	}
	if len(content) > maxConfig {
		return reading{problem: fmt.Sprintf("the file is longer than %d bytes", maxConfig)}
	}
	return reading{content: content, mode: info.Mode()}
}

func (f *configFile) apply(r reading) error {
	if r.problem != "" {
		return errors.New(r.problem)
	}
	config, err := keygate.ParseConfig(r.content)
	if err != nil {
		return err
	}
	policy, err := keygate.New(config)
	if err != nil {
		return err
	}
	if f.shut && open(policy) {
		return errOpen
	}
	f.gate.Swap(policy)
	if r.mode.Perm()&0o077 != 0 {
		f.log.Warn("others can read the configuration and the keys in it; chmod 600 it", "file", f.path, "mode", r.mode.Perm().String())
	}
	f.log.Info("configuration in force", "file", f.path, "auth_mode", config.AuthMode.String(), "allow_lan_access", config.AllowLANAccess)
	return nil
}

// open says whether a policy lets everybody in.
func open(policy *keygate.Policy) bool {
	return policy.Decide("", "", nil).EffectiveMode == keygate.Off
}

// listensOn says where the gate stands. Only on a loopback address, bound and not only named, may
// it be open, unless the operator says so.
func (f *configFile) listensOn(address net.Addr, allowOpen bool) error {
	tcp, is := address.(*net.TCPAddr)
	f.shut = !allowOpen && !(is && tcp.IP.IsLoopback())
	if f.shut && open(f.gate.Policy()) {
		return errOpen
	}
	return nil
}

// watch puts each change in force. The file is read over and over: that sees a rename, a write in
// place and a swapped link alike, on every file system. A change counts once two readings in a row
// agree, so that a file that is still being written does not.
//
// At a signal the file is read at once, and put in force whether it changed or not.
func (f *configFile) watch(ctx context.Context, signals <-chan os.Signal) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-signals:
			f.last = read(f.path)
			f.take(f.last)
		case <-ticker.C:
			f.see(read(f.path))
		}
	}
}

func (f *configFile) see(now reading) {
	settled := now.same(f.last)
	f.last = now
	if settled && !now.same(f.applied) {
		f.take(now)
	}
}

func (f *configFile) take(now reading) {
	f.applied = now
	if err := f.apply(now); err != nil {
		f.log.Error("the configuration is refused; the one before stays in force", "file", f.path, "error", err.Error())
	}
}

// writeFirst writes a configuration with a fresh key where there is none. The whole file appears
// at once, and never in place of another.
func writeFirst(path string, log *slog.Logger) error {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	type proxy struct {
		AuthMode       keygate.AuthMode `json:"auth_mode"`
		AllowLANAccess bool             `json:"allow_lan_access"`
		APIKey         string           `json:"api_key"`
	}
	content, err := json.MarshalIndent(map[string]proxy{
		"proxy": {keygate.AllExceptHealth, false, keygate.GenerateKey().Reveal()},
	}, "", "  ")
	if err != nil {
		return err
	}
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	temporary, err := os.CreateTemp(folder, ".keygate-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name())
	_, err = temporary.Write(append(content, '\n'))
	if err = errors.Join(err, temporary.Sync(), temporary.Close()); err != nil {
		return err
	}
	if err := os.Link(temporary.Name(), path); err != nil {
		return err
	}
	log.Info("wrote a configuration with a fresh key", "file", path)
	return nil
}
