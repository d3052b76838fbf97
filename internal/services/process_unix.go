//go:build unix

package services

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// nobody is who runs a server where root would.
const nobody = 65534

// process is a server: a process group with a leader, and the leader's children,
// which may have groups of their own (PostgreSQL's have).
type process struct {
	pid  int
	gone bool // its end has been collected, and the number is not ours any more
}

// isolate gives a command a process group of its own.
func isolate(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// demote has a command of root's run as nobody.
func demote(cmd *exec.Cmd) {
	if os.Getuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	}
}

// own gives a directory to whoever demote makes of us.
func own(dir string) error {
	if os.Getuid() != 0 {
		return nil
	}
	return os.Chown(dir, nobody, nobody)
}

func startProcess(cmd *exec.Cmd) (*process, error) {
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{pid: cmd.Process.Pid}
	return p, cmd.Process.Release() // its end is collected by exited
}

// exited reports whether the leader has ended. It does not wait.
func (p *process) exited() bool {
	if !p.gone {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(p.pid, &status, syscall.WNOHANG, nil)
		p.gone = pid == p.pid || errors.Is(err, syscall.ECHILD)
	}
	return p.gone
}

// signal sends a signal to the leader alone.
func (p *process) signal(s os.Signal) error {
	if p.exited() {
		return nil
	}
	return syscall.Kill(p.pid, s.(syscall.Signal))
}

// kill ends the leader and its children at once and waits for the leader's end.
func (p *process) kill() error {
	if p.exited() {
		return nil
	}
	err := p.pause() // so that no child comes up meanwhile
	err = errors.Join(err, p.toAll(syscall.SIGKILL))
	var status syscall.WaitStatus
	for !p.gone {
		pid, wait := syscall.Wait4(p.pid, &status, 0, nil)
		if wait != nil && !errors.Is(wait, syscall.EINTR) {
			return errors.Join(err, wait)
		}
		p.gone = pid == p.pid
	}
	return err
}

func (p *process) pause() error {
	return errors.Join(syscall.Kill(p.pid, syscall.SIGSTOP), p.toAll(syscall.SIGSTOP))
}

func (p *process) resume() error { return p.toAll(syscall.SIGCONT) }

// toAll sends a signal to the children and to the group.
func (p *process) toAll(s syscall.Signal) error {
	children, err := p.children()
	errs := []error{err}
	for _, pid := range children {
		if err := syscall.Kill(pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
			errs = append(errs, fmt.Errorf("signal child %d: %w", pid, err))
		}
	}
	return errors.Join(append(errs, syscall.Kill(-p.pid, s))...)
}

// children finds the leader's children by their parent's number.
func (p *process) children() ([]int, error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, name := range stats {
		stat, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended meanwhile
		}
		// 42 (a name, in which anything may stand) S 1 …
		_, rest, _ := strings.Cut(string(stat[strings.LastIndexByte(string(stat), ')')+1:]), " ")
		fields := strings.Fields(rest)
		if len(fields) < 2 || fields[1] != strconv.Itoa(p.pid) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		if err != nil {
			return nil, err
		}
		pids = append(pids, pid)
	}
	return pids, nil
}
