package services

import (
	"context"
	"io"
	"net"
	"strconv"
	"syscall"
	"time"
)

// StartMariaDB starts a MariaDB server with no databases but its own. Whoever
// reaches its port may do everything; only processes of this machine do.
func StartMariaDB(ctx context.Context, o Options) (*Service, error) {
	bin, err := findAll("mariadb-server", []string{"/usr/sbin", "/usr/local/sbin", "/usr/local/mysql/bin"}, "mariadb-install-db", "mariadbd", "mariadb")
	if err != nil {
		return nil, err
	}
	return start(ctx, engine{
		name: "mariadb",
		initialize: func(ctx context.Context, s *Service) error {
			return s.setup(ctx, bin["mariadb-install-db"], "--no-defaults", "--datadir="+s.path("data"),
				"--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve",
				"--innodb-log-file-size=16M")
		},
		command: func(s *Service) (string, []string) {
			return bin["mariadbd"], []string{
				"--no-defaults", "--datadir=" + s.path("data"), "--socket=mysqld.sock", // in the data directory, and never too long
				"--pid-file=" + s.path("mariadbd.pid"), "--port=" + strconv.Itoa(s.port), "--bind-address=127.0.0.1",
				"--skip-grant-tables", "--skip-networking=0", "--skip-name-resolve",
				"--innodb-buffer-pool-size=64M", "--innodb-log-file-size=16M", "--max-connections=200",
				"--performance-schema=0",
			}
		},
		quit:  syscall.SIGTERM,
		ready: mariaDBReady,
		client: func(s *Service, database, statement string) (string, []string) {
			return bin["mariadb"], []string{"--no-defaults", "--protocol=tcp", "-h", "127.0.0.1", "-P", strconv.Itoa(s.port),
				"-u", "root", "-N", "-B", "-e", statement, database}
		},
		url: func(s *Service, database string) string {
			return "mysql://root@" + s.Addr() + "/" + database
		},
	}, o)
}

// mariaDBReady waits for the greeting, with which the server speaks first.
func mariaDBReady(ctx context.Context, s *Service) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", s.Addr())
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(deadline(ctx)); err != nil {
		return err
	}
	var greeting [1]byte
	_, err = io.ReadFull(conn, greeting[:])
	return err
}

// deadline is when a question to a server is given up.
func deadline(ctx context.Context) time.Time {
	end, ok := ctx.Deadline()
	if soon := time.Now().Add(time.Second); !ok || soon.Before(end) {
		return soon
	}
	return end
}
