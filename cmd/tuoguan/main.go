// Command tuoguan keeps the authorizations that merchants give to a WeChat
// third-party platform. Run "tuoguan --help".
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/tuoguan/tuoguan/internal/cli"
	"github.com/tuoguan/tuoguan/internal/demo"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the second signal ends the process at once
	os.Exit(cli.Main(ctx, cli.Process{Args: os.Args[1:], Environ: os.Environ(), Stdout: os.Stdout, Stderr: os.Stderr}, demo.Commands()...))
}
