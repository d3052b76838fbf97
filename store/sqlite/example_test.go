package sqlite_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/tuoguan/tuoguan/internal/seal"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/store/sqlite"
)

func ExampleOpen() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "tuoguan")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	key, err := seal.LoadOrCreate(filepath.Join(dir, "master.key"))
	if err != nil {
		fmt.Println(err)
		return
	}
	cipher, err := seal.New(key)
	if err != nil {
		fmt.Println(err)
		return
	}
	s, err := sqlite.Open(ctx, sqlite.Config{Path: filepath.Join(dir, "tuoguan.db"), Keys: store.Under(cipher)})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()

	_, err = s.AcquireLease(ctx, "wxc0000000000000", "one", time.Minute)
	fmt.Println(err)
	_, err = s.AcquireLease(ctx, "wxc0000000000000", "two", time.Minute)
	fmt.Println(err != nil)
	// Output:
	// <nil>
	// true
}
