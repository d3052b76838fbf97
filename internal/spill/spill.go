// Package spill keeps what WeChat has answered in a file, for the time when the
// database does not take it: a token that WeChat has just replaced may be the only
// one that still works, and must outlive this process. The next one brings what is
// in the file into the database.
//
// # What the file promises
//
// What [File.Put] has acknowledged survives a kill of the process and a loss of
// power. No secret is in the file unless sealed. A full disk does not matter: the
// file has its final size from the beginning, and every block of it was written
// once, so that the file system has nothing left to allocate. (One that never writes
// in place, such as Btrfs or ZFS, allocates all the same; the file should not live
// there.) It should be on a disk of this machine, if possible not the one of the
// database. Each process needs a file of its own; a lock sees to that.
//
// # How
//
// The file is a row of blocks of 4 KiB, the unit in which disks and kernels write.
// The first says what the file is. Every other one is empty, that is all zero, or
// holds a part of one answer: the answer's number, which part of how many this is,
// the bytes, and a checksum over the block. Nearly all answers have one part.
//
//   - Put writes to empty blocks only, and never writes to a block that holds a part
//     of another answer. So a write that is torn by a loss of power harms nothing that
//     was there before.
//   - Forget fills the blocks of its answer with zeros. They hold nothing else, so
//     that may be torn as well: an answer with a part missing is taken for forgotten,
//     and one that comes back is saved a second time, which changes nothing.
//   - Forgotten blocks are used again after the next sync only, when it is certain that
//     they are empty on the disk too. So what a torn Put leaves is a mixture of its own
//     bytes and zeros, by sectors: an answer with a part or a sector of zeros was never
//     acknowledged, and is cleared away when the file is opened.
//   - What is neither empty, nor whole, nor torn in this way is damage, and so is a
//     whole answer that does not open, as with a wrong key. It is reported, it stays
//     as it is for whoever wants to look at it, and its blocks are not used again.
//
// After a write or a sync has failed, nobody knows what is on the disk, and to try
// again would not tell: the kernel may have dropped what it could not write. Then the
// file is lost: it is not touched any more until it is opened anew.
package spill

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strconv"
	"sync"

	"github.com/tuoguan/tuoguan/keeper"
	"github.com/tuoguan/tuoguan/store"
)

var (
	// ErrFull: there is no room for the answer.
	ErrFull = errors.New("spill: the file is full")
	// ErrLost: a write or a sync has failed; the file is not used any more.
	ErrLost = errors.New("spill: the file is lost, a write has failed")
	// ErrDamaged: the file holds something that cannot be read.
	ErrDamaged = errors.New("spill: the file is damaged")
	// ErrForeign: the file is not a spill file, or one of a newer version.
	ErrForeign = errors.New("spill: not a spill file of this version")
	// ErrInUse: another process has the file.
	ErrInUse = errors.New("spill: another process has the file open; each process needs one of its own")
	// ErrClosed: the file was closed.
	ErrClosed = errors.New("spill: the file is closed")
)

// DefaultSize is the default of [Config.Size]: some 2,000 answers.
const DefaultSize = 8 << 20

// Config says how to open a file.
type Config struct {
	// Path is the file; it is created if it is not there, and so is its directory. Required.
	Path string
	// Size is the size in bytes; a file that is larger stays so. Defaults to DefaultSize.
	Size int64
	// Cipher seals the answers. Required.
	Cipher store.Cipher
	// Logger is told what was found in the file. Defaults to none.
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.Size == 0 {
		c.Size = DefaultSize
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func (c Config) validate() error {
	var errs []error
	if c.Path == "" {
		errs = append(errs, errors.New("spill: Path is required"))
	}
	if c.Size < 2*blockSize {
		errs = append(errs, fmt.Errorf("spill: Size is %d, it must be %d or more", c.Size, 2*blockSize))
	}
	if c.Cipher == nil {
		errs = append(errs, errors.New("spill: Cipher is required"))
	}
	return errors.Join(errs...)
}

// File is a spill file. It is safe for concurrent use.
type File struct {
	cipher store.Cipher
	file   *os.File
	damage []error // found when it was opened

	wake    chan struct{}  // tells the goroutine that syncs
	stopped chan struct{}  // closed when that has ended
	calls   sync.WaitGroup // under way

	mu        sync.Mutex // never held while reading or writing
	closed    bool
	lost      error // wraps ErrLost
	last      uint64
	held      map[uint64][]int64 // the blocks of each answer, in the order of its parts
	empty     []int64            // blocks to use
	forgotten []int64            // blocks that are empty as of the next sync
	clearing  int                // blocks that are empty as of the sync under way
	waiting   []chan<- error     // for the next sync
}

var _ keeper.Spill = (*File)(nil)

// Open opens or creates the file and looks at what is in it. Damage is logged, and
// reported by [File.Answers] and [File.Damaged]; it is no reason not to open.
func Open(cfg Config) (*File, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	file, err := openLocked(cfg.Path)
	if err != nil {
		return nil, fmt.Errorf("spill: %w", err)
	}
	f := &File{
		cipher: cfg.Cipher, file: file, held: make(map[uint64][]int64),
		wake: make(chan struct{}, 1), stopped: make(chan struct{}),
	}
	if err := f.load(cfg); err != nil {
		return nil, errors.Join(fmt.Errorf("spill: %s: %w", cfg.Path, err), unlock(file), file.Close())
	}
	go f.syncLoop()
	return f, nil
}

// load finds out what is in the file and makes it ready to be written to.
func (f *File) load(cfg Config) error {
	info, err := f.file.Stat()
	if err != nil {
		return err
	}
	blocks := (info.Size() + blockSize - 1) / blockSize
	found, err := scan(f.file, blocks)
	if err != nil {
		return err
	}
	f.last, f.empty, f.damage = found.last, found.empty, found.damage
	for id, blocks := range found.answers {
		if _, err := f.read(id, blocks); err != nil {
			f.damage = append(f.damage, err)
			continue
		}
		f.held[id] = blocks
	}
	if err := f.clear(found.torn); err != nil {
		return err
	}
	f.empty = append(f.empty, found.torn...)
	for n := max(blocks, 1); n < cfg.Size/blockSize; n++ {
		f.empty = append(f.empty, n)
	}
	if err := extend(f.file, info.Size(), max(blocks*blockSize, cfg.Size)); err != nil {
		return err
	}
	if !found.labelled {
		if _, err := f.file.WriteAt(append([]byte(label), make([]byte, blockSize-len(label))...), 0); err != nil {
			return err
		}
	}
	// An earlier process may have left zeros that are not on the disk yet.
	if err := errors.Join(f.file.Sync(), syncDir(cfg.Path)); err != nil {
		return err
	}
	log := cfg.Logger.With("file", cfg.Path)
	if len(f.held) > 0 {
		log.Info("the spill file holds answers of WeChat for the store", "answers", len(f.held))
	}
	if len(found.torn) > 0 {
		log.Warn("the spill file held an unfinished write, which was never acknowledged", "blocks", len(found.torn))
	}
	for _, err := range f.damage {
		log.Error("the spill file is damaged; what cannot be read is left in it", "error", err)
	}
	return nil
}

// Put stores an answer durably. It fails with [ErrFull] or [ErrLost]. Where it fails
// otherwise, as when ctx ends while the disk takes its time, the answer may be stored
// or not; the id, if it is not zero, is good for [File.Forget] then too.
func (f *File) Put(ctx context.Context, a keeper.Answer) (id uint64, err error) {
	place, err := placeOf(a)
	if err != nil {
		return 0, err
	}
	plaintext, err := marshal(a)
	if err != nil {
		return 0, fmt.Errorf("spill: %w", err)
	}
	id, err = f.begin()
	if err != nil {
		return 0, err
	}
	defer f.calls.Done()
	place.Row = row(id)
	sealed, err := f.cipher.Seal(place, plaintext)
	if err != nil {
		return 0, fmt.Errorf("spill: %w", err)
	}
	parts := split(id, appendPlace(nil, place), sealed)
	blocks, err := f.take(ctx, len(parts))
	if err != nil {
		return 0, err
	}
	for i, part := range parts {
		if _, err := f.file.WriteAt(part, blocks[i]*blockSize); err != nil {
			return 0, f.lose(err)
		}
	}
	f.mu.Lock()
	f.held[id] = blocks
	f.mu.Unlock()
	return id, f.sync(ctx)
}

// begin announces a Put and numbers it.
func (f *File) begin() (id uint64, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return 0, ErrClosed
	}
	f.calls.Add(1)
	f.last++
	return f.last, nil
}

// take returns n empty blocks.
func (f *File) take(ctx context.Context, n int) ([]int64, error) {
	for {
		blocks, err := f.takeNow(n)
		if blocks != nil || err != nil {
			return blocks, err
		}
		if err := f.sync(ctx); err != nil { // this makes forgotten blocks empty ones
			return nil, err
		}
	}
}

// takeNow returns nothing if there will be enough after a sync.
func (f *File) takeNow(n int) ([]int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.lost != nil:
		return nil, f.lost
	case n <= len(f.empty):
		blocks := slices.Clone(f.empty[:n])
		f.empty = f.empty[n:]
		return blocks, nil
	case n <= len(f.empty)+len(f.forgotten)+f.clearing:
		return nil, nil
	}
	return nil, ErrFull
}

// sync returns when everything written before the call is durable. Calls that come
// while a sync is under way share the next one.
func (f *File) sync(ctx context.Context) error {
	done := make(chan error, 1)
	f.mu.Lock()
	f.waiting = append(f.waiting, done)
	f.mu.Unlock()
	select {
	case f.wake <- struct{}{}:
	default:
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("spill: sync: %w", ctx.Err())
	}
}

func (f *File) syncLoop() {
	defer close(f.stopped)
	for range f.wake {
		f.mu.Lock()
		if len(f.waiting) == 0 { // an earlier round was for them
			f.mu.Unlock()
			continue
		}
		waiting, cleared, err := f.waiting, f.forgotten, f.lost
		f.waiting, f.forgotten, f.clearing = nil, nil, len(cleared)
		f.mu.Unlock()
		if err == nil {
			if err = f.file.Sync(); err != nil {
				err = f.lose(err)
			}
		}
		f.mu.Lock()
		f.clearing = 0
		if err == nil {
			f.empty = append(f.empty, cleared...)
		}
		f.mu.Unlock()
		for _, done := range waiting {
			done <- err
		}
	}
}

// lose declares the file lost.
func (f *File) lose(err error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.lost == nil {
		f.lost = fmt.Errorf("%w: %w", ErrLost, err)
	}
	return f.lost
}

// Forget removes an answer that has reached the store. An answer that is not there,
// or not any more, is no error. A crash may undo it: then the answer comes again.
func (f *File) Forget(id uint64) error {
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return ErrClosed
	}
	f.calls.Add(1)
	defer f.calls.Done()
	blocks, err := f.held[id], f.lost
	delete(f.held, id)
	f.mu.Unlock()
	if err != nil {
		return err
	}
	if err := f.clear(blocks); err != nil {
		return f.lose(err)
	}
	f.mu.Lock()
	f.forgotten = append(f.forgotten, blocks...)
	f.mu.Unlock()
	return nil
}

func (f *File) clear(blocks []int64) error {
	zeros := make([]byte, blockSize)
	for _, b := range blocks {
		if _, err := f.file.WriteAt(zeros, b*blockSize); err != nil {
			return err
		}
	}
	return nil
}

// Answers returns what is there, oldest first. If something cannot be read the error
// wraps [ErrDamaged], and the rest is returned all the same.
func (f *File) Answers() ([]keeper.Spilled, error) {
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return nil, ErrClosed
	}
	f.calls.Add(1)
	defer f.calls.Done()
	held := maps.Clone(f.held)
	f.mu.Unlock()
	errs := slices.Clone(f.damage)
	var answers []keeper.Spilled
	for _, id := range slices.Sorted(maps.Keys(held)) {
		a, err := f.read(id, held[id])
		switch {
		case err == nil:
			answers = append(answers, keeper.Spilled{ID: id, Answer: a})
		case f.holds(id): // it was not just forgotten
			errs = append(errs, err)
		}
	}
	return answers, errors.Join(errs...)
}

func (f *File) holds(id uint64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.held[id] != nil
}

// read reads one answer. Its errors wrap ErrDamaged.
func (f *File) read(id uint64, blocks []int64) (keeper.Answer, error) {
	a, err := f.open(id, blocks)
	if err != nil {
		return keeper.Answer{}, fmt.Errorf("%w: answer %d: %w", ErrDamaged, id, err)
	}
	return a, nil
}

func (f *File) open(id uint64, blocks []int64) (keeper.Answer, error) {
	content, err := join(f.file, id, blocks)
	if err != nil {
		return keeper.Answer{}, err
	}
	place, sealed, err := cutPlace(content)
	if err != nil {
		return keeper.Answer{}, err
	}
	place.Row = row(id)
	plaintext, err := f.cipher.Open(place, sealed)
	if err != nil {
		return keeper.Answer{}, err
	}
	return unmarshal(plaintext)
}

// row binds what is sealed to its number.
func row(id uint64) string { return strconv.FormatUint(id, 10) }

// Len returns how many answers wait for the store.
func (f *File) Len() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.held)
}

// Damaged returns how many pieces of damage were found when the file was opened.
func (f *File) Damaged() int { return len(f.damage) }

// Err returns an error that wraps [ErrLost] if the file is lost, else nil.
func (f *File) Err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lost
}

// Close waits for calls under way and gives the file up. It writes nothing.
func (f *File) Close() error {
	f.mu.Lock()
	closed := f.closed
	f.closed = true
	f.mu.Unlock()
	if closed {
		return nil
	}
	f.calls.Wait()
	close(f.wake)
	<-f.stopped
	if err := errors.Join(unlock(f.file), f.file.Close()); err != nil {
		return fmt.Errorf("spill: close: %w", err)
	}
	return nil
}
