package sqlkit

import "time"

// Millis is how an instant is kept: in milliseconds since 1970 UTC, what is finer
// being cut off. The zero time is kept as 0, which therefore stands for no instant.
func Millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// Time is the reverse of [Millis]. The result is in UTC.
func Time(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
