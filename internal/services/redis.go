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

// StartRedis starts a Redis server that has every command on the disk before it answers.
// Its databases have numbers and are there already.
func StartRedis(ctx context.Context, o Options) (*Service, error) {
	server, err := find("redis-server", "redis-server", "/usr/bin", "/usr/local/bin")
	if err != nil {
		return nil, err
	}
	return start(ctx, engine{
		name: "redis",
		command: func(s *Service) (string, []string) {
			return server, []string{
				"--bind", "127.0.0.1", "--port", strconv.Itoa(s.port), "--dir", s.dir,
				"--appendonly", "yes", "--appendfsync", "always", "--save", "",
			}
		},
		quit:  syscall.SIGTERM,
		ready: redisReady,
		url:   func(s *Service, database string) string { return "redis://" + s.Addr() + "/" + database },
	}, o)
}

// redisReady pings. A server that still loads its data answers with an error, as does one
// that wants a password.
func redisReady(ctx context.Context, s *Service) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", s.Addr())
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(deadline(ctx)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return err
	}
	reply, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return err
	}
	if reply != "+PONG\r\n" && !strings.HasPrefix(reply, "-NOAUTH ") {
		return fmt.Errorf("it answers %q", reply)
	}
	return nil
}
