package operator

import (
	"slices"
	"strings"

	"github.com/tuoguan/tuoguan/internal/access"
)

// Role is what a user is allowed to do.
type Role string

// Roles, the mightiest first.
const (
	Owner    Role = "owner"    // everything
	Admin    Role = "admin"    // everything, except to users who are owners
	Operator Role = "operator" // the daily work with authorizers, links, events and subscriptions
	Auditor  Role = "auditor"  // reads everything but tokens, the audit log included
	Viewer   Role = "viewer"   // reads what the daily work is about
)

// Roles returns all roles, the mightiest first.
func Roles() []Role { return []Role{Owner, Admin, Operator, Auditor, Viewer} }

// Valid reports whether there is such a role.
func (r Role) Valid() bool { return slices.Contains(Roles(), r) }

// MayChange reports whether who has the role may change users of another one, and give
// that role to users.
func (r Role) MayChange(other Role) bool {
	return r == Owner || r == Admin && other != Owner
}

// Operations returns what the role allows, in the order of [access.Operations]; nothing
// for a role that does not exist.
//
// An admin holds every operation by name and not [access.Everything]: an API key of that
// scope counts as an owner, and an admin may give out whatever an admin holds.
func (r Role) Operations() []access.Operation {
	switch r {
	case Owner:
		return []access.Operation{access.Everything}
	case Admin:
		return those(func(op access.Operation) bool { return op != access.Everything })
	case Operator:
		return those(func(op access.Operation) bool {
			return slices.Contains([]access.Operation{
				access.ReadComponents, access.ReadAuthorizers, access.WriteAuthorizers, access.RefreshTokens,
				access.ReadLinks, access.WriteLinks, access.ReadEvents, access.ReplayEvents,
				access.ReadSubscriptions, access.WriteSubscriptions, access.ReadJobs, access.RunJobs,
				access.ReadKeys, access.CallGateway,
			}, op)
		})
	case Auditor:
		return those(func(op access.Operation) bool {
			return strings.HasSuffix(string(op), ":read") && op != access.ReadTokens
		})
	case Viewer:
		return those(func(op access.Operation) bool {
			return slices.Contains([]access.Operation{
				access.ReadComponents, access.ReadAuthorizers, access.ReadLinks,
				access.ReadEvents, access.ReadSubscriptions, access.ReadJobs,
			}, op)
		})
	}
	return nil
}

func those(hold func(access.Operation) bool) []access.Operation {
	return slices.DeleteFunc(access.Operations(), func(op access.Operation) bool { return !hold(op) })
}
