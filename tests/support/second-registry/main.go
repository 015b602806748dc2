// A registry that is not distribution's: the one of go-containerregistry, in memory, with the referrers API.
//
//	second-registry 127.0.0.1:0
//
// Built by scripts/install-test-tools from Debian's packages golang-go and golang-github-google-go-containerregistry-dev.
package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"

	"github.com/google/go-containerregistry/pkg/registry"
)

func main() {
	listener, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("listening on", listener.Addr())
	quiet := registry.Logger(log.New(io.Discard, "", 0))
	log.Fatal(http.Serve(listener, registry.New(registry.WithReferrersSupport(true), quiet)))
}
