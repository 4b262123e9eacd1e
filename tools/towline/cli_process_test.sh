#!/bin/bash
# The programs as an operator runs them: exit codes, and one clear line for wrong input. Argument: the folder of the programs.
set -u
bin=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failures=0

# expect CODE TEXT COMMAND...: checks the exit code and a part of the output.
expect() {
  local code=$1 text=$2 out got
  shift 2
  out=$("$@" 2>&1)
  got=$?
  if [ "$got" -ne "$code" ] || [[ "$out" != *"$text"* ]]; then
    echo "FAILED: $* -> exit code $got (expected $code), expected to say '$text', said: $out"
    failures=$((failures + 1))
  fi
}

towline=$bin/towline
nobody=127.0.0.1:1
printf '%064d' 1 >"$dir/jwt.hex"
expect 0 "Exit codes" "$towline" --help
expect 0 "towline " "$towline" --version
expect 0 "towline " "$towline" version
expect 0 "op-mainnet" "$towline" networks
expect 0 '"karst": 1783526401' "$towline" --json networks op-mainnet
expect 0 "base.azul 2026-05-28T18:00:00+00:00" "$towline" networks base-mainnet
expect 2 "op-mainnet" "$towline" networks nowhere
expect 2 "--help shows the flags" "$towline" status --no-such-flag
expect 2 "--help shows the flags" "$towline" no-such-verb
expect 2 "unsafe-block-signer" "$towline" up --engine http://127.0.0.1:1 --source http://127.0.0.1:1 --rollup-config x --unsafe-source gossip
expect 2 "no source" "$towline" up --engine http://127.0.0.1:1 --network op-mainnet
expect 2 "--network and --rollup-config" "$towline" up --engine http://127.0.0.1:1 --source http://127.0.0.1:1
expect 3 "does not answer" "$towline" status --sync-coordinator $nobody
expect 3 "does not say that it lives" "$towline" probe $nobody
expect 3 "does not say that it lives" env TOWLINE_HTTP_ADDR=0.0.0.0:1 "$towline" probe
expect 2 "address" "$towline" probe
expect 3 "does not answer" "$towline" watch --sync-coordinator $nobody
expect 3 "does not answer" "$towline" endpoints --remote-fetcher $nobody
expect 3 "does not answer" "$towline" cordon x --remote-fetcher $nobody
expect 3 "127.0.0.1:1" "$towline" inspect block --url http://user:secret@127.0.0.1:1/key --number 1
expect 2 "--number" "$towline" inspect block --url http://127.0.0.1:1 --number 99999999999999999999999
expect 2 "cannot read" "$towline" inspect block "$dir/none.json"
echo '<html>' >"$dir/page.json"
expect 1 "INVALID" "$towline" inspect block "$dir/page.json"

# `up` prints the one clear line of the service that cannot run, and leaves no process behind.
up=("$towline" up --base-port 0 --source http://127.0.0.1:1 --engine http://127.0.0.1:1 --p2p.disable --data-dir)
expect 1 "--jwt-secret: cannot read" "${up[@]}" "$dir/data" --network op-mainnet --jwt-secret "$dir/none.hex"
expect 2 "--network" "${up[@]}" "$dir/data" --network no-such-chain --jwt-secret "$dir/jwt.hex"
expect 2 "--rollup-config" "${up[@]}" "$dir/data" --rollup-config "$dir/page.json" --jwt-secret "$dir/jwt.hex"
expect 2 "before isthmus at 1900000000 (--override.isthmus)" "${up[@]}" "$dir/data" --network op-mainnet --jwt-secret "$dir/jwt.hex" \
  --override.isthmus 1900000000
expect 2 "forks come in order" env TOWLINE_OVERRIDE_ISTHMUS=1900000000 "$bin/remote-fetcher" --network op-mainnet --endpoint http://127.0.0.1:1
expect 2 "--override.karst" "$bin/remote-fetcher" --network op-mainnet --endpoint http://127.0.0.1:1 --override.karst soon
# `up` has every flag and variable of a service, and names it by its own name when it is wrong.
expect 0 "--p2p.no-discovery (Env:TOWLINE_P2P_NO_DISCOVERY)" "$towline" up --help
chain=(--network op-mainnet --jwt-secret "$dir/jwt.hex")
expect 2 "--max-rps" "${up[@]}" "$dir/data" "${chain[@]}" --max-rps many
expect 2 "--header-batch" env TOWLINE_HEADER_BATCH=1 "${up[@]}" "$dir/data" "${chain[@]}"
expect 2 "--header-batch" "${up[@]}" "$dir/data" "${chain[@]}" --config <(printf '[up]\nheader-batch = 1\n')
expect 2 "--source 1: " "$towline" up --base-port 0 --source ftp://x --engine http://127.0.0.1:1 --p2p.disable --data-dir "$dir/data" "${chain[@]}"
expect 2 "no flag reads TOWLINE_MAX_RPM" env TOWLINE_MAX_RPM=1 "${up[@]}" "$dir/data" "${chain[@]}" --max-rps many
expect 2 "TOWLINE_ENDPOINTS" env TOWLINE_ENDPOINTS=x "$bin/remote-fetcher" --network op-mainnet
expect 2 "TOWLINE_P2P_PRIV_RAW" "${up[@]}" "$dir/data" "${chain[@]}" --p2p.priv.raw=c4n4ry
expect 2 "TOWLINE_P2P_PRIV_RAW" "$bin/p2p-gossip" --network op-mainnet --p2p.priv.raw c4n4ry
expect 2 "--p2p.priv.raw: is not a private key" env TOWLINE_P2P_PRIV_RAW=c4n4ry "$bin/p2p-gossip" --network op-mainnet
expect 0 '"op-mainnet"' "$towline" networks --json
expect 1 "--data-dir" "${up[@]}" /proc/none --network op-mainnet --jwt-secret "$dir/jwt.hex"

# A missing program is named, with advice.
mkdir "$dir/alone"
cp "$towline" "$dir/alone"
expect 1 "; all programs must be in one directory, as \`make build\`" "$dir/alone/towline" "${up[@]:1}" "$dir/data" \
  --network op-mainnet --jwt-secret "$dir/jwt.hex"

# Two instances do not mix: the second one finds the ports of the first one taken.
python3 -c 'import socket, time
s = socket.create_server(("127.0.0.1", 0))
print(s.getsockname()[1], flush=True)
time.sleep(600)' >"$dir/port" &
other=$!
until [ -s "$dir/port" ] || ! kill -0 $other; do sleep 0.1; done
expect 1 "--base-port: port $(cat "$dir/port")" "$towline" up --base-port "$(cat "$dir/port")" --source http://127.0.0.1:1 --engine http://127.0.0.1:1 \
  --p2p.disable --data-dir "$dir/data" "${chain[@]}"
kill $other

# It runs although no partner answers, hides URLs, and stops.
"$towline" up --base-port 0 --p2p.disable --data-dir "$dir/run" --source http://user:canary@127.0.0.1:1/canary --engine http://127.0.0.1:1/canary \
  --network op-mainnet --jwt-secret "$dir/jwt.hex" >"$dir/up.log" 2>&1 &
pid=$!
until grep -qE 'WAITING|STARTING' "$dir/up.log" || ! kill -0 $pid; do sleep 0.1; done
grep -qE 'WAITING|STARTING' "$dir/up.log" || { echo "FAILED: up shows no state: $(cat "$dir/up.log")"; failures=$((failures + 1)); }
# A killed service comes back on the same ports.
fetcher=$(pgrep -P $pid -x remote-fetcher)
port=$(tr '\0' '\n' <"/proc/$fetcher/cmdline" | sed -n 's/^--http\.addr=.*://p')
kill -KILL "$fetcher"
while kill -0 $pid; do
  [ "$(pgrep -P $pid -x remote-fetcher)" != "$fetcher" ] && (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break
  sleep 0.1
done
(exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "FAILED: a killed remote-fetcher does not come back on port $port"; failures=$((failures + 1)); }
children=$(pgrep -P $pid | tr '\n' ' ')
[ "$(wc -w <<<"$children")" -eq 3 ] || { echo "FAILED: up has not three children: $children"; failures=$((failures + 1)); }
for p in $pid $children; do
  if tr '\0' ' ' <"/proc/$p/cmdline" | grep -q canary; then
    echo "FAILED: a URL is on the command line of process $p"
    failures=$((failures + 1))
  fi
done
if grep -rq canary "$dir/up.log" "$dir/run"; then
  echo "FAILED: a URL is in the logs"
  failures=$((failures + 1))
fi
# `up` bounds the time of its end itself: a service that has not stopped after 4.8 s is killed.
kill -TERM $pid
wait $pid
code=$?
[ $code -eq 0 ] || { echo "FAILED: up ended with $code"; failures=$((failures + 1)); }
for p in $children; do
  if kill -0 "$p" 2>/dev/null; then
    echo "FAILED: child $p is still there"
    failures=$((failures + 1))
  fi
done
[ $failures -eq 0 ] && echo "all as expected"
exit $((failures > 0))
