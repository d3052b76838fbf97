package services

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"syscall"
)

// StartNATS starts a NATS server with JetStream. It has no databases.
func StartNATS(ctx context.Context, o Options) (*Service, error) {
	server, err := find("nats-server", "nats-server", "/usr/sbin", "/usr/local/sbin", "/usr/local/bin")
	if err != nil {
		return nil, err
	}
	return start(ctx, engine{
		name: "nats",
		command: func(s *Service) (string, []string) {
			return server, []string{"-a", "127.0.0.1", "-p", strconv.Itoa(s.port), "-js", "-sd", s.path("data")}
		},
		quit:  syscall.SIGTERM,
		ready: natsReady,
		url:   func(s *Service, _ string) string { return "nats://" + s.Addr() },
	}, o)
}

// natsReady waits for the greeting, with which the server speaks first.
func natsReady(ctx context.Context, s *Service) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", s.Addr())
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(deadline(ctx)); err != nil {
		return err
	}
	greeting, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return err
	}
	if !strings.HasPrefix(greeting, "INFO ") {
		return fmt.Errorf("it greets with %q", greeting)
	}
	return nil
}
