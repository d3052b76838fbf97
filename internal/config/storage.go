package config

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// Engine is a kind of database.
type Engine string

// The engines.
const (
	SQLite     Engine = "sqlite"   // one file, one process
	PostgreSQL Engine = "postgres" // any number of processes
	MySQL      Engine = "mysql"    // likewise; also MariaDB
)

// Engine returns the kind of database that Storage names, "" for none.
func (c Config) Engine() Engine {
	scheme, _, _ := strings.Cut(c.Storage, "://")
	switch scheme {
	case "sqlite":
		return SQLite
	case "postgres", "postgresql":
		return PostgreSQL
	case "mysql":
		return MySQL
	}
	return ""
}

// SQLitePath returns the path of the file that Storage names, "" where it names none.
func (c Config) SQLitePath() string {
	path, _ := sqlitePath(c.Storage)
	return path
}

// SpillPath returns SpillFile, or its default: beside the database of SQLite, with
// .spill added to its name; else HOST.spill in /var/lib/tuoguan, or beside the
// master key's file where that directory is not there and cannot be made.
func (c Config) SpillPath() string {
	if c.SpillFile != "" {
		return filepath.Clean(c.SpillFile)
	}
	if path := c.SQLitePath(); path != "" {
		return path + ".spill"
	}
	host, err := os.Hostname()
	if err != nil || host == "" || strings.ContainsAny(host, `/\`) {
		host = "tuoguan"
	}
	dir := stateDir
	if _, err := os.Stat(dir); err != nil && os.Geteuid() > 0 && c.MasterKeyFile != "" {
		dir = filepath.Dir(c.MasterKeyFile)
	}
	return filepath.Join(dir, host+".spill")
}

// stateDir is where a service keeps its state; only root can make it.
const stateDir = "/var/lib/tuoguan"

// StorageName returns Storage as people may see it: without password and parameters.
func (c Config) StorageName() string {
	if path := c.SQLitePath(); path != "" {
		return path
	}
	u, err := url.Parse(c.Storage)
	if err != nil {
		return string(c.Engine())
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// StorageVerified reports whether the database is on this machine, or proves by its
// certificate who it is: else somebody in between can take its place.
func (c Config) StorageVerified() bool {
	u, err := url.Parse(c.Storage)
	if err != nil {
		return false
	}
	query := u.Query()
	host := u.Hostname()
	if host == "" {
		host = query.Get("host")
	}
	switch {
	case c.Engine() == SQLite || isLoopback(host) || strings.HasPrefix(host, "/"):
		return true
	case c.Engine() == PostgreSQL:
		return query.Get("sslmode") == "verify-full"
	}
	return query.Get("tls") == "true" || query.Get("ca") != ""
}

func (m *Mistakes) checkStorage(c Config) {
	if c.Storage == "" {
		m.add("storage", "is missing", "say where the data is kept, such as sqlite:///var/lib/tuoguan/tuoguan.db")
		return
	}
	switch c.Engine() {
	case SQLite:
		if _, problem := sqlitePath(c.Storage); problem != "" {
			m.add("storage", problem, "use sqlite:///absolute/path")
		}
	case PostgreSQL:
		m.checkDatabase(c, "postgres://user:password@host:5432/database?sslmode=verify-full")
	case MySQL:
		m.checkDatabase(c, "mysql://user:password@host:3306/database?tls=true")
	default:
		m.add("storage", "is not the URL of a database", "use sqlite:///absolute/path, postgres://user:password@host/database or mysql://user:password@host/database")
	}
}

// checkDatabase never quotes the URL, which may hold a password.
func (m *Mistakes) checkDatabase(c Config, example string) {
	u, err := url.Parse(c.Storage)
	fix := "use " + example
	switch {
	case err != nil:
		m.add("storage", "is not a URL", fix+"; in a password, write each of the characters %:/?#[]@ and space as % and two digits")
	case strings.Trim(u.Path, "/") == "" || strings.Count(u.Path, "/") != 1:
		m.add("storage", "does not name a database", fix)
	case u.Fragment != "":
		m.add("storage", "has a #", fix+"; in a password, write it as %23")
	case u.Host == "" && (c.Engine() == MySQL || u.Query().Get("host") == ""):
		m.add("storage", "does not name a host", fix)
	default:
		for name := range u.Query() {
			if isPassword(name) {
				m.add("storage", "has a password among its parameters", fix)
			}
		}
	}
}

func isPassword(parameter string) bool {
	return strings.Contains(strings.ToLower(parameter), "password")
}

func sqlitePath(storage string) (path, problem string) {
	rest, ok := strings.CutPrefix(storage, "sqlite://")
	switch {
	case !ok:
		return "", "is not a file of SQLite"
	case strings.ContainsAny(rest, "?#"):
		return "", "takes no parameters"
	case !filepath.IsAbs(rest) || strings.HasSuffix(rest, "/"):
		return "", "does not name a file by its absolute path"
	}
	return filepath.Clean(rest), ""
}

func (m *Mistakes) checkMasterKey(c Config) {
	switch {
	case c.MasterKeyFile == "" && c.MasterKey.IsZero():
		m.add("master_key_file", "is missing", "name a file, such as /etc/tuoguan/master.key; it is made on the first start")
	case c.MasterKeyFile != "" && !c.MasterKey.IsZero():
		m.add("master_key", "is given both inline and as master_key_file", "keep one of them")
	}
}

// withoutPassword hides the password of a URL, if text is one.
func withoutPassword(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		if scheme, _, isURL := strings.Cut(text, "://"); isURL {
			return scheme + "://redacted" // what cannot be read may hold anything
		}
		return text
	}
	if u.User == nil && u.RawQuery == "" {
		return text
	}
	query := u.Query()
	for name := range query {
		if isPassword(name) {
			query.Set(name, "redacted")
			u.RawQuery = query.Encode()
		}
	}
	if _, has := u.User.Password(); has {
		u.User = url.UserPassword(u.User.Username(), "redacted")
	}
	return u.String()
}
