package services

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"syscall"
)

const postgresUser = "tuoguan"

// StartPostgres starts a PostgreSQL server with an empty cluster. Whoever reaches
// its port may connect; only processes of this machine do.
func StartPostgres(ctx context.Context, o Options) (*Service, error) {
	bin, err := findAll("postgresql", []string{"/usr/lib/postgresql/*/bin", "/usr/local/pgsql/bin"}, "initdb", "postgres", "psql")
	if err != nil {
		return nil, err
	}
	return start(ctx, engine{
		name: "postgres",
		initialize: func(ctx context.Context, s *Service) error {
			return s.setup(ctx, bin["initdb"], "-D", s.path("data"), "-U", postgresUser, "-A", "trust",
				"-E", "UTF8", "--locale=C", "--no-instructions", "-N", "--wal-segsize=4")
		},
		command: func(s *Service) (string, []string) {
			return bin["postgres"], []string{
				"-D", s.path("data"), "-p", strconv.Itoa(s.port), "-h", "127.0.0.1",
				"-c", "unix_socket_directories=", "-c", "shared_buffers=32MB", "-c", "max_connections=200",
				"-c", "max_wal_senders=0", "-c", "wal_level=minimal", "-c", "max_wal_size=256MB",
				"-c", "huge_pages=off", "-c", "dynamic_shared_memory_type=mmap", "-c", "max_parallel_workers=0",
			}
		},
		quit:  syscall.SIGINT,
		ready: postgresReady,
		client: func(s *Service, database, statement string) (string, []string) {
			return bin["psql"], []string{"-X", "-q", "-A", "-t", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-d", s.URL(database), "-c", statement}
		},
		url: func(s *Service, database string) string {
			if database == "" {
				database = "postgres"
			}
			return "postgres://" + postgresUser + "@" + s.Addr() + "/" + database + "?sslmode=disable"
		},
	}, o)
}

// postgresReady asks for a connection. A server that still recovers listens already,
// and answers with an error.
// Source: PostgreSQL documentation, message formats, StartupMessage.
func postgresReady(ctx context.Context, s *Service) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", s.Addr())
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(deadline(ctx)); err != nil {
		return err
	}
	const protocol = 3 << 16
	body := "user\x00" + postgresUser + "\x00database\x00postgres\x00\x00"
	message := binary.BigEndian.AppendUint32(nil, uint32(8+len(body)))
	message = binary.BigEndian.AppendUint32(message, protocol)
	if _, err := conn.Write(append(message, body...)); err != nil {
		return err
	}
	var reply [1]byte
	if _, err := io.ReadFull(conn, reply[:]); err != nil {
		return err
	}
	if reply[0] != 'R' {
		return fmt.Errorf("it answers %q", reply[0])
	}
	_, err = conn.Write([]byte{'X', 0, 0, 0, 4}) // else it logs a client that was lost
	return errors.Join(err)
}
