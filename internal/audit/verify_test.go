package audit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuoguan/tuoguan/store"
)

// written is a log as it lies in a store that somebody has worked on.
type written []store.AuditRecord

func (w written) LastAudit(context.Context) (store.AuditRecord, error) {
	if len(w) == 0 {
		return store.AuditRecord{}, store.ErrNotFound
	}
	return w[len(w)-1], nil
}

func (w written) Audit(_ context.Context, after int64, limit int) ([]store.AuditRecord, error) {
	var page []store.AuditRecord
	for _, r := range w {
		if r.Seq > after && len(page) < limit {
			page = append(page, r)
		}
	}
	return page, nil
}

// newWritten returns a log of n records, and its head.
func newWritten(n int) (written, Head) {
	links := make([]link, n)
	for i := range links {
		links[i] = link{at: time.UnixMilli(1_700_000_000_000 + int64(i)), body: event(i).body()}
	}
	return chain(Head{}, links)
}

func (w written) copied() written {
	w = slices.Clone(w)
	for i := range w {
		w[i].Body, w[i].Hash = slices.Clone(w[i].Body), slices.Clone(w[i].Hash)
	}
	return w
}

// renumbered closes the gaps, as somebody would who hides what he did.
func (w written) renumbered() written {
	for i := range w {
		w[i].Seq = int64(i + 1)
	}
	return w
}

// rehashed makes the chain whole from a record on.
func (w written) rehashed(from int) written {
	var head Head
	if from > 0 {
		head = Head{Seq: w[from-1].Seq, Hash: [32]byte(w[from-1].Hash)}
	}
	links := make([]link, 0, len(w)-from)
	for _, r := range w[from:] {
		links = append(links, link{at: r.At, body: r.Body})
	}
	tail, _ := chain(head, links)
	return append(slices.Clone(w[:from]), tail...)
}

// TestVerifyFindsEach does everything that can be done to a record, to each record.
func TestVerifyFindsEach(t *testing.T) {
	t.Parallel()
	const n = 7
	original, head := newWritten(n)
	if report, err := Verify(t.Context(), original, head, nil); err != nil || report.Break != nil || report.Head != head || report.Records != n {
		t.Fatalf("the log as it was written: %+v, %v", report, err)
	}
	type fault struct {
		Seq   int64
		Fault Fault
	}
	swap := func(w written, i, j int) written {
		w[i].At, w[j].At, w[i].Body, w[j].Body, w[i].Hash, w[j].Hash = w[j].At, w[i].At, w[j].Body, w[i].Body, w[j].Hash, w[i].Hash
		return w
	}
	forged := func(i int) store.AuditRecord {
		return store.AuditRecord{At: original[min(i, n-1)].At, Body: event(99).body(), Hash: make([]byte, 32)}
	}
	tampers := map[string]struct {
		tamper func(w written, i int) written
		want   func(i int) *fault
	}{
		"alter the body": {
			func(w written, i int) written { w[i].Body[len(w[i].Body)/2] ^= 1; return w },
			func(i int) *fault { return &fault{int64(i + 1), Altered} }},
		"alter the time": {
			func(w written, i int) written { w[i].At = w[i].At.Add(time.Millisecond); return w },
			func(i int) *fault { return &fault{int64(i + 1), Altered} }},
		"alter the body and its hash": {
			func(w written, i int) written {
				w[i].Body[len(w[i].Body)/2] ^= 1
				one := w[:i+1].rehashed(i)
				return append(one, w[i+1:]...)
			},
			func(i int) *fault {
				return map[bool]*fault{true: {n, Rewritten}, false: {int64(i + 2), Altered}}[i == n-1]
			}},
		"alter the hash": {
			func(w written, i int) written { w[i].Hash[0] ^= 1; return w },
			func(i int) *fault {
				return map[bool]*fault{true: {n, Altered}, false: {int64(i + 1), HashAltered}}[i == n-1]
			}},
		"cut the hash": {
			func(w written, i int) written { w[i].Hash = w[i].Hash[:31]; return w },
			func(i int) *fault {
				return map[bool]*fault{true: {n, Altered}, false: {int64(i + 1), HashAltered}}[i == n-1]
			}},
		"alter the body and cut the hash": {
			func(w written, i int) written {
				w[i].Body[len(w[i].Body)/2] ^= 1
				w[i].Hash = w[i].Hash[:31]
				return w
			},
			func(i int) *fault { return &fault{int64(i + 1), Altered} }},
		"remove the hash": {
			func(w written, i int) written { w[i].Hash = nil; return w },
			func(i int) *fault {
				return map[bool]*fault{true: {n, Altered}, false: {int64(i + 1), HashAltered}}[i == n-1]
			}},
		"drop": {
			func(w written, i int) written { return slices.Delete(w, i, i+1) },
			func(i int) *fault {
				return map[bool]*fault{true: {n, Truncated}, false: {int64(i + 1), Missing}}[i == n-1]
			}},
		"drop and renumber": {
			func(w written, i int) written { return slices.Delete(w, i, i+1).renumbered() },
			func(i int) *fault {
				return map[bool]*fault{true: {n, Truncated}, false: {int64(i + 1), Altered}}[i == n-1]
			}},
		"drop and write anew": {
			func(w written, i int) written { return slices.Delete(w, i, i+1).renumbered().rehashed(i) },
			func(int) *fault { return &fault{n, Truncated} }},
		"drop, write anew and append": {
			func(w written, i int) written {
				return append(slices.Delete(w, i, i+1), forged(i), forged(i)).renumbered().rehashed(i)
			},
			func(int) *fault { return &fault{n, Rewritten} }},
		"truncate": {
			func(w written, i int) written { return w[:i] },
			func(i int) *fault { return &fault{int64(i + 1), Truncated} }},
		"reorder": {
			func(w written, i int) written { return swap(w, i, (i+1)%n) },
			func(i int) *fault { return &fault{int64(min(i, (i+1)%n) + 1), Altered} }},
		"insert": {
			func(w written, i int) written { return slices.Insert(w, i, forged(i)).renumbered() },
			func(i int) *fault { return &fault{int64(i + 1), Altered} }},
		"insert with the right hash": {
			func(w written, i int) written {
				w = slices.Insert(w, i, forged(i)).renumbered()
				return append(w[:i+1].rehashed(i), w[i+1:]...)
			},
			func(i int) *fault {
				return map[bool]*fault{true: {n, Rewritten}, false: {int64(i + 2), Altered}}[i == n-1]
			}},
		"insert and write anew": {
			func(w written, i int) written { return slices.Insert(w, i, forged(i)).renumbered().rehashed(i) },
			func(int) *fault { return &fault{n, Rewritten} }},
		"repeat": {
			func(w written, i int) written { return slices.Insert(w, i, w[i]).renumbered() },
			func(i int) *fault { return &fault{int64(i + 2), Altered} }},
		"append with a gap": {
			func(w written, _ int) written {
				r := forged(0)
				r.Seq = n + 3
				return append(w, r)
			},
			func(int) *fault { return &fault{n + 1, Missing} }},
		"append": {
			func(w written, _ int) written { return append(w, forged(0)).renumbered().rehashed(n) },
			func(int) *fault { return nil }}, // that is what the log itself does
	}
	for name, tt := range tampers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i := range n {
				report, err := Verify(t.Context(), tt.tamper(original.copied(), i), head, nil)
				if err != nil {
					t.Fatal(err)
				}
				var got *fault
				if report.Break != nil {
					got = &fault{report.Break.Seq, report.Break.Fault}
					if report.Break.Detail == "" {
						t.Error("the break is not explained")
					}
				}
				if diff := cmp.Diff(tt.want(i), got); diff != "" {
					t.Errorf("record %d: %s", i+1, diff)
				}
			}
		})
	}
}

// backwards is a reader that keeps no order.
type backwards struct{ written }

func (b backwards) Audit(ctx context.Context, after int64, limit int) ([]store.AuditRecord, error) {
	page, err := b.written.Audit(ctx, after, limit)
	if len(page) > 2 {
		page[1], page[2] = page[0], page[1]
	}
	return page, err
}

func TestVerifyPages(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, verifyPage - 1, verifyPage, verifyPage + 1, 2*verifyPage + 500} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			log, head := newWritten(n)
			var told int64
			report, err := Verify(t.Context(), log, head, func(done, total int64) {
				if done < told || total != int64(n) {
					t.Errorf("progress %d of %d after %d", done, total, told)
				}
				told = done
			})
			if err != nil || report.Break != nil || report.Records != int64(n) || report.Head != head || told != int64(n) {
				t.Errorf("Verify = %+v, %v; progress ended at %d", report, err, told)
			}
			// Each break is found across the borders of pages, too.
			for _, i := range []int{0, verifyPage - 1, verifyPage, n - 1} {
				if i < 0 || i >= n-1 {
					continue
				}
				broken := log.copied()
				broken[i].Hash[5] ^= 1
				report, err := Verify(t.Context(), broken, head, nil)
				if err != nil || report.Break == nil || report.Break.Seq != int64(i+1) || report.Break.Fault != HashAltered || report.Records != int64(i) {
					t.Errorf("record %d: %+v, %v", i+1, report, err)
				}
			}
		})
	}
	log, _ := newWritten(5)
	report, err := Verify(t.Context(), backwards{log}, Head{}, nil)
	if err != nil || report.Break == nil || report.Break.Seq != 2 || report.Break.Fault != Disordered {
		t.Errorf("records that come in disorder: %+v, %v", report, err)
	}
}

// failing is a reader that fails.
type failing struct {
	written
	atLast bool
}

func (f failing) LastAudit(ctx context.Context) (store.AuditRecord, error) {
	if f.atLast {
		return store.AuditRecord{}, errAway
	}
	return f.written.LastAudit(ctx)
}

func (f failing) Audit(context.Context, int64, int) ([]store.AuditRecord, error) { return nil, errAway }

func TestVerifyUnreadable(t *testing.T) {
	t.Parallel()
	for _, atLast := range []bool{true, false} {
		if report, err := Verify(t.Context(), failing{atLast: atLast}, Head{}, nil); !errors.Is(err, errAway) || report.Break != nil {
			t.Errorf("Verify = %+v, %v", report, err)
		}
	}
}
