package webhook

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"

	"github.com/tuoguan/tuoguan/internal/egress"
	"github.com/tuoguan/tuoguan/internal/sink"
)

// drain reads an answer that nobody wants, so that the connection can be used again. The
// status has said all; a receiver that dawdles over the rest loses the connection.
func drain(answer *http.Response, cancel context.CancelFunc) {
	if answer.Body == http.NoBody {
		return
	}
	defer time.AfterFunc(drainTime, cancel).Stop()
	_, _ = io.CopyN(io.Discard, answer.Body, maxAnswer)
}

// refusal says what an answer means that is none of success.
func refusal(answer *http.Response, now time.Time) *sink.Refusal {
	r := &sink.Refusal{Status: answer.StatusCode, Text: http.StatusText(answer.StatusCode)}
	switch {
	case answer.StatusCode >= 300 && answer.StatusCode < 400:
		r.Text = "redirects are not followed"
	case answer.StatusCode == http.StatusGone:
		r.Gone = true
	case answer.StatusCode == http.StatusTooManyRequests, answer.StatusCode == http.StatusServiceUnavailable:
		r.RetryAfter = retryAfter(answer.Header.Get("Retry-After"), now)
	}
	if r.Text == "" {
		r.Text = "no known status"
	}
	return r
}

// retryAfter reads how long a receiver asks to be left alone: seconds, or a date.
func retryAfter(value string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(value, 10, 32); err == nil {
		return min(time.Duration(seconds)*time.Second, maxRetryAfter)
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), maxRetryAfter)
}

// explain says why a call failed. Errors of net/http may quote the answer, so they are
// not passed on; those of the network below it and of TLS do not.
func explain(ctx context.Context, err error) error {
	var blocked *egress.Error
	var lookup *net.DNSError
	var dial *net.OpError
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	switch {
	case errors.As(err, &blocked):
		return fmt.Errorf("%w: %s", sink.ErrBlocked, blocked.Text)
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("no answer in time: %w", context.DeadlineExceeded)
	case ctx.Err() != nil:
		return fmt.Errorf("not sent to the end: %w", ctx.Err())
	case errors.As(err, &lookup) && lookup.IsNotFound:
		return errors.New("the host name is not known")
	case errors.As(err, &lookup):
		return errors.New("the host name could not be looked up")
	case errors.As(err, &certificate):
		return fmt.Errorf("certificate not accepted: %w", certificate)
	case errors.As(err, &record):
		return errors.New("the receiver does not speak TLS")
	case errors.As(err, &alert):
		return fmt.Errorf("TLS failed: %w", alert)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("connection refused: %w", syscall.ECONNREFUSED)
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the connection was closed before the answer was complete")
	case errors.As(err, &dial) && dial.Timeout():
		return fmt.Errorf("no connection in time: %w", context.DeadlineExceeded)
	case errors.As(err, &dial) && dial.Op == "dial":
		return errors.New("no connection to the receiver")
	}
	return errors.New("the answer could not be read")
}
