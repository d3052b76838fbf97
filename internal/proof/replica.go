//go:build unix

package proof

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tuoguan/tuoguan/internal/failpoint"
	"github.com/tuoguan/tuoguan/internal/proof/history"
)

// replica is a place for a server process. Processes come and go in it; each has a
// name of its own, "replica.incarnation".
type replica struct {
	site    *site
	index   int
	storage string // URL, by way of a proxy perhaps
	wechat  string // address of the platform, likewise
	client  *http.Client
	asks    chan struct{} // holds a token when a process has asked for tokens
	waits   waits
	dark    atomic.Bool // its power is cut: nothing that the process says is heard

	mu          sync.Mutex
	public      string // addresses, the same for every process if nobody else takes them
	admin       string
	incarnation int
	cmd         *exec.Cmd
	name        string
	up          bool
	done        chan struct{} // closed when the process has ended
	changed     chan struct{} // closed and replaced whenever up changes
}

func newReplica(s *site, index int) (*replica, error) {
	r := &replica{site: s, index: index, asks: make(chan struct{}, 1), changed: make(chan struct{})}
	var err error
	if r.public, err = freeAddress(""); err != nil {
		return nil, err
	}
	if r.admin, err = freeAddress(""); err != nil {
		return nil, err
	}
	r.client = &http.Client{
		Timeout:   25 * time.Second,
		Transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true},
	}
	return r, nil
}

// freeAddress returns the address wanted, or another one if that is taken or empty. The
// port is below those that the kernel gives to clients: one that a client has taken
// meanwhile could not be listened on again.
func freeAddress(wanted string) (string, error) {
	var lc net.ListenConfig
	for range 64 {
		if wanted != "" {
			l, err := lc.Listen(context.Background(), "tcp", wanted)
			if err == nil {
				return wanted, l.Close()
			}
		}
		wanted = net.JoinHostPort("127.0.0.1", strconv.Itoa(20000+rand.IntN(12000)))
	}
	return "", errors.New("no free port was found")
}

// addresses returns where the process in place listens.
func (r *replica) addresses() (public, admin string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.public, r.admin
}

// current returns the process now in place, and whether it answers.
func (r *replica) current() (name string, up bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.name, r.up
}

func (r *replica) setUp(up bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.up == up {
		return
	}
	r.up = up
	close(r.changed)
	r.changed = make(chan struct{})
}

// awaitUp waits until the process in place answers.
func (r *replica) awaitUp(ctx context.Context) error {
	for {
		r.mu.Lock()
		up, changed := r.up, r.changed
		r.mu.Unlock()
		if up {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// launch says how a process is started.
type launch struct {
	failpoints string
	offset     time.Duration // of its clock
}

// start starts a process.
func (r *replica) start(l launch) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.incarnation++
	r.name = strconv.Itoa(r.index) + "." + strconv.Itoa(r.incarnation)
	var err error
	if r.public, err = freeAddress(r.public); err != nil {
		return err
	}
	if r.admin, err = freeAddress(r.admin); err != nil {
		return err
	}
	file := r.site.configFile(r.index)
	if err := os.WriteFile(file, []byte(r.config()), 0o600); err != nil {
		return err
	}
	report := r.site.failpointReport(r.index)
	if err := os.Remove(report); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	cmd := exec.CommandContext(context.Background(), r.site.config.ServerBinary, "serve", "--config", file)
	cmd.Env = append(os.Environ(),
		failpoint.Variable+"="+l.failpoints, failpoint.ReportVariable+"="+report, failpoint.ClockVariable+"="+l.offset.String())
	cmd.Stdout, cmd.Stderr = r.site.log, r.site.log
	cmd.Dir = r.site.dir
	// An interrupt from the terminal is not for a process that the driver ends itself.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	name, admin, done := r.name, r.admin, make(chan struct{})
	r.site.record.Add(history.Event{Kind: history.Start, Process: name, Left: l.offset})
	if err := cmd.Start(); err != nil {
		return err
	}
	r.cmd, r.done = cmd, done
	r.dark.Store(false)
	r.site.work.Go(func() {
		err := cmd.Wait()
		r.setUp(false)
		r.client.CloseIdleConnections()
		at, note := r.site.died(r.index, err)
		r.site.record.Add(history.Event{Kind: history.Gone, Process: name, From: at, Note: note})
		close(done)
	})
	r.site.work.Go(func() { r.watch(admin, done) })
	return nil
}

// watch waits until the process answers, by connecting.
func (r *replica) watch(admin string, done <-chan struct{}) {
	var d net.Dialer
	for {
		conn, err := d.DialContext(context.Background(), "tcp", admin)
		if err == nil {
			_ = conn.Close()
			r.mu.Lock()
			same := r.done == done
			r.mu.Unlock()
			select {
			case <-done:
			default:
				r.setUp(same)
			}
			return
		}
		select {
		case <-done:
			return
		case <-time.After(500 * time.Microsecond):
		}
	}
}

// kill kills the process and waits until it is gone.
func (r *replica) kill() {
	r.mu.Lock()
	cmd, name, done := r.cmd, r.name, r.done
	r.mu.Unlock()
	if cmd == nil {
		return
	}
	select {
	case <-done:
		return
	default:
	}
	r.lookForStarvation()
	r.site.record.Add(history.Event{Kind: history.Kill, Process: name})
	r.end()
}

// end ends the process at once and waits until it is gone. The history knows.
func (r *replica) end() {
	r.mu.Lock()
	cmd, done := r.cmd, r.done
	r.mu.Unlock()
	r.setUp(false)
	_ = cmd.Process.Kill() // it may have ended just now
	<-done
}

// silenced reports whether what the process said must not be heard.
func (r *replica) silenced(process string) bool {
	name, _ := r.current()
	return r.dark.Load() || r.site.round.hasPower() && name != process
}

// awaitUpOrEnd waits until the process in place answers, or has ended by itself.
func (r *replica) awaitUpOrEnd(ctx context.Context) error {
	for {
		r.mu.Lock()
		up, changed, done := r.up, r.changed, r.done
		r.mu.Unlock()
		if up {
			return nil
		}
		select {
		case <-changed:
		case <-done:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// signal sends a signal to the process in place.
func (r *replica) signal(s syscall.Signal) {
	r.mu.Lock()
	cmd := r.cmd
	r.mu.Unlock()
	if cmd != nil {
		_ = cmd.Process.Signal(s) // it may have ended just now
	}
}

// ended is closed when the process in place has ended.
func (r *replica) ended() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.done
}

// stop asks the process to end in good order, and kills it if it does not.
func (r *replica) stop() {
	done := r.ended()
	if done == nil {
		return
	}
	r.signal(syscall.SIGCONT)
	r.signal(syscall.SIGTERM)
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		r.kill()
	}
}

// config is the configuration of the process to be started.
func (r *replica) config() string {
	c := r.site.platform.component
	base := r.site.platform.baseURL(r.wechat, r.name)
	var y strings.Builder
	fmt.Fprintf(&y, "public: {listen: %q, base_url: \"http://%s\"}\n", r.public, r.public)
	fmt.Fprintf(&y, "admin: {listen: %q}\n", r.admin)
	fmt.Fprintf(&y, "gateway: {listen: \"127.0.0.1:0\"}\n")
	fmt.Fprintf(&y, "storage: %q\nmaster_key_file: %q\n", r.storage, r.site.keyFile)
	if !strings.HasPrefix(r.storage, "sqlite:") { // beside the file of SQLite by default
		fmt.Fprintf(&y, "spill_file: %q\n", r.spillFile())
	}
	fmt.Fprintf(&y, "wechat: {api_base_urls: [%q], mp_base_url: %q, open_base_url: %q}\n", base, base, base)
	fmt.Fprintf(&y, "delivery: {allow_networks: [\"127.0.0.1\"]}\n")
	fmt.Fprintf(&y, "log: {level: %q, format: json}\n", r.site.config.LogLevel)
	fmt.Fprintf(&y, "bootstrap:\n  api_key: %q\n  components:\n    - {appid: %q, secret: %q, token: %q, encoding_aes_key: %q}\n",
		r.site.apiKey, c.AppID, c.Secret, c.Token, c.EncodingAESKey)
	return y.String()
}

func (r *replica) spillFile() string {
	return filepath.Join(r.site.dir, "replica"+strconv.Itoa(r.index)+".spill")
}
