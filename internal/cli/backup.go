package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/tuoguan/tuoguan/internal/backup"
	"github.com/tuoguan/tuoguan/internal/config"
	"github.com/tuoguan/tuoguan/internal/obs"
	"github.com/tuoguan/tuoguan/internal/seal"
	"github.com/tuoguan/tuoguan/internal/storage"
)

// backupReport is what backup and restore print.
type backupReport struct {
	File         string           `json:"file"`
	Bytes        int64            `json:"bytes"`
	MadeAt       time.Time        `json:"made_at"`
	Engine       string           `json:"engine"`
	Version      string           `json:"version"`
	Installation string           `json:"installation"`
	KeyID        string           `json:"key_id"`
	Records      map[string]int64 `json:"records"`
	Seconds      float64          `json:"seconds"`
}

func newReport(file string, bytes int64, info backup.Info, began time.Time) backupReport {
	return backupReport{
		File: file, Bytes: bytes, MadeAt: info.MadeAt, Engine: info.Engine, Version: info.Version,
		Installation: info.Installation, KeyID: info.KeyID, Records: info.Records,
		Seconds: time.Since(began).Round(time.Millisecond).Seconds(),
	}
}

func newBackup(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "backup",
		Short: "write an encrypted backup of everything · 备份",
		Long: `Write everything, as it is at one instant, into one encrypted file. The server may
run meanwhile. The master key is not in it: keep a copy of that in another place,
for without it the backup is worthless. A file is verified before it gets its name.

将全部数据（同一时刻的一致快照）写入一个加密文件，服务可同时运行。备份不含主密钥，请另行
妥善保存：没有主密钥，备份无法恢复。文件校验通过后才会改为目标文件名。`,
		Example: `  tuoguan backup --config /etc/tuoguan/config.yaml --output /backup/tuoguan-$(date +%F).backup
  tuoguan backup -c config.yaml --output - | ssh backup 'cat > tuoguan.backup'`,
		Args: noArgs,
	}
	load := addConfigFlags(c, p)
	output := c.Flags().StringP("output", "o", "", "file to write, or - for standard output; required · 输出文件")
	asJSON := c.Flags().Bool("json", false, "report as JSON (not with --output -)")
	c.RunE = func(c *cobra.Command, _ []string) error {
		switch {
		case *output == "":
			return usageError("--output is required")
		case *output == "-" && *asJSON:
			return usageError("--json would get into the backup; use --output FILE")
		case *output == "-" && isTerminal(p.Stdout):
			return usageError("a backup is not for a terminal; use --output FILE")
		}
		cfg, err := load()
		if err != nil {
			return err
		}
		began := time.Now()
		opened, err := storage.OpenReader(c.Context(), cfg, storage.Options{})
		if errors.Is(err, storage.ErrPending) {
			err = fmt.Errorf("%w\n  make the backup with the version that wrote the data, or run tuoguan migrate\n  请用写入数据的版本备份，或先执行 tuoguan migrate", err)
		}
		if err != nil {
			return err
		}
		defer func() { _ = opened.Close() }() // nothing was written to it
		shown := newProgress(p)
		defer shown.clear()
		if *output == "-" {
			_, err := opened.Backup(c.Context(), c.OutOrStdout(), obs.Version(), shown.records("writing · 写入"))
			return err
		}
		info, bytes, err := backupToFile(c.Context(), opened, *output, shown)
		if err != nil {
			return err
		}
		shown.clear()
		if *asJSON {
			return printJSON(c, newReport(*output, bytes, info, began))
		}
		_, err = fmt.Fprintf(c.OutOrStdout(), "%s\n  records · 记录: %d\n  bytes · 字节: %d\n  key · 密钥: %s\n", *output, info.Total(), bytes, info.KeyID)
		return err
	}
	return c
}

// backupToFile writes a backup beside where it is to be, reads it back, and gives it
// its name only then.
func backupToFile(ctx context.Context, opened *storage.Opened, path string, shown *progress) (info backup.Info, bytes int64, err error) {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return backup.Info{}, 0, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(file.Name()))
		}
	}()
	defer func() { err = errors.Join(err, file.Close()) }()
	buffered := bufio.NewWriterSize(file, 256<<10)
	if _, err = opened.Backup(ctx, buffered, obs.Version(), shown.records("writing · 写入")); err != nil {
		return backup.Info{}, 0, err
	}
	if err = errors.Join(buffered.Flush(), file.Sync()); err != nil {
		return backup.Info{}, 0, err
	}
	written, err := backup.Open(ctx, file, opened.KEK, shown.records("verifying · 校验"))
	if err == nil {
		err = storage.Verify(ctx, written, opened.KEK)
	}
	if err != nil {
		return backup.Info{}, 0, fmt.Errorf("the backup was written, and does not read back: %w", err)
	}
	if bytes, err = file.Seek(0, io.SeekEnd); err != nil {
		return backup.Info{}, 0, err
	}
	if err = os.Rename(file.Name(), path); err != nil {
		return backup.Info{}, 0, err
	}
	return written.Info, bytes, syncDir(filepath.Dir(path))
}

func newRestore(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "restore FILE",
		Short: "put a backup into an empty storage, or verify it · 恢复或校验备份",
		Long: `Put a backup into the storage that the configuration names, on any engine: also
from SQLite into PostgreSQL or MySQL. The whole file is verified first, and all of it
is stored or nothing. The storage must be empty; with --force a database file of
SQLite that is in the way is moved aside. Stop the server before.

After it the gate is closed: the server refreshes no token before WeChat has pushed a
verify ticket to this installation and what was restored has been compared with
WeChat's list. It opens by itself.

将备份恢复到配置所指的存储，可跨数据库类型（如 SQLite 恢复到 PostgreSQL、MySQL）。先校验
整个文件，再一次性写入；目标必须为空，--force 会将已有的 SQLite 文件移到一旁。请先停止服务。

恢复后闸门关闭：在微信向本实例推送 ticket 且与授权列表核对完成之前，不会刷新任何令牌；之后
自动放行。`,
		Example: `  tuoguan restore --config /etc/tuoguan/config.yaml --verify /backup/tuoguan.backup
  tuoguan restore --config /etc/tuoguan/config.yaml /backup/tuoguan.backup`,
		Args: oneArg("FILE"),
	}
	load := addConfigFlags(c, p)
	verify := c.Flags().Bool("verify", false, "only verify the file; change nothing · 仅校验")
	force := c.Flags().Bool("force", false, "move a database of SQLite that is in the way aside · 移开已有的 SQLite 数据库")
	asJSON := c.Flags().Bool("json", false, "report as JSON")
	c.RunE = func(c *cobra.Command, args []string) error {
		cfg, err := load()
		if err != nil {
			return err
		}
		began := time.Now()
		file, err := os.Open(args[0])
		if err != nil {
			return err
		}
		defer func() { _ = file.Close() }() // it was only read
		kek, err := storage.MasterKey(cfg, true)
		if err != nil {
			return err
		}
		shown := newProgress(p)
		defer shown.clear()
		b, err := backup.Open(c.Context(), file, kek, shown.records("verifying · 校验"))
		if err != nil {
			return explainRestore(err)
		}
		if err := storage.Verify(c.Context(), b, kek); err != nil {
			return explainRestore(err)
		}
		said := "is whole and opens under this master key · 完整，可用此主密钥恢复"
		if !*verify {
			if err := restore(c.Context(), p, cfg, b, kek, *force, shown); err != nil {
				return err
			}
			said = "is in " + cfg.StorageName() + " · 已恢复" + afterRestore
		}
		shown.clear()
		if *asJSON {
			info, err := file.Stat()
			if err != nil {
				return err
			}
			return printJSON(c, newReport(args[0], info.Size(), b.Info, began))
		}
		_, err = fmt.Fprintf(c.OutOrStdout(), "%s of %s, %d records: %s\n", args[0], b.Info.MadeAt.Format(time.RFC3339), b.Info.Total(), said)
		return err
	}
	return c
}

const afterRestore = `

What happens next:
  1. Make sure that the installation which the backup was made of is stopped for good.
  2. Start the server. It accepts pushes at once, and refreshes nothing yet.
  3. WeChat pushes a verify ticket within ten minutes, to one installation only.
  4. What was restored is compared with WeChat's list, and repaired. Then the gate opens.
tuoguan doctor says what it waits for.

接下来：
  1. 确认备份来源的旧实例已彻底停止。
  2. 启动服务：立即接收推送，但暂不刷新令牌。
  3. 微信将在十分钟内推送 ticket，且只推送给一个实例。
  4. 与微信的授权列表核对并修复后，闸门自动打开。
可运行 tuoguan doctor 查看进度。`

func restore(ctx context.Context, p *Process, cfg config.Config, b *backup.Backup, kek seal.KEK, force bool, shown *progress) error {
	put := func() error {
		return storage.Restore(ctx, cfg, storage.Options{}, b, kek, shown.records("restoring · 恢复"))
	}
	err := put()
	if !errors.Is(err, storage.ErrNotEmpty) {
		return err
	}
	if cfg.Engine() != config.SQLite {
		return fmt.Errorf("%w; make an empty database and name it in storage, or in --storage", err)
	}
	if !force {
		return fmt.Errorf("%w; to move it aside and go on, say --force", err)
	}
	aside, err := storage.MoveAside(cfg, time.Now())
	if err != nil {
		return err
	}
	shown.clear()
	fmt.Fprintf(p.Stderr, "the database that was there is now %s · 原数据库已移至该处\n", aside)
	return put()
}

// explainRestore adds what to do.
func explainRestore(err error) error {
	switch {
	case errors.Is(err, seal.ErrWrongKey):
		return fmt.Errorf("%w\n  name the master key that was in force when it was made: --master-key-file FILE; tuoguan rekey --new-master-key-file changes it afterwards\n  请用 --master-key-file 指定备份当时的主密钥", err)
	case errors.Is(err, backup.ErrDamaged):
		return fmt.Errorf("%w\n  nothing was changed; use another backup\n  未做任何更改，请改用其他备份", err)
	}
	return err
}
