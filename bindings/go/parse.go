package keygate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
)

// ParseError says where a configuration file cannot be read. It is ErrConfig for errors.Is, and
// repeats nothing that the file holds: any of it may be a key in the wrong place.
type ParseError struct {
	Line int
	// Field is the name of one of our fields, or "".
	Field   string
	Problem string
}

// Error gives the line, the field and the problem.
func (e *ParseError) Error() string {
	if e.Field == "" {
		return fmt.Sprintf("line %d: %s", e.Line, e.Problem)
	}
	return fmt.Sprintf("line %d: %s: %s", e.Line, e.Field, e.Problem)
}

// Unwrap gives ErrConfig.
func (e *ParseError) Unwrap() error { return ErrConfig }

// ParseConfig reads a JSON configuration: an object with auth_mode (which must be there),
// allow_lan_access, api_key, keys, sources and exempt, or an object that holds that one under
// "proxy". Other fields beside these are ignored, so that an application's own file loads as it
// is; a "proxy" further down is one of them. Each character of a string stands for one byte,
// U+0000 to U+00FF.
//
// The error is a *ParseError. What New refuses is not looked at here.
func ParseConfig(data []byte) (Config, error) {
	p := parser{data: data, json: json.NewDecoder(bytes.NewReader(data))}
	config, err := p.section(top)
	if err != nil {
		return Config{}, err
	}
	if _, err := p.json.Token(); err != io.EOF {
		return Config{}, p.fail("", "something follows after the object")
	}
	return config, nil
}

// UnmarshalJSON is ParseConfig.
func (c *Config) UnmarshalJSON(data []byte) error {
	config, err := ParseConfig(data)
	if err == nil {
		*c = config
	}
	return err
}

// top is what errors call the outermost object.
const top = "config"

// parser reads tokens: encoding/json takes names in any case, takes a field twice, and repeats
// values in its errors.
type parser struct {
	data []byte
	json *json.Decoder
}

func (p *parser) fail(field, problem string) error {
	line := 1 + bytes.Count(p.data[:p.json.InputOffset()], []byte{'\n'})
	return &ParseError{line, field, problem}
}

// token reads one that must be of type T.
func token[T any](p *parser, field, expected string) (T, error) {
	var none T
	read, err := p.json.Token()
	if err != nil {
		return none, p.fail("", "here or below, this is not JSON")
	}
	value, is := read.(T)
	if !is {
		return none, p.fail(field, expected)
	}
	return value, nil
}

// begin reads the bracket that opens.
func (p *parser) begin(bracket json.Delim, field, expected string) error {
	read, err := token[json.Delim](p, field, expected)
	if err == nil && read != bracket {
		err = p.fail(field, expected)
	}
	return err
}

// end reads the bracket that closes: json.Decoder takes no other here.
func (p *parser) end() error {
	_, err := token[json.Delim](p, "", "")
	return err
}

// object reads an object's fields, each at the most once where it is one that read knows.
func (p *parser) object(field, expected string, read func(name string) (known bool, err error)) error {
	if err := p.begin('{', field, expected); err != nil {
		return err
	}
	var seen []string
	for p.json.More() {
		name, err := token[string](p, field, expected)
		if err != nil {
			return err
		}
		twice := slices.Contains(seen, name)
		known, err := read(name)
		if err != nil {
			return err
		}
		if known && twice {
			return p.fail(name, "given twice")
		}
		seen = append(seen, name)
	}
	return p.end()
}

// list reads a list into its place. An empty one is not nil.
func list[T any](p *parser, field string, to *[]T, read func() (T, error)) error {
	const expected = "must be a list"
	if err := p.begin('[', field, expected); err != nil {
		return err
	}
	*to = []T{}
	for p.json.More() {
		item, err := read()
		if err != nil {
			return err
		}
		*to = append(*to, item)
	}
	return p.end()
}

func (p *parser) boolean(field string, to *bool) (err error) {
	*to, err = token[bool](p, field, "must be true or false")
	return err
}

func (p *parser) text(field string, to *string) error {
	text, err := token[string](p, field, "must be a string")
	if err != nil {
		return err
	}
	raw := make([]byte, 0, len(text))
	for _, character := range text {
		if character > 0xff {
			return p.fail(field, "holds a character beyond U+00FF; each character stands for a byte")
		}
		raw = append(raw, byte(character))
	}
	*to = string(raw)
	return nil
}

func (p *parser) secret(field string, to *Secret) error {
	var key string
	err := p.text(field, &key)
	*to = NewSecret(key)
	return err
}

func (p *parser) key() (key Key, err error) {
	const expected = `each entry must be {"key": "..."} or {"key": "...", "label": "..."}`
	err = p.object("keys", expected, func(name string) (bool, error) {
		switch name {
		case "key":
			return true, p.secret("keys: key", &key.Key)
		case "label":
			return true, p.text("keys: label", &key.Label)
		}
		return false, p.fail("keys", expected)
	})
	if err == nil && key.Key.text == nil {
		err = p.fail("keys", expected)
	}
	return key, err
}

func (p *parser) source() (source Source, err error) {
	const expected = `each entry must be {"name": "..."} or {"name": "...", "bearer": true}`
	named := false
	err = p.object("sources", expected, func(name string) (bool, error) {
		switch name {
		case "name":
			named = true
			return true, p.text("sources: name", &source.Name)
		case "bearer":
			return true, p.boolean("sources: bearer", &source.Bearer)
		}
		return false, p.fail("sources", expected)
	})
	if err == nil && !named {
		err = p.fail("sources", expected)
	}
	return source, err
}

func (p *parser) mode(to *AuthMode) error {
	name, err := token[string](p, "auth_mode", "must be a string")
	if err == nil && to.UnmarshalText([]byte(name)) != nil {
		err = p.fail("auth_mode", ErrMode.Error())
	}
	return err
}

func (p *parser) section(field string) (config Config, err error) {
	var wrapped *Config
	var chosen, own bool
	err = p.object(field, "must be an object", func(name string) (bool, error) {
		switch name {
		case "auth_mode":
			chosen, own = true, true
			return true, p.mode(&config.AuthMode)
		case "allow_lan_access":
			own = true
			return true, p.boolean(name, &config.AllowLANAccess)
		case "api_key":
			own = true
			return true, p.secret(name, &config.APIKey)
		case "keys":
			own = true
			return true, list(p, name, &config.Keys, p.key)
		case "sources":
			own = true
			return true, list(p, name, &config.Sources, p.source)
		case "exempt":
			own = true
			return true, list(p, name, &config.Exempt, func() (path string, err error) {
				err = p.text(name, &path)
				return path, err
			})
		case "proxy":
			if field == top {
				section, err := p.section(name)
				wrapped = &section
				return true, err
			}
		}
		var ignored json.RawMessage
		if p.json.Decode(&ignored) != nil {
			return false, p.fail("", "here or below, this is not JSON")
		}
		return false, nil
	})
	switch {
	case err != nil:
		return Config{}, err
	case wrapped != nil && own:
		return Config{}, p.fail("proxy", "given beside fields of the section itself; put all of them into proxy")
	case wrapped != nil:
		return *wrapped, nil
	case !chosen:
		return Config{}, p.fail(field, "auth_mode is missing; choose one")
	}
	return config, nil
}
