package config

import (
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/tuoguan/tuoguan"
)

var secretType = reflect.TypeFor[tuoguan.Secret]()

// decode fills target, a pointer to a struct, from what was read, and reports
// every key that is unknown and every value of the wrong type.
func decode(raw map[string]any, target any) Mistakes {
	var d decoder
	d.value("", raw, reflect.ValueOf(target).Elem())
	return d.mistakes
}

type decoder struct{ mistakes Mistakes }

func (d *decoder) value(key string, raw any, into reflect.Value) {
	switch {
	case raw == nil: // "key:" with nothing behind it
		return
	case into.Type() == secretType:
		if text, ok := d.text(key, raw); ok {
			into.Set(reflect.ValueOf(tuoguan.NewSecret(text)))
		}
	case into.Kind() == reflect.String:
		if text, ok := d.text(key, raw); ok {
			into.SetString(text)
		}
	case into.Kind() == reflect.Bool:
		d.bool(key, raw, into)
	case into.Kind() == reflect.Int:
		d.int(key, raw, into)
	case into.Kind() == reflect.Struct:
		d.structure(key, raw, into)
	case into.Kind() == reflect.Slice:
		d.list(key, raw, into)
	default:
		panic(fmt.Sprintf("config: no decoder for %v", into.Type()))
	}
}

func (d *decoder) text(key string, raw any) (string, bool) {
	text, ok := raw.(string)
	if !ok {
		// Not quoted, 0123 is a number and loses its zero, 1e5 becomes 100000.
		d.mistakes.add(key, "is not a text", "put the value in quotes")
	}
	return text, ok
}

// bool takes a text as well: that is what the environment and flags have.
func (d *decoder) bool(key string, raw any, into reflect.Value) {
	value, ok := raw.(bool)
	if text, isText := raw.(string); isText {
		value, ok = text == "true", text == "true" || text == "false"
	}
	if !ok {
		d.mistakes.add(key, "is neither true nor false", "write true or false")
	}
	into.SetBool(value)
}

// int takes a text as well: that is what the environment and flags have.
func (d *decoder) int(key string, raw any, into reflect.Value) {
	value, ok := raw.(int)
	if text, isText := raw.(string); isText {
		parsed, err := strconv.Atoi(text)
		value, ok = parsed, err == nil
	}
	if !ok {
		d.mistakes.add(key, "is not a whole number", "write it in digits")
	}
	into.SetInt(int64(value))
}

func (d *decoder) structure(key string, raw any, into reflect.Value) {
	entries, ok := raw.(map[string]any)
	if !ok {
		d.mistakes.add(key, "is not a mapping of keys to values", "indent its keys below it")
		return
	}
	fields := make(map[string]reflect.Value, into.NumField())
	for i := range into.NumField() {
		fields[into.Type().Field(i).Tag.Get("yaml")] = into.Field(i)
	}
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		full := name
		if key != "" {
			full = key + "." + name
		}
		field, known := fields[name]
		if !known {
			d.mistakes.add(full, "unknown key", "correct or remove it"+didYouMean(name, slices.Sorted(maps.Keys(fields))))
			continue
		}
		d.value(full, entries[name], field)
	}
}

func (d *decoder) list(key string, raw any, into reflect.Value) {
	if text, ok := raw.(string); ok && into.Type().Elem().Kind() == reflect.String { // from the environment or a flag
		parts := strings.Split(text, ",")
		list := make([]string, len(parts))
		for i, part := range parts {
			list[i] = strings.TrimSpace(part)
		}
		into.Set(reflect.ValueOf(list))
		return
	}
	entries, ok := raw.([]any)
	if !ok {
		d.mistakes.add(key, "is not a list", "put a dash before each entry")
		return
	}
	list := reflect.MakeSlice(into.Type(), len(entries), len(entries))
	for i, entry := range entries {
		d.value(fmt.Sprintf("%s[%d]", key, i), entry, list.Index(i))
	}
	into.Set(list)
}

// Format prints what Redacted returns, for every verb.
func (c Config) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, c.Redacted()) }

// LogValue logs what Redacted returns.
func (c Config) LogValue() slog.Value { return slog.AnyValue(c.Redacted()) }

// Redacted returns the configuration in force in the shape of the file, with every
// secret replaced, ready to be encoded as YAML or JSON.
func (c Config) Redacted() map[string]any {
	entries, _ := redacted(reflect.ValueOf(c)).(map[string]any)
	return entries
}

func redacted(v reflect.Value) any {
	switch {
	case v.Type() == secretType:
		if v.Interface().(tuoguan.Secret).IsZero() {
			return nil
		}
		return "redacted"
	case v.Kind() == reflect.Struct:
		entries := make(map[string]any, v.NumField())
		for i := range v.NumField() {
			if entry := redacted(v.Field(i)); entry != nil {
				entries[v.Type().Field(i).Tag.Get("yaml")] = entry
			}
		}
		if len(entries) == 0 {
			return nil
		}
		return entries
	case v.Kind() == reflect.Slice:
		if v.Len() == 0 {
			return nil
		}
		entries := make([]any, v.Len())
		for i := range entries {
			entries[i] = redacted(v.Index(i))
		}
		return entries
	case v.IsZero():
		return nil
	case v.Kind() != reflect.String:
		return v.Interface()
	}
	return withoutPassword(v.String())
}

// didYouMean returns a hint if one of the names is at most two letters away.
func didYouMean(name string, names []string) string {
	for _, candidate := range names {
		if distance(name, candidate) <= 2 {
			return " (did you mean " + candidate + "?)"
		}
	}
	return ""
}

// distance is how many letters have to be added, removed or changed.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0]++
		for j := range len(b) {
			above := row[j+1]
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			row[j+1] = min(cost, above+1, row[j]+1)
			diagonal = above
		}
	}
	return row[len(b)]
}
