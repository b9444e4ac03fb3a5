// Command keygate-proxy is a reverse proxy that lets only requests with a right API key pass.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/keygate/keygate/bindings/go"
)

const (
	usageStatus     = 2
	shutdownTimeout = 8 * time.Second
	idleTimeout     = 120 * time.Second
	// requestTimeout is for a request's headers, and for all of a request that is not forwarded.
	requestTimeout = 10 * time.Second
	maxHeaders     = 256 << 10 // bytes
)

type options struct {
	config    string
	keyFile   string
	key       string
	upstream  *url.URL
	listen    string
	allowOpen bool
	explain   bool
}

func usage(flags *flag.FlagSet) {
	fmt.Fprint(flags.Output(), `Usage: keygate-proxy --upstream URL [--config FILE] [--api-key-file FILE] [--listen ADDR] [--allow-open] [--explain]

Forwards requests that carry a right API key to URL, and answers the others with 401.
The files are read again when they change, and at SIGHUP. If there is no configuration, one is
written with a fresh key.

The keys are in the configuration, in the file of --api-key-file, or one is in the environment
variable KEYGATE_API_KEY: in one of these places, and not in two.

`)
	flags.PrintDefaults()
}

// parse reads the command line. Its errors repeat no argument: one may hold a password.
func parse(arguments []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("keygate-proxy", flag.ContinueOnError)
	flags.Usage = func() { usage(flags) }
	flags.StringVar(&o.config, "config", defaultConfig(), "the configuration, JSON, in `FILE`")
	flags.StringVar(&o.keyFile, "api-key-file", "", "the keys, in `FILE`: one a line, each with \" label=NAME\" behind it or not")
	upstream := flags.String("upstream", "", "where to forward to, an http or https `URL`, with a path in front or not")
	flags.StringVar(&o.listen, "listen", "127.0.0.1:8045", "the `ADDR`ess to listen on, HOST:PORT; port 0 takes a free one")
	flags.BoolVar(&o.allowOpen, "allow-open", false, "listen elsewhere than on the loopback interface with a configuration that asks nobody for a key")
	flags.BoolVar(&o.explain, "explain", false, "log the codes of the explanation of each decision")
	version := flags.Bool("version", false, "print the version and exit")
	if err := flags.Parse(arguments); err != nil {
		return o, err
	}
	if *version {
		fmt.Println("keygate-proxy", keygate.Version())
		return o, flag.ErrHelp
	}
	o.key = os.Getenv(keyVariable)
	var err error
	switch o.upstream, err = url.Parse(*upstream); {
	case flags.NArg() > 0:
		err = errors.New("there are arguments that are no flags")
	case *upstream == "":
		err = errors.New("--upstream is missing; give the URL to forward to")
	case err != nil, o.upstream.Scheme != "http" && o.upstream.Scheme != "https", o.upstream.Hostname() == "",
		o.upstream.User != nil, o.upstream.RawQuery != "", o.upstream.Fragment != "":
		err = errors.New("--upstream must be http://HOST[:PORT][/PATH] or https://..., without a user, a query or a fragment")
	case o.config == "":
		err = errors.New("--config is missing, and this system has no place for it")
	case o.keyFile != "" && o.key != "":
		err = errors.New("--api-key-file and " + keyVariable + " both say which keys there are; give one of them")
	}
	if err != nil {
		fmt.Fprintf(flags.Output(), "keygate-proxy: %v\n", err)
		usage(flags)
	}
	return o, err
}

func defaultConfig() string {
	folder, err := os.UserConfigDir()
	if err != nil {
		return ""
	}
	return filepath.Join(folder, "keygate", "proxy.json")
}

func main() {
	o, err := parse(os.Args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		os.Exit(usageStatus)
	}
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	if err := run(o, log); err != nil {
		log.Error("keygate-proxy stops", "error", err.Error())
		os.Exit(1)
	}
}

func run(o options, log *slog.Logger) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	file := &configFile{path: o.config, keyPath: o.keyFile, key: o.key, log: log}
	if err := file.start(); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", o.listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	if err := file.listensOn(listener.Addr(), o.allowOpen); err != nil {
		return errors.Join(err, listener.Close())
	}
	go file.watch(ctx, hangup)
	server := &http.Server{
		Handler: &keygate.Handler{
			Gate:       &file.gate,
			Next:       newForwarder(o.upstream, log),
			OnDecision: decisionLogger(log, o.explain),
		},
		ReadTimeout:    requestTimeout, // lifted for what is forwarded
		IdleTimeout:    idleTimeout,
		MaxHeaderBytes: maxHeaders,
		ErrorLog:       slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		// Else OPTIONS * would be answered without the gate's word.
		DisableGeneralOptionsHandler: true,
	}
	log.Info("listening", "address", listener.Addr().String(), "upstream", o.upstream.Redacted())
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	stop() // a second signal ends it at once
	log.Info("shutting down", "timeout", shutdownTimeout.String())
	deadline, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	if err := server.Shutdown(deadline); err != nil {
		return server.Close() // what still streams is cut
	}
	return nil
}

// decisionLogger logs which rule decided. Neither target nor header is logged: each may hold a
// key, and so may a method that is none of the usual. What does not apply is left out.
func decisionLogger(log *slog.Logger, explain bool) func(*http.Request, *keygate.Policy, keygate.Decision) {
	usual := []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"}
	return func(r *http.Request, policy *keygate.Policy, d keygate.Decision) {
		level, verdict := slog.LevelInfo, "deny"
		if d.Allow {
			verdict = "allow"
		} else if d.Reason == keygate.NoKeyConfigured || d.Reason == keygate.InvalidCall {
			level = slog.LevelError
		}
		method := "(other)"
		if slices.Contains(usual, r.Method) {
			method = r.Method
		}
		attributes := []slog.Attr{
			slog.String("verdict", verdict),
			slog.String("reason", d.Reason.String()),
			slog.String("effective_mode", d.EffectiveMode.String()),
			slog.String("method", method),
			slog.String("client", r.RemoteAddr),
		}
		if d.Source != "" {
			attributes = append(attributes, slog.String("source", d.Source))
		}
		if d.Reason == keygate.KeyMatched {
			attributes = append(attributes, slog.Int("key_index", d.Key))
		}
		if d.KeyLabel != "" {
			attributes = append(attributes, slog.String("key_label", d.KeyLabel))
		}
		if explain {
			var names []string
			for _, finding := range policy.FindingsRequest(r) {
				names = append(names, finding.String())
			}
			attributes = append(attributes, slog.String("findings", strings.Join(names, ",")))
		}
		log.LogAttrs(r.Context(), level, d.Reason.Text(keygate.English), attributes...)
	}
}
