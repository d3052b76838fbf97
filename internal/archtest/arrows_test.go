package archtest

import (
	"slices"
	"strings"
	"testing"
)

// arrow says what the packages of one directory may import besides the standard
// library: packages of this module, and modules from elsewhere. A line may stand
// here before its package does; a package without a line is an error.
type arrow struct {
	from    string   // path below the module; "" is the root
	to      []string // packages of this module, likewise
	outside []string // import path prefixes of other modules
	why     string   // printed with every edge that is missing from to and outside
}

const root = ""

var arrows = []arrow{
	{from: root,
		why: "the root is vocabulary: nobody may inherit a dependency by naming an AppID"},
	{from: "wxcrypt",
		why: "wxcrypt is the codec that others may want alone: standard library only, not even the root"},
	{from: "wxapi", to: []string{root, "internal/awake"},
		why: "wxapi is WeChat's API and nothing of ours: whoever keeps the tokens comes in by TokenSource"},
	{from: "push", to: []string{root, "wxcrypt"},
		why: "push hands over by Sink and never calls the platform before it has answered"},
	{from: "store", to: []string{root},
		why: "store is a contract: implementations and users both point at it, it points at neither"},
	{from: "store/storetest", to: []string{root, "store"},
		why: "one suite judges every store by the contract alone"},
	{from: "store/memory", to: []string{root, "store"},
		why: "a store knows the contract and its own engine"},
	{from: "store/sqlite", to: []string{root, "store", "internal/sqlkit", "internal/sqlstore"}, outside: []string{"modernc.org/sqlite"},
		why: "a driver is imported by its own store and by nobody else"},
	{from: "store/postgres", to: []string{root, "store", "internal/sqlkit", "internal/sqlpool", "internal/sqlstore"}, outside: []string{"github.com/jackc/pgx/v5"},
		why: "a driver is imported by its own store and by nobody else"},
	{from: "store/mysql", to: []string{root, "store", "internal/sqlkit", "internal/sqlpool", "internal/sqlstore"}, outside: []string{"github.com/go-sql-driver/mysql"},
		why: "a driver is imported by its own store and by nobody else"},
	{from: "keeper", to: []string{root, "wxapi", "push", "store", "wxcrypt", "internal/awake", "internal/event", "internal/failpoint"}, outside: []string{"golang.org/x/sync"},
		why: "keeper works on any store and on any platform, the real one or the simulated"},
	{from: "simulator", to: []string{root, "wxcrypt"}, outside: []string{"github.com/boombuler/barcode"},
		why: "the simulator is written from WeChat's documentation; sharing wire structs or tables with the client would hide the client's mistakes"},
	{from: "simulator/simtest", to: []string{"simulator"},
		why: "helpers over the simulator serve tests of any client, ours among others"},

	{from: "client", to: []string{root},
		why: "client is for other people's programs: the standard library and our words, nothing of the server"},

	{from: "internal/sqlkit",
		why: "what the SQL stores share works on database/sql alone and knows neither a driver nor our records"},
	{from: "internal/sqlstore", to: []string{root, "store", "internal/sqlkit"},
		why: "the contract on SQL is written once; it knows engines and statements by their seams and no driver"},
	{from: "internal/sqlpool", to: []string{"store", "internal/sqlstore"},
		why: "the pool runs transactions on database/sql; the driver and what it means by its errors are given to it"},
	{from: "internal/services",
		why: "servers for tests and for the proof are started as programs, so it needs no driver and none of our code"},
	{from: "internal/sqlpool/pooltest", to: []string{root, "store", "internal/sqlkit", "internal/sqlpool", "internal/services", "internal/services/servicetest", "internal/sqlstore"},
		why: "what a pool owes its stores when the network fails is judged once, for every driver"},
	{from: "internal/proof/history",
		why: "a history is events, whoever wrote them"},
	{from: "internal/proof/checker", to: []string{"internal/proof/history"},
		why: "the checker judges a history alone; it must not trust what it judges"},
	{from: "internal/proof", to: []string{
		"wxcrypt",
		"store", "simulator", "internal/proof/history", "internal/proof/checker",
		"internal/config", "internal/failpoint", "internal/powercut", "internal/services", "internal/storage",
	},
		why: "the proof drives the server's binary from outside; it opens the storage only once no server runs"},
	{from: "internal/proof/planted", to: []string{"simulator", "internal/proof", "internal/proof/checker"},
		why: "planted bugs are texts; what has to find them is tests, or rounds of the proof"},
	{from: "cmd/tuoguan-proof", to: []string{"internal/proof"}, outside: []string{"github.com/spf13/cobra"},
		why: "main is flags and exit codes"},
	{from: "internal/services/servicetest", to: []string{"internal/services"},
		why: "it gives servers to tests, and decides when their absence is a failure"},
	{from: "internal/seal", to: []string{root, "store", "internal/failpoint"},
		why: "encryption at rest is a change of constructor: it knows the seam in store and nothing that uses it"},
	{from: "internal/seal/kmstest", to: []string{"internal/seal"},
		why: "a key service for tests knows the seam that an adapter for a real one would know"},
	{from: "internal/powercut",
		why: "it takes the power from a disk and does not care whose files are on it"},
	{from: "internal/spill", to: []string{root, "store", "keeper"},
		why: "the spill file keeps the keeper's answers while there is no store: it must not need one"},
	{from: "internal/page",
		why: "pages are rendered from what they are given, for merchants and for operators alike"},
	{from: "internal/config", to: []string{root}, outside: []string{"github.com/knadh/koanf"},
		why: "configuration is data; what is built from it is built in internal/server"},
	{from: "internal/obs", outside: []string{"github.com/prometheus/client_golang"},
		why: "logs, metrics and health know nothing of what they observe; internal/server feeds them"},
	{from: "internal/authorize", to: []string{root, "keeper", "store", "wxapi", "internal/page"},
		outside: []string{"golang.org/x/time"},
		why:     "the pages a merchant sees stand on the keeper; they know no other face of the server"},
	{from: "internal/oauth", to: []string{root, "store", "wxapi", "internal/page"}, outside: []string{"golang.org/x/time"},
		why: "the relay stands between a browser and WeChat; which authorizations stand is told to it"},
	{from: "internal/gateway", to: []string{root, "store", "wxapi", "internal/access", "internal/gateway/catalogue", "internal/problem"},
		why: "the gateway passes calls on; who keeps the tokens comes in by TokenSource, as for any client"},
	{from: "api/wechat",
		why: "it is facts in files; whoever wants them imports it"},
	{from: "internal/gateway/catalogue", to: []string{"api/wechat"}, outside: []string{"go.yaml.in/yaml/v3"},
		why: "the catalogue is facts, and needs nobody else to state them"},
	{from: "internal/gateway/sdktest",
		why: "it is tests alone, of libraries from elsewhere against the gateway"},
	{from: "internal/releasecheck", to: []string{root, "keeper", "push", "wxapi", "store"},
		why: "the answers of the release check stand before the keeper as a Sink"},
	{from: "internal/awake",
		why: "how time is counted knows nothing of what it is counted for"},
	{from: "internal/failpoint",
		why: "a mark knows nothing of what it marks"},
	{from: "internal/jobs", to: []string{root},
		why: "a job is any long work; what it does is its own"},
	{from: "internal/problem", to: []string{"internal/access", "keeper", "store", "wxapi"},
		why: "problems are made of the sentinels of what may fail; who answers with them is not their business"},
	{from: "internal/access", to: []string{root, "store"}, outside: []string{"golang.org/x/time"},
		why: "who calls is decided by records alone, whatever the listener"},
	{from: "internal/audit", to: []string{root, "store"},
		why: "the audit log knows no more of what it records than the words it is given"},
	{from: "internal/event", to: []string{root, "push", "store"},
		why: "what subscribers are told is made of what was stored; how it travels is not its business"},
	{from: "internal/egress",
		why: "which addresses may be called is decided at the dial, for whoever calls"},
	{from: "internal/subscription", to: []string{root, "push", "store", "internal/event", "internal/sink"},
		why: "a subscription is data and whether it matches; delivering is done by who reads it"},
	{from: "internal/sink", to: []string{"store"},
		why: "the seam knows neither webhooks nor brokers"},
	{from: "internal/sink/sinktest", to: []string{root, "store", "internal/event", "internal/sink"},
		why: "one suite judges every sink by the seam alone"},
	{from: "internal/sink/webhook", to: []string{root, "wxcrypt", "internal/egress", "internal/event", "internal/sink", "internal/subscription"},
		outside: []string{"github.com/standard-webhooks/standard-webhooks"},
		why:     "a webhook is HTTP and signatures; when it is called is decided before it"},
	{from: "internal/sink/broker", to: []string{"store", "internal/event", "internal/sink", "internal/subscription"},
		why: "what brokers have in common is how they are reached and what is published, whatever their protocol"},
	{from: "internal/sink/natssink", to: []string{"internal/sink", "internal/sink/broker", "internal/subscription"}, outside: []string{"github.com/nats-io/nats.go"},
		why: "a broker's driver is imported by its own sink and by nobody else"},
	{from: "internal/sink/kafkasink", to: []string{"internal/sink", "internal/sink/broker", "internal/subscription"}, outside: []string{"github.com/twmb/franz-go"},
		why: "a broker's driver is imported by its own sink and by nobody else"},
	{from: "internal/sink/rabbitsink", to: []string{"internal/sink", "internal/sink/broker", "internal/subscription"}, outside: []string{"github.com/rabbitmq/amqp091-go"},
		why: "a broker's driver is imported by its own sink and by nobody else"},
	{from: "internal/sink/redissink", to: []string{"internal/sink", "internal/sink/broker", "internal/subscription"}, outside: []string{"github.com/redis/go-redis/v9"},
		why: "a broker's driver is imported by its own sink and by nobody else"},
	{from: "internal/delivery", to: []string{root, "store", "internal/event", "internal/failpoint", "internal/sink", "internal/subscription"},
		why: "delivery moves rows to sinks; which sinks there are is given to it"},
	{from: "internal/operator", to: []string{root, "store", "internal/access"},
		outside: []string{"golang.org/x/crypto", "golang.org/x/oauth2", "github.com/coreos/go-oidc/v3", "github.com/pquerna/otp"},
		why:     "who signs in, and how, is decided without knowing of HTTP routes"},
	{from: "internal/doctor", to: []string{root, "store", "wxapi", "internal/config", "internal/obs", "internal/storage"},
		why: "it looks at an installation, beside the server or inside it, and changes nothing"},
	{from: "internal/insight", to: []string{root},
		why: "it counts what it is told of, whoever tells"},
	{from: "internal/timeline", to: []string{root, "keeper", "store"},
		why: "it writes down what a keeper says of itself, behind it"},
	{from: "internal/console",
		why: "the console is files; whatever it does goes through the API"},
	{from: "internal/admin", to: []string{
		root, "keeper", "store", "wxapi", "internal/access", "internal/audit", "internal/authorize", "internal/config", "internal/gateway", "internal/jobs",
		"internal/oauth", "internal/obs", "internal/page", "internal/problem", "internal/delivery", "internal/event", "internal/sink", "internal/subscription",
		"internal/doctor", "internal/gateway/catalogue", "internal/insight", "internal/operator",
	}, outside: []string{"github.com/danielgtaylor/huma/v2", "golang.org/x/sync"},
		why: "REST handlers translate between HTTP and the keeper; they build nothing"},
	{from: "internal/server", to: []string{
		root, "wxapi", "push", "store", "store/sqlite", "keeper",
		"internal/seal", "internal/spill", "internal/storage", "internal/failpoint", "internal/jobs",
		"internal/config", "internal/obs", "internal/authorize", "internal/releasecheck", "internal/admin",
		"internal/access", "internal/audit", "internal/gateway", "internal/oauth",
		"internal/delivery", "internal/egress", "internal/event", "internal/sink", "internal/sink/broker", "internal/sink/webhook", "internal/sink/natssink",
		"internal/sink/kafkasink", "internal/sink/rabbitsink", "internal/sink/redissink", "internal/subscription",
		"internal/console", "internal/doctor", "internal/insight", "internal/operator", "internal/timeline",
	}, outside: []string{"golang.org/x/sync"},
		why: "the server is the one place that builds everything, for production: the simulator has no business in it"},
	{from: "internal/demo", to: []string{root, "simulator", "internal/server", "internal/config", "internal/obs"},
		outside: []string{"github.com/spf13/cobra", "github.com/standard-webhooks/standard-webhooks", "golang.org/x/sync"},
		why:     "the demo is the one place where server and simulator meet"},
	{from: "internal/backup", to: []string{"store", "internal/seal"},
		why: "a backup is records of any store under any master key; it opens neither"},
	{from: "internal/storage", to: []string{
		root, "store", "store/sqlite", "store/postgres", "store/mysql", "keeper", "internal/backup", "internal/config", "internal/seal",
	}, outside: []string{"golang.org/x/sys"},
		why: "it is the one place that chooses a database; what that is then used for is not its business"},
	{from: "internal/cli", to: []string{
		root, "client", "internal/server", "internal/audit", "internal/doctor", "internal/backup", "internal/config", "internal/obs", "internal/seal", "internal/storage",
	}, outside: []string{"github.com/spf13/cobra", "go.yaml.in/yaml/v3"},
		why: "commands translate between a shell and the server, and the doctor opens the storage where no server runs; the demo is added in cmd/tuoguan"},
	{from: "internal/archtest",
		why: "it reads the tree and must hold whatever the tree is"},

	{from: "cmd/tuoguan", to: []string{"internal/cli", "internal/demo"},
		why: "main is signals and exit codes"},
	{from: "cmd/wxsim", to: []string{"simulator"}, outside: []string{"github.com/spf13/cobra", "go.yaml.in/yaml/v3"},
		why: "wxsim is the simulator alone"},
}

// barriers are edges that may not exist by any detour either.
var barriers = []struct {
	from, to, why string
}{
	{"simulator", "wxapi", "a simulator that shares the client's structs agrees with the client's mistakes"},
	{"simulator", "push", "the simulator builds pushes from the documentation, not with the parser under test"},
	{"simulator", "keeper", "the simulator is WeChat's side"},
	{"simulator", "store", "the simulator is WeChat's side"},
	{"internal/server", "simulator", "production must not carry a way to pretend to be WeChat"},
	{"internal/cli", "simulator", "only the demo plays WeChat, and cmd/tuoguan adds it"},
	{"internal/admin", "simulator", "production must not carry a way to pretend to be WeChat"},
	{"keeper", "store/sqlite", "the keeper must hold on every store"},
	{"keeper", "store/memory", "the keeper must hold on every store"},
	{"cmd/wxsim", "store/sqlite", "wxsim is small and needs no database"},
	{"cmd/wxsim", "keeper", "wxsim is WeChat's side"},
}

// assertionLibraries may be imported by tests and by packages named …test only.
var assertionLibraries = []string{
	"testing",
	"github.com/google/go-cmp",
	"github.com/rogpeppe/go-internal",
	"go.uber.org/goleak",
	"pgregory.net/rapid",
}

func TestArrows(t *testing.T) {
	t.Parallel()
	for _, p := range tree(t) {
		i := slices.IndexFunc(arrows, func(a arrow) bool { return a.from == p.path })
		if i < 0 {
			t.Errorf("package %q has no line in arrows: say what it may import, and why", p.path)
			continue
		}
		for _, imported := range p.imports {
			if path, ours := local(imported); ours {
				if !slices.Contains(arrows[i].to, path) {
					t.Errorf("%q imports %q, which is not its to import: %s", p.path, path, arrows[i].why)
				}
				continue
			}
			if standard(imported) || isTest(p.path) && hasPrefix(assertionLibraries, imported) {
				continue
			}
			if !hasPrefix(arrows[i].outside, imported) {
				t.Errorf("%q imports %s, which is not in its budget: %s", p.path, imported, arrows[i].why)
			}
		}
		for _, path := range arrows[i].to {
			if !slices.Contains(p.imports, strings.TrimSuffix(module+"/"+path, "/")) {
				t.Errorf("%q does not import %q any more: strike it from its line", p.path, path)
			}
		}
		for _, prefix := range arrows[i].outside {
			if !slices.ContainsFunc(p.imports, func(imported string) bool { return hasPrefix([]string{prefix}, imported) }) {
				t.Errorf("%q does not import %s any more: strike it from its line", p.path, prefix)
			}
		}
	}
}

func TestBarriers(t *testing.T) {
	t.Parallel()
	packages := make(map[string]*pkg)
	for _, p := range tree(t) {
		packages[p.path] = p
	}
	for _, b := range barriers {
		if chain := route(packages, b.from, b.to, nil); chain != nil {
			t.Errorf("%s: %s", strings.Join(chain, " → "), b.why)
		}
	}
}

// route returns the imports that lead from one package to another, or nil.
func route(packages map[string]*pkg, from, to string, seen []string) []string {
	p := packages[from]
	if p == nil || slices.Contains(seen, from) {
		return nil
	}
	if from == to {
		return append(slices.Clone(seen), to)
	}
	for _, imported := range p.imports {
		if path, ours := local(imported); ours {
			if chain := route(packages, path, to, append(slices.Clone(seen), from)); chain != nil {
				return chain
			}
		}
	}
	return nil
}

func TestNoTestingInProduction(t *testing.T) {
	t.Parallel()
	for _, p := range tree(t) {
		for _, imported := range p.imports {
			if !isTest(p.path) && hasPrefix(assertionLibraries, imported) {
				t.Errorf("%q imports %s: it would be linked into what operators run; helpers live in packages named …test", p.path, imported)
			}
		}
	}
}

func isTest(path string) bool { return strings.HasSuffix(path, "test") }

func hasPrefix(prefixes []string, imported string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool {
		return imported == p || strings.HasPrefix(imported, p+"/")
	})
}
