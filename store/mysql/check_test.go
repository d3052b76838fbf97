package mysql

import "testing"

func TestRead(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]struct {
		flavor  flavor
		release [2]int
	}{
		"8.0.36":                         {mySQL, [2]int{8, 0}},
		"8.4.3-log":                      {mySQL, [2]int{8, 4}},
		"5.7.44":                         {mySQL, [2]int{5, 7}},
		"10.11.19-MariaDB-0+deb12u1":     {mariaDB, [2]int{10, 11}},
		"5.5.5-10.6.22-MariaDB":          {mariaDB, [2]int{10, 6}},
		"8.0.11-TiDB-v8.5.0":             {tidb, [2]int{8, 0}},
		"5.7.25-TiDB-v6.1.0":             {tidb, [2]int{5, 7}},
		"8.0":                            {mySQL, [2]int{8, 0}},
		"nonsense":                       {mySQL, [2]int{0, 0}},
		"11.4.2-MariaDB-ubu2404-log":     {mariaDB, [2]int{11, 4}},
		"10.5.9-MariaDB-1:10.5.9+maria~": {mariaDB, [2]int{10, 5}},
	} {
		if f, release := read(version); f != want.flavor || release != want.release {
			t.Errorf("%s: %s %v", version, f, release)
		}
	}
}
