package spill

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/keeper"
	"github.com/tuoguan/tuoguan/store"
)

// placeOf says whose an answer is.
func placeOf(a keeper.Answer) (store.Place, error) {
	switch {
	case a.Tokens != nil:
		return placeAt(a.Tokens.Component, a.Tokens.Authorizer), nil
	case a.Grant != nil:
		return placeAt(a.Grant.Component, a.Grant.Authorizer), nil
	case a.RefreshToken != nil:
		return placeAt(a.RefreshToken.Component, a.RefreshToken.Authorizer), nil
	case a.ComponentToken != nil:
		return placeAt(a.ComponentToken.Component, ""), nil
	}
	return store.Place{}, errors.New("spill: the answer is empty")
}

func placeAt(component tuoguan.ComponentAppID, authorizer tuoguan.AuthorizerAppID) store.Place {
	return store.Place{Component: component, Authorizer: authorizer, Field: "spill"}
}

// marshal turns an answer into JSON, with its secrets revealed: what it returns is
// for the cipher alone. Fields have their Go names and are left out if zero. Texts
// are in base64, so that not a byte of them changes that is not UTF-8.
func marshal(a keeper.Answer) ([]byte, error) {
	tree, err := plain(reflect.ValueOf(a))
	if err != nil {
		return nil, err
	}
	return json.Marshal(tree)
}

// announcement is what is told of an answer once it is stored. Whoever stores it knows
// anew who is to be told.
var announcement = reflect.TypeFor[*store.Intake]()

// plain turns v into what [json.Marshal] writes as it is.
func plain(v reflect.Value) (any, error) {
	switch x := v.Interface().(type) {
	case tuoguan.Secret:
		return []byte(x.Reveal()), nil
	case time.Time:
		return x.UTC(), nil
	}
	switch v.Kind() {
	case reflect.String:
		return []byte(v.String()), nil
	case reflect.Int, reflect.Int64:
		return v.Int(), nil
	case reflect.Bool:
		return v.Bool(), nil
	case reflect.Pointer:
		return plain(v.Elem())
	case reflect.Slice:
		list := make([]any, v.Len())
		for i := range list {
			var err error
			if list[i], err = plain(v.Index(i)); err != nil {
				return nil, err
			}
		}
		return list, nil
	case reflect.Struct:
		fields := make(map[string]any)
		for i := range v.NumField() {
			if v.Field(i).IsZero() || v.Field(i).Type() == announcement {
				continue
			}
			field, err := plain(v.Field(i))
			if err != nil {
				return nil, err
			}
			fields[v.Type().Field(i).Name] = field
		}
		return fields, nil
	}
	return nil, fmt.Errorf("no way to write a %s", v.Type())
}

// unmarshal reads what marshal has written. A field that it does not know is an
// error: it may be the one that counts.
func unmarshal(data []byte) (keeper.Answer, error) {
	var a keeper.Answer
	if err := fill(reflect.ValueOf(&a).Elem(), data); err != nil {
		return keeper.Answer{}, err
	}
	if _, err := placeOf(a); err != nil {
		return keeper.Answer{}, err
	}
	return a, nil
}

func fill(v reflect.Value, data []byte) error {
	switch x := v.Addr().Interface().(type) {
	case *tuoguan.Secret:
		var value []byte
		err := json.Unmarshal(data, &value)
		*x = tuoguan.NewSecret(string(value))
		return err
	case *time.Time:
		return json.Unmarshal(data, x)
	}
	switch v.Kind() {
	case reflect.String:
		var value []byte
		err := json.Unmarshal(data, &value)
		v.SetString(string(value))
		return err
	case reflect.Int, reflect.Int64, reflect.Bool:
		return json.Unmarshal(data, v.Addr().Interface())
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return fill(v.Elem(), data)
	case reflect.Slice:
		var list []json.RawMessage
		if err := json.Unmarshal(data, &list); err != nil {
			return err
		}
		v.Set(reflect.MakeSlice(v.Type(), len(list), len(list)))
		for i, data := range list {
			if err := fill(v.Index(i), data); err != nil {
				return err
			}
		}
		return nil
	case reflect.Struct:
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(data, &fields); err != nil {
			return err
		}
		for name, data := range fields {
			field, ok := v.Type().FieldByName(name)
			if !ok || len(field.Index) != 1 {
				return fmt.Errorf("unknown field %s.%s", v.Type(), name)
			}
			if err := fill(v.Field(field.Index[0]), data); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("no way to read a %s", v.Type())
}
