// js-libp2p as peers of a block topic. Arguments: how many nodes, the topic, then multiaddrs that each of them dials. Writes one
// JSON line for each node's address, each message and each connection that ended ({node, address}, {node, bytes, sha256} and {node, left}).
import { createHash } from 'node:crypto'

// Node 20 has no Promise.withResolvers, which js-libp2p 3 uses.
Promise.withResolvers ??= function () {
  let resolve, reject
  const promise = new Promise((a, b) => { resolve = a; reject = b })
  return { promise, resolve, reject }
}

const { createLibp2p } = await import('libp2p')
const { tcp } = await import('@libp2p/tcp')
const { noise } = await import('@libp2p/noise')
const { yamux } = await import('@libp2p/yamux')
const { identify } = await import('@libp2p/identify')
const { ping } = await import('@libp2p/ping')
const { gossipsub } = await import('@libp2p/gossipsub')
const { generateKeyPair } = await import('@libp2p/crypto/keys')
const { multiaddr } = await import('@multiformats/multiaddr')

const [count, topic, ...peers] = process.argv.slice(2)
const say = (o) => process.stdout.write(JSON.stringify(o) + '\n')

// Snappy's block format; null if it is not that.
function decompress (data) {
  let at = 0, length = 0
  for (let shift = 0; ; shift += 7) {
    length += (data[at] & 0x7f) * 2 ** shift
    if (data[at++] < 0x80) break
  }
  if (length > 10 << 20) return null
  const out = new Uint8Array(length)
  let to = 0
  while (at < data.length) {
    const tag = data[at++]
    let n = tag >> 2
    if ((tag & 3) === 0) {
      if (n >= 60) {
        const size = n - 59
        n = 0
        for (let i = 0; i < size; ++i) n += data[at++] * 2 ** (8 * i)
      }
      ++n
      out.set(data.subarray(at, at + n), to)
      at += n
    } else {
      let back
      if ((tag & 3) === 1) {
        n = ((tag >> 2) & 7) + 4
        back = ((tag >> 5) << 8) | data[at++]
      } else {
        const size = (tag & 3) === 2 ? 2 : 4
        n += 1
        back = 0
        for (let i = 0; i < size; ++i) back += data[at++] * 2 ** (8 * i)
      }
      if (back === 0 || back > to) return null
      for (let i = 0; i < n; ++i) out[to + i] = out[to + i - back]
    }
    to += n
  }
  return to === length ? out : null
}

// The message id of OP Stack nodes.
function msgIdFn (m) {
  const body = decompress(m.data)
  const head = Buffer.alloc(12)
  head[0] = body === null ? 0 : 1
  head.writeUInt32LE(m.topic.length, 4)
  return createHash('sha256').update(head).update(m.topic).update(body ?? m.data).digest().subarray(0, 20)
}

for (let node = 0; node < Number(count); ++node) {
  const libp2p = await createLibp2p({
    privateKey: await generateKeyPair('secp256k1'),
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    // Of a busy machine, too: a ping that is late ends no connection.
    connectionMonitor: { enabled: false },
    connectionManager: { dialTimeout: 600_000, inboundUpgradeTimeout: 600_000 },
    services: {
      identify: identify(),
      ping: ping(),
      pubsub: gossipsub({
        globalSignaturePolicy: 'StrictNoSign', emitSelf: false, allowPublishToZeroTopicPeers: true, msgIdFn,
        D: 8, Dlo: 6, Dhi: 12, Dlazy: 6, heartbeatInterval: 500, maxInboundDataLength: 10 << 20
      })
    }
  })
  libp2p.services.pubsub.addEventListener('gossipsub:message', (e) => {
    const data = e.detail.msg.data
    say({ node, bytes: data.length, sha256: createHash('sha256').update(data).digest('hex') })
  })
  libp2p.addEventListener('peer:disconnect', (e) => say({ node, left: e.detail.toString() }))
  libp2p.services.pubsub.subscribe(topic)
  for (const p of peers) await libp2p.dial(multiaddr(p))
  say({ node, address: libp2p.getMultiaddrs()[0].toString() })
}
