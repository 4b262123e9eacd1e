"""Transaction load: python -m harness.load URL SENDERS BLOCKS PER_BLOCK TIP_RATE

Until the chain has BLOCKS blocks the pool is kept full, and the block builder is limited to about PER_BLOCK transactions a block, so that every block of a
history built at full speed has some. After that it sends TIP_RATE transfers a second until it is stopped. A transfer has 200 bytes of calldata.
"""
import sys
import time

from eth_account import Account
from eth_utils import to_checksum_address

from .rpc import Rpc

CHAIN_ID = 901


def sender(i):
    return Account.from_key((i + 1000).to_bytes(32, "big"))


def addresses(n):
    return [sender(i).address for i in range(n)]


def transfer(account, nonce, count, kind=2):
    tx = {"nonce": nonce, "to": to_checksum_address(f"0x{0x100000 + count % 5000:040x}"), "value": 1, "gas": 60_000, "chainId": CHAIN_ID,
          "data": "0x" + count.to_bytes(200, "big").hex()}
    if kind == 2:
        tx |= {"type": 2, "maxFeePerGas": 10**12, "maxPriorityFeePerGas": 10**6}
    elif kind == 1:
        tx |= {"type": 1, "gasPrice": 10**12, "accessList": [{"address": "0x" + "11" * 20, "storageKeys": ["0x" + "22" * 32]}]}
    else:
        tx |= {"gasPrice": 10**12}
    return "0x" + account.sign_transaction(tx).raw_transaction.hex().removeprefix("0x")


def send(url, senders, blocks, per_block, tip_rate):
    rpc = Rpc(url)
    accounts, nonces, count, height = [sender(i) for i in range(senders)], [0] * senders, 0, 0

    def batch(n):
        nonlocal count
        calls = []
        for _ in range(n):
            i = count % senders
            calls.append(("eth_sendRawTransaction", [transfer(accounts[i], nonces[i], count, (2, 2, 2, 0, 1)[count % 5])]))
            nonces[i] += 1
            count += 1
        try:
            rpc.batch(calls)
        except Exception as e:  # noqa: BLE001 the node is being restarted or reorged: read the nonces again and go on
            print(f"after {count}: {e}", flush=True)
            time.sleep(0.5)
            try:
                nonces[:] = [int(n, 16) for n in rpc.batch([("eth_getTransactionCount", [a.address, "pending"]) for a in accounts])]
            except Exception as again:  # noqa: BLE001
                print(f"nonces: {again}", flush=True)

    if blocks:
        # the builder counts at least 100 bytes of data for a transaction; these compress to a little more
        rpc.call("miner_setMaxDASize", "0x0", hex(120 * per_block + 100))
        while height < blocks:
            if count < min(height + 120, blocks + 20) * per_block:
                batch(100)
            else:
                time.sleep(0.02)
            height = rpc.height()
        rpc.call("miner_setMaxDASize", "0x0", "0x0")
    due, last = 0.0, time.time()
    while True:
        now = time.time()
        due, last = min(due + (now - last) * tip_rate, 100.0), now
        if due >= 1:
            batch(int(due))
            due -= int(due)
        time.sleep(0.1)


if __name__ == "__main__":
    send(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5]))
