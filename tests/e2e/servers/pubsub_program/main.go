// Serves Pub/Sub from memory at the address that it is given, until it is told to stop.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"cloud.google.com/go/pubsub/pstest"
)

func main() {
	server := pstest.NewServerWithAddress(os.Args[1])
	defer server.Close()
	fmt.Println("serving", server.Addr)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	<-stop
}
