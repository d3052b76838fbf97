package awake_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tuoguan/tuoguan/internal/awake"
)

func TestWithTimeout(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		timeout, after time.Duration
		ended          bool
	}{
		"well before": {6 * time.Second, 3 * time.Second, false},
		"just before": {6 * time.Second, 5999 * time.Millisecond, false},
		"over":        {6 * time.Second, 6001 * time.Millisecond, true},
		"none":        {0, time.Millisecond, true},
		"negative":    {-time.Second, time.Millisecond, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := awake.WithTimeout(t.Context(), tt.timeout)
				defer cancel()
				time.Sleep(tt.after)
				synctest.Wait()
				if ended := ctx.Err() != nil; ended != tt.ended {
					t.Errorf("ended: %v", ended)
				}
				if tt.ended && !errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
					t.Errorf("the cause is %v", context.Cause(ctx))
				}
			})
		})
	}
	t.Run("cancelled", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := awake.WithTimeout(t.Context(), time.Second)
			cancel()
			time.Sleep(2 * time.Second)
			if !errors.Is(context.Cause(ctx), context.Canceled) {
				t.Errorf("the cause is %v", context.Cause(ctx))
			}
		})
	})
}
