// A peer made of hashicorp/memberlist and nothing else, for `./run bench control` to measure beside
// weft. It has memberlist's own settings for a local network, joins the peers it is told of as an
// agent would, trying until one answers, and says on a Unix socket what it knows:
//
//	GET  /members   how many members it takes for alive, itself included
//	GET  /meta      one line for each member: what it publishes
//	POST /meta      publishes the body
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
)

// How long joining waits before it tries again; the peers of a simultaneous start are not there yet.
const joinRetry = 200 * time.Millisecond

// What this member publishes about itself; memberlist asks for the other parts and gets nothing.
type delegate struct{ meta atomic.Value }

func (d *delegate) NodeMeta(limit int) []byte       { return d.meta.Load().([]byte) }
func (d *delegate) NotifyMsg([]byte)                {}
func (d *delegate) GetBroadcasts(int, int) [][]byte { return nil }
func (d *delegate) LocalState(join bool) []byte     { return nil }
func (d *delegate) MergeRemoteState([]byte, bool)   {}

func serve(list *memberlist.Memberlist, published *delegate, socket string) error {
	http.HandleFunc("/members", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, list.NumMembers())
	})
	http.HandleFunc("/meta", func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			body, err := io.ReadAll(io.LimitReader(r.Body, memberlist.MetaMaxSize))
			if err == nil {
				published.meta.Store(body)
				err = list.UpdateNode(10 * time.Second)
			}
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
			}
			return
		}
		for _, member := range list.Members() {
			fmt.Fprintf(w, "%s\n", member.Meta)
		}
	})
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	return http.Serve(listener, nil)
}

func join(list *memberlist.Memberlist, peers []string) {
	for {
		if _, err := list.Join(peers); err == nil {
			return
		}
		time.Sleep(joinRetry)
	}
}

func main() {
	name := flag.String("name", "", "name of this member")
	address := flag.String("address", "", "address to listen on and to be reached at")
	socket := flag.String("socket", "", "Unix socket to answer on")
	flag.Parse()

	published := &delegate{}
	published.meta.Store([]byte{})
	config := memberlist.DefaultLANConfig()
	config.Name = *name
	config.BindAddr = *address
	config.AdvertiseAddr = *address
	config.Delegate = published
	config.LogOutput = io.Discard
	list, err := memberlist.Create(config)
	if err != nil {
		log.Fatal(err)
	}
	if flag.NArg() > 0 {
		go join(list, flag.Args())
	}
	log.Fatal(serve(list, published, *socket))
}
