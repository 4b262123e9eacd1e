#include "tools/towline/render.hpp"

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/time/time.h>
#include <google/protobuf/descriptor.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "libs/base/hex.hpp"
#include "tools/towline/recovery.hpp"

namespace towline::cli {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using nlohmann::ordered_json;

ordered_json to_value(const Message& m);

ordered_json field_value(const Message& m, const FieldDescriptor& f, int index) {
  const auto& r = *m.GetReflection();
  const bool repeated = index >= 0;
  switch (f.cpp_type()) {
    case FieldDescriptor::CPPTYPE_UINT64: return repeated ? r.GetRepeatedUInt64(m, &f, index) : r.GetUInt64(m, &f);
    case FieldDescriptor::CPPTYPE_UINT32: return repeated ? r.GetRepeatedUInt32(m, &f, index) : r.GetUInt32(m, &f);
    case FieldDescriptor::CPPTYPE_INT64: return repeated ? r.GetRepeatedInt64(m, &f, index) : r.GetInt64(m, &f);
    case FieldDescriptor::CPPTYPE_INT32: return repeated ? r.GetRepeatedInt32(m, &f, index) : r.GetInt32(m, &f);
    case FieldDescriptor::CPPTYPE_DOUBLE: return repeated ? r.GetRepeatedDouble(m, &f, index) : r.GetDouble(m, &f);
    case FieldDescriptor::CPPTYPE_FLOAT: return repeated ? r.GetRepeatedFloat(m, &f, index) : r.GetFloat(m, &f);
    case FieldDescriptor::CPPTYPE_BOOL: return repeated ? r.GetRepeatedBool(m, &f, index) : r.GetBool(m, &f);
    case FieldDescriptor::CPPTYPE_ENUM:
      return std::string{(repeated ? r.GetRepeatedEnum(m, &f, index) : r.GetEnum(m, &f))->name()};
    case FieldDescriptor::CPPTYPE_STRING: {
      const std::string s = repeated ? r.GetRepeatedString(m, &f, index) : r.GetString(m, &f);
      return f.type() == FieldDescriptor::TYPE_BYTES ? to_hex(as_bytes(s)) : s;
    }
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return to_value(repeated ? r.GetRepeatedMessage(m, &f, index) : r.GetMessage(m, &f));
  }
  return nullptr;
}

ordered_json to_value(const Message& m) {
  ordered_json out = ordered_json::object();
  const auto& d = *m.GetDescriptor();
  const auto& r = *m.GetReflection();
  for (int i = 0; i < d.field_count(); ++i) {
    const FieldDescriptor& f = *d.field(i);
    if (f.is_repeated()) {
      auto& list = out[f.name()] = ordered_json::array();
      for (int k = 0; k < r.FieldSize(m, &f); ++k) list.push_back(field_value(m, f, k));
    } else if (f.has_presence() && !r.HasField(m, &f)) {
      continue;
    } else {
      out[f.name()] = field_value(m, f, -1);
    }
  }
  return out;
}

std::string label(bool has, const v1::BlockRef& b) { return has ? block_text(b.number(), b.hash()) : "-"; }

std::string number_of(bool has, const v1::BlockRef& b) { return has ? thousands(b.number()) : "-"; }

std::string heads_of(const v1::Tow& t) {
  const auto& l = t.local().labels();
  return absl::StrCat("unsafe ", number_of(l.has_unsafe(), l.unsafe()), "  safe ", number_of(l.has_safe(), l.safe()),
                      "  finalized ", number_of(l.has_finalized(), l.finalized()));
}

std::string behind(const v1::Tow& t) {
  return t.has_distance_blocks() ? thousands(t.distance_blocks()) + " behind" : "an unknown distance behind";
}

std::string rates_of(const v1::Tow& t) {
  const auto& p = t.local().import();
  std::string out = absl::StrFormat("%.0f blocks/s  %.1f Mgas/s", p.blocks_per_s(), p.mgas_per_s());
  if (t.eta_s() > 0) absl::StrAppend(&out, "  ETA ", duration(t.eta_s()));
  return out;
}

LiveArea::Colour colour_of(const v1::Tow& t) {
  switch (t.state()) {
    case v1::TOW_STATE_AT_TIP: return LiveArea::Colour::good;
    case v1::TOW_STATE_DIVERGED:
    case v1::TOW_STATE_NEEDS_OPERATOR:
    case v1::TOW_STATE_UNKNOWN_RULES: return LiveArea::Colour::bad;
    case v1::TOW_STATE_WAITING_FOR_SOURCE:
    case v1::TOW_STATE_WAITING_FOR_ENGINE:
    case v1::TOW_STATE_PAUSED: return LiveArea::Colour::attention;
    default: return LiveArea::Colour::none;
  }
}

}  // namespace

std::string to_json(const Message& m, int indent) { return to_value(m).dump(indent) + "\n"; }

std::string thousands(std::uint64_t n) {
  std::string s = absl::StrCat(n);
  for (std::size_t i = s.size(); i > 3; i -= 3) s.insert(i - 3, ",");
  return s;
}

std::string block_text(std::uint64_t number, const std::string& hash) {
  return absl::StrCat(thousands(number), " ", short_hex(as_bytes(hash)));
}

std::string duration(double seconds) {
  const auto s = static_cast<std::int64_t>(std::max(0.0, seconds) + 0.5);
  if (s >= 3600) return absl::StrFormat("%dh%02dm", s / 3600, s % 3600 / 60);
  if (s >= 60) return absl::StrFormat("%dm%02ds", s / 60, s % 60);
  return absl::StrCat(s, "s");
}

std::string progress_bar(double share, int width) {
  const int filled = static_cast<int>(std::clamp(share, 0.0, 1.0) * width);
  return absl::StrCat("[", std::string(static_cast<std::size_t>(filled), '#'),
                      std::string(static_cast<std::size_t>(width - filled), '.'), "]");
}

std::string state_name(v1::TowState s) {
  const std::string name = v1::TowState_Name(s);
  return std::string{absl::string_view{name}.substr(std::string{"TOW_STATE_"}.size())};
}

double share_done(const v1::Tow& t) {
  if (!t.local().has_import()) return 1;
  const auto& p = t.local().import();
  const double total = static_cast<double>(p.blocks() + t.distance_blocks());
  return total > 0 ? static_cast<double>(p.blocks()) / total : 1;
}

std::string live_line(const v1::SyncStatus& s) {
  if (s.tows_size() == 0) return "no engine-driver yet";
  const v1::Tow& t = s.tows(0);
  std::string line = absl::StrCat(state_name(t.state()), "  ", heads_of(t), "  ", behind(t));
  if (t.local().has_import()) {
    absl::StrAppend(&line, "  ", rates_of(t));
  } else if (t.state() != v1::TOW_STATE_AT_TIP) {
    absl::StrAppend(&line, "  ", t.reason());
  }
  if (s.tows_size() > 1) absl::StrAppend(&line, "  (+", s.tows_size() - 1, " more)");
  return line;
}

std::vector<LiveArea::Line> live_lines(const v1::SyncStatus& s) {
  std::vector<LiveArea::Line> lines;
  for (const v1::Tow& t : s.tows()) {
    std::string first = absl::StrFormat("%-18s ", state_name(t.state()));
    if (t.state() == v1::TOW_STATE_IMPORTING && t.local().has_import()) {
      absl::StrAppendFormat(&first, "%s %5.1f %%  %s behind", progress_bar(share_done(t), 24), 100 * share_done(t),
                            thousands(t.distance_blocks()));
    } else {
      first += t.reason();
    }
    lines.push_back({std::move(first), colour_of(t)});
    lines.push_back({heads_of(t)});
    lines.push_back({t.local().has_import()
                         ? rates_of(t)
                         : absl::StrCat(behind(t), " ", s.has_remote() ? s.remote().endpoint() : "the source")});
  }
  return lines;
}

/// Whose snapshot is followed.
std::string trust_of(const v1::HeadSnapshot& vote) {
  if (vote.groups() <= 1) return "1 source: it is believed";
  std::string out = absl::StrCat(vote.groups_agree(), " of ", vote.groups(), " groups have this branch");
  for (const auto& [hold, label] :
       {std::pair{vote.safe_hold(), "safe"}, std::pair{vote.finalized_hold(), "finalized"}}) {
    if (hold == v1::HOLD_QUORUM_LOST) absl::StrAppend(&out, "; ", label, " has lost its quorum");
    if (hold == v1::HOLD_SOURCES_DISAGREE) absl::StrAppend(&out, "; they disagree about ", label);
  }
  return out;
}

/// The remote-fetchers that served the payloads.
std::string served_by(const v1::EngineState& s) {
  std::uint64_t all = 0;
  for (const auto& r : s.replicas()) all += r.blocks();
  std::string out;
  for (const auto& r : s.replicas()) {
    absl::StrAppendFormat(&out, "%s%s  %s blocks (%.0f %%)", out.empty() ? "" : "\n           ", r.address(),
                          thousands(r.blocks()),
                          all == 0 ? 0.0 : 100.0 * static_cast<double>(r.blocks()) / static_cast<double>(all));
    if (!r.listed()) absl::StrAppend(&out, ", gone");
    else if (!r.rests().empty()) absl::StrAppend(&out, ", rests: ", r.rests());
  }
  return out;
}

std::string status_text(const v1::SyncStatus& s) {
  std::string out;
  for (const v1::Tow& t : s.tows()) {
    const auto& local = t.local();
    absl::StrAppend(&out, "driver     ", t.driver(), local.client_version().empty() ? "" : "  ", local.client_version(),
                    "\n");
    absl::StrAppend(&out, "state      ", state_name(t.state()), "\n");
    absl::StrAppend(&out, "reason     ", t.reason(), "\n");
    if (!t.start().way().empty())
      absl::StrAppend(&out, "start      ", t.start().way(), ", ", t.start().reason(),
                      " (--sync-start=", t.start().mode(), ")\n");
    if (const auto steps = recovery(t); !steps.empty())
      absl::StrAppend(&out, "do         ", steps.size() == 1 ? steps[0] : "`towline recover` has the steps", "\n");
    absl::StrAppendFormat(&out, "%-10s %-24s %-24s\n", "", "local", "remote");
    const auto row = [&](const char* name, const std::string& ours, const std::string& theirs) {
      absl::StrAppendFormat(&out, "%-10s %-24s %-24s\n", name, ours, theirs);
    };
    const auto& l = local.labels();
    const auto& r = s.remote();
    row("unsafe", label(l.has_unsafe(), l.unsafe()), label(r.has_unsafe(), r.unsafe()));
    row("safe", label(l.has_safe(), l.safe()), label(r.has_safe(), r.safe()));
    row("finalized", label(l.has_finalized(), l.finalized()), label(r.has_finalized(), r.finalized()));
    row("confirmed_finalized",
        local.has_confirmed_finalized()
            ? block_text(local.confirmed_finalized().number(), local.confirmed_finalized().hash())
            : "-",
        "");
    absl::StrAppend(&out, "distance   ",
                    t.has_distance_blocks() ? thousands(t.distance_blocks()) + " blocks" : "not known");
    if (local.has_import()) {
      absl::StrAppendFormat(&out, ", %.0f blocks/s, %.0f Mgas/s", local.import().blocks_per_s(),
                            local.import().mgas_per_s());
      if (t.eta_s() > 0) absl::StrAppend(&out, ", ETA ", duration(t.eta_s()));
    }
    absl::StrAppend(
        &out, "\nsource     ", s.has_remote() ? s.remote().endpoint() : "-",
        s.has_remote() ? absl::StrFormat(", %.1f s ago", static_cast<double>(s.remote_age_ms()) / 1000) : "", "\n");
    if (s.has_remote()) absl::StrAppend(&out, "trust      ", trust_of(r), "\n");
    if (const std::string served = served_by(local); !served.empty())
      absl::StrAppend(&out, "served by  ", served, "\n");
  }
  if (s.tows_size() == 0) out = "no engine-driver is towed\n";
  return out;
}

std::string decisions_text(const v1::ListDecisionsResponse& d) {
  std::string out;
  for (const auto& x : d.decisions()) {
    absl::StrAppend(&out,
                    absl::FormatTime("%H:%M:%E3S", absl::FromUnixMillis(static_cast<std::int64_t>(x.time_ms())),
                                     absl::UTCTimeZone()),
                    "  ", absl::StrFormat("%-16s ", x.action()), x.reason(),
                    x.repeated() > 0 ? absl::StrCat("  (", x.repeated() + 1, " times)") : "", "\n");
  }
  return out.empty() ? "no decision yet\n" : out;
}

std::string endpoints_text(const v1::ListEndpointsResponse& e) {
  std::string out = absl::StrFormat("%-28s %-5s %-12s %8s %7s %6s %5s %9s  %s\n", "endpoint", "kind", "state",
                                    "requests", "errors", "429", "bad", "latency", "unsafe / reason");
  for (const auto& x : e.endpoints()) {
    const std::string kind = x.kind() == v1::ENDPOINT_KIND_EL     ? "EL"
                             : x.kind() == v1::ENDPOINT_KIND_CL   ? "CL"
                             : x.kind() == v1::ENDPOINT_KIND_BOTH ? "EL+CL"
                                                                  : "?";
    const std::string state_full = v1::EndpointState_Name(x.state());
    const std::string state = absl::AsciiStrToLower(state_full.substr(std::string{"ENDPOINT_STATE_"}.size()));
    absl::StrAppendFormat(
        &out, "%-28s %-5s %-12s %8d %7d %6d %5d %6.1f ms  %s\n", x.name(), kind, state, x.requests(), x.errors(),
        x.rate_limited(), x.integrity_failures(), x.latency_ms(),
        x.reason().empty() ? (x.heads().has_unsafe() ? thousands(x.heads().unsafe().number()) : "") : x.reason());
  }
  // The heads of each endpoint, and the group with which it votes.
  absl::StrAppendFormat(&out, "\n%-28s %-24s %-5s %13s %13s %13s  %s\n", "endpoint", "trust group", "votes", "unsafe",
                        "safe", "finalized", "in the vote");
  const auto number = [](bool has, const v1::BlockRef& b) { return has ? thousands(b.number()) : std::string{"-"}; };
  for (const auto& x : e.endpoints()) {
    const auto& h = x.heads();
    // u, s and f: votes on unsafe, safe and finalized.
    std::string votes;
    for (const auto& v : x.votes()) votes += v.substr(0, 1);
    absl::StrAppendFormat(&out, "%-28s %-24s %-5s %13s %13s %13s  %s\n", x.name(), x.group(),
                          votes.empty() ? "-" : votes, number(h.has_unsafe(), h.unsafe()),
                          number(h.has_safe(), h.safe()), number(h.has_finalized(), h.finalized()), x.standing());
  }
  return out;
}

std::string peers_text(const v1::GetNodeResponse& node, const v1::ListPeersResponse& peers,
                       const v1::ListBansResponse& bans) {
  std::string out;
  for (const auto& a : node.addresses()) absl::StrAppend(&out, "this node   ", a, "\n");
  if (!node.enr().empty()) absl::StrAppend(&out, "enr         ", node.enr(), "\n");
  for (const auto& s : node.signers())
    absl::StrAppend(&out, "signer      ", to_hex(as_bytes(s)), " (", node.signer_source(), ")\n");
  absl::StrAppend(&out, "last block  ",
                  node.has_last_block() ? thousands(node.last_block().block().number()) : "none yet", "\n");
  if (!node.penalties_suspended().empty())
    absl::StrAppend(&out, "ATTENTION   nobody is punished for bad blocks: ", node.penalties_suspended(), "\n");
  absl::StrAppend(&out, "\n");
  const auto topics = [](const auto& list) {
    std::string t;
    for (const auto v : list) absl::StrAppend(&t, v);
    return t.empty() ? std::string{"-"} : t;
  };
  absl::StrAppendFormat(&out, "%-53s %-21s %-3s %9s %8s %-6s %-5s %8s %8s %8s  %s\n", "peer", "address", "dir",
                        "latency", "score", "topics", "mesh", "first", "known", "refused", "agent");
  for (const auto& p : peers.peers()) {
    absl::StrAppendFormat(&out, "%-53s %-21s %-3s %6.1f ms %8.1f %-6s %-5s %8d %8d %8d  %s%s\n", p.peer_id(),
                          p.address(), p.direction() == v1::PEER_DIRECTION_OUTBOUND ? "out" : "in", p.latency_ms(),
                          p.score(), topics(p.topics()), topics(p.mesh()), p.accepted(), p.duplicates(), p.rejected(),
                          p.agent(), p.static_() ? " (static)" : "");
  }
  if (peers.peers().empty()) absl::StrAppend(&out, "no peer is connected\n");
  for (const auto& b : bans.bans()) {
    absl::StrAppend(&out, "banned until ",
                    absl::FormatTime("%Y-%m-%d %H:%M:%S UTC",
                                     absl::FromUnixSeconds(static_cast<std::int64_t>(b.until())), absl::UTCTimeZone()),
                    ": ", b.target(), " (", b.reason(), ")\n");
  }
  return out;
}

}  // namespace towline::cli
