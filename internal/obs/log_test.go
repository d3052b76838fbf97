package obs_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/obs"
)

func TestLoggerRedacts(t *testing.T) {
	t.Parallel()
	const canary = "canary-7f3a9c5e1b2d"
	withURL := &url.Error{Op: "Post", URL: "https://api.weixin.qq.com/cgi-bin/x?access_token=" + canary + "&y=1", Err: errors.New("connection reset")}
	tests := map[string]struct {
		attr slog.Attr
		keep string // what must still be there
	}{
		"attribute named token":       {slog.String("token", canary), ""},
		"attribute ending in a name":  {slog.String("authorizer_refresh_token", canary), ""},
		"code":                        {slog.String("code", canary), ""},
		"group":                       {slog.Group("request", slog.String("Authorization", canary)), ""},
		"url error":                   {slog.Any("error", withURL), "connection reset"},
		"wrapped url error":           {slog.Any("error", fmt.Errorf("refresh wx1: %w", withURL)), "refresh wx1"},
		"JSON in a text":              {slog.String("body", `{"authorizer_refresh_token": "`+canary+`","expires_in":7200}`), "7200"},
		"form in a text":              {slog.String("detail", "component_appsecret="+canary+"&errcode=61004"), "errcode=61004"},
		"XML in a text":               {slog.String("detail", "<InfoType>authorized</InfoType><AuthorizationCode>"+canary+"</AuthorizationCode>"), "authorized"},
		"CDATA in a text":             {slog.String("detail", "<ComponentVerifyTicket><![CDATA["+canary+"]]></ComponentVerifyTicket>"), "ComponentVerifyTicket"},
		"ticket by its form":          {slog.String("detail", "got ticket@@@"+canary+" from"), "from"},
		"bearer":                      {slog.String("detail", "Bearer "+canary), ""},
		"Secret":                      {slog.Any("token", tuoguan.NewSecret(canary)), tuoguan.NewSecret(canary).Fingerprint()},
		"errcode is not a code":       {slog.Int("errcode", 61004), "61004"},
		"errcode in a text":           {slog.String("error", "api_query_auth: errcode 61009: invalid code"), "errcode 61009: invalid code"},
		"plain text":                  {slog.String("component_appid", "wx0123456789abcdef"), "wx0123456789abcdef"},
		"duration":                    {slog.Duration("expires_in", 2*time.Hour), "2h0m0s"},
		"empty value of a secret key": {slog.String("token", ""), "token"},
	}
	for name, tt := range tests {
		for _, format := range []string{"json", "text"} {
			t.Run(name+" as "+format, func(t *testing.T) {
				t.Parallel()
				var out bytes.Buffer
				obs.NewLogger(&out, "debug", format).LogAttrs(t.Context(), slog.LevelDebug, "message", tt.attr)
				if strings.Contains(out.String(), canary) {
					t.Errorf("the secret is in %s", out.String())
				}
				if !strings.Contains(out.String(), tt.keep) {
					t.Errorf("%q is not in %s", tt.keep, out.String())
				}
			})
		}
	}
}

func TestMessageIsRedacted(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	obs.NewLogger(&out, "info", "json").Info("GET https://api.weixin.qq.com/x?access_token=canary failed")
	if strings.Contains(out.String(), "canary") {
		t.Errorf("the secret is in %s", out.String())
	}
}

func TestLevel(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	obs.NewLogger(&out, "info", "json").Debug("hidden")
	if out.Len() != 0 {
		t.Errorf("debug is logged at info: %s", out.String())
	}
}
