#include "libs/crypto/keccak.hpp"

#include <crypto++/keccak.h>

namespace towline {

Hash32 keccak256(BytesView data) { return keccak256({data}); }

Hash32 keccak256(std::initializer_list<BytesView> parts) {
  Hash32 out;
  CryptoPP::Keccak_256 k;
  for (const BytesView part : parts) k.Update(part.data(), part.size());
  k.Final(out.data());
  return out;
}

}  // namespace towline
