package sqlstore

// Queries are the statements for one database. The comments say what each is given,
// in this order, and what its rows hold. All columns are NOT NULL but the sealed ones,
// and tags where a text cannot be given a default.
//
// Where a statement needs the present it is given a shift: what to add to the
// database's clock to get the store's (which tests move), in milliseconds. A database
// in this process has no clock of its own. It leaves Now empty, and the shift is the
// present itself.
//
// A statement whose name begins with Lock reads what the same transaction goes on to
// write, and locks it where transactions run beside each other. A transaction locks
// exchanges first, then authorizers, then whatever else there is. An insert said to
// give way does nothing where a row with the same key is there.
type Queries struct {
	Now string // (shift): the store's clock

	// SpellOutOrder is set where (a, b) > (x, y) does not go by an index on a and b, but
	// (a > x OR a = x AND b > y) does.
	SpellOutOrder bool

	SelectSetting string // (name): value, version
	InsertSetting string // (name, value), of version 1; gives way
	UpdateSetting string // (name, value, version): only this version, which goes up by one

	PutComponent     string // (component, secret, token, encoding_aes_key, previous_token, previous_encoding_aes_key, staged_secret, created_at, updated_at, shift): inserts it, or updates all but created_at; changed_at is the present
	SelectComponents string // (): component, the six secrets, created_at, updated_at; by component
	SelectComponent  string // (component): the same of one

	InsertTicket  string // (component, value, created_at, received_at)
	TrimTickets   string // (component): keeps the newest three
	SelectTickets string // (component): component, value, created_at, received_at; the newest three by (created_at, received_at, id), newest first

	SelectComponentToken string // (component): component, value, obtained_at, expires_at, epoch
	InsertComponentToken string // (component, value, obtained_at, expires_at, epoch); gives way
	UpdateComponentToken string // the same: only where the stored epoch is smaller

	// SelectAuthorizers, without a WHERE: component, authorizer, state, grant_no,
	// authorized_at, revoked_at, reference, tags, permission sets ascending with commas
	// between them, func_info, access_token, refresh_token, refresh_token_grant,
	// expires_at, obtained_at, epoch, trouble_failures, trouble_code, trouble_message,
	// suspect_since, refresh_at, profile_grant, kind, nick_name, user_name, alias,
	// head_image, principal_name, service_type, verify_type, account_status,
	// profile_raw, profile_read_at, created_at, updated_at. The table is not renamed.
	SelectAuthorizers string
	// SearchAuthorizers, without a WHERE: the id of authorizers as found, from an index that
	// has all that is searched; "" if there is none.
	SearchAuthorizers string
	// SearchHolders is the same for those that hold a permission_set, which the WHERE names:
	// from that set's index.
	SearchHolders    string
	TextMatches      string // a condition with three plain ?, all a text in lower case: authorizer or user_name is it, ignoring case, or nick_name_folded contains it
	TagsContain      string // likewise of tags
	CountAuthorizers string // (): component, state, count; ordered by these

	SelectGrant string // (component, authorizer): grant_no, authorized_at, revoked_at, state, epoch, obtained_at
	LockGrant   string // the same
	InsertGrant string // (component, authorizer, state, authorized_at, revoked_at, reference, func_info, access_token, refresh_token, expires_at, obtained_at, refresh_at, shift): grant_no and refresh_token_grant are 1, epoch is 0; must not give way
	UpdateGrant string // (component, authorizer, grant_no, state, authorized_at, revoked_at, reference, func_info, access_token, refresh_token, expires_at, obtained_at, refresh_at, shift): an empty reference and a refresh_token of NULL leave what is there, else refresh_token_grant is the new grant_no; epoch is 0, no troubles

	DeletePermissionSets string // (component, authorizer)
	InsertPermissionSet  string // (component, authorizer, permission_set); gives way

	// SaveTokens (component, authorizer, grant_no, epoch, access_token, refresh_token,
	// expires_at, obtained_at, refresh_at, shift): only where the grant is this one, the
	// state is not revoked, and the stored epoch is smaller. The state becomes active,
	// troubles end; a refresh_token of NULL leaves what is there, else
	// refresh_token_grant is grant_no.
	SaveTokens string
	// SaveTokensAtOnce (the arguments of SaveTokens, value_hash, value, source, lease_key,
	// holder, lease's epoch) is what SaveTokens, the history and ReleaseLease do, in one
	// statement; one row if it did. It does nothing where SaveTokens would not, or the
	// history has the value under an earlier grant. Empty where it is not worth its while.
	SaveTokensAtOnce string

	SelectRefreshTokenGrant string // (component, authorizer, value_hash): grant_no
	DeleteRefreshToken      string // (component, authorizer, value_hash)
	InsertRefreshToken      string // (component, authorizer, grant_no, value_hash, value, source, received_at); must not give way
	SelectRefreshTokens     string // (component, authorizer): component, authorizer, grant_no, value_hash, value, source, received_at; newest id first

	// SaveTrouble (component, authorizer, grant_no, epoch, state, trouble_failures,
	// trouble_code, trouble_message, suspect_since, refresh_at, at, shift): only where
	// grant and epoch are these and the state is not revoked. For a new state of
	// revoked, revoked_at is the instant and refresh_at is 0; else revoked_at is 0.
	SaveTrouble  string
	Revoke       string // (component, authorizer, at, shift): only where the state is not revoked and authorized_at is not later; refresh_at becomes 0
	RevokeLater  string // (component, authorizer, at): revoked_at, only where the state is revoked and it is smaller
	SaveProfile  string // (component, authorizer, profile_grant, kind, nick_name, nick_name_folded, user_name, alias, head_image, principal_name, service_type, verify_type, account_status, profile_raw, profile_read_at, shift): only where the stored profile_grant is not greater
	SaveFuncInfo string // (component, authorizer, grant_no, func_info): only where the grant is this one
	SaveTags     string // (component, authorizer, tags, shift)

	// LockDue (at, shift, limit): component, authorizer, refresh_at, epoch of the lease
	// or 0 where there is none, the store's clock; those with 0 < refresh_at <= at on
	// whose token (lease_key component/authorizer) nobody holds a lease, ordered by
	// (refresh_at, component, authorizer). Those locked by others are skipped.
	LockDue string
	// ClaimDue (at, shift, limit, holder, ttl in milliseconds) takes the leases too, in
	// one statement: component, authorizer, refresh_at, epoch and until of the lease.
	// Empty where it is not worth its while.
	ClaimDue    string
	ProfilesDue string // (limit): component, authorizer; those active with profile_grant < grant_no, ordered by these

	// SelectExchange (component, code_hash): component, code_hash, code, authorizer,
	// pre_auth_hash, visit, authorized_at, expires_at, revoked_at, state, grant_no,
	// attempts, due_at, problem, created_at, finished_at.
	SelectExchange      string
	LockExchange        string // the same
	SelectDueExchanges  string // (at, limit): the same columns; those pending with due_at <= at, ordered by (due_at, component, code_hash)
	InsertExchange      string // (the columns of SelectExchange); gives way
	SaveAuthorizedAt    string // (component, authorizer, authorized_at, shift): authorized_at and updated_at
	InheritAuthorizedAt string // (component, code_hash, authorized_at, shift): authorized_at and updated_at of the authorizer to which the exchange led, only where that is done, has no authorized_at, and its grant is current
	CompleteExchange    string // (component, code_hash, code, authorizer, pre_auth_hash, visit, authorized_at, expires_at): each only where it is missing, the code only while it is pending
	UpdateExchange      string // (component, code_hash, state, grant_no, attempts, due_at, problem, authorizer, finished_at): only where it is not done; an empty authorizer leaves what is there; the code ends unless the new state is pending
	FinishExchange      string // (component, code_hash, authorizer, grant_no, finished_at): only where it is not done; it becomes done, without code and problem
	RevokeExchanges     string // (component, authorizer, at): revoked_at of those pending with authorized_at <= at and revoked_at < at

	InsertLink           string // (id, component, auth_type, biz_appid, permission_sets, reference, return_url, created_at, expires_at, used_at, used_by); gives way
	SelectLink           string // (id): the same columns
	SelectLinks          string // (after, limit): the same columns; those with id < after, all if that is empty; greatest id first
	SelectLinksOf        string // (after, limit, component): the same of one component
	UseLink              string // (id, used_at, used_by): only where used_at is 0
	InsertVisit          string // (nonce_hash, pre_auth_hash, link, component, created_at); gives way
	SelectVisitByNonce   string // (nonce_hash): the same columns
	SelectVisitByPreAuth string // (pre_auth_hash): the same columns; the newest, the smallest nonce_hash of several
	CountVisits          string // (link, since): count of those with created_at >= since

	// Key makes a text one that stands for all that the database takes for the same key;
	// nil where no two are. Returning is set where inserts take a RETURNING clause.
	// ForUpdate is appended to a SELECT to lock its rows, empty where there is one writer.
	// KindBegins is a condition with a plain ?: kind begins with the text.
	Key        func(string) string
	Returning  bool
	ForUpdate  string
	KindBegins string

	SelectPushByKey string // (dedup_key): id, seq, dedup_key, component, authorizer, kind, body, reply, created_at, received_at
	SelectPush      string // (id): the same columns
	SelectPushes    string // (after, limit): the same columns; those with id > after, by id
	SaveReply       string // (reply, dedup_key): only where there is none

	// AddSequences follows an insert of (component, authorizer, last_seq, last_due) into
	// event_sequences: where there is a row the number is added to its own, and the
	// instant is the later of both, unless the row's is later by more than a minute.
	AddSequences string
	// PutDeliveries follows an insert of (event, subscription, due_at, attempts, log,
	// finished_at) into deliveries: where there is a row all but its log are replaced.
	PutDeliveries string
	// SaveDeliveries returns the statement for so many rows of (event, subscription,
	// due_at, attempts, log, finished_at): each only where 0 < due_at < the greatest
	// number, and attempts is not greater than given, unless due_at becomes 0.
	SaveDeliveries func(rows int) string
	// NextOutbox (subscription): the least one that is greater and to which something is
	// not delivered, or some that are smaller than that one.
	NextOutbox string

	InsertSubscription  string // (id, name, spec, secrets, state, problem, created_at, updated_at), of version 1; gives way
	UpdateSubscription  string // the same, then version: only this version, which goes up by one; created_at stays
	SelectSubscription  string // (id): the columns of InsertSubscription, version
	SelectSubscriptions string // (after, limit): the same columns; those with id > after, by id
	DeleteSubscription  string // (id, version): only this version

	SelectLease  string // (lease_key, shift): holder, epoch, until, the store's clock; one row always, with "", 0 and 0 where there is no lease
	InsertLease  string // (lease_key, holder, until), of epoch 1; gives way
	TakeLease    string // (lease_key, epoch, holder, until): only this epoch, which goes up by one
	ReleaseLease string // (lease_key, holder, epoch): only this one; holder becomes '', until 0
	SelectLeases string // (from, to, shift): lease_key, holder, epoch, until; those in force with from <= lease_key < to, ordered by it

	InsertAPIKey  string // (id, name, hash, previous_hash, previous_until, scope, created_at, updated_at, expires_at, revoked_at, last_used_at), of version 1; gives way
	UpdateAPIKey  string // the same, then version: only this version, which goes up by one; created_at and last_used_at stay
	SelectAPIKey  string // (id): the columns of InsertAPIKey, version
	SelectAPIKeys string // (after, limit): the same columns; those with id > after, by id
	TouchAPIKey   string // (id, last_used_at): only where the stored one is smaller

	LastAudit      string // (): seq, recorded_at, body, hash; of the greatest seq
	SelectAudit    string // (after, limit): the same columns; those with seq > after, by seq
	AuditBackwards string // (before, limit): the same columns; those with seq < before, greatest seq first

	SelectValue         string // (value_key, shift): value_key, data, expires_at, version; if it has not expired
	LockValue           string // the same
	InsertValue         string // (value_key, data, expires_at), of version 1; gives way
	ReplaceExpiredValue string // (value_key, data, expires_at, shift): only what has expired; version becomes 1
	UpdateValue         string // (value_key, data, expires_at, shift, version): only this version, which goes up by one, and only what has not expired
	TakeValue           string // (value_key): deletes it

	// NotExpired is a condition with a plain ? for the shift: expires_at is later than the
	// present.
	NotExpired string

	ChangedAuthorizers    string // (since): component, authorizer, state, grant_no, epoch; those with updated_at >= since
	ChangedComponents     string // (since): component; those with changed_at >= since
	SelectComponentEpochs string // (): component, epoch; of all component tokens
	PendingExchanges      string // (): the columns of SelectExchange; those pending with an authorizer, ordered by (created_at, code_hash)

	// What Collect removes is found first and deleted row by row, so that nothing is
	// locked for long. Old… get (before, limit) and return the key; the deletions get
	// that key, then before, and look again.
	OldRefreshTokens      string // : id; received_at < before, and the authorizer's grant_no is greater
	DeleteOldRefreshToken string // (id, before)
	OldExchanges          string // : component, code_hash; 0 < finished_at < before
	DeleteExchange        string // (component, code_hash, before)
	OldLinks              string // : id; 0 < expires_at < before
	DeleteLink            string // (id, before)
	DeleteVisits          string // (link, before): those of a link that is gone
	OldLeases             string // : lease_key; keys as made by store.ExchangeLease with until <= before whose exchange is gone
	DeleteLease           string // (lease_key, before): until <= before
	OldValues             string // : value_key; expires_at < before
	DeleteValue           string // (value_key, before)

	// AfterLoad brings what numbers rows in line with the ids that were loaded into
	// tickets, authorizers, refresh_tokens and pushes.
	AfterLoad []string
}
