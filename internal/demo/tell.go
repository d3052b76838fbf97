package demo

import (
	"fmt"
	"path"

	"github.com/tuoguan/tuoguan/simulator"
)

// tell puts a journal entry into words for a visitor, or "" if it would only bore.
func tell(e simulator.Entry) string {
	switch e.Kind {
	case "push":
		verdict := "refused"
		if e.Accepted {
			verdict = "accepted"
		}
		return fmt.Sprintf("WeChat → Tuoguan: push %s, %s in %d ms", e.Event, verdict, e.LatencyMS)
	case "request":
		switch op := path.Base(e.Path); op {
		case "api_component_token", "api_create_preauthcode", "api_query_auth", "api_authorizer_token", "api_get_authorizer_info", "send":
			if e.Errcode != 0 || e.Status != 200 {
				return fmt.Sprintf("Tuoguan → WeChat: %s, answered HTTP %d errcode %d", op, e.Status, e.Errcode)
			}
			return fmt.Sprintf("Tuoguan → WeChat: %s, ok", op)
		}
	case "fault":
		return "WeChat misbehaves: " + e.Fault
	}
	return ""
}
