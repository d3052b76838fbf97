// Package failpoint marks the places at which a proof lets a process die, stop or
// fail: just before and just after whatever must not get lost. In a normal build a
// mark is nothing at all. With the build tag failpoint, the environment says what
// happens where; see [Variable].
package failpoint

// Name is a marked place.
type Name string

// The marks, in the order in which a token, a code and a push pass them.
const (
	// ClaimBeforeCommit: the lease that announces a refresh is about to be stored.
	ClaimBeforeCommit Name = "claim.beforeCommit"
	// ClaimAfterCommit: the lease is stored, nothing was sent.
	ClaimAfterCommit Name = "claim.afterCommit"

	// RefreshBeforeSend: the refresh token is about to go to the platform.
	RefreshBeforeSend Name = "refresh.beforeSend"
	// RefreshAfterReplyBeforeParse: the platform's answer is in memory, unread.
	RefreshAfterReplyBeforeParse Name = "refresh.afterReplyBeforeParse"
	// RefreshAfterParseBeforeSpill: the new tokens are in memory alone.
	RefreshAfterParseBeforeSpill Name = "refresh.afterParseBeforeSpill"
	// RefreshAfterSpillBeforeCommit: the new tokens are in the spill file, not in the
	// store. Passed only where the spill file is needed.
	RefreshAfterSpillBeforeCommit Name = "refresh.afterSpillBeforeCommit"
	// RefreshAfterCommitBeforeAck: the new tokens are stored, nobody has got one.
	RefreshAfterCommitBeforeAck Name = "refresh.afterCommitBeforeAck"

	// ExchangeBeforeSend: an authorization code is about to be used up.
	ExchangeBeforeSend Name = "exchange.beforeSend"
	// ExchangeAfterReplyBeforeCommit: it is used up, and the grant is in memory alone.
	ExchangeAfterReplyBeforeCommit Name = "exchange.afterReplyBeforeCommit"
	// ExchangeAfterCommit: the grant is stored.
	ExchangeAfterCommit Name = "exchange.afterCommit"

	// InboxBeforeCommit: a push is verified and opened, not stored.
	InboxBeforeCommit Name = "inbox.beforeCommit"
	// InboxAfterCommitBeforeReply: a push is stored, the platform has no answer.
	InboxAfterCommitBeforeReply Name = "inbox.afterCommitBeforeReply"

	// DeliverAfterPOSTBeforeMark: a receiver has an event, and the store does not know.
	DeliverAfterPOSTBeforeMark Name = "deliver.afterPOSTBeforeMark"

	// SpillMidDrain: some of what the spill file holds is in the store, and still in the file.
	SpillMidDrain Name = "spill.midDrain"
	// RekeyMidBatch: between two batches of a change of the master key.
	RekeyMidBatch Name = "rekey.midBatch"
	// MigrateMidBatch: between two batches of a migration.
	MigrateMidBatch Name = "migrate.midBatch"
	// RestoreMidLoad: between two steps of loading a backup.
	RestoreMidLoad Name = "restore.midLoad"
)

// Names returns every mark.
func Names() []Name {
	return []Name{
		ClaimBeforeCommit, ClaimAfterCommit,
		RefreshBeforeSend, RefreshAfterReplyBeforeParse, RefreshAfterParseBeforeSpill, RefreshAfterSpillBeforeCommit, RefreshAfterCommitBeforeAck,
		ExchangeBeforeSend, ExchangeAfterReplyBeforeCommit, ExchangeAfterCommit,
		InboxBeforeCommit, InboxAfterCommitBeforeReply,
		DeliverAfterPOSTBeforeMark,
		SpillMidDrain, RekeyMidBatch, MigrateMidBatch, RestoreMidLoad,
	}
}

// The environment of a build with the tag failpoint.
const (
	// Variable says what happens at which mark: "name=action@probability#count",
	// several of them apart by semicolons. The action is kill, stop, panic, error or
	// delay(duration); stop is SIGSTOP, and whoever watches sends SIGCONT. It happens
	// with the probability given (1 if none is), and not before the mark was passed
	// count times (1 if none is); a count makes it happen only once.
	Variable = "TUOGUAN_FAILPOINTS"
	// ReportVariable names a file to which every action is appended before it is
	// taken: mark, action and Unix time in nanoseconds.
	ReportVariable = "TUOGUAN_FAILPOINTS_REPORT"
	// ClockVariable is how far the process's clock is ahead, a Go duration.
	ClockVariable = "TUOGUAN_TEST_CLOCK_OFFSET"
)
