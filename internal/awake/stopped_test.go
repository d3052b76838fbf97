//go:build unix

package awake_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/tuoguan/tuoguan/internal/awake"
)

// child, in the environment, makes the test binary ask this URL once.
const child = "AWAKE_TEST_URL"

func TestMain(m *testing.M) {
	if target := os.Getenv(child); target != "" {
		os.Exit(ask(target))
	}
	os.Exit(m.Run())
}

const patience = 400 * time.Millisecond

func ask(target string) int {
	request, err := http.NewRequest(http.MethodGet, target, nil)
	if err != nil {
		panic(err)
	}
	ctx, cancel := awake.WithTimeout(request.Context(), patience)
	defer cancel()
	reply, err := http.DefaultClient.Do(request.WithContext(ctx))
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer reply.Body.Close()
	if _, err := io.Copy(os.Stdout, reply.Body); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// TestStoppedProcessHearsTheAnswer stops a process that has asked, answers it, and lets
// it go on when twice its patience has passed.
func TestStoppedProcessHearsTheAnswer(t *testing.T) {
	t.Parallel()
	for round := range 4 {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			t.Parallel()
			started, stopped := make(chan *os.Process, 1), make(chan struct{})
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				process := <-started
				if err := process.Signal(syscall.SIGSTOP); err != nil {
					t.Error(err)
				}
				_, _ = io.WriteString(w, "the answer")
				close(stopped)
			}))
			defer server.Close()
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), child+"="+server.URL)
			out, err := cmd.StdoutPipe()
			if err == nil {
				err = cmd.Start()
			}
			if err != nil {
				t.Fatal(err)
			}
			started <- cmd.Process
			<-stopped
			<-time.After(2 * patience) // what passes for a process that is stopped is real
			if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
				t.Fatal(err)
			}
			said, err := io.ReadAll(out)
			if err := cmd.Wait(); err != nil {
				t.Errorf("it ended with %v", err)
			}
			if err != nil || string(said) != "the answer" {
				t.Errorf("it heard %q, %v", said, err)
			}
		})
	}
}
