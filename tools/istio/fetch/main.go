// Fetches a Wasm module from a registry by the code of Istio's proxy agent, and prints the path of the module.
//
//	istio-fetch oci://127.0.0.1:5000/pushring-filter:0.2.0 FOLDER [SHA256-OF-THE-MANIFEST]
package main

import (
	"fmt"
	"os"
	"time"

	"istio.io/istio/pkg/wasm"
)

func main() {
	if len(os.Args) < 3 {
		fail("usage: istio-fetch URL FOLDER [CHECKSUM]")
	}
	options := wasm.GetOptions{ResourceName: "istio-fetch", RequestTimeout: 30 * time.Second}
	if len(os.Args) > 3 {
		options.Checksum = os.Args[3]
	}
	path, err := wasm.NewLocalFileCache(os.Args[2], wasm.Options{}).Get(os.Args[1], options)
	if err != nil {
		fail(err)
	}
	fmt.Println(path)
}

func fail(reason any) {
	fmt.Fprintln(os.Stderr, "istio-fetch:", reason)
	os.Exit(1)
}
