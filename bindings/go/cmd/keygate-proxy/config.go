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
	"os"
	"path/filepath"
	"time"

	"github.com/keygate/keygate/bindings/go"
)

const (
	maxConfig = 1 << 20 // bytes
	interval  = 100 * time.Millisecond
)

// configFile keeps the gate in step with a file.
type configFile struct {
	path string
	log  *slog.Logger
	gate keygate.Gate
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
	file := &configFile{path: path, log: log, applied: read(path)}
	if err := file.apply(file.applied); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return file, nil
}

func read(path string) reading {
	opened, err := os.Open(path)
	if err != nil {
		return reading{problem: err.Error()}
	}
	defer opened.Close()
	content, err := io.ReadAll(io.LimitReader(opened, maxConfig+1))
	if err != nil {
		return reading{problem: err.Error()}
	}
	if len(content) > maxConfig {
		return reading{problem: fmt.Sprintf("the file is longer than %d bytes", maxConfig)}
	}
	r := reading{content: content}
	if info, err := opened.Stat(); err == nil {
		r.mode = info.Mode()
	}
	return r
}

func (f *configFile) apply(r reading) error {
	if r.problem != "" {
		return errors.New(r.problem)
	}
	config, err := keygate.ParseConfig(r.content)
	if err != nil {
		return err
	}
	if err := f.gate.Reload(config); err != nil {
		return err
	}
	if r.mode.Perm()&0o077 != 0 {
		f.log.Warn("others can read the configuration and the keys in it; chmod 600 it", "file", f.path, "mode", r.mode.Perm().String())
	}
	f.log.Info("configuration in force", "file", f.path, "auth_mode", config.AuthMode.String(), "allow_lan_access", config.AllowLANAccess)
	return nil
}

// watch puts each change in force. The file is read over and over: that sees a rename, a write in
// place and a swapped link alike, on every file system. A change counts once two readings in a row
// agree, so that a file that is still being written does not.
func (f *configFile) watch(ctx context.Context) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			f.see(read(f.path))
		}
	}
}

func (f *configFile) see(now reading) {
	settled := now.same(f.last)
	f.last = now
	if !settled || now.same(f.applied) {
		return
	}
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
