package push

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tuoguan/tuoguan/wxcrypt"
)

// exchange is what interop.js reads and writes.
type exchange struct {
	Command   string `json:"command,omitempty"`
	Token     string `json:"token,omitempty"`
	Key       string `json:"key,omitempty"`
	ID        string `json:"id,omitempty"`
	Timestamp string `json:"timestamp,omitempty"`
	Nonce     string `json:"nonce,omitempty"`
	Message   string `json:"message,omitempty"`
	Encrypt   string `json:"encrypt,omitempty"`
	Signature string `json:"signature,omitempty"`
}

// TestWeComCryptoInterop lets WeCom's published library seal pushes, which we
// must accept, and open our replies to them.
func TestWeComCryptoInterop(t *testing.T) {
	t.Parallel()
	dir := installWeComCrypto(t)
	timestamp := strconv.FormatInt(time.Now().Unix(), 10)

	// Lengths around the padding block, and characters of one to four bytes.
	var contents []string
	var seal []exchange
	for n := range 34 {
		content := strings.Repeat("x", n) + "é你好😀"
		contents = append(contents, content)
		seal = append(seal, exchange{
			Command: "seal", Token: testConfig.Token, Key: testConfig.EncodingAESKey, ID: string(testComponent),
			Timestamp: timestamp, Nonce: "42", Message: strings.Replace(text, ">hello<", ">"+content+"<", 1),
		})
	}
	var replies []wxcrypt.Envelope
	var open []exchange
	for _, theirs := range runInterop(t, dir, seal) {
		w := newWorld(t)
		w.respond = func(_ context.Context, p *Push) (Reply, error) {
			return Text{Content: p.Field("Content") + " back"}, nil
		}
		answer := serve(w.handler(t), w.request(t, messagePath, "", func(r *pushRequest) {
			r.query.Set("timestamp", timestamp)
			r.query.Set("nonce", "42")
			r.query.Set("msg_signature", theirs.Signature)
			r.body = "<xml><ToUserName><![CDATA[gh_0123456789ab]]></ToUserName><Encrypt><![CDATA[" + theirs.Encrypt + "]]></Encrypt></xml>"
		}))
		envelope, err := wxcrypt.ParseEnvelope(answer.Body.Bytes())
		if err != nil {
			t.Fatalf("%d %q: %v\n%s", answer.Code, answer.Body, err, &w.log)
		}
		replies = append(replies, envelope)
		open = append(open, exchange{
			Command: "open", Token: testConfig.Token, Key: testConfig.EncodingAESKey,
			Timestamp: string(envelope.TimeStamp), Nonce: string(envelope.Nonce), Encrypt: string(envelope.Encrypt),
		})
	}
	for i, theirs := range runInterop(t, dir, open) {
		if theirs.Signature != string(replies[i].MsgSignature) || theirs.ID != string(testComponent) {
			t.Errorf("our reply has signature %s, theirs would be %s; they read receiver %s", replies[i].MsgSignature, theirs.Signature, theirs.ID)
		}
		if got := Parse(testAuthorization, []byte(theirs.Message)).Field("Content"); got != contents[i]+" back" {
			t.Errorf("they read %q in our reply to %q", got, contents[i])
		}
	}
}

// runInterop has the library do what the list says.
func runInterop(t *testing.T, dir string, list []exchange) []exchange {
	t.Helper()
	input, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	node := exec.CommandContext(t.Context(), "node", "interop.js")
	node.Dir, node.Stdin = dir, bytes.NewReader(input)
	var stderr strings.Builder
	node.Stderr = &stderr
	output, err := node.Output()
	if err != nil {
		t.Fatalf("node: %v\n%s", err, &stderr)
	}
	var answers []exchange
	if err := json.Unmarshal(output, &answers); err != nil || len(answers) != len(list) {
		t.Fatalf("%d answers to %d, %v", len(answers), len(list), err)
	}
	return answers
}

// installWeComCrypto returns a directory in which node finds the library.
func installWeComCrypto(t *testing.T) string {
	t.Helper()
	missing := func(what string) {
		if os.Getenv("REQUIRE_TOOLS") == "1" {
			t.Fatal(what)
		}
		t.Skip(what)
	}
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			missing(program + " is missing")
		}
	}
	const source = "testdata/wecom"
	if _, err := os.Stat(filepath.Join(source, "node_modules", "@wecom", "crypto")); err == nil {
		return source
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(source)); err != nil {
		t.Fatal(err)
	}
	npm := exec.CommandContext(t.Context(), "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
	npm.Dir = dir
	if output, err := npm.CombinedOutput(); err != nil {
		missing("npm cannot install @wecom/crypto: " + err.Error() + "\n" + string(output))
	}
	return dir
}
