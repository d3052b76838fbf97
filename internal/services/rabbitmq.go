package services

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// rabbitScript runs a RabbitMQ server and beside it the port mapper without which an
// Erlang node does not start: one of its own, which ends with it. Else the node would
// leave one behind that serves the whole machine.
const rabbitScript = `"$2" -port "$ERL_EPMD_PORT" & mapper=$!
"$1" & server=$!
trap 'kill -s TERM "$server"' TERM
wait "$server"; wait "$server"
kill -s KILL "$mapper"`

// StartRabbitMQ starts a RabbitMQ server whose user guest has the password guest.
// Flags are lines of its configuration. It has no databases.
func StartRabbitMQ(ctx context.Context, o Options) (*Service, error) {
	// The program that is found by its name alone serves the machine's own node only.
	server, err := findIn("rabbitmq-server", "rabbitmq-server", "/usr/lib/rabbitmq/bin", "/usr/local/sbin", "/opt/rabbitmq/sbin")
	if err != nil {
		return nil, err
	}
	mapper, err := find("epmd", "erlang-base", "/usr/lib/erlang/bin", "/usr/local/bin")
	if err != nil {
		return nil, err
	}
	settings := strings.Join(append([]string{"log.console = true", "log.file = false"}, o.Flags...), "\n") + "\n"
	o.Flags = nil
	var mapperPort, nodePort int
	return start(ctx, engine{
		name: "rabbitmq",
		initialize: func(_ context.Context, s *Service) (err error) {
			if mapperPort, err = freePort(); err != nil {
				return err
			}
			if nodePort, err = freePort(); err != nil {
				return err
			}
			return os.WriteFile(s.path("rabbitmq.conf"), []byte(settings), 0o644)
		},
		command: func(s *Service) (string, []string) {
			return "/bin/sh", []string{"-c", rabbitScript, "sh", server, mapper}
		},
		env: func(s *Service) []string {
			return []string{
				"ERL_EPMD_PORT=" + strconv.Itoa(mapperPort), "ERL_EPMD_ADDRESS=127.0.0.1",
				"RABBITMQ_NODENAME=tuoguan@localhost", "RABBITMQ_NODE_IP_ADDRESS=127.0.0.1", "RABBITMQ_NODE_PORT=" + strconv.Itoa(s.port), "RABBITMQ_DIST_PORT=" + strconv.Itoa(nodePort),
				"RABBITMQ_CONF_ENV_FILE=/dev/null", "RABBITMQ_CONFIG_FILE=" + s.path("rabbitmq.conf"),
				"RABBITMQ_MNESIA_BASE=" + s.path("data"), "RABBITMQ_LOG_BASE=" + s.path("logs"),
				"RABBITMQ_ENABLED_PLUGINS_FILE=" + s.path("plugins"), "RABBITMQ_PID_FILE=" + s.path("node.pid"),
				"RABBITMQ_GENERATED_CONFIG_DIR=" + s.path("generated"), "RABBITMQ_FEATURE_FLAGS_FILE=" + s.path("feature_flags"),
				"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-kernel inet_dist_use_interface {127,0,0,1} +S 2:2 +A 4",
				"RUNNING_UNDER_SYSTEMD=true", // the node replaces its script, so that a signal reaches it
			}
		},
		quit:  syscall.SIGTERM,
		ready: rabbitReady,
		url:   func(s *Service, database string) string { return "amqp://" + s.Addr() + "/" + database },
	}, o)
}

// rabbitReady says what a client of AMQP 0-9-1 says first. The answer is a method's frame.
// Nobody listens for seconds, and a connection from this very address to a port that is
// nobody's can meet itself, which would take the port from the server.
func rabbitReady(ctx context.Context, s *Service) error {
	elsewhere := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	conn, err := elsewhere.DialContext(ctx, "tcp", s.Addr())
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(deadline(ctx)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte("AMQP\x00\x00\x09\x01")); err != nil {
		return err
	}
	var reply [1]byte
	if _, err := io.ReadFull(conn, reply[:]); err != nil {
		return err
	}
	if reply[0] != 1 {
		return fmt.Errorf("it answers %q", reply[0])
	}
	return nil
}
