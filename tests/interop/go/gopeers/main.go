// Peers that speak go-libp2p, for a block topic of the node at MULTIADDR. Each prints one JSON line.
//
//	go-peers churn COUNT TOPIC MULTIADDR   one after the other connects, takes part in the mesh and goes: in turn politely, with open
//	                                       streams, and by closing the socket; fails at the first that does not get so far
//	go-peers hold COUNT TOPIC MULTIADDR    all connect and stay until the program is ended
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/libp2p/go-libp2p"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
)

func main() {
	if len(os.Args) != 5 || (os.Args[1] != "churn" && os.Args[1] != "hold") {
		fail(fmt.Errorf("usage: go-peers churn|hold COUNT TOPIC MULTIADDR"))
	}
	count, err := strconv.Atoi(os.Args[2])
	fail(err)
	target, err := peer.AddrInfoFromString(os.Args[4])
	fail(err)
	for i := range count {
		started := time.Now()
		host, err := join(os.Args[3], *target)
		if err == nil && os.Args[1] == "churn" {
			err = leave(i, host, target.ID)
		}
		if err != nil {
			fail(fmt.Errorf("peer %d: %w", i, err))
		}
		fail(json.NewEncoder(os.Stdout).Encode(map[string]any{"peer": i, "ms": time.Since(started).Milliseconds()}))
	}
	if os.Args[1] == "hold" {
		select {}
	}
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "churn:", err)
		os.Exit(1)
	}
}

// go-libp2p asks who a peer is once for each connection, and never again when that had no answer.
const identifyTime = time.Minute

var errUnknown = errors.New("the peer's subscription never came")

func join(topicName string, target peer.AddrInfo) (host.Host, error) {
	for try := 0; ; try++ {
		node, err := joinOnce(topicName, target)
		if !errors.Is(err, errUnknown) || try == 3 {
			return node, err
		}
		fmt.Fprintln(os.Stderr, "once more:", err)
	}
}

// join returns once the target has subscribed to the topic for us, too.
func joinOnce(topicName string, target peer.AddrInfo) (host.Host, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	node, err := libp2p.New(libp2p.NoListenAddrs, libp2p.Transport(tcp.NewTCPTransport), libp2p.Security(noise.ID, noise.New),
		libp2p.Muxer(yamux.ID, yamux.DefaultTransport), libp2p.DisableRelay())
	if err != nil {
		return nil, err
	}
	gossip, err := pubsub.NewGossipSub(context.Background(), node, pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign), pubsub.WithNoAuthor())
	if err != nil {
		return nil, err
	}
	topic, err := gossip.Join(topicName)
	if err != nil {
		return nil, err
	}
	subscription, err := topic.Subscribe()
	if err != nil {
		return nil, err
	}
	go func() { // what nobody reads would be dropped with a warning
		for {
			if _, err := subscription.Next(context.Background()); err != nil {
				return
			}
		}
	}()
	if err := node.Connect(ctx, target); err != nil {
		return nil, err
	}
	known, stop := context.WithTimeout(ctx, identifyTime)
	defer stop()
	for len(topic.ListPeers()) == 0 {
		select {
		case <-known.Done():
			node.Close()
			return nil, errUnknown
		case <-time.After(5 * time.Millisecond):
		}
	}
	if r := <-ping.Ping(ctx, node, target.ID); r.Error != nil {
		return nil, r.Error
	}
	return node, nil
}

func leave(i int, node host.Host, target peer.ID) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	switch i % 3 {
	case 0: // everything is closed in order
		return node.Close()
	case 1: // streams that nobody ends
		for range 8 {
			if _, err := node.NewStream(network.WithNoDial(ctx, "leave"), target, ping.ID); err != nil {
				break // it may bound them
			}
		}
	}
	if err := node.Network().ClosePeer(target); err != nil {
		return err
	}
	return node.Close()
}
