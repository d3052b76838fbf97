package simulator_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"strings"

	"github.com/tuoguan/tuoguan/simulator"
)

// A client calls the platform through the simulator's transport, whatever host
// its URLs name.
func Example() {
	faults, err := simulator.Preset(simulator.PresetOff)
	if err != nil {
		log.Fatal(err)
	}
	sim, err := simulator.New(simulator.Config{Seed: 1, Faults: &faults})
	if err != nil {
		log.Fatal(err)
	}
	defer sim.Close()

	client := &http.Client{Transport: sim.RoundTripper()}
	reply, err := client.Post("https://api.weixin.qq.com/cgi-bin/component/api_create_preauthcode", "application/json", strings.NewReader("{}"))
	if err != nil {
		log.Fatal(err)
	}
	defer reply.Body.Close()
	body, err := io.ReadAll(reply.Body)
	if err != nil {
		log.Fatal(err)
	}
	text, _, _ := strings.Cut(string(body), " rid: ")
	fmt.Println(reply.StatusCode, text)
	// Output: 200 {"errcode":41001,"errmsg":"access_token missing
}
