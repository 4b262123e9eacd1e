#!/bin/sh
# The first container of compose.network.yaml: checks the operator's settings, makes the two secrets once, and ends. All other containers wait for it, so a
# mistake is one clear line here and nothing runs half. Its mounts are /jwt /token /el /gossip /driver /coordinator /evidence, and /compose.yaml.
set -eu
umask 077
bad=0
wrong() {
  echo "prepare: $*" >&2
  bad=1
}

# The variables that the compose file reads: ${NAME...}, and "? NAME", which hands the variable on to a service.
reads=" $(grep -oE '\$\{[A-Z][A-Z0-9_]+|\? [A-Z][A-Z0-9_]+' /compose.yaml | tr -cd 'A-Z0-9_\n' | tr '\n' ' ')"
for name in $(env | sed -n 's/^\([A-Za-z_][A-Za-z0-9_]*\)=.*/\1/p'); do
  case "$name" in PATH | HOME | HOSTNAME | PWD | OLDPWD | SHLVL | _ | COMPOSE_*) continue ;; esac
  case "$reads" in *" $name "*) ;; *) wrong "$ENV_FILE: nothing reads $name; .env.example beside it has the names" ;; esac
done

client=${EL_CLIENT:-}
case "$client" in
  op-reth | base-reth-node | celo-reth | op-geth) ;;
  *) wrong "EL_CLIENT=$client: must be op-reth, base-reth-node, celo-reth or op-geth" ;;
esac
[ "${COMPOSE_PROFILES:-$client}" = "$client" ] || wrong "COMPOSE_PROFILES=$COMPOSE_PROFILES: must be the same as EL_CLIENT, or no client starts"

if ! table=$(towline --json networks "$TOWLINE_NETWORK" 2>&1); then
  wrong "TOWLINE_NETWORK=$TOWLINE_NETWORK: ${table#towline: }"
elif [ "$client" = op-geth ]; then
  now=$(date +%s)
  for fork in karst base.azul; do
    time=$(echo "$table" | sed -n "s/.*\"$fork\": \([0-9]*\).*/\1/p")
    if [ -n "$time" ] && [ "$time" -le "$now" ]; then
      wrong "EL_CLIENT=op-geth: op-geth does not know the fork $fork, which $TOWLINE_NETWORK has since $(date -u -d "@$time" +%F): it cannot follow this chain; run the client that the env file of the network names"
    fi
  done
  case "$TOWLINE_NETWORK" in celo-*) wrong "EL_CLIENT=op-geth: Celo has gone over to celo-reth, and op-geth may follow a wrong chain" ;; esac
fi
case "$client/$TOWLINE_NETWORK" in
  base-reth-node/base-* | celo-reth/celo-* | op-geth/*) ;;
  base-reth-node/* | celo-reth/*) wrong "EL_CLIENT=$client: not a client of $TOWLINE_NETWORK" ;;
  op-reth/base-* | op-reth/celo-*) wrong "EL_CLIENT=op-reth: $TOWLINE_NETWORK has forks of its own that op-reth does not know; run base-reth-node or celo-reth" ;;
esac

me=$(id -u)
for volume in jwt token gossip driver coordinator evidence; do
  if ! (: >"/$volume/.prepare") 2>/dev/null; then
    wrong "the volume $volume is not writable by user $me, as which Towline runs (on the host: chown $me, or an empty volume)"
  fi
  rm -f "/$volume/.prepare"
done
owner=$(stat -c %u /el)
user=${EL_USER:-10001}
[ "$owner" = "${user%%:*}" ] ||
  wrong "EL_DATA belongs to user $owner, and the client runs as user ${user%%:*}: chown it on the host, or set EL_USER"

# make NAME DIGITS FILE: an existing file is kept.
make() {
  [ -e "$3" ] || { od -An -v -tx1 -N32 /dev/urandom | tr -d ' \n' >"$3.new" && mv "$3.new" "$3"; }
  if [ ! -r "$3" ]; then
    wrong "$1: $3 cannot be read by user $me"
  elif ! tr -d '\n' <"$3" | sed 's/^0x//' | grep -qE "^[0-9a-fA-F]{$2}\$"; then
    wrong "$1: $3 must hold $2 hex digits; without that file a new one is made"
  fi
}
if [ "$bad" = 0 ]; then
  make "the services' token" 64 /token/auth-token
  # The client reads it as a member of Towline's group, whatever user it runs as.
  umask 027
  make "the JWT secret" 64 /jwt/jwt.hex
fi
[ "$bad" = 0 ] || exit 2
echo "prepare: $TOWLINE_NETWORK with $client"
