#include "services/remote-fetcher/actors/blocks.hpp"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <future>
#include <map>
#include <thread>

#include "libs/base/hex.hpp"
#include "libs/base/status.hpp"
#include "libs/eth/block_json.hpp"
#include "libs/eth/header.hpp"
#include "libs/eth/payload.hpp"
#include "libs/eth/raw_block.hpp"
#include "libs/telemetry/log.hpp"

namespace towline::fetcher {
namespace {

/// Headers that are proven and held at once. Longer ranges are cut at headers that all endpoints agree on.
constexpr std::uint64_t kWindow = 8192;
constexpr std::size_t kTargetBatchBytes = 1U << 20U;
constexpr std::size_t kMaxBodiesInBatch = 16;

absl::string_view text(simdjson::dom::element e) {
  std::string_view s;
  if (e.get(s) != simdjson::SUCCESS) s = {};
  return {s.data(), s.size()};
}

std::string hash_params(const Hash32& hash, bool full) { return absl::StrCat("[\"", to_hex(hash.view()), "\",", full ? "true" : "false", "]"); }

}  // namespace

absl::StatusOr<Blocks::HeaderBatch> Blocks::header_batch(std::size_t i, std::uint64_t first, std::size_t count) {
  std::vector<jsonrpc::Call> calls;
  for (std::size_t k = 0; k < count; ++k) calls.push_back({"eth_getBlockByNumber", absl::StrCat("[\"", to_quantity(first + k), "\",false]")});
  TOWLINE_ASSIGN_OR_RETURN(auto answers, pool_.call(i, calls));
  HeaderBatch out(count);
  for (std::size_t k = 0; k < count; ++k) {
    const auto& a = answers.answers[k];
    if (a.kind == jsonrpc::Answer::Kind::missing) return absl::UnavailableError("the batch's answer has gaps");
    if (a.kind == jsonrpc::Answer::Kind::error) {
      if (jsonrpc::is_not_found(a.error)) continue;
      return absl::UnavailableError(absl::StrCat("error ", a.error.code, " ", a.error.message));
    }
    if (a.result.is_null()) continue;
    auto h = eth::header_from_json(a.result);
    if (!h.ok()) return absl::UnavailableError(absl::StrCat("header ", first + k, ": ", h.status().message()));
    const Hash32 hash = eth::hash_header(h->header);
    if (hash != h->claimed_hash || h->header.number != first + k) {
      pool_.accuse(i, "hash", absl::StrCat("header ", first + k, " is claimed to be ", to_hex(h->claimed_hash.view()), " but hashes to ",
                                           to_hex(hash.view()), " with number ", h->header.number));
      return absl::DataLossError(absl::StrCat("header ", first + k, " does not verify"));
    }
    out[k] = Proven{hash, std::move(h->header)};
  }
  return out;
}

absl::StatusOr<std::vector<eth::BlockRef>> Blocks::headers(const std::vector<std::uint64_t>& numbers, std::optional<std::size_t> prefer,
                                                           const Cancelled& cancelled, std::string* endpoint) {
  const absl::Time deadline = absl::Now() + options_.patience;
  std::set<std::size_t> except;
  absl::Status last = absl::UnavailableError("no endpoint");
  while (true) {
    auto i = pool_.take_el(except, deadline, cancelled, prefer);
    if (!i.ok()) return absl::IsUnavailable(i.status()) && !except.empty() ? last : i.status();
    *endpoint = pool_.name(*i);
    const std::size_t width = pool_.get(*i).max_batch();
    std::vector<eth::BlockRef> out;
    absl::Status st;
    bool taken = true;
    for (std::size_t at = 0; at < numbers.size() && st.ok();) {
      if (!taken) {
        // The rest from the same endpoint: one view of the chain.
        auto again = pool_.take_el(except, deadline, cancelled, *i);
        if (!again.ok()) return again.status();
        if (*again != *i) {
          pool_.update(*again, [](Endpoint& e) { e.on_cancelled(); });
          st = absl::UnavailableError("the endpoint went away between two batches");
          break;
        }
      }
      taken = false;
      const std::size_t n = std::min(width, numbers.size() - at);
      std::vector<jsonrpc::Call> calls;
      for (std::size_t k = 0; k < n; ++k) calls.push_back({"eth_getBlockByNumber", absl::StrCat("[\"", to_quantity(numbers[at + k]), "\",false]")});
      auto answers = pool_.call(*i, calls);
      if (!answers.ok()) {
        st = answers.status();
        break;
      }
      for (std::size_t k = 0; k < n && st.ok(); ++k) {
        const auto& a = answers->answers[k];
        if (a.kind == jsonrpc::Answer::Kind::missing) st = absl::UnavailableError("the batch's answer has gaps");
        else if (a.kind == jsonrpc::Answer::Kind::error && !jsonrpc::is_not_found(a.error)) st = absl::UnavailableError(a.error.message);
        else if (a.kind == jsonrpc::Answer::Kind::result && !a.result.is_null()) {
          auto h = eth::header_from_json(a.result);
          if (!h.ok()) {
            st = absl::UnavailableError(h.status().message());
            break;
          }
          const Hash32 hash = eth::hash_header(h->header);
          if (hash != h->claimed_hash || h->header.number != numbers[at + k]) {
            pool_.accuse(*i, "hash", absl::StrCat("header ", numbers[at + k], " does not hash to what is claimed"));
            st = absl::DataLossError("a header does not verify");
            break;
          }
          out.push_back(eth::ref_of(h->header, hash));
        }
      }
      at += n;
    }
    if (st.ok()) return out;
    if (absl::IsCancelled(st)) return st;
    last = absl::UnavailableError(st.message());
    // Too large: the same one again, in smaller batches.
    if (!absl::IsResourceExhausted(st)) except.insert(*i);
  }
}

absl::StatusOr<eth::Header> Blocks::header(const Hash32& hash, const Cancelled& cancelled) {
  const absl::Time deadline = absl::Now() + options_.patience;
  std::set<std::size_t> except;
  bool answered = false;
  while (true) {
    auto i = pool_.take_el(except, deadline, cancelled);
    if (!i.ok()) {
      if (absl::IsUnavailable(i.status()) && answered) return absl::NotFoundError(absl::StrCat("no source has block ", to_hex(hash.view())));
      return i.status();
    }
    except.insert(*i);
    auto a = pool_.call(*i, {{"eth_getBlockByHash", hash_params(hash, false)}});
    if (!a.ok()) continue;
    if (a->answers[0].kind != jsonrpc::Answer::Kind::result) continue;
    answered = true;
    if (a->answers[0].result.is_null()) continue;
    auto h = eth::header_from_json(a->answers[0].result);
    if (!h.ok()) continue;
    if (eth::hash_header(h->header) != hash) {
      pool_.accuse(*i, "hash", absl::StrCat("asked for header ", to_hex(hash.view()), ", got another"));
      continue;
    }
    return h->header;
  }
}

absl::StatusOr<eth::BlockId> Blocks::agreed_header(std::uint64_t number, const Cancelled& cancelled) {
  std::optional<eth::BlockId> agreed;
  const absl::Time deadline = absl::Now() + options_.patience;
  const auto els = pool_.usable_els();
  for (const std::size_t i : els) {
    std::set<std::size_t> others;
    for (const std::size_t o : els) {
      if (o != i) others.insert(o);
    }
    auto slot = pool_.take_el(others, deadline, cancelled, i);
    if (!slot.ok()) {
      if (absl::IsCancelled(slot.status())) return slot.status();
      continue;
    }
    auto batch = header_batch(*slot, number, 1);
    if (!batch.ok() || !(*batch)[0]) continue;
    const eth::BlockId id{number, (*batch)[0]->hash};
    if (agreed && *agreed != id) {
      return absl::UnavailableError(absl::StrCat("sources disagree about block ", number, ": ", eth::to_string(*agreed), " and ", eth::to_string(id)));
    }
    agreed = id;
  }
  if (!agreed) return absl::UnavailableError(absl::StrCat("no source has block ", number));
  return *agreed;
}

absl::StatusOr<std::vector<Blocks::Proven>> Blocks::prove(const eth::BlockId& parent, const eth::BlockId& tip, const Cancelled& cancelled) {
  const std::uint64_t first = parent.number + 1;
  const std::size_t total = static_cast<std::size_t>(tip.number - parent.number);
  std::vector<std::optional<Proven>> got(total);
  std::vector<std::size_t> served_by(total);
  const absl::Time deadline = absl::Now() + options_.patience;

  // Batches by number, several at once.
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  absl::Status failure;
  constexpr std::size_t kWidth = Endpoint::kMaxBatch;
  const std::size_t batches = (total + kWidth - 1) / kWidth;
  const auto fetch = [&](std::size_t at, std::size_t count, std::set<std::size_t> except) -> absl::Status {
    const std::size_t end = at + count;
    int gaps = 0;
    while (at < end) {
      TOWLINE_ASSIGN_OR_RETURN(const std::size_t i, pool_.take_el(except, deadline, cancelled));
      const std::size_t n = std::min(end - at, pool_.get(i).max_batch());
      auto batch = header_batch(i, first + at, n);
      if (!batch.ok()) {
        if (absl::IsCancelled(batch.status())) return batch.status();
        // A source with a bad answer comes last, but a lone one is asked again: back-off paces it.
        if (!absl::IsResourceExhausted(batch.status()) && except.size() + 1 < pool_.usable_els().size()) except.insert(i);
        if (++gaps > 20 || absl::Now() > deadline) return absl::UnavailableError(absl::StrCat("headers: ", batch.status().message()));
        continue;
      }
      for (std::size_t k = 0; k < n; ++k) {
        got[at + k] = std::move((*batch)[k]);
        served_by[at + k] = i;
      }
      at += n;
    }
    return absl::OkStatus();
  };
  const auto work = [&] {
    for (std::size_t b = next++; b < batches; b = next++) {
      const absl::Status st = fetch(b * kWidth, std::min(kWidth, total - b * kWidth), {});
      if (!st.ok()) {
        std::lock_guard lock{mutex};
        failure = st;
        next = batches;
      }
    }
  };
  std::vector<std::thread> workers;
  for (std::size_t w = 1; w < std::min<std::size_t>(batches, 8); ++w) workers.emplace_back(work);
  work();
  for (auto& w : workers) w.join();
  if (!failure.ok()) return failure;

  // Down from the tip: each header must be the one that its child names.
  Hash32 expected = tip.hash;
  for (std::size_t at = total; at-- > 0;) {
    if (!got[at] || got[at]->hash != expected) {
      const std::size_t suspect = served_by[at];
      const bool had = got[at].has_value();
      // Another source's view of this part of the chain, then by hash.
      const std::size_t from = at + 1 > kWidth ? at + 1 - kWidth : 0;
      std::set<std::size_t> tried{suspect};
      bool found = false;
      while (!found && tried.size() < pool_.size()) {
        const auto others = pool_.usable_els();
        if (std::all_of(others.begin(), others.end(), [&](std::size_t o) { return tried.contains(o); })) break;
        auto i = pool_.take_el(tried, deadline, cancelled);
        if (!i.ok()) {
          if (absl::IsCancelled(i.status())) return i.status();
          break;
        }
        tried.insert(*i);
        const std::size_t n = std::min(at + 1 - from, pool_.get(*i).max_batch());
        auto batch = header_batch(*i, first + at + 1 - n, n);
        if (!batch.ok() || !batch->back() || batch->back()->hash != expected) continue;
        for (std::size_t k = 0; k < n; ++k) {
          got[at + 1 - n + k] = std::move((*batch)[k]);
          served_by[at + 1 - n + k] = *i;
        }
        found = true;
        if (had) {
          pool_.accuse(suspect, "branch", absl::StrCat("header ", first + at, " is not the one that ", eth::to_string(tip), " descends from, ",
                                                       to_hex(expected.view()), "; ", pool_.name(*i), " has it"));
        }
      }
      if (!found) {
        auto h = header(expected, cancelled);
        if (absl::IsNotFound(h.status())) return absl::NotFoundError(absl::StrCat("no source's chain leads to ", eth::to_string(tip), " (it was reorged out, or not seen yet)"));
        if (!h.ok()) return h.status();
        if (h->number != first + at) return absl::FailedPreconditionError("numbers of linked headers do not follow each other");
        got[at] = Proven{expected, *h};
      }
    }
    expected = got[at]->header.parent_hash;
  }
  if (expected != parent.hash) {
    return absl::FailedPreconditionError(absl::StrCat(eth::to_string(tip), " does not descend from ", eth::to_string(parent), " but from ",
                                                      eth::to_string(eth::BlockId{parent.number, expected})));
  }
  std::vector<Proven> out;
  out.reserve(total);
  for (auto& p : got) out.push_back(*std::move(p));
  return out;
}

absl::StatusOr<std::vector<Bytes>> Blocks::raw_transactions(std::size_t i, const Proven& wanted, std::size_t count) {
  std::vector<jsonrpc::Call> calls;
  for (std::size_t k = 0; k < count; ++k) {
    calls.push_back({"eth_getRawTransactionByBlockHashAndIndex", absl::StrCat("[\"", to_hex(wanted.hash.view()), "\",\"", to_quantity(k), "\"]")});
  }
  pool_.update(i, [](Endpoint& e) { e.on_request(absl::Now()); });
  TOWLINE_ASSIGN_OR_RETURN(auto answers, pool_.call(i, calls));
  std::vector<Bytes> out;
  for (const auto& a : answers.answers) {
    if (a.kind != jsonrpc::Answer::Kind::result) return absl::UnimplementedError("the endpoint serves no raw transactions");
    TOWLINE_ASSIGN_OR_RETURN(Bytes raw, parse_hex(text(a.result)));
    out.push_back(std::move(raw));
  }
  TOWLINE_RETURN_IF_ERROR(eth::verify_body(wanted.header, out));
  return out;
}

absl::StatusOr<std::vector<Bytes>> Blocks::body_from(std::size_t i, const jsonrpc::Answer& a, bool raw, const Proven& wanted) {
  if (a.kind == jsonrpc::Answer::Kind::missing) return absl::UnavailableError("the batch's answer has gaps");
  if (a.kind == jsonrpc::Answer::Kind::error) {
    if (jsonrpc::is_not_found(a.error)) return absl::NotFoundError("not found");
    return absl::UnavailableError(absl::StrCat("error ", a.error.code, " ", a.error.message));
  }
  if (a.result.is_null()) return absl::NotFoundError("not found");
  if (raw) {
    auto bytes = parse_hex(text(a.result));
    if (!bytes.ok()) return absl::DataLossError(absl::StrCat("raw block: ", bytes.status().message()));
    auto block = eth::decode_raw_block(*bytes);
    if (!block.ok()) return absl::DataLossError(absl::StrCat("raw block: ", block.status().message()));
    TOWLINE_RETURN_IF_ERROR(eth::verify_body(wanted.header, block->transactions));
    return std::move(block->transactions);
  }
  auto txs = eth::verified_transactions_from_json(a.result, wanted.header);
  if (absl::IsUnimplemented(txs.status())) {
    simdjson::dom::array list;
    if (a.result["transactions"].get(list) != simdjson::SUCCESS) return absl::DataLossError("transactions: missing");
    return raw_transactions(i, wanted, list.size());
  }
  if (absl::IsInvalidArgument(txs.status())) return absl::DataLossError(txs.status().message());
  return txs;
}

absl::StatusOr<std::vector<Blocks::Served>> Blocks::bodies(std::span<const Proven> wanted, const Cancelled& cancelled, std::size_t* bytes) {
  std::vector<Served> out;
  absl::Time deadline = absl::Now() + options_.patience;
  std::set<std::size_t> except;
  // Who failed a check for the block in hand: judged once it is known whether anybody can pass it.
  std::map<std::size_t, std::string> failed;
  bool not_found = false;
  absl::Status last = absl::UnavailableError("no endpoint");
  while (out.size() < wanted.size()) {
    auto i = pool_.take_el(except, deadline, cancelled);
    if (!i.ok()) {
      if (absl::IsCancelled(i.status())) return i.status();
      if (!failed.empty() && absl::IsUnavailable(i.status())) {
        // Everyone who could be asked fails the same check: it is we who miss a rule.
        const std::string what = absl::StrCat("block ", wanted[out.size()].header.number, ": ", failed.begin()->second);
        board_.set_unknown_rules(what);
        log::error("every source fails the same check: is there a fork that this version does not know?", {log::kv("what", what)});
        return absl::UnavailableError(absl::StrCat("no source serves what verifies: ", what));
      }
      if (not_found) return absl::NotFoundError(absl::StrCat("no source has block ", to_hex(wanted[out.size()].hash.view())));
      if (absl::IsDeadlineExceeded(i.status()) || absl::Now() > deadline) return absl::UnavailableError(last.message());
      except.clear();
      absl::SleepFor(absl::Milliseconds(50));
      continue;
    }
    const Endpoint e = pool_.get(*i);
    const bool raw = e.raw_methods();
    const std::size_t n = std::min(wanted.size() - out.size(), e.max_batch());
    std::vector<jsonrpc::Call> calls;
    for (std::size_t k = 0; k < n; ++k) {
      const Hash32& hash = wanted[out.size() + k].hash;
      if (raw) calls.push_back({"debug_getRawBlock", absl::StrCat("[\"", to_hex(hash.view()), "\"]")});
      else calls.push_back({"eth_getBlockByHash", hash_params(hash, true)});
    }
    auto answers = pool_.call(*i, calls, bytes);
    if (!answers.ok()) {
      if (absl::IsCancelled(answers.status())) return answers.status();
      last = answers.status();
      if (absl::Now() > deadline) return absl::UnavailableError(last.message());
      continue;
    }
    for (std::size_t k = 0; k < n; ++k) {
      const Proven& w = wanted[out.size()];
      auto txs = body_from(*i, answers->answers[k], raw, w);
      if (!txs.ok()) {
        last = txs.status();
        except.insert(*i);
        if (absl::IsDataLoss(last)) failed.emplace(*i, std::string{last.message()});
        else if (absl::IsNotFound(last)) not_found = true;
        else if (raw && answers->answers[k].kind == jsonrpc::Answer::Kind::error && jsonrpc::is_unsupported(answers->answers[k].error)) {
          pool_.update(*i, [](Endpoint& x) { x.on_probed(Kind::el, false); });
          except.erase(*i);
        }
        break;
      }
      out.push_back({eth::make_payload(w.header, w.hash, *std::move(txs)), e.name()});
      deadline = absl::Now() + options_.patience;
      not_found = false;
      except.clear();
      // Somebody has it whole, so those who had not were lying.
      for (const auto& [liar, what] : failed) pool_.accuse(liar, "body", absl::StrCat("block ", to_hex(w.hash.view()), ": ", what, "; ", e.name(), " has it"));
      if (!failed.empty()) board_.set_unknown_rules({});
      failed.clear();
    }
  }
  if (!board_.unknown_rules().empty()) board_.set_unknown_rules({});
  metrics_.counter("towline_fetcher_blocks_total", "Verified blocks that were fetched.").inc(static_cast<double>(out.size()));
  return out;
}

absl::StatusOr<Blocks::Served> Blocks::payload(const Hash32& hash, const Cancelled& cancelled) {
  TOWLINE_ASSIGN_OR_RETURN(const eth::Header h, header(hash, cancelled));
  TOWLINE_RETURN_IF_ERROR(eth::verify_header(h, hash));
  TOWLINE_RETURN_IF_ERROR(rollup::check_header_shape(config_, h));
  const Proven wanted{hash, h};
  std::size_t bytes = 0;
  TOWLINE_ASSIGN_OR_RETURN(auto got, bodies({&wanted, 1}, cancelled, &bytes));
  return std::move(got[0]);
}

absl::Status Blocks::stream_bodies(const std::vector<Proven>& proven, const std::function<bool(const Served&)>& write, const Cancelled& outer) {
  std::mutex mutex;
  std::condition_variable changed;
  std::size_t next = 0;              // first block that no worker has taken
  std::size_t written = 0;
  std::size_t buffered = 0;
  std::size_t average = 64U << 10U;  // bytes of an answer for one block
  std::map<std::size_t, std::vector<Served>> ready;
  std::map<std::size_t, std::size_t> sizes;
  absl::Status failure;
  bool stop = false;
  const Cancelled cancelled = [&] {
    if (outer()) return true;
    std::lock_guard lock{mutex};
    return stop;
  };
  const auto work = [&] {
    while (true) {
      std::size_t at = 0;
      std::size_t n = 0;
      {
        std::unique_lock lock{mutex};
        changed.wait(lock, [&] { return stop || !failure.ok() || next == proven.size() || buffered < options_.max_buffered_bytes; });
        if (stop || !failure.ok() || next == proven.size()) return;
        at = next;
        // Small at the start, so that the first block leaves soon.
        const std::size_t fit = std::clamp<std::size_t>(kTargetBatchBytes / std::max<std::size_t>(average, 1), 1, kMaxBodiesInBatch);
        n = std::min({fit, proven.size() - at, at == 0 ? std::size_t{2} : kMaxBodiesInBatch});
        next += n;
        buffered += n * average;
        sizes[at] = n * average;
      }
      std::size_t bytes = 0;
      auto got = bodies({proven.data() + at, n}, cancelled, &bytes);
      std::lock_guard lock{mutex};
      if (got.ok()) {
        if (bytes > 0) average = (average * 3 + bytes / n) / 4;
        buffered += bytes;
        buffered -= std::min(buffered, sizes[at]);
        sizes[at] = bytes;
        ready.emplace(at, *std::move(got));
      } else if (failure.ok()) {
        failure = got.status();
      }
      changed.notify_all();
    }
  };
  std::vector<std::thread> workers;
  const std::size_t wanted_workers = std::min<std::size_t>(static_cast<std::size_t>(options_.max_workers) * std::max<std::size_t>(1, pool_.usable_els().size()),
                                                           std::min<std::size_t>(48, (proven.size() + 3) / 4));
  for (std::size_t w = 0; w < std::max<std::size_t>(1, wanted_workers); ++w) workers.emplace_back(work);
  absl::Status result;
  {
    std::unique_lock lock{mutex};
    while (written < proven.size()) {
      changed.wait_for(lock, std::chrono::milliseconds{100}, [&] { return ready.contains(written) || !failure.ok(); });
      if (outer()) {
        result = absl::CancelledError("cancelled");
        break;
      }
      auto node = ready.extract(written);
      if (!node) {
        if (failure.ok()) continue;
        result = failure;
        break;
      }
      const std::size_t at = written;
      lock.unlock();
      bool alive = true;
      for (const Served& s : node.mapped()) {
        alive = alive && write(s);
      }
      lock.lock();
      written += node.mapped().size();
      buffered -= std::min(buffered, sizes[at]);
      sizes.erase(at);
      changed.notify_all();
      if (!alive) {
        result = absl::CancelledError("the reader is gone");
        break;
      }
    }
    stop = true;
  }
  changed.notify_all();
  for (auto& w : workers) w.join();
  return result;
}

absl::Status Blocks::stream(const eth::BlockId& parent, const eth::BlockId& tip, const std::function<bool(const Served&)>& write, const Cancelled& cancelled) {
  if (tip.number <= parent.number) return absl::InvalidArgumentError("an empty range");
  const auto window_end = [&](const eth::BlockId& from) -> absl::StatusOr<eth::BlockId> {
    if (tip.number - from.number <= kWindow) return tip;
    return agreed_header(from.number + kWindow, cancelled);
  };
  const auto proof_of = [&](const eth::BlockId& from) -> absl::StatusOr<std::vector<Proven>> {
    TOWLINE_ASSIGN_OR_RETURN(const eth::BlockId to, window_end(from));
    TOWLINE_ASSIGN_OR_RETURN(auto proven, prove(from, to, cancelled));
    for (const auto& p : proven) {
      TOWLINE_RETURN_IF_ERROR(eth::verify_header(p.header, p.hash));
      if (auto st = rollup::check_header_shape(config_, p.header); !st.ok()) {
        board_.set_unknown_rules(std::string{st.message()});
        return absl::UnavailableError(absl::StrCat("a proven header has another shape than its fork: ", st.message()));
      }
    }
    return proven;
  };
  auto proven = proof_of(parent);
  while (true) {
    if (!proven.ok()) return proven.status();
    const eth::BlockId end{proven->back().header.number, proven->back().hash};
    if (end == tip) return stream_bodies(*proven, write, cancelled);
    // The next window's headers travel while the bodies of this one do.
    auto following = std::async(std::launch::async, [&] { return proof_of(end); });
    const absl::Status st = stream_bodies(*proven, write, cancelled);
    proven = following.get();
    if (!st.ok()) return st;
  }
}

}  // namespace towline::fetcher
