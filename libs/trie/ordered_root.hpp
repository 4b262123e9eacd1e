// Root of the Merkle-Patricia trie of an ordered list: key rlp(index), value the item (transactionsRoot,
// withdrawalsRoot). Pure.
#pragma once
#include "libs/base/bytes.hpp"

namespace towline::trie {

/// keccak(rlp("")): the root of an empty list.
inline constexpr Hash32 kEmptyRoot{{0x56, 0xe8, 0x1f, 0x17, 0x1b, 0xcc, 0x55, 0xa6, 0xff, 0x83, 0x45,
                                    0xe6, 0x92, 0xc0, 0xf8, 0x6e, 0x5b, 0x48, 0xe0, 0x1b, 0x99, 0x6c,
                                    0xad, 0xc0, 0x01, 0x62, 0x2f, 0xb5, 0xe3, 0x63, 0xb4, 0x21}};

/// The root over raw item encodings (raw EIP-2718 transactions for transactionsRoot).
Hash32 ordered_root(std::span<const Bytes> items);

}  // namespace towline::trie
