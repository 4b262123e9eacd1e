#include "libs/crypto/keccak.hpp"

#include <crypto++/keccak.h>

namespace towline {

Hash32 keccak256(BytesView data) {
  Hash32 out;
  CryptoPP::Keccak_256 k;
  k.Update(data.data(), data.size());
  k.Final(out.data());
  return out;
}

}  // namespace towline
