#include "services/engine-driver/core/gate.hpp"

#include <absl/strings/str_cat.h>

#include <nlohmann/json.hpp>

#include "libs/base/hex.hpp"
#include "libs/base/status.hpp"

namespace towline::driver {
namespace {

/// The elector without etcd: it increases the term by one each time.
constexpr absl::string_view kSingle = "single";
constexpr std::uint64_t kTermLeap = 1'000;
/// An etcd revision is an int64.
constexpr std::uint64_t kTermEnd = std::uint64_t{1} << 63U;

}  // namespace

void show(const Persistent& p, contract::EngineState& s) {
  s.authority = p.authority;
  s.term = p.term;
  s.confirmed_finalized = p.confirmed_finalized;
}

std::string encode(const Persistent& p) {
  nlohmann::json doc = {{"authority", p.authority}, {"term", p.term}};
  if (p.chain) {
    doc["chain_id"] = p.chain->chain_id;
    doc["genesis"] = to_hex(p.chain->genesis.view());
  }
  if (p.confirmed_finalized)
    doc["confirmed_finalized"] = {{"number", p.confirmed_finalized->number},
                                  {"hash", to_hex(p.confirmed_finalized->hash.view())}};
  return doc.dump(1) + "\n";
}

absl::StatusOr<Persistent> decode_persistent(const std::string& text) {
  const auto doc = nlohmann::json::parse(text, nullptr, false);
  const auto bad = [](absl::string_view what) {
    return absl::DataLossError(absl::StrCat("the state file is damaged: ", what));
  };
  if (!doc.is_object()) return bad("not a JSON object");
  Persistent p;
  if (!doc.contains("authority") || !doc["authority"].is_string()) return bad("no authority");
  if (!doc.contains("term") || !doc["term"].is_number_unsigned()) return bad("no term");
  p.authority = doc["authority"].get<std::string>();
  p.term = doc["term"].get<std::uint64_t>();
  if (doc.contains("chain_id") || doc.contains("genesis")) {
    if (!doc.contains("chain_id") || !doc["chain_id"].is_number_unsigned() || !doc.contains("genesis") ||
        !doc["genesis"].is_string()) {
      return bad("chain");
    }
    auto genesis = parse_fixed_hex<32>(doc["genesis"].get<std::string>());
    if (!genesis.ok()) return bad("genesis");
    p.chain = ChainIdentity{doc["chain_id"].get<std::uint64_t>(), *genesis};
  }
  if (doc.contains("confirmed_finalized")) {
    const auto& f = doc["confirmed_finalized"];
    if (!f.is_object() || !f.contains("number") || !f["number"].is_number_unsigned() || !f.contains("hash") ||
        !f["hash"].is_string()) {
      return bad("confirmed_finalized");
    }
    auto hash = parse_fixed_hex<32>(f["hash"].get<std::string>());
    if (!hash.ok()) return bad("confirmed_finalized hash");
    p.confirmed_finalized = eth::BlockId{f["number"].get<std::uint64_t>(), *hash};
  }
  return p;
}

absl::Status check_term(const contract::CommandStamp& c, const Persistent& known) {
  if (c.authority.empty()) return absl::InvalidArgumentError("a command needs an authority");
  if (!known.authority.empty() && c.authority != known.authority) {
    return contract::refuse(
        contract::Refusal::other_authority,
        absl::StrCat("this driver obeys authority \"", known.authority, "\", not \"", c.authority, "\""));
  }
  if (c.term < known.term) {
    return contract::refuse(contract::Refusal::stale_term, absl::StrCat("term ", c.term, " is older than ", known.term,
                                                                        ", another coordinator took over"));
  }
  if (c.term >= kTermEnd || (c.authority == kSingle && c.term - known.term > kTermLeap)) {
    return contract::refuse(contract::Refusal::impossible_term,
                            absl::StrCat("term ", c.term, " is too far above ", known.term, " to be true"));
  }
  return absl::OkStatus();
}

absl::StatusOr<Gate::ToSave> Gate::take_term(const contract::CommandStamp& c) const {
  TOWLINE_RETURN_IF_ERROR(check_term(c, state_));
  if (c.authority == state_.authority && c.term == state_.term) return ToSave{};
  Persistent next = state_;
  next.authority = c.authority;
  next.term = c.term;
  return next;
}

absl::Status Gate::check_head(const contract::CommandStamp& c, const contract::Labels& el) {
  if (!el.unsafe) return absl::UnavailableError("the EL's head is not known");
  if (el.unsafe->hash != c.expected_head) {
    return contract::refuse(contract::Refusal::head_moved,
                            absl::StrCat("head moved: the EL is at ", eth::to_string(*el.unsafe), ", expected ",
                                         short_hex(c.expected_head.view())));
  }
  return absl::OkStatus();
}

absl::Status compare_confirmed_finalized(const eth::BlockId& confirmed_finalized,
                                         const std::optional<eth::BlockRef>& there) {
  if (!there || there->hash == confirmed_finalized.hash) return absl::OkStatus();
  return contract::refuse(
      contract::Refusal::below_finalized,
      absl::StrCat("the EL has ", eth::to_string(*there), " where ", eth::to_string(confirmed_finalized),
                   " was final here: was its database replaced?"));
}

absl::Status Gate::check_labels(const eth::BlockId& head, const std::optional<eth::BlockId>& safe,
                                const std::optional<eth::BlockId>& finalized, const contract::Labels& el) const {
  const auto bad = [](contract::Refusal r, absl::string_view a, const eth::BlockId& x, absl::string_view b,
                      const eth::BlockId& y) {
    return contract::refuse(r, absl::StrCat(a, " ", eth::to_string(x), " ", b, " ", eth::to_string(y)));
  };
  // A label that does not change still counts for the order.
  auto safe_after = safe;
  if (!safe_after && el.safe) safe_after = el.safe->id();
  auto finalized_after = finalized;
  if (!finalized_after && el.finalized) finalized_after = el.finalized->id();
  if (safe && safe->number > head.number)
    return bad(contract::Refusal::label_order, "safe", *safe, "is above the head", head);
  if (finalized && finalized->number > head.number)
    return bad(contract::Refusal::label_order, "finalized", *finalized, "is above the head", head);
  if ((safe || finalized) && safe_after && finalized_after && finalized_after->number > safe_after->number) {
    return bad(contract::Refusal::label_order, "finalized", *finalized_after, "is above safe", *safe_after);
  }
  if (finalized && state_.confirmed_finalized) {
    if (finalized->number < state_.confirmed_finalized->number)
      return bad(contract::Refusal::below_finalized, "finalized", *finalized, "is below the confirmed finalized block",
                 *state_.confirmed_finalized);
    if (finalized->number == state_.confirmed_finalized->number &&
        finalized->hash != state_.confirmed_finalized->hash) {
      return bad(contract::Refusal::below_finalized, "finalized", *finalized, "is not the confirmed finalized block",
                 *state_.confirmed_finalized);
    }
  }
  if (safe && state_.confirmed_finalized && safe->number < state_.confirmed_finalized->number)
    return bad(contract::Refusal::below_finalized, "safe", *safe, "is below the confirmed finalized block",
               *state_.confirmed_finalized);
  return absl::OkStatus();
}

Gate::ToSave Gate::confirm_finalized(const eth::BlockId& finalized) const {
  if (state_.confirmed_finalized && finalized.number <= state_.confirmed_finalized->number) return std::nullopt;
  Persistent next = state_;
  next.confirmed_finalized = finalized;
  return next;
}

bool must_go_back(const contract::Labels& el, const eth::BlockId& was, const eth::BlockId& to) {
  return to.number < was.number && !above(el, to).empty();
}

std::string above(const contract::Labels& el, const eth::BlockId& to) {
  for (const auto& [label, what] :
       {std::pair{&el.unsafe, "head"}, std::pair{&el.safe, "safe"}, std::pair{&el.finalized, "finalized"}}) {
    if (*label && (*label)->number > to.number)
      return absl::StrCat("its ", what, " is ", eth::to_string(**label), ", above ", eth::to_string(to));
  }
  return {};
}

absl::StatusOr<Gate::ToSave> Gate::lower_finalized(const eth::BlockId& was, const eth::BlockId& to,
                                                   const contract::Labels& el) const {
  if (to == was || to.number > was.number)
    return absl::InvalidArgumentError(absl::StrCat(eth::to_string(to), " is not below ", eth::to_string(was)));
  if (was != state_.confirmed_finalized && !(el.finalized && el.finalized->id() == was)) {
    return contract::refuse(
        contract::Refusal::not_final,
        absl::StrCat(eth::to_string(was), " is not what is final here: the confirmed finalized block is ",
                     state_.confirmed_finalized ? eth::to_string(*state_.confirmed_finalized) : "not set",
                     ", the EL's finalized block ", el.finalized ? eth::to_string(*el.finalized) : "not set"));
  }
  if (!state_.confirmed_finalized || state_.confirmed_finalized == to || state_.confirmed_finalized->number < to.number)
    return ToSave{};
  Persistent next = state_;
  next.confirmed_finalized = to;
  return next;
}

absl::Status Gate::check_rewind(const eth::BlockId& to) const {
  if (!state_.confirmed_finalized) return absl::OkStatus();
  if (to.number < state_.confirmed_finalized->number ||
      (to.number == state_.confirmed_finalized->number && to.hash != state_.confirmed_finalized->hash)) {
    return contract::refuse(
        contract::Refusal::below_finalized,
        absl::StrCat("a rewind to ", eth::to_string(to), " would go below the confirmed finalized block ",
                     eth::to_string(*state_.confirmed_finalized)));
  }
  return absl::OkStatus();
}

}  // namespace towline::driver
