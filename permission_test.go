package tuoguan_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tuoguan/tuoguan"
)

func TestPermissionSetTable(t *testing.T) {
	t.Parallel()
	sets := tuoguan.PermissionSets()
	if !slices.IsSorted(sets) {
		t.Errorf("sets are not sorted, so lookups miss: %v", sets)
	}
	if unique := slices.Compact(slices.Clone(sets)); len(unique) != len(sets) {
		t.Errorf("an id is listed twice")
	}
	names := map[string]tuoguan.PermissionSet{}
	for _, set := range sets {
		if !set.Known() {
			t.Errorf("%d is listed and not known", int(set))
		}
		if set.ChineseName() == "" || set.EnglishName() == "" {
			t.Errorf("%d lacks a name", int(set))
		}
		if other, taken := names[set.EnglishName()]; taken {
			t.Errorf("%d and %d share the name %q", int(other), int(set), set.EnglishName())
		}
		names[set.EnglishName()] = set
	}
	for id := tuoguan.PermissionSet(1); id <= 8; id++ {
		if !id.Known() {
			t.Errorf("set %d of the founding list is missing", int(id))
		}
	}
}

func TestExclusivePermissionSets(t *testing.T) {
	t.Parallel()
	var got []int
	for _, set := range tuoguan.PermissionSets() {
		if set.Exclusive() {
			got = append(got, int(set))
		}
	}
	want := []int{4, 18, 24, 25, 34, 40, 41, 45, 49, 51, 54, 73, 76, 81}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("exclusive sets differ from the official tables (-want +got):\n%s", diff)
	}
	if tuoguan.PermissionSet(99999).Exclusive() {
		t.Error("an unknown set must count as shared")
	}
}

func TestPermissionSetNames(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name                  string
		set                   tuoguan.PermissionSet
		chinese, english, str string
	}{
		{"official account", tuoguan.PermissionMessages, "消息管理", "messages", "1 messages"},
		{"mini program", tuoguan.PermissionMiniProgramDevelopment, "小程序开发与数据分析", "Mini Program development and analytics", "18 Mini Program development and analytics"},
		{"unknown", 999, "权限集 999", "permission set 999", "999"},
		{"negative", -5, "权限集 -5", "permission set -5", "-5"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := []string{tt.set.Name("zh-CN"), tt.set.Name("zh"), tt.set.Name("en"), tt.set.Name(""), tt.set.String()}
			want := []string{tt.chinese, tt.chinese, tt.english, tt.english, tt.str}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("names (-want +got):\n%s", diff)
			}
		})
	}
}

func ExamplePermissionSet() {
	granted := []tuoguan.PermissionSet{tuoguan.PermissionMessages, 999}
	for _, set := range granted {
		fmt.Println(set, set.Name("zh"), set.Exclusive())
	}
	// Output:
	// 1 messages 消息管理 false
	// 999 权限集 999 false
}
