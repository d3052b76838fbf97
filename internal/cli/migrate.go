package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tuoguan/tuoguan/internal/storage"
)

func newMigrate(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "migrate",
		Short: "bring the database up to date, or say what that would be · 升级数据库结构",
		Long: `Bring the tables of the database up to what this version needs. Every server does so
when it starts; this is for doing it before. Servers of the version before may go on
running. Migrations only go forward, so make a backup.

将数据库结构升级到本版本所需。服务启动时会自动执行；此命令用于提前执行，期间上一版本的服务可
继续运行。升级不可回退，请先备份。`,
		Example: `  tuoguan migrate --config /etc/tuoguan/config.yaml --plan`,
		Args:    noArgs,
	}
	load := addConfigFlags(c, p)
	plan := c.Flags().Bool("plan", false, "only list what is pending · 仅列出待执行项")
	asJSON := c.Flags().Bool("json", false, "report as JSON")
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg, err := load()
		if err != nil {
			return err
		}
		pending, err := storage.Pending(c.Context(), cfg)
		if err != nil {
			return err
		}
		if !*plan && len(pending) > 0 {
			opened, err := storage.Open(c.Context(), cfg, storage.Options{})
			if err != nil {
				return err
			}
			if err := opened.Close(); err != nil {
				return err
			}
		}
		if *asJSON {
			key := "applied"
			if *plan {
				key = "pending"
			}
			return printJSON(c, map[string][]string{key: append([]string{}, pending...)})
		}
		if len(pending) == 0 {
			_, err := fmt.Fprintln(c.OutOrStdout(), "the database is up to date · 数据库已是最新")
			return err
		}
		said := "applied · 已执行"
		if *plan {
			said = "pending · 待执行"
		}
		for _, name := range pending {
			if _, err := fmt.Fprintf(c.OutOrStdout(), "%s  %s\n", name, said); err != nil {
				return err
			}
		}
		return nil
	}
	return c
}
