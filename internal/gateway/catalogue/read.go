package catalogue

import (
	"bytes"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/tuoguan/tuoguan/api/wechat"
)

// group is a file of api/wechat.
type group struct {
	Title     string   `yaml:"title"`
	TitleZh   string   `yaml:"title_zh"`
	Endpoints []record `yaml:"endpoints"`
}

// record is an endpoint as it is written there.
type record struct {
	ID            string   `yaml:"id"`
	Title         string   `yaml:"title"`
	TitleZh       string   `yaml:"title_zh"`
	Method        string   `yaml:"method"`
	Path          string   `yaml:"path"`
	Token         string   `yaml:"token"`
	Parameter     string   `yaml:"token_param"`
	PermissionSet []string `yaml:"permission_set"`
	Read          bool     `yaml:"read"`
	Body          string   `yaml:"body"`
	Reply         string   `yaml:"response_kind"`
	Query         []Field  `yaml:"query"`
	Request       []Field  `yaml:"request"`
	Response      []Field  `yaml:"response"`
	Errcodes      []int    `yaml:"errcodes"`
	Doc           string   `yaml:"doc"`
}

// readGroups reads the files, by name.
func readGroups() (names []string, groups []group, err error) {
	files, err := fs.Glob(wechat.Files, "*.yaml")
	if err != nil {
		return nil, nil, err
	}
	for _, file := range files {
		text, err := wechat.Files.ReadFile(file)
		if err != nil {
			return nil, nil, err
		}
		decoder := yaml.NewDecoder(bytes.NewReader(text))
		decoder.KnownFields(true)
		var g group
		if err := decoder.Decode(&g); err != nil {
			return nil, nil, fmt.Errorf("read %s: %w", file, err)
		}
		names, groups = append(names, strings.TrimSuffix(file, ".yaml")), append(groups, g)
	}
	return names, groups, nil
}

// readAll makes the entries of the files.
func readAll() ([]Entry, error) {
	names, groups, err := readGroups()
	if err != nil {
		return nil, err
	}
	var all []Entry
	for i, g := range groups {
		for _, r := range g.Endpoints {
			e := r.entry()
			e.Group, e.GroupTitle, e.GroupTitleZh = names[i], g.Title, g.TitleZh
			if e.PermissionSets, err = permissionSets(r.PermissionSet); err != nil {
				return nil, fmt.Errorf("read the permission sets of %s: %w", r.ID, err)
			}
			all = append(all, e)
		}
	}
	return all, nil
}

func (r record) entry() Entry {
	e := Entry{
		EndpointSummary: EndpointSummary{ID: r.ID, Title: r.Title, TitleZh: r.TitleZh, Method: r.Method, Path: r.Path, Token: r.Token, Read: r.Read},
		Query:           listed(r.Query), Body: r.Body, Request: listed(r.Request), Response: listed(r.Response), ResponseKind: r.Reply,
		Errcodes: r.Errcodes, Doc: r.Doc,
	}
	if e.Body == "" {
		e.Body = "none"
	}
	if e.ResponseKind == "" {
		e.ResponseKind = "json"
	}
	return e
}

// listed returns fields that are a list also where there are none, with what is left
// out of the files: a text that is required.
func listed(fields []Field) []Field {
	if fields == nil {
		return []Field{}
	}
	for i := range fields {
		if fields[i].Type == "" {
			fields[i].Type = "string"
		}
		if fields[i].Required == "" {
			fields[i].Required = "yes"
		}
	}
	return fields
}

// permissionSets reads ids and ranges of them; "any" is none in particular.
func permissionSets(written []string) ([]int, error) {
	sets := []int{}
	for _, text := range written {
		if text == "any" {
			continue
		}
		first, last, isRange := strings.Cut(text, "-")
		if !isRange {
			last = first
		}
		from, err := strconv.Atoi(first)
		if err != nil {
			return nil, err
		}
		to, err := strconv.Atoi(last)
		if err != nil {
			return nil, err
		}
		for id := from; id <= to; id++ {
			sets = append(sets, id)
		}
	}
	return sets, nil
}
