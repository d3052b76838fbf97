package demo

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"strings"
)

// peopleSignIn shows that people act through the API with their own rights: an operator
// refreshes a token in a browser, a viewer may look and no more, and a page of another
// site gets nowhere.
func (j *journey) peopleSignIn(ctx context.Context) (string, error) {
	refresh := "/v1/authorizers/" + j.account + "/refresh"
	for _, role := range []string{"operator", "viewer"} {
		browser, err := j.signIn(ctx, role)
		if err != nil {
			return "", fmt.Errorf("%s: %w", role, err)
		}
		want := http.StatusOK
		if role == "viewer" {
			want = http.StatusForbidden
		}
		const ours, theirs = "same-origin", "cross-site"
		err = errors.Join(
			eventually(ctx, patience, func(ctx context.Context) error {
				return browser.expect(ctx, want, http.MethodPost, refresh, ours, nil)
			}),
			browser.expect(ctx, http.StatusOK, http.MethodGet, "/v1/authorizers", ours, nil),
			browser.expect(ctx, http.StatusForbidden, http.MethodPost, refresh, theirs, nil),
			browser.expect(ctx, http.StatusNoContent, http.MethodDelete, "/v1/session", ours, nil),
			browser.expect(ctx, http.StatusUnauthorized, http.MethodGet, "/v1/authorizers", ours, nil),
		)
		if err != nil {
			return "", fmt.Errorf("%s: %w", role, err)
		}
	}
	code, _, err := j.admin.page(ctx, j.admin.base+"/console/", "")
	switch {
	case err != nil:
		return "", err
	case code == http.StatusNotImplemented:
		return "an operator acted, a viewer could not; this program has no console", nil
	case code != http.StatusOK:
		return "", fmt.Errorf("the console was answered %d", code)
	}
	return "an operator acted, a viewer could not; the console is there", nil
}

// browser is somebody who is signed in.
type browser struct {
	base   string
	client *http.Client
}

// signIn makes a user of a role and signs in.
func (j *journey) signIn(ctx context.Context, role string) (*browser, error) {
	name, password := role+"-"+strings.ToLower(rand.Text()[:6]), rand.Text()
	user := map[string]string{"name": name, "role": role, "password": password}
	if err := j.rest.call(ctx, http.MethodPost, "/v1/users", user, nil); err != nil {
		return nil, err
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	b := &browser{base: j.admin.base, client: &http.Client{Jar: jar, Timeout: j.admin.client.Timeout}}
	return b, b.expect(ctx, http.StatusOK, http.MethodPost, "/v1/session", "same-origin", map[string]string{"name": name, "password": password})
}

// expect makes a request as a page of a site would, and demands a status.
func (b *browser) expect(ctx context.Context, want int, method, path, site string, body any) error {
	code, err := b.send(ctx, method, path, site, body)
	if err == nil && code != want {
		err = fmt.Errorf("%s %s by a %s page was answered %d, not %d", method, path, site, code, want)
	}
	return err
}

// send makes the request and returns the status.
func (b *browser) send(ctx context.Context, method, path, site string, body any) (code int, err error) {
	var text []byte
	if body != nil {
		if text, err = json.Marshal(body); err != nil {
			return 0, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, b.base+path, bytes.NewReader(text))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Sec-Fetch-Site", site)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := b.client.Do(req)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}
