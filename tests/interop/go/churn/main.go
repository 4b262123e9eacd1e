// churn COUNT TOPIC MULTIADDR: as many go-libp2p nodes, one after the other, connect to MULTIADDR, take part in the
// topic's mesh and go: in turn politely, with open streams, and by closing the socket. Prints one JSON line for each
// and fails at the first that does not get so far.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/libp2p/go-libp2p"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
)

func main() {
	if len(os.Args) != 4 {
		fail(fmt.Errorf("usage: churn COUNT TOPIC MULTIADDR"))
	}
	count, err := strconv.Atoi(os.Args[1])
	fail(err)
	target, err := peer.AddrInfoFromString(os.Args[3])
	fail(err)
	for i := range count {
		started := time.Now()
		fail(visit(i, os.Args[2], *target))
		fail(json.NewEncoder(os.Stdout).Encode(map[string]any{"visit": i, "ms": time.Since(started).Milliseconds()}))
	}
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "churn:", err)
		os.Exit(1)
	}
}

func visit(i int, topicName string, target peer.AddrInfo) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	host, err := libp2p.New(libp2p.NoListenAddrs, libp2p.Transport(tcp.NewTCPTransport), libp2p.Security(noise.ID, noise.New),
		libp2p.Muxer(yamux.ID, yamux.DefaultTransport), libp2p.DisableRelay())
	if err != nil {
		return err
	}
	defer host.Close()
	gossip, err := pubsub.NewGossipSub(ctx, host, pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign), pubsub.WithNoAuthor())
	if err != nil {
		return err
	}
	topic, err := gossip.Join(topicName)
	if err != nil {
		return err
	}
	if _, err := topic.Subscribe(); err != nil {
		return err
	}
	if err := host.Connect(ctx, target); err != nil {
		return fmt.Errorf("visit %d: connect: %w", i, err)
	}
	for len(topic.ListPeers()) == 0 {
		select {
		case <-ctx.Done():
			return fmt.Errorf("visit %d: the peer never subscribed to %s", i, topicName)
		case <-time.After(5 * time.Millisecond):
		}
	}
	if r := <-ping.Ping(ctx, host, target.ID); r.Error != nil {
		return fmt.Errorf("visit %d: ping: %w", i, r.Error)
	}
	switch i % 3 {
	case 0: // everything is closed in order
		return nil
	case 1: // streams that nobody ends
		for range 8 {
			if _, err := host.NewStream(network.WithNoDial(ctx, "churn"), target.ID, ping.ID); err != nil {
				break // it may bound them
			}
		}
	}
	return host.Network().ClosePeer(target.ID)
}
