package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/tuoguan/tuoguan/client"
	"github.com/tuoguan/tuoguan/internal/config"
	"github.com/tuoguan/tuoguan/internal/seal"
	"github.com/tuoguan/tuoguan/internal/storage"
)

func newRekey(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "rekey",
		Short: "seal everything under a new key · 更换密钥并重新加密",
		Long: `Make a new root key and seal every secret anew under it, while servers go on with
their work. It may be interrupted; the next call goes on where it was. Where a server
has a database of SQLite open, the work is done by that server, through its REST API.

With --new-master-key-file only the key ring is put under another master key, which
takes a moment whatever is stored. Then name that file in the configuration. Backups
made before still need the old key.

生成新的根密钥并重新加密所有密文，服务可照常运行；中断后再次执行即从断点继续。若 SQLite 数据库
正被服务占用，则通过其 REST API 由服务完成。

使用 --new-master-key-file 时只更换主密钥（仅重新包裹密钥环，瞬间完成），之后须在配置中改用新
文件；此前的备份仍需旧主密钥。`,
		Example: `  tuoguan rekey --config /etc/tuoguan/config.yaml
  tuoguan rekey --config /etc/tuoguan/config.yaml --new-master-key-file /etc/tuoguan/master2.key`,
		Args: noArgs,
	}
	load := addConfigFlags(c, p)
	newFile := c.Flags().String("new-master-key-file", "", "put the key ring under the key in this file, which is made where it is missing · 新主密钥文件")
	keep := c.Flags().Duration("keep", 0, "how long old root keys stay in the ring; the default is 720h, none is -1s · 旧密钥保留时间")
	asJSON := c.Flags().Bool("json", false, "report as JSON")
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg, err := load()
		if err != nil {
			return err
		}
		if *newFile != "" {
			return rewrap(c, cfg, *newFile)
		}
		shown := newProgress(p)
		defer shown.clear()
		report, err := rekey(c.Context(), cfg, *keep, shown)
		shown.clear()
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(c, report)
		}
		if report.Job != "" {
			_, err = fmt.Fprintf(c.OutOrStdout(), "the server has sealed everything anew (job %s) · 服务已全部重新加密\n", report.Job)
			return err
		}
		_, err = fmt.Fprintf(c.OutOrStdout(), "records sealed anew · 重新加密的记录: %d\n", report.Resealed)
		return err
	}
	return c
}

// rekeyReport is what a rekeying has done.
type rekeyReport struct {
	Job      string   `json:"job,omitempty"`     // of the server that has done it; it tells no more
	Version  uint32   `json:"version,omitempty"` // of the root key in force
	Resealed int      `json:"resealed,omitempty"`
	Removed  []uint32 `json:"removed,omitempty"` // versions of old root keys
}

// rekey rekeys here, or has the server do it that holds the database.
func rekey(ctx context.Context, cfg config.Config, keep time.Duration, shown *progress) (rekeyReport, error) {
	opened, err := storage.Open(ctx, cfg, storage.Options{})
	if errors.Is(err, storage.ErrLocked) {
		return rekeyByServer(ctx, cfg, shown)
	}
	if err != nil {
		return rekeyReport{}, err
	}
	how := seal.RekeyConfig{Keep: keep, Progress: func(r seal.Report) {
		shown.show("%s: pass %d, %d looked at, %d sealed anew · 第 %[2]d 轮，已检查 %[3]d，已重新加密 %[4]d", r.Phase, r.Pass, r.Looked, r.Changed)
	}}
	if !opened.Shared {
		how.Grace = -1 // nobody else has to follow
	}
	report, err := opened.Ring.Rekey(ctx, opened.Archive, how)
	if errors.Is(err, seal.ErrIncomplete) {
		err = fmt.Errorf("%w\n  records that do not open: %d; the server's log names them. Everything else is sealed anew, and this may be run again\n  有记录无法解密，详见服务日志；其余均已重新加密，可再次执行", err, report.Failed)
	}
	return rekeyReport{Version: report.Version, Resealed: report.Resealed, Removed: report.Removed}, errors.Join(err, opened.Close())
}

func rekeyByServer(ctx context.Context, cfg config.Config, shown *progress) (rekeyReport, error) {
	api, err := connect("http://"+dialable(cfg.Admin.Listen), cfg.Bootstrap.APIKey)
	if err != nil {
		return rekeyReport{}, err
	}
	job, err := api.StartJob(ctx, "rekey")
	if err != nil {
		return rekeyReport{}, fmt.Errorf("another process has the database open, and does not rekey it either: %w", err)
	}
	for job.State == client.JobRunning {
		shown.show("the server is at it: %d records · 服务正在处理", job.Done)
		select {
		case <-ctx.Done():
			return rekeyReport{}, fmt.Errorf("the server goes on with job %s: %w", job.ID, ctx.Err())
		case <-time.After(500 * time.Millisecond):
		}
		id := job.ID
		if job, err = api.Job(ctx, id); err != nil {
			return rekeyReport{}, fmt.Errorf("what became of job %s is not known; run this again, it goes on where it was: %w", id, err)
		}
	}
	if job.State != client.JobDone {
		return rekeyReport{}, fmt.Errorf("job %s of the server has failed: %s", job.ID, job.Problem)
	}
	return rekeyReport{Job: job.ID}, nil
}

func rewrap(c *cobra.Command, cfg config.Config, newFile string) error {
	opened, err := storage.Open(c.Context(), cfg, storage.Options{})
	if errors.Is(err, storage.ErrLocked) {
		return fmt.Errorf("%w\n  stop the server for a moment: this takes less than a second, and the server needs the new file when it starts again\n  请先停止服务，更换仅需片刻，重启时使用新文件", err)
	}
	if err != nil {
		return err
	}
	before := opened.KEK.ID()
	after, err := rewrapTo(c.Context(), opened, newFile)
	if err := errors.Join(err, opened.Close()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), `the key ring is under %s instead of %s
set master_key_file to %s wherever a server runs, before it starts again; keep a copy of
the file, and the old one as long as there are backups from before

密钥环现由 %[1]s 保护（原为 %[2]s）。请在各服务下次启动前将 master_key_file 改为 %[3]s，备份新
文件，并在旧备份仍保留期间保留旧文件。
`, after, before, newFile)
	return err
}

func rewrapTo(ctx context.Context, opened *storage.Opened, newFile string) (id string, err error) {
	key, err := seal.LoadOrCreate(newFile)
	if err != nil {
		return "", err
	}
	kek, err := seal.NewLocal(key)
	if err != nil {
		return "", err
	}
	return kek.ID(), opened.Ring.Rewrap(ctx, kek)
}
