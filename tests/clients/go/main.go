// Pushes groups with client_golang, as a Go job does.
//
// Usage: push-go <url of the gateway> <metric name>, with the groups as JSON on standard input:
// [{"job": "a", "labels": [["instance", "x"]]}, …]. Ends with 1 at the first push that fails.
package main

import (
	"encoding/json"
	"log"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/push"
)

type group struct {
	Job    string      `json:"job"`
	Labels [][2]string `json:"labels"`
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 3 {
		log.Fatal("usage: push-go <url> <metric>, groups as JSON on standard input")
	}
	var groups []group
	if err := json.NewDecoder(os.Stdin).Decode(&groups); err != nil {
		log.Fatal("groups: ", err)
	}
	gauge := prometheus.NewGauge(prometheus.GaugeOpts{Name: os.Args[2], Help: "Pushed by client_golang."})
	gauge.Set(1)
	for _, group := range groups {
		pusher := push.New(os.Args[1], group.Job).Collector(gauge)
		for _, label := range group.Labels {
			pusher = pusher.Grouping(label[0], label[1])
		}
		if err := pusher.Add(); err != nil {
			log.Fatalf("%v: %v", group, err)
		}
	}
}
