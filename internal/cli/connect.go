package cli

import (
	"cmp"
	"net"
	"net/netip"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/client"
)

// addClientFlags adds the flags that say where the server is, and returns what
// makes the client once they are parsed.
func addClientFlags(c *cobra.Command, p *Process) func() (*client.Client, error) {
	server := c.Flags().String("server", "", "address of the admin listener (or TUOGUAN_SERVER) · 管理监听地址 (default http://127.0.0.1:8081)")
	keyFile := c.Flags().String("api-key-file", "", "file with the API key (or TUOGUAN_API_KEY_FILE, TUOGUAN_API_KEY) · API 密钥文件")
	return func() (*client.Client, error) {
		key := tuoguan.NewSecret(p.variable("TUOGUAN_API_KEY"))
		if file := cmp.Or(*keyFile, p.variable("TUOGUAN_API_KEY_FILE")); file != "" && (*keyFile != "" || key.IsZero()) {
			var err error
			if key, err = readSecret(file); err != nil {
				return nil, err
			}
		}
		if key.IsZero() {
			return nil, usageError("an API key is needed: --api-key-file FILE, or TUOGUAN_API_KEY_FILE")
		}
		return connect(cmp.Or(*server, p.variable("TUOGUAN_SERVER"), "http://127.0.0.1:8081"), key)
	}
}

// connect makes a client that does not wait for a server that is away: whoever types a
// command wants to know.
func connect(server string, key tuoguan.Secret) (*client.Client, error) {
	api, err := client.New(client.Config{AdminURL: server, APIKey: key, Patience: -1})
	if err != nil {
		return nil, usageError("--server or the API key cannot be used: " + err.Error())
	}
	return api, nil
}

// readSecret reads a secret from a file, without the line's end behind it.
func readSecret(path string) (tuoguan.Secret, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return tuoguan.Secret{}, usageError(err.Error())
	}
	return tuoguan.NewSecret(strings.TrimRight(string(raw), "\r\n")), nil
}

// dialable turns an address to listen on into one to connect to.
func dialable(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}
