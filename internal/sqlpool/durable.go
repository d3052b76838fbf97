package sqlpool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
)

// ErrNotDurable says that a server may lose what it has committed.
var ErrNotDurable = errors.New("the server may lose what it has committed")

// Problem is a setting by which a server may lose what it has committed.
type Problem struct {
	Setting, Value string
	Meaning        string // what may happen
	Remedy         string // the statement that changes it
}

// Judge returns an error that names the problems, or with unsafe logs each of them.
func Judge(ctx context.Context, log *slog.Logger, unsafe bool, problems []Problem) error {
	var errs []error
	for _, p := range problems {
		if unsafe {
			log.WarnContext(ctx, "the database may lose what it has committed, and this is accepted",
				"setting", p.Setting, "value", p.Value, "meaning", p.Meaning, "remedy", p.Remedy)
			continue
		}
		errs = append(errs, fmt.Errorf("%w: %s is %s: %s (remedy: %s)", ErrNotDurable, p.Setting, p.Value, p.Meaning, p.Remedy))
	}
	return errors.Join(errs...)
}
