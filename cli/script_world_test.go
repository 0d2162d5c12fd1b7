package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/dlrloop/dlrloop/config"
	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/server"
	"github.com/dlrloop/dlrloop/simulator"
)

// world is the environment of a script: a simulated Sinch without faults, and possibly a running dlrloop.
type world struct {
	sinch *simulator.Simulator
	stop  func() // stops the running dlrloop
}

// worldKey is the key of a script's world in testscript's values.
type worldKey struct{}

// newWorld starts a simulator for a script. $SINCH is the URL of its API and $CONTROL of its control listener.
func newWorld(e *testscript.Env) error {
	sinch, err := simulator.New(simulator.Config{
		Plans: []simulator.Plan{
			{
				ID: "plan-a", Token: "tok-a", Secret: "sec-a",
				Groups: map[string][]string{"dxCJTlfb1UsF": {"447700900101", "447700900102"}},
			},
			{ID: "plan-b", Token: "tok-b"},
		},
		Calm: true, Pace: time.Millisecond, RetryUnit: 20 * time.Millisecond,
	})
	if err != nil {
		return err
	}
	api, control := httptest.NewServer(sinch.API()), httptest.NewServer(sinch.Control())
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- sinch.Run(ctx) }()
	e.Defer(func() {
		sinch.ClearFaults()
		api.Close()
		control.Close()
		stop()
		if err := <-ended; err != nil {
			panic(err)
		}
	})
	e.Setenv("SINCH", api.URL)
	e.Setenv("CONTROL", control.URL+"/control")
	e.Values[worldKey{}] = &world{sinch: sinch}
	return nil
}

// fill FILE... replaces variables in files by their values.
func fill(s *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		filled := os.Expand(s.ReadFile(name), s.Getenv)
		s.Check(os.WriteFile(s.MkAbs(name), []byte(filled), 0o600))
	}
}

// serves FILE runs dlrloop with a configuration until the script ends. $API is the URL of its private listener,
// $WEBHOOK that of its webhook.
func serves(s *testscript.TestScript, _ bool, args []string) {
	c, err := config.Load(s.MkAbs(args[0]), nil)
	s.Check(err)
	running, err := server.Start(context.Background(), c,
		server.Options{Version: "test", Log: slog.New(slog.DiscardHandler)})
	s.Check(err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- running.Run(ctx) }()
	w := s.Value(worldKey{}).(*world)
	w.stop = sync.OnceFunc(func() {
		stop()
		s.Check(<-ended)
	})
	s.Defer(w.stop)
	s.Setenv("API", "http://"+running.PrivateAddr().String())
	s.Setenv("WEBHOOK", "http://"+running.PublicAddr().String()+"/webhooks/plan-a")
}

// stops shuts the running dlrloop down.
func stops(s *testscript.TestScript, _ bool, _ []string) { s.Value(worldKey{}).(*world).stop() }

// callbacks [URL] sets the callback URL of plan-a, or removes it.
func callbacks(s *testscript.TestScript, _ bool, args []string) {
	s.Check(s.Value(worldKey{}).(*world).sinch.SetCallbackURL("plan-a", strings.Join(args, "")))
}

// control PATH JSON sends a request to the simulator's control listener.
func control(s *testscript.TestScript, _ bool, args []string) {
	response, err := http.Post(s.Getenv("CONTROL")+args[0], "application/json", strings.NewReader(args[1]))
	s.Check(err)
	defer response.Body.Close()
	if response.StatusCode/100 != 2 {
		s.Fatalf("control: %s", response.Status)
	}
}

// sql STATEMENT executes a statement in the script's database.
func sql(s *testscript.TestScript, _ bool, args []string) {
	connection, err := pgx.Connect(context.Background(), s.Getenv("DATABASE"))
	s.Check(err)
	defer connection.Close(context.Background())
	_, err = connection.Exec(context.Background(), args[0])
	s.Check(err)
}

// calm removes all faults of the simulator.
func calm(s *testscript.TestScript, _ bool, _ []string) {
	s.Value(worldKey{}).(*world).sinch.ClearFaults()
}

// keep NAME REGEXP sets a variable to the first group of the match in stdout.
func keep(s *testscript.TestScript, _ bool, args []string) {
	found := regexp.MustCompile(args[1]).FindStringSubmatch(s.ReadFile("stdout"))
	if found == nil {
		s.Fatalf("stdout has no %s", args[1])
	}
	s.Setenv(args[0], found[1])
}

// until REGEXP COMMAND... repeats a command until its stdout matches.
func until(s *testscript.TestScript, _ bool, args []string) {
	wanted := regexp.MustCompile("(?m)" + args[0])
	deadline := time.Now().Add(30 * time.Second)
	for {
		err := s.Exec(args[1], args[2:]...)
		if err == nil && wanted.MatchString(s.ReadFile("stdout")) {
			return
		}
		if time.Now().After(deadline) {
			s.Fatalf("stdout never matched %s (the last run returned %v)", args[0], err)
		}
	}
}

// plain FILE writes stdout to a file and replaces every batch id and every time by a constant.
func plain(s *testscript.TestScript, _ bool, args []string) {
	shown := s.ReadFile("stdout")
	shown = regexp.MustCompile(`[0-9A-HJKMNP-TV-Z]{26}`).ReplaceAllString(shown, "BATCHBATCHBATCHBATCHBATCHB")
	shown = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z`).ReplaceAllString(shown,
		"2026-01-02T03:04:05.678Z")
	s.Check(os.WriteFile(s.MkAbs(args[0]), []byte(shown), 0o600))
}

// exits CODE COMMAND... runs a command and checks its exit code, and with --json its output.
func exits(s *testscript.TestScript, _ bool, args []string) {
	err := s.Exec(args[1], args[2:]...)
	code := 0
	if err != nil {
		failed, ok := err.(interface{ ExitCode() int })
		if !ok {
			s.Fatalf("%s: %s", args[1], err)
		}
		code = failed.ExitCode()
	}
	if want := args[0]; want != fmt.Sprint(code) {
		s.Fatalf("%s exits with %d, not %s", args[1], code, want)
	}
	if slices.Contains(args, "--json") {
		s.Check(checkDocuments(s.ReadFile("stdout")))
	}
}

// checkDocuments returns an error unless every line of stdout is a JSON document without repeated members and white
// space.
func checkDocuments(stdout string) error {
	for line := range strings.Lines(stdout) {
		once, err := dlr.Unique([]byte(line))
		if err == nil && len(once) < len(strings.TrimSpace(line)) {
			err = errors.New("the document repeats a member, or has white space between members")
		}
		if err != nil {
			return fmt.Errorf("%.300s: %w", line, err)
		}
	}
	return nil
}
