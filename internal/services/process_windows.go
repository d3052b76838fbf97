package services

import (
	"errors"
	"os"
	"os/exec"
)

// process is a server. There are none here: process groups and the signals that
// stop and continue them have no counterpart.
type process struct{ pid int }

func isolate(*exec.Cmd) {}

func demote(*exec.Cmd) {}

func own(string) error { return errors.ErrUnsupported }

func startProcess(*exec.Cmd) (*process, error) { return nil, errors.ErrUnsupported }

func (p *process) exited() bool           { return true }
func (p *process) signal(os.Signal) error { return errors.ErrUnsupported }
func (p *process) kill() error            { return errors.ErrUnsupported }
func (p *process) pause() error           { return errors.ErrUnsupported }
func (p *process) resume() error          { return errors.ErrUnsupported }
