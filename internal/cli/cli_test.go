package cli_test

import (
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tuoguan/tuoguan/internal/cli"
	"github.com/tuoguan/tuoguan/internal/services/servicetest"
	"github.com/tuoguan/tuoguan/simulator"
	"github.com/tuoguan/tuoguan/simulator/simtest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"tuoguan": func() {
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			os.Exit(cli.Main(ctx, cli.Process{Args: os.Args[1:], Environ: os.Environ(), Stdout: os.Stdout, Stderr: os.Stderr}))
		},
	})
}

const apiKey = "0123456789abcdef0123456789abcdef"

// TestScripts runs the commands as a user would, against the simulator. Beside the
// usual commands of testscript there are:
//
//	exits CODE COMMAND…   runs it and demands the exit code
//	answers URL           waits until the address answers 200
//	ticket                has WeChat push a verify ticket
//	fill                  has it push tickets until one is not taken
//	says URL STATUS TEXT  demands an answer
//	lacks URL TEXT        waits until an answer does not have the text
//	damage FILE           changes a byte in the middle
//	scan FILE             opens the link in the file and authorizes; sets $ACCOUNT
//	example LANGUAGE FILE COMMAND…
//	                      runs the program in the language of docs/examples.md
//	                      under an API key of its own, if there is the command
//	receiver              sets $RECEIVER to the address of a receiver of webhooks
//	                      that takes those to /good and no others
//	until TEXT COMMAND…   runs it again until its output has the text
//	subid                 sets $SUBSCRIPTION to the first id of one that was printed
//	keyid FILE            sets $KEY to the id of the API key in the file
func TestScripts(t *testing.T) {
	t.Parallel()
	run(t, "testdata", nil)
}

// TestDatabases runs scripts on databases that several servers share.
func TestDatabases(t *testing.T) {
	t.Parallel()
	for name, database := range map[string]func(testing.TB, ...string) string{
		"postgres": servicetest.Postgres, "mysql": servicetest.MariaDB,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, "testdata/shared", map[string]string{
				"STORAGE": database(t), "OTHER": database(t),
				"UNREACHABLE": name + "://user:canary-password@127.0.0.1:1/database",
			})
		})
	}
}

func run(t *testing.T, dir string, variables map[string]string) {
	sim := simtest.Start(t, simulator.Config{Seed: 1})
	docs, err := filepath.Abs("../../docs")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 dir,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			for name, value := range variables {
				env.Setenv(name, value)
			}
			env.Setenv("DOCS", docs)
			return prepare(env, sim)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":   exits,
			"answers": answers,
			"ticket": func(ts *testscript.TestScript, _ bool, _ []string) {
				result, err := sim.PushTicket(context.Background(), ts.Getenv("COMPONENT"))
				ts.Check(err)
				if !result.Accepted {
					ts.Fatalf("the ticket was answered %+v", result.Attempts)
				}
			},
			"fill":     func(ts *testscript.TestScript, _ bool, _ []string) { fill(ts, sim) },
			"says":     says,
			"lacks":    lacks,
			"damage":   damage,
			"example":  example,
			"keyid":    keyID,
			"subid":    subscriptionID,
			"until":    until,
			"receiver": receiver,
			"scan":     func(ts *testscript.TestScript, _ bool, args []string) { scan(ts, sim, args) },
		},
	})
}

// prepare gives a script ports, a component of the simulator and a configuration.
func prepare(env *testscript.Env, sim *simtest.Sim) error {
	ports := make([]string, 3)
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		defer func() { _ = l.Close() }()
		ports[i] = l.Addr().String()
	}
	component := simtest.Component(env.WorkDir, "http://"+ports[0])
	if _, err := sim.AddComponent(component); err != nil {
		return err
	}
	env.Setenv("PUBLIC", "http://"+ports[0])
	env.Setenv("ADMIN", "http://"+ports[1])
	env.Setenv("GATEWAY", "http://"+ports[2])
	env.Setenv("SIM", sim.URL)
	env.Setenv("COMPONENT", component.AppID)
	env.Setenv("SECRET", component.Secret)
	env.Setenv("HOME", env.WorkDir)
	text := fmt.Sprintf(`public: {listen: %q, base_url: %q}
admin: {listen: %q}
gateway: {listen: %q}
storage: sqlite://%s/data/tuoguan.db
master_key_file: %s/master.key
wechat: {api_base_urls: [%q], mp_base_url: %[7]q, open_base_url: %[7]q}
bootstrap:
  api_key_file: %[8]s/api.key
  components:
    - {appid: %[9]s, secret_file: %[8]s/secret, token: %[10]q, encoding_aes_key: %[11]q}
`, ports[0], "http://"+ports[0], ports[1], ports[2], env.WorkDir, env.WorkDir, sim.URL, env.WorkDir, component.AppID, component.Token, component.EncodingAESKey)
	for name, content := range map[string]string{"config.yaml": text, "api.key": apiKey + "\n", "secret": component.Secret + "\n"} {
		if err := os.WriteFile(filepath.Join(env.WorkDir, name), []byte(content), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func exits(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func until(ts *testscript.TestScript, _ bool, args []string) {
	for deadline := time.Now().Add(15 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		ts.Check(ts.Exec(args[1], args[2:]...))
		said := ts.ReadFile("stdout")
		if strings.Contains(said, args[0]) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("it does not come to say %q, but %s", args[0], said)
		}
	}
}

func subscriptionID(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Setenv("SUBSCRIPTION", regexp.MustCompile(`sub_[0-9a-z]+`).FindString(ts.ReadFile("stdout")))
}

func receiver(ts *testscript.TestScript, _ bool, _ []string) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/good" {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	ts.Defer(s.Close)
	ts.Setenv("RECEIVER", s.URL)
}

func answers(ts *testscript.TestScript, _ bool, args []string) {
	for deadline := time.Now().Add(15 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		response, err := http.Get(args[0])
		if err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s does not answer", args[0])
		}
	}
}

// fill pushes until the server cannot store any more.
func fill(ts *testscript.TestScript, sim *simtest.Sim) {
	for range 2000 {
		result, err := sim.PushTicket(context.Background(), ts.Getenv("COMPONENT"))
		ts.Check(err)
		if !result.Accepted {
			return
		}
	}
	ts.Fatalf("the disk does not fill")
}

func says(ts *testscript.TestScript, _ bool, args []string) {
	response, err := http.Get(args[0])
	ts.Check(err)
	defer func() { _ = response.Body.Close() }()
	raw, err := io.ReadAll(response.Body)
	ts.Check(err)
	if strconv.Itoa(response.StatusCode) != args[1] || !strings.Contains(string(raw), args[2]) {
		ts.Fatalf("%s answers %d: %s", args[0], response.StatusCode, raw)
	}
}

func lacks(ts *testscript.TestScript, _ bool, args []string) {
	for deadline := time.Now().Add(15 * time.Second); strings.Contains(get(ts, args[0], ""), args[1]); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			ts.Fatalf("%s goes on saying %s", args[0], args[1])
		}
	}
}

func damage(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(args[0])
	raw, err := os.ReadFile(path)
	ts.Check(err)
	raw[len(raw)/2] ^= 1
	ts.Check(os.WriteFile(path, raw, 0o600))
}

func keyID(ts *testscript.TestScript, _ bool, args []string) {
	parts := strings.Split(ts.ReadFile(args[0]), "_")
	if len(parts) != 4 {
		ts.Fatalf("%s holds no API key", args[0])
	}
	ts.Setenv("KEY", parts[1])
}

// example runs a program of the documentation. Those in Java and PHP are run where these
// are installed; nothing else here needs them.
func example(ts *testscript.TestScript, _ bool, args []string) {
	if _, err := exec.LookPath(args[2]); err != nil {
		if os.Getenv("REQUIRE_TOOLS") == "1" && args[2] != "java" && args[2] != "php" {
			ts.Fatalf("%v", err)
		}
		ts.Logf("not run: %v", err)
		return
	}
	document, err := os.ReadFile(filepath.Join(ts.Getenv("DOCS"), "examples.md"))
	ts.Check(err)
	_, program, _ := strings.Cut(string(document), "\n## ") // behind the settings
	i := strings.Index(program, "\n```"+args[0]+"\n")
	if i < 0 {
		ts.Fatalf("examples.md has no program in %s", args[0])
	}
	program, _, _ = strings.Cut(program[i+len("\n```"+args[0]+"\n"):], "\n```\n")
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(program), 0o600))
	ts.Check(ts.Exec("tuoguan", "key", "create", "--name", "example", "--operation", "tokens:refresh", "--operation", "gateway:call"))
	ts.Setenv("TUOGUAN_API_KEY", strings.TrimSpace(ts.ReadFile("stdout")))
	err = ts.Exec(args[2], args[3:]...)
	ts.Setenv("TUOGUAN_API_KEY", "")
	ts.Check(err)
	said := ts.ReadFile("stdout")
	for _, want := range []string{"token until 20", "gateway: {", "drop-in: {", `"total"`} {
		if !strings.Contains(said, want) {
			ts.Fatalf("it does not say %q", want)
		}
	}
}

var loginPage = regexp.MustCompile(`href="([^"]*/cgi-bin/componentloginpage\?[^"]*)"`)

func scan(ts *testscript.TestScript, sim *simtest.Sim, args []string) {
	link := strings.TrimSpace(ts.ReadFile(args[0]))
	found := loginPage.FindStringSubmatch(get(ts, link, ""))
	if found == nil {
		ts.Fatalf("the entry page does not lead to WeChat")
	}
	login, err := url.Parse(html.UnescapeString(found[1]))
	ts.Check(err)
	get(ts, login.String(), link)
	account, err := sim.AddAccount(simulator.Account{Kind: simulator.OfficialAccount, NickName: "Tea House"})
	ts.Check(err)
	result, err := sim.Authorize(context.Background(), account.AppID, simulator.AuthorizeRequest{
		ComponentAppID: ts.Getenv("COMPONENT"), PreAuthCode: login.Query().Get("pre_auth_code"),
	})
	ts.Check(err)
	get(ts, result.RedirectURL, "")
	ts.Setenv("ACCOUNT", account.AppID)
}

func get(ts *testscript.TestScript, address, referer string) string {
	r, err := http.NewRequest(http.MethodGet, address, nil)
	ts.Check(err)
	r.Header.Set("Referer", referer)
	response, err := http.DefaultClient.Do(r)
	ts.Check(err)
	defer func() { _ = response.Body.Close() }()
	raw, err := io.ReadAll(response.Body)
	ts.Check(err)
	if response.StatusCode != http.StatusOK {
		ts.Fatalf("%s answers %d: %s", address, response.StatusCode, raw)
	}
	return string(raw)
}
