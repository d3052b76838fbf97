package admin

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/tuoguan/tuoguan/internal/page"
	"github.com/tuoguan/tuoguan/internal/problem"
)

// docs serves GET /docs: the OpenAPI document for people, in one of their languages.
func (a *API) docs(w http.ResponseWriter, r *http.Request) {
	lang := page.Language(r)
	a.pages.Show(w, lang, http.StatusOK, "docs", a.docsView(lang))
}

// docsView is what the page about the API shows.
type docsView struct {
	Groups   []docsGroup
	Problems []problem.Problem
}

type docsGroup struct {
	Name, Description string
	Operations        []docsOperation
}

type docsOperation struct {
	ID, Method, Path, Summary, Needs, Curl string
	Who                                    string // may call it, if that takes no operation
	Parameters, Body                       []docsField
	Replies                                []docsReply
}

// docsField is a parameter, or a field of a body.
type docsField struct {
	Name, In, Type, Description string
	Required                    bool
}

type docsReply struct {
	Status   string
	Problems []string // names, if it is one
	Fields   []docsField
}

// half returns the part of a text "English · 中文" that is in a language.
func half(lang, text string) string {
	english, chinese, both := strings.Cut(text, " · ")
	if both && lang == "zh" {
		return chinese
	}
	return english
}

func (a *API) docsView(lang string) docsView {
	view := docsView{Problems: problem.All()}
	for _, group := range groups {
		shown := docsGroup{Name: group.Name, Description: half(lang, group.Description)}
		for _, op := range a.operations(group.Name) {
			shown.Operations = append(shown.Operations, a.docsOperation(lang, op))
		}
		view.Groups = append(view.Groups, shown)
	}
	return view
}

func (a *API) docsOperation(lang string, op *huma.Operation) docsOperation {
	route := op.Metadata[routeKey].(*Route)
	shown := docsOperation{ID: route.ID, Method: op.Method, Path: op.Path, Summary: half(lang, op.Summary), Needs: string(route.Needs)}
	if route.Needs == "" {
		shown.Who = half(lang, route.needs())
	}
	for _, p := range op.Parameters {
		shown.Parameters = append(shown.Parameters, docsField{Name: p.Name, In: p.In, Type: typeOf(p.Schema), Description: half(lang, p.Description), Required: p.Required})
	}
	shown.Curl = "curl"
	if !route.Open && !route.Own {
		shown.Curl += " -H \"Authorization: Bearer $KEY\""
	}
	if op.Method != http.MethodGet {
		shown.Curl += " -X " + op.Method
	}
	if body := op.RequestBody; body != nil && body.Content["application/json"] != nil {
		shown.Body = a.fields(lang, "", body.Content["application/json"].Schema)
		var examples []string
		for _, field := range shown.Body {
			if field.Required && !strings.Contains(field.Name, ".") {
				examples = append(examples, fmt.Sprintf("%q: …", field.Name))
			}
		}
		shown.Curl += " -d '{" + strings.Join(examples, ", ") + "}'"
	}
	shown.Curl += " http://127.0.0.1:8081" + op.Path
	for _, status := range slices.Sorted(maps.Keys(op.Responses)) {
		response := op.Responses[status]
		reply := docsReply{Status: status}
		if content := response.Content["application/json"]; content != nil {
			reply.Fields = a.fields(lang, "", content.Schema)
		} else if response.Content != nil {
			for name := range strings.SplitSeq(response.Description, ", ") {
				reply.Problems = append(reply.Problems, strings.Trim(name, "`"))
			}
		}
		shown.Replies = append(shown.Replies, reply)
	}
	return shown
}

// fields returns the fields of an object, and of the objects in it.
func (a *API) fields(lang, prefix string, schema *huma.Schema) []docsField {
	if schema.Ref != "" {
		schema = a.rest.OpenAPI().Components.Schemas.SchemaFromRef(schema.Ref)
	}
	var fields []docsField
	for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
		property := schema.Properties[name]
		field := docsField{Name: prefix + name, Type: typeOf(property), Description: half(lang, property.Description), Required: slices.Contains(schema.Required, name)}
		fields = append(fields, field)
		switch {
		case property.Ref != "":
			fields = append(fields, a.fields(lang, field.Name+".", property)...)
		case property.Items != nil && property.Items.Ref != "":
			fields = append(fields, a.fields(lang, field.Name+"[].", property.Items)...)
		}
	}
	return fields
}

// typeOf names the type of a value in a few words.
func typeOf(schema *huma.Schema) string {
	text := schema.Type
	switch {
	case schema.Ref != "":
		text = huma.TypeObject
	case schema.Type == huma.TypeArray:
		text = typeOf(schema.Items) + "[]"
	case len(schema.Enum) > 0:
		text = joined(schema.Enum, " | ")
	case schema.Format == "date-time":
		text = "date-time"
	case schema.Minimum != nil && schema.Maximum != nil:
		text += " " + strconv.FormatFloat(*schema.Minimum, 'f', -1, 64) + "…" + strconv.FormatFloat(*schema.Maximum, 'f', -1, 64)
	}
	if schema.Nullable {
		text += " | null"
	}
	return text
}
