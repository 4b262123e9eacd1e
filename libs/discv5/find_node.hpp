// What others are told of nodes, and what is believed of what they tell (discv5-wire, FINDNODE and NODES). At most 3
// distances of a question are served, with 16 records; a message carries 1000 bytes of records. Pure.
#pragma once
#include <vector>

#include "libs/discv5/contact.hpp"
#include "libs/discv5/table.hpp"

namespace towline::discv5 {

inline constexpr std::size_t kMaxDistancesServed = 3, kMaxRecordsServed = 16, kMaxRecordBytes = 1000;

/// Whether a node at `to` may be told of an address, or is believed when it tells of one. Addresses of a local network
/// mean nothing outside, and would make us the tool of an attack on it.
bool relayable(const p2p::Ip& to, const p2p::Ip& ip);

/// The messages that answer a question.
std::vector<Nodes> answer_find_node(const FindNode& question, const SessionId& from, const Enr& local,
                                    const Table& table);

/// Appends to `found` the records of an answer that the question asked for; others are ignored.
void take_nodes(const FindNode& question, const NodeId& from, const Nodes& answer, std::vector<Enr>& found);

}  // namespace towline::discv5
