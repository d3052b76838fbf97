package obs

import (
	"io"
	"log/slog"
	"regexp"
	"strings"
)

// NewLogger returns a logger that writes to w. Level is "debug", else info; format
// is "text", else JSON. What looks like a secret is replaced before it is written:
// a second net below [tuoguan.Secret], for texts that come from elsewhere.
func NewLogger(w io.Writer, level, format string) *slog.Logger {
	options := &slog.HandlerOptions{Level: slog.LevelInfo, ReplaceAttr: replaceAttr}
	if level == "debug" {
		options.Level = slog.LevelDebug
	}
	if format == "text" {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}

const redacted = "[redacted]"

var (
	// A fingerprint is what a tuoguan.Secret logs itself as.
	fingerprint = regexp.MustCompile(`^secret:[0-9a-f]{8}$`)

	// What *url.Error prints holds the whole query, access_token included.
	urlQuery = regexp.MustCompile(`(https?://[^\s"'?]+)\?[^\s"']*`)
	// Names that carry a secret, in queries, forms and JSON.
	namedSecret = regexp.MustCompile(`(?i)\b((?:[a-z]+_)*(?:access_token|refresh_token|appsecret|secret|verify_ticket|ticket|auth_code|authorization_code|authorizationcode|preauthcode|componentverifyticket|js_code|api_key|password)"?\s*[=:]\s*"?)[^\s"'&,;<>}]+`)
	// The forms in which WeChat writes tickets, codes and refresh tokens, and keys in headers.
	shapedSecret = regexp.MustCompile(`\b[A-Za-z]+@@@[^\s"'&<>]+|(?i:\bbearer )[^\s"']+`)
	// The same in XML.
	xmlSecret = regexp.MustCompile(`(?i)(<(ComponentVerifyTicket|AuthorizationCode|PreAuthCode|auth_code)>)[^<]*(?:<!\[CDATA\[.*?\]\]>)?`)
)

// secretNames are the last words of the names of attributes whose texts are
// secrets: "token", "access_token". An errcode is another word.
var secretNames = map[string]bool{
	"token": true, "secret": true, "code": true, "ticket": true, "password": true, "nonce": true,
	"authorization": true, "appsecret": true, "query": true, "cookie": true,
}

func replaceAttr(_ []string, a slog.Attr) slog.Attr {
	text, isText := "", true
	switch value := a.Value; value.Kind() {
	case slog.KindDuration: // else JSON has nanoseconds, which nobody can read
		a.Value = slog.StringValue(value.Duration().String())
		return a
	case slog.KindString:
		text = value.String()
	case slog.KindAny:
		err, isError := value.Any().(error)
		if !isError {
			isText = false
			break
		}
		text = err.Error()
	default:
		isText = false
	}
	switch {
	case !isText || fingerprint.MatchString(text):
	case text != "" && namesSecret(a.Key):
		a.Value = slog.StringValue(redacted)
	default:
		a.Value = slog.StringValue(Redact(text))
	}
	return a
}

func namesSecret(key string) bool {
	key = strings.ToLower(key)
	return secretNames[key[strings.LastIndexAny(key, "_.-")+1:]] || key == "api_key" || strings.HasSuffix(key, "aes_key")
}

// Redact replaces what looks like a secret in a text, and every query of a URL.
func Redact(text string) string {
	if !strings.ContainsAny(text, "=:@< ") {
		return text
	}
	text = urlQuery.ReplaceAllString(text, "$1?"+redacted)
	text = xmlSecret.ReplaceAllString(text, "$1"+redacted)
	text = shapedSecret.ReplaceAllString(text, redacted)
	return namedSecret.ReplaceAllString(text, "$1"+redacted)
}
