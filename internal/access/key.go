package access

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"math/big"
	"strings"

	"github.com/tuoguan/tuoguan"
)

var (
	// ErrUnknownKey: there is no such key, or it is not even one.
	ErrUnknownKey = errors.New("access: unknown API key")
	// ErrExpiredKey: the key was valid once, and its time or that of its rotation is over.
	ErrExpiredKey = errors.New("access: API key has expired")
	// ErrRevokedKey: the key was taken back.
	ErrRevokedKey = errors.New("access: API key is revoked")
	// ErrNetwork: the key may not be used from this address.
	ErrNetwork = errors.New("access: API key may not be used from this address")
	// ErrStorage: the store was needed to know the caller, and cannot be read.
	ErrStorage = errors.New("access: callers cannot be looked up")

	errMalformedKey = fmt.Errorf("%w: it has not the form of a key, or was mistyped", ErrUnknownKey)
)

// A key is "wxk_", an id, "_", a secret, "_" and a checksum over all before its "_".
const (
	keyPrefix    = "wxk_"
	idLength     = 12
	secretLength = 43 // log₆₂ 2²⁵⁶ is 42.99…
	crcLength    = 6
	keyLength    = len(keyPrefix) + idLength + 1 + secretLength + 1 + crcLength

	digits   = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	idDigits = "0123456789abcdefghijklmnopqrstuvwxyz"
)

// Generate returns the id of a new key and the key itself, which has 256 random bits.
func Generate() (id string, key tuoguan.Secret) {
	id = randomText(idDigits, idLength)
	return id, generateFor(id)
}

// generateFor returns a new key with an id that is there already.
func generateFor(id string) tuoguan.Secret {
	text := keyPrefix + id + "_" + randomText(digits, secretLength)
	sum := checksum(text)
	return tuoguan.NewSecret(text + "_" + string(sum[:]))
}

// randomText returns n digits, each as likely as any other.
func randomText(digits string, n int) string {
	limit := new(big.Int).Exp(big.NewInt(int64(len(digits))), big.NewInt(int64(n)), nil)
	number, err := rand.Int(rand.Reader, limit)
	if err != nil {
		panic(err) // crypto/rand.Reader never fails
	}
	text := make([]byte, n)
	radix, digit := big.NewInt(int64(len(digits))), new(big.Int)
	for i := range text {
		number.DivMod(number, radix, digit)
		text[n-1-i] = digits[digit.Int64()]
	}
	return string(text)
}

// ParseKey returns the id in a key whose form and checksum are right; whether there is
// such a key is another matter. Else the error is an [ErrUnknownKey].
func ParseKey(text string) (id string, err error) {
	const idEnd, secretEnd = len(keyPrefix) + idLength, keyLength - crcLength - 1
	if len(text) != keyLength || !strings.HasPrefix(text, keyPrefix) || text[idEnd] != '_' || text[secretEnd] != '_' {
		return "", errMalformedKey
	}
	for i := len(keyPrefix); i < secretEnd; i++ {
		if c := text[i]; i != idEnd && !('0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z') {
			return "", errMalformedKey
		}
	}
	want := checksum(text[:secretEnd])
	if text[secretEnd+1:] != string(want[:]) {
		return "", errMalformedKey
	}
	return text[len(keyPrefix):idEnd], nil
}

// checksum returns the CRC-32 of a text, in base 62. It allocates nothing, which
// crc32.ChecksumIEEE would make it do.
func checksum(text string) (sum [crcLength]byte) {
	crc := ^uint32(0)
	for i := range len(text) {
		crc = crc32.IEEETable[byte(crc)^text[i]] ^ crc>>8
	}
	crc = ^crc
	for i := crcLength - 1; i >= 0; i-- {
		sum[i] = digits[crc%62]
		crc /= 62
	}
	return sum
}

// hashOf is what the store keeps of a key. It has 256 random bits, so no slow hash is needed.
func hashOf(key string) [sha256.Size]byte {
	var short [2 * keyLength]byte // allocates nothing
	return sha256.Sum256(append(short[:0], key...))
}

// credential names one of the keys of an id.
func credential(id string, hash []byte) string {
	return id + "." + hex.EncodeToString(hash[:min(8, len(hash))])
}
