package gateway

import (
	"encoding/json"
	"testing"
)

func TestIsWhole(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		text  string
		whole bool
	}{
		"object":                  {`{"errcode":0,"errmsg":"ok"}`, true},
		"with a line break":       {"{\"a\":1}\r\n", true},
		"nested":                  {`{"a":{"b":[1,{"c":"d"}]},"e":[]}`, true},
		"braces in a string":      {`{"a":"}}]]","b":"{"}`, true},
		"escaped quote":           {`{"a":"x\"}"}`, true},
		"escaped backslash":       {`{"a":"x\\"}`, true},
		"quote after backslashes": {`{"a":"x\\\"}`, false},
		"empty":                   {``, false},
		"cut in the object":       {`{"errcode":0,`, false},
		"cut in a string":         {`{"errcode":0,"errmsg":"o`, false},
		"cut behind a backslash":  {`{"errmsg":"o\`, false},
		"cut behind the inner":    {`{"a":{"b":1}`, false},
		"closed twice":            {`{"a":1}}`, false},
		"two objects":             {`{"a":1}{"b":2}`, false},
		"something behind":        {`{"a":1}x`, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := isWhole([]byte(tt.text)); got != tt.whole {
				t.Errorf("%s: %v", tt.text, got)
			}
			if valid := json.Valid([]byte(tt.text)); valid != tt.whole {
				t.Errorf("%s: it is JSON: %v", tt.text, valid)
			}
		})
	}
}

func FuzzIsWhole(f *testing.F) {
	f.Add([]byte(`{"a":{"b":[1,{"c":"d\\\""}]},"e":[]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if isObject(text) && json.Valid(text) {
			if !isWhole(text) {
				t.Errorf("%q is JSON and not whole", text)
			}
			for end := len(text) - 1; end > 0; end-- {
				if isWhole(text[:end]) && !json.Valid(text[:end]) {
					t.Errorf("%q is whole", text[:end])
				}
			}
		}
	})
}
