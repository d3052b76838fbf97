// Package wechat holds the catalogue of WeChat's endpoints as it is written: one YAML
// file for each group. README.md says what its fields mean.
package wechat

import "embed"

// Files are the groups.
//
//go:embed *.yaml
var Files embed.FS
