//go:build unix

package proof

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"syscall"

	"github.com/tuoguan/tuoguan/internal/powercut"
	"github.com/tuoguan/tuoguan/internal/services"
)

// Stores that a round may stand on.
const (
	SQLite   = "sqlite"
	Postgres = "postgres"
	MySQL    = "mysql"
)

// backing is the store of a site.
type backing struct {
	kind    string
	disk    *powercut.Disk // whose power can be cut and that can be full; nil where neither is asked for
	file    string         // of SQLite
	service *services.Service
	log     *os.File
	proxies []*services.Proxy // to the service, one for each replica
	scan    []string          // directories that secrets must not be found in
}

// diskSize is enough for what a round writes.
const diskSize = 512 << 20

func openBacking(ctx context.Context, s *site) (_ *backing, err error) {
	b := &backing{kind: s.round.Store}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close())
		}
	}()
	dir := filepath.Join(s.dir, "data")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if s.round.needsDisk() {
		if b.disk, err = powercut.New(dir, diskSize); err != nil {
			return nil, err
		}
		dir = b.disk.Path
		if err := os.Chmod(dir, 0o755); err != nil {
			return nil, err
		}
	}
	b.scan = []string{dir, filepath.Join(s.dir, "database.log")}
	// What it says is kept elsewhere: a disk with an open file cannot be unmounted.
	if b.log, err = os.Create(filepath.Join(s.dir, "database.log")); err != nil {
		return nil, err
	}
	options := services.Options{Dir: dir, Log: b.log}
	switch b.kind {
	case SQLite:
		b.file = filepath.Join(dir, "tuoguan.db")
		return b, nil
	case Postgres:
		b.service, err = services.StartPostgres(ctx, options)
	case MySQL:
		b.service, err = services.StartMariaDB(ctx, options)
	default:
		err = fmt.Errorf("there is no store %q", b.kind)
	}
	if err != nil {
		return nil, err
	}
	if err := b.service.CreateDatabase(ctx, "tuoguan"); err != nil {
		return nil, err
	}
	syscall.Sync() // an installation does not hurry with that
	for range s.round.Replicas {
		p, err := services.StartProxy(b.service.Addr())
		if err != nil {
			return nil, err
		}
		b.proxies = append(b.proxies, p)
	}
	return b, nil
}

// url is the storage as a replica's configuration names it.
func (b *backing) url(replica int) (string, error) {
	if b.kind == SQLite {
		return "sqlite://" + b.file, nil
	}
	u, err := url.Parse(b.service.URL("tuoguan"))
	if err != nil {
		return "", err
	}
	u.Host = b.proxies[replica].Addr()
	return u.String(), nil
}

func (b *backing) close() error {
	var errs []error
	for _, p := range b.proxies {
		errs = append(errs, p.Close())
	}
	if b.service != nil {
		errs = append(errs, b.service.Stop())
	}
	if b.log != nil {
		errs = append(errs, b.log.Close())
	}
	if b.disk != nil {
		errs = append(errs, b.disk.Close())
	}
	return errors.Join(errs...)
}

// Needs names what a round needs besides the server.
func (r Round) Needs() string {
	if r.needsDisk() {
		return r.Store + " on a disk of its own"
	}
	return r.Store
}

// Available reports what is missing for a round, or nil.
func (r Round) Available(ctx context.Context) error {
	if r.needsDisk() {
		if err := powercut.Available(); err != nil {
			return err
		}
	}
	var start func(context.Context, services.Options) (*services.Service, error)
	switch r.Store {
	case Postgres:
		start = services.StartPostgres
	case MySQL:
		start = services.StartMariaDB
	default:
		return nil
	}
	service, err := start(ctx, services.Options{})
	if err != nil {
		return err
	}
	return service.Stop()
}
