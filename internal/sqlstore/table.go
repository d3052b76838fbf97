package sqlstore

import (
	"slices"
	"strings"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/sqlkit"
	"github.com/tuoguan/tuoguan/store"
)

// table is what an archive needs to know about a table.
type table struct {
	name    string
	key     []string // by which its rows are told apart and ordered
	columns []column
	where   string            // rows that belong to the content; "" for all
	instead map[string]string // expressions dumped instead of columns

	// place says where a sealed value belongs; nil where nothing is sealed.
	place func(f fields, column string) store.Place
	binds []string // the columns that places and the key are made of
}

type column struct {
	name string
	kind kind
}

// kind is what a column holds.
type kind int

const (
	number kind = iota
	text
	plain  // bytes
	sealed // bytes; NULL for an empty value
)

// fields are the values of a row by column.
type fields map[string]any

func (f fields) text(name string) string {
	v, _ := f[name].(string)
	return v
}

func (f fields) int64(name string) int64 {
	v, _ := f[name].(int64)
	return v
}

func (f fields) component() tuoguan.ComponentAppID {
	return tuoguan.ComponentAppID(f.text("component"))
}

func (f fields) authorization() tuoguan.Authorization {
	return tuoguan.Authorization{Component: f.component(), Authorizer: tuoguan.AuthorizerAppID(f.text("authorizer"))}
}

// tables lists everything that an archive holds, in the order in which it is dumped.
func tables() []table {
	all := []table{
		{
			name: "meta", key: names("name"), where: "name <> 'probe'",
			columns: columns("name", "version", "", "value"),
		},
		{
			name: "components", key: names("component"), binds: names("component"),
			columns: columns("component", "created_at updated_at changed_at",
				"secret token encoding_aes_key previous_token previous_encoding_aes_key staged_secret", ""),
			place: func(f fields, column string) store.Place {
				if column == "secret" {
					column = "app_secret"
				}
				return store.Place{Component: f.component(), Field: column}
			},
		},
		{
			name: "tickets", key: names("id"), binds: names("id component created_at received_at"),
			columns: columns("component", "id created_at received_at", "value", ""),
			place: func(f fields, _ string) store.Place {
				return ticketPlace(store.Ticket{
					Component: f.component(),
					CreatedAt: sqlkit.Time(f.int64("created_at")), ReceivedAt: sqlkit.Time(f.int64("received_at")),
				})
			},
		},
		{
			name: "component_tokens", key: names("component"), binds: names("component epoch"),
			columns: columns("component", "obtained_at expires_at epoch", "value", ""),
			place: func(f fields, _ string) store.Place {
				return componentTokenPlace(store.ComponentToken{Component: f.component(), Epoch: f.int64("epoch")})
			},
		},
		{
			name: "authorizers", key: names("id"), binds: names("id component authorizer grant_no refresh_token_grant"),
			columns: columns(`component authorizer state reference tags func_info trouble_message kind nick_name nick_name_folded
				user_name alias head_image principal_name profile_raw`,
				`id grant_no authorized_at revoked_at refresh_token_grant expires_at obtained_at epoch trouble_failures
				trouble_code suspect_since refresh_at profile_grant service_type verify_type account_status
				profile_read_at created_at updated_at`, "access_token refresh_token", ""),
			place: func(f fields, column string) store.Place {
				grant := f.int64("grant_no")
				if column == "refresh_token" {
					grant = f.int64("refresh_token_grant")
				}
				return tokenPlace(f.authorization(), column, grant)
			},
		},
		{
			name: "authorizer_permission_sets", key: names("component authorizer permission_set"),
			columns: columns("component authorizer", "permission_set", "", ""),
		},
		{
			name: "refresh_tokens", key: names("id"), binds: names("id component authorizer value_hash"),
			columns: columns("component authorizer value_hash source", "id grant_no received_at", "value", ""),
			place: func(f fields, _ string) store.Place {
				return historyPlace(f.authorization(), f.text("value_hash"))
			},
		},
		{
			name: "exchanges", key: names("component code_hash"), binds: names("component code_hash"),
			columns: columns("component code_hash authorizer pre_auth_hash visit state problem",
				"authorized_at expires_at revoked_at grant_no attempts due_at created_at finished_at", "code", ""),
			place: func(f fields, _ string) store.Place {
				return codePlace(store.Exchange{Component: f.component(), CodeHash: f.text("code_hash")})
			},
		},
		{
			name: "links", key: names("id"),
			columns: columns("id component biz_appid permission_sets reference return_url used_by",
				"auth_type created_at expires_at used_at", "", ""),
		},
		{
			name: "visits", key: names("nonce_hash"),
			columns: columns("nonce_hash pre_auth_hash link component", "created_at", "", ""),
		},
		{
			name: "pushes", key: names("id"), binds: names("id component authorizer dedup_key"),
			columns: columns("dedup_key component authorizer kind", "id seq created_at received_at", "body reply", ""),
			place: func(f fields, column string) store.Place {
				field := "push"
				if column == "reply" {
					field = "push_reply"
				}
				a := f.authorization()
				return pushPlace(store.Push{Component: a.Component, Authorizer: a.Authorizer, Key: f.text("dedup_key")}, field)
			},
		},
		{
			name: "event_sequences", key: names("component authorizer"),
			columns: columns("component authorizer", "last_seq last_due", "", ""),
		},
		{
			name: "subscriptions", key: names("id"), binds: names("id"),
			columns: columns("id name spec state problem", "created_at updated_at version", "secrets", ""),
			place:   func(f fields, _ string) store.Place { return subscriptionPlace(f.text("id")) },
		},
		{
			name: "deliveries", key: names("event subscription"),
			columns: columns("subscription", "event due_at attempts finished_at", "", "log"),
		},
		{
			name: "api_keys", key: names("id"),
			columns: columns("id name scope",
				"previous_until created_at updated_at expires_at revoked_at last_used_at version", "", "hash previous_hash"),
		},
		{
			name: "audit", key: names("seq"),
			columns: columns("", "seq recorded_at", "", "body hash"),
		},
		{
			name: "kept_values", key: names("value_key"), binds: names("value_key"),
			columns: columns("value_key", "expires_at version", "data", ""),
			place:   func(f fields, _ string) store.Place { return valuePlace(f.text("value_key")) },
		},
		{
			// Their sessions end with the installation, and token events are not for ever.
			name: "users", key: names("id"), binds: names("id"),
			columns: columns("id name name_folded full_name role subject",
				"password_expired totp_used disabled created_at updated_at last_seen_at version", "password totp", ""),
			place: func(f fields, column string) store.Place { return userPlace(f.text("id"), column) },
		},
		{
			// Nobody holds a lease on a copy. The epochs must go on.
			name: "leases", key: names("lease_key"), instead: map[string]string{"holder": "''", "until": "0"},
			columns: columns("lease_key holder", "epoch until", "", ""),
		},
	}
	return all
}

func names(list string) []string { return strings.Fields(list) }

func columns(texts, numbers, seals, bytes string) (all []column) {
	for k, list := range map[kind]string{text: texts, number: numbers, sealed: seals, plain: bytes} {
		for _, name := range names(list) {
			all = append(all, column{name, k})
		}
	}
	slices.SortFunc(all, func(a, b column) int { return strings.Compare(a.name, b.name) })
	return all
}

// sealed names the columns that hold sealed values.
func (t table) sealed() (all []string) {
	for _, c := range t.columns {
		if c.kind == sealed {
			all = append(all, c.name)
		}
	}
	return all
}

// column finds a column by name.
func (t table) column(name string) (column, bool) {
	i := slices.IndexFunc(t.columns, func(c column) bool { return c.name == name })
	if i < 0 {
		return column{}, false
	}
	return t.columns[i], true
}

// value returns the next value of a row as the kind has it.
func (k kind) value(r *Row) any {
	switch k {
	case number:
		return r.Int64()
	case text:
		return r.Text()
	}
	if b := r.Blob(); b != nil {
		return b
	}
	return nil
}

// zero is what an archive without the column stands for.
func (k kind) zero() any {
	switch k {
	case number:
		return int64(0)
	case text:
		return ""
	case plain:
		return []byte{}
	}
	return nil
}

// holds reports whether a value is of the kind.
func (k kind) holds(v any) bool {
	switch v.(type) {
	case int64:
		return k == number
	case string:
		return k == text
	case []byte:
		return k == plain || k == sealed
	case nil:
		return k == sealed
	}
	return false
}
