// Messages as JSON and as text for a terminal.
#pragma once
#include <google/protobuf/message.h>

#include <string>
#include <vector>

#include "towline/v1/p2p_gossip.pb.h"
#include "towline/v1/remote_fetcher.pb.h"
#include "towline/v1/sync_coordinator.pb.h"

namespace towline::cli {

/// JSON with the fields' names as in the protos, `bytes` as 0x hex, unset messages left out, everything else always
/// there.
std::string to_json(const google::protobuf::Message& m, int indent = 1);

/// "1,234,567"
std::string thousands(std::uint64_t n);
/// "2h03m", "4m10s", "12s"
std::string duration(double seconds);
/// "[#####.....]" of `width` characters inside.
std::string progress_bar(double share, int width);
/// "IMPORTING" of TOW_STATE_IMPORTING.
std::string state_name(v1::TowState s);

/// Of the import in hand, 0 to 1; 1 when there is none.
double share_done(const v1::Tow& t);
/// One line for a log: state, heads, distance, rates, ETA.
std::string live_line(const v1::SyncStatus& s);
/// The same as three lines of at most 80 columns for each tow, for a live display.
std::vector<std::string> live_lines(const v1::SyncStatus& s);
std::string status_text(const v1::SyncStatus& s);
std::string decisions_text(const v1::ListDecisionsResponse& d);
std::string endpoints_text(const v1::ListEndpointsResponse& e);
std::string peers_text(const v1::GetNodeResponse& node, const v1::ListPeersResponse& peers,
                       const v1::ListBansResponse& bans);
/// For DIVERGED and NEEDS_OPERATOR: what happened and what to do, for this client.
std::string recover_text(const v1::SyncStatus& s);

}  // namespace towline::cli
