#include "libs/discv5/find_node.hpp"

#include <algorithm>

namespace towline::discv5 {

bool relayable(const p2p::Ip& to, const p2p::Ip& ip) {
  const bool multicast = p2p::is_ip4(ip) ? ip.bytes[12] >= 224 : ip.bytes[0] == 0xff;
  if (multicast || p2p::is_unspecified(ip)) return false;
  if (p2p::is_loopback(ip)) return p2p::is_loopback(to);
  return !p2p::is_local(ip) || p2p::is_local(to);
}

std::vector<Nodes> answer_find_node(const FindNode& question, const SessionId& from, const Enr& local,
                                    const Table& table) {
  std::vector<const Enr*> records;
  std::vector<std::uint64_t> served;
  for (const std::uint64_t d : question.distances) {
    if (served.size() >= kMaxDistancesServed || std::find(served.begin(), served.end(), d) != served.end()) continue;
    served.push_back(d);
    if (d == 0) records.push_back(&local);
    else
      for (const Table::Node* n : table.live_at(d))
        if (n->record.node_id() != from.node && relayable(from.address.ip, n->address.ip))
          records.push_back(&n->record);
  }
  if (records.size() > kMaxRecordsServed) records.resize(kMaxRecordsServed);
  std::vector<Nodes> answers{Nodes{question.id}};
  std::size_t bytes = 0;
  for (const Enr* r : records) {
    if (bytes + r->encoded().size() > kMaxRecordBytes) {
      answers.push_back(Nodes{question.id});
      bytes = 0;
    }
    bytes += r->encoded().size();
    answers.back().records.push_back(r->encoded());
  }
  for (Nodes& a : answers) a.total = answers.size();
  return answers;
}

void take_nodes(const FindNode& question, const NodeId& from, const Nodes& answer, std::vector<Enr>& found) {
  const auto& wanted = question.distances;
  for (const Bytes& encoded : answer.records) {
    if (found.size() >= kMaxRecordsServed) break;
    auto record = Enr::decode(encoded);
    if (!record.ok()) continue;
    const std::uint64_t d = log_distance(from, record->node_id());
    if (std::find(wanted.begin(), wanted.end(), d) != wanted.end()) found.push_back(*std::move(record));
  }
}

}  // namespace towline::discv5
