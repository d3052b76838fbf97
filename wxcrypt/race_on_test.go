//go:build race

package wxcrypt

const raceEnabled = true
