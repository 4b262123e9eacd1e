#include "tools/devnet/devnet.hpp"

#include <absl/strings/str_cat.h>

#include "libs/base/hex.hpp"

namespace towline::devnet {

using nlohmann::json;

namespace {

json block_json(const eth::BlockRef& r) { return {{"number", r.number}, {"hash", to_hex(r.hash.view())}}; }

}  // namespace

NodeState* Devnet::state(const json& which) {
  if (which.is_number_unsigned() && which.get<std::size_t>() < source_states.size())
    return source_states[which.get<std::size_t>()].get();
  for (NodeState* s : {&cl_state, &engine_state, &admin_state}) {
    if (which == s->name) return s;
  }
  return nullptr;
}

absl::Status Devnet::save() {
  const std::lock_guard order{saving_};
  KeptChain now;
  {
    const std::lock_guard lock{world.mutex};
    kept.head = world.chain.head()->header.number;
    now = kept;
  }
  return write_kept_chain(kept_file, now);
}

void Devnet::grow_forks() {
  const auto grow = [](NodeState& s) {
    if (!s.own || !s.own->grows) return;
    s.own->chain.append();
    World::follow_labels(s.own->chain, s.own->safe_lag, s.own->finalized_lag);
  };
  for (const auto& s : source_states) grow(*s);
  grow(cl_state);
}

json Devnet::stats() {
  const std::lock_guard lock{world.mutex};
  const auto maybe = [&](const std::optional<eth::BlockRef>& r) { return r ? block_json(*r) : json{}; };
  json nodes = json::object();
  const auto node = [&](const NodeState& s) {
    nodes[s.name] = {{"requests", s.requests}, {"calls", s.calls}, {"bodies", s.bodies}};
  };
  for (const auto& s : source_states) node(*s);
  for (const NodeState* s : {&cl_state, &engine_state, &admin_state}) node(*s);
  return {{"chain",
           {{"head", block_json(world.chain.head()->ref())},
            {"safe", block_json(world.chain.safe()->ref())},
            {"finalized", block_json(world.chain.finalized()->ref())}}},
          {"el",
           {{"head", block_json(world.el.latest())},
            {"safe", maybe(world.el.safe())},
            {"finalized", maybe(world.el.finalized())}}},
          {"engine", {{"payloads", engine->payloads()}, {"forkchoice_updates", engine->forkchoice_updates()}}},
          {"gossip", sequencer->stats()},
          {"nodes", nodes}};
}

std::string Devnet::fork(const json& c) {
  NodeState* s = state(c.value("node", json{}));
  if (s == nullptr || s == &engine_state || s == &admin_state) return R"("node" is the number of a source, or "cl")";
  if (c.value("heal", false)) {
    s->own.reset();
    return {};
  }
  s->own = OwnChain{world.chain, c.value("safe_lag", world.safe_lag), c.value("finalized_lag", world.finalized_lag),
                    c.value("grows", true)};
  sim::Chain& own = s->own->chain;
  if (const auto depth = c.value("depth", std::uint64_t{0}); depth > 0) {
    own.reorg(depth);
    own.reorg(depth);  // twice, so that the branch differs from that of the next reorg of the common chain
  }
  World::follow_labels(own, s->own->safe_lag, s->own->finalized_lag);
  return {};
}

std::string Devnet::set_fault(const json& c) {
  NodeState* s = state(c.value("node", json{}));
  if (s == nullptr) return R"("node" is the number of a source, or "cl", "engine", "admin")";
  Fault f;
  f.delay_ms = c.value("delay_ms", 0);
  f.error_rate = c.value("error_rate", 0.0);
  f.rate_limit = c.value("rate_limit", false);
  f.retry_after_s = c.value("retry_after", 1);
  f.hang = c.value("hang", false);
  f.disconnect = c.value("disconnect", false);
  f.html = c.value("html", false);
  f.oversized = c.value("oversized", false);
  f.blocks_per_s = c.value("blocks_per_s", 0.0);
  f.gaps = c.value("gaps", false);
  f.wrong_chain = c.value("wrong_chain", false);
  f.lie = c.value("lie", "");
  if (!f.lie.empty() && f.lie != "header" && f.lie != "body" && f.lie != "head")
    return R"("lie" is "header", "body" or "head")";
  s->fault = f;
  world.changed.notify_all();
  return {};
}

std::string Devnet::command(const json& c) {
  if (!c.is_object() || !c.contains("cmd") || !c["cmd"].is_string()) return R"(a command is an object with "cmd")";
  const std::string cmd = c["cmd"];
  if (cmd == "kill") {
    engine->kill();
    return {};
  }
  if (cmd == "el_peers") {
    engine->set_peers(c.value("blocks_per_s", std::uint64_t{0}));
    return {};
  }
  const std::lock_guard lock{world.mutex};
  if (cmd == "fork") return fork(c);
  if (cmd == "fault") return set_fault(c);
  if (cmd == "reorg") {
    const auto depth = c.value("depth", std::uint64_t{1});
    if (depth > 0) kept.steps.push_back({world.chain.head()->header.number, depth});
    world.chain.reorg(depth);
  } else if (cmd == "append") {
    const bool malformed = c.value("malformed", false);
    for (std::uint64_t n = c.value("count", std::uint64_t{1}); n > 0; --n) {
      if (malformed) kept.steps.push_back({world.chain.head()->header.number, 0});
      world.chain.append(malformed);
    }
  } else if (cmd == "produce") {
    world.producing = c.value("on", true);
    return {};
  } else if (cmd == "labels") {
    world.labels_follow = c.value("follow", false);
    world.chain.set_labels(c.value("safe", world.chain.safe()->header.number),
                           c.value("finalized", world.chain.finalized()->header.number));
  } else {
    return absl::StrCat("unknown command \"", cmd, "\"");
  }
  world.follow_labels();
  sequencer->publish(world.chain);
  return {};
}

}  // namespace towline::devnet
