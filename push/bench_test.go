package push

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"hash"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tuoguan/tuoguan/wxcrypt"
)

// benchPush returns the plaintext of a text message of exactly size bytes, half of
// whose content is Chinese.
func benchPush(size int) []byte {
	const head = "<xml><ToUserName><![CDATA[gh_0123456789ab]]></ToUserName><FromUserName><![CDATA[oSim0001]]></FromUserName>" +
		"<CreateTime>1700000600</CreateTime><MsgType><![CDATA[text]]></MsgType><Content><![CDATA["
	const tail = "]]></Content><MsgId>24000000000000001</MsgId></xml>"
	n := size - len(head) - len(tail)
	content := strings.Repeat("third party 第三方平台", n/25+1)[:n]
	return []byte(head + strings.ToValidUTF8(content, "??")[:n] + tail)
}

// floor is what no receiver can do without, on buffers made beforehand: base64,
// SHA-1 over token, timestamp, nonce and text, AES-256-CBC. It allocates nothing,
// compares and parses nothing, and for sealing it draws no random bytes.
type floor struct {
	sha     hash.Hash
	sum     [40]byte
	decrypt cipher.BlockMode
	encrypt cipher.BlockMode
	iv      []byte
	parts   []byte // token, timestamp and nonce, already sorted
	text    []byte // base64
	bytes   []byte // ciphertext or plaintext
}

func newFloor(c wxcrypt.Config, text []byte) *floor {
	key, _ := base64.StdEncoding.DecodeString(c.EncodingAESKey + "=")
	block, _ := aes.NewCipher(key)
	iv := key[:16]
	f := &floor{
		sha: sha1.New(), decrypt: cipher.NewCBCDecrypter(block, iv), encrypt: cipher.NewCBCEncrypter(block, iv),
		iv: iv, parts: []byte("1700000600" + "42" + c.Token), text: text,
	}
	f.bytes, _ = base64.StdEncoding.DecodeString(string(text))
	return f
}

func (f *floor) sign() {
	f.sha.Reset()
	f.sha.Write(f.parts)
	f.sha.Write(f.text)
	f.sha.Sum(f.sum[:0])
}

func (f *floor) open() {
	f.sign()
	n, _ := base64.StdEncoding.Decode(f.bytes[:cap(f.bytes)], f.text)
	f.decrypt.(interface{ SetIV([]byte) }).SetIV(f.iv)
	f.decrypt.CryptBlocks(f.bytes[:n], f.bytes[:n])
}

func (f *floor) seal() {
	f.encrypt.(interface{ SetIV([]byte) }).SetIV(f.iv)
	f.encrypt.CryptBlocks(f.bytes, f.bytes)
	base64.StdEncoding.Encode(f.text, f.bytes)
	f.sign()
}

// cpuTime returns the processor time of the process, garbage collection included.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// reportRatio runs both sides in turns, so that whatever else the machine does
// meets both, and reports the processor time of ours as a multiple of the floor's.
// The process is given the heap of a small server: with none at all the garbage
// collector would run every few thousand calls, which it does nowhere else.
func reportRatio(b *testing.B, most float64, ours, floor func()) {
	const turn = 2 * time.Millisecond
	heap := make([]byte, 16<<20)
	defer runtime.KeepAlive(heap)
	timeOf := func(n int, f func()) time.Duration {
		start := cpuTime()
		for range n {
			f()
		}
		return cpuTime() - start
	}
	n := 100
	for timeOf(n, floor) < turn {
		n *= 2
	}
	var oursTotal, floorTotal time.Duration
	calls := 0
	for b.Loop() {
		floorTotal += timeOf(n, floor)
		oursTotal += timeOf(n, ours)
		calls += n
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(oursTotal.Nanoseconds())/float64(calls), "ours-ns")
	b.ReportMetric(float64(floorTotal.Nanoseconds())/float64(calls), "floor-ns")
	b.ReportMetric(float64(oursTotal)/float64(floorTotal), "ratio")
	b.ReportMetric(most, "ratio-allowed")
	b.ReportMetric(testing.AllocsPerRun(100, ours), "allocs")
}

// BenchmarkRatioOpen: verify, open and parse a push.
func BenchmarkRatioOpen(b *testing.B) {
	for _, test := range []struct {
		size int
		most float64
	}{{257, 2}, {2 << 10, 1.4}, {20 << 10, 1.25}} {
		b.Run(fmt.Sprint(test.size), func(b *testing.B) {
			c := testCrypter(b)
			text, err := c.Encrypt(benchPush(test.size), wxcrypt.Current)
			if err != nil {
				b.Fatal(err)
			}
			q := wxcrypt.Query{Timestamp: "1700000600", Nonce: "42", MsgSignature: c.Sign("1700000600", "42", text, wxcrypt.Current)}
			body := []byte("<xml><ToUserName><![CDATA[gh_0123456789ab]]></ToUserName><Encrypt><![CDATA[" + string(text) + "]]></Encrypt></xml>")
			f := newFloor(testConfig, text)
			reportRatio(b, test.most, func() {
				if p, err := Open(c, testAuthorizer, q, body); err != nil || p.MsgType != "text" {
					b.Fatal(p, err)
				}
			}, f.open)
		})
	}
}

// BenchmarkRatioSeal: encrypt and sign a reply and write its envelope.
func BenchmarkRatioSeal(b *testing.B) {
	for _, test := range []struct {
		size int
		most float64
	}{{257, 1.2}, {2 << 10, 1.05}, {20 << 10, 1.05}} {
		b.Run(fmt.Sprint(test.size), func(b *testing.B) {
			c := testCrypter(b)
			msg := benchPush(test.size)
			text, err := c.Encrypt(msg, wxcrypt.Current)
			if err != nil {
				b.Fatal(err)
			}
			dst := make([]byte, 0, 2*len(text)+1024)
			f := newFloor(testConfig, text)
			reportRatio(b, test.most, func() {
				if _, err := c.SealXML(dst, msg, "1700000600", "42", wxcrypt.Current); err != nil {
					b.Fatal(err)
				}
			}, f.seal)
		})
	}
}
