package cli_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// drivers call the programs of docs/subscriptions.md that verify a webhook with the
// example of the Standard Webhooks specification, as if it came just when it was signed,
// and with another body. Each says yes or no to each.
var drivers = map[string]struct {
	program, file, tail string
}{
	"js": {"node", "verify.mjs", `
const headers = {"webhook-id": "msg_loFOjxBNrRLzqYUf", "webhook-timestamp": "1731705121", "webhook-signature": "v1,AAAA v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0="};
const says = (body) => verify(headers, Buffer.from(body), "whsec_plJ3nmyCDGBKInavdOK15jsl") ? "yes" : "no";
console.log(says(BODY)); // too old
Date.now = () => 1731705122000;
console.log(says(BODY), says(BODY + " "));
`},
	"python": {"python3", "verify.py", `
headers = {"webhook-id": "msg_loFOjxBNrRLzqYUf", "webhook-timestamp": "1731705121", "webhook-signature": "v1,AAAA v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0="}
says = lambda body: "yes" if verify(headers, body.encode(), "whsec_plJ3nmyCDGBKInavdOK15jsl") else "no"
print(says(BODY))
time.time = lambda: 1731705122
print(says(BODY), says(BODY + " "))
`},
}

// TestVerifyingExamples runs what the documentation tells receivers to do.
func TestVerifyingExamples(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("../../docs/subscriptions.md")
	if err != nil {
		t.Fatal(err)
	}
	for language, driver := range drivers {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			if _, err := exec.LookPath(driver.program); err != nil {
				if os.Getenv("REQUIRE_TOOLS") == "1" {
					t.Fatal(err)
				}
				t.Skipf("%s is not installed", driver.program)
			}
			_, program, ok := strings.Cut(string(document), "\n```"+language+"\n")
			if !ok {
				t.Fatalf("there is no program in %s", language)
			}
			program, _, _ = strings.Cut(program, "\n```\n")
			tail := strings.ReplaceAll(driver.tail, "BODY", `'{"event_type":"ping","data":{"success":true}}'`)
			file := filepath.Join(t.TempDir(), driver.file)
			if err := os.WriteFile(file, []byte(program+tail), 0o600); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			said, err := exec.CommandContext(ctx, driver.program, file).CombinedOutput()
			if err != nil || strings.Join(strings.Fields(string(said)), " ") != "no yes no" {
				t.Errorf("it says %q, %v", said, err)
			}
		})
	}
}
