"""How real endpoints answer, and how Towline must react: one row each. page.py generates docs/endpoints.md from this table."""
import re
from dataclasses import dataclass
from pathlib import Path

import layers as x

FOLLOWS, FOLLOWS_SLOWER, NAMES_IT, ASIDE = "FOLLOWS", "FOLLOWS_SLOWER", "NAMES_IT", "ASIDE"

# The advice for each reason code, from docs/errors.md; a test compares that page with the programs.
ADVICE = dict(re.findall(r"^\| `(source_\w+)` \| .* \| (.*) \|$", (Path(__file__).resolve().parents[2] / "docs/errors.md").read_text(), re.M))


@dataclass(frozen=True)
class Dialect:
    """How an endpoint answers: its layers, asked in order, and the node below them."""
    layers: tuple = ()
    kind: str = "el"  # el, cl, both
    raw_transactions: bool = False
    # Its address and the form of its URL.
    host: str = "127.0.0.1"
    path: str = ""
    userinfo: str = ""
    tls: str = ""  # named: the endpoints file names the CA; unknown: it does not
    websocket: bool = False
    refuses: bool = False  # nothing listens
    url: str = ""          # another URL instead of the gateway's


@dataclass(frozen=True)
class Row:
    name: str
    must: str
    endpoint: str
    who: str
    dialect: Dialect
    then: tuple = ()     # names of the endpoints after it
    codes: tuple = ()    # reason codes that are right; the first is the usual one
    text: str = ""       # a part of the reason that says what only this endpoint can say
    lag: int = 0         # blocks that the endpoint is behind by nature
    labels: bool = True  # safe and finalized can be known; else `labels_unset` is said, and nothing says ready
    asks: tuple = ()     # methods that must be called at least five times
    first_s: int = 0     # seconds after the first request at which the special behaviour begins
    unknown_type: bool = False  # the chain has transactions of an unknown type
    do: str = ""         # advice for the operator, if the reason code has none


@dataclass(frozen=True)
class Section:
    title: str
    rows: tuple
    do: str = "nothing"  # advice for the operator, if the row has none


def el(*layers, **more):
    """An execution client without debug_*."""
    return Dialect((*layers, x.Deny("debug_*")), **more)


def cl(*layers, **more):
    return Dialect(layers, kind="cl", **more)


_PRUNED = x.Pruned(100, 4444, "pruned history unavailable")

SECTIONS = (
    Section("Baselines", (
        Row("plain", FOLLOWS, "all is passed but debug_*: -32601 over HTTP 200", "op-geth, op-reth without debug_*", el()),
        Row("plain-debug", FOLLOWS, "all is passed", "an own op-geth or op-reth with debug_*", Dialect()),
    )),
    Section("Unknown methods, and what is behind a URL", (
        Row("proxyd-el", FOLLOWS, "debug_*, optimism_*: HTTP 403 with -32601 for a single call",
            "ethereum-optimism/infra proxyd/backend.go ErrMethodNotWhitelisted: mainnet.optimism.io, mainnet.base.org, X Layer",
            Dialect((x.Deny("debug_*", "optimism_*", message="rpc method is not whitelisted", status=403),))),
        Row("drpc-method", FOLLOWS, "debug_*: HTTP 400 with -32601", "dRPC",
            Dialect((x.Deny("debug_*", message="the method {} does not exist/is not available", status=400),))),
        Row("method-405", FOLLOWS, "debug_*: HTTP 405 and a text", "erpc/erpc architecture/evm/error_normalizer.go: 405 and 415 mean unsupported",
            Dialect((x.Deny("debug_*", status=405, body="Method Not Allowed\n"),))),
        Row("alchemy-plan", FOLLOWS, "debug_*: HTTP 200 with -32600 «not available on the Free tier»", "Alchemy's free tier",
            Dialect((x.Deny("debug_*", code=-32600, message="{} is not available on the Free tier - upgrade to Pay As You Go, or Enterprise for access."),))),
        Row("op-node", FOLLOWS, "a consensus client; eth_*: -32601", "op-node, kona-node, op-supernode's /<chainID>", cl(), then=("plain",), asks=("optimism_syncStatus",),
            do="add an execution client's URL, too: blocks come from there"),
        Row("proxyd-cl", FOLLOWS, "a consensus client; all but optimism_syncStatus, _outputAtBlock, _rollupConfig: HTTP 403",
            "ethereum-optimism/infra#597, #646 consensus_aware_consensus_layer: OP Labs' supernode pool",
            cl(x.Allow("optimism_syncStatus", "optimism_outputAtBlock", "optimism_rollupConfig", message="rpc method is not whitelisted", status=403)), then=("plain",),
            asks=("optimism_syncStatus",), do="add an execution client's URL, too: blocks come from there"),
        Row("syncstatus-only", FOLLOWS, "a consensus client; all but optimism_syncStatus: HTTP 403", "the same with the smallest list that a follower needs",
            cl(x.Allow("optimism_syncStatus", message="rpc method is not whitelisted", status=403)), then=("plain",), asks=("optimism_syncStatus",),
            do="add an execution client's URL, too: blocks come from there"),
        Row("one-url-both", FOLLOWS, "execution and consensus client behind one URL", "quicknode.com/docs/optimism/optimism_syncStatus: the URL serves eth_* as well",
            Dialect((x.Deny("debug_*"),), kind="both"), asks=("optimism_syncStatus", "eth_getBlockByNumber")),
        Row("cl-starting", FOLLOWS, "optimism_syncStatus is all zero for 15 s", "op-node while it starts or resets (an operator of Shape)",
            cl(x.Result("optimism_syncStatus", {
                **{k: {"hash": "0x" + "0" * 64, "number": 0, "parentHash": "0x" + "0" * 64, "timestamp": 0}
                   for k in ("current_l1", "current_l1_finalized", "head_l1", "safe_l1", "finalized_l1")},
                **{k: {"hash": "0x" + "0" * 64, "number": 0, "parentHash": "0x" + "0" * 64, "timestamp": 0, "l1origin": {"hash": "0x" + "0" * 64, "number": 0}, "sequenceNumber": 0}
                   for k in ("unsafe_l2", "safe_l2", "finalized_l2", "cross_unsafe_l2", "local_safe_l2")}}, until=15)),
            then=("plain",), asks=("optimism_syncStatus",), first_s=15),
    )),
    Section("Limits of a batch", (
        Row("drpc-batch", FOLLOWS_SLOWER, "more than 3 calls: HTTP 500 and an error of code 31 for each", "dRPC, 1RPC: AmbireTech's table, zama-ai/fhevm",
            el(x.BatchLimit(3, x.each(500, 31, "Batch of more than 3 requests are not allowed on free tier")))),
        Row("ronin-batch", FOLLOWS_SLOWER, "more than 3 calls: HTTP 400 and the text", "Ronin: AmbireTech's table, «response 400 with \"too many requests\"»",
            el(x.BatchLimit(3, x.text(400, "too many requests")))),
        Row("geth-batch", FOLLOWS_SLOWER, "more than 40 calls: -32600 for the first, the others are left out", "ethereum/go-ethereum#26681, base-org/node#234",
            el(x.BatchLimit(40, x.first(200, -32600, "batch too large")))),
        Row("proxyd-batch", FOLLOWS_SLOWER, "more than 10 calls: HTTP 413 with one -32014", "ethereum-optimism/infra proxyd ErrTooManyBatchRequests (413 since 2026, 200 before)",
            el(x.BatchLimit(10, x.one(413, -32014, "too many RPC calls in batch request")))),
        Row("nethermind-batch", FOLLOWS_SLOWER, "more than 25 calls: HTTP 503 with one -32005", "Nethermind: «Batch size limit exceeded»",
            el(x.BatchLimit(25, x.one(503, -32005, "Batch size limit exceeded")))),
        Row("jsonrpsee-none", FOLLOWS_SLOWER, "any batch: one -32005", "paritytech/jsonrpsee types/src/error.rs BATCHES_NOT_SUPPORTED_CODE (op-reth's server)",
            el(x.BatchLimit(0, x.one(200, -32005, "Batched requests are not supported by this server")))),
        Row("html-none", FOLLOWS_SLOWER, "any batch: HTTP 500 and an HTML page", "class: gateways without batches (docs.flashbots.net: «not supporting batch»)",
            el(x.BatchLimit(0, x.html(500, "Internal Server Error")))),
        Row("truncated", FOLLOWS_SLOWER, "answers over 100 kB: two thirds, then the connection is closed", "class: a proxy that loses its upstream or its temporary file half-way",
            el(x.Wire("cut", over=100_000))),
    ), do="nothing; a plan with larger batches catches up sooner"),
    Section("Order, ids, and members of answers", (
        Row("unordered", FOLLOWS, "the answers of a batch are shuffled", "alchemy.com/docs batch requests: «in any order»", el(x.Shuffle())),
        Row("id-prefix", FOLLOWS_SLOWER, "each fourth answer of a batch has the id \"gbiid:N\"", "getblock.io: qRoC/getblock.io-bug4004", el(x.BadIds(4, "gbiid:{}"))),
        Row("batch-no-ids", FOLLOWS_SLOWER, "the answers of a batch have no ids", "class: NethermindEth/nethermind#1439", el(x.BadIds(1))),
        Row("duplicates", FOLLOWS_SLOWER, "each fifth answer of a batch comes twice", "class: a gateway that tries again answers twice", el(x.Twice(5))),
        Row("result-and-error", NAMES_IT, "both members in good answers", "class: an \"error\" of code 0 beside each result", el(x.ErrorBeside()), codes=("source_not_json_rpc",)),
    )),
    Section("Rate limits", (
        Row("rate-seconds", FOLLOWS_SLOWER, "more than 4 requests a second: 429, Retry-After: 2", "RFC 9110", el(x.Rate(4, 4, x.text(429, "slow down\n", Retry_After="2"))), lag=2),
        Row("cloudflare-1015", FOLLOWS_SLOWER, "more than 4 requests a second: 429 «error code: 1015»", "llamarpc behind Cloudflare: erpc/erpc thirdparty/llama.go",
            el(x.Rate(4, 4, x.text(429, "error code: 1015"))), lag=2),
        Row("alchemy-units", FOLLOWS_SLOWER, "25 calls a second, 250 at once; those of a batch that are too many: code 429 over HTTP 200",
            "alchemy.com/docs throughput (500 units a second over 10 s, 20 a block); wevm/viem#4453",
            el(x.Rate(25, 250, partly=(429, "Your app has exceeded its compute units per second capacity. If you have retries enabled, you can safely ignore this message."))), lag=2),
        Row("proxyd-rate", FOLLOWS_SLOWER, "25 calls a second, 50 at once; those of a batch that are too many: -32016; a single call: 429",
            "proxyd ErrOverRateLimit: mainnet.base.org, X Layer", el(x.Rate(25, 50, partly=(-32016, "over rate limit"))), lag=2),
        Row("onfinality-50", FOLLOWS_SLOWER, "50 calls a second; a batch of more than are left: 429 with -32029",
            "documentation.onfinality.io «Batch Requests»: «the entire batch will be rejected»",
            el(x.Rate(50, 50, x.one(429, -32029, "Too Many Requests"), calls=True)), lag=2),
        Row("busy-503", FOLLOWS_SLOWER, "each fifth request, by lot: 503 and HTML, Retry-After: 1", "nginx, haproxy, AWS ALB",
            el(x.Lot(5, x.html(503, "503 Service Temporarily Unavailable", Retry_After="1"))), lag=2),
        Row("drpc-408", FOLLOWS_SLOWER, "each fourth request, by lot: 408 with code 30 «Request timeout on the free plan» for each call", "dRPC",
            el(x.Lot(4, x.each(408, 30, "Request timeout on the free tier, please upgrade your tier to the paid one"))), lag=2),
    ), do="nothing; a plan with more calls a second catches up sooner"),
    Section("Quotas and keys", (
        Row("infura-402", NAMES_IT, "always 402 «Payment Required»", "docs.metamask.io «Avoid rate limiting»: daily credits",
            el(x.Always(x.text(402, "Payment Required\n"))), codes=("source_payment_required",)),
        Row("ankr-401", NAMES_IT, "always 401 and a text", "ankr.com/docs error reference: plain HTTP",
            el(x.Always(x.text(401, "Unauthorized: You must authenticate your request with an API key.\n"))), codes=("source_unauthorized",)),
        Row("alchemy-401", NAMES_IT, "always 401 with -32600 «Must be authenticated!»", "Alchemy, Conduit: erpc/erpc thirdparty/alchemy.go, conduit.go",
            el(x.Always(x.one(401, -32600, "Must be authenticated!"))), codes=("source_unauthorized",)),
        Row("cloudflare-403", NAMES_IT, "always 403 and an HTML page", "Cloudflare's block page; publicnode «403 Request blocked»",
            el(x.Always(x.html(403, "Sorry, you have been blocked"))), codes=("source_forbidden",)),
    )),
    Section("HTTP", (
        Row("chunked", FOLLOWS, "chunks of odd sizes with extensions, a trailer", "servers that stream", el(x.Wire("chunked"))),
        Row("http-1.0", FOLLOWS, "HTTP/1.0: no length, the end of the connection ends the answer", "small gateways", el(x.Wire("http-1.0"))),
        Row("twenty-each", FOLLOWS, "a connection is closed without a word after 20 answers", "nginx keepalive_requests (100 before 1.19.10)", el(x.Wire("length", close_after=20))),
        Row("redirect-path", NAMES_IT, "HTTP 308 to another path", "nginx, Django: a path without its slash", el(x.Redirect(308, "/rpc/", path="/rpc/"), path="/rpc"),
            codes=("source_redirects",), text="/rpc/"),
        Row("redirect-https", NAMES_IT, "HTTP 301 to https://", "Cloudflare «Always Use HTTPS»", el(x.Redirect(301, "https://{host}/")), codes=("source_redirects",), text="https://127.0.0.1"),
        Row("userinfo", FOLLOWS, "401 without basic authentication from the URL", "Chainstack's user name and password",
            el(x.BasicAuth("friendly-name", "pass-word"), userinfo="friendly-name:pass-word@")),
        Row("tls-private-ca", FOLLOWS, "TLS by a private CA, which the endpoints file names", "own gateways", el(tls="named"), do="`ca_file` in the endpoints file"),
        Row("tls-unknown-ca", NAMES_IT, "TLS by a CA that nobody knows", "own gateways, proxies that look into TLS", el(tls="unknown"), codes=("source_tls_failed",)),
        Row("slow-first-byte", FOLLOWS, "2 s until the first byte", "free tiers, cold archives", el(x.Slow(2)), lag=4),
        Row("fat", FOLLOWS_SLOWER, "40 kB more for each header, 60 kB more for each block", "gateways that add fields of their own", el(x.Fat(40_000, 60_000)), lag=2),
        Row("junk", NAMES_IT, "200 kB more for each header, 1.5 MB more for each block", "nobody who is honest: many times what was asked for", el(x.Fat(200_000, 1_500_000)),
            codes=("source_bad_data",)),
        Row("text-plain", FOLLOWS, "Content-Type: text/plain, blanks before the JSON", "old parity, small gateways", el(x.PlainText())),
        Row("ipv6", FOLLOWS, "http://[::1]:port", "hosts and clusters with IPv6 only", el(host="::1")),
        Row("websocket", FOLLOWS, "a ws:// URL", "X Layer's wss://xlayerws.okx.com; op-node v1.21.0's notes", el(websocket=True), asks=("eth_subscribe",)),
        Row("http-on-websocket", NAMES_IT, "requests without an upgrade: HTTP 426", "port 8546 for 8545", el(x.Always(x.text(426, "Upgrade Required\n", Upgrade="websocket"))),
            codes=("source_is_websocket",)),
        Row("envoy-503", FOLLOWS, "503 «no healthy upstream» for the first 12 s", "Envoy, Istio", el(x.AtFirst(12, x.text(503, "no healthy upstream"))), first_s=12),
        Row("refused", NAMES_IT, "nothing listens", "a node that is down", Dialect(refuses=True), codes=("source_unreachable",)),
        Row("no-name", NAMES_IT, "the host name does not resolve", "a typing error", Dialect(url="http://no-such-host.invalid:8545"), codes=("source_name_unresolved",)),
    )),
    Section("Shapes of blocks", (
        Row("extra-fields", FOLLOWS, "no size; a dozen fields that nobody knows", "reth, Nethermind, Arbitrum, indexers", el(x.Shape(x.more_fields))),
        Row("hex-zeros", FOLLOWS, "leading zeros in quantities; r and s of 32 bytes", "ConsenSys-archive/ganache-cli-archive#220, openethereum/parity-ethereum#10244", el(x.Shape(x.zeros))),
        Row("address-case", FOLLOWS, "addresses in mixed case", "EIP-55", el(x.Shape(x.mixed_case))),
        Row("deposit-reth", FOLLOWS, "deposits without isSystemTx, nonce, gasPrice and signature; mint is null", "paradigmxyz/reth#10463, #14716; anvil", el(x.Shape(x.reth_deposits))),
        Row("type-raw", FOLLOWS_SLOWER, "a transaction of an unknown type; eth_getRawTransactionByBlockHashAndIndex answers",
            "a new type (Lagoon's 0x7d, Celo's 0x7b) with raw transactions", el(raw_transactions=True), unknown_type=True),
        Row("type-unknown", NAMES_IT, "a transaction of an unknown type, and no raw methods", "the same without raw methods", el(), codes=("source_unknown_transactions",), unknown_type=True),
        Row("no-requests-hash", NAMES_IT, "no \"requestsHash\"", "opbnb-node-docker#13, ethereum-optimism/optimism#15411 «computed hash differs»", el(x.Shape(x.no_requests_hash)),
            codes=("source_bad_data", "unknown_rules")),
    )),
    Section("Replicas and labels", (
        Row("replica-lag", FOLLOWS, "each second request sees the chain of 2 blocks ago", "bobanetwork/boba_legacy#316: announced and not there", el(x.Replicas(0, 2)), lag=2),
        Row("three-replicas", FOLLOWS, "three replicas in turn, 0, 1 and 3 blocks behind", "ethereum/go-ethereum#27353: heads go back behind a balancer", el(x.Replicas(0, 1, 3)), lag=3),
        Row("split-replicas", FOLLOWS, "blocks by hash come from a replica that is 5 behind", "base/base#3527: number and hash from two replicas", el(x.HashesBehind(5)), lag=5),
        Row("finalized-back", FOLLOWS, "finalized is 15 lower each third time", "ethereum-optimism/infra#229, erpc/erpc#223", el(x.FinalizedBack(3, 15))),
        Row("tags-geth", FOLLOWS, "safe, finalized: -32000 «safe block not found»", "ethereum/execution-apis#879: go-ethereum", el(x.NoTags(-32000, "{} block not found")), labels=False),
        Row("tags-besu", FOLLOWS, "safe, finalized: -39001 «Unknown block»", "ethereum/execution-apis#879: besu, erigon", el(x.NoTags(-39001, "Unknown block")), labels=False),
        Row("tags-null", FOLLOWS, "safe, finalized: null", "ethereum/execution-apis#879: reth, Nethermind, ethrex", el(x.NoTags()), labels=False),
    )),
    Section("History, and chains that stand still", (
        Row("pruned-null", NAMES_IT, "blocks 1 to 99: null", "reth, Nethermind: a block that is gone is null", el(x.Pruned(100)), codes=("source_pruned",), text="100"),
        Row("pruned-header", NAMES_IT, "blocks 1 to 99: -32000 «header not found»",
            "geth without the ancient blocks, Infura's and other load balancers: drpcorg/nodecore no_data_errors.go", el(x.Pruned(100, -32000, "header not found")), codes=("source_pruned",),
            text="100"),
        Row("syncing", NAMES_IT, "its head is 40; eth_syncing tells of more", "a source that is still syncing", el(x.StopsAt(40)), codes=("source_syncing",)),
        Row("wrong-chain", NAMES_IT, "eth_chainId is another", "a wrong URL", el(x.Result("eth_chainId", "0x2105"), x.Result("net_version", "8453")), codes=("source_wrong_chain",), text="8453"),
    )),
    Section("A bad source first, a good one second", (
        Row("aside-pruned", ASIDE, "blocks 1 to 99: 4444", "clients that dropped old history (EIP-4444)", el(_PRUNED), then=("plain",), codes=("source_pruned",), text="100"),
        Row("aside-requests-hash", ASIDE, "no \"requestsHash\"", "as no-requests-hash", el(x.Shape(x.no_requests_hash)), then=("plain",), codes=("source_bad_data",)),
        Row("aside-syncing", ASIDE, "its head is 40; eth_syncing tells of more", "as syncing", el(x.StopsAt(40)), then=("plain",), codes=("source_syncing",)),
        Row("aside-frozen-el", ASIDE, "the head stands still from second 20 on", "a node that hangs and still answers", el(x.StopsAt(after=20)), then=("plain",), codes=("source_behind",), first_s=20),
        Row("aside-halted-cl", ASIDE, "a consensus client; from second 20 on optimism_syncStatus stands still, with other calls beside it and for all else: -32011",
            "ethereum-optimism/infra proxyd/consensus_poller_cl.go: its consensus clients disagree and none has a majority",
            cl(x.Allow("optimism_syncStatus", "optimism_outputAtBlock", "optimism_rollupConfig", message="rpc method is not whitelisted", status=403), x.Halts(20)), then=("plain",),
            codes=("source_http_error", "source_behind"), asks=("optimism_syncStatus",), first_s=20),
    )),
)

ROWS = {row.name: row for section in SECTIONS for row in section.rows}
DIALECTS = {name: row.dialect for name, row in ROWS.items()}
