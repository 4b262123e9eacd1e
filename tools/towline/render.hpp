// Messages as JSON and as text for a terminal.
#pragma once
#include <google/protobuf/message.h>

#include <string>
#include <vector>

#include "tools/towline/live_area.hpp"
#include "towline/v1/p2p_gossip.pb.h"
#include "towline/v1/remote_fetcher.pb.h"
#include "towline/v1/sync_coordinator.pb.h"

namespace towline::cli {

/// JSON with the field names of the protos and `bytes` as 0x hex. Unset messages are left out; all other fields are
/// always present.
std::string to_json(const google::protobuf::Message& m, int indent = 1);

/// "1,234,567"
std::string thousands(std::uint64_t n);
/// "1,234,567 0x12345678" of a block's number and its 32 bytes.
std::string block_text(std::uint64_t number, const std::string& hash);
/// "2h03m", "4m10s", "12s"
std::string duration(double seconds);
/// "[#####.....]" of `width` characters inside.
std::string progress_bar(double share, int width);
/// "IMPORTING" of TOW_STATE_IMPORTING.
std::string state_name(v1::TowState s);

/// The finished share of the current import, 0 to 1; 1 without an import.
double share_done(const v1::Tow& t);
/// One line for a log: state, heads, distance, rates, ETA.
std::string live_line(const v1::SyncStatus& s);
/// The same as three lines for each tow, for a live display.
std::vector<LiveArea::Line> live_lines(const v1::SyncStatus& s);
std::string status_text(const v1::SyncStatus& s);
std::string decisions_text(const v1::ListDecisionsResponse& d);
std::string endpoints_text(const v1::ListEndpointsResponse& e);
std::string peers_text(const v1::GetNodeResponse& node, const v1::ListPeersResponse& peers,
                       const v1::ListBansResponse& bans);

}  // namespace towline::cli
