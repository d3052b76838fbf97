package sqlite

// The statements, in the order of the contract. Stores for other databases have
// the same names. Columns are listed everywhere, in the order in which the rows are
// read.

const (
	selectMeta = `SELECT value FROM meta WHERE name = ?`
	putMeta    = `INSERT INTO meta (name, value) VALUES (?, ?)`
	// As much as a token set takes with everything around it, so that a disk with
	// room for less does not pass for one that is well.
	putProbe = `INSERT INTO meta (name, value) VALUES ('probe', zeroblob(16384))
		ON CONFLICT (name) DO UPDATE SET value = excluded.value`
)

const (
	putComponent = `INSERT INTO components (component, secret, token, encoding_aes_key,
			previous_token, previous_encoding_aes_key, created_at, updated_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (component) DO UPDATE SET secret = excluded.secret, token = excluded.token,
			encoding_aes_key = excluded.encoding_aes_key, previous_token = excluded.previous_token,
			previous_encoding_aes_key = excluded.previous_encoding_aes_key, updated_at = excluded.updated_at`
	selectComponents = `SELECT component, secret, token, encoding_aes_key,
			previous_token, previous_encoding_aes_key, created_at, updated_at
		FROM components ORDER BY component`
	selectComponent = `SELECT component, secret, token, encoding_aes_key,
			previous_token, previous_encoding_aes_key, created_at, updated_at
		FROM components WHERE component = ?`

	insertTicket = `INSERT INTO tickets (component, value, created_at, received_at) VALUES (?, ?, ?, ?)`
	trimTickets  = `DELETE FROM tickets WHERE component = ?1 AND id NOT IN (
			SELECT id FROM tickets WHERE component = ?1
			ORDER BY created_at DESC, received_at DESC, id DESC LIMIT 3)`
	selectTickets = `SELECT component, value, created_at, received_at FROM tickets WHERE component = ?
		ORDER BY created_at DESC, received_at DESC, id DESC LIMIT 3`

	selectComponentToken = `SELECT component, value, obtained_at, expires_at, epoch
		FROM component_tokens WHERE component = ?`
	saveComponentToken = `INSERT INTO component_tokens (component, value, obtained_at, expires_at, epoch)
		VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (component) DO UPDATE SET value = excluded.value, obtained_at = excluded.obtained_at,
			expires_at = excluded.expires_at, epoch = excluded.epoch
		WHERE component_tokens.epoch < excluded.epoch`
)

const (
	selectAuthorizers = `SELECT component, authorizer, state, grant_no, authorized_at, revoked_at, reference,
			(SELECT group_concat(permission_set, ',' ORDER BY permission_set) FROM authorizer_permission_sets p
				WHERE p.component = authorizers.component AND p.authorizer = authorizers.authorizer),
			func_info, access_token, refresh_token, refresh_token_grant, expires_at, obtained_at, epoch,
			trouble_failures, trouble_code, trouble_message, suspect_since, refresh_at,
			profile_grant, kind, nick_name, user_name, alias, head_image, principal_name,
			service_type, verify_type, account_status, profile_raw, profile_read_at,
			created_at, updated_at
		FROM authorizers`
	selectAuthorizer = selectAuthorizers + ` WHERE component = ? AND authorizer = ?`
	countAuthorizers = `SELECT component, state, count(*) FROM authorizers
		GROUP BY component, state ORDER BY component, state`

	selectGrant = `SELECT grant_no, authorized_at, revoked_at FROM authorizers
		WHERE component = ? AND authorizer = ?`
	insertGrant = `INSERT INTO authorizers (component, authorizer, state, grant_no, authorized_at, reference,
			func_info, access_token, refresh_token, refresh_token_grant, expires_at, obtained_at, epoch,
			refresh_at, created_at, updated_at)
		VALUES (?, ?, 'active', 1, ?, ?, ?, ?, ?, 1, ?, ?, 0, ?, ?, ?)`
	updateGrant = `UPDATE authorizers SET state = 'active', grant_no = ?3, authorized_at = ?4, revoked_at = 0,
			reference = CASE WHEN ?5 = '' THEN reference ELSE ?5 END, func_info = ?6, access_token = ?7,
			refresh_token = COALESCE(?8, refresh_token),
			refresh_token_grant = CASE WHEN ?8 IS NULL THEN refresh_token_grant ELSE ?3 END,
			expires_at = ?9, obtained_at = ?10, epoch = 0, refresh_at = ?11,
			trouble_failures = 0, trouble_code = 0, trouble_message = '', suspect_since = 0, updated_at = ?12
		WHERE component = ?1 AND authorizer = ?2`
	deletePermissionSets = `DELETE FROM authorizer_permission_sets WHERE component = ? AND authorizer = ?`
	insertPermissionSet  = `INSERT INTO authorizer_permission_sets (component, authorizer, permission_set)
		VALUES (?, ?, ?) ON CONFLICT DO NOTHING`

	saveTokens = `UPDATE authorizers SET state = 'active', access_token = ?5,
			refresh_token = COALESCE(?6, refresh_token),
			refresh_token_grant = CASE WHEN ?6 IS NULL THEN refresh_token_grant ELSE grant_no END,
			expires_at = ?7, obtained_at = ?8, epoch = ?4, refresh_at = ?9,
			trouble_failures = 0, trouble_code = 0, trouble_message = '', suspect_since = 0, updated_at = ?10
		WHERE component = ?1 AND authorizer = ?2 AND grant_no = ?3 AND state <> 'revoked' AND epoch < ?4`

	selectRefreshTokenGrant = `SELECT grant_no FROM refresh_tokens
		WHERE component = ? AND authorizer = ? AND value_hash = ?`
	deleteRefreshToken = `DELETE FROM refresh_tokens WHERE component = ? AND authorizer = ? AND value_hash = ?`
	insertRefreshToken = `INSERT INTO refresh_tokens (component, authorizer, grant_no, value_hash, value, source, received_at)
		VALUES (?, ?, ?, ?, ?, ?, ?)`
	selectRefreshTokens = `SELECT component, authorizer, grant_no, value_hash, value, source, received_at
		FROM refresh_tokens WHERE component = ? AND authorizer = ? ORDER BY id DESC`

	saveTrouble = `UPDATE authorizers SET state = ?4,
			revoked_at = CASE WHEN ?4 = 'revoked' THEN ?10 ELSE 0 END,
			trouble_failures = ?5, trouble_code = ?6, trouble_message = ?7, suspect_since = ?8,
			refresh_at = CASE WHEN ?4 = 'revoked' THEN 0 ELSE ?9 END, updated_at = ?11
		WHERE component = ?1 AND authorizer = ?2 AND grant_no = ?3 AND state <> 'revoked'`
	revoke = `UPDATE authorizers SET state = 'revoked', revoked_at = ?3, refresh_at = 0, updated_at = ?4
		WHERE component = ?1 AND authorizer = ?2 AND state <> 'revoked' AND authorized_at <= ?3`
	// A later revocation of what is revoked counts against grants that come late.
	revokeLater = `UPDATE authorizers SET revoked_at = ?3
		WHERE component = ?1 AND authorizer = ?2 AND state = 'revoked' AND revoked_at < ?3`
	saveProfile = `UPDATE authorizers SET profile_grant = ?3, kind = ?4, nick_name = ?5, nick_name_folded = ?6,
			user_name = ?7, alias = ?8, head_image = ?9, principal_name = ?10, service_type = ?11,
			verify_type = ?12, account_status = ?13, profile_raw = ?14, profile_read_at = ?15, updated_at = ?16
		WHERE component = ?1 AND authorizer = ?2 AND profile_grant <= ?3`
	saveFuncInfo = `UPDATE authorizers SET func_info = ?4 WHERE component = ?1 AND authorizer = ?2 AND grant_no = ?3`

	selectDueAuthorizers = `SELECT component, authorizer, refresh_at FROM authorizers
		WHERE refresh_at > 0 AND refresh_at <= ? ORDER BY refresh_at, component, authorizer LIMIT ?`
	selectProfilesDue = `SELECT component, authorizer FROM authorizers
		WHERE state = 'active' AND profile_grant < grant_no ORDER BY component, authorizer LIMIT ?`
)

const (
	selectExchange = `SELECT component, code_hash, code, authorizer, pre_auth_hash, visit, authorized_at,
			expires_at, state, grant_no, attempts, due_at, problem, created_at, finished_at
		FROM exchanges WHERE component = ? AND code_hash = ?`
	selectDueExchanges = `SELECT component, code_hash, code, authorizer, pre_auth_hash, visit, authorized_at,
			expires_at, state, grant_no, attempts, due_at, problem, created_at, finished_at
		FROM exchanges WHERE state = 'pending' AND due_at <= ? ORDER BY due_at, component, code_hash LIMIT ?`
	insertExchange = `INSERT INTO exchanges (component, code_hash, code, authorizer, pre_auth_hash, visit,
			authorized_at, expires_at, state, grant_no, attempts, due_at, problem, created_at, finished_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`
	inheritAuthorizedAt = `UPDATE authorizers SET authorized_at = ?3, updated_at = ?4
		FROM exchanges e
		WHERE e.component = ?1 AND e.code_hash = ?2 AND e.state = 'done' AND e.authorized_at = 0
			AND authorizers.component = e.component AND authorizers.authorizer = e.authorizer
			AND authorizers.grant_no = e.grant_no`
	completeExchange = `UPDATE exchanges SET
			code = CASE WHEN state = 'pending' THEN COALESCE(code, ?3) END,
			authorizer = CASE WHEN authorizer = '' THEN ?4 ELSE authorizer END,
			pre_auth_hash = CASE WHEN pre_auth_hash = '' THEN ?5 ELSE pre_auth_hash END,
			visit = CASE WHEN visit = '' THEN ?6 ELSE visit END,
			authorized_at = CASE WHEN authorized_at = 0 THEN ?7 ELSE authorized_at END,
			expires_at = CASE WHEN expires_at = 0 THEN ?8 ELSE expires_at END
		WHERE component = ?1 AND code_hash = ?2`
	updateExchange = `UPDATE exchanges SET state = ?3, grant_no = ?4, attempts = ?5, due_at = ?6, problem = ?7,
			authorizer = CASE WHEN ?8 = '' THEN authorizer ELSE ?8 END, finished_at = ?9,
			code = CASE WHEN ?3 = 'pending' THEN code END
		WHERE component = ?1 AND code_hash = ?2 AND state <> 'done'`
	finishExchange = `UPDATE exchanges SET state = 'done', code = NULL, authorizer = ?3, grant_no = ?4,
			problem = '', finished_at = ?5
		WHERE component = ?1 AND code_hash = ?2 AND state <> 'done'`
)

const (
	insertLink = `INSERT INTO links (id, component, auth_type, biz_appid, permission_sets, reference,
			return_url, created_at, expires_at, used_at, used_by)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`
	selectLink = `SELECT id, component, auth_type, biz_appid, permission_sets, reference,
			return_url, created_at, expires_at, used_at, used_by
		FROM links WHERE id = ?`
	selectLinks = `SELECT id, component, auth_type, biz_appid, permission_sets, reference,
			return_url, created_at, expires_at, used_at, used_by
		FROM links WHERE (?1 = '' OR id < ?1) ORDER BY id DESC LIMIT ?2`
	selectLinksOf = `SELECT id, component, auth_type, biz_appid, permission_sets, reference,
			return_url, created_at, expires_at, used_at, used_by
		FROM links WHERE component = ?3 AND (?1 = '' OR id < ?1) ORDER BY id DESC LIMIT ?2`
	useLink = `UPDATE links SET used_at = ?2, used_by = ?3 WHERE id = ?1 AND used_at = 0`

	insertVisit = `INSERT INTO visits (nonce_hash, pre_auth_hash, link, component, created_at)
		VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`
	selectVisitByNonce = `SELECT nonce_hash, pre_auth_hash, link, component, created_at
		FROM visits WHERE nonce_hash = ?`
	selectVisitByPreAuth = `SELECT nonce_hash, pre_auth_hash, link, component, created_at
		FROM visits WHERE pre_auth_hash = ? ORDER BY created_at DESC, nonce_hash LIMIT 1`
	countVisits = `SELECT count(*) FROM visits WHERE link = ? AND created_at >= ?`
)

const (
	insertPush = `INSERT INTO pushes (dedup_key, component, authorizer, kind, body, created_at, received_at)
		VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`
	selectPushByKey = `SELECT id, dedup_key, component, authorizer, kind, body, reply, created_at, received_at
		FROM pushes WHERE dedup_key = ?`
	selectPush = `SELECT id, dedup_key, component, authorizer, kind, body, reply, created_at, received_at
		FROM pushes WHERE id = ?`
	selectPushes = `SELECT id, dedup_key, component, authorizer, kind, body, reply, created_at, received_at
		FROM pushes WHERE id > ? ORDER BY id LIMIT ?`
	saveReply = `UPDATE pushes SET reply = ? WHERE dedup_key = ? AND reply IS NULL`
)

const (
	// The holder's name begins with the session that made the lease. Only one process
	// at a time has the database open, so leases of other sessions are over.
	acquireLease = `INSERT INTO leases (lease_key, holder, epoch, until) VALUES (?1, ?2, 1, ?3)
		ON CONFLICT (lease_key) DO UPDATE SET holder = excluded.holder, epoch = leases.epoch + 1, until = excluded.until
			WHERE leases.until <= ?4 OR leases.holder = excluded.holder
				OR substr(leases.holder, 1, length(?5)) <> ?5
		RETURNING epoch`
	selectLease  = `SELECT holder, until FROM leases WHERE lease_key = ?`
	releaseLease = `UPDATE leases SET holder = '', until = 0 WHERE lease_key = ? AND holder = ? AND epoch = ?`
)

// What Collect removes is found by readers and deleted row by row, so that the
// writer is never busy with it for long. The deletions get the row and the instant.
const (
	oldPushes  = `SELECT id FROM pushes WHERE received_at < ? ORDER BY received_at LIMIT ?`
	deletePush = `DELETE FROM pushes WHERE id = ?1 AND received_at < ?2`

	oldRefreshTokens = `SELECT id FROM refresh_tokens r WHERE received_at < ?1 AND grant_no < (
			SELECT grant_no FROM authorizers a WHERE a.component = r.component AND a.authorizer = r.authorizer)
		ORDER BY received_at LIMIT ?2`
	deleteOldRefreshToken = `DELETE FROM refresh_tokens WHERE id = ?1 AND received_at < ?2`

	oldExchanges   = `SELECT rowid FROM exchanges WHERE finished_at > 0 AND finished_at < ? LIMIT ?`
	deleteExchange = `DELETE FROM exchanges WHERE rowid = ?1 AND finished_at > 0 AND finished_at < ?2`

	oldLinks     = `SELECT id FROM links WHERE expires_at > 0 AND expires_at < ? LIMIT ?`
	deleteLink   = `DELETE FROM links WHERE id = ?1 AND expires_at < ?2`
	deleteVisits = `DELETE FROM visits WHERE link = ?1 AND NOT EXISTS (SELECT 1 FROM links WHERE id = ?1)`

	// The keys are made by store.ExchangeLease; '0' follows '/' in ASCII.
	oldLeases = `SELECT lease_key FROM leases
		WHERE lease_key >= 'exchange/' AND lease_key < 'exchange0' AND until <= ?1 AND NOT EXISTS (
			SELECT 1 FROM exchanges
			WHERE component = substr(lease_key, 10, instr(substr(lease_key, 10), '/') - 1)
				AND code_hash = substr(lease_key, 10 + instr(substr(lease_key, 10), '/'))) LIMIT ?2`
	deleteLease = `DELETE FROM leases WHERE lease_key = ?1 AND until <= ?2`
)
