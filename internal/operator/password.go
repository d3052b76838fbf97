package operator

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"github.com/tuoguan/tuoguan/internal/access"
)

const (
	minPassword = 10  // characters
	maxPassword = 256 // characters

	saltLength = 16 // bytes
	hashLength = 32 // bytes
)

// cost is what a hash by argon2id costs.
type cost struct {
	memory  uint32 // KiB
	time    uint32 // passes
	threads uint8
}

// presentCost is that of new hashes. One takes 0.15 s on two cores of a small server.
var presentCost = cost{memory: 64 << 10, time: 3, threads: 4}

// What is read from the store must not be able to take all memory, or for ever.
const (
	maxMemory = 256 << 10 // KiB
	maxTime   = 16
	maxLength = 64 // bytes, of salt and hash
	minLength = 8  // bytes
)

var errPHC = errors.New("operator: not the hash of a password")

// phc is a hash in the string format of the Password Hashing Competition:
// $argon2id$v=19$m=65536,t=3,p=4$salt$hash, with base64 that is not padded. It says by
// itself what it cost, so the cost can be raised later.
type phc struct {
	cost
	salt, hash []byte
}

func (h phc) String() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.memory, h.time, h.threads,
		phcEncoding.EncodeToString(h.salt), phcEncoding.EncodeToString(h.hash))
}

var phcEncoding = base64.RawStdEncoding.Strict()

// parsePHC takes exactly what [phc.String] makes, within bounds.
func parsePHC(text string) (phc, error) {
	var h phc
	var version int
	parts := strings.Split(text, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" {
		return phc{}, errPHC
	}
	if _, err := fmt.Sscanf(parts[2]+" "+parts[3], "v=%d m=%d,t=%d,p=%d", &version, &h.memory, &h.time, &h.threads); err != nil {
		return phc{}, errPHC
	}
	var errSalt, errHash error
	h.salt, errSalt = phcEncoding.DecodeString(parts[4])
	h.hash, errHash = phcEncoding.DecodeString(parts[5])
	if errSalt != nil || errHash != nil || h.String() != text || // nothing is written in two ways
		version != argon2.Version || h.threads == 0 || h.time == 0 || h.time > maxTime ||
		h.memory < 8*uint32(h.threads) || h.memory > maxMemory ||
		len(h.salt) < minLength || len(h.salt) > maxLength || len(h.hash) < minLength || len(h.hash) > maxLength {
		return phc{}, errPHC
	}
	return h, nil
}

// hasher makes hashes. Each takes the memory of its cost, so only so many are made at a
// time as there are processors for this process, be it in a container.
type hasher struct {
	cost  cost
	slots chan struct{}
}

func newHasher() *hasher {
	return &hasher{cost: presentCost, slots: make(chan struct{}, runtime.GOMAXPROCS(0))}
}

// enter waits for a slot; leave gives it back. Between them one hash is made at a time.
func (h *hasher) enter(ctx context.Context) error {
	select {
	case h.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h *hasher) leave() { <-h.slots }

// hash returns the PHC string of a password. It needs a slot.
func (h *hasher) hash(password string) string {
	salt := make([]byte, saltLength)
	_, _ = rand.Read(salt) // never fails
	return phc{cost: h.cost, salt: salt, hash: h.cost.hash(password, salt, hashLength)}.String()
}

func (c cost) hash(password string, salt []byte, length int) []byte {
	return argon2.IDKey([]byte(password), salt, c.time, c.memory, c.threads, uint32(length))
}

// matches reports whether a password is the one that was hashed. It needs a slot. What is
// no hash, like "" for no password, matches nothing and costs the same time.
func (h *hasher) matches(stored, password string) bool {
	known, err := parsePHC(stored)
	if err != nil {
		known = phc{cost: h.cost, salt: make([]byte, saltLength), hash: make([]byte, hashLength)}
	}
	got := known.cost.hash(password, known.salt, len(known.hash))
	return subtle.ConstantTimeCompare(got, known.hash) == 1 && err == nil
}

// outdated reports whether a hash should be made again, at the present cost.
func (h *hasher) outdated(stored string) bool {
	known, err := parsePHC(stored)
	return err == nil && known.cost != h.cost
}

// commonPasswords are those that are tried first, of the length that is asked for.
//
//go:embed common.txt
var commonPasswords string

// checkPassword adds what is wrong with a new password of a user.
func checkPassword(wrong *access.Mistakes, field, password, name string) {
	folded := strings.ToLower(password)
	switch n := utf8.RuneCountInString(password); {
	case !utf8.ValidString(password):
		add(wrong, field, "must be text in UTF-8", "须为 UTF-8 文本")
	case n < minPassword || n > maxPassword:
		add(wrong, field, "must have 10 to 256 characters", "长度须为 10 至 256 个字符")
	case folded == strings.ToLower(name):
		add(wrong, field, "must not be the name", "不能与用户名相同")
	case slices.Contains(strings.Fields(commonPasswords), folded):
		add(wrong, field, "is one of the commonest passwords", "过于常见，请更换")
	}
}

// typed are the digits of what people have to type: none looks like another.
const typed = "abcdefghjkmnpqrstuvwxyz23456789"

// initialLength is that of a password made for somebody: 79 bits.
const initialLength = 16

// randomText returns n characters of an alphabet, each as likely as any other.
func randomText(alphabet string, n int) string {
	text := make([]byte, 0, n)
	limit := 256 / len(alphabet) * len(alphabet)
	var random [64]byte
	for len(text) < n {
		_, _ = rand.Read(random[:]) // never fails
		for _, b := range random {
			if len(text) < n && int(b) < limit {
				text = append(text, alphabet[int(b)%len(alphabet)])
			}
		}
	}
	return string(text)
}

func add(wrong *access.Mistakes, field, problem, chinese string) {
	*wrong = append(*wrong, &access.FieldError{Field: field, Problem: problem, Chinese: chinese})
}
