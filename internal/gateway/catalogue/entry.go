package catalogue

import (
	"fmt"
	"slices"
	"sync"
)

// EndpointSummary says what a call is for and who may make it. A path may stand for several
// calls, so they go by id.
type EndpointSummary struct {
	ID             string `json:"id"`
	Group          string `json:"group"`
	GroupTitle     string `json:"group_title"`
	GroupTitleZh   string `json:"group_title_zh"`
	Title          string `json:"title"`
	TitleZh        string `json:"title_zh"`
	Method         string `json:"method" enum:"GET,POST"`
	Path           string `json:"path"`
	Token          string `json:"token" enum:"authorizer,component,either,none"`
	PermissionSets []int  `json:"permission_sets" doc:"Any one of them allows it; empty where none is needed or it is not known · 任一权限集即可；空为不需要或未知"`
	Read           bool   `json:"read" doc:"It changes nothing · 只读"`
}

// Entry is all that is known of a call.
type Entry struct {
	EndpointSummary
	Query    []Field
	Body     string // json, multipart or none
	Request  []Field
	Response []Field
	// ResponseKind is json, binary or json_or_binary.
	ResponseKind string
	Errcodes     []int
	Doc          string // a page of WeChat's; "" where none is known
}

// Field is a parameter of a query, or a field of a JSON object.
type Field struct {
	Name string `yaml:"name" json:"name" doc:"Dotted where it lies in another one; name[] is an element of a list, and * any name · 嵌套字段以点分隔，name[] 为数组元素，* 为任意名"`
	Type string `yaml:"type" json:"type" doc:"string, integer, number, boolean, object, file, any or array<…>"`
	// Required is said of replies too: it is always there then. It is "unknown" where
	// nobody has told.
	Required string `yaml:"required" json:"required" enum:"yes,no,conditional,unknown"`
	Values   []any  `yaml:"values,omitempty" json:"values,omitempty" doc:"The only values that it can have · 可取的值"`
}

// Fixed returns the only value that a query parameter can have.
func (f Field) Fixed() (value string, ok bool) {
	if len(f.Values) != 1 {
		return "", false
	}
	return fmt.Sprint(f.Values[0]), true
}

var read = sync.OnceValues(readAll)

// Entries returns all calls, by group and in the order of their files. The slice is
// shared: it may not be changed. They are read at the first use; there is no error
// unless the program was built from broken files.
func Entries() ([]Entry, error) { return read() }

// Find returns the call with an id.
func Find(id string) (Entry, bool, error) {
	all, err := Entries()
	i := slices.IndexFunc(all, func(e Entry) bool { return e.ID == id })
	if i < 0 {
		return Entry{}, false, err
	}
	return all[i], true, err
}
