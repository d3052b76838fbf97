package admin

import (
	"net/http"
	"strings"

	"github.com/tuoguan/tuoguan/internal/access"
	"github.com/tuoguan/tuoguan/internal/problem"
)

// simulatorPath is where the control API of the simulator is, for those who may act on
// accounts. It is there in the demo alone.
const simulatorPath = "/simulator/"

// simulated hands a request on to the simulator. Whoever may see accounts may look at
// it; to make WeChat do something takes more. The secrets that it knows are nobody's.
func (a *API) simulated(w http.ResponseWriter, r *http.Request) {
	c, err := a.caller(r)
	if err == nil {
		needed := access.ReadAuthorizers
		if r.Method != http.MethodGet {
			needed = access.WriteAuthorizers
		}
		err = c.allowed(needed)
	}
	switch {
	case err != nil:
	case c.bound():
		err = tooNarrow
	case strings.HasPrefix(r.URL.Path, simulatorPath+"secrets"):
		err = problem.NoSuchRoute
	}
	if err != nil {
		a.fail(w, r, err)
		return
	}
	w.Header()["Cache-Control"] = noStore
	http.StripPrefix(strings.TrimSuffix(simulatorPath, "/"), a.cfg.Simulator).ServeHTTP(w, r)
}
