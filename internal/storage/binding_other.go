//go:build !linux

package storage

import "os"

// fileBinding knows a file by the machine's name alone: what else tells a file from
// its copies differs too much between these systems.
func fileBinding(string) (string, error) {
	host, err := os.Hostname()
	if err != nil || host == "" {
		return "", err
	}
	return "machine " + host, nil
}
