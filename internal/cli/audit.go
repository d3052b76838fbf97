package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tuoguan/tuoguan/client"
	"github.com/tuoguan/tuoguan/internal/audit"
	"github.com/tuoguan/tuoguan/internal/storage"
)

func newAudit(p *Process) *cobra.Command {
	return group("audit", "who did what · 审计日志", newAuditList(p), newAuditHead(p), newAuditVerify(p))
}

func newAuditList(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "list",
		Short: "list the audit log, newest first · 列出审计日志",
		Long: `List the audit log, newest first: every token handed out, every change, every change of
a key, with who asked for it and from where.

由新到旧列出审计日志：令牌的发放、各类变更、密钥变更，及操作者与来源地址。`,
		Example: `  tuoguan audit list --limit 50
  tuoguan audit list --json > audit.json`,
		Args: noArgs,
	}
	connect := addClientFlags(c, p)
	limit := c.Flags().Int("limit", 100, "at most this many; 0 is all · 最多条数")
	asJSON := c.Flags().Bool("json", false, "as JSON")
	c.RunE = func(c *cobra.Command, _ []string) error {
		api, err := connect()
		if err != nil {
			return err
		}
		return table[client.AuditEntry]{"SEQ\tAT\tACTOR\tADDRESS\tOPERATION\tCOMPONENT\tAUTHORIZER\tTARGET\tRESULT", func(e client.AuditEntry) []any {
			actor := e.Actor
			if e.ActorName != "" {
				actor += " (" + e.ActorName + ")"
			}
			operation := e.Operation
			if e.Repeats > 0 {
				operation += fmt.Sprintf(" ×%d", e.Repeats)
			}
			if e.Unreadable {
				operation = "UNREADABLE"
			}
			return []any{e.Seq, showInstant(&e.At), actor, e.Address, operation, e.ComponentAppID, e.AuthorizerAppID, e.Target, e.Result}
		}}.print(c, p, api.Audit(c.Context()), *limit, *asJSON)
	}
	return c
}

func newAuditHead(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "head",
		Short: "print the end of the audit log's chain · 输出哈希链末端",
		Long: `Print the end of the audit log's chain. Kept in another place, it proves later, with
tuoguan audit verify --head, that nothing up to there was changed or cut off.

输出审计日志哈希链的末端。另存他处后，可用 tuoguan audit verify --head 证明此前的记录未被修改或截断。`,
		Example: `  tuoguan audit head >> /somewhere/else/audit-heads`,
		Args:    noArgs,
	}
	connect := addClientFlags(c, p)
	asJSON := c.Flags().Bool("json", false, "as JSON")
	c.RunE = func(c *cobra.Command, _ []string) error {
		api, err := connect()
		if err != nil {
			return err
		}
		head, err := api.AuditHead(c.Context())
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(c, head)
		}
		if head.Seq == 0 {
			return errors.New("the audit log is empty · 审计日志为空")
		}
		_, err = fmt.Fprintln(c.OutOrStdout(), head)
		return err
	}
	return c
}

// verification is what a verification of the audit log found, as JSON.
type verification struct {
	Whole   bool        `json:"whole"`
	Records int64       `json:"records"` // that are whole, from the first
	Head    string      `json:"head"`    // of these; "" if there is none
	Break   *chainBreak `json:"break"`
}

type chainBreak struct {
	Seq    int64       `json:"seq"`
	Fault  audit.Fault `json:"fault"`
	Detail string      `json:"detail"`
}

// errAltered: what was found has been told already.
var errAltered = errors.New("the audit log is not whole")

func newAuditVerify(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "verify",
		Short: "verify the audit log from its first record · 校验审计日志",
		Long: `Verify the chain of the audit log from its first record, in the storage itself; the
server may run meanwhile. Each record holds the hash of the one before, so a record
that was altered, moved or removed is found. Records cut off at the end are found by a
head that was noted before, with tuoguan audit head.

Exit code · 退出码: 0 the log is whole 完整, 1 it is not, or cannot be read 不完整或无法读取,
2 wrong usage or configuration 用法或配置错误.

从首条记录起直接在存储中校验审计日志哈希链，服务可同时运行。每条记录含上一条的哈希，因此可发现被
修改、移动或删除的记录；末尾被截断则需借助此前以 tuoguan audit head 记下的链末端。`,
		Example: `  tuoguan audit verify --config /etc/tuoguan/config.yaml
  tuoguan audit verify -c config.yaml --head "$(tail -n1 /somewhere/else/audit-heads)"`,
		Args: noArgs,
	}
	load := addConfigFlags(c, p)
	noted := c.Flags().String("head", "", "end of the chain that was noted before · 此前记下的链末端")
	asJSON := c.Flags().Bool("json", false, "as JSON")
	c.RunE = func(c *cobra.Command, _ []string) error {
		var expected audit.Head
		if *noted != "" {
			var err error
			if expected, err = audit.ParseHead(*noted); err != nil {
				return usageError("--head: " + err.Error())
			}
		}
		cfg, err := load()
		if err != nil {
			return err
		}
		opened, err := storage.OpenReader(c.Context(), cfg, storage.Options{})
		if err != nil {
			return err
		}
		defer func() { _ = opened.Close() }() // nothing was written to it
		shown := newProgress(p)
		defer shown.clear()
		report, err := audit.Verify(c.Context(), opened.Store, expected, func(done, total int64) {
			shown.show("%d of %d records · 条记录", done, total)
		})
		shown.clear()
		if err != nil {
			return err
		}
		return printVerification(c, report, *asJSON)
	}
	return c
}

func printVerification(c *cobra.Command, report audit.Report, asJSON bool) error {
	found := verification{Whole: report.Break == nil, Records: report.Records}
	if report.Head.Seq > 0 {
		found.Head = report.Head.String()
	}
	var err error
	switch {
	case !found.Whole:
		found.Break = &chainBreak{report.Break.Seq, report.Break.Fault, report.Break.Detail}
		err = fmt.Errorf("%w, from record %d on: %s (%s); records that are whole: %d · 审计日志不完整，完好的记录 %[5]d 条",
			errAltered, found.Break.Seq, found.Break.Detail, found.Break.Fault, found.Records)
	case !asJSON:
		_, err := fmt.Fprintf(c.OutOrStdout(), "the audit log is whole, %d records · 审计日志完整\n  head · 链末端: %s\n", found.Records, found.Head)
		return err
	}
	if asJSON {
		return errors.Join(printJSON(c, found), err)
	}
	return err
}
