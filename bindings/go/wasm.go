//go:build !cgo || !linux || !amd64 || keygate_wasm

package keygate

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/binary"
	"fmt"
	"runtime"
	"sync"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// The library as WebAssembly, which wazero runs: where archive.go is not built. A policy is in Go's memory,
// as it is there. For a call it is lent to an instance of the module, with whatever else the call is about,
// and all of that is wiped from the instance's memory afterwards.

//go:embed keygate.wasm
var library []byte

const (
	page = 1 << 16
	// most is what an instance's memory may grow to: a call that needs more is denied or an error.
	most = 1024 * page
	// kept is how large that of an instance may be that is used again.
	kept = 16 * page
)

type (
	storage     struct{ opaque [sizeofPolicy]byte }
	configError [sizeofConfigError]byte
	// outcome has the fields of a keygate_decision by their own names.
	outcome struct {
		verdict, reason, effective_mode, source, key int32
		flags                                        uint32
	}
	// place is an address in an instance's memory.
	place = uint32
)

// function is one that the module exports.
type function int

const (
	abiVersionOf function = iota
	versionOf
	nameOfMode
	parseOfMode
	nameOfReason
	textOfReason
	nameOfFinding
	textOfFinding
	nameOfLint
	textOfLint
	nameOfStatus
	textOfStatus
	nameOfField
	textOfError
	configInit
	policyInit
	policyParse
	firstDecides
	nameLengths
	identityHeader
	authMode
	effectiveMode
	lintsOf
	wantedCount
	wantedName
	sourceName
	keyCount
	keyLabel
	keyFileBegin
	keyFileNext
	keyFileEnd
	decide
	dropsOf
	bodyOfDenial
	headerOfDenial
	explainOf
	findingsOf
	generate
	functions
)

var names = [functions]string{
	abiVersionOf: "abi_version", versionOf: "version", nameOfMode: "mode_name", parseOfMode: "mode_parse",
	nameOfReason: "reason_name", textOfReason: "reason_text", nameOfFinding: "finding_name", textOfFinding: "finding_text",
	nameOfLint: "lint_name", textOfLint: "lint_text", nameOfStatus: "status_name", textOfStatus: "status_text",
	nameOfField: "field_name", textOfError: "config_error_text", configInit: "config_init", policyInit: "policy_init",
	policyParse: "policy_parse", firstDecides: "policy_first_decides", nameLengths: "policy_name_lengths",
	identityHeader: "policy_identity_header", authMode: "policy_auth_mode", effectiveMode: "policy_effective_mode",
	lintsOf: "lints", wantedCount: "policy_wanted_count", wantedName: "policy_wanted_name",
	sourceName: "policy_source_name", keyCount: "policy_key_count", keyLabel: "policy_key_label",
	keyFileBegin: "key_file_begin", keyFileNext: "key_file_next", keyFileEnd: "key_file_end", decide: "decide",
	dropsOf: "policy_drops", bodyOfDenial: "denial_body", headerOfDenial: "denial_header", explainOf: "explain",
	findingsOf: "findings", generate: "generate_key",
}

// compiled is the library as the machine's own code.
type compiled struct {
	wazero.Runtime
	wazero.CompiledModule
}

// module compiles it at the first call.
var module = sync.OnceValues(compile)

func compile() (c compiled, err error) {
	c.Runtime = wazero.NewRuntimeWithConfig(context.Background(), wazero.NewRuntimeConfig().WithMemoryLimitPages(most/page))
	c.CompiledModule, err = c.CompileModule(context.Background(), library)
	return c, err
}

// instances are those that no call uses. No more are kept, and no call waits for one.
var instances = make(chan *instance, 2*runtime.GOMAXPROCS(0))

// instance is the module with a memory of its own. It belongs to one call of this package at a time.
type instance struct {
	module    api.Module
	functions [functions]api.Function
	// bytes are all of the memory: first what is the module's own, from start on what calls are about,
	// and that reaches up to end.
	bytes      []byte
	start, end place
	// policy is where the policy is, at start, or 0 where the call has none.
	policy place
	stack  [8]uint64
	// failed is ok, or why no more calls are made. Whatever they would have answered is a deny.
	failed Status
}

func newInstance() *instance {
	i := &instance{failed: keygateErrState}
	c, err := module()
	if err != nil {
		return i
	}
	// Without a name, so that there can be many.
	i.module, err = c.InstantiateModule(context.Background(), c.CompiledModule, wazero.NewModuleConfig().WithName(""))
	if err != nil {
		return i
	}
	for f, name := range names {
		i.functions[f] = i.module.ExportedFunction("keygate_" + name)
	}
	i.look()
	i.start, i.failed = place(len(i.bytes)), ok
	i.end = i.start
	return i
}

func (i *instance) look() { i.bytes, _ = i.module.Memory().Read(0, i.module.Memory().Size()) }

// lend gives an instance, with the policy, where there is one, in its memory.
func lend(s *storage) *instance {
	var i *instance
	select {
	case i = <-instances:
	default:
		i = newInstance()
	}
	at := i.take(sizeofPolicy)
	if i.policy = 0; s != nil && i.failed == ok {
		i.policy = at
		copy(i.bytes[at:], s.opaque[:])
	}
	return i
}

// release wipes what the call was about. A memory that has grown is not kept, nor is one that something
// went wrong in.
func (i *instance) release() {
	if i.failed == ok && len(i.bytes) <= kept {
		clear(i.bytes[i.start:i.end])
		i.end = i.start
		select {
		case instances <- i:
			return
		default:
		}
	}
	if clear(i.bytes); i.module != nil {
		_ = i.module.Close(context.Background()) // the runtime knows it, so that it is not collected before
	}
}

// take gives room for so many bytes, which are zero.
func (i *instance) take(size int) place {
	if i.failed == ok && size > most-int(i.end) {
		i.failed = keygateErrLength
	}
	if i.failed != ok {
		return 0
	}
	at := i.end
	i.end = (at + place(size) + 7) &^ 7
	if more := int(i.end) - len(i.bytes); more > 0 {
		before := i.bytes
		if _, grown := i.module.Memory().Grow(uint32(more+page-1) / page); !grown {
			i.failed, i.end = keygateErrLength, at
			return 0
		}
		if i.look(); &before[0] != &i.bytes[0] {
			clear(before) // it has moved
		}
	}
	return at
}

func (i *instance) word(at place, number uint32) {
	if i.failed == ok {
		binary.LittleEndian.PutUint32(i.bytes[at:], number)
	}
}

func (i *instance) number(at place) uint32 {
	if i.failed != ok {
		return 0
	}
	return binary.LittleEndian.Uint32(i.bytes[at:])
}

// lay writes a keygate_str for a text.
func lay[T string | []byte](i *instance, at place, text T) {
	if len(text) > 0 {
		where := i.take(len(text))
		if i.failed == ok {
			copy(i.bytes[where:], text)
		}
		i.word(at+atStrPtr, where)
		i.word(at+atStrLen, uint32(len(text)))
	}
}

// str reads a keygate_str.
func (i *instance) str(at place) string {
	from := i.number(at + atStrPtr)
	return string(i.bytes[from : from+i.number(at+atStrLen)])
}

// call calls a function. Without an instance that works, the answer is 0.
func (i *instance) call(f function, arguments ...uint32) uint64 {
	if i.failed != ok {
		return 0
	}
	for n, argument := range arguments {
		i.stack[n] = uint64(argument)
	}
	if i.functions[f].CallWithStack(context.Background(), i.stack[:]) != nil {
		i.failed = keygateErrState
		return 0
	}
	return i.stack[0]
}

// said reads a text that ends in NUL, which a function returns.
func (i *instance) said(f function, arguments ...uint32) string {
	from := i.call(f, arguments...)
	if i.failed != ok {
		return ""
	}
	text, _, _ := bytes.Cut(i.bytes[from:], []byte{0})
	return string(text)
}

// returned reads a keygate_str that a function about the policy returns.
func (i *instance) returned(f function, arguments ...uint32) string {
	at := i.take(sizeofStr)
	i.call(f, append([]uint32{at, i.policy}, arguments...)...)
	return i.str(at)
}

// written gives a text that a function writes as snprintf does.
func (i *instance) written(f function, arguments ...uint32) string {
	size := uint32(i.call(f, append(arguments, 0, 0)...)) + 1
	buffer := i.take(int(size))
	i.call(f, append(arguments, buffer, size)...)
	if i.failed != ok {
		return ""
	}
	return string(i.bytes[buffer : buffer+size-1])
}

// says is said of an instance for this one call.
func says(f function, arguments ...uint32) string {
	i := lend(nil)
	defer i.release()
	return i.said(f, arguments...)
}

// usable says what is wrong with the library.
func usable() error {
	if _, err := module(); err != nil {
		return fmt.Errorf("%w: keygate.wasm: %w", ErrConfig, err)
	}
	i := lend(nil)
	defer i.release()
	if v := i.call(abiVersionOf); v != keygateAbiVersion {
		return fmt.Errorf("%w: the library has interface %d, this package needs %d", ErrConfig, v, keygateAbiVersion)
	}
	return nil
}

func version() string { return says(versionOf) }

func modeName(m AuthMode) string { return says(nameOfMode, uint32(m)) }

func parseMode(name string) (AuthMode, Status) {
	i := lend(nil)
	defer i.release()
	text, mode := i.take(sizeofStr), i.take(4)
	lay(i, text, name)
	status := i.status(i.call(parseOfMode, text, mode))
	return AuthMode(i.number(mode)), status
}

func reasonName(r Reason) string               { return says(nameOfReason, uint32(r)) }
func reasonText(r Reason, l Language) string   { return says(textOfReason, uint32(r), uint32(l)) }
func findingName(f Finding) string             { return says(nameOfFinding, uint32(f)) }
func findingText(f Finding, l Language) string { return says(textOfFinding, uint32(f), uint32(l)) }
func lintName(l Lint) string                   { return says(nameOfLint, uint32(l)) }
func lintText(lint Lint, l Language) string    { return says(textOfLint, uint32(lint), uint32(l)) }
func statusName(s Status) string               { return says(nameOfStatus, uint32(s)) }
func statusText(s Status, l Language) string   { return says(textOfStatus, uint32(s), uint32(l)) }

// status is what a function that sets something up returned.
func (i *instance) status(returned uint64) Status {
	if i.failed != ok {
		return i.failed
	}
	return Status(int32(returned))
}

func (e *configError) number(at place) uint32 { return binary.LittleEndian.Uint32(e[at:]) }

// set fills in what is not the library's to say.
func (e *configError) set(err *ConfigError) {
	err.Field = says(nameOfField, e.number(atConfigErrorField))
	err.Index = int(int32(e.number(atConfigErrorIndex))) // SIZE_MAX is -1
	err.Line, err.Column = int(e.number(atConfigErrorLine)), int(e.number(atConfigErrorColumn))
}

func (e *configError) text(l Language) string {
	i := lend(nil)
	defer i.release()
	at := i.take(sizeofConfigError)
	if i.failed == ok {
		copy(i.bytes[at:], e[:])
	}
	return i.written(textOfError, at, uint32(l))
}

// out is where a function writes a configError, and take takes it from there.
func (e *configError) out(i *instance) place {
	at := i.take(sizeofConfigError)
	i.word(at+atConfigErrorSize, sizeofConfigError)
	return at
}

func (e *configError) take(i *instance, at place, status Status) Status {
	if i.failed == ok {
		copy(e[:], i.bytes[at:])
	} else { // it was not asked
		binary.LittleEndian.PutUint32(e[atConfigErrorSize:], sizeofConfigError)
		binary.LittleEndian.PutUint32(e[atConfigErrorStatus:], uint32(status))
		binary.LittleEndian.PutUint32(e[atConfigErrorIndex:], ^uint32(0))
	}
	return status
}

func generateKey(random [16]byte) string {
	i := lend(nil)
	defer i.release()
	from, buffer := i.take(len(random)), i.take(keygateGeneratedKeySize)
	if i.failed == ok {
		copy(i.bytes[from:], random[:])
	}
	n := place(i.call(generate, from, buffer, keygateGeneratedKeySize))
	return string(i.bytes[buffer : buffer+n])
}

// list lends a list: its address and its length.
func list[T any](i *instance, at place, size int, from []T, fill func(at place, item T)) {
	if len(from) == 0 {
		return
	}
	first := i.take(size * len(from))
	for n, item := range from {
		fill(first+place(size*n), item)
	}
	i.word(at, first)
	i.word(at+4, uint32(len(from)))
}

func (i *instance) keys(at place, keys []Key) {
	list(i, at, sizeofKey, keys, func(at place, key Key) {
		lay(i, at+atKeySecret, key.Key.Reveal())
		lay(i, at+atKeyLabel, key.Label)
	})
}

func initialise(s *storage, c Config, err *configError) Status {
	i := lend(s)
	defer i.release()
	config, out := i.take(sizeofConfig), err.out(i)
	i.call(configInit, config, sizeofConfig)
	i.word(config+atConfigAuthMode, uint32(c.AuthMode))
	i.word(config+atConfigFlags, c.flags())
	lay(i, config+atConfigApiKey, c.APIKey.Reveal())
	i.keys(config+atConfigKeys, c.Keys)
	list(i, config+atConfigSources, sizeofSource, c.Sources, func(at place, source Source) {
		lay(i, at+atSourceName, source.Name)
		lay(i, at+atSourceScheme, source.Scheme)
		i.word(at+atSourceFlags, source.flags())
	})
	list(i, config+atConfigExempt, sizeofStr, c.Exempt, func(at place, path string) { lay(i, at, path) })
	i.word(config+atConfigMatch, uint32(c.Match))
	i.word(config+atConfigPreflight, uint32(c.Preflight))
	i.word(config+atConfigStrip, uint32(c.Strip))
	lay(i, config+atConfigIdentityHeader, c.IdentityHeader)
	lay(i, config+atConfigAllowOrigin, c.AllowOrigin)
	return i.made(s, err, out, i.call(policyInit, i.policy, sizeofPolicy, config, out))
}

func parse(s *storage, json []byte, keys []Key, err *configError) Status {
	i := lend(s)
	defer i.release()
	text, lent, out := i.take(sizeofStr), i.take(8), err.out(i)
	lay(i, text, json)
	if i.keys(lent, keys); keys != nil && len(keys) == 0 {
		i.word(lent, i.take(sizeofKey))
	}
	return i.made(s, err, out, i.call(policyParse, i.policy, sizeofPolicy, text, i.number(lent), i.number(lent+4), out))
}

// made takes the policy back that was made.
func (i *instance) made(s *storage, err *configError, out place, returned uint64) Status {
	status := err.take(i, out, i.status(returned))
	if status == ok {
		copy(s.opaque[:], i.bytes[i.policy:])
	}
	return status
}

func readKeyFile(text []byte, err *configError) ([]Key, Status) {
	i := lend(nil)
	defer i.release()
	str, file, key, out := i.take(sizeofStr), i.take(sizeofKeyFile), i.take(sizeofKey), err.out(i)
	lay(i, str, text)
	i.call(keyFileBegin, file, sizeofKeyFile, str)
	keys := []Key{}
	for i.call(keyFileNext, file, key) != 0 {
		keys = append(keys, Key{NewSecret(i.str(key + atKeySecret)), i.str(key + atKeyLabel)})
	}
	return keys, err.take(i, out, i.status(i.call(keyFileEnd, file, out)))
}

func wipe(s *storage) { clear(s.opaque[:]) }

// look reads what is always so of a policy.
func (m *made) look(err *configError) Status {
	i := lend(m.storage)
	defer i.release()
	number := func(f function) uint32 { return uint32(i.call(f, i.policy)) }
	m.lengths = i.call(nameLengths, i.policy)
	m.firstDecides = number(firstDecides) != 0
	m.identity = i.returned(identityHeader)
	m.authMode, m.effectiveMode = AuthMode(number(authMode)), AuthMode(number(effectiveMode))
	m.lints = number(lintsOf)
	for n := range number(wantedCount) {
		m.want(i.returned(wantedName, n))
	}
	for n := uint32(0); ; n++ {
		name := i.returned(sourceName, n)
		if name == "" {
			break
		}
		m.sources = append(m.sources, name)
	}
	for n := range number(keyCount) {
		m.labels = append(m.labels, i.returned(keyLabel, n))
	}
	if i.failed != ok {
		return err.take(i, 0, i.failed)
	}
	return ok
}

func decideFirst(s *storage, method, target string, count int, name, value string, d *outcome) {
	i := lend(s)
	request := i.take(sizeofRequest)
	if count > 0 {
		header := i.take(sizeofHeader)
		lay(i, header+atHeaderName, name)
		lay(i, header+atHeaderValue, value)
		i.word(request+atRequestHeaders, header)
		i.word(request+atRequestHeaderCount, 1)
	}
	i.request(request, method, target)
	*d = i.decided(request)
	i.release()
}

func decideWhole(s *storage, r *request) outcome {
	i := lend(s)
	defer i.release()
	return i.decided(r.put(i))
}

// request fills in what is not the headers'.
func (i *instance) request(at place, method, target string) {
	i.word(at+atRequestSize, sizeofRequest)
	lay(i, at+atRequestMethod, method)
	lay(i, at+atRequestTarget, target)
}

func (r *request) put(i *instance) place {
	at := i.take(sizeofRequest)
	list(i, at+atRequestHeaders, sizeofHeader, r.fields, func(at place, field [2]string) {
		lay(i, at+atHeaderName, field[0])
		lay(i, at+atHeaderValue, field[1])
	})
	i.request(at, r.method, r.target)
	return at
}

func (i *instance) decided(request place) outcome {
	at := i.take(sizeofDecision)
	i.word(at+atDecisionSize, sizeofDecision)
	i.call(decide, i.policy, request, at)
	if i.failed != ok {
		return outcome{reason: keygateReasonInvalidCall, source: -1, key: -1}
	}
	number := func(field place) int32 { return int32(i.number(at + field)) }
	return outcome{
		verdict: number(atDecisionVerdict), reason: number(atDecisionReason), effective_mode: number(atDecisionEffectiveMode),
		source: number(atDecisionSource), key: number(atDecisionKey), flags: i.number(at + atDecisionFlags),
	}
}

func (d Decision) c() outcome {
	decision := outcome{reason: int32(d.Reason), effective_mode: int32(d.EffectiveMode)}
	if d.Allow {
		decision.verdict = keygateAllow
	}
	return decision
}

func (d outcome) put(i *instance) place {
	at := i.take(sizeofDecision)
	i.word(at+atDecisionSize, sizeofDecision)
	i.word(at+atDecisionVerdict, uint32(d.verdict))
	i.word(at+atDecisionReason, uint32(d.reason))
	i.word(at+atDecisionEffectiveMode, uint32(d.effective_mode))
	return at
}

func drops(s *storage, d outcome, name, value string) bool {
	i := lend(s)
	decision, field := d.put(i), i.take(sizeofHeader)
	lay(i, field+atHeaderName, name)
	lay(i, field+atHeaderValue, value)
	dropped := i.call(dropsOf, i.policy, decision, field+atHeaderName, field+atHeaderValue) != 0 || i.failed != ok
	i.release()
	return dropped
}

func denialBody(d outcome) string {
	i := lend(nil)
	defer i.release()
	return i.said(bodyOfDenial, d.put(i))
}

func denialHeaders(s *storage, d outcome, add func(name, value string)) {
	i := lend(s)
	defer i.release()
	decision, header := d.put(i), i.take(sizeofHeader)
	for n := uint32(0); i.call(headerOfDenial, i.policy, decision, n, header) != 0; n++ {
		add(i.str(header+atHeaderName), i.str(header+atHeaderValue))
	}
}

func explain(s *storage, r *request, l Language) string {
	i := lend(s)
	defer i.release()
	return i.written(explainOf, i.policy, r.put(i), uint32(l))
}

func findings(s *storage, r *request) uint32 {
	i := lend(s)
	defer i.release()
	return uint32(i.call(findingsOf, i.policy, r.put(i)))
}
