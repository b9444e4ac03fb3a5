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
	maxFile     = 16 << 20 // bytes
	interval    = 100 * time.Millisecond
	keyVariable = "KEYGATE_API_KEY"
)

// errOpen says that a configuration would let everybody in, from anywhere.
var errOpen = errors.New("with this auth_mode (and allow_lan_access) nobody is asked for a key, and --listen is not a loopback address; " +
	"choose another auth_mode, listen on 127.0.0.1, or give --allow-open")

// configFile keeps the gate in step with a file, and with a key file where there is one.
type configFile struct {
	path string
	// keyPath is the key file, or "".
	keyPath string
	// key is the one key from elsewhere, where it is set.
	key  string
	log  *slog.Logger
	gate keygate.Gate
	// shut says that a policy in mode off is refused.
	shut bool
	// last are the readings before, and applied those that were put in force or refused.
	last, applied readings
}

// readings are what came of reading the files.
type readings struct {
	config, keys reading
}

func (r readings) same(other readings) bool {
	return r.config.same(other.config) && r.keys.same(other.keys)
}

// reading is what came of reading a file: its content, or why there is none.
type reading struct {
	content []byte
	problem string
	mode    fs.FileMode
}

func (r reading) same(other reading) bool {
	return r.problem == other.problem && bytes.Equal(r.content, other.content)
}

// fileError is what is wrong with one of the files.
type fileError struct {
	file string
	error
}

// start writes the file if there is none and puts it in force.
func (f *configFile) start() error {
	if _, err := keygate.New(keygate.Config{APIKey: keygate.NewSecret(f.key)}); err != nil {
		return fmt.Errorf("%s: %w", keyVariable, err)
	}
	if err := writeFirst(f.path, f.keyPath == "" && f.key == "", f.log); err != nil {
		return fmt.Errorf("--config: %w", err)
	}
	f.last = f.read()
	f.applied = f.last
	if refused := f.apply(f.last); refused != nil {
		return fmt.Errorf("%s: %w", refused.file, refused.error)
	}
	return nil
}

func (f *configFile) read() readings {
	now := readings{config: read(f.path)}
	if f.keyPath != "" {
		now.keys = read(f.keyPath)
	}
	return now
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
	content, err := io.ReadAll(io.LimitReader(opened, maxFile+1))
	if err != nil {
		return reading{problem: err.Error()}
	}
	if len(content) > maxFile {
		return reading{problem: fmt.Sprintf("the file is longer than %d bytes", maxFile)}
	}
	return reading{content: content, mode: info.Mode()}
}

func (f *configFile) apply(r readings) *fileError {
	var keys []keygate.Key
	elsewhere := keyVariable
	switch {
	case f.keyPath != "":
		elsewhere = "the file of --api-key-file"
		var err error
		if r.keys.problem != "" {
			err = errors.New(r.keys.problem)
		} else {
			keys, err = keygate.ParseKeyFile(r.keys.content)
		}
		if err != nil {
			return &fileError{f.keyPath, err}
		}
	case f.key != "":
		keys = []keygate.Key{{Key: keygate.NewSecret(f.key)}}
	}
	if r.config.problem != "" {
		return &fileError{f.path, errors.New(r.config.problem)}
	}
	policy, err := keygate.Parse(r.config.content, keys...)
	switch {
	case errors.Is(err, keygate.ErrKeysElsewhere):
		err = fmt.Errorf("%w (elsewhere is %s)", err, elsewhere)
	case err == nil && f.shut && open(policy):
		err = errOpen
	}
	if err != nil {
		file := f.path
		if f.keyPath != "" && errors.Is(err, keygate.ErrTooManyKeys) {
			file = f.keyPath
		}
		return &fileError{file, err}
	}
	f.gate.Swap(policy)
	f.warnOfReaders(f.path, r.config.mode)
	f.warnOfReaders(f.keyPath, r.keys.mode)
	for _, lint := range policy.Lints() {
		f.log.Warn(lint.Text(keygate.English), "lint", lint.String(), "file", f.path)
	}
	f.log.Info("configuration in force", "file", f.path, "auth_mode", policy.AuthMode().String(),
		"effective_mode", policy.EffectiveMode().String(), "keys", policy.KeyCount())
	return nil
}

func (f *configFile) warnOfReaders(path string, mode fs.FileMode) {
	if mode.Perm()&0o077 != 0 {
		f.log.Warn("others can read the file and the keys in it; chmod 600 it", "file", path, "mode", mode.Perm().String())
	}
}

// open says whether a policy lets everybody in.
func open(policy *keygate.Policy) bool { return policy.EffectiveMode() == keygate.Off }

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
			f.last = f.read()
			f.take(f.last)
		case <-ticker.C:
			f.see(f.read())
		}
	}
}

func (f *configFile) see(now readings) {
	settled := now.same(f.last)
	f.last = now
	if settled && !now.same(f.applied) {
		f.take(now)
	}
}

func (f *configFile) take(now readings) {
	f.applied = now
	if refused := f.apply(now); refused != nil {
		f.log.Error("the configuration is refused; the one before stays in force", "file", refused.file, "error", refused.Error())
	}
}

// writeFirst writes a configuration where there is none, with a fresh key unless keys are from
// elsewhere. The whole file appears at once, and never in place of another.
func writeFirst(path string, withKey bool, log *slog.Logger) error {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	proxy := struct {
		AuthMode       keygate.AuthMode `json:"auth_mode"`
		AllowLANAccess bool             `json:"allow_lan_access"`
		APIKey         string           `json:"api_key,omitempty"`
	}{AuthMode: keygate.AllExceptHealth}
	message := "wrote a configuration without a key"
	if withKey {
		proxy.APIKey = keygate.GenerateKey().Reveal()
		message = "wrote a configuration with a fresh key"
	}
	content, err := json.MarshalIndent(map[string]any{"proxy": proxy}, "", "  ")
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
	log.Info(message, "file", path)
	return nil
}
