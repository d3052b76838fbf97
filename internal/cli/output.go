package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"
)

// printJSON prints a value, indented.
func printJSON(c *cobra.Command, value any) error {
	encoder := newEncoder(c.OutOrStdout())
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

func newEncoder(w io.Writer) *json.Encoder {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder
}

// table is a list for people.
type table[T any] struct {
	head string // names of columns, with tabs between
	row  func(T) []any
}

// print prints a list as a table, or as one JSON array, and at most limit of its
// items unless that is 0.
func (t table[T]) print(c *cobra.Command, p *Process, items iter.Seq2[T, error], limit int, asJSON bool) error {
	shown := newProgress(p)
	defer shown.clear()
	all := []T{}
	for item, err := range items {
		if err != nil {
			return err
		}
		all = append(all, item)
		if len(all) == limit {
			break
		}
		shown.show("%d …", len(all))
	}
	shown.clear()
	if asJSON {
		return printJSON(c, all)
	}
	w := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, t.head)
	for _, item := range all {
		fmt.Fprintln(w, line(t.row(item)))
	}
	return w.Flush()
}

// all makes a list of what an API returns at once.
func all[T any](items []T, err error) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		if err != nil {
			yield(none, err)
			return
		}
		for _, item := range items {
			if !yield(item, nil) {
				return
			}
		}
	}
}

// line joins cells with tabs. What merchants chose may hold anything, and must
// neither break the table nor command the terminal.
func line(cells []any) string {
	texts := make([]string, len(cells))
	for i, cell := range cells {
		texts[i] = plain(fmt.Sprint(cell))
	}
	return strings.Join(texts, "\t")
}

func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) {
			return ' '
		}
		return r
	}, text)
}

// lines is plain for a text of several lines.
func lines(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || unicode.IsGraphic(r) {
			return r
		}
		return ' '
	}, text)
}

func showInstant(t *time.Time) string {
	if t == nil || t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}
