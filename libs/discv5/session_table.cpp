#include "libs/discv5/session_table.hpp"

namespace towline::discv5 {

Nonce Session::next_nonce(const Random& random) {
  Nonce n = random_bytes<12>(random);
  const std::uint32_t count = sent++;
  for (unsigned i = 0; i < 4; ++i) n.bytes[i] = static_cast<std::uint8_t>(count >> (24 - 8 * i));
  return n;
}

Session* SessionTable::find(const SessionId& id) {
  const auto it = index_.find(id);
  if (it == index_.end()) return nullptr;
  last_used_first_.splice(last_used_first_.begin(), last_used_first_, it->second);
  return &*it->second;
}

Session& SessionTable::put(const SessionId& id, const SessionKey& read, const SessionKey& write) {
  if (Session* s = find(id)) {
    *s = {id, read, write, s->read};
    return *s;
  }
  if (last_used_first_.size() >= kMaxSessions) {
    index_.erase(last_used_first_.back().id);
    last_used_first_.pop_back();
  }
  last_used_first_.push_front({id, read, write});
  index_[id] = last_used_first_.begin();
  return last_used_first_.front();
}

}  // namespace towline::discv5
