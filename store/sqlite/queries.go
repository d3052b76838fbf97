package sqlite

import (
	"strings"

	"github.com/tuoguan/tuoguan/internal/sqlstore"
)

// Statements of the engine itself.
const (
	// As much as a token set takes with everything around it, or a push with its
	// deliveries, so that a disk with room for less does not pass for one that is well.
	putProbe = `INSERT INTO meta (name, value) VALUES ('probe', zeroblob(65536))
		ON CONFLICT (name) DO UPDATE SET value = excluded.value`
	// Only one process at a time has the database open, so leases of earlier ones are over.
	endLeases = `UPDATE leases SET holder = '', until = 0 WHERE until > 0`
)

const (
	selectGrant = `SELECT grant_no, authorized_at, revoked_at, state, epoch, obtained_at FROM authorizers
		WHERE component = ? AND authorizer = ?`
	selectExchange = `SELECT component, code_hash, code, authorizer, pre_auth_hash, visit, authorized_at,
		expires_at, revoked_at, state, grant_no, attempts, due_at, problem, created_at, finished_at
		FROM exchanges WHERE component = ? AND code_hash = ?`
	selectPushes        = `SELECT id, seq, dedup_key, component, authorizer, kind, body, reply, created_at, received_at FROM pushes`
	selectSubscriptions = `SELECT id, name, spec, secrets, state, problem, created_at, updated_at, version FROM subscriptions`

	selectAPIKeys = `SELECT id, name, hash, previous_hash, previous_until, scope,
		created_at, updated_at, expires_at, revoked_at, last_used_at, version FROM api_keys`
	selectAudit = `SELECT seq, recorded_at, body, hash FROM audit`
	selectValue = `SELECT value_key, data, expires_at, version FROM kept_values
		WHERE value_key = ?1 AND expires_at > ?2`
)

// saveDeliveries returns the statement for a number of rows.
func saveDeliveries(rows int) string {
	return `WITH saved (event, subscription, due_at, attempts, log, finished_at) AS (VALUES (?, ?, ?, ?, ?, ?)` +
		strings.Repeat(`, (?, ?, ?, ?, ?, ?)`, rows-1) + `)
		UPDATE deliveries SET due_at = saved.due_at, attempts = saved.attempts, log = saved.log, finished_at = saved.finished_at
		FROM saved WHERE deliveries.event = saved.event AND deliveries.subscription = saved.subscription
			AND deliveries.due_at > 0 AND deliveries.due_at < 9223372036854775807
			AND (deliveries.attempts <= saved.attempts OR saved.due_at = 0)`
}

// queries are the statements in SQLite's words. Nothing runs beside a transaction
// that writes, so nothing needs a lock; and the shift is the present.
func queries() sqlstore.Queries {
	return sqlstore.Queries{
		SelectSetting: `SELECT value, version FROM meta WHERE name = ?`,
		InsertSetting: `INSERT INTO meta (name, value, version) VALUES (?, ?, 1) ON CONFLICT DO NOTHING`,
		UpdateSetting: `UPDATE meta SET value = ?2, version = version + 1 WHERE name = ?1 AND version = ?3`,

		PutComponent: `INSERT INTO components (component, secret, token, encoding_aes_key,
			previous_token, previous_encoding_aes_key, staged_secret, created_at, updated_at, changed_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (component) DO UPDATE SET secret = excluded.secret, token = excluded.token,
			encoding_aes_key = excluded.encoding_aes_key, previous_token = excluded.previous_token,
			previous_encoding_aes_key = excluded.previous_encoding_aes_key, staged_secret = excluded.staged_secret,
			updated_at = excluded.updated_at, changed_at = excluded.changed_at`,
		SelectComponents: `SELECT component, secret, token, encoding_aes_key,
			previous_token, previous_encoding_aes_key, staged_secret, created_at, updated_at
		FROM components ORDER BY component`,
		SelectComponent: `SELECT component, secret, token, encoding_aes_key,
			previous_token, previous_encoding_aes_key, staged_secret, created_at, updated_at
		FROM components WHERE component = ?`,

		InsertTicket: `INSERT INTO tickets (component, value, created_at, received_at) VALUES (?, ?, ?, ?)`,
		TrimTickets: `DELETE FROM tickets WHERE component = ?1 AND id NOT IN (
			SELECT id FROM tickets WHERE component = ?1
			ORDER BY created_at DESC, received_at DESC, id DESC LIMIT 3)`,
		SelectTickets: `SELECT component, value, created_at, received_at FROM tickets WHERE component = ?
		ORDER BY created_at DESC, received_at DESC, id DESC LIMIT 3`,

		SelectComponentToken: `SELECT component, value, obtained_at, expires_at, epoch
		FROM component_tokens WHERE component = ?`,
		InsertComponentToken: `INSERT INTO component_tokens (component, value, obtained_at, expires_at, epoch)
		VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		UpdateComponentToken: `UPDATE component_tokens SET value = ?2, obtained_at = ?3, expires_at = ?4, epoch = ?5
		WHERE component = ?1 AND epoch < ?5`,

		SelectAuthorizers: `SELECT component, authorizer, state, grant_no, authorized_at, revoked_at, reference, tags,
			(SELECT group_concat(permission_set, ',' ORDER BY permission_set) FROM authorizer_permission_sets p
				WHERE p.component = authorizers.component AND p.authorizer = authorizers.authorizer),
			func_info, access_token, refresh_token, refresh_token_grant, expires_at, obtained_at, epoch,
			trouble_failures, trouble_code, trouble_message, suspect_since, refresh_at,
			profile_grant, kind, nick_name, user_name, alias, head_image, principal_name,
			service_type, verify_type, account_status, profile_raw, profile_read_at,
			created_at, updated_at
		FROM authorizers`,
		SearchAuthorizers: `SELECT id AS found FROM authorizers INDEXED BY authorizers_search`,
		SearchHolders:     `SELECT authorizers.id AS found FROM authorizer_permission_sets CROSS JOIN authorizers USING (component, authorizer)`,
		TextMatches:       `(authorizer = ? COLLATE NOCASE OR user_name = ? COLLATE NOCASE OR instr(nick_name_folded, ?) > 0)`,
		TagsContain:       `instr(tags, ?) > 0`,
		CountAuthorizers: `SELECT component, state, count(*) FROM authorizers
		GROUP BY component, state ORDER BY component, state`,

		SelectGrant: selectGrant,
		LockGrant:   selectGrant, // there is one writer
		InsertGrant: `INSERT INTO authorizers (component, authorizer, state, grant_no, authorized_at, revoked_at, reference,
			func_info, access_token, refresh_token, refresh_token_grant, expires_at, obtained_at, epoch,
			refresh_at, created_at, updated_at)
		VALUES (?1, ?2, ?3, 1, ?4, ?5, ?6, ?7, ?8, ?9, 1, ?10, ?11, 0, ?12, ?13, ?13)`,
		UpdateGrant: `UPDATE authorizers SET grant_no = ?3, state = ?4, authorized_at = ?5, revoked_at = ?6,
			reference = CASE WHEN ?7 = '' THEN reference ELSE ?7 END, func_info = ?8, access_token = ?9,
			refresh_token = COALESCE(?10, refresh_token),
			refresh_token_grant = CASE WHEN ?10 IS NULL THEN refresh_token_grant ELSE ?3 END,
			expires_at = ?11, obtained_at = ?12, epoch = 0, refresh_at = ?13,
			trouble_failures = 0, trouble_code = 0, trouble_message = '', suspect_since = 0, updated_at = ?14
		WHERE component = ?1 AND authorizer = ?2`,

		DeletePermissionSets: `DELETE FROM authorizer_permission_sets WHERE component = ? AND authorizer = ?`,
		InsertPermissionSet: `INSERT INTO authorizer_permission_sets (component, authorizer, permission_set)
		VALUES (?, ?, ?) ON CONFLICT DO NOTHING`,

		SaveTokens: `UPDATE authorizers SET state = 'active', access_token = ?5,
			refresh_token = COALESCE(?6, refresh_token),
			refresh_token_grant = CASE WHEN ?6 IS NULL THEN refresh_token_grant ELSE grant_no END,
			expires_at = ?7, obtained_at = ?8, epoch = ?4, refresh_at = ?9,
			trouble_failures = 0, trouble_code = 0, trouble_message = '', suspect_since = 0, updated_at = ?10
		WHERE component = ?1 AND authorizer = ?2 AND grant_no = ?3 AND state <> 'revoked' AND epoch < ?4`,

		SelectRefreshTokenGrant: `SELECT grant_no FROM refresh_tokens
		WHERE component = ? AND authorizer = ? AND value_hash = ?`,
		DeleteRefreshToken: `DELETE FROM refresh_tokens WHERE component = ? AND authorizer = ? AND value_hash = ?`,
		InsertRefreshToken: `INSERT INTO refresh_tokens (component, authorizer, grant_no, value_hash, value, source, received_at)
		VALUES (?, ?, ?, ?, ?, ?, ?)`,
		SelectRefreshTokens: `SELECT component, authorizer, grant_no, value_hash, value, source, received_at
		FROM refresh_tokens WHERE component = ? AND authorizer = ? ORDER BY id DESC`,

		SaveTrouble: `UPDATE authorizers SET state = ?5,
			revoked_at = CASE WHEN ?5 = 'revoked' THEN ?11 ELSE 0 END,
			trouble_failures = ?6, trouble_code = ?7, trouble_message = ?8, suspect_since = ?9,
			refresh_at = CASE WHEN ?5 = 'revoked' THEN 0 ELSE ?10 END, updated_at = ?12
		WHERE component = ?1 AND authorizer = ?2 AND grant_no = ?3 AND epoch = ?4 AND state <> 'revoked'`,
		Revoke: `UPDATE authorizers SET state = 'revoked', revoked_at = ?3, refresh_at = 0, updated_at = ?4
		WHERE component = ?1 AND authorizer = ?2 AND state <> 'revoked' AND authorized_at <= ?3`,
		RevokeLater: `UPDATE authorizers SET revoked_at = ?3
		WHERE component = ?1 AND authorizer = ?2 AND state = 'revoked' AND revoked_at < ?3`,
		SaveProfile: `UPDATE authorizers SET profile_grant = ?3, kind = ?4, nick_name = ?5, nick_name_folded = ?6,
			user_name = ?7, alias = ?8, head_image = ?9, principal_name = ?10, service_type = ?11,
			verify_type = ?12, account_status = ?13, profile_raw = ?14, profile_read_at = ?15, updated_at = ?16
		WHERE component = ?1 AND authorizer = ?2 AND profile_grant <= ?3`,
		SaveFuncInfo: `UPDATE authorizers SET func_info = ?4 WHERE component = ?1 AND authorizer = ?2 AND grant_no = ?3`,
		SaveTags:     `UPDATE authorizers SET tags = ?3, updated_at = ?4 WHERE component = ?1 AND authorizer = ?2`,

		LockDue: `SELECT a.component, a.authorizer, a.refresh_at, COALESCE(l.epoch, 0), ?2
		FROM authorizers a LEFT JOIN leases l ON l.lease_key = a.component || '/' || a.authorizer
		WHERE a.refresh_at > 0 AND a.refresh_at <= ?1 AND COALESCE(l.until, 0) <= ?2
		ORDER BY a.refresh_at, a.component, a.authorizer LIMIT ?3`,
		ProfilesDue: `SELECT component, authorizer FROM authorizers
		WHERE state = 'active' AND profile_grant < grant_no ORDER BY component, authorizer LIMIT ?`,

		SelectExchange: selectExchange,
		LockExchange:   selectExchange,
		SelectDueExchanges: `SELECT component, code_hash, code, authorizer, pre_auth_hash, visit, authorized_at,
		expires_at, revoked_at, state, grant_no, attempts, due_at, problem, created_at, finished_at
		FROM exchanges WHERE state = 'pending' AND due_at <= ? ORDER BY due_at, component, code_hash LIMIT ?`,
		InsertExchange: `INSERT INTO exchanges (component, code_hash, code, authorizer, pre_auth_hash, visit, authorized_at,
		expires_at, revoked_at, state, grant_no, attempts, due_at, problem, created_at, finished_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		SaveAuthorizedAt: `UPDATE authorizers SET authorized_at = ?3, updated_at = ?4 WHERE component = ?1 AND authorizer = ?2`,
		InheritAuthorizedAt: `UPDATE authorizers SET authorized_at = ?3, updated_at = ?4
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
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		SelectLink: `SELECT id, component, auth_type, biz_appid, permission_sets, reference,
			return_url, created_at, expires_at, used_at, used_by
		FROM links WHERE id = ?`,
		SelectLinks: `SELECT id, component, auth_type, biz_appid, permission_sets, reference,
			return_url, created_at, expires_at, used_at, used_by
		FROM links WHERE (?1 = '' OR id < ?1) ORDER BY id DESC LIMIT ?2`,
		SelectLinksOf: `SELECT id, component, auth_type, biz_appid, permission_sets, reference,
			return_url, created_at, expires_at, used_at, used_by
		FROM links WHERE component = ?3 AND (?1 = '' OR id < ?1) ORDER BY id DESC LIMIT ?2`,
		UseLink: `UPDATE links SET used_at = ?2, used_by = ?3 WHERE id = ?1 AND used_at = 0`,
		InsertVisit: `INSERT INTO visits (nonce_hash, pre_auth_hash, link, component, created_at)
		VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		SelectVisitByNonce: `SELECT nonce_hash, pre_auth_hash, link, component, created_at
		FROM visits WHERE nonce_hash = ?`,
		SelectVisitByPreAuth: `SELECT nonce_hash, pre_auth_hash, link, component, created_at
		FROM visits WHERE pre_auth_hash = ? ORDER BY created_at DESC, nonce_hash LIMIT 1`,
		CountVisits: `SELECT count(*) FROM visits WHERE link = ? AND created_at >= ?`,

		Returning:       true,
		KindBegins:      `instr(kind, ?) = 1`,
		SelectPushByKey: selectPushes + ` WHERE dedup_key = ?`,
		SelectPush:      selectPushes + ` WHERE id = ?`,
		SelectPushes:    selectPushes + ` WHERE id > ? ORDER BY id LIMIT ?`,
		SaveReply:       `UPDATE pushes SET reply = ? WHERE dedup_key = ? AND reply IS NULL`,

		AddSequences: ` ON CONFLICT DO UPDATE SET last_seq = last_seq + excluded.last_seq,
			last_due = CASE WHEN last_due > excluded.last_due + 60000 THEN excluded.last_due ELSE MAX(last_due, excluded.last_due) END`,
		PutDeliveries: ` ON CONFLICT DO UPDATE SET due_at = excluded.due_at, attempts = excluded.attempts,
			finished_at = excluded.finished_at`,
		SaveDeliveries: saveDeliveries,
		NextOutbox:     `SELECT subscription FROM deliveries WHERE subscription > ? AND due_at > 0 ORDER BY subscription LIMIT 1`,

		InsertSubscription: `INSERT INTO subscriptions (id, name, spec, secrets, state, problem, created_at, updated_at, version)
			VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 1) ON CONFLICT DO NOTHING`,
		UpdateSubscription: `UPDATE subscriptions SET name = ?2, spec = ?3, secrets = ?4, state = ?5, problem = ?6,
				updated_at = ?8, version = version + 1
			WHERE id = ?1 AND version = ?9`,
		SelectSubscription:  selectSubscriptions + ` WHERE id = ?1`,
		SelectSubscriptions: selectSubscriptions + ` WHERE id > ?1 ORDER BY id LIMIT ?2`,
		DeleteSubscription:  `DELETE FROM subscriptions WHERE id = ?1 AND version = ?2`,

		SelectLease: `SELECT COALESCE(l.holder, ''), COALESCE(l.epoch, 0), COALESCE(l.until, 0), ?2
		FROM (SELECT 1) LEFT JOIN leases l ON l.lease_key = ?1`,
		InsertLease:  `INSERT INTO leases (lease_key, holder, epoch, until) VALUES (?1, ?2, 1, ?3) ON CONFLICT DO NOTHING`,
		TakeLease:    `UPDATE leases SET holder = ?3, epoch = epoch + 1, until = ?4 WHERE lease_key = ?1 AND epoch = ?2`,
		ReleaseLease: `UPDATE leases SET holder = '', until = 0 WHERE lease_key = ? AND holder = ? AND epoch = ?`,
		SelectLeases: `SELECT lease_key, holder, epoch, until FROM leases
		WHERE lease_key >= ?1 AND lease_key < ?2 AND until > ?3 ORDER BY lease_key`,

		InsertAPIKey: `INSERT INTO api_keys (id, name, hash, previous_hash, previous_until, scope,
				created_at, updated_at, expires_at, revoked_at, last_used_at, version)
			VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 1) ON CONFLICT DO NOTHING`,
		UpdateAPIKey: `UPDATE api_keys SET name = ?2, hash = ?3, previous_hash = ?4, previous_until = ?5, scope = ?6,
				updated_at = ?8, expires_at = ?9, revoked_at = ?10, version = version + 1
			WHERE id = ?1 AND version = ?12`,
		SelectAPIKey:  selectAPIKeys + ` WHERE id = ?1`,
		SelectAPIKeys: selectAPIKeys + ` WHERE id > ?1 ORDER BY id LIMIT ?2`,
		TouchAPIKey:   `UPDATE api_keys SET last_used_at = ?2 WHERE id = ?1 AND last_used_at < ?2`,

		LastAudit:      selectAudit + ` ORDER BY seq DESC LIMIT 1`,
		SelectAudit:    selectAudit + ` WHERE seq > ?1 ORDER BY seq LIMIT ?2`,
		AuditBackwards: selectAudit + ` WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2`,

		SelectValue: selectValue,
		LockValue:   selectValue,
		InsertValue: `INSERT INTO kept_values (value_key, data, expires_at, version)
			VALUES (?1, ?2, ?3, 1) ON CONFLICT DO NOTHING`,
		ReplaceExpiredValue: `UPDATE kept_values SET data = ?2, expires_at = ?3, version = 1
			WHERE value_key = ?1 AND expires_at <= ?4`,
		UpdateValue: `UPDATE kept_values SET data = ?2, expires_at = ?3, version = version + 1
			WHERE value_key = ?1 AND version = ?5 AND expires_at > ?4`,
		TakeValue: `DELETE FROM kept_values WHERE value_key = ?1`,

		NotExpired: `expires_at > ?`,

		ChangedAuthorizers:    `SELECT component, authorizer, state, grant_no, epoch FROM authorizers WHERE updated_at >= ?`,
		ChangedComponents:     `SELECT component FROM components WHERE changed_at >= ?`,
		SelectComponentEpochs: `SELECT component, epoch FROM component_tokens`,
		PendingExchanges: `SELECT component, code_hash, code, authorizer, pre_auth_hash, visit, authorized_at,
		expires_at, revoked_at, state, grant_no, attempts, due_at, problem, created_at, finished_at
		FROM exchanges WHERE state = 'pending' AND authorizer <> '' ORDER BY created_at, code_hash`,

		OldRefreshTokens: `SELECT id FROM refresh_tokens r WHERE received_at < ?1 AND grant_no < (
			SELECT grant_no FROM authorizers a WHERE a.component = r.component AND a.authorizer = r.authorizer)
		ORDER BY received_at LIMIT ?2`,
		DeleteOldRefreshToken: `DELETE FROM refresh_tokens WHERE id = ?1 AND received_at < ?2`,
		OldExchanges:          `SELECT component, code_hash FROM exchanges WHERE finished_at > 0 AND finished_at < ? LIMIT ?`,
		DeleteExchange:        `DELETE FROM exchanges WHERE component = ?1 AND code_hash = ?2 AND finished_at > 0 AND finished_at < ?3`,
		OldLinks:              `SELECT id FROM links WHERE expires_at > 0 AND expires_at < ? LIMIT ?`,
		DeleteLink:            `DELETE FROM links WHERE id = ?1 AND expires_at < ?2`,
		DeleteVisits:          `DELETE FROM visits WHERE link = ?1 AND NOT EXISTS (SELECT 1 FROM links WHERE id = ?1)`,
		// The keys are made by store.ExchangeLease; '0' follows '/' in ASCII.
		OldLeases: `SELECT lease_key FROM leases
		WHERE lease_key >= 'exchange/' AND lease_key < 'exchange0' AND until <= ?1 AND NOT EXISTS (
			SELECT 1 FROM exchanges
			WHERE component = substr(lease_key, 10, instr(substr(lease_key, 10), '/') - 1)
				AND code_hash = substr(lease_key, 10 + instr(substr(lease_key, 10), '/'))) LIMIT ?2`,
		DeleteLease: `DELETE FROM leases WHERE lease_key = ?1 AND until <= ?2`,
		OldValues:   `SELECT value_key FROM kept_values WHERE expires_at < ?1 LIMIT ?2`,
		DeleteValue: `DELETE FROM kept_values WHERE value_key = ?1 AND expires_at < ?2`,
	}
}
