package memory

import (
	"maps"
	"slices"
)

// Clone returns a store with the same content, as a backup of it is when it is
// restored, or a copy of its disk.
func (s *Store) Clone() *Store {
	s.mu.RLock()
	defer s.mu.RUnlock()
	c := New(Config{Clock: s.clock})
	maps.Copy(c.components, s.components)
	for id, tickets := range s.tickets {
		c.tickets[id] = slices.Clone(tickets)
	}
	maps.Copy(c.componentTokens, s.componentTokens)
	for _, id := range s.order {
		a := &authorizer{Authorizer: s.authorizers[id].copied(), at: -1}
		c.authorizers[id] = a
		c.due.put(a)
	}
	c.order = slices.Clone(s.order)
	maps.Copy(c.profilesDue, s.profilesDue)
	for id, tokens := range s.history {
		c.history[id] = slices.Clone(tokens)
	}
	for key, e := range s.exchanges {
		copied := *e
		c.exchanges[key] = &copied
	}
	maps.Copy(c.pending, s.pending)
	for id, l := range s.links {
		copied := *l
		c.links[id] = &copied
	}
	maps.Copy(c.visits, s.visits)
	for _, p := range s.pushes {
		copied := copiedPush(p)
		c.pushes = append(c.pushes, &copied)
		c.pushKeys[p.Key] = &copied
	}
	c.lastPush = s.lastPush
	maps.Copy(c.lastSeq, s.lastSeq)
	maps.Copy(c.lastDue, s.lastDue)
	maps.Copy(c.subscriptions, s.subscriptions)
	for id, o := range s.outboxes {
		for _, d := range o.all {
			c.outbox(id).put(*d)
		}
	}
	maps.Copy(c.leases, s.leases)
	maps.Copy(c.apiKeys, s.apiKeys)
	c.audit = slices.Clone(s.audit)
	maps.Copy(c.values, s.values)
	maps.Copy(c.users, s.users)
	maps.Copy(c.sessions, s.sessions)
	c.tokenEvents, c.lastTokenEvent = slices.Clone(s.tokenEvents), s.lastTokenEvent
	maps.Copy(c.settings, s.settings)
	c.notes, c.notesFrom = slices.Clone(s.notes), s.notesFrom
	return c
}
