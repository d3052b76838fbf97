package admin

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/tuoguan/tuoguan/internal/problem"
)

// parameters are those that a route takes in the query, by name.
type parameters map[string]*huma.Schema

func parametersOf(op *huma.Operation) parameters {
	known := make(parameters)
	for _, p := range op.Parameters {
		if p.In == "query" {
			known[p.Name] = p.Schema
		}
	}
	return known
}

// check demands that all parameters in a query are known, given once, and as their
// schemas say. An empty value is none.
func (known parameters) check(query string) error {
	if query == "" {
		return nil
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return problem.BadRequest.With("the query is malformed", "查询参数格式错误")
	}
	for name, given := range values {
		schema := known[name]
		switch {
		case schema == nil:
			return problem.BadRequest.Field(name, "unknown parameter", "未知参数")
		case len(given) > 1:
			return problem.BadRequest.Field(name, "is given more than once", "重复给出")
		case given[0] == "":
			continue
		case len(schema.Enum) > 0 && !contains(schema.Enum, given[0]):
			return problem.BadRequest.Field(name, "must be one of "+joined(schema.Enum, ", "), "取值为 "+joined(schema.Enum, "、"))
		case schema.Type == huma.TypeInteger:
			n, err := strconv.Atoi(given[0])
			if err != nil || float64(n) < *schema.Minimum || float64(n) > *schema.Maximum {
				least, most := strconv.FormatFloat(*schema.Minimum, 'f', -1, 64), strconv.FormatFloat(*schema.Maximum, 'f', -1, 64)
				return problem.BadRequest.Field(name, "must be a number from "+least+" to "+most, "须为 "+least+" 至 "+most+" 的整数")
			}
		}
	}
	return nil
}

func contains(choices []any, value string) bool {
	for _, choice := range choices {
		if choice == any(value) {
			return true
		}
	}
	return false
}

func joined(choices []any, separator string) string {
	texts := make([]string, len(choices))
	for i, choice := range choices {
		texts[i] = fmt.Sprint(choice)
	}
	return strings.Join(texts, separator)
}
