// Answers to FINDNODE, and which records of a NODES answer are believed (discv5-wire). At most 3 distances of a
// question are served, with 16 records; a message carries at most 1000 bytes of records. Pure.
#pragma once
#include <vector>

#include "libs/discv5/contact.hpp"
#include "libs/discv5/table.hpp"

namespace towline::discv5 {

inline constexpr std::size_t kMaxDistancesServed = 3, kMaxRecordsServed = 16, kMaxRecordBytes = 1000;

/// Whether an address may be told to a node at `to`, or believed from it. Addresses of a local network mean nothing
/// outside it, and believing them would make us attack that network for somebody else.
bool relayable(const p2p::Ip& to, const p2p::Ip& ip);

/// The NODES messages that answer a FINDNODE.
std::vector<Nodes> answer_find_node(const FindNode& question, const SessionId& from, const Enr& local,
                                    const Table& table);

/// Appends to `found` those records of an answer that the question asked for.
void take_nodes(const FindNode& question, const NodeId& from, const Nodes& answer, std::vector<Enr>& found);

}  // namespace towline::discv5
