package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/admin"
)

// client calls the REST API of a running server.
type client struct {
	base string
	key  tuoguan.Secret
	http *http.Client
}

// addClientFlags adds the flags that say where the server is, and returns what
// makes the client once they are parsed.
func addClientFlags(c *cobra.Command, p *Process) func() (*client, error) {
	server := c.Flags().String("server", "", "address of the admin listener (or TUOGUAN_SERVER) · 管理监听地址 (default http://127.0.0.1:8081)")
	keyFile := c.Flags().String("api-key-file", "", "file with the API key (or TUOGUAN_API_KEY_FILE, TUOGUAN_API_KEY) · API 密钥文件")
	return func() (*client, error) {
		base := first(*server, p.variable("TUOGUAN_SERVER"), "http://127.0.0.1:8081")
		key := p.variable("TUOGUAN_API_KEY")
		if file := first(*keyFile, p.variable("TUOGUAN_API_KEY_FILE")); file != "" && (*keyFile != "" || key == "") {
			raw, err := os.ReadFile(file)
			if err != nil {
				return nil, usageError(err.Error())
			}
			key = strings.TrimRight(string(raw), "\r\n")
		}
		if key == "" {
			return nil, usageError("an API key is needed: --api-key-file FILE, or TUOGUAN_API_KEY_FILE")
		}
		return newClient(base, tuoguan.NewSecret(key)), nil
	}
}

func first(choices ...string) string {
	for _, choice := range choices {
		if choice != "" {
			return choice
		}
	}
	return ""
}

func newClient(base string, key tuoguan.Secret) *client {
	return &client{base: strings.TrimSuffix(base, "/"), key: key, http: &http.Client{
		Timeout:       45 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// maxReply bounds what is read of a reply.
const maxReply = 16 << 20

// call sends a request and decodes the reply into out, or returns its problem.
func (c *client) call(ctx context.Context, method, path string, body, out any) error {
	var sent io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return err
		}
		sent = bytes.NewReader(raw)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, sent)
	if err != nil {
		return err
	}
	if !c.key.IsZero() {
		request.Header.Set("Authorization", "Bearer "+c.key.Reveal())
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := c.http.Do(request)
	if err != nil {
		return fmt.Errorf("the server at %s does not answer: %w", c.base, errors.Unwrap(err))
	}
	defer func() { _ = response.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(response.Body, maxReply))
	if err != nil {
		return err
	}
	if response.StatusCode >= 300 {
		var p admin.Problem
		if json.Unmarshal(raw, &p) != nil || p.Title == "" {
			return fmt.Errorf("%s answered %s, which is not an answer of tuoguan's", c.base, response.Status)
		}
		text := fmt.Sprintf("%s: %s", p.Title, p.Detail)
		if p.DetailZh != "" {
			text += "\n  " + p.DetailZh
		}
		if p.Errcode != 0 {
			text += fmt.Sprintf("\n  errcode %d, rid %s", p.Errcode, p.RID)
		}
		return errors.New(text)
	}
	return json.Unmarshal(raw, out)
}

// printJSON prints what the API answered, indented.
func printJSON(c *cobra.Command, value any) error {
	encoder := json.NewEncoder(c.OutOrStdout())
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}
