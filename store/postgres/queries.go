package postgres

import (
	"strings"

	"github.com/tuoguan/tuoguan/internal/sqlstore"
)

// now is the database's clock in milliseconds, as it was when the statement came. That
// is never later than the present, so no lease is taken for over before it is.
const now = `floor(extract(epoch FROM statement_timestamp()) * 1000)::bigint`

// queries returns the statements; what each does is said at [sqlstore.Queries].
func queries() sqlstore.Queries {
	const (
		components = `SELECT component, secret, token, encoding_aes_key,
			previous_token, previous_encoding_aes_key, staged_secret, created_at, updated_at FROM components`
		authorizers = `SELECT component, authorizer, state, grant_no, authorized_at, revoked_at, reference, tags,
			(SELECT string_agg(permission_set::text, ',' ORDER BY permission_set) FROM authorizer_permission_sets p
				WHERE p.component = authorizers.component AND p.authorizer = authorizers.authorizer),
			func_info, access_token, refresh_token, refresh_token_grant, expires_at, obtained_at, epoch,
			trouble_failures, trouble_code, trouble_message, suspect_since, refresh_at,
			profile_grant, kind, nick_name, user_name, alias, head_image, principal_name,
			service_type, verify_type, account_status, profile_raw, profile_read_at,
			created_at, updated_at
			FROM authorizers`
		grant = `SELECT grant_no, authorized_at, revoked_at, state, epoch, obtained_at FROM authorizers
			WHERE component = ?1 AND authorizer = ?2`
		exchanges = `SELECT component, code_hash, code, authorizer, pre_auth_hash, visit, authorized_at,
			expires_at, revoked_at, state, grant_no, attempts, due_at, problem, created_at, finished_at FROM exchanges`
		exchange = exchanges + ` WHERE component = ?1 AND code_hash = ?2`
		links    = `SELECT id, component, auth_type, biz_appid, permission_sets, reference,
			return_url, created_at, expires_at, used_at, used_by FROM links`
		visits        = `SELECT nonce_hash, pre_auth_hash, link, component, created_at FROM visits`
		pushes        = `SELECT id, seq, dedup_key, component, authorizer, kind, body, reply, created_at, received_at FROM pushes`
		subscriptions = `SELECT id, name, spec, secrets, state, problem, created_at, updated_at, version FROM subscriptions`
		apiKeys       = `SELECT id, name, hash, previous_hash, previous_until, scope,
			created_at, updated_at, expires_at, revoked_at, last_used_at, version FROM api_keys`
		audit = `SELECT seq, recorded_at, body, hash FROM audit`
		value = `SELECT value_key, data, expires_at, version FROM kept_values
			WHERE value_key = ?1 AND expires_at > ` + now + ` + ?2::bigint`
	)
	return sqlstore.Queries{
		Now: `SELECT ` + now + ` + ?1::bigint`,

		SelectSetting: `SELECT value, version FROM meta WHERE name = ?1`,
		InsertSetting: `INSERT INTO meta (name, value, version) VALUES (?1, ?2, 1) ON CONFLICT DO NOTHING`,
		UpdateSetting: `UPDATE meta SET value = ?2, version = version + 1 WHERE name = ?1 AND version = ?3`,

		PutComponent: `INSERT INTO components (component, secret, token, encoding_aes_key,
				previous_token, previous_encoding_aes_key, staged_secret, created_at, updated_at, changed_at)
			VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ` + now + ` + ?10::bigint)
			ON CONFLICT (component) DO UPDATE SET secret = excluded.secret, token = excluded.token,
				encoding_aes_key = excluded.encoding_aes_key, previous_token = excluded.previous_token,
				previous_encoding_aes_key = excluded.previous_encoding_aes_key, staged_secret = excluded.staged_secret,
				updated_at = excluded.updated_at, changed_at = excluded.changed_at`,
		SelectComponents: components + ` ORDER BY component`,
		SelectComponent:  components + ` WHERE component = ?1`,

		InsertTicket: `INSERT INTO tickets (component, value, created_at, received_at) VALUES (?1, ?2, ?3, ?4)`,
		TrimTickets: `DELETE FROM tickets WHERE component = ?1 AND id NOT IN (
			SELECT id FROM tickets WHERE component = ?1
			ORDER BY created_at DESC, received_at DESC, id DESC LIMIT 3)`,
		SelectTickets: `SELECT component, value, created_at, received_at FROM tickets WHERE component = ?1
			ORDER BY created_at DESC, received_at DESC, id DESC LIMIT 3`,

		SelectComponentToken: `SELECT component, value, obtained_at, expires_at, epoch FROM component_tokens WHERE component = ?1`,
		InsertComponentToken: `INSERT INTO component_tokens (component, value, obtained_at, expires_at, epoch)
			VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING`,
		UpdateComponentToken: `UPDATE component_tokens SET value = ?2, obtained_at = ?3, expires_at = ?4, epoch = ?5
			WHERE component = ?1 AND epoch < ?5`,

		SelectAuthorizers: authorizers,
		TextMatches:       `(lower(authorizer) = ? OR lower(user_name) = ? OR strpos(nick_name_folded, ?) > 0)`,
		TagsContain:       `strpos(tags, ?) > 0`,
		CountAuthorizers: `SELECT component, state, count(*) FROM authorizers
			GROUP BY component, state ORDER BY component, state`,

		SelectGrant: grant,
		LockGrant:   grant + ` FOR NO KEY UPDATE`,
		InsertGrant: `INSERT INTO authorizers (component, authorizer, state, grant_no, authorized_at, revoked_at, reference,
				func_info, access_token, refresh_token, refresh_token_grant, expires_at, obtained_at, epoch,
				refresh_at, created_at, updated_at)
			VALUES (?1, ?2, ?3, 1, ?4, ?5, ?6, ?7, ?8, ?9, 1, ?10, ?11, 0, ?12,
				` + now + ` + ?13::bigint, ` + now + ` + ?13::bigint)`,
		UpdateGrant: `UPDATE authorizers SET state = ?4, grant_no = ?3, authorized_at = ?5, revoked_at = ?6,
				reference = CASE WHEN ?7 = '' THEN reference ELSE ?7 END, func_info = ?8, access_token = ?9,
				refresh_token = COALESCE(?10, refresh_token),
				refresh_token_grant = CASE WHEN ?10::bytea IS NULL THEN refresh_token_grant ELSE ?3 END,
				expires_at = ?11, obtained_at = ?12, epoch = 0, refresh_at = ?13,
				trouble_failures = 0, trouble_code = 0, trouble_message = '', suspect_since = 0, updated_at = ` + now + ` + ?14::bigint
			WHERE component = ?1 AND authorizer = ?2`,

		DeletePermissionSets: `DELETE FROM authorizer_permission_sets WHERE component = ?1 AND authorizer = ?2`,
		InsertPermissionSet: `INSERT INTO authorizer_permission_sets (component, authorizer, permission_set)
			VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING`,

		SaveTokens: `UPDATE authorizers SET state = 'active', access_token = ?5,
				refresh_token = COALESCE(?6, refresh_token),
				refresh_token_grant = CASE WHEN ?6::bytea IS NULL THEN refresh_token_grant ELSE ?3 END,
				expires_at = ?7, obtained_at = ?8, epoch = ?4, refresh_at = ?9,
				trouble_failures = 0, trouble_code = 0, trouble_message = '', suspect_since = 0, updated_at = ` + now + ` + ?10::bigint
			WHERE component = ?1 AND authorizer = ?2 AND grant_no = ?3 AND state <> 'revoked' AND epoch < ?4`,

		// What is known is looked at first, so moved tells of everything. A value that two
		// bring at the same time violates the key, and one of them looks again.
		SaveTokensAtOnce: `WITH known AS (
				SELECT grant_no FROM refresh_tokens WHERE component = ?1 AND authorizer = ?2 AND value_hash = ?11
			), moved AS (
				UPDATE authorizers SET state = 'active', access_token = ?5,
					refresh_token = COALESCE(?6, refresh_token),
					refresh_token_grant = CASE WHEN ?6::bytea IS NULL THEN refresh_token_grant ELSE ?3 END,
					expires_at = ?7, obtained_at = ?8, epoch = ?4, refresh_at = ?9,
					trouble_failures = 0, trouble_code = 0, trouble_message = '', suspect_since = 0, updated_at = ` + now + ` + ?10::bigint
				WHERE component = ?1 AND authorizer = ?2 AND grant_no = ?3 AND state <> 'revoked' AND epoch < ?4
					AND NOT EXISTS (SELECT 1 FROM known WHERE known.grant_no < ?3)
				RETURNING component, authorizer, grant_no
			), added AS (
				INSERT INTO refresh_tokens (component, authorizer, grant_no, value_hash, value, source, received_at)
				SELECT component, authorizer, grant_no, ?11, ?12, ?13, ?8 FROM moved WHERE NOT EXISTS (SELECT 1 FROM known)
			), released AS (
				UPDATE leases SET holder = '', until = 0
				WHERE lease_key = ?14 AND holder = ?15 AND epoch = ?16 AND ?15 <> '' AND EXISTS (SELECT 1 FROM moved)
			)
			SELECT 1 FROM moved`,

		SelectRefreshTokenGrant: `SELECT grant_no FROM refresh_tokens WHERE component = ?1 AND authorizer = ?2 AND value_hash = ?3`,
		DeleteRefreshToken:      `DELETE FROM refresh_tokens WHERE component = ?1 AND authorizer = ?2 AND value_hash = ?3`,
		InsertRefreshToken: `INSERT INTO refresh_tokens (component, authorizer, grant_no, value_hash, value, source, received_at)
			VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)`,
		SelectRefreshTokens: `SELECT component, authorizer, grant_no, value_hash, value, source, received_at
			FROM refresh_tokens WHERE component = ?1 AND authorizer = ?2 ORDER BY id DESC`,

		SaveTrouble: `UPDATE authorizers SET state = ?5,
				revoked_at = CASE WHEN ?5 = 'revoked' THEN ?11::bigint ELSE 0 END,
				trouble_failures = ?6, trouble_code = ?7, trouble_message = ?8, suspect_since = ?9,
				refresh_at = CASE WHEN ?5 = 'revoked' THEN 0 ELSE ?10::bigint END, updated_at = ` + now + ` + ?12::bigint
			WHERE component = ?1 AND authorizer = ?2 AND grant_no = ?3 AND epoch = ?4 AND state <> 'revoked'`,
		Revoke: `UPDATE authorizers SET state = 'revoked', revoked_at = ?3, refresh_at = 0, updated_at = ` + now + ` + ?4::bigint
			WHERE component = ?1 AND authorizer = ?2 AND state <> 'revoked' AND authorized_at <= ?3`,
		RevokeLater: `UPDATE authorizers SET revoked_at = ?3
			WHERE component = ?1 AND authorizer = ?2 AND state = 'revoked' AND revoked_at < ?3`,
		SaveProfile: `UPDATE authorizers SET profile_grant = ?3, kind = ?4, nick_name = ?5, nick_name_folded = ?6,
				user_name = ?7, alias = ?8, head_image = ?9, principal_name = ?10, service_type = ?11,
				verify_type = ?12, account_status = ?13, profile_raw = ?14, profile_read_at = ?15, updated_at = ` + now + ` + ?16::bigint
			WHERE component = ?1 AND authorizer = ?2 AND profile_grant <= ?3`,
		SaveFuncInfo: `UPDATE authorizers SET func_info = ?4 WHERE component = ?1 AND authorizer = ?2 AND grant_no = ?3`,
		SaveTags: `UPDATE authorizers SET tags = ?3, updated_at = ` + now + ` + ?4::bigint
			WHERE component = ?1 AND authorizer = ?2`,

		// Subqueries keep the plan to what it must be: along the index, until there are
		// enough. They do not lock, so a lease is looked at again where it is taken.
		ClaimDue: `WITH due AS (
				SELECT component, authorizer, refresh_at, component || '/' || authorizer AS key, ` + now + ` + ?2::bigint AS n
				FROM authorizers
				WHERE refresh_at > 0 AND refresh_at <= ?1 AND ` + now + ` + ?2::bigint >=
					COALESCE((SELECT until FROM leases WHERE lease_key = component || '/' || authorizer), 0)
				ORDER BY refresh_at, component, authorizer LIMIT ?3
				FOR NO KEY UPDATE SKIP LOCKED
			), taken AS (
				INSERT INTO leases (lease_key, holder, epoch, until) SELECT key, ?4, 1, n + ?5::bigint FROM due
				ON CONFLICT (lease_key) DO UPDATE SET holder = excluded.holder, epoch = leases.epoch + 1, until = excluded.until
					WHERE leases.until <= excluded.until - ?5::bigint
				RETURNING lease_key, epoch, until
			)
			SELECT component, authorizer, refresh_at, epoch, until FROM due JOIN taken ON lease_key = key
			ORDER BY refresh_at, component, authorizer`,
		ProfilesDue: `SELECT component, authorizer FROM authorizers
			WHERE state = 'active' AND profile_grant < grant_no ORDER BY component, authorizer LIMIT ?1`,

		SelectExchange:     exchange,
		LockExchange:       exchange + ` FOR NO KEY UPDATE`,
		SelectDueExchanges: exchanges + ` WHERE state = 'pending' AND due_at <= ?1 ORDER BY due_at, component, code_hash LIMIT ?2`,
		InsertExchange: `INSERT INTO exchanges (component, code_hash, code, authorizer, pre_auth_hash, visit, authorized_at,
				expires_at, revoked_at, state, grant_no, attempts, due_at, problem, created_at, finished_at)
			VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16) ON CONFLICT DO NOTHING`,
		SaveAuthorizedAt: `UPDATE authorizers SET authorized_at = ?3, updated_at = ` + now + ` + ?4::bigint
			WHERE component = ?1 AND authorizer = ?2`,
		InheritAuthorizedAt: `UPDATE authorizers SET authorized_at = ?3, updated_at = ` + now + ` + ?4::bigint
			FROM exchanges e
			WHERE e.component = ?1 AND e.code_hash = ?2 AND e.state = 'done' AND e.authorized_at = 0
				AND authorizers.component = e.component AND authorizers.authorizer = e.authorizer
				AND authorizers.grant_no = e.grant_no`,
		CompleteExchange: `UPDATE exchanges SET
				code = CASE WHEN state = 'pending' THEN COALESCE(code, ?3) END,
				authorizer = CASE WHEN authorizer = '' THEN ?4 ELSE authorizer END,
				pre_auth_hash = CASE WHEN pre_auth_hash = '' THEN ?5 ELSE pre_auth_hash END,
				visit = CASE WHEN visit = '' THEN ?6 ELSE visit END,
				authorized_at = CASE WHEN authorized_at = 0 THEN ?7 ELSE authorized_at END,
				expires_at = CASE WHEN expires_at = 0 THEN ?8 ELSE expires_at END
			WHERE component = ?1 AND code_hash = ?2`,
		UpdateExchange: `UPDATE exchanges SET state = ?3, grant_no = ?4, attempts = ?5, due_at = ?6, problem = ?7,
				authorizer = CASE WHEN ?8 = '' THEN authorizer ELSE ?8 END, finished_at = ?9,
				code = CASE WHEN ?3 = 'pending' THEN code END
			WHERE component = ?1 AND code_hash = ?2 AND state <> 'done'`,
		FinishExchange: `UPDATE exchanges SET state = 'done', code = NULL, authorizer = ?3, grant_no = ?4,
				problem = '', finished_at = ?5
			WHERE component = ?1 AND code_hash = ?2 AND state <> 'done'`,
		RevokeExchanges: `UPDATE exchanges SET revoked_at = ?3
			WHERE component = ?1 AND authorizer = ?2 AND state = 'pending' AND authorized_at <= ?3 AND revoked_at < ?3`,

		InsertLink: `INSERT INTO links (id, component, auth_type, biz_appid, permission_sets, reference,
				return_url, created_at, expires_at, used_at, used_by)
			VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT DO NOTHING`,
		SelectLink:    links + ` WHERE id = ?1`,
		SelectLinks:   links + ` WHERE (?1 = '' OR id < ?1) ORDER BY id DESC LIMIT ?2`,
		SelectLinksOf: links + ` WHERE component = ?3 AND (?1 = '' OR id < ?1) ORDER BY id DESC LIMIT ?2`,
		UseLink:       `UPDATE links SET used_at = ?2, used_by = ?3 WHERE id = ?1 AND used_at = 0`,
		InsertVisit: `INSERT INTO visits (nonce_hash, pre_auth_hash, link, component, created_at)
			VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING`,
		SelectVisitByNonce:   visits + ` WHERE nonce_hash = ?1`,
		SelectVisitByPreAuth: visits + ` WHERE pre_auth_hash = ?1 ORDER BY created_at DESC, nonce_hash LIMIT 1`,
		CountVisits:          `SELECT count(*) FROM visits WHERE link = ?1 AND created_at >= ?2`,

		Key:             text,
		Returning:       true,
		ForUpdate:       ` FOR UPDATE`,
		KindBegins:      `strpos(kind, ?) = 1`,
		SelectPushByKey: pushes + ` WHERE dedup_key = ?1`,
		SelectPush:      pushes + ` WHERE id = ?1`,
		SelectPushes:    pushes + ` WHERE id > ?1 ORDER BY id LIMIT ?2`,
		SaveReply:       `UPDATE pushes SET reply = ?1 WHERE dedup_key = ?2 AND reply IS NULL`,

		AddSequences: ` ON CONFLICT (component, authorizer) DO UPDATE SET last_seq = event_sequences.last_seq + excluded.last_seq,
			last_due = CASE WHEN event_sequences.last_due > excluded.last_due + 60000 THEN excluded.last_due ELSE GREATEST(event_sequences.last_due, excluded.last_due) END`,
		PutDeliveries: ` ON CONFLICT (event, subscription) DO UPDATE SET due_at = excluded.due_at, attempts = excluded.attempts,
				finished_at = excluded.finished_at`,
		SaveDeliveries: saveDeliveries,
		NextOutbox:     `SELECT subscription FROM deliveries WHERE subscription > ?1 AND due_at > 0 ORDER BY subscription LIMIT 1`,

		InsertSubscription: `INSERT INTO subscriptions (id, name, spec, secrets, state, problem, created_at, updated_at, version)
			VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 1) ON CONFLICT DO NOTHING`,
		UpdateSubscription: `UPDATE subscriptions SET name = ?2, spec = ?3, secrets = ?4, state = ?5, problem = ?6,
				updated_at = ?8, version = version + 1
			WHERE id = ?1 AND version = ?9`,
		SelectSubscription:  subscriptions + ` WHERE id = ?1`,
		SelectSubscriptions: subscriptions + ` WHERE id > ?1 ORDER BY id LIMIT ?2`,
		DeleteSubscription:  `DELETE FROM subscriptions WHERE id = ?1 AND version = ?2`,

		SelectLease: `SELECT COALESCE(l.holder, ''), COALESCE(l.epoch, 0), COALESCE(l.until, 0), n
			FROM (SELECT ` + now + ` + ?2::bigint AS n) present LEFT JOIN leases l ON l.lease_key = ?1`,
		InsertLease:  `INSERT INTO leases (lease_key, holder, epoch, until) VALUES (?1, ?2, 1, ?3) ON CONFLICT DO NOTHING`,
		TakeLease:    `UPDATE leases SET holder = ?3, epoch = epoch + 1, until = ?4 WHERE lease_key = ?1 AND epoch = ?2`,
		ReleaseLease: `UPDATE leases SET holder = '', until = 0 WHERE lease_key = ?1 AND holder = ?2 AND epoch = ?3`,
		SelectLeases: `SELECT lease_key, holder, epoch, until FROM leases
			WHERE lease_key >= ?1 AND lease_key < ?2 AND until > ` + now + ` + ?3::bigint ORDER BY lease_key`,

		InsertAPIKey: `INSERT INTO api_keys (id, name, hash, previous_hash, previous_until, scope,
				created_at, updated_at, expires_at, revoked_at, last_used_at, version)
			VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 1) ON CONFLICT DO NOTHING`,
		UpdateAPIKey: `UPDATE api_keys SET name = ?2, hash = ?3, previous_hash = ?4, previous_until = ?5, scope = ?6,
				updated_at = ?8, expires_at = ?9, revoked_at = ?10, version = version + 1
			WHERE id = ?1 AND version = ?12`,
		SelectAPIKey:  apiKeys + ` WHERE id = ?1`,
		SelectAPIKeys: apiKeys + ` WHERE id > ?1 ORDER BY id LIMIT ?2`,
		TouchAPIKey:   `UPDATE api_keys SET last_used_at = ?2 WHERE id = ?1 AND last_used_at < ?2`,

		LastAudit:      audit + ` ORDER BY seq DESC LIMIT 1`,
		SelectAudit:    audit + ` WHERE seq > ?1 ORDER BY seq LIMIT ?2`,
		AuditBackwards: audit + ` WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2`,

		SelectValue: value,
		LockValue:   value + ` FOR UPDATE`,
		InsertValue: `INSERT INTO kept_values (value_key, data, expires_at, version)
			VALUES (?1, ?2, ?3, 1) ON CONFLICT DO NOTHING`,
		ReplaceExpiredValue: `UPDATE kept_values SET data = ?2, expires_at = ?3, version = 1
			WHERE value_key = ?1 AND expires_at <= ` + now + ` + ?4::bigint`,
		UpdateValue: `UPDATE kept_values SET data = ?2, expires_at = ?3, version = version + 1
			WHERE value_key = ?1 AND version = ?5 AND expires_at > ` + now + ` + ?4::bigint`,
		TakeValue: `DELETE FROM kept_values WHERE value_key = ?1`,

		NotExpired: `expires_at > ` + now + ` + ?::bigint`,

		ChangedAuthorizers:    `SELECT component, authorizer, state, grant_no, epoch FROM authorizers WHERE updated_at >= ?1`,
		ChangedComponents:     `SELECT component FROM components WHERE changed_at >= ?1`,
		SelectComponentEpochs: `SELECT component, epoch FROM component_tokens`,
		PendingExchanges:      exchanges + ` WHERE state = 'pending' AND authorizer <> '' ORDER BY created_at, code_hash`,

		// By way of those who authorized more than once, who are few.
		OldRefreshTokens: `SELECT r.id FROM authorizers a
			JOIN refresh_tokens r ON r.component = a.component AND r.authorizer = a.authorizer AND r.grant_no < a.grant_no
			WHERE a.grant_no > 1 AND r.received_at < ?1 LIMIT ?2`,
		DeleteOldRefreshToken: `DELETE FROM refresh_tokens WHERE id = ?1 AND received_at < ?2`,
		OldExchanges:          `SELECT component, code_hash FROM exchanges WHERE finished_at > 0 AND finished_at < ?1 LIMIT ?2`,
		DeleteExchange: `DELETE FROM exchanges
			WHERE component = ?1 AND code_hash = ?2 AND finished_at > 0 AND finished_at < ?3`,
		OldLinks:     `SELECT id FROM links WHERE expires_at > 0 AND expires_at < ?1 LIMIT ?2`,
		DeleteLink:   `DELETE FROM links WHERE id = ?1 AND expires_at > 0 AND expires_at < ?2`,
		DeleteVisits: `DELETE FROM visits WHERE link = ?1 AND NOT EXISTS (SELECT 1 FROM links WHERE id = ?1)`,
		OldLeases: `SELECT lease_key FROM leases
			WHERE lease_key >= 'exchange/' AND lease_key < 'exchange0' AND until <= ?1 AND NOT EXISTS (
				SELECT 1 FROM exchanges
				WHERE component = split_part(lease_key, '/', 2) AND code_hash = split_part(lease_key, '/', 3))
			LIMIT ?2`,
		DeleteLease: `DELETE FROM leases WHERE lease_key = ?1 AND until <= ?2`,
		OldValues:   `SELECT value_key FROM kept_values WHERE expires_at < ?1 LIMIT ?2`,
		DeleteValue: `DELETE FROM kept_values WHERE value_key = ?1 AND expires_at < ?2`,

		AfterLoad: numbered("tickets", "authorizers", "refresh_tokens", "pushes"),
	}
}

// numbered sets the counters of tables behind the greatest id that they hold.
func numbered(tables ...string) (statements []string) {
	for _, t := range tables {
		statements = append(statements,
			"SELECT setval(pg_get_serial_sequence('"+t+"', 'id'), (SELECT COALESCE(MAX(id), 0) + 1 FROM "+t+"), false)")
	}
	return statements
}

// saveDeliveries returns the statement for a number of rows.
func saveDeliveries(rows int) string {
	return `UPDATE deliveries d SET due_at = saved.due_at, attempts = saved.attempts, log = saved.log, finished_at = saved.finished_at
		FROM (VALUES (?::bigint, ?::text, ?::bigint, ?::bigint, ?::bytea, ?::bigint)` + strings.Repeat(`, (?, ?, ?, ?, ?, ?)`, rows-1) + `)
			AS saved (event, subscription, due_at, attempts, log, finished_at)
		WHERE d.event = saved.event AND d.subscription = saved.subscription
			AND d.due_at > 0 AND d.due_at < 9223372036854775807 AND (d.attempts <= saved.attempts OR saved.due_at = 0)`
}
