package audit

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/tuoguan/tuoguan/store"
)

// verifyPage is how many records are read at once.
const verifyPage = 1000

// Fault says what was done to the log.
type Fault string

const (
	Altered     Fault = "altered"      // the record is not the one that was written in its place
	HashAltered Fault = "hash-altered" // only its hash is not
	Missing     Fault = "missing"      // a record is not there, but later ones are
	Disordered  Fault = "disordered"   // the records do not come in the order of their numbers
	Truncated   Fault = "truncated"    // the chain ends before the head that was noted
	Rewritten   Fault = "rewritten"    // the chain is whole, and not the one whose head was noted
)

// Break is the first place where the chain is not whole.
type Break struct {
	Seq    int64
	Fault  Fault
	Detail string // for people
}

// Report is the outcome of a verification.
type Report struct {
	Records int64  // that are whole, from the first
	Head    Head   // of these
	Break   *Break // nil: the whole log is
}

// Verify reads the log from its beginning and reports the first place where it is not as
// it was written. Records missing at its end are found by a head that was noted
// elsewhere; the zero one expects nothing. Progress, if not nil, is told from time to
// time how many of how many records were read. The error is that of the reader or of ctx.
func Verify(ctx context.Context, r Reader, expected Head, progress func(done, total int64)) (Report, error) {
	var report Report
	last, err := r.LastAudit(ctx)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return report, fmt.Errorf("audit: verify: %w", err)
	}
	for {
		page, err := r.Audit(ctx, report.Head.Seq, verifyPage)
		if err != nil {
			return report, fmt.Errorf("audit: verify: %w", err)
		}
		for i := range page {
			if report.Break, err = inspect(ctx, r, report.Head, page, i); err != nil {
				return report, fmt.Errorf("audit: verify: %w", err)
			}
			if report.Break != nil {
				return report, nil
			}
			report.Records++
			report.Head = Head{Seq: page[i].Seq, Hash: [sha256.Size]byte(page[i].Hash)}
			if expected.Seq == report.Head.Seq && expected.Hash != report.Head.Hash {
				report.Break = &Break{Seq: expected.Seq, Fault: Rewritten, Detail: "the log is whole up to here, but its hash is not the one that was noted: it has been written anew"}
				return report, nil
			}
		}
		if progress != nil {
			progress(report.Records, max(report.Records, last.Seq))
		}
		if len(page) < verifyPage {
			break
		}
	}
	if expected.Seq > report.Head.Seq {
		report.Break = &Break{Seq: report.Head.Seq + 1, Fault: Truncated, Detail: fmt.Sprintf("the log ends here, and had at least %d records when its head was noted", expected.Seq)}
	}
	return report, nil
}

// inspect checks that a record of a page follows what is whole up to there.
func inspect(ctx context.Context, r Reader, whole Head, page []store.AuditRecord, i int) (*Break, error) {
	record, want := page[i], whole.Seq+1
	switch {
	case record.Seq == want+1:
		return &Break{Seq: want, Fault: Missing, Detail: fmt.Sprintf("record %d is missing", want)}, nil
	case record.Seq > want:
		return &Break{Seq: want, Fault: Missing, Detail: fmt.Sprintf("records %d to %d are missing", want, record.Seq-1)}, nil
	case record.Seq < want:
		return &Break{Seq: want, Fault: Disordered, Detail: fmt.Sprintf("record %d comes where %d should", record.Seq, want)}, nil
	}
	right := hashOf(whole.Hash, record)
	if string(record.Hash) == string(right[:]) {
		return nil, nil
	}
	// The record after it was made with the right hash, if it was left alone.
	next := page[i+1:]
	if len(next) == 0 {
		var err error
		if next, err = r.Audit(ctx, record.Seq, 1); err != nil {
			return nil, err
		}
	}
	broken := &Break{Seq: want, Fault: Altered, Detail: fmt.Sprintf("record %d does not follow the one before it: it was altered, replaced or moved", want)}
	if len(next) == 0 || next[0].Seq != want+1 {
		return broken, nil
	}
	afterRight := hashOf(right, next[0])
	if string(next[0].Hash) == string(afterRight[:]) {
		broken.Fault, broken.Detail = HashAltered, fmt.Sprintf("the hash of record %d was altered, its content was not", want)
		return broken, nil
	}
	if len(record.Hash) != sha256.Size {
		return broken, nil
	}
	afterStored := hashOf([sha256.Size]byte(record.Hash), next[0])
	if string(next[0].Hash) == string(afterStored[:]) {
		broken.Detail = fmt.Sprintf("the content or the time of record %d was altered", want)
	}
	return broken, nil
}
