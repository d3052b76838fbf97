package postgres_test

import (
	"testing"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/services/servicetest"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/store/storetest"
)

func TestXPooled(t *testing.T) {
	for _, m := range []string{"exec", "simple_protocol"} {
		t.Run(m, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T, clock *tuoguan.Clock) store.Store {
				cfg := config(servicetest.Postgres(t, tables()...) + "&default_query_exec_mode=" + m)
				cfg.Clock = clock
				return open(t, cfg)
			})
		})
	}
}
